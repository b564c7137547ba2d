package table

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/zerobus-go/zerobus/server/internal/catalog"
	"github.com/zerobus-go/zerobus/server/internal/column"
	"github.com/zerobus-go/zerobus/server/internal/ledger"
	"github.com/zerobus-go/zerobus/server/internal/wal"
	"github.com/zerobus-go/zerobus/server/internal/wal/waltest"
)

// book is a ledger with the durability of the real one: what was answered stays, what was not has happened or not.
type book struct {
	w  *world
	mu sync.Mutex // guards the following

	tables map[[16]byte]ledger.Table
}

func newBook(w *world) *book { return &book{w: w, tables: map[[16]byte]ledger.Table{}} }

// change is one change, as a crash may find it.
func (b *book) change(label string, id [16]byte, f func(*ledger.Table)) error {
	fate := b.w.gate("ledger "+label, fmt.Sprintf("%x", id[:4]), true)
	switch fate {
	case gone, stopBefore:
		return waltest.ErrStopped
	case failBefore:
		return errFault
	}
	b.mu.Lock()
	t := b.tables[id]
	t.Positions = maps.Clone(t.Positions)
	if t.Positions == nil {
		t.Positions = map[string]ledger.Position{}
	}
	f(&t)
	b.tables[id] = t
	b.mu.Unlock()
	switch fate {
	case stopAfter:
		return waltest.ErrStopped
	case failAfter:
		return errFault
	}
	return nil
}

func (b *book) Load(id [16]byte) (ledger.Table, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.tables[id], nil
}

func (b *book) Save(id [16]byte, upTo ledger.Mark, changed map[string]ledger.Position) error {
	return b.change("save", id, func(t *ledger.Table) {
		t.UpTo = upTo
		maps.Copy(t.Positions, changed)
	})
}

func (b *book) Remove(id [16]byte, producers ...string) error {
	return b.change("remove", id, func(t *ledger.Table) {
		for _, p := range producers {
			delete(t.Positions, p)
		}
	})
}

func (b *book) SetOrphans(id [16]byte, names []string) error {
	return b.change("orphans", id, func(t *ledger.Table) { t.Orphans = slices.Clone(names) })
}

func (b *book) SetRewrites(id [16]byte, names []string) error {
	return b.change("rewrites", id, func(t *ledger.Table) { t.Rewrites = slices.Clone(names) })
}

func (b *book) SetColumns(id [16]byte, descriptions []string) error {
	return b.change("columns", id, func(t *ledger.Table) { t.Columns = slices.Clone(descriptions) })
}

func (b *book) Forget(id [16]byte) error {
	b.mu.Lock()
	_, known := b.tables[id]
	b.mu.Unlock()
	if !known {
		return nil
	}
	return b.change("forget", id, func(t *ledger.Table) { *t = ledger.Table{} })
}

func (b *book) Tables() ([][16]byte, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.SortedFunc(maps.Keys(b.tables), func(a, b [16]byte) int { return slices.Compare(a[:], b[:]) }), nil
}

// incarnation is the producer's record of what it sent into the table that has the name now. Its ids begin with a multiple of
// incarnationSize, since numbers begin with 0 in each.
const incarnationSize = 1 << 20

func (h *history) incarnation(p int, table [16]byte) *named {
	h.oracle.mu.Lock()
	defer h.oracle.mu.Unlock()
	name := "producer-" + strconv.Itoa(p)
	for _, n := range h.oracle.named {
		if n.name == name && n.table == table {
			return n
		}
	}
	n := &named{name: name, table: table, base: h.next[p]}
	h.next[p] += incarnationSize
	h.oracle.named = append(h.oracle.named, n)
	return n
}

// client is a producer with a name, as a program holds it: what it does not know to be durable, it sends again.
type client struct {
	*server
	p       int
	r       *rand.Rand
	session [16]byte
	try     int64
	opened  bool // the session had a lease

	table *Table
	of    *named
	lease *Lease
	next  int64 // the number of the next record
	asked sync.WaitGroup

	mu     sync.Mutex // guards the following
	failed bool       // something that was appended was lost
}

// produceInOrder appends a named producer's records, and goes on after failures where the position says.
func (s *server) produceInOrder(p int, r *rand.Rand, steps int) {
	c := &client{server: s, p: p, r: r}
	c.restart()
	defer c.asked.Wait()
	defer func() {
		if c.lease != nil {
			c.lease.Release()
		}
	}()
	for range steps {
		if !s.step("producer", strconv.Itoa(p)) {
			return
		}
		switch r.IntN(10) {
		case 0:
			time.Sleep(time.Duration(r.IntN(2000)) * time.Millisecond)
		case 1, 2:
			c.asked.Wait()
		case 3: // the program is started again, while what it sent before is on its way
			c.restart()
			c.drop()
		case 4: // its connection breaks
			c.drop()
		}
		switch err := c.step(); {
		case err == nil, errors.Is(err, ErrDropped), errors.Is(err, catalog.ErrNotFound):
		case errors.Is(err, wal.ErrFull):
			time.Sleep(100 * time.Millisecond)
		default:
			s.right("append as a producer", err)
			if errors.Is(err, wal.ErrPoisoned) {
				return
			}
		}
	}
}

// restart makes a new session: what the last one knew is lost.
func (c *client) restart() {
	for i := range c.session {
		c.session[i] = byte(c.r.UintN(256))
	}
	c.try, c.opened = 0, false
}

// drop loses the connection: the lease is released, or left to whoever takes it over.
func (c *client) drop() {
	if c.lease != nil && c.r.IntN(2) == 0 {
		c.lease.Release()
	}
	old := c.lease
	c.lease = nil
	if old == nil || c.r.IntN(2) == 0 {
		return
	}
	// The old connection's server goes on reading for a while.
	if err := c.claim(); err != nil || c.table == nil {
		return
	}
	if old.t == c.table {
		if err := old.Append(max(old.next, old.position), c.rows(0, 1), func(error) {}); err == nil {
			c.fail("life %d: producer %d appended with a lease that was taken over", c.life, c.p)
		}
	}
}

func (c *client) claim() error {
	name := c.names[c.p%len(c.names)]
	t, err := c.set.Open(c.ctx, name)
	if err != nil {
		return err
	}
	of := c.incarnation(c.p, t.Info().ID)
	c.try++
	lease, err := t.Claim(c.ctx, Claim{Producer: of.name, Session: c.session, Try: c.try, Continues: c.opened, First: c.first(of), Evict: func() {}})
	if err != nil {
		return err
	}
	at := lease.Position()
	c.told(of, at)
	c.mu.Lock()
	c.failed = false
	c.mu.Unlock()
	c.table, c.of, c.lease, c.next, c.opened = t, of, lease, at, true
	return nil
}

// first is the first record that the session may still send: it knows what it was told, and what was acknowledged.
func (c *client) first(of *named) int64 {
	c.oracle.mu.Lock()
	defer c.oracle.mu.Unlock()
	return max(of.acked, of.told)
}

// told checks a position.
func (c *client) told(of *named, at int64) {
	c.oracle.mu.Lock()
	low, high := max(of.acked, of.told), of.sent
	of.told = max(of.told, at)
	c.oracle.mu.Unlock()
	if at < low || at > high {
		c.fail("life %d: producer %d was told position %d, and knows of %d to %d", c.life, c.p, at, low, high)
	}
}

func (c *client) rows(first int64, n int) (chunk *column.Chunk) {
	chunk = c.table.Chunk()
	for i := range int64(n) {
		addRow(chunk, c.of.base+first+i)
	}
	return chunk
}

// step appends one chunk.
func (c *client) step() error {
	c.mu.Lock()
	failed := c.failed
	c.mu.Unlock()
	if failed {
		c.lease = nil
	}
	if c.lease == nil {
		if err := c.claim(); err != nil {
			return err
		}
	}
	if !c.server.step("append", strconv.Itoa(c.p)) {
		return context.Cause(c.ctx)
	}
	n := 1 + c.r.IntN(16)
	first := c.next
	it := &sent{table: c.of.table, first: c.of.base + first, rows: n, life: c.life, of: c.of, number: first}
	chunk := c.rows(first, n)
	c.send(it)
	c.oracle.mu.Lock()
	c.of.sent = max(c.of.sent, first+int64(n))
	c.oracle.mu.Unlock()
	c.asked.Add(1)
	err := c.lease.Append(first, chunk, func(err error) {
		c.durable(it, err)
		if err == nil {
			c.server.step("answer", nameOf(it.first))
		} else {
			c.mu.Lock()
			c.failed = true
			c.mu.Unlock()
			if !errors.Is(err, wal.ErrFull) && !errors.Is(err, wal.ErrChain) {
				c.right("append as a producer: durable", err)
			}
		}
		c.asked.Done()
	})
	if err != nil {
		c.learn(it, refused)
		c.asked.Done()
		c.table.Recycle(chunk)
		c.lease.Release()
		c.lease = nil
		return err
	}
	c.next = first + int64(n)
	return nil
}
