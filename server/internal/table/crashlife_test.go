package table

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/zerobus-go/zerobus/server/internal/catalog"
	"github.com/zerobus-go/zerobus/server/internal/lake"
	"github.com/zerobus-go/zerobus/server/internal/wal"
)

// history is one run: lives of a server over one world, and what its producers know.
type history struct {
	*world
	oracle
	seed    uint64
	cat     *catalog.Catalog
	names   []catalog.Name
	next    []int64 // the next row of each producer
	isNamed []bool  // whether it names itself
	book    *book
	lives   int
	wal     wal.Options
	opts    Options

	kills, cuts, faults, orders int // how lives ended; faults did not end them
	told                        []string
}

func newHistory(seed uint64, cat *catalog.Catalog) *history {
	r := rand.New(rand.NewPCG(seed, 0))
	h := &history{world: newWorld(r), seed: seed, cat: cat, next: make([]int64, 1+r.IntN(4))}
	for i := range h.next {
		h.next[i] = int64(i+1) << producerShift
	}
	h.book = newBook(h.world)
	for range h.next {
		h.isNamed = append(h.isNamed, r.IntN(2) == 0)
	}
	for i := range 1 + r.IntN(3) {
		h.names = append(h.names, catalog.Name{Catalog: "main", Schema: "default", Table: fmt.Sprintf("r%d_%d", seed, i)})
	}
	// A segment takes about a dozen chunks, a commit from one chunk to some segments.
	h.wal = wal.Options{
		Dir: "/log", FS: h.disk, SegmentBytes: 16 << 10, MaxEntryBytes: 6 << 10, MaxPendingBytes: 16 << 10, MaxBytes: 1 << 20,
		Logger: slog.New(slog.DiscardHandler),
	}
	if r.IntN(3) == 0 {
		h.wal.MaxBytes = 4 * h.wal.SegmentBytes
	}
	h.opts = Options{CommitInterval: time.Second, CommitBytes: 1 << (10 + r.IntN(7)), Engine: "test"}
	h.opts.Parquet.Compression = "uncompressed" // the codec's pool of encoders does not go from bubble to bubble
	if r.IntN(4) == 0 {
		h.opts.MemoryBytes = 48 << 10
	}
	h.opts.CheckpointCommits = 1 + int64(seed%4)
	h.opts.Compaction = Compaction{MinFiles: 2 + int(seed%3), MinAge: time.Nanosecond, Off: seed%8 == 0}
	h.opts.Now = ticking()
	if r.IntN(2) == 0 {
		h.opts.CommitTimeout = time.Second // so that a lake that is away for a while leaves a commit undecided
	}
	return h
}

// run is the whole history, within a bubble of synctest. In the end a clean life has everything committed.
func (h *history) run() {
	n := 2 + h.r.IntN(6)
	for range n {
		if h.hitFate == stopAfter && h.hit.label == "lake put if absent log" && h.r.IntN(2) == 0 {
			// The table has rows by a commit that is not durable. The next process may take them off the log, and then the
			// power goes.
			h.life(plan{}, 1, true)
			continue
		}
		h.life(h.choose(), 3+h.r.IntN(25), h.r.IntN(2) == 0)
	}
	h.life(plan{tidy: true}, 0, false)
	for range 2 {
		h.life(plan{}, 0, false)
	}
	for _, op := range h.trace { // of the second
		if op.label == "lake create data" {
			h.fail("life %d wrote %s though all was committed", h.lives, op.name)
		}
	}
}

// ticking is the bubble's clock, and gives each time once: files of the same time would have no order.
func ticking() func() time.Time {
	var last atomic.Int64 // ms
	return func() time.Time {
		for {
			before, now := last.Load(), time.Now()
			next := max(now.UnixMilli(), before+1)
			if last.CompareAndSwap(before, next) {
				return time.UnixMilli(next)
			}
		}
	}
}

// choose makes the plan of a life. Most aim at a label, so that rare ones have their turn.
func (h *history) choose() plan {
	var p plan
	switch h.r.IntN(10) {
	case 0:
		return p
	case 1:
		p.fate = failBefore
	case 2:
		p.fate = failAfter
	case 3, 4, 5:
		p.fate = stopAfter
	default:
		p.fate = stopBefore
	}
	if h.r.IntN(2) == 0 {
		p.more = h.r.IntN(100)
	}
	switch h.r.IntN(8) {
	case 0:
		p.at = 1 + h.r.IntN(30)
	case 1:
		p.at = 1 + h.r.IntN(150)
	default:
		p.label, p.at = h.aim()
	}
	return p
}

// aim chooses an operation by its label.
func (h *history) aim() (label string, at int) {
	label = crashLabels[(h.seed+11*uint64(h.lives))%uint64(len(crashLabels))] // each as often as the others
	switch {
	case h.lives == 0 && h.r.IntN(3) == 0: // a log is made once
		return []string{"disk create", "disk write", "disk sync", "disk rename"}[h.r.IntN(4)] + " ID.tmp", 1
	case h.lives > 0 && strings.HasSuffix(label, " ID.tmp"):
		label = "lake put if absent log"
	}
	if left := h.hit.label; strings.HasSuffix(left, ".tmp") && h.r.IntN(2) == 0 { // what was being made is to be removed
		label = "disk remove" + left[strings.LastIndexByte(left, ' '):]
	}
	if left := h.hit.label; (left == "lake commit data" || left == "lake put if absent log") && h.hitFate != goOn && h.r.IntN(3) > 0 { // there may be a file without a commit
		label = []string{"ledger orphans", "ledger orphans", "lake delete data"}[h.r.IntN(3)]
	}
	orphaned := h.hit.label == "lake commit data" && h.hitFate == stopAfter || h.hit.label == "lake put if absent log" && h.hitFate == stopBefore
	if orphaned && h.r.IntN(4) > 0 { // a data file without a commit is to be deleted
		label = "lake delete data"
	}
	if strings.Contains(label, "remove") || label == "disk rename wal" || label == "lake delete data" || strings.HasPrefix(label, "ledger ") && label != "ledger save" {
		return label, 1 // there are few in a life
	}
	return label, 1 + h.r.IntN(1+h.r.IntN(12))
}

// server is one life.
type server struct {
	*history
	life   int
	ctx    context.Context
	log    *wal.Local
	set    *Set
	engine *catalog.Engine
	marred bool // an operation failed while it started: a table may be refused until the next start
}

// life is one process: it opens what there is, serves producers for some steps each, and ends as the plan says, in order, or
// by a kill when it has nothing to do.
func (h *history) life(p plan, steps int, powerCut bool) {
	h.lives++
	s := &server{history: h, life: h.lives}
	last := steps == 0
	h.wal.Recycled = 1 + h.r.IntN(3)
	s.ctx = h.begin(p)
	inOrder := last || h.r.IntN(2) == 0
	if p.label == "disk remove spare" {
		s.wal.Recycled = 1
	}
	if s.start() {
		if p.tidy {
			s.tidy()
		} else if !last {
			s.serve(steps)
		}
		if !inOrder {
			h.stop()
		}
		s.shut()
	}
	stopped, faulted := h.state()
	end := "ended in order"
	switch {
	case stopped && powerCut:
		h.cuts++
		end = "power cut"
	case stopped:
		h.kills++
		end = "kill"
	default:
		h.orders++
	}
	told := fmt.Sprintf("life %d: %d operations, %s", h.lives, len(h.trace), end)
	if h.hitFate != goOn {
		told += fmt.Sprintf("; operation %d, %s %s, %s", h.hitAt, h.hit.label, h.hit.name, h.hitFate)
	}
	h.told = append(h.told, told)
	if faulted {
		h.faults++
	}
	h.end(powerCut)
	h.answered(s.life)
}

// right fails the run unless the process was stopped or met a fault, after which an error is no wonder.
func (s *server) right(what string, err error) {
	if stopped, faulted := s.state(); err != nil && !stopped && !faulted {
		s.fail("life %d: %s: %w", s.life, what, err)
	}
}

// start opens the log and replays it. False: it could not.
func (s *server) start() bool {
	var err error
	if s.log, err = wal.Open(s.wal); err != nil {
		s.right("open the log", err)
		// Damage is never right: nothing here damages what is durable.
		if _, ok := errors.AsType[*wal.CorruptionError](err); ok {
			s.fail("life %d: open the log: %w", s.life, err)
		}
		return false
	}
	tables := NewTables(lake.Faulty(s.lake, s.atLake), "test", time.Now)
	s.set = NewSet(s.log, s.book, s.cat, tables, s.opts)
	tables.OnDrop(s.set.Drop)
	s.engine = catalog.NewEngine(s.cat, tables)
	if err := s.set.Recover(s.ctx); err != nil {
		s.right("recover", err)
		s.stop()
		s.shut()
		return false
	}
	_, s.marred = s.state()
	return true
}

// shut ends the process, in order unless it is dead.
func (s *server) shut() {
	ctx, cancel := context.WithTimeout(s.ctx, time.Hour)
	defer cancel()
	s.right("close the tables", s.set.Close(ctx))
	s.right("close the log", s.log.Close())
	if stopped, _ := s.state(); stopped || s.marred {
		return
	}
	// Nothing that comes later may break a table: every failure of the lake is mended by trying again.
	for _, e := range s.set.open {
		if e.table != nil && errors.Is(e.table.refusal, ErrBroken) {
			s.fail("life %d: %w", s.life, e.table.refusal)
		}
	}
}

// columns are those of a table. One in three is partitioned.
func (h *history) columns(name catalog.Name) string {
	if (h.seed+uint64(slices.Index(h.names, name)))%3 == 1 {
		return " (id BIGINT, part STRING, pad STRING) PARTITIONED BY (part)"
	}
	return " (id BIGINT, pad STRING)"
}

// serve makes the tables and lets the producers work.
func (s *server) serve(steps int) {
	for _, name := range s.names {
		if _, err := s.cat.Table(name); err != nil {
			s.sql("CREATE TABLE " + name.String() + s.columns(name))
		}
	}
	var wg sync.WaitGroup
	if s.r.IntN(5) == 0 || s.plan.label == "lake remove all" {
		name, after := s.names[s.r.IntN(len(s.names))], s.r.IntN(steps)
		wg.Go(func() {
			for range after {
				s.step("ddl", "")
			}
			s.sql("DROP TABLE IF EXISTS " + name.String())
			s.sql("CREATE TABLE IF NOT EXISTS " + name.String() + s.columns(name))
		})
	}
	for p := range s.next {
		r := rand.New(rand.NewPCG(s.seed, uint64(s.life)<<8|uint64(p+1)))
		if s.isNamed[p] {
			wg.Go(func() { s.produceInOrder(p, r, 1+r.IntN(steps)) })
		} else {
			wg.Go(func() { s.produce(p, r, 1+r.IntN(steps)) })
		}
	}
	wg.Wait()
}

// tidy gives every table a commit, by which the fate of all files is known, and waits for what follows from it.
func (s *server) tidy() {
	for _, name := range s.names {
		var asked sync.WaitGroup
		err := s.append(0, name, 1, &asked)
		for try := 0; try < 1000 && errors.Is(err, wal.ErrFull); try++ { // until what was replayed is committed
			time.Sleep(100 * time.Millisecond)
			err = s.append(0, name, 1, &asked)
		}
		if err != nil && !errors.Is(err, catalog.ErrNotFound) {
			s.right("append", err)
		}
		asked.Wait()
	}
	time.Sleep(2 * compactRetry)
}

func (s *server) sql(script string) {
	if s.ctx.Err() != nil {
		return // a dead process does not change the catalog
	}
	_, err := s.engine.Exec(s.ctx, script)
	s.right(script, err)
}

// produce appends chunks, and waits for all answers now and then.
func (s *server) produce(p int, r *rand.Rand, steps int) {
	var asked sync.WaitGroup
	defer asked.Wait()
	for range steps {
		if !s.step("producer", strconv.Itoa(p)) {
			return
		}
		name := s.names[r.IntN(len(s.names))]
		rows := 1 + r.IntN(16)
		switch r.IntN(8) {
		case 0:
			time.Sleep(time.Duration(r.IntN(2000)) * time.Millisecond) // the bubble's time: the table's interval may end
		case 1, 2, 3:
			asked.Wait()
		}
		err := s.append(p, name, rows, &asked)
		switch {
		case err == nil, errors.Is(err, ErrDropped), errors.Is(err, catalog.ErrNotFound):
		case errors.Is(err, wal.ErrFull):
			time.Sleep(100 * time.Millisecond)
		default:
			s.right("append", err)
			if errors.Is(err, wal.ErrPoisoned) {
				return
			}
		}
	}
}

func (s *server) append(p int, name catalog.Name, rows int, asked *sync.WaitGroup) error {
	t, err := s.set.Open(s.ctx, name)
	if err != nil {
		return err
	}
	// Several may have waited for the table to be opened.
	if !s.step("append", strconv.Itoa(p)) {
		return context.Cause(s.ctx)
	}
	it := &sent{table: t.Info().ID, first: s.next[p], rows: rows, life: s.life}
	s.next[p] += int64(rows)
	c := t.Chunk()
	for i := range int64(rows) {
		addRow(c, it.first+i)
	}
	s.send(it)
	asked.Add(1)
	ctx, cancel := context.WithTimeout(s.ctx, time.Hour)
	defer cancel()
	err = t.Append(ctx, nil, c, func(err error) {
		s.durable(it, err)
		if err == nil {
			s.step("answer", nameOf(it.first)) // the committer may run before the next answer, or after it
		} else if !errors.Is(err, wal.ErrFull) {
			s.right("append: durable", err)
		}
		asked.Done()
	})
	if err != nil {
		s.learn(it, refused)
		asked.Done()
		t.Recycle(c)
	}
	return err
}

// where tells a run to people, and how to see it again.
func (h *history) where() string {
	return fmt.Sprintf("seed %d (-run TestCrash_DT07_EveryStepOfLogAndTable -table.seed %d -table.crashes 1):\n  %s",
		h.seed, h.seed, strings.Join(h.told, "\n  "))
}
