package table

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/zerobus-go/zerobus/server/internal/catalog"
	"github.com/zerobus-go/zerobus/server/internal/column"
	"github.com/zerobus-go/zerobus/server/internal/delta"
	"github.com/zerobus-go/zerobus/server/internal/lake"
	"github.com/zerobus-go/zerobus/server/internal/wal"
	"golang.org/x/sync/semaphore"
)

// Errors that callers tell apart.
var (
	// ErrDropped: the table was dropped while it was in use.
	ErrDropped = errors.New("table was dropped")
	// ErrBroken: the table cannot be written until an operator has looked at it and restarted the server.
	ErrBroken = errors.New("table cannot be written")
	// ErrClosed: the server is shutting down.
	ErrClosed = errors.New("table is closed")
)

// Table is an open table.
type Table struct {
	info   catalog.Table
	shape  atomic.Pointer[Shape]
	former formerColumns
	set    *Set
	store  lake.Store
	delta  *delta.Table
	memory *semaphore.Weighted // this table's part of the budget
	short  atomic.Int64        // calls that wait for memory of this table
	log    *slog.Logger

	payloads sync.Pool // *[]byte

	claims  sync.Mutex // one claim at a time is decided, and idle producers are forgotten between two; before mu
	madeWay time.Time  // guarded by claims: when all producers were looked at last because there were too many

	wake    chan struct{}   // capacity 1: the committer has something to look at
	ctx     context.Context // ends when the table is dropped or the set is closed without patience
	stop    context.CancelCauseFunc
	stopped chan struct{} // closed when the committer has ended

	mu        sync.Mutex // guards the following
	pending   pending
	writing   *pending // what the committer has taken and is not in the table yet
	cadence   cadence
	lastRow   time.Time // when one became durable last
	rested    time.Time // when the last commit ended
	committed uint64    // the last sequence that is in the table
	producers map[string]*producer
	saved     uint64  // the last sequence that is in the ledger's positions
	flushes   []flush // waiting for rows to be committed
	closing   bool    // no more rows; commit and end
	refusal   error   // why the table takes no rows any more: broken or dropped
	ended     bool    // the committer has ended; durable rows stay in the log
	lastTry   error   // the last failed commit, nil after a good one

	// The committer's.
	forgot     time.Time  // when it last looked for idle producers
	orphans    []string   // data files that no commit names
	noted      []string   // those that the ledger has
	upkeep     upkeep     // of the Delta log
	compaction compaction // of its files
	warned     int        // partitions of one commit, when it last told of too many
}

// flush waits until everything up to seq is in the table.
type flush struct {
	seq  uint64
	done chan<- error // capacity 1
}

// Info is the table's entry in the catalog.
func (t *Table) Info() catalog.Table { return t.info }

// Shape is the table's columns as they are now.
func (t *Table) Shape() *Shape { return t.shape.Load() }

// Chunk gives an empty chunk for rows of the present shape. It goes to Append or back through Recycle.
func (t *Table) Chunk() *column.Chunk { return t.shape.Load().Chunk() }

// Recycle takes back a chunk that was not appended.
func (t *Table) Recycle(c *column.Chunk) {
	if c.Held() > 2*maxPooled { // slices grow by as much as they hold
		return
	}
	c.Reset()
	if s := t.shape.Load(); len(c.Cols) == len(s.schema.Fields) {
		s.chunks.Put(c)
	}
}

// Err tells why the table takes no rows, or nil.
func (t *Table) Err() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.refusal != nil:
		return t.refusal
	case t.closing:
		return ErrClosed
	}
	return nil
}

// Append makes the rows of c durable and hands them to the committer. durable is called exactly once, when they are (nil) or
// cannot become so; in the order of the calls for calls of one goroutine. It must not block. After a nil error the chunk
// belongs to the table; after an error durable is not called and the chunk is still the caller's.
//
// Append blocks while the memory budget is used up, until ctx ends.
//
// With a chain, rows whose predecessors in the chain were lost are lost too: see [wal.Log]. It may be nil.
func (t *Table) Append(ctx context.Context, chain *wal.Chain, c *column.Chunk, durable func(error)) error {
	if err := t.Err(); err != nil {
		return err
	}
	size, err := t.reserve(ctx, c)
	if err != nil {
		return err
	}
	if err := t.write(ctx, chain, c, size, mark{}, durable); err != nil {
		t.release(size)
		return err
	}
	return nil
}

// write queues the chunk in the log. Its size was reserved; after an error it still is.
func (t *Table) write(ctx context.Context, chain *wal.Chain, c *column.Chunk, size int64, m mark, durable func(error)) error {
	if err := t.Err(); err != nil { // again: finish waits for those who have memory
		return err
	}
	buf, _ := t.payloads.Get().(*[]byte)
	if buf == nil {
		buf = new([]byte)
	}
	*buf = appendEntry((*buf)[:0], t.shape.Load().signs[len(c.Cols)-1], &m, c)
	err := t.set.wal.Append(ctx, chain, wal.TableID(t.info.ID), *buf, func(seq uint64, err error) {
		if err != nil {
			t.release(size)
			t.Recycle(c)
			durable(err)
			return
		}
		t.absorb(c, &m, seq, size)
		durable(nil)
	})
	if cap(*buf) <= maxPooled {
		t.payloads.Put(buf)
	}
	return err
}

// reserve takes the chunk's size from this table's and the server's budget. While a call waits for memory, tables commit what
// they have instead of waiting for more of it.
func (t *Table) reserve(ctx context.Context, c *column.Chunk) (int64, error) {
	size := min(int64(c.Bytes())+frame(c), t.set.tableMemory)
	if !t.memory.TryAcquire(size) {
		t.short.Add(1)
		t.signal()
		err := t.memory.Acquire(ctx, size)
		t.short.Add(-1)
		if err != nil {
			return 0, context.Cause(ctx)
		}
	}
	if !t.set.memory.TryAcquire(size) {
		t.set.short.Add(1)
		t.set.signal()
		err := t.set.memory.Acquire(ctx, size)
		t.set.short.Add(-1)
		if err != nil {
			t.memory.Release(size)
			return 0, context.Cause(ctx)
		}
	}
	t.set.counters.memory.Add(size)
	return size, nil
}

// hurried tells that somebody waits for memory that this table's rows may hold.
func (t *Table) hurried() bool { return t.short.Load() > 0 || t.set.short.Load() > 0 }

// frame is what a chunk costs beside its values, in bytes: some objects, and a vector of about 256 bytes a column, inside of others too.
func frame(c *column.Chunk) int64 { return 1<<10 + 256*int64(c.Leaves()) }

func (t *Table) release(size int64) {
	t.set.counters.memory.Add(-size)
	t.memory.Release(size)
	t.set.memory.Release(size)
}

// absorb adds durable rows to what waits for the next commit. Runs on the log's writer goroutine or during replay.
func (t *Table) absorb(c *column.Chunk, m *mark, seq uint64, size int64) {
	t.mu.Lock()
	if t.ended {
		dropped := errors.Is(t.refusal, ErrDropped)
		t.mu.Unlock()
		t.release(size)
		if dropped {
			t.set.wal.Trim(wal.TableID(t.info.ID), seq) // the log forgot the table before this entry was written
		}
		return
	}
	first, now := t.pending.empty(), t.set.now()
	if first {
		t.cadence.resumed(now.Sub(t.lastRow))
	}
	t.lastRow = now
	worth := t.pending.batch(now).worth()
	reusable := t.pending.add(c, seq, size, now)
	worth = !worth && t.pending.batch(now).worth()
	if reusable { // its values were copied, its frame was not
		size = min(size, frame(c))
		t.pending.memory -= size
	}
	if m.producer != "" {
		t.count(m, seq, &t.pending)
	}
	wake := first || worth || t.hurried() || t.pending.bytes >= t.set.opts.CommitBytes
	t.mu.Unlock()
	if reusable {
		t.release(size)
		t.Recycle(c)
	}
	if wake {
		t.signal()
	}
}

func (t *Table) signal() {
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

// Flush commits everything that is durable now and waits for it. When ctx ends first, the error says why the last try failed.
func (t *Table) Flush(ctx context.Context) error {
	done := make(chan error, 1)
	t.mu.Lock()
	if t.ended {
		t.mu.Unlock()
		return t.Err()
	}
	seq := t.pending.lastSeq
	if seq == 0 && t.writing != nil && !t.writing.inTable { // of what is in the table nobody would answer
		seq = t.writing.lastSeq
	}
	if seq == 0 {
		t.mu.Unlock()
		return nil
	}
	t.flushes = append(t.flushes, flush{seq, done})
	t.mu.Unlock()
	t.signal()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		t.mu.Lock()
		defer t.mu.Unlock()
		if t.lastTry != nil {
			return fmt.Errorf("table %s: flush: %w (last try: %w)", t.info.Name, context.Cause(ctx), t.lastTry)
		}
		return context.Cause(ctx)
	}
}

// uncommitted is the number of durable rows that are not in the table.
func (t *Table) uncommitted() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := t.pending.rows
	if t.writing != nil {
		n += t.writing.rows
	}
	return n
}

// answerFlushes ends the waits for rows up to seq.
func (t *Table) answerFlushes(seq uint64, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	left := t.flushes[:0]
	for _, f := range t.flushes {
		if f.seq > seq {
			left = append(left, f)
			continue
		}
		f.done <- err
	}
	t.flushes = left
}

// refuse lets the table take no rows from now on.
func (t *Table) refuse(err error) {
	t.mu.Lock()
	if t.refusal == nil {
		t.refusal = err
	}
	t.mu.Unlock()
}

// end is the committer's last act: what is not in the table leaves memory and stays in the log.
func (t *Table) end() {
	t.mu.Lock()
	t.ended = true
	t.closing = true
	left := t.pending.memory
	if t.writing != nil {
		left += t.writing.memory
	}
	t.pending, t.writing = pending{}, nil
	t.mu.Unlock()
	t.release(left)
	t.answerFlushes(math.MaxUint64, t.Err())
	close(t.stopped)
}

// maxPooled is the largest chunk or payload, in bytes, that is kept to be used again: a burst must not stay in memory.
const maxPooled = 4 << 20

// backoff is the pause after the n-th failed commit in a row, n from 1: 100 ms doubling to 10 s.
func backoff(n int) time.Duration {
	return min(100*time.Millisecond<<min(n-1, 10), 10*time.Second)
}
