package column

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/zerobus-go/zerobus/schema"
)

// allTypes has a column of every layout, and two that share one.
var allTypes = schema.Struct{Fields: []schema.Field{
	{Name: "bool", Type: schema.Type{Kind: schema.Boolean}, Nullable: true},
	{Name: "tiny", Type: schema.Type{Kind: schema.Byte}, Nullable: true},
	{Name: "long", Type: schema.Type{Kind: schema.Long}, Nullable: true},
	{Name: "float", Type: schema.Type{Kind: schema.Float}, Nullable: true},
	{Name: "double", Type: schema.Type{Kind: schema.Double}, Nullable: true},
	{Name: "text", Type: schema.Type{Kind: schema.String}, Nullable: true},
	{Name: "bin", Type: schema.Type{Kind: schema.Binary}, Nullable: true},
	{Name: "dec", Type: schema.Type{Kind: schema.Decimal, Precision: 38}, Nullable: true},
}}

func newChunk(t rapid.TB, table *schema.Struct) *Chunk {
	t.Helper()
	c, err := NewChunk(table)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// model is a chunk as anyone would write it: a cell is nil or a Go value.
type model [][]any

func (m model) clone() model { return append(model(nil), m...) }

// appendCell adds a value to a column, by one of the ways that there are.
func appendCell(v *Vector, x any) {
	switch x := x.(type) {
	case nil:
		v.AppendNull()
	case bool:
		v.AppendBool(x)
	case int32:
		v.AppendInt32(x)
	case int64:
		v.AppendInt64(x)
	case float32:
		v.AppendFloat32(x)
	case float64:
		v.AppendFloat64(x)
	case Decimal128:
		v.AppendDecimal(x)
	case string:
		switch len(x) % 3 {
		case 0:
			v.AppendString(x)
		case 1:
			v.AppendBytes([]byte(x))
		case 2:
			v.Data = append(v.Data, x...)
			v.EndBytes()
		}
	default:
		panic(fmt.Sprintf("%T", x))
	}
}

func drawCell(rt *rapid.T, l Layout) any {
	switch l {
	case Bool:
		return rapid.Bool().Draw(rt, "bool")
	case Int32:
		return rapid.Int32().Draw(rt, "int32")
	case Int64:
		return rapid.Int64().Draw(rt, "int64")
	case Float32:
		return rapid.Float32().Draw(rt, "float32")
	case Float64:
		return rapid.Float64().Draw(rt, "float64")
	case Int128:
		return Decimal128{rapid.Uint64().Draw(rt, "low"), rapid.Int64().Draw(rt, "high")}
	}
	return rapid.String().Draw(rt, "text")
}

func zeroOf(l Layout) any {
	return [...]any{Bool: false, Int32: int32(0), Int64: int64(0), Float32: float32(0), Float64: 0.0, Bytes: "", Int128: Decimal128{}}[l]
}

func cellAt(v *Vector, i int) any {
	switch v.Layout {
	case Bool:
		return v.Bits.Get(i)
	case Int32:
		return v.I32[i]
	case Int64:
		return v.I64[i]
	case Float32:
		return v.F32[i]
	case Float64:
		return v.F64[i]
	case Int128:
		return v.Dec[i]
	}
	return string(v.BytesAt(i))
}

// check compares a chunk with its model and verifies what Vector promises about its slices.
func check(t rapid.TB, c *Chunk, want model) {
	t.Helper()
	if c.Rows != len(want) {
		t.Fatalf("%d rows, want %d", c.Rows, len(want))
	}
	for k := range c.Cols {
		v := &c.Cols[k]
		checkVector(t, v)
		if v.N != c.Rows {
			t.Fatalf("column %d has %d values of %d", k, v.N, c.Rows)
		}
		for i := range want {
			var got any
			if v.IsValid(i) {
				got = cellAt(v, i)
			}
			if got != want[i][k] && !(got != got && want[i][k] != want[i][k]) { // NaN
				t.Fatalf("column %d (%s) row %d is %v, want %v", k, v.Layout, i, got, want[i][k])
			}
		}
	}
}

func checkVector(t rapid.TB, v *Vector) {
	t.Helper()
	nulls := 0
	for i := range v.N {
		if !v.IsValid(i) {
			nulls++
			if !v.AllNull() && !v.zeroAt(i) {
				t.Fatalf("%s: the null at %d hides a value", v.Layout, i)
			}
		}
	}
	if nulls != v.Nulls || v.AllNull() != (v.N > 0 && nulls == v.N) {
		t.Fatalf("%s: %d nulls of %d, counted %d", v.Layout, v.Nulls, v.N, nulls)
	}
	rows := v.N
	if v.AllNull() {
		rows = 0
	}
	var want [Map + 1]int
	want[v.Layout] = rows
	offsets, data := 0, 0
	if v.Layout == Bytes && rows > 0 {
		offsets, data = rows+1, int(v.Offsets[rows])
		if v.Offsets[0] != 0 {
			t.Fatalf("the first offset is %d", v.Offsets[0])
		}
	}
	if list := v.Layout == List || v.Layout == Map; list && rows > 0 {
		offsets = rows + 1
	}
	for i := range v.Kids {
		kid := &v.Kids[i]
		checkVector(t, kid)
		if want := map[bool]int{true: v.N, false: v.Begun()}[v.Layout == Struct]; kid.N != want {
			t.Fatalf("%s: kid %d has %d values, want %d", v.Layout, i, kid.N, want)
		}
	}
	valid := 0
	if v.Nulls > 0 && rows > 0 {
		valid = bitmapLen(rows)
	}
	got := []int{len(v.Bits), len(v.I32), len(v.I64), len(v.F32), len(v.F64), len(v.Dec), len(v.Offsets), len(v.Data), len(v.Valid)}
	exp := []int{bitmapLen(want[Bool]), want[Int32], want[Int64], want[Float32], want[Float64], want[Int128], offsets, data, valid}
	if !slices.Equal(got, exp) {
		t.Fatalf("%s: lengths of bits, i32, i64, f32, f64, dec, offsets, data, valid: %v, want %v", v.Layout, got, exp)
	}
	for _, b := range []Bitmap{v.Bits, v.Valid} {
		if n := rows & 7; len(b) > 0 && n != 0 && b[len(b)-1]>>n != 0 {
			t.Fatalf("%s: bits behind the last row are set", v.Layout)
		}
	}
}

// same compares the byte forms; with what check verifies of the slices, they are all that a chunk shows.
func same(t rapid.TB, got, want *Chunk) {
	t.Helper()
	if g, w := got.AppendBinary(nil), want.AppendBinary(nil); !bytes.Equal(g, w) {
		t.Fatalf("the chunk is\n% x\nwant\n% x", g, w)
	}
}

// fill makes a chunk from a model.
func (m model) fill(t rapid.TB) *Chunk {
	c := newChunk(t, &allTypes)
	for _, row := range m {
		for k, x := range row {
			appendCell(&c.Cols[k], x)
		}
		c.EndRow(make([]bool, len(c.Cols)))
	}
	return c
}

func drawRow(rt *rapid.T, mostlyNull bool) []any {
	row := make([]any, len(allTypes.Fields))
	for k := range row {
		l, _ := LayoutOf(&allTypes.Fields[k].Type)
		n := rapid.IntRange(0, 5).Draw(rt, "null")
		if n > 2 || n == 0 && mostlyNull {
			row[k] = drawCell(rt, l)
		}
	}
	return row
}

// TestChunkAgainstModel does what decoders and tables do to a chunk, in any order.
func TestChunkAgainstModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		c, m := newChunk(rt, &allTypes), model{}
		none := make([]bool, len(c.Cols))
		addRow := func(row []any) {
			for k, x := range row {
				if x != nil || rapid.Bool().Draw(rt, "explicit null") {
					appendCell(&c.Cols[k], x)
				}
			}
			if i := c.EndRow(none); i >= 0 {
				rt.Fatalf("EndRow: %d", i)
			}
			m = append(m, row)
		}
		rt.Repeat(map[string]func(*rapid.T){
			"row": func(rt *rapid.T) { addRow(drawRow(rt, false)) },
			"null rows": func(rt *rapid.T) {
				for range rapid.IntRange(1, 20).Draw(rt, "rows") {
					addRow(make([]any, len(c.Cols)))
				}
			},
			"row taken back": func(rt *rapid.T) {
				row := drawRow(rt, false)
				for _, k := range rapid.Permutation([]int{0, 1, 2, 3, 4, 5, 6, 7}).Draw(rt, "order")[:rapid.IntRange(0, 7).Draw(rt, "columns")] {
					appendCell(&c.Cols[k], row[k])
				}
				if rapid.Bool().Draw(rt, "unfinished text") {
					c.Cols[5].Data = append(c.Cols[5].Data, "begun"...)
				}
				c.Truncate(c.Rows)
			},
			"value taken back": func(rt *rapid.T) {
				k := rapid.IntRange(0, len(c.Cols)-1).Draw(rt, "column")
				appendCell(&c.Cols[k], drawCell(rt, c.Cols[k].Layout))
				c.Cols[k].Truncate(c.Rows)
			},
			"zeros": func(rt *rapid.T) {
				row := make([]any, len(c.Cols))
				for k := range c.Cols {
					c.Cols[k].AppendZero()
					row[k] = zeroOf(c.Cols[k].Layout)
				}
				c.EndRow(none)
				m = append(m, row)
			},
			"missing": func(rt *rapid.T) {
				row := drawRow(rt, false)
				k := rapid.IntRange(0, len(c.Cols)-1).Draw(rt, "not null")
				row[k] = nil
				notNull := make([]bool, len(c.Cols))
				notNull[k] = true
				for k, x := range row {
					if x != nil || rapid.Bool().Draw(rt, "explicit null") {
						appendCell(&c.Cols[k], x)
					}
				}
				if i := c.EndRow(notNull); i != k {
					rt.Fatalf("EndRow found %d, want %d", i, k)
				}
				c.Truncate(c.Rows)
			},
			"truncate": func(rt *rapid.T) {
				n := rapid.IntRange(0, c.Rows+2).Draw(rt, "rows")
				c.Truncate(n)
				m = m[:min(n, len(m))].clone()
			},
			"append chunk": func(rt *rapid.T) {
				other := model{}
				for range rapid.IntRange(0, 10).Draw(rt, "rows") {
					other = append(other, drawRow(rt, true))
				}
				o := other.fill(rt)
				for range rapid.IntRange(0, 9).Draw(rt, "null rows") {
					o.EndRow(none)
					other = append(other, make([]any, len(c.Cols)))
				}
				c.AppendChunk(o)
				check(rt, o, other)
				m = append(m, other...)
			},
			"append narrow chunk": func(rt *rapid.T) {
				narrow := newChunk(rt, &schema.Struct{Fields: allTypes.Fields[:3]})
				row := drawRow(rt, false)
				for k := range narrow.Cols {
					appendCell(&narrow.Cols[k], row[k])
				}
				narrow.EndRow(none)
				for k := 3; k < len(row); k++ {
					row[k] = nil
				}
				if err := narrow.Compatible(&allTypes); err != nil {
					rt.Fatal(err)
				}
				c.AppendChunk(narrow)
				m = append(m, row)
				narrow.Widen(&allTypes)
				check(rt, narrow, model{row})
			},
			"": func(rt *rapid.T) {
				check(rt, c, m)
				same(rt, c, m.fill(rt)) // the history does not show
				b := c.AppendBinary([]byte("before"))
				back, err := Decode(b[len("before"):])
				if err != nil {
					rt.Fatal(err)
				}
				check(rt, back, m)
				same(rt, back, c)
				if rapid.IntRange(0, 3).Draw(rt, "go on with the copy") == 0 {
					c = back
				}
			},
		})
	})
}

func TestEndRow(t *testing.T) {
	c := newChunk(t, &allTypes)
	notNull := make([]bool, len(c.Cols))
	notNull[2], notNull[5] = true, true
	if i := c.EndRow(notNull); i != 2 {
		t.Errorf("first missing column is %d, want 2", i)
	}
	c.Truncate(0)
	c.Cols[2].AppendInt64(1)
	if i := c.EndRow(notNull); i != 5 {
		t.Errorf("first missing column is %d, want 5", i)
	}
	c.Truncate(0)
	c.Cols[2].AppendInt64(1)
	c.Cols[5].AppendString("")
	if i := c.EndRow(notNull); i != -1 {
		t.Errorf("missing column is %d, want none", i)
	}
	check(t, c, model{{nil, nil, int64(1), nil, nil, "", nil, nil}})
}

func TestNewChunkRefusesWhatHasNoLayout(t *testing.T) {
	for want, typ := range map[string]schema.Type{
		"column x: type invalid cannot be stored":                                    {},
		"column x: a struct without fields cannot be stored":                         {Kind: schema.StructKind},
		"column x: field y: a struct without fields cannot be stored":                {Kind: schema.StructKind, Fields: []schema.Field{{Name: "y", Type: schema.Type{Kind: schema.StructKind}}}},
		"column x: type " + (&schema.Type{Kind: 200}).String() + " cannot be stored": {Kind: 200},
	} {
		_, err := NewChunk(&schema.Struct{Fields: []schema.Field{{Name: "x", Type: typ}}})
		if err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func TestCompatible(t *testing.T) {
	c := newChunk(t, &schema.Struct{Fields: allTypes.Fields[:2]})
	if err := c.Compatible(&schema.Struct{Fields: allTypes.Fields[:1]}); err == nil || err.Error() != "the chunk has 2 columns, the table 1" {
		t.Error(err)
	}
	other := schema.Struct{Fields: append([]schema.Field(nil), allTypes.Fields...)}
	other.Fields[1].Type.Kind = schema.Long
	if err := c.Compatible(&other); err == nil || err.Error() != "column tiny has type bigint, the chunk holds int32" {
		t.Error(err)
	}
	other.Fields[1].Type.Kind = schema.Date // of the same layout
	if err := c.Compatible(&other); err != nil {
		t.Error(err)
	}
}

func TestBytesMeasuresValues(t *testing.T) {
	c := newChunk(t, &allTypes)
	for range 1000 {
		c.EndRow(make([]bool, len(c.Cols)))
	}
	if n := c.Bytes(); n != 0 {
		t.Errorf("1000 rows of nulls take %d bytes", n)
	}
	c.Cols[2].AppendInt64(1)
	c.EndRow(make([]bool, len(c.Cols)))
	if n, want := c.Bytes(), 8*1001+bitmapLen(1001); n != want {
		t.Errorf("%d bytes, want %d", n, want)
	}
}

// TestTakingBackDoesNotClearAgain: in a column of many nulls, a value that comes and goes costs the same, however many rows
// are before it.
func TestTakingBackDoesNotClearAgain(t *testing.T) {
	for k := range allTypes.Fields {
		c := newChunk(t, &allTypes)
		v := &c.Cols[k]
		v.appendNulls(100_000)
		value := zeroOf(v.Layout)
		appendCell(v, value)
		v.Truncate(100_000)
		if !v.AllNull() || v.zeros != 100_000 {
			t.Fatalf("%s: %d of %d nulls, %d zeros kept", v.Layout, v.Nulls, v.N, v.zeros)
		}
		v.appendNulls(3)
		appendCell(v, value)
		checkVector(t, v)
		if v.Nulls != 100_003 || v.N != 100_004 {
			t.Fatalf("%s: %d of %d nulls", v.Layout, v.Nulls, v.N)
		}
	}
}

func TestNegativeZeroAndNaNStay(t *testing.T) {
	c := newChunk(t, &schema.Struct{Fields: allTypes.Fields[3:5]})
	f := []uint32{0x80000000, 0x7fc00001, 0x7f800001, 0xff800000}
	d := []uint64{1 << 63, 0x7ff8000000000001, 0x7ff0000000000001, 0xfff0000000000000}
	for i := range f {
		c.Cols[0].AppendFloat32(math.Float32frombits(f[i]))
		c.Cols[1].AppendFloat64(math.Float64frombits(d[i]))
		c.EndRow(make([]bool, 2))
	}
	back, err := Decode(c.AppendBinary(nil))
	if err != nil {
		t.Fatal(err)
	}
	for i := range f {
		if g := math.Float32bits(back.Cols[0].F32[i]); g != f[i] {
			t.Errorf("float %x became %x", f[i], g)
		}
		if g := math.Float64bits(back.Cols[1].F64[i]); g != d[i] {
			t.Errorf("double %x became %x", d[i], g)
		}
	}
}
