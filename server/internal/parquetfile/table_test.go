package parquetfile

import (
	"bytes"
	"fmt"
	"math"
	"math/big"
	"testing"

	"pgregory.net/rapid"

	"github.com/zerobus-go/zerobus/schema"
	"github.com/zerobus-go/zerobus/server/internal/column"
)

// scalarTypes is every type that can be stored, decimals of every width.
func scalarTypes() []schema.Type {
	var types []schema.Type
	for _, k := range []schema.Kind{
		schema.Boolean, schema.Byte, schema.Short, schema.Integer, schema.Long, schema.Float, schema.Double, schema.String,
		schema.Binary, schema.Date, schema.Timestamp, schema.TimestampNTZ,
	} {
		types = append(types, schema.Type{Kind: k})
	}
	for p := 1; p <= schema.MaxDecimalPrecision; p++ {
		types = append(types, schema.Type{Kind: schema.Decimal, Precision: p, Scale: p * 2 / 3})
	}
	return types
}

func drawTable(t *rapid.T) *schema.Struct {
	types := rapid.SliceOfN(rapid.SampledFrom(scalarTypes()), 1, 8).Draw(t, "types")
	table := &schema.Struct{}
	for i, typ := range types {
		table.Fields = append(table.Fields, schema.Field{
			Name: fmt.Sprintf("c%d", i), Type: typ, Nullable: rapid.Bool().Draw(t, "nullable"),
		})
	}
	return table
}

// drawChunks makes chunks of the table, some without the last columns where these are nullable.
func drawChunks(t *rapid.T, table *schema.Struct) []*column.Chunk {
	oldest := len(table.Fields)
	for oldest > 0 && table.Fields[oldest-1].Nullable {
		oldest--
	}
	chunks := make([]*column.Chunk, rapid.IntRange(1, 4).Draw(t, "chunks"))
	for i := range chunks {
		old := &schema.Struct{Fields: table.Fields[:rapid.IntRange(max(1, oldest), len(table.Fields)).Draw(t, "columns")]}
		c, err := column.NewChunk(old)
		if err != nil {
			t.Fatal(err)
		}
		chunks[i] = c
		rows := rapid.IntRange(0, 40).Draw(t, "rows")
		if i == 0 {
			rows++
		}
		for j := range c.Cols {
			f := &old.Fields[j]
			values := drawValue(&f.Type)
			nulls := f.Nullable && rapid.Bool().Draw(t, "nulls")
			for range rows {
				if nulls && rapid.IntRange(0, 2).Draw(t, "null") == 0 {
					c.Cols[j].AppendNull()
					continue
				}
				values(t, &c.Cols[j])
			}
		}
		c.Rows = rows
	}
	return chunks
}

// drawValue gives a function that appends a value of the type, often an extreme one.
func drawValue(typ *schema.Type) func(*rapid.T, *column.Vector) {
	ints32 := func(lo, hi int32) func(*rapid.T, *column.Vector) {
		g := rapid.OneOf(rapid.SampledFrom([]int32{lo, -1, 0, 1, hi}), rapid.Int32Range(lo, hi))
		return func(t *rapid.T, v *column.Vector) { v.AppendInt32(g.Draw(t, "v")) }
	}
	switch typ.Kind {
	case schema.Boolean:
		return func(t *rapid.T, v *column.Vector) { v.AppendBool(rapid.Bool().Draw(t, "v")) }
	case schema.Byte:
		return ints32(math.MinInt8, math.MaxInt8)
	case schema.Short:
		return ints32(math.MinInt16, math.MaxInt16)
	case schema.Integer, schema.Date:
		return ints32(math.MinInt32, math.MaxInt32)
	case schema.Long, schema.Timestamp, schema.TimestampNTZ:
		year1, year9999 := int64(-62135596800000000), int64(253402300799999999)
		g := rapid.OneOf(rapid.SampledFrom([]int64{math.MinInt64, year1, -1, 0, 1, year9999, math.MaxInt64}),
			rapid.Int64Range(year1, year9999), rapid.Int64Range(-3000, 3000), rapid.Int64())
		return func(t *rapid.T, v *column.Vector) { v.AppendInt64(g.Draw(t, "v")) }
	case schema.Float:
		nan, inf := float32(math.NaN()), float32(math.Inf(1))
		g := rapid.OneOf(rapid.SampledFrom([]float32{
			0, float32(math.Copysign(0, -1)), nan, inf, -inf, 0.1,
			math.MaxFloat32, math.SmallestNonzeroFloat32,
		}), rapid.Float32(), rapid.Float32Range(1, 2))
		return func(t *rapid.T, v *column.Vector) { v.AppendFloat32(g.Draw(t, "v")) }
	case schema.Double:
		g := rapid.OneOf(rapid.SampledFrom([]float64{
			0, math.Copysign(0, -1), math.NaN(), math.Inf(1), math.Inf(-1), 0.1,
			math.MaxFloat64, math.SmallestNonzeroFloat64,
		}), rapid.Float64(), rapid.Float64Range(1, 2))
		return func(t *rapid.T, v *column.Vector) { v.AppendFloat64(g.Draw(t, "v")) }
	case schema.Decimal:
		limit := pow10(typ.Precision)
		most := int128{Lo: limit.Lo - 1, Hi: limit.Hi}
		if limit.Lo == 0 {
			most.Hi--
		}
		extremes := rapid.SampledFrom([]int128{most, most.Neg(), {}, {Lo: 1}, fromInt64(-1)})
		digits := rapid.SliceOfN(rapid.IntRange(0, 9), 0, typ.Precision)
		return func(t *rapid.T, v *column.Vector) {
			x := extremes.Draw(t, "v")
			if rapid.Bool().Draw(t, "digits") {
				x = int128{}
				for _, d := range digits.Draw(t, "v") {
					x = int128(addDigit(x, uint64(d)))
				}
				if rapid.Bool().Draw(t, "negative") {
					x = x.Neg()
				}
			}
			v.AppendDecimal(column.Decimal128(x))
		}
	case schema.String:
		g := rapid.OneOf(rapid.SampledFrom([]string{"", "a", "\x00", `"\`, "ü", "\U0010ffff"}), rapid.String(),
			rapid.StringN(28, 70, -1), rapid.StringOfN(rapid.SampledFrom([]rune{'~', 0x7f, 0x10ffff}), 30, 70, -1))
		return func(t *rapid.T, v *column.Vector) { v.AppendString(g.Draw(t, "v")) }
	default: // Binary
		g := rapid.SliceOf(rapid.Byte())
		return func(t *rapid.T, v *column.Vector) { v.AppendBytes(g.Draw(t, "v")) }
	}
}

// addDigit is 10x + d.
func addDigit(x int128, d uint64) int128 {
	n := new(big.Int).Mul(bigOf(x), big.NewInt(10))
	return int128Of(n.Add(n, new(big.Int).SetUint64(d)))
}

func bigOf(x int128) *big.Int {
	n := new(big.Int).Lsh(big.NewInt(x.Hi), 64)
	return n.Add(n, new(big.Int).SetUint64(x.Lo))
}

// int128Of takes the lowest 128 bits of n in two's complement.
func int128Of(n *big.Int) int128 {
	mask := new(big.Int).SetUint64(math.MaxUint64)
	hi := new(big.Int).Rsh(n, 64)
	return int128{Lo: new(big.Int).And(n, mask).Uint64(), Hi: int64(new(big.Int).And(hi, mask).Uint64())}
}

// one is a table of one nullable column named c.
func one(typ string) *schema.Struct {
	t, err := schema.ParseType(typ)
	if err != nil {
		panic(err)
	}
	return &schema.Struct{Fields: []schema.Field{{Name: "c", Type: t, Nullable: true}}}
}

// chunkOf is a chunk of one column, from Go values; nil is null.
func chunkOf(t testing.TB, table *schema.Struct, values ...any) *column.Chunk {
	t.Helper()
	c, err := column.NewChunk(table)
	if err != nil {
		t.Fatal(err)
	}
	v := &c.Cols[0]
	for _, x := range values {
		switch x := x.(type) {
		case nil:
			v.AppendNull()
		case bool:
			v.AppendBool(x)
		case int32:
			v.AppendInt32(x)
		case int64:
			v.AppendInt64(x)
		case int:
			switch v.Layout {
			case column.Int32:
				v.AppendInt32(int32(x))
			case column.Int64:
				v.AppendInt64(int64(x))
			default:
				v.AppendDecimal(column.Decimal128(fromInt64(int64(x))))
			}
		case float32:
			v.AppendFloat32(x)
		case float64:
			if v.Layout == column.Float32 {
				v.AppendFloat32(float32(x))
			} else {
				v.AppendFloat64(x)
			}
		case int128:
			v.AppendDecimal(column.Decimal128(x))
		case string:
			v.AppendString(x)
		case []byte:
			v.AppendBytes(x)
		default:
			t.Fatalf("no layout for a %T", x)
		}
		c.Rows++
	}
	return c
}

// joined is all rows in one chunk with all columns: what a file of the chunks must read as.
func joined(t rapid.TB, table *schema.Struct, chunks ...*column.Chunk) *column.Chunk {
	t.Helper()
	all, err := column.NewChunk(table)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range chunks {
		all.AppendChunk(c)
	}
	return all
}

// write fails the test if Write does or if the result does not say the file's length and rows.
func write(t rapid.TB, table *schema.Struct, o Options, chunks ...*column.Chunk) ([]byte, Result) {
	t.Helper()
	var b bytes.Buffer
	r, err := Write(&b, table, chunks, o)
	if err != nil {
		t.Fatal(err)
	}
	rows := 0
	for _, c := range chunks {
		rows += c.Rows
	}
	if r.Bytes != int64(b.Len()) || r.Rows != int64(rows) {
		t.Fatalf("result says %d bytes and %d rows, written were %d and %d", r.Bytes, r.Rows, b.Len(), rows)
	}
	return b.Bytes(), r
}

func readAll(t rapid.TB, table *schema.Struct, file []byte) *column.Chunk {
	t.Helper()
	all, err := column.NewChunk(table)
	if err != nil {
		t.Fatal(err)
	}
	err = ReadChunks(bytes.NewReader(file), int64(len(file)), table, -1, func(c *column.Chunk) error {
		all.AppendChunk(c)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// equal compares bit by bit: NaN equals itself, -0.0 is not 0.0. The byte form holds everything that counts.
func equal(t rapid.TB, table *schema.Struct, want, got *column.Chunk) {
	t.Helper()
	if bytes.Equal(want.AppendBinary(nil), got.AppendBinary(nil)) {
		return
	}
	if want.Rows != got.Rows {
		t.Fatalf("the file has %d rows, expected %d", got.Rows, want.Rows)
	}
	for i := range want.Cols {
		for row := range want.Rows {
			typ := &table.Fields[i].Type
			w, g := fmt.Sprintf("%#v", valueAt(&want.Cols[i], typ, row)), fmt.Sprintf("%#v", valueAt(&got.Cols[i], typ, row))
			if w != g {
				t.Fatalf("column %d row %d is %s, expected %s", i, row, g, w)
			}
		}
	}
	t.Fatal("the rows differ in a bit that does not show")
}
