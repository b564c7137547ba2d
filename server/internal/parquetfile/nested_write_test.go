package parquetfile

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/parquet-go/parquet-go"

	"github.com/zerobus-go/zerobus/schema"
	"github.com/zerobus-go/zerobus/server/internal/column"
)

// tableOf is a table as CREATE TABLE has it.
func tableOf(t testing.TB, columns string) *schema.Struct {
	t.Helper()
	ct, err := schema.ParseCreateTable("CREATE TABLE t (" + columns + ")")
	if err != nil {
		t.Fatal(err)
	}
	return &ct.Columns
}

func openFile(t testing.TB, file []byte) *parquet.File {
	t.Helper()
	f, err := parquet.OpenFile(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// Delta PROTOCOL.md and Parquet's LogicalTypes.md: lists of three levels, maps of key_value with a required key, variants as a group of
// two binaries without an annotation.
func TestNested_DT05_Schema(t *testing.T) {
	table := tableOf(t, `s STRUCT<a: INT NOT NULL, b: STRUCT<c: DATE>> NOT NULL, l ARRAY<STRUCT<x: DECIMAL(20,2)>>, m MAP<STRING, ARRAY<BIGINT>>, v VARIANT`)
	table.Fields[1].Type.ElemNullable = false
	c := joined(t, table)
	c.Cols[0].Kids[0].AppendInt32(1)
	c.Cols[0].Kids[1].AppendNull()
	c.Cols[0].EndStruct()
	c.EndRow(make([]bool, 4))
	file, _ := write(t, table, Options{}, c)
	f := openFile(t, file)
	want := `message schema {
	required group s {
		required int32 a (INT(32,true));
		optional group b {
			optional int32 c (DATE);
		}
	}
	optional group l (LIST) {
		repeated group list {
			required group element {
				optional fixed_len_byte_array(9) x (DECIMAL(20,2));
			}
		}
	}
	optional group m (MAP) {
		repeated group key_value {
			required binary key (STRING);
			optional group value (LIST) {
				repeated group list {
					optional int64 element (INT(64,true));
				}
			}
		}
	}
	optional group v {
		required binary value;
		required binary metadata;
	}
}`
	if got := f.Schema().String(); got != want {
		t.Errorf("schema is\n%s\nexpected\n%s", got, want)
	}
	converted := ""
	for _, e := range f.Metadata().Schema[1:] {
		if e.ConvertedType.Valid {
			converted += fmt.Sprintf("%s:%d ", e.Name, e.ConvertedType.V)
		}
	}
	if want := "c:6 l:3 x:5 m:1 key:0 value:3 "; converted != want {
		t.Errorf("converted types are %s, expected %s", converted, want)
	}
	var paths []string
	for _, c := range f.Metadata().RowGroups[0].Columns {
		paths = append(paths, strings.Join(c.MetaData.PathInSchema, "."))
	}
	if diff := cmp.Diff([]string{
		"s.a", "s.b.c", "l.list.element.x", "m.key_value.key", "m.key_value.value.list.element", "v.value", "v.metadata",
	}, paths); diff != "" {
		t.Error(diff)
	}
}

// nestedRows are a null, an empty list, null elements, empty inner lists and full ones.
func nestedRows(t testing.TB) (*schema.Struct, *column.Chunk) {
	t.Helper()
	table := tableOf(t, "l ARRAY<STRUCT<k: INT, in: ARRAY<STRING>>>")
	c := joined(t, table)
	l := &c.Cols[0]
	e := &l.Kids[0]
	k, in := &e.Kids[0], &e.Kids[1]
	element := func(number int, texts ...string) {
		if number == 0 {
			k.AppendNull()
		} else {
			k.AppendInt32(int32(number))
		}
		for _, s := range texts {
			if s == "" {
				in.Kids[0].AppendNull()
			} else {
				in.Kids[0].AppendString(s)
			}
		}
		in.EndList()
		e.EndStruct()
	}
	l.AppendNull()
	l.EndList()
	element(1, "a", "b")
	e.AppendNull()
	element(0)
	l.EndList()
	element(2, "", "c")
	l.EndList()
	k.AppendInt32(3)
	in.AppendNull()
	e.EndStruct()
	l.EndList()
	c.Rows = 5
	return table, c
}

// The levels of Dremel's paper, written down by hand: definition 1 the list, 2 an element, 3 a struct, 4 k or the inner list, 5 its
// element, 6 a text.
func TestNested_GoldenLevels(t *testing.T) {
	table, c := nestedRows(t)
	file, _ := write(t, table, Options{}, c)
	equal(t, table, c, readAll(t, table, file))
	want := map[string][2][]byte{
		"l / list / element / k":                   {{0, 1, 4, 2, 3, 4, 4}, {0, 0, 0, 1, 1, 0, 0}},
		"l / list / element / in / list / element": {{0, 1, 6, 6, 2, 4, 5, 6, 3}, {0, 0, 0, 2, 1, 1, 0, 2, 0}},
	}
	if diff := cmp.Diff(want, levelsOf(t, file)); diff != "" {
		t.Error(diff)
	}
	for i, nulls := range []int64{4, 6} {
		m := &openFile(t, file).Metadata().RowGroups[0].Columns[i].MetaData
		if s := m.Statistics; s.NullCount != nulls || s.MinValue != nil || s.MaxValue != nil {
			t.Errorf("column %d has %d nulls and bounds %x %x, expected %d and none", i, s.NullCount, s.MinValue, s.MaxValue, nulls)
		}
		if n := int64(len(want[strings.Join(m.PathInSchema, " / ")][0])); m.NumValues != n {
			t.Errorf("column %d has %d values, expected %d", i, m.NumValues, n)
		}
	}
}

// Bounds of fields of structs are in the footer, those of elements and of the bytes of variants are not.
func TestNested_FooterBounds(t *testing.T) {
	table := tableOf(t, "s STRUCT<a: INT, l: ARRAY<INT>>, v VARIANT")
	c := joined(t, table)
	s, v := &c.Cols[0], &c.Cols[1]
	for i := range 3 {
		s.Kids[0].AppendInt32(int32(i))
		s.Kids[1].Kids[0].AppendInt32(7)
		s.Kids[1].EndList()
		s.EndStruct()
		v.Kids[0].AppendString("\x01\x00\x00")
		v.Kids[1].AppendString("\x0c\x01")
		v.EndStruct()
	}
	s.AppendNull()
	v.AppendNull()
	c.Rows = 4
	file, _ := write(t, table, Options{}, c)
	want := []string{"1 00000000 02000000", "1  ", "1  ", "1  "}
	for i, col := range openFile(t, file).Metadata().RowGroups[0].Columns {
		st := col.MetaData.Statistics
		if got := fmt.Sprintf("%d %x %x", st.NullCount, st.MinValue, st.MaxValue); got != want[i] {
			t.Errorf("%v: %s, expected %s", col.MetaData.PathInSchema, got, want[i])
		}
	}
}

// Lists of many elements and of long strings make several pages, which begin and end with rows.
func TestNested_ManyPages(t *testing.T) {
	table := tableOf(t, "n ARRAY<BIGINT>, s STRUCT<t: ARRAY<STRING>, d: TIMESTAMP>, e ARRAY<ARRAY<INT>>, m MAP<STRING, DOUBLE>")
	c, rows := joined(t, table), 2000
	n, s, e, m := &c.Cols[0], &c.Cols[1], &c.Cols[2], &c.Cols[3]
	for i := range rows {
		size := i % 100
		if i == 1000 {
			size = 100_000 // a row of more than a page
		}
		for k := range size {
			n.Kids[0].AppendInt64(int64(i * k))
			m.Kids[0].AppendString(fmt.Sprint("key ", k%50))
			m.Kids[1].AppendFloat64(float64(k) / 3)
			e.Kids[0].EndList() // empty lists have entries, too
		}
		n.EndList()
		m.EndList()
		e.EndList()
		for k := range i % 5 {
			s.Kids[0].Kids[0].AppendString(strings.Repeat(string(rune('a'+k)), i))
		}
		s.Kids[0].EndList()
		s.Kids[1].AppendInt64(int64(i) * 1_000_000)
		if i%7 == 0 {
			s.Truncate(i)
			s.AppendNull()
		} else {
			s.EndStruct()
		}
	}
	c.Rows = rows
	var parts []*column.Chunk // the same rows in chunks of other sizes
	file, _ := write(t, table, Options{}, c)
	if err := ReadChunks(bytes.NewReader(file), int64(len(file)), table, -1, func(c *column.Chunk) error {
		parts = append(parts, joined(t, table, c))
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for name, chunks := range map[string][]*column.Chunk{"one chunk": {c}, "chunks": parts} {
		for _, groupRows := range []int{0, 1300} {
			file, _ := write(t, table, Options{RowGroupRows: groupRows}, chunks...)
			equal(t, table, c, readAll(t, table, file))
			levelsOf(t, file) // looks at the pages' rows
			f := openFile(t, file)
			for _, col := range f.Metadata().RowGroups[0].Columns {
				pages := 0
				for _, s := range col.MetaData.EncodingStats {
					if s.PageType == 0 {
						pages += int(s.Count)
					}
				}
				if path := strings.Join(col.MetaData.PathInSchema, "."); pages < 2 && path != "s.d" {
					t.Errorf("%s, row groups of %d: column %s has %d pages, expected several", name, groupRows, path, pages)
				}
			}
		}
	}
}

// A column of nulls alone, of empty lists alone and of null structs, and a chunk without the column.
func TestNested_NothingInside(t *testing.T) {
	table := tableOf(t, "id INT, l ARRAY<STRUCT<a: INT, b: ARRAY<BIGINT>>>, m MAP<STRING, STRING>, s STRUCT<a: ARRAY<INT>, v: VARIANT>")
	old := &schema.Struct{Fields: table.Fields[:1]}
	nulls, empty, before := joined(t, table), joined(t, table), joined(t, old)
	for i := range 3 {
		nulls.EndRow(make([]bool, 4))
		empty.Cols[1].EndList()
		empty.Cols[2].EndList()
		empty.Cols[3].AppendNull()
		empty.EndRow(make([]bool, 4))
		before.Cols[0].AppendInt32(int32(i))
		before.EndRow(make([]bool, 1))
	}
	for _, chunks := range [][]*column.Chunk{{nulls}, {empty}, {before}, {before, empty, nulls}} {
		file, r := write(t, table, Options{RowGroupRows: 2}, chunks...)
		equal(t, table, joined(t, table, chunks...), readAll(t, table, file))
		if !strings.Contains(r.Stats, `"minValues":{`) {
			t.Error(r.Stats)
		}
	}
}

func TestNested_Refuses(t *testing.T) {
	of := func(columns string, fill func(c *column.Chunk)) func() (*schema.Struct, *column.Chunk) {
		return func() (*schema.Struct, *column.Chunk) {
			table := tableOf(t, columns)
			c := joined(t, table)
			fill(c)
			c.Rows = c.Cols[0].N
			return table, c
		}
	}
	elements := func(nullable bool, columns string, fill func(c *column.Chunk)) func() (*schema.Struct, *column.Chunk) {
		return func() (*schema.Struct, *column.Chunk) {
			table, c := of(columns, fill)()
			table.Fields[0].Type.ElemNullable = nullable
			return table, c
		}
	}
	deep := schema.Type{Kind: schema.Integer}
	for range 130 {
		inner := deep
		deep = schema.Type{Kind: schema.Array, Elem: &inner, ElemNullable: true}
	}
	for name, test := range map[string]struct {
		make   func() (*schema.Struct, *column.Chunk)
		expect string
	}{
		"field": {of("s STRUCT<a: INT NOT NULL>", func(c *column.Chunk) {
			c.Cols[0].AppendNull() // its field may be null
			c.Cols[0].Kids[0].AppendNull()
			c.Cols[0].EndStruct()
		}), "column s.a is NOT NULL, 1 of 1 values are null"},
		"field that is missing": {func() (*schema.Struct, *column.Chunk) {
			_, c := of("s STRUCT<a: INT>", func(c *column.Chunk) {
				c.Cols[0].Kids[0].AppendInt32(1)
				c.Cols[0].EndStruct()
			})()
			return tableOf(t, "s STRUCT<a: INT, b: INT NOT NULL>"), c
		}, "column s.b is NOT NULL, 1 of 1"},
		"struct": {of("s STRUCT<a: INT> NOT NULL", func(c *column.Chunk) { c.Cols[0].AppendNull() }), "column s is NOT NULL, 1 of 1"},
		"element": {elements(false, "l ARRAY<INT>", func(c *column.Chunk) {
			c.Cols[0].AppendNull() // which has no elements
			c.Cols[0].Kids[0].AppendInt32(1)
			c.Cols[0].Kids[0].AppendNull()
			c.Cols[0].EndList()
		}), "column l.element is NOT NULL, 1 of 2"},
		"field of an element": {of("l ARRAY<STRUCT<a: INT NOT NULL>>", func(c *column.Chunk) {
			c.Cols[0].Kids[0].AppendNull()
			c.Cols[0].Kids[0].Kids[0].AppendNull()
			c.Cols[0].Kids[0].EndStruct()
			c.Cols[0].EndList()
		}), "column l.element.a is NOT NULL, 1 of 1"},
		"key": {of("m MAP<STRING, INT>", func(c *column.Chunk) {
			c.Cols[0].Kids[0].AppendNull()
			c.Cols[0].Kids[1].AppendInt32(1)
			c.Cols[0].EndList()
		}), "column m.key is NOT NULL, 1 of 1"},
		"map value": {elements(false, "m MAP<STRING, INT>", func(c *column.Chunk) {
			c.Cols[0].Kids[0].AppendString("k")
			c.Cols[0].Kids[1].AppendNull()
			c.Cols[0].EndList()
		}), "column m.value is NOT NULL, 1 of 1"},
		"variant": {of("v VARIANT", func(c *column.Chunk) {
			c.Cols[0].Kids[0].AppendString("")
			c.Cols[0].Kids[1].AppendNull()
			c.Cols[0].EndStruct()
		}), "column v.value is NOT NULL, 1 of 1"},
		"TINYINT": {of("l ARRAY<STRUCT<t: TINYINT>>", func(c *column.Chunk) {
			c.Cols[0].Kids[0].Kids[0].AppendInt32(128)
			c.Cols[0].Kids[0].EndStruct()
			c.Cols[0].EndList()
		}), "column l.element.t: a value from 128 to 128 is outside tinyint"},
		"DECIMAL": {of("m MAP<STRING, DECIMAL(4,2)>", func(c *column.Chunk) {
			c.Cols[0].Kids[0].AppendString("k")
			c.Cols[0].Kids[1].AppendDecimal(column.Decimal128{Lo: 10000})
			c.Cols[0].EndList()
		}), "column m.value: a value from 100.00 to 100.00 is outside decimal(4,2)"},
		"other layout": {func() (*schema.Struct, *column.Chunk) {
			_, c := of("s STRUCT<a: INT>", func(c *column.Chunk) { c.Cols[0].AppendNull() })()
			return tableOf(t, "s STRUCT<a: BIGINT>"), c
		}, "column s has type struct<a:bigint>, the chunk holds struct<int32>"},
		"depth": {func() (*schema.Struct, *column.Chunk) {
			return &schema.Struct{Fields: []schema.Field{{Name: "c", Type: deep}}}, &column.Chunk{Rows: 1}
		}, "nested too deep"},
		"empty struct": {func() (*schema.Struct, *column.Chunk) {
			return &schema.Struct{Fields: []schema.Field{{Name: "c", Type: schema.Type{Kind: schema.StructKind}}}}, &column.Chunk{Rows: 1}
		}, "without fields"},
	} {
		t.Run(name, func(t *testing.T) {
			table, c := test.make()
			_, err := Write(io.Discard, table, []*column.Chunk{c}, Options{})
			if err == nil || !strings.Contains(err.Error(), test.expect) {
				t.Errorf("error is %v, expected one with %q", err, test.expect)
			}
		})
	}
}

// Types nest 100 levels at most; so much fits into a file and comes back.
func TestNested_Depth(t *testing.T) {
	typ := schema.Type{Kind: schema.Integer}
	for range schema.MaxDepth {
		inner := typ
		typ = schema.Type{Kind: schema.Array, Elem: &inner, ElemNullable: true}
	}
	table := &schema.Struct{Fields: []schema.Field{{Name: "c", Type: typ, Nullable: true}}}
	c := joined(t, table)
	vectors := []*column.Vector{&c.Cols[0]}
	for v := vectors[0]; len(v.Kids) > 0; v = &v.Kids[0] {
		vectors = append(vectors, &v.Kids[0])
	}
	for stop := range vectors { // a null at every depth, and a number
		vectors[stop].AppendNull()
		for i := stop - 1; i >= 0; i-- {
			vectors[i].EndList()
		}
		c.Rows++
	}
	vectors[schema.MaxDepth].AppendInt32(1)
	for i := schema.MaxDepth - 1; i >= 0; i-- {
		vectors[i].EndList()
	}
	c.Rows++
	file, _ := write(t, table, Options{}, c)
	equal(t, table, c, readAll(t, table, file))
}

func BenchmarkWrite_Nested(b *testing.B) {
	table := &schema.Struct{}
	for name, typ := range map[string]string{"tags": "array<string>", "at": "struct<lat:double,lon:double,zone:string>", "counts": "map<string,bigint>"} {
		f := one(typ).Fields[0]
		f.Name = name
		table.Fields = append(table.Fields, f)
	}
	c, err := column.NewChunk(table)
	if err != nil {
		b.Fatal(err)
	}
	rows := 100_000
	for i := range rows {
		for k := range c.Cols {
			v := &c.Cols[k]
			switch table.Fields[k].Name {
			case "tags":
				for n := range i % 4 {
					v.Kids[0].AppendString([]string{"red", "green", "blue"}[n])
				}
				v.EndList()
			case "at":
				v.Kids[0].AppendFloat64(float64(i) / 7)
				v.Kids[1].AppendFloat64(float64(i) / 9)
				v.Kids[2].AppendString("UTC")
				v.EndStruct()
			default:
				v.Kids[0].AppendString("n")
				v.Kids[1].AppendInt64(int64(i))
				v.EndList()
			}
		}
		c.Rows++
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Write(io.Discard, table, []*column.Chunk{c}, Options{Compression: "uncompressed"}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(rows*b.N)/b.Elapsed().Seconds()/1e6, "Mrows/s")
}
