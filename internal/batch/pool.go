package batch

import "sync"

// ChunkSize is the size of a chunk, or the step of larger ones. It is the default size of a message, too: larger messages
// gain little, and not every server takes them.
const ChunkSize = 1 << 20

// keepFree is how many free chunks of one step a pool holds for good. What a burst leaves beyond that is in the hands of
// the garbage collector, which takes it within two cycles unless it is needed sooner: fresh pages are dear, some µs each.
const keepFree = 8

// maxSteps times ChunkSize is more than a message can have.
const maxSteps = 10

// A Pool recycles chunks. The zero value is ready. It is safe for concurrent use.
type Pool struct {
	mu   sync.Mutex
	free []*[]byte // guarded by mu; of one step, at most keepFree

	burst [maxSteps + 1]sync.Pool // by steps
}

// Get returns a buffer of at least size bytes, a multiple of [ChunkSize]. It implements mem.BufferPool.
func (p *Pool) Get(size int) *[]byte {
	steps := max(1, (size+ChunkSize-1)/ChunkSize)
	if steps == 1 {
		p.mu.Lock()
		if n := len(p.free); n > 0 {
			b := p.free[n-1]
			p.free[n-1] = nil
			p.free = p.free[:n-1]
			p.mu.Unlock()
			return b
		}
		p.mu.Unlock()
	}
	if steps <= maxSteps {
		if b, ok := p.burst[steps].Get().(*[]byte); ok {
			return b
		}
	}
	b := make([]byte, steps*ChunkSize)
	return &b
}

// Put takes a buffer back. Those that are no multiple of [ChunkSize], or too large, are dropped. It implements
// mem.BufferPool.
func (p *Pool) Put(b *[]byte) {
	steps := cap(*b) / ChunkSize
	if cap(*b)%ChunkSize != 0 || steps < 1 || steps > maxSteps {
		return
	}
	*b = (*b)[:cap(*b)]
	if steps == 1 {
		p.mu.Lock()
		if len(p.free) < keepFree {
			p.free = append(p.free, b)
			p.mu.Unlock()
			return
		}
		p.mu.Unlock()
	}
	p.burst[steps].Put(b)
}
