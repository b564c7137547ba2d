package parquetfile

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/deprecated"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
	"pgregory.net/rapid"

	"github.com/zerobus-go/zerobus/schema"
	"github.com/zerobus-go/zerobus/server/internal/column"
)

// drawNested draws a type of up to so many levels.
func drawNested(t *rapid.T, levels int) schema.Type {
	kinds := []schema.Kind{schema.Boolean, schema.StructKind, schema.Array, schema.Map, schema.Variant}
	kind := schema.Boolean
	if levels > 0 {
		kind = rapid.SampledFrom(kinds).Draw(t, "kind")
	}
	typ := schema.Type{Kind: kind, ElemNullable: rapid.Bool().Draw(t, "nullable elements")}
	part := func() *schema.Type {
		p := drawNested(t, levels-1)
		return &p
	}
	switch kind {
	case schema.Boolean:
		return rapid.SampledFrom(scalarTypes()).Draw(t, "scalar")
	case schema.StructKind:
		for i := range rapid.IntRange(1, 3).Draw(t, "fields") {
			name := rapid.SampledFrom([]string{"f", "list", "a.b", "key_value"}).Draw(t, "name")
			typ.Fields = append(typ.Fields, schema.Field{Name: fmt.Sprint(name, i), Type: *part(), Nullable: rapid.Bool().Draw(t, "nullable")})
		}
	case schema.Array:
		typ.Elem = part()
	case schema.Map:
		key := rapid.SampledFrom(scalarTypes()).Draw(t, "key")
		typ.Key, typ.Elem = &key, part()
	}
	return typ
}

func drawNestedTable(t *rapid.T, levels int) *schema.Struct {
	table := &schema.Struct{}
	for i := range rapid.IntRange(1, 3).Draw(t, "columns") {
		table.Fields = append(table.Fields, schema.Field{
			Name: fmt.Sprint("c", i), Type: drawNested(t, levels), Nullable: rapid.Bool().Draw(t, "nullable"),
		})
	}
	return table
}

// drawOlder draws the fields that a table or struct had before its last nullable ones were added.
func drawOlder(t *rapid.T, fields []schema.Field) []schema.Field {
	least := len(fields)
	for least > 1 && fields[least-1].Nullable {
		least--
	}
	fields = slices.Clone(fields[:rapid.IntRange(least, len(fields)).Draw(t, "fields then")])
	for i := range fields {
		fields[i].Type = drawOlderType(t, &fields[i].Type)
	}
	return fields
}

func drawOlderType(t *rapid.T, typ *schema.Type) schema.Type {
	old := *typ
	older := func(p *schema.Type) *schema.Type {
		if p == nil {
			return nil
		}
		o := drawOlderType(t, p)
		return &o
	}
	old.Key, old.Elem = older(typ.Key), older(typ.Elem)
	if typ.Kind == schema.StructKind {
		old.Fields = drawOlder(t, typ.Fields)
	}
	return old
}

// fill draws a value, or a null where there may be one.
func fill(t *rapid.T, v *column.Vector, typ *schema.Type, nullable bool) {
	if nullable && rapid.IntRange(0, 2).Draw(t, "null") == 0 {
		v.AppendNull()
		return
	}
	switch typ.Kind {
	case schema.StructKind:
		for i := range typ.Fields {
			fill(t, &v.Kids[i], &typ.Fields[i].Type, typ.Fields[i].Nullable)
		}
		v.EndStruct()
	case schema.Variant:
		v.Kids[column.VariantMetadata].AppendString("\x01\x00\x00")
		v.Kids[column.VariantValue].AppendBytes([]byte{0x0c, rapid.Byte().Draw(t, "int8")})
		v.EndStruct()
	case schema.Array:
		for range rapid.IntRange(0, 3).Draw(t, "elements") {
			fill(t, &v.Kids[0], typ.Elem, typ.ElemNullable)
		}
		v.EndList()
	case schema.Map:
		for range rapid.IntRange(0, 3).Draw(t, "entries") {
			fill(t, &v.Kids[0], typ.Key, false)
			fill(t, &v.Kids[1], typ.Elem, typ.ElemNullable)
		}
		v.EndList()
	default:
		drawValue(typ)(t, v)
	}
}

// drawNestedChunks makes chunks of the table, some without the last columns and fields.
func drawNestedChunks(t *rapid.T, table *schema.Struct) []*column.Chunk {
	var chunks []*column.Chunk
	for i := range rapid.IntRange(1, 3).Draw(t, "chunks") {
		old := &schema.Struct{Fields: drawOlder(t, table.Fields)}
		c, err := column.NewChunk(old)
		if err != nil {
			t.Fatal(err)
		}
		for range rapid.IntRange(1-min(i, 1), 8).Draw(t, "rows") {
			for k := range old.Fields {
				fill(t, &c.Cols[k], &old.Fields[k].Type, old.Fields[k].Nullable)
			}
			c.Rows++
		}
		chunks = append(chunks, c)
	}
	return chunks
}

// Rows of nested columns are the same when we read them and when the library does, wherever row groups are cut.
func TestNested_ReadsBack(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		table := drawNestedTable(rt, 4)
		chunks := drawNestedChunks(rt, table)
		file, _ := write(rt, table, Options{
			Compression:  rapid.SampledFrom([]string{"", "uncompressed"}).Draw(rt, "codec"),
			RowGroupRows: rapid.SampledFrom([]int{0, 1, 3}).Draw(rt, "row group"),
		}, chunks...)
		want := joined(rt, table, chunks...)
		equal(rt, table, want, readAll(rt, table, file))

		r := parquet.NewGenericReader[any](bytes.NewReader(bare(rt, file)))
		rows := make([]any, want.Rows+1)
		if n, err := r.Read(rows); n != want.Rows || err != io.EOF {
			rt.Fatalf("the library reads %d rows, expected %d: %v", n, want.Rows, err)
		}
		for i := range want.Rows {
			row := rows[i].(map[string]any)
			for k := range table.Fields {
				f := &table.Fields[k]
				got, want := theirs(reflect.ValueOf(row[f.Name])), ours(&want.Cols[k], &f.Type, i)
				if got != want {
					rt.Fatalf("row %d of %s %s is to the library\n%s\nexpected\n%s", i, f.Name, f.Type, got, want)
				}
			}
		}
	})
}

// bare is the file without the annotations of its columns: the library then reads what there is, group by group.
func bare(t rapid.TB, file []byte) []byte {
	return withFooter(t, file, func(m *format.FileMetaData) {
		m.Schema = slices.Clone(m.Schema)
		for i := range m.Schema {
			m.Schema[i].LogicalType, m.Schema[i].ConvertedType = format.LogicalType{}, thrift.Null[deprecated.ConvertedType]{}
		}
	})
}

// withFooter is the file with another footer.
func withFooter(t rapid.TB, file []byte, change func(*format.FileMetaData)) []byte {
	f, err := parquet.OpenFile(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	meta := *f.Metadata()
	change(&meta)
	footer, err := thrift.Marshal(new(thrift.CompactProtocol), &meta)
	if err != nil {
		t.Fatal(err)
	}
	end := len(file) - 8 - int(binary.LittleEndian.Uint32(file[len(file)-8:]))
	b := append(bytes.Clone(file[:end]), footer...)
	return append(appendPlain32(b, uint32(len(footer))), magic...)
}

// theirs is the text of a value as the library gives it: groups as Go maps, repeated ones as slices.
func theirs(v reflect.Value) string {
	for v.Kind() == reflect.Interface || v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	switch v.Kind() {
	case reflect.Invalid:
		return "null"
	case reflect.Map:
		m := map[string]string{}
		for _, k := range v.MapKeys() {
			m[theirs(k)] = theirs(v.MapIndex(k))
		}
		return fmt.Sprint(m)
	case reflect.Slice, reflect.Array:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			b := make([]byte, v.Len())
			reflect.Copy(reflect.ValueOf(b), v)
			return fmt.Sprintf("%q", b)
		}
		list := []string{}
		for i := range v.Len() {
			list = append(list, theirs(v.Index(i)))
		}
		return fmt.Sprint(list)
	case reflect.String:
		return fmt.Sprintf("%q", v.String())
	}
	return fmt.Sprint(v.Interface())
}

// ours is the same of value i of a vector.
func ours(v *column.Vector, typ *schema.Type, i int) string {
	if !v.IsValid(i) {
		return "null"
	}
	switch typ.Kind {
	case schema.StructKind:
		m := map[string]string{}
		for k := range typ.Fields {
			m[fmt.Sprintf("%q", typ.Fields[k].Name)] = ours(&v.Kids[k], &typ.Fields[k].Type, i)
		}
		return fmt.Sprint(m)
	case schema.Variant:
		return fmt.Sprint(map[string]string{
			`"metadata"`: ours(&v.Kids[column.VariantMetadata], &binaryType, i),
			`"value"`:    ours(&v.Kids[column.VariantValue], &binaryType, i),
		})
	case schema.Array, schema.Map:
		entries := []string{}
		for from, to := v.Range(i); from < to; from++ {
			if typ.Kind == schema.Array {
				entries = append(entries, fmt.Sprint(map[string]string{`"element"`: ours(&v.Kids[0], typ.Elem, from)}))
				continue
			}
			entries = append(entries, fmt.Sprint(map[string]string{`"key"`: ours(&v.Kids[0], typ.Key, from), `"value"`: ours(&v.Kids[1], typ.Elem, from)}))
		}
		name := `"list"`
		if typ.Kind == schema.Map {
			name = `"key_value"`
		}
		return fmt.Sprint(map[string]string{name: fmt.Sprint(entries)})
	case schema.Decimal:
		if kind, size := decimalStorage(typ.Precision); kind == format.FixedLenByteArray {
			return fmt.Sprintf("%q", appendBigEndian(nil, int128(v.Dec[i]), size))
		}
		return fmt.Sprint(int64(v.Dec[i].Lo))
	}
	return theirs(reflect.ValueOf(parquetGo(v, i)))
}

func parquetGo(v *column.Vector, i int) any {
	switch v.Layout {
	case column.Bool:
		return v.Bits.Get(i)
	case column.Int32:
		return v.I32[i]
	case column.Int64:
		return v.I64[i]
	case column.Float32:
		return v.F32[i]
	case column.Float64:
		return v.F64[i]
	}
	return v.BytesAt(i)
}

// The levels are those that the library's writer makes of the same rows, and every page begins with a row.
func TestNested_LevelsOfTheLibrary(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		table := drawNestedTable(rt, 4)
		chunks := drawNestedChunks(rt, table)
		file, _ := write(rt, table, Options{RowGroupRows: rapid.SampledFrom([]int{0, 1, 3}).Draw(rt, "row group")}, chunks...)
		all := joined(rt, table, chunks...)

		root := parquet.Group{}
		for i := range table.Fields {
			root[table.Fields[i].Name] = plainNode(&table.Fields[i].Type, table.Fields[i].Nullable)
		}
		var b bytes.Buffer
		w := parquet.NewGenericWriter[any](&b, parquet.NewSchema("schema", root))
		for i := range all.Rows {
			row := map[string]any{}
			for k := range table.Fields {
				row[table.Fields[k].Name] = plainValue(&all.Cols[k], &table.Fields[k].Type, i)
			}
			if _, err := w.Write([]any{row}); err != nil {
				rt.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			rt.Fatal(err)
		}
		got, want := levelsOf(rt, file), levelsOf(rt, b.Bytes())
		if diff := cmp.Diff(want, got); diff != "" {
			rt.Fatal(diff)
		}
	})
}

// plainNode is a type as groups without annotations, all leaves INT32: the levels are the same.
func plainNode(typ *schema.Type, nullable bool) parquet.Node {
	var n parquet.Node
	switch typ.Kind {
	case schema.StructKind:
		g := parquet.Group{}
		for i := range typ.Fields {
			g[typ.Fields[i].Name] = plainNode(&typ.Fields[i].Type, typ.Fields[i].Nullable)
		}
		n = g
	case schema.Variant:
		n = parquet.Group{"value": plainNode(&binaryType, false), "metadata": plainNode(&binaryType, false)}
	case schema.Array:
		n = parquet.Group{"list": parquet.Repeated(parquet.Group{"element": plainNode(typ.Elem, typ.ElemNullable)})}
	case schema.Map:
		n = parquet.Group{"key_value": parquet.Repeated(parquet.Group{"key": plainNode(typ.Key, false), "value": plainNode(typ.Elem, typ.ElemNullable)})}
	default:
		n = parquet.Leaf(parquet.Int32Type)
	}
	if nullable {
		return parquet.Optional(n)
	}
	return parquet.Required(n)
}

// plainValue is value i for a plainNode.
func plainValue(v *column.Vector, typ *schema.Type, i int) any {
	if !v.IsValid(i) {
		return nil
	}
	repeated := func(name string, kids map[string]*schema.Type) any {
		entries := []any{}
		for from, to := v.Range(i); from < to; from++ {
			entry := map[string]any{}
			for k, part := range []string{"key", "value", "element"} {
				if kids[part] != nil {
					entry[part] = plainValue(&v.Kids[k%2], kids[part], from)
				}
			}
			entries = append(entries, entry)
		}
		return map[string]any{name: entries}
	}
	switch typ.Kind {
	case schema.StructKind:
		m := map[string]any{}
		for k := range typ.Fields {
			m[typ.Fields[k].Name] = plainValue(&v.Kids[k], &typ.Fields[k].Type, i)
		}
		return m
	case schema.Variant:
		return map[string]any{"value": int32(1), "metadata": int32(1)}
	case schema.Array:
		return repeated("list", map[string]*schema.Type{"element": typ.Elem})
	case schema.Map:
		return repeated("key_value", map[string]*schema.Type{"key": typ.Key, "value": typ.Elem})
	}
	return int32(1)
}

// levelsOf gives the definition and repetition levels of every column by its path.
func levelsOf(t rapid.TB, file []byte) map[string][2][]byte {
	f, err := parquet.OpenFile(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][2][]byte{}
	for _, g := range f.RowGroups() {
		for i, c := range g.ColumnChunks() {
			path := strings.Join(f.Schema().Columns()[i], " / ")
			x := all[path]
			rows := int64(0)
			pages := c.Pages()
			for {
				p, err := pages.ReadPage()
				if err == io.EOF {
					break
				}
				if err != nil {
					t.Fatal(err)
				}
				if r := p.RepetitionLevels(); len(r) > 0 && r[0] != 0 {
					t.Fatalf("a page of %s begins inside of a row", path)
				}
				x[0], x[1] = append(x[0], p.DefinitionLevels()...), append(x[1], p.RepetitionLevels()...)
				rows += p.NumRows()
			}
			if err := pages.Close(); err != nil {
				t.Fatal(err)
			}
			if rows != g.NumRows() {
				t.Fatalf("the pages of %s have %d rows, the row group %d", path, rows, g.NumRows())
			}
			all[path] = x
		}
	}
	return all
}
