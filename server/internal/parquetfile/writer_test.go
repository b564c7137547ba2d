package parquetfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"
	"pgregory.net/rapid"

	"github.com/zerobus-go/zerobus/schema"
	"github.com/zerobus-go/zerobus/server/internal/column"
)

func TestWrite_ReadsBackBitByBit(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		table := drawTable(rt)
		chunks := drawChunks(rt, table)
		o := Options{
			Compression:  rapid.SampledFrom([]string{"", "zstd", "snappy", "gzip", "uncompressed"}).Draw(rt, "codec"),
			RowGroupRows: rapid.SampledFrom([]int{0, 10, 50}).Draw(rt, "row group"),
		}
		var b bytes.Buffer
		r, err := Write(&b, table, chunks, o)
		if err != nil {
			rt.Fatal(err)
		}
		want := joined(t, table, chunks...)
		equal(t, table, want, readAll(t, table, b.Bytes()))
		if r.Rows != int64(want.Rows) || r.Bytes != int64(b.Len()) {
			rt.Fatalf("result %d rows, %d bytes; the file has %d, %d", r.Rows, r.Bytes, want.Rows, b.Len())
		}
		checkFooter(rt, b.Bytes(), table, want, o.RowGroupRows)
	})
}

// checkFooter compares the footer with values that it computes in another way than Write: as parquet values, ordered by
// the library.
func checkFooter(t *rapid.T, file []byte, table *schema.Struct, want *column.Chunk, groupRows int) {
	f, err := parquet.OpenFile(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	tr, err := treeOf(table)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(f.Metadata().ColumnOrders); n != len(tr.leaves) {
		t.Fatalf("%d columns have an order, expected %d: bounds mean nothing without", n, len(tr.leaves))
	}
	first := 0
	for gi, g := range f.Metadata().RowGroups {
		if groupRows > 0 && g.NumRows > int64(groupRows) {
			t.Fatalf("row group %d has %d rows, the limit is %d", gi, g.NumRows, groupRows)
		}
		checkSizes(t, gi, &g, tr)
		for i, c := range g.Columns {
			l, typ := &tr.leaves[i], f.Root().Columns()[i].Type()
			compare := typ.Compare
			if l.physical == format.FixedLenByteArray { // the library orders bytes; the format demands the order of the numbers
				compare = func(a, b parquet.Value) int {
					return fromBigEndian(a.ByteArray()).Cmp(fromBigEndian(b.ByteArray()))
				}
			}
			nulls, nan := int64(0), false
			var least, most parquet.Value
			for row := first; row < first+int(g.NumRows); row++ {
				v := &want.Cols[i]
				if !v.IsValid(row) {
					nulls++
					continue
				}
				x := parquetValue(l, v, row)
				if isNaN(x) {
					nan = true
					continue
				}
				if least.IsNull() || compare(x, least) < 0 {
					least = x
				}
				if most.IsNull() || compare(x, most) > 0 {
					most = x
				}
			}
			s := c.MetaData.Statistics
			if s.NullCount != nulls {
				t.Fatalf("row group %d column %d: null count %d, expected %d", gi, i, s.NullCount, nulls)
			}
			if nan || least.IsNull() {
				if s.MinValue != nil || s.MaxValue != nil {
					t.Fatalf("row group %d column %d: bounds %x %x, expected none", gi, i, s.MinValue, s.MaxValue)
				}
				continue
			}
			if min, max := typ.Kind().Value(s.MinValue), typ.Kind().Value(s.MaxValue); compare(min, least) != 0 || compare(max, most) != 0 {
				t.Fatalf("row group %d column %d: bounds %v %v, expected %v %v", gi, i, min, max, least, most)
			}
		}
		first += int(g.NumRows)
	}
	if first != want.Rows {
		t.Fatalf("the row groups have %d rows, expected %d", first, want.Rows)
	}
}

// checkSizes checks what the footer says of the place and the size of a row group and its columns: they lie one behind the other.
func checkSizes(t *rapid.T, ordinal int, g *format.RowGroup, tr *tree) {
	at, size := g.FileOffset, int64(0)
	for i := range g.Columns {
		m := &g.Columns[i].MetaData
		begin := m.DataPageOffset
		if m.DictionaryPageOffset > 0 {
			begin = min(begin, m.DictionaryPageOffset)
		}
		if begin != at {
			t.Fatalf("row group %d column %d: begins at %d, expected %d", ordinal, i, begin, at)
		}
		at, size = at+m.TotalCompressedSize, size+m.TotalUncompressedSize
		if m.Codec == format.Uncompressed && m.TotalCompressedSize != m.TotalUncompressedSize {
			t.Fatalf("row group %d column %d: %d bytes, %d before compression, though there is none", ordinal, i, m.TotalCompressedSize, m.TotalUncompressedSize)
		}
		if tr.leaves[i].def > 0 && !slices.Contains(m.Encoding, format.RLE) {
			t.Fatalf("row group %d column %d: encodings %v, expected RLE of the levels", ordinal, i, m.Encoding)
		}
		for _, s := range m.EncodingStats {
			if !slices.Contains(m.Encoding, s.Encoding) {
				t.Fatalf("row group %d column %d: encodings %v, but there are pages in %s", ordinal, i, m.Encoding, s.Encoding)
			}
		}
	}
	if int(g.Ordinal) != ordinal || g.TotalCompressedSize != at-g.FileOffset || g.TotalByteSize != size {
		t.Fatalf("row group %d: ordinal %d, %d bytes, %d before compression, expected %d and %d", ordinal, g.Ordinal, g.TotalCompressedSize, g.TotalByteSize, at-g.FileOffset, size)
	}
}

func isNaN(x parquet.Value) bool {
	return x.Kind() == parquet.Float && x.Float() != x.Float() || x.Kind() == parquet.Double && x.Double() != x.Double()
}

func parquetValue(l *leaf, v *column.Vector, i int) parquet.Value {
	switch v.Layout {
	case column.Bool:
		return parquet.BooleanValue(v.Bits.Get(i))
	case column.Int32:
		return parquet.Int32Value(v.I32[i])
	case column.Int64:
		return parquet.Int64Value(v.I64[i])
	case column.Float32:
		return parquet.FloatValue(v.F32[i])
	case column.Float64:
		return parquet.DoubleValue(v.F64[i])
	case column.Bytes:
		return parquet.ByteArrayValue(v.BytesAt(i))
	}
	n := bigOf(int128(v.Dec[i]))
	switch p := l.typ.Precision; {
	case p <= 9:
		return parquet.Int32Value(int32(n.Int64()))
	case p <= 18:
		return parquet.Int64Value(n.Int64())
	}
	b := appendBigEndian(nil, int128(v.Dec[i]), l.size)
	return parquet.FixedLenByteArrayValue(b)
}

func TestWrite_DT05_SchemaOfEveryType(t *testing.T) {
	ddl := `CREATE TABLE t (a BOOLEAN NOT NULL, b TINYINT, c SMALLINT, d INT, e BIGINT, f FLOAT, g DOUBLE, h STRING, i BINARY,
		j DATE, k TIMESTAMP, l TIMESTAMP_NTZ, m DECIMAL(9,2), n DECIMAL(18,0), o DECIMAL(19,4), p DECIMAL(38,38), q VARCHAR(3))`
	ct, err := schema.ParseCreateTable(ddl)
	if err != nil {
		t.Fatal(err)
	}
	table := &ct.Columns
	c, err := column.NewChunk(table)
	if err != nil {
		t.Fatal(err)
	}
	c.Cols[0].AppendBool(true)
	c.EndRow(make([]bool, len(c.Cols)))
	file, _ := write(t, table, Options{}, c)
	f, err := parquet.OpenFile(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	want := `message schema {
	required boolean a;
	optional int32 b (INT(8,true));
	optional int32 c (INT(16,true));
	optional int32 d (INT(32,true));
	optional int64 e (INT(64,true));
	optional float f;
	optional double g;
	optional binary h (STRING);
	optional binary i;
	optional int32 j (DATE);
	optional int64 k (TIMESTAMP(isAdjustedToUTC=true,unit=MICROS));
	optional int64 l (TIMESTAMP(isAdjustedToUTC=false,unit=MICROS));
	optional int32 m (DECIMAL(9,2));
	optional int64 n (DECIMAL(18,0));
	optional fixed_len_byte_array(9) o (DECIMAL(19,4));
	optional fixed_len_byte_array(16) p (DECIMAL(38,38));
	optional binary q (STRING);
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
	// INT_8, INT_16, UTF8, DATE, TIMESTAMP_MICROS, four times DECIMAL, UTF8; none for TIMESTAMP_NTZ
	if want := "b:15 c:16 h:0 j:6 k:10 m:5 n:5 o:5 p:5 q:0 "; converted != want {
		t.Errorf("converted types are %s, expected %s", converted, want)
	}
}

func TestWrite_ZeroIsNotNull(t *testing.T) {
	for typ, zero := range map[string]any{
		"boolean": false, "tinyint": 0, "int": 0, "bigint": 0, "float": 0.0, "double": 0.0,
		"string": "", "binary": []byte{}, "date": 0, "timestamp": 0, "decimal(5,2)": 0, "decimal(18,2)": 0, "decimal(38,2)": 0,
	} {
		table := one(typ)
		c := chunkOf(t, table, zero, nil, zero)
		file, _ := write(t, table, Options{}, c)
		equal(t, table, c, readAll(t, table, file))
	}
}

// Columns of several pages and row groups, of every encoding.
func TestWrite_ManyPages(t *testing.T) {
	table := &schema.Struct{}
	for _, typ := range []string{"int", "bigint", "bigint", "timestamp", "double", "string", "string", "decimal(30,3)", "boolean", "string"} {
		table.Fields = append(table.Fields, schema.Field{Name: fmt.Sprint("c", len(table.Fields)), Type: one(typ).Fields[0].Type, Nullable: true})
	}
	r := rand.New(rand.NewPCG(1, 2))
	airports := make([]string, 3000) // enough to make the dictionary grow
	for i := range airports {
		airports[i] = fmt.Sprint("airport ", i)
	}
	var chunks []*column.Chunk
	const rows = 90_000
	for n := 0; n < rows; {
		c, err := column.NewChunk(table)
		if err != nil {
			t.Fatal(err)
		}
		size := min(1+r.IntN(40_000), rows-n)
		for i := range size {
			c.Cols[0].AppendInt32(int32(r.IntN(300)))
			c.Cols[1].AppendInt64(int64(n + i))
			c.Cols[2].AppendInt64(r.Int64N(5000) << 40)
			c.Cols[3].AppendInt64(1_000_000_000_000_000 + int64(n+i)*1000 + r.Int64N(1000))
			c.Cols[4].AppendFloat64(r.Float64())
			c.Cols[5].AppendString(airports[r.IntN(len(airports))])
			c.Cols[6].AppendString(strconv.FormatUint(r.Uint64(), 16))
			c.Cols[7].AppendDecimal(column.Decimal128{Lo: r.Uint64(), Hi: r.Int64N(1000) - 500})
			c.Cols[8].AppendBool(r.IntN(2) == 0)
			if r.IntN(3) == 0 || n+i < 66_000 { // a first page of nulls only
				c.Cols[9].AppendNull()
			} else {
				c.Cols[9].AppendString("x")
			}
			c.Rows++
		}
		n += size
		chunks = append(chunks, c)
	}
	want := joined(t, table, chunks...)
	for _, groupRows := range []int{0, 70_001} {
		file, _ := write(t, table, Options{RowGroupRows: groupRows}, chunks...)
		equal(t, table, want, readAll(t, table, file))
		f, err := parquet.OpenFile(bytes.NewReader(file), int64(len(file)))
		if err != nil {
			t.Fatal(err)
		}
		dict, deltas, plain := format.RLEDictionary, format.DeltaBinaryPacked, format.Plain
		for i, want := range []format.Encoding{dict, deltas, dict, deltas, plain, dict, plain, plain, plain, dict} {
			m := &f.Metadata().RowGroups[0].Columns[i].MetaData
			pages := 0
			for _, s := range m.EncodingStats {
				if s.PageType == format.DataPage {
					pages += int(s.Count)
					if s.Encoding != want {
						t.Errorf("row groups of %d: column %d has pages in %s, expected %s", groupRows, i, s.Encoding, want)
					}
				}
			}
			if pages < 2 {
				t.Errorf("row groups of %d: column %d has %d pages, expected several", groupRows, i, pages)
			}
		}
		if groups := len(f.Metadata().RowGroups); groupRows > 0 && groups != 2 {
			t.Errorf("%d row groups, expected 2", groups)
		}
	}
}

// A page ends near 1 MiB of strings, however long they are.
func TestWrite_LongStrings(t *testing.T) {
	table := one("string")
	var values []any
	for i := range 30 {
		values = append(values, strings.Repeat(string(rune('a'+i)), i*20_000), nil)
	}
	values = append(values, strings.Repeat("z", 3<<20), "end")
	c := chunkOf(t, table, values...)
	file, _ := write(t, table, Options{Compression: "uncompressed"}, c)
	equal(t, table, c, readAll(t, table, file))
	f, err := parquet.OpenFile(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	m := &f.Metadata().RowGroups[0].Columns[0].MetaData
	if pages := m.EncodingStats[0].Count; pages < 8 || pages > 12 {
		t.Errorf("%d pages for %d bytes", pages, c.Bytes())
	}
	if s := m.Statistics; s.MinValue != nil || s.MaxValue != nil || s.NullCount != 30 {
		t.Errorf("the footer has bounds of %d and %d bytes and %d nulls, expected none and 30", len(s.MinValue), len(s.MaxValue), s.NullCount)
	}
}

// A dictionary that readers would have to load first is not written when it grows large.
func TestWrite_LargeDictionaryIsNone(t *testing.T) {
	table := one("string")
	for size, want := range map[int]format.Encoding{1000: format.RLEDictionary, 4000: format.Plain} {
		var values []any
		for i := range 1200 {
			values = append(values, fmt.Sprintf("%0*d", size, i/3))
		}
		c := chunkOf(t, table, values...)
		file, _ := write(t, table, Options{}, c)
		equal(t, table, c, readAll(t, table, file))
		f, err := parquet.OpenFile(bytes.NewReader(file), int64(len(file)))
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range f.Metadata().RowGroups[0].Columns[0].MetaData.EncodingStats {
			if s.PageType == format.DataPage && s.Encoding != want {
				t.Errorf("400 strings of %d bytes are written in %s, expected %s", size, s.Encoding, want)
			}
		}
	}
}

func TestRowGroups_EndAtTheirSize(t *testing.T) {
	table := one("bigint")
	var chunks []*column.Chunk
	for range 5 {
		c := chunkOf(t, table)
		for range 1000 {
			c.Cols[0].AppendInt64(1)
			c.Rows++
		}
		chunks = append(chunks, c, chunkOf(t, table))
	}
	for _, test := range []struct{ rows, bytes, want int }{{1 << 20, 1 << 20, 1}, {1000, 1 << 20, 5}, {999, 1 << 20, 6}, {1 << 20, 8000, 5}, {1 << 20, 80, 500}} {
		groups := rowGroups(chunks, test.rows, test.bytes)
		if len(groups) != test.want {
			t.Errorf("%d rows, %d bytes: %d groups, expected %d", test.rows, test.bytes, len(groups), test.want)
		}
		total := 0
		for _, g := range groups {
			n := 0
			for _, s := range g {
				n += s.hi - s.lo
			}
			if n > test.rows || n*8 > test.bytes {
				t.Errorf("%d rows, %d bytes: a group of %d rows", test.rows, test.bytes, n)
			}
			total += n
		}
		if total != 5000 {
			t.Errorf("%d rows are in groups, expected 5000", total)
		}
	}
}

func TestWrite_Refuses(t *testing.T) {
	notNull := one("int")
	notNull.Fields[0].Nullable = false
	wider := &schema.Struct{Fields: append(append([]schema.Field{}, one("int").Fields...), schema.Field{Name: "d", Type: schema.Type{Kind: schema.Long}})}
	max38 := pow10(38)
	void := &schema.Struct{Fields: []schema.Field{{Name: "c", Type: schema.Type{Kind: schema.Array, Elem: &schema.Type{}}}}}
	for name, test := range map[string]struct {
		table  *schema.Struct
		chunk  *column.Chunk
		o      Options
		expect string
	}{
		"no rows":              {one("int"), chunkOf(t, one("int")), Options{}, "at least one row"},
		"null in NOT NULL":     {notNull, chunkOf(t, notNull, 1, nil), Options{}, "column c is NOT NULL, 1 of 2 values are null"},
		"missing NOT NULL":     {wider, chunkOf(t, one("int"), 1), Options{}, "column d is NOT NULL"},
		"too many columns":     {one("int"), joined(t, wider), Options{}, "2 columns"},
		"other layout":         {one("string"), chunkOf(t, one("int"), 1), Options{}, "column c has type string"},
		"unknown type":         {void, &column.Chunk{}, Options{}, "cannot be stored"},
		"no columns":           {&schema.Struct{}, &column.Chunk{Rows: 1}, Options{}, "no columns"},
		"TINYINT above":        {one("tinyint"), chunkOf(t, one("tinyint"), 1, 128), Options{}, "outside tinyint"},
		"TINYINT below":        {one("tinyint"), chunkOf(t, one("tinyint"), -129), Options{}, "outside tinyint"},
		"SMALLINT above":       {one("smallint"), chunkOf(t, one("smallint"), 1<<15), Options{}, "outside smallint"},
		"DECIMAL above":        {one("decimal(4,2)"), chunkOf(t, one("decimal(4,2)"), 10000), Options{}, "100.00 is outside decimal(4,2)"},
		"DECIMAL below":        {one("decimal(4,2)"), chunkOf(t, one("decimal(4,2)"), -10000), Options{}, "-100.00"},
		"DECIMAL of 39 digits": {one("decimal(38,0)"), chunkOf(t, one("decimal(38,0)"), max38), Options{}, "outside decimal(38,0)"},
		"DECIMAL least":        {one("decimal(38,0)"), chunkOf(t, one("decimal(38,0)"), int128{Hi: math.MinInt64}), Options{}, "outside decimal(38,0)"},
		"codec":                {one("int"), chunkOf(t, one("int"), 1), Options{Compression: "lzo"}, `"lzo" is unknown`},
		"row group":            {one("int"), chunkOf(t, one("int"), 1), Options{RowGroupRows: -1}, "-1 rows"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Write(io.Discard, test.table, []*column.Chunk{test.chunk}, test.o)
			if err == nil || !strings.Contains(err.Error(), test.expect) {
				t.Errorf("error is %v, expected one with %q", err, test.expect)
			}
		})
	}
}

func TestWrite_TooManyRowGroups(t *testing.T) {
	table := one("boolean")
	c := chunkOf(t, table)
	for range math.MaxInt16 + 1 {
		c.Cols[0].AppendBool(true)
		c.Rows++
	}
	if _, err := Write(io.Discard, table, []*column.Chunk{c}, Options{RowGroupRows: 1}); err == nil || !strings.Contains(err.Error(), "32768 row groups") {
		t.Errorf("error is %v", err)
	}
}

// failing fails at its nth write.
type failing struct{ left int }

var errDisk = errors.New("no space left")

func (f *failing) Write(p []byte) (int, error) {
	if f.left--; f.left < 0 {
		return 0, errDisk
	}
	return len(p), nil
}

func TestWrite_GivesTheWritersError(t *testing.T) {
	table := one("string")
	c := chunkOf(t, table, "a", "a", "a", nil, "a")
	for n := 0; ; n++ {
		_, err := Write(&failing{n}, table, []*column.Chunk{c}, Options{})
		if err == nil {
			if n < 5 { // magic, dictionary page, data page, footer: headers and bodies
				t.Errorf("only %d writes were tried", n)
			}
			return
		}
		if !errors.Is(err, errDisk) {
			t.Fatalf("write %d: error is %v, expected the writer's", n, err)
		}
	}
}

func TestNewName(t *testing.T) {
	id := uuid.MustParse("f81d4fae-7dec-11d0-a765-00a0c91e6bf6")
	for codec, want := range map[string]string{
		"":             "part-00000-f81d4fae-7dec-11d0-a765-00a0c91e6bf6.c000.zstd.parquet",
		"snappy":       "part-00000-f81d4fae-7dec-11d0-a765-00a0c91e6bf6.c000.snappy.parquet",
		"gzip":         "part-00000-f81d4fae-7dec-11d0-a765-00a0c91e6bf6.c000.gz.parquet",
		"uncompressed": "part-00000-f81d4fae-7dec-11d0-a765-00a0c91e6bf6.c000.parquet",
	} {
		if got := NewName(id, Options{Compression: codec}); got != want {
			t.Errorf("%q: %s, expected %s", codec, got, want)
		}
	}
}

// A million flights in chunks of 10,000: ascending times, two small numbers, two short strings of few values.
func BenchmarkWrite(b *testing.B) {
	table := &schema.Struct{}
	for _, c := range []string{"date timestamp_ntz", "delay bigint", "distance bigint", "origin string", "destination string"} {
		name, typ, _ := strings.Cut(c, " ")
		f := one(typ).Fields[0]
		f.Name = name
		table.Fields = append(table.Fields, f)
	}
	r := rand.New(rand.NewPCG(1, 2))
	airports := make([]string, 230)
	for i := range airports {
		airports[i] = string([]byte{'A' + byte(r.IntN(26)), 'A' + byte(r.IntN(26)), 'A' + byte(r.IntN(26))})
	}
	var chunks []*column.Chunk
	rows := 1_000_000
	for n := 0; n < rows; n += 10_000 {
		c, err := column.NewChunk(table)
		if err != nil {
			b.Fatal(err)
		}
		for i := range 10_000 {
			from, to := r.IntN(len(airports)), r.IntN(len(airports))
			c.Cols[0].AppendInt64(978_307_260_000_000 + int64(n+i)/12*60_000_000)
			c.Cols[1].AppendInt64(int64(r.NormFloat64() * 30))
			c.Cols[2].AppendInt64(int64(31 + 7*((from*to)%700)))
			c.Cols[3].AppendString(airports[from])
			c.Cols[4].AppendString(airports[to])
			c.Rows++
		}
		chunks = append(chunks, c)
	}
	for _, codec := range []string{"uncompressed", "snappy", "zstd"} {
		b.Run(codec, func(b *testing.B) {
			b.ReportAllocs()
			var size int64
			for b.Loop() {
				res, err := Write(io.Discard, table, chunks, Options{Compression: codec})
				if err != nil {
					b.Fatal(err)
				}
				size = res.Bytes
			}
			b.ReportMetric(float64(rows*b.N)/b.Elapsed().Seconds()/1e6, "Mrows/s")
			b.ReportMetric(float64(size), "filebytes")
		})
	}
}
