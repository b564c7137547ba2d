package delta

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
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
	}
	t.turn <- struct{}{}
	return t
}

// Open reads the table's state from its log, from version 0 to the latest. The error is ErrNoTable when there is no log,
// ErrCheckpointNeeded when its beginning is gone, ErrCorrupt when a version is missing or cannot be read.
//
// Open does not ask whether the table can be written to: see CheckWritable.
func Open(ctx context.Context, store lake.Store, opts Options) (*Table, error) {
	last, err := scan(ctx, store)
	if err != nil {
		return nil, err
	}
	t := newTable(store, opts)
	if err := t.forward(ctx); err != nil {
		return nil, err
	}
	s := t.Snapshot()
	if s.Version < last {
		return nil, fmt.Errorf("table %s: version %d vanished while the log was read: %w", store.URL(), s.Version+1, ErrOutdated)
	}
	if s.Protocol.MinReaderVersion == 0 || s.Metadata.SchemaString == "" {
		return nil, fmt.Errorf("table %s: no protocol or no metaData in the log: %w", store.URL(), ErrCorrupt)
	}
	t.opened = s.Txns
	return t, nil
}

// scan lists the log and returns its latest version. It reports a log that cannot be replayed from version 0.
func scan(ctx context.Context, store lake.Store) (last int64, err error) {
	last = -1
	checkpoint := int64(-1) // the latest one
	resumes := int64(0)     // the version after the latest gap; 0 without a gap
	for info, err := range store.List(ctx, logDir, "") {
		if err != nil {
			return 0, fmt.Errorf("table %s: list the log: %w", store.URL(), err)
		}
		if v, ok := checkpointVersion(info.Path); ok {
			checkpoint = max(checkpoint, v)
		}
		if v, ok := commitVersion(info.Path); ok {
			if v != last+1 {
				resumes = v
			}
			last = v
		}
	}
	switch {
	case last < 0 && checkpoint < 0:
		return 0, fmt.Errorf("table %s: %w", store.URL(), ErrNoTable)
	case last < 0:
		return 0, fmt.Errorf("table %s: the log has no commits, the state is in the checkpoint of version %d: %w",
			store.URL(), checkpoint, ErrCheckpointNeeded)
	case resumes == 0:
		return last, nil
	case checkpoint >= resumes-1:
		return 0, fmt.Errorf("table %s: commits before version %d were cleaned up, the state is in the checkpoint of version %d: %w",
			store.URL(), resumes, checkpoint, ErrCheckpointNeeded)
	default:
		return 0, fmt.Errorf("table %s: version %d is missing in the log, version %d is there: %w", store.URL(), resumes-1, resumes, ErrCorrupt)
	}
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
// its log, and in one that was cleaned up behind us, the next version's name is free although the version was used.
func (t *Table) verifyTail(ctx context.Context) error {
	version := t.state.draft.Version
	data, err := t.store.Get(ctx, commitPath(version))
	if errors.Is(err, fs.ErrNotExist) {
		return t.wrap(fmt.Errorf("version %d is no longer in the log: %w", version, ErrOutdated))
	}
	if err != nil {
		return t.wrap(fmt.Errorf("read version %d: %w", version, err))
	}
	if sha256.Sum256(data) != t.tail {
		return t.wrap(fmt.Errorf("version %d is not the one that was read before: %w", version, ErrOutdated))
	}
	return nil
}

// wrap adds the table to an error.
func (t *Table) wrap(err error) error { return fmt.Errorf("table %s: %w", t.store.URL(), err) }
