package table

import (
	"context"
	"fmt"
	"slices"

	"github.com/zerobus-go/zerobus/server/internal/catalog"
	"github.com/zerobus-go/zerobus/server/internal/delta"
	"github.com/zerobus-go/zerobus/server/internal/tablecheck"
)

// OnVacuum sets what is asked for a table's data files whose commit is on its way: see Set.Staged. Set it before the first use.
func (ts *Tables) OnVacuum(staged func(id [16]byte) func(path string) bool) { ts.staged = staged }

// Vacuum deletes the files of a table that no version needs: see delta.Table.Vacuum, which has the errors too.
func (ts *Tables) Vacuum(ctx context.Context, info catalog.Table, o delta.VacuumOptions) (delta.VacuumResult, error) {
	d, err := ts.Delta(ctx, info)
	if err != nil {
		return delta.VacuumResult{}, err
	}
	if ts.staged != nil {
		o.Staged = func() func(string) bool { return ts.staged(info.ID) }
	}
	res, err := d.Vacuum(ctx, o)
	if err != nil {
		err = fmt.Errorf("table %s: %w", info.Name, err)
	}
	return res, err
}

// Check looks at the whole of a table: see tablecheck.Check.
func (ts *Tables) Check(ctx context.Context, info catalog.Table, o tablecheck.Options) (*tablecheck.Report, error) {
	store, err := ts.store(info)
	if err != nil {
		return nil, fmt.Errorf("table %s: %w", info.Name, err)
	}
	o.Name, o.Now = info.Name.String(), ts.now
	return tablecheck.Check(ctx, store, o)
}

// Staged tells which data files of a table hold durable rows and wait for their commit. They may be of any age: while a commit
// fails, its files are kept for the next try. A file's name says up to where it has the log, so all that are beyond the table are
// among them, and so are some that were left over, and those that a compaction makes. The answer is of the time of the call; what is committed after that is in
// the table's log.
func (s *Set) Staged(id [16]byte) func(path string) bool {
	none := func(string) bool { return false }
	s.mu.Lock()
	e := s.open[id]
	s.mu.Unlock()
	if e == nil {
		return none
	}
	select {
	case <-e.ready:
	default: // being opened: it has written nothing yet
		return none
	}
	t := e.table
	if t == nil {
		return none
	}
	t.mu.Lock()
	committed := t.committed
	t.mu.Unlock()
	rewritten := t.compaction.staged()
	return func(path string) bool {
		seq, ours := t.seqOf(path)
		return ours && seq > committed || slices.Contains(rewritten, path)
	}
}
