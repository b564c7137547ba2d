package table

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/zerobus-go/zerobus/server/internal/catalog"
	"github.com/zerobus-go/zerobus/server/internal/delta"
	"github.com/zerobus-go/zerobus/server/internal/lake"
	"github.com/zerobus-go/zerobus/server/internal/parquetfile"
	"github.com/zerobus-go/zerobus/server/internal/wal"
	"golang.org/x/sync/semaphore"
)

// Options are the settings of a [Set]. Zero values mean the defaults.
type Options struct {
	CommitInterval time.Duration // from the first durable row to its commit; default 1 s
	// CommitIntervalMax is up to which that grows for a table that gets few rows; see cadence. The default is 10 s, or a CommitInterval
	// that is given: then it does not grow.
	CommitIntervalMax time.Duration
	CommitBytes       int           // bytes of values that are committed without waiting; default 128 MiB
	CommitTimeout     time.Duration // of one try to commit; default 1 min
	// A checkpoint of a table is due after so many commits, or after the interval when there was one; defaults 100 and 5 min. The
	// table's delta.checkpointInterval comes before the number.
	CheckpointCommits  int64
	CheckpointInterval time.Duration
	// ProducerRetention is how long a producer is remembered for which nothing is written; default 7 days.
	ProducerRetention time.Duration
	Compaction        Compaction

	MemoryBytes int64 // budget for rows that are not in a table yet, over all tables; default 1 GiB
	Parquet     parquetfile.Options
	Engine      string // engineInfo of commits
	Logger      *slog.Logger
	Now         func() time.Time
}

// Defaults of [Options.CommitInterval] and [Options.CommitIntervalMax].
const (
	DefaultInterval    = time.Second
	DefaultIntervalMax = 10 * time.Second
)

func (o Options) withDefaults() Options {
	if o.CommitInterval <= 0 {
		o.CommitInterval = DefaultInterval
		o.CommitIntervalMax = cmp.Or(o.CommitIntervalMax, DefaultIntervalMax)
	}
	o.CommitIntervalMax = max(o.CommitIntervalMax, o.CommitInterval)
	if o.CommitBytes <= 0 {
		o.CommitBytes = 128 << 20
	}
	if o.CommitTimeout <= 0 {
		o.CommitTimeout = time.Minute
	}
	if o.CheckpointCommits <= 0 {
		o.CheckpointCommits = 100
	}
	if o.CheckpointInterval <= 0 {
		o.CheckpointInterval = 5 * time.Minute
	}
	if o.ProducerRetention <= 0 {
		o.ProducerRetention = 7 * 24 * time.Hour
	}
	if o.MemoryBytes <= 0 {
		o.MemoryBytes = 1 << 30
	}
	o.Compaction = o.Compaction.withDefaults()
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

// Set is the open tables of a server. Its methods may be called concurrently; Recover comes before Open.
type Set struct {
	opts    Options
	tables  *Tables
	catalog *catalog.Catalog
	wal     wal.Log
	ledger  Ledger
	appID   string
	now     func() time.Time

	started   time.Time
	recovered atomic.Bool // replay is over

	memory      *semaphore.Weighted
	short       atomic.Int64 // calls that wait for memory
	counters    counters
	compacting  chan struct{} // holds a token while a compaction in the background rewrites files
	tableMemory int64         // what one table may take of it: half, so that one that cannot commit does not stop the others

	mu     sync.Mutex // guards the following
	open   map[[16]byte]*entry
	closed bool
}

// entry is a table that is open or being opened; ready is closed when it is decided.
type entry struct {
	ready chan struct{}
	table *Table
	err   error
}

// NewSet makes a set over a log, a ledger, a catalog and the lake's tables. The caller keeps owning all of them.
func NewSet(log wal.Log, l Ledger, c *catalog.Catalog, tables *Tables, o Options) *Set {
	o = o.withDefaults()
	return &Set{
		opts: o, tables: tables, catalog: c, wal: log, ledger: l, now: o.Now, started: o.Now(),
		appID:       "zerobus-" + log.ID(),
		memory:      semaphore.NewWeighted(o.MemoryBytes),
		tableMemory: max(1, o.MemoryBytes/2),
		open:        map[[16]byte]*entry{},
		compacting:  make(chan struct{}, 1),
	}
}

// AppID is the application id of the set's commits; a table's txn of this id says up to where the log is in the table.
func (s *Set) AppID() string { return s.appID }

// Open opens a table of the catalog, or returns the one that is open. Errors: those of the catalog's lookup, of the Delta
// log, delta.ErrUnsupported for tables with features that are not written, ErrBroken, ErrClosed.
func (s *Set) Open(ctx context.Context, name catalog.Name) (*Table, error) {
	info, err := s.catalog.Table(name)
	if err != nil {
		return nil, err
	}
	t, err := s.openInfo(ctx, info)
	if err != nil {
		return nil, err
	}
	if err := t.look(ctx); err != nil {
		return nil, err
	}
	if err := t.Err(); err != nil {
		return t, err
	}
	// Another engine may have given the table a feature since.
	if err := delta.CheckWritable(t.delta.Snapshot()); err != nil {
		return nil, fmt.Errorf("table %s: %w", info.Name, err)
	}
	return t, nil
}

func (s *Set) openInfo(ctx context.Context, info catalog.Table) (*Table, error) {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil, ErrClosed
	}
	e, ok := s.open[info.ID]
	if !ok {
		e = &entry{ready: make(chan struct{})}
		s.open[info.ID] = e
	}
	s.mu.Unlock()
	if ok {
		select {
		case <-e.ready:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
		if e.err != nil {
			return nil, e.err
		}
		return e.table, e.table.Err()
	}

	// The opener's ctx must not decide for those who wait beside it.
	e.table, e.err = s.load(context.WithoutCancel(ctx), info)
	if _, err := s.catalog.TableByID(info.ID); e.err == nil && err != nil {
		e.err = fmt.Errorf("table %s: %w: %w", info.Name, ErrDropped, err) // while it was being loaded
	}
	s.mu.Lock()
	switch {
	case e.err == nil && s.closed:
		e.err = ErrClosed
	case e.err == nil:
		go e.table.run()
	}
	if e.err != nil && s.recovered.Load() && (permanent(e.err) || errors.Is(e.err, ErrBroken)) && !errors.Is(e.err, delta.ErrUnsupported) {
		s.opts.Logger.Error("table cannot be opened and takes no rows", "table", info.Name.String(), "err", e.err) // clients are not told why
	}
	if e.err != nil {
		delete(s.open, info.ID)
		e.table = nil // it has no committer whose end Drop could wait for
	}
	s.mu.Unlock()
	close(e.ready)
	return e.table, e.err
}

// load reads the Delta log and makes the table, without its committer.
func (s *Set) load(ctx context.Context, info catalog.Table) (*Table, error) {
	store, dt, err := s.tables.open(ctx, info, delta.Options{EngineInfo: s.opts.Engine, Now: s.now, Logger: s.opts.Logger.With("table", info.Name.String())})
	if err != nil {
		return nil, err
	}
	if l, ok := store.(*lake.Local); ok && info.External {
		l.SweepTemp() // those of the lake go when it is opened
	}
	snap := dt.Snapshot()
	if err := delta.CheckWritable(snap); err != nil {
		return nil, fmt.Errorf("table %s: %w", info.Name, err)
	}
	shape, err := newShape(snap)
	if err != nil {
		return nil, fmt.Errorf("table %s: %w", info.Name, err)
	}
	t := &Table{
		info: info, set: s, store: store, delta: dt,
		memory:  semaphore.NewWeighted(s.tableMemory),
		log:     s.opts.Logger.With("table", info.Name.String()),
		cadence: newCadence(s.opts.CommitInterval, s.opts.CommitIntervalMax),
		wake:    make(chan struct{}, 1),
		stopped: make(chan struct{}),
	}
	t.shape.Store(shape)
	if txn, ok := snap.Txns[s.appID]; ok {
		t.committed = uint64(txn.Version)
		// The log is about to be trimmed by what this commit says.
		if err := dt.Settle(ctx); err != nil {
			return nil, err
		}
	}
	t.ctx, t.stop = context.WithCancelCause(context.Background())
	if err := t.loadLedger(ctx); err != nil {
		return nil, fmt.Errorf("table %s: %w", info.Name, err)
	}
	return t, nil
}

// loadLedger reads what the ledger has of the table.
func (t *Table) loadLedger(ctx context.Context) error {
	known, err := t.set.ledger.Load(t.info.ID)
	if err != nil {
		return err
	}
	t.producers = make(map[string]*producer, len(known.Positions))
	for id, at := range known.Positions {
		t.producers[id] = &producer{next: at.Next, used: at.Used, writer: at.Session}
	}
	if known.UpTo.Log == t.set.wal.ID() { // of another log's entries it does not know
		t.saved = known.UpTo.Seq
	}
	if err := t.recallTxn(ctx); err != nil {
		return err
	}
	if t.committed >= t.set.wal.Next() { // rows that come now would be taken for ones that are in the table
		return fmt.Errorf("%w: %w", ErrBroken, errAhead)
	}
	t.compaction = t.newCompaction(known.Rewrites)
	t.former.list = known.Columns
	return t.findOrphans(ctx, known.Orphans)
}

// Recover replays the log: entries that a table has are trimmed, the others become pending again and are committed as usual.
// Entries of tables that the catalog does not know are of dropped tables and are forgotten. A table that cannot be opened
// keeps its entries and refuses streams; that is logged and no error.
func (s *Set) Recover(ctx context.Context) error {
	var rows, entries int
	forgotten := map[wal.TableID]bool{}
	broken := map[wal.TableID]error{}
	err := s.wal.Replay(ctx, func(e wal.Entry) error {
		if forgotten[e.Table] || broken[e.Table] != nil {
			return nil
		}
		info, err := s.catalog.TableByID(e.Table)
		switch {
		case errors.Is(err, catalog.ErrNotFound):
			forgotten[e.Table] = true
			return nil
		case err != nil:
			return err
		}
		n, err := s.replay(ctx, info, e)
		if err != nil {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			broken[e.Table] = err
			s.refuse(info, err)
			return nil
		}
		if n > 0 {
			rows += n
			entries++
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("replay the log: %w", err)
	}
	s.settle()
	s.recovered.Store(true)
	for id := range forgotten {
		s.opts.Logger.Warn("the log has rows of a table that the catalog does not know; it was dropped, or the catalog is an older copy", "table_id", id.String())
		s.wal.Forget(id)
	}
	if entries > 0 || len(forgotten) > 0 || len(broken) > 0 {
		s.opts.Logger.Info("log replayed", "entries", entries, "rows", rows, "dropped_tables", len(forgotten), "broken_tables", len(broken))
	}
	return nil
}

// openPatiently opens a table whose rows are in the log. What may pass, such as a lake that does not answer, is tried again for
// as long as one try to commit may take: a table that is refused here stays so until the next start.
func (s *Set) openPatiently(ctx context.Context, info catalog.Table) (*Table, error) {
	ctx, cancel := context.WithTimeout(ctx, s.opts.CommitTimeout)
	defer cancel()
	for failures := 1; ; failures++ {
		t, err := s.openInfo(ctx, info)
		if err == nil || permanent(err) || errors.Is(err, ErrDropped) || errors.Is(err, ErrBroken) || errors.Is(err, ErrClosed) {
			return t, err
		}
		s.opts.Logger.Warn("table cannot be opened to replay its rows, and will be tried again",
			"table", info.Name.String(), "err", err, "failures", failures, "pause", backoff(failures))
		select {
		case <-time.After(backoff(failures)):
		case <-ctx.Done():
			return nil, err
		}
	}
}

// replay takes one entry of the log.
func (s *Set) replay(ctx context.Context, info catalog.Table, entry wal.Entry) (rows int, err error) {
	t, err := s.openPatiently(ctx, info)
	if err != nil {
		return 0, err
	}
	e, err := parseEntry(entry.Payload)
	if err != nil {
		return 0, fmt.Errorf("log sequence %d: %w", entry.Seq, err)
	}
	t.mu.Lock()
	done := entry.Seq <= t.committed
	if done && e.mark.producer != "" && entry.Seq > t.saved {
		t.count(&e.mark, entry.Seq, &t.pending) // the last commit was not followed by the ledger
	}
	t.mu.Unlock()
	if done {
		return 0, nil
	}
	c, err := e.chunk(t.shape.Load().stored)
	if errors.Is(err, errOtherColumns) {
		c, err = t.earlier(ctx, &e, err)
	}
	if err == nil {
		err = t.shape.Load().missing(c)
	}
	if err != nil {
		return 0, fmt.Errorf("log sequence %d: %w", entry.Seq, err)
	}
	// What is more than the memory budget waits for commits. A table that cannot commit must not keep the others from being
	// served.
	ctx, cancel := context.WithTimeoutCause(ctx, 2*s.opts.CommitTimeout, errors.New("it cannot commit, and its rows do not fit into memory"))
	defer cancel()
	size, err := t.reserve(ctx, c)
	if err != nil {
		return 0, err
	}
	rows = c.Rows // the chunk may be used again
	t.absorb(c, &e.mark, entry.Seq, size)
	return rows, nil
}

// settle lets go of what replay found to be in the tables already, once the ledger has it too.
func (s *Set) settle() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.open {
		if e.table == nil {
			continue
		}
		if err := e.table.settle(); err != nil {
			s.opts.Logger.Warn("positions of producers are not kept yet; their entries stay in the log", "table", e.table.info.Name.String(), "err", err)
		}
	}
	ids, err := s.ledger.Tables()
	for _, id := range ids {
		if _, unknown := s.catalog.TableByID(id); errors.Is(unknown, catalog.ErrNotFound) {
			err = errors.Join(err, s.ledger.Forget(id))
		}
	}
	if err != nil {
		s.opts.Logger.Warn("the ledger still knows dropped tables", "err", err)
	}
}

func (t *Table) settle() error {
	t.mu.Lock()
	p := pending{lastSeq: t.committed, positions: t.pending.positions}
	// The next commit does all of this, or the present one; a table that is refused keeps everything until it is mended.
	waits := !t.pending.empty() || t.writing != nil || t.ended || t.refusal != nil
	t.mu.Unlock()
	if waits || p.lastSeq == 0 {
		return nil
	}
	if err := t.save(&p); err != nil {
		return err
	}
	t.mu.Lock()
	t.pending.positions = nil
	t.mu.Unlock()
	t.set.wal.Trim(wal.TableID(t.info.ID), p.lastSeq)
	return nil
}

// refuse marks a table that could not be recovered: it must not take rows, because a later commit would claim that the log
// is in the table up to there.
func (s *Set) refuse(info catalog.Table, err error) {
	s.opts.Logger.Error("table could not be recovered and takes no rows; its rows stay in the log", "table", info.Name.String(), "err", err)
	s.mu.Lock()
	defer s.mu.Unlock()
	if e, ok := s.open[info.ID]; ok && e.table != nil {
		e.table.refuse(fmt.Errorf("%w: %w", ErrBroken, err))
		e.table.stop(ErrBroken)
		return
	}
	e := &entry{ready: make(chan struct{}), err: fmt.Errorf("%w: %w", ErrBroken, err)}
	close(e.ready)
	s.open[info.ID] = e
}

// Drop ends an open table: its streams get ErrDropped, its rows in the log are forgotten. The caller removes its files.
func (s *Set) Drop(id [16]byte) {
	s.mu.Lock()
	e := s.open[id]
	delete(s.open, id)
	s.mu.Unlock()
	if e != nil {
		<-e.ready
		if e.table != nil {
			e.table.refuse(ErrDropped)
			e.table.stop(ErrDropped)
			<-e.table.stopped
		}
	}
	s.wal.Forget(wal.TableID(id))
	if err := s.ledger.Forget(id); err != nil {
		s.opts.Logger.Warn("the ledger still knows a dropped table; the next start mends that", "err", err)
	}
}

// signal has all committers look again.
func (s *Set) signal() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.open {
		select {
		case <-e.ready:
			if e.table != nil {
				e.table.signal()
			}
		default: // being opened: it has nothing yet
		}
	}
}

// Flush commits everything that is durable in one table, when it is open.
func (s *Set) Flush(ctx context.Context, id [16]byte) error {
	s.mu.Lock()
	e := s.open[id]
	s.mu.Unlock()
	if e == nil {
		return nil
	}
	select {
	case <-e.ready:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if e.table == nil {
		return e.err
	}
	return e.table.Flush(ctx)
}

// Close takes no more rows, commits what is durable and ends the committers. When ctx ends first, what is not committed stays
// in the log, and the error says so; with a ctx that has ended already nothing more is committed.
func (s *Set) Close(ctx context.Context) error {
	s.mu.Lock()
	s.closed = true
	var open []*Table
	for _, e := range s.open {
		select {
		case <-e.ready:
			if e.table != nil {
				open = append(open, e.table)
			}
		default: // being opened; openInfo sees closed
		}
	}
	s.mu.Unlock()
	for _, t := range open {
		if ctx.Err() != nil {
			t.stop(ErrClosed)
			continue
		}
		t.mu.Lock()
		t.closing = true
		t.mu.Unlock()
		t.signal()
	}
	var errs []error
	for _, t := range open {
		select {
		case <-t.stopped:
		case <-ctx.Done():
			if rows := t.uncommitted(); rows > 0 {
				errs = append(errs, fmt.Errorf("table %s: %d rows are in the log and not in the table: %w", t.info.Name, rows, context.Cause(ctx)))
			}
			t.stop(ErrClosed)
			<-t.stopped
		}
	}
	return errors.Join(errs...)
}
