package admin

import (
	"context"

	"github.com/zerobus-go/zerobus/server/internal/table"
)

// OptimizeOptions say which files Optimize rewrites.
type OptimizeOptions struct {
	Target   int64 // size in bytes up to which files grow; smaller ones are rewritten. 0: 128 MiB
	MinFiles int   // the least number of files that are rewritten into one. 0: 2
	DryRun   bool  // tell what would be rewritten
}

// Optimize is what an optimize did or, in a dry run, would do.
type Optimize struct {
	Table        string `json:"table"`
	Version      int64  `json:"version"`
	DryRun       bool   `json:"dry_run"`
	FilesRemoved int    `json:"files_removed"`
	FilesAdded   int    `json:"files_added"`
	BytesRemoved int64  `json:"bytes_removed"`
	BytesAdded   int64  `json:"bytes_added"` // 0 in a dry run
	Files        int    `json:"files"`       // of the table afterwards
	Left         int    `json:"files_left"`  // that cannot be rewritten; the log says why
	Conflicts    int    `json:"conflicts"`   // rewrites that gave way to another writer of the same files
}

// Optimize implements API.
func (l *Local) Optimize(ctx context.Context, name string, o OptimizeOptions, progress Progress) (Optimize, error) {
	info, err := l.lookup(name)
	if err != nil {
		return Optimize{}, err
	}
	c := table.CompactOptions{Target: o.Target, MinFiles: o.MinFiles, DryRun: o.DryRun}
	if progress != nil {
		c.Progress = func(p table.CompactProgress) { progress("files rewritten", int64(p.FilesDone), int64(p.Files)) }
	}
	r, err := l.tables.Optimize(ctx, info, c)
	if err != nil {
		return Optimize{}, err
	}
	return Optimize{
		Table: info.Name.String(), Version: r.Version, DryRun: o.DryRun, FilesRemoved: r.FilesRemoved, FilesAdded: r.FilesAdded,
		BytesRemoved: r.BytesRemoved, BytesAdded: r.BytesAdded, Files: r.Files, Left: r.Left, Conflicts: r.Conflicts,
	}, nil
}

// Optimize implements API.
func (c *Client) Optimize(ctx context.Context, table string, o OptimizeOptions, progress Progress) (Optimize, error) {
	return follow[Optimize](ctx, c, "table/optimize", request{Table: table, Target: o.Target, MinFiles: o.MinFiles, DryRun: o.DryRun}, progress)
}
