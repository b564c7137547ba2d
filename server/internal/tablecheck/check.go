package tablecheck

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"strings"
	"time"

	"github.com/zerobus-go/zerobus/schema"
	"github.com/zerobus-go/zerobus/server/internal/delta"
	"github.com/zerobus-go/zerobus/server/internal/lake"
)

// Options say how much is looked at.
type Options struct {
	// Quick leaves the rows alone: footers are read, values and their bounds are not.
	Quick bool

	Name     string           // of the table, for the report; the place of the store when empty
	Now      func() time.Time // the clock; time.Now when nil
	Progress delta.Progress   // told how far it is; may be nil
}

// Check looks at the table of a store. The error is about reading, such as delta.ErrNoTable where there is none, and never about
// what the table is like.
func Check(ctx context.Context, store lake.Store, o Options) (*Report, error) {
	if o.Name == "" {
		o.Name = store.URL()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	c := &checker{store: store, o: o, report: newReport(o.Name)}
	if err := c.run(ctx); err != nil {
		return nil, err
	}
	faults, unchecked := c.report.Total()
	c.report.Sound = faults == 0 && unchecked == 0 && !o.Quick
	return c.report, nil
}

type checker struct {
	store  lake.Store
	o      Options
	report *Report

	log     *delta.Inspection
	columns []*field // of the table, as its files and statistics name them; nil: the schema cannot be read
	mapping string   // the mode of column mapping
	keys    []*field // those it is partitioned by
}

func (c *checker) run(ctx context.Context) error {
	found, err := delta.Inspect(ctx, c.store, delta.LintOptions{Progress: c.o.Progress})
	if err != nil {
		return err
	}
	c.log = found
	r, s := c.report, found.Snapshot
	r.Version, r.Files, r.Bytes = s.Version, s.NumFiles(), s.SizeBytes()
	r.result(Log).Looked, r.result(Checkpoints).Looked, r.result(Checksums).Looked = int64(found.Versions), int64(found.Checkpoints), int64(found.Checksums)
	for i := range found.Problems {
		p := &found.Problems[i]
		r.fault(Fault{Check: string(p.In), Version: &p.Version, File: p.Path, Text: p.Text})
	}
	if err := c.describe(&s.Metadata); err != nil {
		r.fault(Fault{Check: Log, Version: &s.Version, Text: err.Error()})
	}
	if c.o.Quick {
		r.result(Values).Skipped, r.result(Statistics).Skipped = "quick", "quick, but for numRecords"
	}
	done := 0
	for a := range s.Files() {
		if err := c.file(ctx, &a); err != nil {
			return fmt.Errorf("table %s: file %s: %w", c.o.Name, a.Path, err)
		}
		done++
		if c.o.Progress != nil {
			c.o.Progress("files checked", int64(done), int64(s.NumFiles()))
		}
	}
	return c.loose(ctx)
}

// describe reads the schema.
func (c *checker) describe(m *delta.Metadata) error {
	var table schema.Struct
	if err := json.Unmarshal([]byte(m.SchemaString), &table); err != nil {
		return fmt.Errorf("the schema cannot be read: %w", err)
	}
	c.mapping = m.Mapping()
	for i := range table.Fields {
		col, err := fieldOf(&table.Fields[i], "", c.mapping != delta.Unmapped)
		if err != nil {
			c.columns = nil
			return err
		}
		c.columns = append(c.columns, col)
	}
	for _, name := range m.PartitionColumns {
		i := table.Index(name)
		if i < 0 {
			return fmt.Errorf("the partition column %s is not in the schema", name)
		}
		c.columns[i].key = true
		c.keys = append(c.keys, c.columns[i])
	}
	return nil
}

// outside tells whether a path of the log is not below the table's directory.
func outside(path string) bool {
	scheme, _, hasScheme := strings.Cut(path, ":")
	return strings.HasPrefix(path, "/") || hasScheme && !strings.ContainsAny(scheme, "/=%")
}

// open opens a file of the table. nil without an error: it cannot be, and the report says why.
func (c *checker) open(ctx context.Context, a *delta.Add, path string) (lake.Reader, error) {
	version := c.log.AddedBy(a)
	fault := func(text string) { c.report.fault(Fault{Check: Files, Version: &version, File: a.Path, Text: text}) }
	if outside(path) {
		c.report.unchecked(Unchecked{Check: Files, File: a.Path, Reason: path + " is outside of the table's directory"})
		return nil, nil
	}
	r, err := c.store.Open(ctx, path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		fault(path + " is not there")
		return nil, nil
	case errors.Is(err, fs.ErrInvalid):
		c.report.unchecked(Unchecked{Check: Files, File: a.Path, Reason: fmt.Sprintf("%q is no name that can be opened here", path)})
		return nil, nil
	}
	return r, err
}

// file checks one live file.
func (c *checker) file(ctx context.Context, a *delta.Add) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	c.report.result(Files).Looked++
	version := c.log.AddedBy(a)
	f := &file{c: c, add: a, version: version, refused: map[*field]bool{}}
	f.partitions()
	if err := f.vector(ctx); err != nil {
		return err
	}
	path, err := url.PathUnescape(a.Path)
	if err != nil {
		f.fault(Files, "", "the path is not URI-encoded")
		return nil
	}
	r, err := c.open(ctx, a, path)
	if r == nil || err != nil {
		return err
	}
	defer r.Close()
	if r.Size() != a.Size {
		f.fault(Files, "", "it has %d bytes, its add says %d", r.Size(), a.Size)
	}
	if c.columns == nil {
		f.unchecked(Schema, "", "the table's schema cannot be read")
		return nil
	}
	return f.content(ctx, r)
}

// loose lists what the latest version does not name.
func (c *checker) loose(ctx context.Context) error {
	t, err := delta.Open(ctx, c.store, delta.Options{Now: c.o.Now})
	if errors.Is(err, delta.ErrCorrupt) || errors.Is(err, delta.ErrCheckpointNeeded) {
		if faults, _ := c.report.Total(); faults == 0 {
			c.report.fault(Fault{Check: Log, Text: err.Error()})
		}
		return nil // which the log's faults say
	}
	if err != nil {
		return err
	}
	files, err := t.LooseFiles(ctx, c.o.Progress)
	if errors.Is(err, delta.ErrCorrupt) {
		c.report.fault(Fault{Check: Files, Text: err.Error()})
		return nil
	}
	if err != nil {
		return err
	}
	l := &c.report.Loose
	for _, f := range files {
		state, amount := "new", &l.New
		switch {
		case t.Snapshot().Expired(f, c.o.Now()):
			state, amount = "expired", &l.Expired
		case !f.Removed.IsZero():
			state, amount = "removed", &l.Removed
		}
		amount.add(f.Size)
		if len(l.List) < maxListed {
			l.List = append(l.List, LooseFile{Path: f.Path, Bytes: f.Size, Modified: f.Modified.UTC(), State: state})
		}
	}
	return nil
}
