package batch

import "sync"

// ChunkSize is the size of a chunk. It is the default size of a message, too: larger messages measured no faster.
const ChunkSize = 1 << 20

// keepFree is how many free chunks a pool holds for good. What a burst leaves beyond that is in the hands of the garbage
// collector, which takes it within two cycles unless it is needed sooner: fresh pages are dear, some µs each.
const keepFree = 8

// A Pool recycles chunks. The zero value is ready. It is safe for concurrent use.
type Pool struct {
	mu   sync.Mutex
	free []*[]byte // guarded by mu; at most keepFree

	burst sync.Pool
	large [maxSteps + 1]sync.Pool // of the sizes 2, 3, … times ChunkSize
}

// maxSteps times ChunkSize is more than a message can have: larger buffers are for nothing but one record.
const maxSteps = 10

// Get returns a buffer of at least size bytes. It implements mem.BufferPool.
func (p *Pool) Get(size int) *[]byte {
	if size > ChunkSize {
		if class := p.class(size); class != nil {
			if b, ok := class.Get().(*[]byte); ok {
				return b
			}
		}
		b := make([]byte, size)
		return &b
	}
	p.mu.Lock()
	if n := len(p.free); n > 0 {
		b := p.free[n-1]
		p.free[n-1] = nil
		p.free = p.free[:n-1]
		p.mu.Unlock()
		return b
	}
	p.mu.Unlock()
	if b, ok := p.burst.Get().(*[]byte); ok {
		return b
	}
	b := make([]byte, ChunkSize)
	return &b
}

// class returns the pool of buffers of that size; nil when the size is nobody's but its own.
func (p *Pool) class(size int) *sync.Pool {
	if steps := size / ChunkSize; size%ChunkSize == 0 && 2 <= steps && steps <= maxSteps {
		return &p.large[steps]
	}
	return nil
}

// Put takes a buffer back. Those of a size that is no multiple of [ChunkSize] are dropped. It implements mem.BufferPool.
func (p *Pool) Put(b *[]byte) {
	if cap(*b) != ChunkSize {
		if class := p.class(cap(*b)); class != nil {
			class.Put(b)
		}
		return
	}
	*b = (*b)[:ChunkSize]
	p.mu.Lock()
	if len(p.free) < keepFree {
		p.free = append(p.free, b)
		p.mu.Unlock()
		return
	}
	p.mu.Unlock()
	p.burst.Put(b)
}
