package tablecheck

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/zerobus-go/zerobus/server/internal/delta"
)

func nan() float64         { return math.NaN() }
func inf(sign int) float64 { return math.Inf(sign) }

// spec/delta.md §9.3. The figures of a good file are changed one after the other.
func TestCheck_DT03_StatisticsAreWhatTheValuesSay(t *testing.T) {
	const table = `(i8 TINYINT, i BIGINT, f FLOAT, d DOUBLE, e DECIMAL(38,2), s STRING, day DATE, ts TIMESTAMP, ntz TIMESTAMP_NTZ, b BOOLEAN, n STRUCT<x: STRUCT<y: INT>>,
		a ARRAY<INT>, m MAP<STRING, INT>, v VARIANT, none INT)`
	rows := []string{
		`{"i8":1,"i":10,"f":0.1,"d":1.5,"e":"1.00","s":"b","day":1,"ts":1500,"ntz":1500,"b":false,"n":{"x":{"y":1}},"a":[1],"m":{},"v":"1"}`,
		`{"i8":2,"i":9007199254740993,"f":0.2,"d":2.5,"e":"123456789012345678901234567890123456.78","s":"bcd","day":2,"ts":2500,"ntz":2500,"b":true,"n":{"x":{"y":2}},"a":[],"m":{"k":1},"v":"2"}`,
		`{"n":{}}`,
		`{}`,
	}
	const at = "statistics: version 1: file f.parquet: "
	for _, c := range []struct {
		figure string // path in the statistics
		value  string // JSON; empty to take it out
		want   string // empty: none
	}{
		{"numRecords", "5", "numRecords is 5, the file has 4 rows"},
		{"numRecords", "", ""},
		{"nullCount.i", "1", "column i: nullCount is 1, want 2"},
		{"nullCount.i", `"x"`, `column i: nullCount is "x", want a number`},
		{"nullCount.n.x.y", "1", "column n.x.y: nullCount is 1, want 2"},
		{"nullCount.a", "1", "column a: nullCount is 1, want 2"},
		{"nullCount.m", "3", "column m: nullCount is 3, want 2"},
		{"nullCount.v", "0", "column v: nullCount is 0, want 2"},
		{"nullCount.none", "3", "column none: nullCount is 3, want 4"},
		{"nullCount.n", "3", "column n: nullCount is 3, want an object"},
		{"minValues.i8", "0", "column i8: minValues is 0, want 1, the bound is not exact"},
		{"minValues.i", "11", "column i: minValues is 11, the file has the lesser value 10"},
		{"maxValues.i", "9007199254740992", "the file has the greater value 9007199254740993"},
		{"maxValues.i", "9007199254740994", "not exact"},
		{"maxValues.i", "9007199254740993.0", ""},
		{"maxValues.n.x.y", "1", "column n.x.y: maxValues is 1, the file has the greater value 2"},
		{"minValues.f", "0.1", ""}, // as a FLOAT it is the same
		{"minValues.f", "0.11", "column f: minValues is 0.11, the file has the lesser value 0.1"},
		{"maxValues.f", "0.3", "not exact"},
		{"maxValues.d", "2.4", "greater value 2.5"},
		{"maxValues.d", `"NaN"`, "the file has no NaN"},
		{"minValues.d", `"NaN"`, "lesser value 1.5"},
		{"minValues.d", `"-Infinity"`, "not exact"},
		{"maxValues.e", "123456789012345678901234567890123456.77", "greater value 123456789012345678901234567890123456.78"},
		{"maxValues.e", "123456789012345678901234567890123456.79", ""}, // a bound, and the same double
		{"minValues.e", "0.99", "not exact"},
		{"minValues.e", `"1.00"`, ""},
		{"minValues.s", `"c"`, `column s: minValues is "c", the file has the lesser value "b"`},
		{"minValues.s", `"a"`, "no beginning of"},
		{"minValues.s", `""`, ""},
		{"maxValues.s", `"bcc"`, `the file has the greater value "bcd"`},
		{"maxValues.s", `"bd"`, ""},
		{"maxValues.s", `"bcde"`, ""},
		{"maxValues.s", `"zz"`, "no beginning of"},
		{"minValues.day", `"1970-01-03"`, "lesser value 1970-01-02"},
		{"maxValues.day", `"1970-01-04"`, "not exact"},
		{"minValues.ts", `"1970-01-01T00:00:00.002Z"`, "lesser value 1970-01-01T00:00:00.001500"},
		{"minValues.ts", `"1970-01-01T00:00:00.001500Z"`, ""},
		{"minValues.ts", `"1970-01-01T00:00:00.000Z"`, "not exact"},
		{"maxValues.ts", `"1970-01-01T00:00:00.002Z"`, ""}, // readers add what was cut off
		{"maxValues.ts", `"1970-01-01T00:00:00.001Z"`, "greater value 1970-01-01T00:00:00.002500"},
		{"maxValues.ts", `"1970-01-01T00:00:00.002000Z"`, "greater value"},
		{"maxValues.ts", `"1970-01-01T01:00:00.003+01:00"`, ""},
		{"maxValues.ntz", `"1970-01-01T00:00:00.004"`, "not exact"},
		{"minValues.b", "false", ""},
		{"minValues.b", "true", "lesser value false"},
		{"maxValues.b", "false", "greater value true"},
		{"minValues.none", "1", ""}, // of nulls alone it says nothing
		{"minValues.gone", "1", ""},
	} {
		t.Run(c.figure+" "+c.value, func(t *testing.T) {
			b := build(t, table)
			res := b.put("f.parquet", b.schema(), chunk(t, b.schema(), rows...))
			b.addFile(delta.Add{Path: "f.parquet", Stats: changed(t, res.Stats, c.figure, c.value)})
			if c.want == "" {
				b.wantSound(Options{})
				return
			}
			r := b.check(Options{})
			if len(r.Faults) != 1 || !strings.HasPrefix(r.Faults[0].String(), at) || !strings.Contains(r.Faults[0].String(), c.want) {
				t.Errorf("faults %v, want %s", r.Faults, c.want)
			}
		})
	}
}

// changed sets one figure of statistics.
func changed(t *testing.T, stats, figure, value string) string {
	t.Helper()
	var all map[string]any
	d := json.NewDecoder(strings.NewReader(stats))
	d.UseNumber()
	if err := d.Decode(&all); err != nil {
		t.Fatal(err)
	}
	at := all
	names := strings.Split(figure, ".")
	for _, n := range names[:len(names)-1] {
		inside, ok := at[n].(map[string]any)
		if !ok {
			t.Fatalf("%s has no %s", stats, n)
		}
		at = inside
	}
	if value == "" {
		delete(at, names[len(names)-1])
	} else {
		at[names[len(names)-1]] = json.RawMessage(value)
	}
	out, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// PROTOCOL.md, "Per-file Statistics": wide bounds need not be exact, and numRecords counts the rows of the file.
func TestCheck_DT03_WideBoundsAndDeletionVectors(t *testing.T) {
	const vector = "ab/deletion_vector_d2c639aa-8816-431a-aaf6-d3fe2512ff61.bin"
	dv := &delta.DeletionVector{StorageType: "u", PathOrInlineDV: "ab^-aqEH.-t@S}K{vb[*k^", SizeInBytes: 40, Cardinality: 1}
	for _, c := range []struct {
		stats string
		dv    *delta.DeletionVector
		want  string // a fault, or what was not checked
	}{
		{`{"numRecords":3,"tightBounds":false,"minValues":{"i":0},"maxValues":{"i":9},"nullCount":{"i":2}}`, dv, ""},
		{`{"numRecords":3,"tightBounds":false,"minValues":{"i":0},"maxValues":{"i":9},"nullCount":{"i":2}}`, nil, ""},
		{`{"numRecords":2,"tightBounds":false}`, dv, "numRecords is 2, the file has 3 rows"},
		{`{"tightBounds":false}`, dv, "numRecords is missing"},
		{`{"numRecords":3,"tightBounds":false,"minValues":{"i":2}}`, dv, "lesser value 1"},
		{`{"numRecords":3,"tightBounds":false,"nullCount":{"i":0}}`, dv, "nullCount is 0, want 1"},
		{`{"numRecords":3,"tightBounds":false,"nullCount":{"i":3}}`, dv, "nullCount is 3, want 1"},
		{`{"numRecords":3,"minValues":{"i":2}}`, dv, "a deletion vector has left"},
		{`{"numRecords":3}`, dv, ""},
		{`{"numRecords"`, nil, "cannot be read"},
	} {
		b := build(t, "(i INT)")
		must(t, b.store.Put(t.Context(), vector, []byte("v")))
		b.put("f.parquet", b.schema(), chunk(t, b.schema(), `{"i":1}`, `{"i":2}`, `{}`))
		b.addFile(delta.Add{Path: "f.parquet", Stats: c.stats, DeletionVector: c.dv})
		r := b.check(Options{})
		got := fmt.Sprint(r.Faults, r.Unchecked)
		if r.Sound != (c.want == "") || !strings.Contains(got, c.want) || len(r.Faults)+len(r.Unchecked) > 1 {
			t.Errorf("%s: %s, want %s", c.stats, got, c.want)
		}
	}
}

// A greatest number without NaN has readers pass over files, for they hold NaN greater than all numbers.
func TestCheck_DT03_NaN(t *testing.T) {
	for _, c := range []struct{ stats, want string }{
		{`{"numRecords":3,"minValues":{"d":1}}`, ""},
		{`{"numRecords":3,"minValues":{"d":1},"maxValues":{"d":"NaN"}}`, ""},
		{`{"numRecords":3,"maxValues":{"d":2}}`, "the file has NaN, which is greater"},
		{`{"numRecords":3,"maxValues":{"d":"some"}}`, "a form that is not read"},
	} {
		b := build(t, "(d DOUBLE)")
		ch := chunk(t, b.schema(), `{"d":1}`, `{"d":2}`, `{"d":3}`)
		ch.Cols[0].F64[2] = nan()
		b.put("f.parquet", b.schema(), ch)
		b.addFile(delta.Add{Path: "f.parquet", Stats: c.stats})
		r := b.check(Options{})
		if got := fmt.Sprint(r.Faults, r.Unchecked); r.Sound != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: %s, want %s", c.stats, got, c.want)
		}
	}
}
