package table

import (
	"context"
	"fmt"

	"github.com/zerobus-go/zerobus/server/internal/catalog"
)

// Optimize rewrites the small files of a table now. It is opened if it is not open.
func (s *Set) Optimize(ctx context.Context, info catalog.Table, o CompactOptions) (CompactResult, error) {
	t, err := s.openInfo(ctx, info)
	if err != nil {
		return CompactResult{}, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(t.compaction.ctx, func() { cancel(ErrClosed) })()
	res, err := t.compaction.optimize(ctx, o)
	if err != nil {
		return res, fmt.Errorf("table %s: optimize: %w", info.Name, err)
	}
	return res, nil
}

// OnOptimize sets what Optimize is: [Set.Optimize] in a server, else something that calls OptimizeAlone. Set it before the first use.
func (ts *Tables) OnOptimize(f func(ctx context.Context, info catalog.Table, o CompactOptions) (CompactResult, error)) {
	ts.rewriter = f
}

// Optimize rewrites the small files of a table now.
func (ts *Tables) Optimize(ctx context.Context, info catalog.Table, o CompactOptions) (CompactResult, error) {
	return ts.rewriter(ctx, info, o)
}

// OptimizeAlone rewrites the small files of a table now, without a server. l is the ledger of the data directory.
func (ts *Tables) OptimizeAlone(ctx context.Context, info catalog.Table, l Ledger, o CompactOptions) (CompactResult, error) {
	res, err := ts.optimizeAlone(ctx, info, l, o)
	if err != nil {
		return res, fmt.Errorf("table %s: optimize: %w", info.Name, err)
	}
	return res, nil
}

func (ts *Tables) optimizeAlone(ctx context.Context, info catalog.Table, l Ledger, o CompactOptions) (res CompactResult, err error) {
	store, err := ts.store(info)
	if err != nil {
		return res, err
	}
	d, err := ts.Delta(ctx, info)
	if err != nil {
		return res, err
	}
	known, err := l.Load(info.ID)
	if err != nil {
		return res, err
	}
	c := newCompactor(info.ID, store, d, l, known.Rewrites, Options{Now: ts.now}.withDefaults())
	c.reserve = func(context.Context) (int, func(), error) { return rowGroupBytes, func() {}, nil }
	return c.optimize(ctx, o)
}
