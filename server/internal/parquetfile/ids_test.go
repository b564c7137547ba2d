package parquetfile

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"

	"github.com/zerobus-go/zerobus/schema"
	"github.com/zerobus-go/zerobus/server/internal/column"
)

// numbered gives the fields of all levels ids, depth first above last, and names of their own. It returns the last id.
func numbered(fields []schema.Field, last int, byID bool) int {
	var within func(t *schema.Type)
	within = func(t *schema.Type) {
		if t != nil {
			last = numbered(t.Fields, last, byID)
			within(t.Key)
			within(t.Elem)
		}
	}
	for i := range fields {
		f := &fields[i]
		last++
		f.Name = fmt.Sprint("col-", last)
		f.Metadata = map[string]string{FieldIDKey: fmt.Sprint(last)}
		if byID {
			f.Metadata[ByIDKey] = "true"
		}
		within(&f.Type)
	}
	return last
}

// idsOf are the field ids of a file, by path.
func idsOf(t testing.TB, file []byte) map[string]int {
	ids := map[string]int{}
	var look func(c *parquet.Column, path string)
	look = func(c *parquet.Column, path string) {
		for _, k := range c.Columns() {
			p := strings.TrimPrefix(path+"."+k.Name(), ".")
			if k.ID() != 0 {
				ids[p] = k.ID()
			}
			look(k, p)
		}
	}
	look(openFile(t, file).Root(), "")
	return ids
}

// Delta PROTOCOL.md, "Writer Requirements for Column Mapping": the id of a column is the field_id of the Parquet schema, at every level.
// "Writer Requirements for IcebergCompatV2": elements, keys and values have those that the nearest field above keeps for them.
func TestWrite_FieldIDs(t *testing.T) {
	table := tableOf(t, "a INT, s STRUCT<x: STRING, y: STRUCT<z: DECIMAL(20,2)>>, l ARRAY<STRUCT<q: DATE>>, m MAP<STRING, ARRAY<STRUCT<r: INT>>>, v VARIANT")
	numbered(table.Fields, 0, false)
	table.Fields[3].Metadata[NestedIDsKey] = `{"col-8.key":101,"col-8.value":102,"col-8.value.element":103}`
	table.Fields[2].Metadata[NestedIDsKey] = `{"col-6.element":100,"col-6.key":7777}`
	c := joined(t, table)
	for i := range c.Cols {
		c.Cols[i].AppendNull()
	}
	c.EndRow(make([]bool, len(c.Cols)))
	file, _ := write(t, table, Options{}, c)
	want := map[string]int{
		"col-1": 1, "col-2": 2, "col-2.col-3": 3, "col-2.col-4": 4, "col-2.col-4.col-5": 5,
		"col-6": 6, "col-6.list.element": 100, "col-6.list.element.col-7": 7,
		"col-8": 8, "col-8.key_value.key": 101, "col-8.key_value.value": 102, "col-8.key_value.value.list.element": 103,
		"col-8.key_value.value.list.element.col-9": 9, "col-10": 10,
	}
	if got := idsOf(t, file); !maps.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	file, _ = write(t, tableOf(t, "a INT"), Options{}, &column.Chunk{Rows: 1})
	if got := idsOf(t, file); len(got) > 0 {
		t.Errorf("a table without ids has the ids %v in a file", got)
	}
}

// Delta PROTOCOL.md, "Reader Requirements for Column Mapping": in mode id columns are found by field_id, what a file does not have is
// null, and a file without any id is refused; in mode name ids mean nothing.
func TestRead_ByID(t *testing.T) {
	written := tableOf(t, "a INT, s STRUCT<x: STRING, y: STRING>, l ARRAY<STRUCT<q: INT, r: INT>>, b INT")
	ids := func(byID bool) *schema.Struct {
		s := tableOf(t, "a INT, s STRUCT<x: STRING, y: STRING>, l ARRAY<STRUCT<q: INT, r: INT>>, b INT")
		numbered(s.Fields, 0, byID)
		return s
	}
	c := joined(t, written)
	c.Cols[0].AppendInt32(1)
	c.Cols[1].Kids[0].AppendString("x")
	c.Cols[1].Kids[1].AppendString("y")
	c.Cols[1].EndStruct()
	for i := range int32(2) {
		c.Cols[2].Kids[0].Kids[0].AppendInt32(10 + i)
		c.Cols[2].Kids[0].Kids[1].AppendInt32(20 + i)
		c.Cols[2].Kids[0].EndStruct()
	}
	c.Cols[2].EndList()
	c.Cols[3].AppendInt32(4)
	c.EndRow(make([]bool, 4))
	file, _ := write(t, ids(true), Options{}, c)

	read := func(s *schema.Struct) string {
		rows, err := readRows(s, file)
		if err != nil {
			return err.Error()
		}
		return fmt.Sprint(rows[0]...)
	}
	const whole = "1 [{col-3 x} {col-4 y}] [[{col-6 10} {col-7 20}] [{col-6 11} {col-7 21}]] 4"
	if got := read(ids(true)); got != whole {
		t.Errorf("got %s, want %s", got, whole)
	}
	// Names have changed places, columns too.
	moved := ids(true)
	slices.Reverse(moved.Fields)
	moved.Fields[0].Name, moved.Fields[3].Name = moved.Fields[3].Name, moved.Fields[0].Name
	in := moved.Fields[1].Type.Elem.Fields
	in[0].Name, in[1].Name = in[1].Name, in[0].Name
	slices.Reverse(moved.Fields[2].Type.Fields)
	if got, want := read(moved), "4 [[{col-7 10} {col-6 20}] [{col-7 11} {col-6 21}]] [{col-4 y} {col-3 x}] 1"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	// Other columns under the old names.
	other := ids(true)
	other.Fields[0].Metadata[FieldIDKey] = "90"
	other.Fields[1].Type.Fields[1].Metadata[FieldIDKey] = "91"
	if got, want := read(other), "<nil> [{col-3 x} {col-4 <nil>}] [[{col-6 10} {col-7 20}] [{col-6 11} {col-7 21}]] 4"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	// By name, with ids that are of others.
	named := ids(false)
	named.Fields[0].Metadata[FieldIDKey], named.Fields[3].Metadata[FieldIDKey] = "8", "1"
	if got := read(named); got != whole {
		t.Errorf("got %s, want %s", got, whole)
	}
	file, _ = write(t, written, Options{}, c)
	if got := read(ids(true)); !strings.Contains(got, "no field ids") {
		t.Errorf("got %s, want an error", got)
	}
}

func TestWrite_RefusesIDsThatAreNone(t *testing.T) {
	for _, metadata := range []map[string]string{
		{FieldIDKey: "0"},
		{FieldIDKey: "-1"},
		{FieldIDKey: "2147483648"},
		{FieldIDKey: `"1"`},
		{FieldIDKey: "1.0"},
		{FieldIDKey: "1", NestedIDsKey: "[]"},
		{NestedIDsKey: `{"a":"b"}`},
		{ByIDKey: "true"},
	} {
		inside := tableOf(t, "s STRUCT<a: INT>")
		inside.Fields[0].Type.Fields[0].Metadata = metadata
		top := tableOf(t, "a INT")
		top.Fields[0].Metadata = metadata
		for _, table := range []*schema.Struct{top, inside} {
			if _, err := treeOf(table); err == nil || !strings.Contains(err.Error(), " a: parquet.field.") {
				t.Errorf("%v: error %v", metadata, err)
			}
		}
	}
}

// Delta PROTOCOL.md, "Per-file Statistics", with the columns that the table's properties and its clustering name.
func TestStats_ColumnsByName(t *testing.T) {
	table := tableOf(t, "a INT, s STRUCT<x: INT, `y.z`: STRUCT<w: INT, v: INT>, l ARRAY<INT>>, m MAP<STRING, INT>, b INT")
	c := joined(t, table)
	c.Cols[0].AppendInt32(1)
	s := &c.Cols[1]
	s.Kids[0].AppendInt32(2)
	s.Kids[1].Kids[0].AppendInt32(3)
	s.Kids[1].Kids[1].AppendInt32(4)
	s.Kids[1].EndStruct()
	s.Kids[2].AppendNull()
	s.EndStruct()
	c.Cols[2].EndList()
	c.Cols[3].AppendInt32(5)
	c.EndRow(make([]bool, 4))
	for _, x := range []struct {
		name       string
		o          Options
		min, nulls string
	}{
		{"none", Options{StatsColumns: [][]string{}}, `{}`, `{}`},
		{"one", Options{StatsColumns: [][]string{{"b"}}, IndexedColumns: -1}, `{"b":5}`, `{"b":0}`},
		{"of a struct", Options{StatsColumns: [][]string{{"s", "y.z", "v"}, {"s", "x"}}}, `{"s":{"x":2,"y.z":{"v":4}}}`, `{"s":{"x":0,"y.z":{"v":0}}}`},
		{"a struct", Options{StatsColumns: [][]string{{"s"}}}, `{"s":{"x":2,"y.z":{"w":3,"v":4}}}`, `{"s":{"x":0,"y.z":{"w":0,"v":0},"l":1}}`},
		{"a map, and in it", Options{StatsColumns: [][]string{{"m"}, {"s", "l", "element"}, {"m", "key"}, {"a", "b"}, {"c"}}}, `{}`, `{"m":0}`},
		{"clustered", Options{IndexedColumns: 1, ClusteringColumns: [][]string{{"b"}, {"s", "y.z", "w"}}}, `{"a":1,"s":{"y.z":{"w":3}},"b":5}`, `{"a":0,"s":{"y.z":{"w":0}},"b":0}`},
		{"clustered and by name", Options{StatsColumns: [][]string{{"a"}}, ClusteringColumns: [][]string{{"b"}}}, `{"a":1,"b":5}`, `{"a":0,"b":0}`},
	} {
		_, r := write(t, table, x.o, c)
		want := `{"numRecords":1,"minValues":` + x.min + `,"maxValues":` + x.min + `,"nullCount":` + x.nulls + `}`
		if r.Stats != want {
			t.Errorf("%s:\ngot  %s\nwant %s", x.name, r.Stats, want)
		}
	}
}

func TestRow_HasTheNamesOfTheTable(t *testing.T) {
	stored, shown := tableOf(t, "p STRUCT<q: INT>"), tableOf(t, "a STRUCT<b: INT>")
	c := joined(t, stored)
	c.Cols[0].Kids[0].AppendInt32(7)
	c.Cols[0].EndStruct()
	c.EndRow(make([]bool, 1))
	if got, want := Row(c, shown, 0), []any{Struct{{"b", int32(7)}}}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
