package table

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/zerobus-go/zerobus/schema"
	"github.com/zerobus-go/zerobus/server/internal/catalog"
	"github.com/zerobus-go/zerobus/server/internal/column"
	"github.com/zerobus-go/zerobus/server/internal/delta"
	"github.com/zerobus-go/zerobus/server/internal/lake"
	"github.com/zerobus-go/zerobus/server/internal/parquetfile"
)

// answer is what a producer knows of a chunk.
type answer int

const (
	unknown answer = iota // no answer, or an error after it was queued: there or not
	acked                 // there
	refused               // Append returned an error: not there
)

// sent is a chunk that a producer gave to a table. Its rows have the ids from first on.
type sent struct {
	table  [16]byte
	first  int64
	rows   int
	life   int
	answer answer
	called int    // times that durable was called
	of     *named // nil: nobody's
	number int64  // of the first row among the producer's records
}

// named is a producer with a name, in one table. Its records have the ids base + number, and each is sent until it is known to
// be durable.
type named struct {
	name  string
	table [16]byte
	base  int64
	sent  int64 // numbers below this one were sent
	acked int64 // numbers below this one were acknowledged
	told  int64 // the highest position that a claim gave
}

// oracle knows what the tables must hold in the end.
type oracle struct {
	mu    sync.Mutex // guards the following
	sent  []*sent
	named []*named
	wrong error // the first thing that went wrong
}

func (o *oracle) send(s *sent) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.sent = append(o.sent, s)
}

func (o *oracle) learn(s *sent, a answer) {
	o.mu.Lock()
	defer o.mu.Unlock()
	s.answer = a
}

// durable is what the callback of Append tells.
func (o *oracle) durable(s *sent, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if s.called++; err == nil {
		s.answer = acked
		if s.of != nil {
			s.of.acked = max(s.of.acked, s.number+int64(s.rows))
		}
	}
}

func (o *oracle) fail(format string, args ...any) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.wrong == nil {
		o.wrong = fmt.Errorf(format, args...)
	}
}

func (o *oracle) failure() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.wrong
}

// answered checks, when a process has ended, that durable was called once for each chunk that was taken.
func (o *oracle) answered(life int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, s := range o.sent {
		want := 1
		if s.answer == refused {
			want = 0
		}
		if s.life == life && s.called != want && o.wrong == nil {
			o.wrong = fmt.Errorf("durable was called %d times for the chunk of %s, want %d", s.called, nameOf(s.first), want)
		}
	}
}

// An id says who sent the row, and which of his it is.
const producerShift = 40

func nameOf(id int64) string {
	return fmt.Sprintf("producer %d, row %d", id>>producerShift, id&(1<<producerShift-1))
}

const letters = "abcdefghijklmnopqrstuvwxyz"

// padOf is the rest of a row, up to 240 bytes.
func padOf(id int64) string {
	h := uint64(id) * 0x9e3779b97f4a7c15
	return strings.Repeat(letters[h>>40%26:][:1], int(h>>48%240))
}

// partOf is the partition of a row: two with a directory, two without.
func partOf(id int64) string { return []string{"a", "b/c", "", "d"}[uint64(id)*0x9e3779b97f4a7c15>>62] }

// addRow adds the row of an id.
func addRow(c *column.Chunk, id int64) {
	c.Cols[0].AppendInt64(id)
	if len(c.Cols) == 3 {
		c.Cols[1].AppendString(partOf(id))
	}
	c.Cols[len(c.Cols)-1].AppendString(padOf(id))
	c.EndRow(make([]bool, len(c.Cols)))
}

// verdict is what the tables of a run hold.
type verdict struct {
	acked    int // rows, of tables that are there
	dropped  int // acknowledged rows of tables that were dropped
	numbered int // rows of producers with a name
	unasked  int // rows that are there though nobody was told so
	commits  int
	files    int
	orphans  int // data files of living tables that no commit names
	litter   int // objects of tables that are not in the catalog
	rewrites int // commits that are compactions
}

// judge compares the tables with what the producers know.
func (o *oracle) judge(cat *catalog.Catalog, l lake.Store, names []catalog.Name) (v verdict, err error) {
	there := map[int64]int{}
	alive := map[[16]byte]bool{}
	var problems []string
	report := func(format string, args ...any) {
		if len(problems) < 8 {
			problems = append(problems, fmt.Sprintf(format, args...))
		}
	}
	owner := map[int64][16]byte{}
	for _, s := range o.sent {
		for i := range int64(s.rows) {
			owner[s.first+i] = s.table
		}
	}
	var places []string
	for _, name := range names {
		info, err := cat.Table(name)
		if errors.Is(err, catalog.ErrNotFound) {
			continue
		}
		if err != nil {
			return v, err
		}
		alive[info.ID] = true
		places = append(places, info.Location)
		type place struct { // rows of a producer are in order within a partition
			producer int64
			part     string
		}
		last := map[place]int64{}
		err = o.read(l, info, &v, report, func(id int64, part string) {
			switch tab, ok := owner[id]; {
			case !ok:
				report("table %s has %s, which was never sent", name.Table, nameOf(id))
			case tab != info.ID:
				report("table %s has %s, which was sent to another one", name.Table, nameOf(id))
			}
			if there[id]++; there[id] == 2 {
				report("table %s has %s twice", name.Table, nameOf(id))
				return
			}
			at := place{id >> producerShift, part}
			if before := last[at]; id < before {
				report("table %s has %s after %s", name.Table, nameOf(id), nameOf(before))
			}
			last[at] = id
		})
		if err != nil {
			return v, err
		}
	}
	lost, doubled := 0, 0
	for _, n := range there {
		doubled += n - 1
	}
	for _, n := range o.named {
		if !alive[n.table] {
			continue
		}
		head := int64(0)
		for there[n.base+head] > 0 {
			head++
		}
		for i := head; i < n.sent; i++ {
			if there[n.base+i] > 0 {
				report("producer %s: record %d is there, record %d is not", n.name, i, head)
				break
			}
		}
		if known := max(n.acked, n.told); head < known {
			lost += int(known - head)
			report("producer %s: %d records are there, %d were acknowledged, position %d was told", n.name, head, n.acked, n.told)
		}
		v.acked += int(n.acked)
		v.unasked += int(head - n.acked)
		v.numbered += int(head)
	}
	for _, s := range o.sent {
		if s.of != nil {
			continue
		}
		if !alive[s.table] {
			if s.answer == acked {
				v.dropped += s.rows
			}
			continue
		}
		n := 0
		for i := range int64(s.rows) {
			if there[s.first+i] > 0 {
				n++
			}
		}
		switch {
		case s.answer == acked && n < s.rows:
			lost += s.rows - n
			report("%d of %d rows from %s on, acknowledged in life %d, are lost", s.rows-n, s.rows, nameOf(s.first), s.life)
		case s.answer == refused && n > 0:
			report("%d rows from %s on were refused in life %d and are there", n, nameOf(s.first), s.life)
		case n != 0 && n != s.rows:
			report("%d of %d rows from %s on, sent in life %d, are there", n, s.rows, nameOf(s.first), s.life)
		}
		if s.answer == acked {
			v.acked += s.rows
		} else {
			v.unasked += n
		}
	}
	for info, err := range l.List(context.Background(), "", "") {
		if err != nil {
			return v, err
		}
		inside := false
		for _, p := range places {
			inside = inside || strings.HasPrefix(info.Path, p+"/")
		}
		if !inside {
			v.litter++
		}
	}
	if len(problems) > 0 {
		return v, fmt.Errorf("%d lost, %d doubled:\n  %s", lost, doubled, strings.Join(problems, "\n  "))
	}
	return v, nil
}

// read gives the ids of a table in the order of its commits, and looks at its log and its files.
func (o *oracle) read(l lake.Store, info catalog.Table, v *verdict, report func(string, ...any), row func(id int64, part string)) error {
	ctx := context.Background()
	tables := NewTables(l, "test", time.Now)
	d, err := tables.Delta(ctx, info)
	if err != nil {
		return err
	}
	v.commits += int(d.Snapshot().Version)
	v.files += d.Snapshot().NumFiles()
	store, err := tables.store(info)
	if err != nil {
		return err
	}
	problems, err := delta.Lint(ctx, store, delta.LintOptions{Files: true})
	if err != nil {
		return err
	}
	for _, p := range problems {
		report("log of %s: %v", info.Name.Table, p)
	}
	sch, _, err := tables.Schema(ctx, info)
	if err != nil {
		return err
	}
	named, err := versions(store, v)
	if err != nil {
		return err
	}
	var files []delta.Add
	for f := range d.Snapshot().Files() {
		files = append(files, f)
	}
	byInsertion(files) // a file that took the place of others stands behind younger ones in the table
	for _, f := range files {
		name, err := url.PathUnescape(f.Path)
		if err != nil {
			return err
		}
		part := ""
		if value := f.PartitionValues["part"]; value != nil {
			part = *value
		}
		if err := readFile(store, name, sch, report, func(id int64) {
			if len(f.PartitionValues) > 0 && part != partOf(id) {
				report("%s is in partition %q", nameOf(id), part)
			}
			row(id, part)
		}); err != nil {
			return fmt.Errorf("file %s: %w", f.Path, err)
		}
	}
	for f, err := range store.List(ctx, "", "") {
		if err != nil {
			return err
		}
		if !named[f.Path] && !strings.HasPrefix(f.Path, "_delta_log/") {
			v.orphans++
			report("file %s of %s is in no commit", f.Path, info.Name.Table)
		}
		delete(named, f.Path)
	}
	for name := range named {
		report("file %s of %s is gone, and a version names it", name, info.Name.Table)
	}
	return nil
}

// versions gives the files that the versions of a table name, and counts the compactions.
func versions(store lake.Store, v *verdict) (named map[string]bool, err error) {
	ctx := context.Background()
	named = map[string]bool{}
	for f, err := range store.List(ctx, "_delta_log/", "") {
		if err != nil {
			return nil, err
		}
		if path.Ext(f.Path) != ".json" {
			continue
		}
		data, err := store.Get(ctx, f.Path)
		if err != nil {
			return nil, err
		}
		for line := range bytes.Lines(data) {
			var a struct {
				Add        *delta.Add
				CommitInfo *delta.CommitInfo
			}
			if err := json.Unmarshal(line, &a); err != nil {
				return nil, err
			}
			if a.Add != nil {
				named[a.Add.Path] = true // names of ours have nothing that is encoded
			}
			if a.CommitInfo != nil && a.CommitInfo.Operation == "OPTIMIZE" {
				v.rewrites++
			}
		}
	}
	return named, nil
}

func readFile(store lake.Store, name string, sch *schema.Struct, report func(string, ...any), row func(id int64)) error {
	r, err := store.Open(context.Background(), name)
	if err != nil {
		return err
	}
	defer r.Close()
	return parquetfile.ReadChunks(r, r.Size(), sch, -1, func(c *column.Chunk) error {
		for i, id := range c.Cols[0].I64 {
			row(id)
			if pad := string(c.Cols[len(c.Cols)-1].BytesAt(i)); pad != padOf(id) {
				report("%s came with %.20q, was sent with %.20q", nameOf(id), pad, padOf(id))
			}
		}
		return nil
	})
}
