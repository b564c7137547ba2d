package delta

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/zerobus-go/zerobus/server/internal/lake"
)

// defaultEngine is the engineInfo of commits when the caller gives none.
const defaultEngine = "zerobus"

// Options are what a Table needs beside its store.
type Options struct {
	// EngineInfo names the program and its version in commitInfo, as in "zerobus/1.2.0". The default is "zerobus".
	EngineInfo string

	// Now is the clock. The default is time.Now.
	Now func() time.Time

	// Logger hears of retries. The default is silence.
	Logger *slog.Logger
}

// Table is one table's log. See the package documentation for concurrency.
type Table struct {
	store  lake.Store
	engine string
	now    func() time.Time
	log    *slog.Logger
	newID  func() string
	pause  func(ctx context.Context, attempt int) error

	current atomic.Pointer[Snapshot]

	bare         atomic.Pointer[checkpoint] // what was started from, when the log has not the commit of that version
	checkpointed atomic.Int64               // the version of the newest checkpoint that is known of; -1 for none

	cleaning sync.Mutex // one clean-up at a time; guards the following
	batch    int        // how many objects go at a time
	cleaned  time.Time  // the cutoff up to which the log was cleaned

	// turn holds a token; who takes it owns the following and gives it back.
	turn    chan struct{}
	state   *builder
	tail    [sha256.Size]byte // of the commit file of the current version
	checked int               // the rev for which CheckWritable said yes
	claims  map[string]claim  // by AppID, of those that this Table appends for
	opened  map[string]Txn    // the txns that Open found
}

func newTable(store lake.Store, opts Options) *Table {
	if opts.EngineInfo == "" {
		opts.EngineInfo = defaultEngine
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	t := &Table{
		store:  store,
		engine: opts.EngineInfo,
		now:    opts.Now,
		log:    opts.Logger.With("location", store.URL()),
		newID:  uuid.NewString,
		pause:  pause,
		turn:   make(chan struct{}, 1),
		state:  newBuilder(store.URL()),
		claims: map[string]claim{},
		batch:  cleanupBatch,
	}
	t.state.now = t.now
	t.checkpointed.Store(-1)
	t.turn <- struct{}{}
	return t
}

// Open reads the table's state from its log: from the newest checkpoint that can be read, or version 0, to the latest version.
// The error is ErrNoTable when there is no log, ErrCheckpointNeeded when its beginning is gone and no checkpoint stands for it,
// ErrCorrupt when a version is missing or cannot be read.
//
// Open does not ask whether the table can be written to: see CheckWritable.
func Open(ctx context.Context, store lake.Store, opts Options) (*Table, error) {
	t := newTable(store, opts)
	if err := t.open(ctx); err != nil {
		return nil, err
	}
	t.opened = t.Snapshot().Txns
	return t, nil
}

// open reads the state.
func (t *Table) open(ctx context.Context) error {
	last, err := t.start(ctx)
	if err != nil {
		return err
	}
	if err := t.forward(ctx); err != nil {
		return err
	}
	s := t.Snapshot()
	if s.Version < last {
		return t.wrap(fmt.Errorf("version %d vanished while the log was read: %w", s.Version+1, ErrOutdated))
	}
	if s.Protocol.MinReaderVersion == 0 || s.Metadata.SchemaString == "" {
		return t.wrap(fmt.Errorf("no protocol or no metaData in the log: %w", ErrCorrupt))
	}
	return nil
}

// Snapshot returns the latest state that this Table has read or written. It does no I/O.
func (t *Table) Snapshot() *Snapshot { return t.current.Load() }

// Refresh reads the commits that others made since. What it read before an error is kept. The error is ErrOutdated when
// the log does not continue from where this Table stands.
func (t *Table) Refresh(ctx context.Context) error {
	if err := t.take(ctx); err != nil {
		return err
	}
	defer t.give()
	if err := t.verifyTail(ctx); err != nil {
		return err
	}
	return t.forward(ctx)
}

// take waits for the turn.
func (t *Table) take(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return t.wrap(err)
	}
	select {
	case <-t.turn:
		return nil
	case <-ctx.Done():
		return t.wrap(ctx.Err())
	}
}

func (t *Table) give() { t.turn <- struct{}{} }

// forward reads commits until there is no next one.
func (t *Table) forward(ctx context.Context) error {
	defer t.publish()
	for {
		next := t.state.draft.Version + 1
		data, err := t.store.Get(ctx, commitPath(next))
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return t.wrap(fmt.Errorf("read version %d: %w", next, err))
		}
		c, err := parseCommit(data)
		if err != nil {
			return t.wrap(fmt.Errorf("version %d: %w: %w", next, err, ErrCorrupt))
		}
		t.advance(c, data)
	}
}

// advance takes over the commit of the next version; data is its file.
func (t *Table) advance(c *commit, data []byte) {
	t.state.apply(c)
	t.tail = sha256.Sum256(data)
}

// publish makes the state that was reached visible.
func (t *Table) publish() {
	if s := t.current.Load(); s == nil || s.Version != t.state.draft.Version {
		t.current.Store(t.state.snapshot())
	}
}

// verifyTail checks that the version on which this Table stands is still in the log, and is the same. If it is not, the
// next version would be written into a log that knows nothing of it: a table that was dropped and made anew gets a hole in
// its log, and in one that was cleaned up behind us, the next version's name is free although the version was used. Such a
// table is read again.
func (t *Table) verifyTail(ctx context.Context) error {
	version := t.state.draft.Version
	data, err := t.store.Get(ctx, t.tailPath(version))
	if errors.Is(err, fs.ErrNotExist) {
		return t.startAnew(ctx)
	}
	if err != nil {
		return t.wrap(fmt.Errorf("read version %d: %w", version, err))
	}
	if cp := t.bare.Load(); (cp == nil || cp.version != version) && sha256.Sum256(data) != t.tail {
		return t.wrap(fmt.Errorf("version %d is not the one that was read before: %w", version, ErrOutdated))
	}
	return nil
}

// tailPath names the object that stands for the version: its commit, or the checkpoint that was found in its place. Such a
// checkpoint may be written anew by others, with the same state.
func (t *Table) tailPath(version int64) string {
	if cp := t.bare.Load(); cp != nil && cp.version == version {
		return cp.paths[0]
	}
	return commitPath(version)
}

// wrap adds the table to an error.
func (t *Table) wrap(err error) error { return fmt.Errorf("table %s: %w", t.store.URL(), err) }
