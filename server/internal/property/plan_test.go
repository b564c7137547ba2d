package main

import (
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/zerobus-go/zerobus/schema"
)

func planOf(t testing.TB, seed uint64) *plan {
	t.Helper()
	p, err := newPlan(seed, "main.default.t")
	if err != nil {
		t.Fatalf("seed %d: %v", seed, err)
	}
	return p
}

func TestPlan_ComesOfTheSeed(t *testing.T) {
	records := func(p *plan) (all [][][]byte) {
		for _, s := range p.streams {
			var of [][]byte
			for _, r := range s.rows {
				of = append(of, r.record)
			}
			all = append(all, of)
		}
		return all
	}
	for seed := range uint64(100) {
		a, b := planOf(t, seed), planOf(t, seed)
		if a.table.DDL() != b.table.DDL() || a.together != b.together {
			t.Fatalf("seed %d: the tables differ", seed)
		}
		if !reflect.DeepEqual(records(a), records(b)) {
			t.Fatalf("seed %d: the records differ", seed)
		}
	}
}

func TestPlan_TablesCanBeMade(t *testing.T) {
	for seed := range uint64(500) {
		p := planOf(t, seed)
		back, err := schema.ParseCreateTable(p.table.DDL())
		if err != nil {
			t.Fatalf("seed %d: %v\n%s", seed, err, p.table.DDL())
		}
		if !reflect.DeepEqual(p.table.Columns, back.Columns) {
			t.Fatalf("seed %d: %s\nbecame\n%s", seed, p.table.DDL(), back.DDL())
		}
	}
}

// features are what 2,000 cases must have, each as often as it takes to mean something.
type features map[string]int

func (f features) note(ok bool, what string) {
	if ok {
		f[what]++
	}
}

func (f features) fields(fields []schema.Field, depth int) {
	for i := range fields {
		f.note(!fields[i].Nullable, "NOT NULL"+strings.Repeat(" inside", min(depth, 1)))
		f.note(fields[i].Comment != "", "comment")
		f.note(slices.Contains(oddNames, fields[i].Name), "odd name")
		f.typ(&fields[i].Type, depth, "column ")
	}
}

func (f features) typ(t *schema.Type, depth int, where string) {
	f[where+t.Kind.String()]++
	f.note(t.Length > 0 && t.Fixed, "CHAR")
	f.note(t.Length > 0 && !t.Fixed, "VARCHAR")
	f.note(depth >= 15, "15 levels")
	switch t.Kind {
	case schema.StructKind:
		f.fields(t.Fields, depth+1)
	case schema.Array:
		f.typ(t.Elem, depth+1, "element ")
	case schema.Map:
		f.typ(t.Key, depth+1, "key ")
		f.typ(t.Elem, depth+1, "value ")
	case schema.Decimal:
		f.note(t.Precision == schema.MaxDecimalPrecision, "DECIMAL(38)")
		f.note(t.Precision == 1, "DECIMAL(1)")
		f.note(t.Scale == t.Precision, "DECIMAL(n,n)")
	}
}

func (f features) value(x any) {
	switch x := x.(type) {
	case nil:
		f["NULL"]++
	case int64:
		f.note(x == math.MinInt64, "least int64")
	case float64:
		f.note(x != x, "NaN")
		f.note(math.IsInf(x, 0), "infinity")
		f.note(x == 0 && math.Signbit(x), "-0.0")
	case string:
		f.note(x == "", "empty text")
		f.note(len(x) > 1000, "long text")
		f.note(strings.ContainsFunc(x, func(r rune) bool { return r > 0xffff }), "surrogate pair")
		f.note(strings.ContainsFunc(x, func(r rune) bool { return unicode.Is(unicode.Mn, r) }), "combining mark")
	case list:
		f.note(len(x) == 0, "empty array")
		for _, e := range x {
			f.note(e == nil, "NULL in an array")
			f.value(e)
		}
	case entries:
		f.note(len(x) == 0, "empty map")
		for _, e := range x {
			f.note(e.value == nil, "NULL in a map")
			f.value(e.value)
		}
	case members:
		for _, m := range x {
			f.value(m)
		}
	}
}

func TestPlan_HasEverything(t *testing.T) {
	const cases = 2000
	f, want := features{}, []string{
		"NOT NULL", "NOT NULL inside", "comment", "odd name", "CHAR", "VARCHAR", "15 levels", "DECIMAL(38)", "DECIMAL(1)", "DECIMAL(n,n)", "more than 32 columns",
		"column variant", "element variant", "value variant", "column struct", "element struct", "value struct", "column array", "element array",
		"value array", "column map", "element map", "value map",
		"NULL", "least int64", "NaN", "infinity", "-0.0", "empty text", "long text", "surrogate pair", "combining mark", "empty array", "NULL in an array",
		"empty map", "NULL in a map",
		"streams at the same time", "commit after a stream", "producer", "batch", "columns that protobuf cannot say", "table without protobuf",
		indexedColumns, "delta.parquet.compression.codec", "delta.checkpointInterval",
	}
	for _, k := range scalarKinds {
		want = append(want, "column "+k.String(), "element "+k.String(), "key "+k.String(), "value "+k.String())
		if k != schema.Binary {
			want = append(want, "partition "+k.String())
		}
	}
	for _, form := range []form{asJSON, asProto, asDescribed} {
		want = append(want, form.String(), form.String()+" refused, with a handler", form.String()+" refused, at the end")
	}
	rows, bad := 0, 0
	for seed := range uint64(cases) {
		p := planOf(t, seed)
		f.fields(p.table.Columns.Fields, 0)
		f.note(len(p.table.Columns.Fields) > 32, "more than 32 columns")
		f.note(p.said == nil, "table without protobuf")
		f.note(p.said != nil && len(p.said.Fields) < len(p.table.Columns.Fields), "columns that protobuf cannot say")
		f.note(p.together && len(p.streams) > 1, "streams at the same time")
		for _, name := range p.table.PartitionBy {
			f["partition "+p.table.Columns.Fields[p.table.Columns.Index(name)].Type.Kind.String()]++
		}
		for name := range p.table.Properties {
			f[name]++
		}
		for _, s := range p.streams {
			f.note(s.flush, "commit after a stream")
			f.note(s.producer != "", "producer")
			f.note(s.batch > 1, "batch")
			for _, r := range s.rows {
				rows++
				if !r.bad {
					f[s.form.String()]++
					f.value(r.values)
					continue
				}
				bad++
				f[s.form.String()+map[bool]string{true: " refused, with a handler", false: " refused, at the end"}[s.reject]]++
			}
		}
	}
	for _, what := range want {
		if f[what] < 10 {
			t.Errorf("%s: %d times in %d cases", what, f[what], cases)
		}
	}
	if bad < rows/40 || bad > rows/12 {
		t.Errorf("%d of %d rows must be refused, expected one of %d", bad, rows, badIn)
	}
	if sent := f["protobuf"] + f["described"]; sent < f["json"]/3 {
		t.Errorf("%d rows are protobuf, %d JSON", sent, f["json"])
	}
}
