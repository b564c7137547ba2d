package parquetfile

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/parquet-go/parquet-go"
	"pgregory.net/rapid"

	"github.com/zerobus-go/zerobus/schema"
	"github.com/zerobus-go/zerobus/server/internal/column"
	"github.com/zerobus-go/zerobus/server/internal/variant"
)

func readRows(table *schema.Struct, file []byte) (rows [][]any, err error) {
	err = Read(bytes.NewReader(file), int64(len(file)), table, -1, func(values []any) error {
		rows = append(rows, values)
		return nil
	})
	return rows, err
}

func TestNestedRead_GoValues(t *testing.T) {
	table := tableOf(t, "s STRUCT<d: DATE, n: DECIMAL(5,2)>, l ARRAY<BINARY>, m MAP<STRING, INT>, v VARIANT")
	c := joined(t, table)
	s, l, m, v := &c.Cols[0], &c.Cols[1], &c.Cols[2], &c.Cols[3]
	s.Kids[0].AppendInt32(1)
	s.Kids[1].AppendNull()
	s.EndStruct()
	l.Kids[0].AppendBytes([]byte{1})
	l.Kids[0].AppendNull()
	l.EndList()
	for i := range 2 {
		m.Kids[0].AppendString("twice")
		m.Kids[1].AppendInt32(int32(i))
	}
	m.EndList()
	metadata, value, reason := variant.Append(nil, nil, []byte(`{"b":[1,null,"x"],"a":true}`))
	if reason != "" {
		t.Fatal(reason)
	}
	v.Kids[column.VariantMetadata].AppendBytes(metadata)
	v.Kids[column.VariantValue].AppendBytes(value)
	v.EndStruct()
	c.Rows = 1
	c.EndRow(make([]bool, 4))
	l.Truncate(1)
	l.EndList()
	for _, bad := range []string{"\x2c\x01\x00\x00\x00", "\xff"} { // a DATE, and what is no variant
		v.Kids[column.VariantMetadata].AppendString("\x01\x00\x00")
		v.Kids[column.VariantValue].AppendString(bad)
		v.EndStruct()
		c.EndRow(make([]bool, 4))
	}
	file, _ := write(t, table, Options{}, c)
	got, err := readRows(table, file)
	if err != nil {
		t.Fatal(err)
	}
	want := [][]any{
		{
			Struct{{"d", time.Date(1970, 1, 2, 0, 0, 0, 0, time.UTC)}, {"n", nil}},
			[]any{[]byte{1}, nil},
			Map{{"twice", int32(0)}, {"twice", int32(1)}},
			json.RawMessage(`{"a":true,"b":[1,null,"x"]}`),
		},
		{nil, []any{}, nil, nil},
		{nil, nil, nil, Variant{[]byte("\x01\x00\x00"), []byte("\x2c\x01\x00\x00\x00")}},
		{nil, nil, nil, Variant{[]byte("\x01\x00\x00"), []byte("\xff")}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// annotated is a group with the annotation of another node.
type annotated struct {
	parquet.Group
	of parquet.Node
}

func (a annotated) Type() parquet.Type { return a.of.Type() }

var (
	number   = parquet.Leaf(parquet.Int32Type)
	optional = parquet.Optional(number)
	pair     = parquet.Group{"a": optional, "b": optional}
)

func listOf(repeated string, n parquet.Node) parquet.Node {
	return annotated{parquet.Group{repeated: parquet.Repeated(n)}, parquet.List(number)}
}

func mapOf(g parquet.Group) parquet.Node { return annotated{g, parquet.Map(number, number)} }

// fileOf writes rows by their values: those of a column have its index, and definition and repetition levels.
func fileOf(t testing.TB, root parquet.Group, rows ...parquet.Row) []byte {
	t.Helper()
	var b bytes.Buffer
	w := parquet.NewWriter(&b, parquet.NewSchema("schema", root))
	if _, err := w.WriteRows(rows); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// at is a number, or a null where x is 0, with its column, repetition and definition level.
func at(x, column, repetition, definition int) parquet.Value {
	if x == 0 {
		return parquet.NullValue().Level(repetition, definition, column)
	}
	return parquet.Int32Value(int32(x)).Level(repetition, definition, column)
}

// LogicalTypes.md, "Backward-compatibility rules" of lists and maps: two levels, other names.
func TestNestedRead_ListsAndMapsOfOtherWriters(t *testing.T) {
	two := func(x any) any { return []any{x, int32(2)} }
	ab := func(a, b any) Struct { return Struct{{"a", a}, {"b", b}} }
	for name, test := range map[string]struct {
		typ  string
		node parquet.Node
		row  parquet.Row
		want any
	}{
		"repeated primitive":     {"array<int>", listOf("element", number), parquet.Row{at(1, 0, 0, 2), at(2, 0, 1, 2)}, two(int32(1))},
		"Hive's bag":             {"array<int>", listOf("bag", parquet.Group{"array_element": optional}), parquet.Row{at(0, 0, 0, 2), at(2, 0, 1, 3)}, two(nil)},
		"old name of an element": {"array<int>", listOf("list", parquet.Group{"item": optional}), parquet.Row{at(1, 0, 0, 3), at(2, 0, 1, 3)}, two(int32(1))},
		"repeated group of two": {
			"array<struct<a:int,b:int>>", listOf("element", pair),
			parquet.Row{at(1, 0, 0, 3), at(0, 0, 1, 2), at(2, 1, 0, 3), at(3, 1, 1, 3)},
			[]any{ab(int32(1), int32(2)), ab(nil, int32(3))},
		},
		"Avro's array":        {"array<struct<a:int,b:int>>", listOf("array", parquet.Group{"a": optional}), parquet.Row{at(1, 0, 0, 3)}, []any{ab(int32(1), nil)}},
		"Thrift's tuple":      {"array<struct<a:int,b:int>>", listOf("c_tuple", parquet.Group{"b": optional}), parquet.Row{at(1, 0, 0, 3)}, []any{ab(nil, int32(1))}},
		"list of no elements": {"array<int>", listOf("element", number), parquet.Row{at(0, 0, 0, 1)}, []any{}},
		"map of other names": {
			"map<int,int>", mapOf(parquet.Group{"map": parquet.Repeated(parquet.Group{"k": number, "v": optional})}),
			parquet.Row{at(1, 0, 0, 2), at(2, 0, 1, 2), at(0, 1, 0, 2), at(3, 1, 1, 3)},
			Map{{int32(1), nil}, {int32(2), int32(3)}},
		},
		"map without values": {
			"map<int,int>", mapOf(parquet.Group{"key_value": parquet.Repeated(parquet.Group{"key": number})}),
			parquet.Row{at(1, 0, 0, 2)},
			Map{{int32(1), nil}},
		},
		"struct of other fields": {"struct<x:int>", parquet.Group{"a": number, "l": parquet.Repeated(number)}, parquet.Row{at(1, 0, 0, 1), at(1, 1, 0, 2), at(2, 1, 1, 2)}, Struct{{"x", nil}}},
		"elements of other fields": {
			"array<struct<x:int>>", listOf("list", parquet.Group{"element": parquet.Optional(parquet.Group{"l": parquet.Repeated(number)})}),
			parquet.Row{at(0, 0, 0, 2), at(0, 0, 1, 3), at(1, 0, 1, 4), at(2, 0, 2, 4)},
			[]any{nil, Struct{{"x", nil}}, Struct{{"x", nil}}},
		},
		"required throughout": {"struct<b:int,a:int>", nil, parquet.Row{at(1, 0, 0, 0), at(2, 1, 0, 0)}, Struct{{"b", int32(2)}, {"a", int32(1)}}},
	} {
		t.Run(name, func(t *testing.T) {
			node := parquet.Node(parquet.Group{"a": number, "b": number})
			if test.node != nil {
				node = parquet.Optional(test.node)
			}
			file := fileOf(t, parquet.Group{"c": node, "d": number}, append(test.row, at(9, 1+test.row[len(test.row)-1].Column(), 0, 0)))
			got, err := readRows(one(test.typ), file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([][]any{{test.want}}, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestNestedRead_OtherShapesAreErrors(t *testing.T) {
	bytesLeaf := parquet.Leaf(parquet.ByteArrayType)
	for name, test := range map[string]struct {
		typ  string
		node parquet.Node
		want string
	}{
		"number for a struct":         {"struct<a:int>", number, "column c is not nested in the file, expected struct<a:int>"},
		"struct for a number":         {"int", pair, "column c is nested in the file, expected int"},
		"repeated number":             {"int", parquet.Repeated(number), "column c is repeated"},
		"repeated struct":             {"struct<a:int>", parquet.Repeated(pair), "column c is repeated"},
		"struct for a list":           {"array<int>", pair, "column c is no list"},
		"list for a struct":           {"struct<list:int>", listOf("list", number), "column c is a LIST"},
		"list for a map":              {"map<int,int>", listOf("list", number), "column c is no map"},
		"map for a list":              {"array<int>", parquet.Map(number, number), "column c is no list"},
		"list of two fields":          {"array<int>", annotated{pair, parquet.List(number)}, "column c is a list of unknown form"},
		"list that does not repeat":   {"array<int>", annotated{parquet.Group{"list": pair}, parquet.List(number)}, "column c is a list of unknown form"},
		"map that does not repeat":    {"map<int,int>", mapOf(pair), "column c is a map of unknown form"},
		"map of three":                {"map<int,int>", mapOf(parquet.Group{"m": parquet.Repeated(parquet.Group{"a": number, "b": number, "c": number})}), "column c is a map of unknown form"},
		"map of numbers":              {"map<int,int>", mapOf(parquet.Group{"m": parquet.Repeated(number)}), "column c is a map of unknown form"},
		"other element":               {"array<bigint>", listOf("list", parquet.Group{"element": number}), "column c.element is stored as INT32, expected INT64 for bigint"},
		"list in a list's element":    {"array<int>", listOf("list", parquet.Group{"element": listOf("list", number)}), "column c.element is nested"},
		"other field":                 {"array<struct<a:string>>", listOf("list", parquet.Group{"element": pair}), "column c.element.a is stored as INT32"},
		"shredded variant":            {"variant", parquet.Group{"metadata": bytesLeaf, "value": bytesLeaf, "typed_value": optional}, "column c is a shredded variant"},
		"variant without its value":   {"variant", parquet.Group{"metadata": bytesLeaf}, "column c is no variant"},
		"variant of numbers":          {"variant", parquet.Group{"metadata": bytesLeaf, "value": number}, "column c.value is stored as INT32"},
		"repeated group in a LIST":    {"array<int>", listOf("array", parquet.Group{"x": number}), "column c.element is nested"},
		"repeated leaf of a variant":  {"variant", parquet.Group{"metadata": bytesLeaf, "value": parquet.Repeated(bytesLeaf)}, "column c.value is repeated"},
		"map whose key is a struct":   {"map<int,int>", parquet.Map(pair, number), "column c.key is nested"},
		"map whose key is repeated":   {"map<int,int>", mapOf(parquet.Group{"m": parquet.Repeated(parquet.Group{"k": parquet.Repeated(number)})}), "column c.key is repeated"},
		"struct that is missing less": {"struct<a:struct<b:int>>", pair, "column c.a is not nested"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := readRows(one(test.typ), fileOf(t, parquet.Group{"c": test.node}))
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error is %v, expected one with %q", err, test.want)
			}
		})
	}
}

// Other writers may have the value of a variant optional; a null there is a variant without a value.
func TestNestedRead_VariantWithoutValue(t *testing.T) {
	root := parquet.Group{"c": parquet.Group{"metadata": parquet.Leaf(parquet.ByteArrayType), "value": parquet.Optional(parquet.Leaf(parquet.ByteArrayType))}}
	text := parquet.ByteArrayValue([]byte{1, 0, 0})
	full := fileOf(t, root, parquet.Row{text.Level(0, 0, 0), parquet.ByteArrayValue([]byte{0}).Level(0, 1, 1)})
	got, err := readRows(one("variant"), full)
	if diff := cmp.Diff([][]any{{json.RawMessage("null")}}, got); diff != "" || err != nil {
		t.Error(err, diff)
	}
	_, err = readRows(one("variant"), fileOf(t, root, parquet.Row{text.Level(0, 0, 0), parquet.NullValue().Level(0, 0, 1)}))
	if err == nil || !strings.Contains(err.Error(), "column c has a variant without value") {
		t.Error(err)
	}
}

// Files cut short and files with a byte changed are errors or give rows.
func TestNestedRead_DamagedFiles(t *testing.T) {
	table, c := nestedRows(t)
	file, _ := write(t, table, Options{Compression: "uncompressed"}, c)
	for n := range file {
		if _, err := readRows(table, file[:n]); err == nil {
			t.Errorf("a file cut to %d of %d bytes reads without an error", n, len(file))
		}
	}
	found := 0
	for i := range file {
		for _, flip := range []byte{0x01, 0x10, 0xff} {
			b := bytes.Clone(file)
			b[i] ^= flip
			if _, err := readRows(table, b); err != nil {
				found++
			}
		}
	}
	if found < len(file) {
		t.Errorf("only %d of %d damages were found", found, 3*len(file))
	}
}

// forged is a reader of one row that has these values, of so many columns.
func forged(sources []*source, columns int, row ...parquet.Value) *rowReader {
	r := &rowReader{sources: sources, cells: cells{feeds: make([]feed, columns)}, left: 1, nullable: make([]bool, len(sources))}
	for _, x := range row {
		f := &r.cells.feeds[x.Column()]
		f.next = append(f.next, x)
	}
	return r
}

// A file may not say that an element is in a list inside of the elements where these have none.
func TestNestedRead_ForgedDepth(t *testing.T) {
	table := one("array<int>")
	file, _ := write(t, table, Options{}, joined(t, table, chunkOf(t, table, nil)))
	tr, err := treeOf(table)
	if err != nil {
		t.Fatal(err)
	}
	sources, err := sourcesOf(openFile(t, file), tr)
	if err != nil {
		t.Fatal(err)
	}
	r := forged(sources, 1, at(1, 0, 0, 3), at(2, 0, 2, 3))
	err = r.read(joined(t, table), 1)
	if err == nil || !strings.Contains(err.Error(), "column c goes on in a list that has not begun") {
		t.Errorf("error is %v", err)
	}
}

// Values whose levels do not fit together give an error or some rows of the table, never a panic.
func TestNestedRead_ForgedLevels(t *testing.T) {
	table := tableOf(t, "l ARRAY<STRUCT<k: INT, in: ARRAY<INT>>>, m MAP<INT, STRUCT<a: INT, b: INT>>, f INT")
	file, _ := write(t, table, Options{}, func() *column.Chunk {
		c := joined(t, table)
		c.EndRow(make([]bool, 3))
		return c
	}())
	tr, err := treeOf(table)
	if err != nil {
		t.Fatal(err)
	}
	sources, err := sourcesOf(openFile(t, file), tr)
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		c := joined(t, table)
		var row []parquet.Value
		for file := range 6 {
			for range rapid.IntRange(0, 4).Draw(t, "values") {
				row = append(row, at(rapid.IntRange(0, 1).Draw(t, "value"), file, rapid.IntRange(0, 3).Draw(t, "repetition"), rapid.IntRange(0, 7).Draw(t, "definition")))
			}
		}
		if err := forged(sources, 6, row...).read(c, 1); err != nil {
			return
		}
		if _, err := column.Decode(c.AppendBinary(nil)); err != nil {
			t.Fatalf("%v gave a chunk that is none: %v", row, err)
		}
	})
}
