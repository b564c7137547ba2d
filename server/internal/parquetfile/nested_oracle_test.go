package parquetfile

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/zerobus-go/zerobus/schema"
	"github.com/zerobus-go/zerobus/server/internal/column"
	"github.com/zerobus-go/zerobus/server/internal/variant"
)

const oracleColumns = `id BIGINT NOT NULL, s STRUCT<a: INT NOT NULL, b: STRING, t: STRUCT<d: DATE, n: DECIMAL(20,3), x: DOUBLE>>,
	l ARRAY<INT>, texts ARRAY<STRING>, rows ARRAY<STRUCT<k: BIGINT, inner: ARRAY<ARRAY<STRING>>, at: TIMESTAMP>>,
	m MAP<STRING, BIGINT>, deep MAP<INT, STRUCT<v: BOOLEAN, l: ARRAY<MAP<STRING, DOUBLE>>>>, v VARIANT, vs ARRAY<VARIANT>,
	never ARRAY<STRUCT<a: INT>>, must ARRAY<SMALLINT> NOT NULL`

// TestNested_ForOtherReaders writes a Delta table of nested columns and its rows as JSON. interop/nested_parquet.py names a directory and
// has other software read them.
func TestNested_ForOtherReaders(t *testing.T) {
	dir := os.Getenv("ZEROBUS_NESTED_DIR")
	if dir == "" {
		dir = t.TempDir()
	}
	table := tableOf(t, oracleColumns)
	r := &dice{rand.New(rand.NewPCG(7, 9))}
	var chunks []*column.Chunk
	rows := 0
	for _, n := range []int{700, 1, 1200, 99} {
		c := joined(t, table)
		for range n {
			for i := range table.Fields {
				f, v := &table.Fields[i], &c.Cols[i]
				switch f.Name {
				case "id":
					v.AppendInt64(int64(rows))
				case "never":
					v.AppendNull()
				default:
					r.fill(v, &f.Type, f.Nullable)
				}
			}
			c.Rows++
			rows++
		}
		chunks = append(chunks, c)
	}
	all := joined(t, table, chunks...)
	file, result := write(t, table, Options{RowGroupRows: 1500}, chunks...)
	equal(t, table, all, readAll(t, table, file))

	schemaString, err := json.Marshal(table)
	if err != nil {
		t.Fatal(err)
	}
	actions := []any{
		map[string]any{"protocol": map[string]any{
			"minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": []string{"variantType"}, "writerFeatures": []string{"variantType", "invariants", "appendOnly"},
		}},
		map[string]any{"metaData": map[string]any{
			"id": "00000000-0000-4000-8000-000000000001", "format": map[string]any{"provider": "parquet", "options": map[string]any{}},
			"schemaString": string(schemaString), "partitionColumns": []string{}, "configuration": map[string]any{}, "createdTime": 0,
		}},
		map[string]any{"add": map[string]any{
			"path": "part.parquet", "partitionValues": map[string]any{}, "size": len(file), "modificationTime": 0, "dataChange": true, "stats": result.Stats,
		}},
	}
	var log, text bytes.Buffer
	for _, a := range actions {
		line, err := json.Marshal(a)
		if err != nil {
			t.Fatal(err)
		}
		log.Write(append(line, '\n'))
	}
	lines := bufio.NewWriter(&text)
	for i := range all.Rows {
		row := map[string]any{}
		for k := range table.Fields {
			row[table.Fields[k].Name] = plainJSON(&all.Cols[k], &table.Fields[k].Type, i)
		}
		line, err := json.Marshal(row)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(lines, "%s\n", line)
	}
	if err := lines.Flush(); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{
		"table/part.parquet": file, "table/_delta_log/00000000000000000000.json": log.Bytes(), "rows.ndjson": text.Bytes(),
	} {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// TestNested_OfOtherWriters reads the same rows in files of other software, which interop/nested_parquet.py has had written.
func TestNested_OfOtherWriters(t *testing.T) {
	dir := os.Getenv("ZEROBUS_NESTED_DIR")
	if dir == "" {
		t.Skip("interop/nested_parquet.py runs this test on the files of other writers")
	}
	table := tableOf(t, oracleColumns)
	ours, err := os.ReadFile(filepath.Join(dir, "table/part.parquet"))
	if err != nil {
		t.Fatal(err)
	}
	want := readAll(t, table, ours)
	files, err := filepath.Glob(filepath.Join(dir, "written/*.parquet"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, name := range files {
		t.Run(filepath.Base(name), func(t *testing.T) {
			file, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			if strings.HasPrefix(filepath.Base(name), "refused") {
				if _, err := readRows(table, file); err == nil || !strings.Contains(err.Error(), "not supported") {
					t.Errorf("error is %v", err)
				}
				return
			}
			equal(t, table, want, readAll(t, table, file))
		})
	}
}

// dice makes values of types.
type dice struct{ *rand.Rand }

func (r *dice) fill(v *column.Vector, typ *schema.Type, nullable bool) {
	if nullable && r.IntN(5) == 0 {
		v.AppendNull()
		return
	}
	switch typ.Kind {
	case schema.Boolean:
		v.AppendBool(r.IntN(2) == 0)
	case schema.Short, schema.Integer, schema.Date:
		v.AppendInt32(int32(r.IntN(30_000)))
	case schema.Long, schema.Timestamp:
		v.AppendInt64(r.Int64N(1 << 50))
	case schema.Double:
		v.AppendFloat64(r.NormFloat64())
	case schema.Decimal:
		v.AppendDecimal(column.Decimal128(fromInt64(r.Int64() - 1<<62)))
	case schema.String:
		v.AppendString(strings.Repeat("é", r.IntN(3)) + fmt.Sprint("x", r.IntN(500)))
	case schema.Variant:
		texts := []string{`{"a":[1,2.5,"x"],"b":null}`, `7`, `"text"`, `[]`, `null`, `{"k":{"k":true}}`}
		metadata, value, _ := variant.Append(nil, nil, []byte(texts[r.IntN(len(texts))]))
		v.Kids[column.VariantMetadata].AppendBytes(metadata)
		v.Kids[column.VariantValue].AppendBytes(value)
		v.EndStruct()
	case schema.StructKind:
		for i := range typ.Fields {
			r.fill(&v.Kids[i], &typ.Fields[i].Type, typ.Fields[i].Nullable)
		}
		v.EndStruct()
	case schema.Array:
		n := r.IntN(4)
		if typ.Elem.Kind == schema.Integer {
			n = r.IntN(200) // several pages
		}
		for range n {
			r.fill(&v.Kids[0], typ.Elem, typ.ElemNullable)
		}
		v.EndList()
	case schema.Map:
		for k := range r.IntN(4) { // no key twice
			if typ.Key.Kind == schema.String {
				v.Kids[0].AppendString(fmt.Sprint("key", k))
			} else {
				v.Kids[0].AppendInt32(int32(k))
			}
			r.fill(&v.Kids[1], typ.Elem, typ.ElemNullable)
		}
		v.EndList()
	}
}

// plainJSON is value i for encoding/json: times as microseconds, dates as days, maps as pairs, variants as their parts.
func plainJSON(v *column.Vector, typ *schema.Type, i int) any {
	x := valueAt(v, typ, i)
	if x == nil {
		return nil
	}
	switch typ.Kind {
	case schema.Date:
		return v.I32[i]
	case schema.Timestamp:
		return x.(time.Time).UnixMicro()
	case schema.Variant:
		b64 := base64.StdEncoding.EncodeToString
		return map[string]any{
			"metadata": b64(v.Kids[column.VariantMetadata].BytesAt(i)), "value": b64(v.Kids[column.VariantValue].BytesAt(i)), "json": x,
		}
	case schema.StructKind:
		m := map[string]any{}
		for k := range typ.Fields {
			m[typ.Fields[k].Name] = plainJSON(&v.Kids[k], &typ.Fields[k].Type, i)
		}
		return m
	case schema.Array:
		list := []any{}
		for from, to := v.Range(i); from < to; from++ {
			list = append(list, plainJSON(&v.Kids[0], typ.Elem, from))
		}
		return list
	case schema.Map:
		pairs := []any{}
		for from, to := v.Range(i); from < to; from++ {
			pairs = append(pairs, []any{plainJSON(&v.Kids[0], typ.Key, from), plainJSON(&v.Kids[1], typ.Elem, from)})
		}
		return pairs
	}
	return x
}
