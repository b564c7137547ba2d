package tablecheck

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/zerobus-go/zerobus/schema"
)

// stats are the statistics of an add.
type stats struct {
	NumRecords  *int64                     `json:"numRecords"`
	TightBounds *bool                      `json:"tightBounds"`
	MinValues   map[string]json.RawMessage `json:"minValues"`
	MaxValues   map[string]json.RawMessage `json:"maxValues"`
	NullCount   map[string]json.RawMessage `json:"nullCount"`
}

// parseStats reads the statistics of the file; nil when it has none that can be read.
func (f *file) parseStats() *stats {
	if f.add.Stats == "" {
		return nil
	}
	s := &stats{}
	if err := json.Unmarshal([]byte(f.add.Stats), s); err != nil {
		f.fault(Statistics, "", "the statistics cannot be read: %v", err)
		return nil
	}
	return s
}

func (f *file) looked() { f.c.report.result(Statistics).Looked++ }

// compareRows checks numRecords, which counts the rows that a deletion vector has taken out too (PROTOCOL.md, "Per-file Statistics").
func (f *file) compareRows(s *stats) {
	switch {
	case s == nil || s.NumRecords == nil:
		if f.add.DeletionVector != nil {
			f.fault(Statistics, "", "numRecords is missing, which a file with a deletion vector must have")
		}
	case *s.NumRecords != f.rows:
		f.looked()
		f.fault(Statistics, "", "numRecords is %d, the file has %d rows", *s.NumRecords, f.rows)
	default:
		f.looked()
	}
}

// compare checks the figures of the columns.
func (f *file) compare(s *stats, leaves []*leaf) {
	if s == nil {
		return
	}
	tight := s.TightBounds == nil || *s.TightBounds
	if f.add.DeletionVector != nil && tight && len(s.NullCount)+len(s.MinValues)+len(s.MaxValues) > 0 {
		// They are about the rows that are left.
		f.unchecked(Statistics, "", "the bounds are those of the rows that a deletion vector has left, which is not read here")
		return
	}
	w := &comparison{f: f, tight: tight}
	w.measures = map[*field]*measure{}
	w.extremes = map[*field]*extremes{}
	for _, l := range leaves {
		for i := range l.measured {
			if m := &l.measured[i]; m.outer {
				w.measures[m.col] = m
				if l.col == m.col {
					w.extremes[m.col] = &l.extremes
				}
			}
		}
	}
	var columns []*field
	for _, c := range f.c.columns {
		if !c.key {
			columns = append(columns, c)
		}
	}
	w.nulls(columns, s.NullCount)
	w.bounds(columns, s.MinValues, false)
	w.bounds(columns, s.MaxValues, true)
}

// comparison is that of the statistics of one file.
type comparison struct {
	f        *file
	tight    bool
	measures map[*field]*measure  // of columns that the file has
	extremes map[*field]*extremes // of those that are scalars
}

// each calls visit for the columns that the statistics have, those of structs included.
func (w *comparison) each(columns []*field, values map[string]json.RawMessage, name string, visit func(*field, json.RawMessage)) {
	for _, c := range columns {
		raw, ok := values[c.name]
		if !ok && c.logical != c.name {
			if _, ok := values[c.logical]; ok && !slices.ContainsFunc(columns, func(o *field) bool { return o.name == c.logical }) {
				w.f.fault(Statistics, c.path, "%s has it by its name in the table, files know it as %s", name, c.name)
			}
		}
		if !ok || string(raw) == "null" {
			continue
		}
		if c.typ.Kind != schema.StructKind {
			visit(c, raw)
			continue
		}
		var inside map[string]json.RawMessage
		if err := json.Unmarshal(raw, &inside); err != nil {
			w.f.fault(Statistics, c.path, "%s is %.100s, want an object", name, raw)
			continue
		}
		w.each(c.kids, inside, name, visit)
	}
}

func (w *comparison) nulls(columns []*field, values map[string]json.RawMessage) {
	w.each(columns, values, "nullCount", func(c *field, raw json.RawMessage) {
		var got int64
		if err := json.Unmarshal(raw, &got); err != nil {
			w.f.fault(Statistics, c.path, "nullCount is %.100s, want a number", raw)
			return
		}
		want := w.f.rows // of a column that the file has not
		if m := w.measures[c]; m != nil {
			want = m.nulls
		} else if w.f.refused[c] {
			w.f.unchecked(Statistics, c.path, "nullCount of a column whose form is not read")
			return
		}
		w.f.looked()
		// Wide ones mean something in two cases alone (PROTOCOL.md, "Per-file Statistics").
		if got != want && (w.tight || got == 0 || got == w.f.rows) {
			w.f.fault(Statistics, c.path, "nullCount is %d, want %d", got, want)
		}
	})
}

func (w *comparison) bounds(columns []*field, values map[string]json.RawMessage, upper bool) {
	name := "minValues"
	if upper {
		name = "maxValues"
	}
	w.each(columns, values, name, func(c *field, raw json.RawMessage) {
		m, x := w.measures[c], w.extremes[c]
		switch {
		case m == nil && w.f.refused[c]: // which is a fault of its own
			return
		case m == nil: // all are null, of which a bound says nothing
			return
		case x == nil || m.skipped:
			w.f.unchecked(Statistics, c.path, "%s of a column whose values are not compared", name)
			return
		}
		fault, read := x.bound(c.typ, raw, upper, w.tight)
		switch {
		case !read:
			w.f.unchecked(Statistics, c.path, "%s is %.100s, a form that is not read", name, raw)
		case fault != "":
			w.f.looked()
			w.f.fault(Statistics, c.path, "%s is %.200s, %s", name, raw, fault)
		default:
			w.f.looked()
		}
	})
}

// bound tells what is wrong with a bound of the values. read is false when the bound's form is not known.
func (x *extremes) bound(t *schema.Type, raw json.RawMessage, upper, tight bool) (fault string, read bool) {
	if !x.some && !x.nan {
		return "", true // of no values it says nothing
	}
	switch t.Kind {
	case schema.Float, schema.Double:
		return x.floatBound(t, raw, upper, tight)
	case schema.Decimal:
		return x.decimalBound(t, raw, upper, tight)
	case schema.String:
		return x.textBound(raw, upper, tight)
	case schema.Date:
		return x.dateBound(raw, upper, tight)
	case schema.Timestamp, schema.TimestampNTZ:
		return x.timeBound(raw, upper, tight)
	case schema.Binary:
		return "", false
	}
	return x.intBound(t, raw, upper, tight)
}

// verdict puts a comparison into words: of a bound with the value that it is to be a bound of.
func verdict(cmp int, upper, tight bool, value string) string {
	switch {
	case upper && cmp < 0:
		return "the file has the greater value " + value
	case !upper && cmp > 0:
		return "the file has the lesser value " + value
	case tight && cmp != 0:
		return "want " + value + ", the bound is not exact"
	}
	return ""
}

func (x *extremes) textBound(raw json.RawMessage, upper, tight bool) (string, bool) {
	var got string
	if json.Unmarshal(raw, &got) != nil {
		return "", false
	}
	value := pick(x.leastB, x.mostB, upper)
	text := fmt.Sprintf("%.100q", value)
	cmp := bytes.Compare([]byte(got), value)
	if fault := verdict(cmp, upper, false, text); fault != "" {
		return fault, true
	}
	if tight && cmp != 0 && !cut([]byte(got), value, upper) {
		return "want " + text + ", which it is no beginning of", true
	}
	return "", true
}

// cut tells whether a bound may come of a value that was cut: a minimum is its beginning, a maximum its beginning with one
// character behind it, or in the place of its last one, that makes it greater.
func cut(bound, value []byte, upper bool) bool {
	if upper {
		bound = bound[:len(bound)-lastRune(bound)]
	}
	return bytes.HasPrefix(value, bound)
}

func pick[T any](least, most T, upper bool) T {
	if upper {
		return most
	}
	return least
}
