package admin

import (
	"context"
	"time"

	"github.com/zerobus-go/zerobus/server/internal/delta"
	"github.com/zerobus-go/zerobus/server/internal/tablecheck"
)

// VacuumOptions say what Vacuum deletes.
type VacuumOptions struct {
	Retain *time.Duration // how long files stay; nil for the table's own retention
	Force  bool           // allow less than that
	DryRun bool           // delete nothing
}

// MaxVacuumed bounds the list of files of a Vacuum. All are counted.
const MaxVacuumed = 100_000

// Vacuum is what a vacuum deleted or, in a dry run, would delete.
type Vacuum struct {
	Table         string    `json:"table"`
	Version       int64     `json:"version"`
	DryRun        bool      `json:"dry_run"`
	RetainSeconds float64   `json:"retain_seconds"`
	Before        time.Time `json:"before"` // what is older goes
	Listed        int       `json:"files_listed"`
	Files         int       `json:"files"`
	Bytes         int64     `json:"bytes"`
	Kept          int       `json:"files_kept"` // that the latest version does not name either
	KeptBytes     int64     `json:"bytes_kept"`

	List []VacuumedFile `json:"list"`
}

// VacuumedFile is a file that goes.
type VacuumedFile struct {
	Path     string    `json:"path"` // below the table
	Bytes    int64     `json:"bytes"`
	Modified time.Time `json:"modified"`
	Removed  time.Time `json:"removed,omitzero"` // when a commit took it out, as far as the log tells
}

// Check is what a check of a table found.
type Check = tablecheck.Report

// CheckOptions say how much Check looks at.
type CheckOptions struct {
	Quick bool // the rows are left alone
}

// Vacuum implements API.
func (l *Local) Vacuum(ctx context.Context, name string, o VacuumOptions, progress Progress) (Vacuum, error) {
	info, err := l.lookup(name)
	if err != nil {
		return Vacuum{}, err
	}
	res, err := l.tables.Vacuum(ctx, info, delta.VacuumOptions{Retain: o.Retain, Force: o.Force, DryRun: o.DryRun, Progress: delta.Progress(progress)})
	if err != nil {
		return Vacuum{}, err
	}
	out := Vacuum{
		Table: info.Name.String(), Version: res.Version, DryRun: o.DryRun, RetainSeconds: res.Retain.Seconds(), Before: res.Before.UTC(), Listed: res.Listed,
		Files: len(res.Files), Bytes: res.Bytes, Kept: res.Kept, KeptBytes: res.KeptBytes, List: []VacuumedFile{},
	}
	for _, f := range res.Files[:min(len(res.Files), MaxVacuumed)] {
		v := VacuumedFile{Path: f.Path, Bytes: f.Size, Modified: f.Modified.UTC()}
		if !f.Removed.IsZero() {
			v.Removed = f.Removed.UTC()
		}
		out.List = append(out.List, v)
	}
	return out, nil
}

// Check implements API.
func (l *Local) Check(ctx context.Context, name string, o CheckOptions, progress Progress) (*Check, error) {
	info, err := l.lookup(name)
	if err != nil {
		return nil, err
	}
	return l.tables.Check(ctx, info, tablecheck.Options{Quick: o.Quick, Progress: delta.Progress(progress)})
}

// Vacuum implements API.
func (c *Client) Vacuum(ctx context.Context, table string, o VacuumOptions, progress Progress) (Vacuum, error) {
	return follow[Vacuum](ctx, c, "table/vacuum", request{Table: table, Retain: o.Retain, Force: o.Force, DryRun: o.DryRun}, progress)
}

// Check implements API.
func (c *Client) Check(ctx context.Context, table string, o CheckOptions, progress Progress) (*Check, error) {
	return follow[*Check](ctx, c, "table/check", request{Table: table, Quick: o.Quick}, progress)
}
