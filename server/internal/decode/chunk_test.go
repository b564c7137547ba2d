package decode

import (
	"bytes"
	"errors"
	"math"
	"math/big"
	"slices"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/zerobus-go/zerobus/schema"
	"github.com/zerobus-go/zerobus/server/internal/column"
)

// tester is what *testing.T and *rapid.T have in common.
type tester interface {
	Helper()
	Error(...any)
	Errorf(string, ...any)
	Fatal(...any)
	Fatalf(string, ...any)
}

// tableOf is the schema of a table with these columns, in DDL.
func tableOf(t tester, columns string) *schema.Struct {
	t.Helper()
	c, err := schema.ParseCreateTable("CREATE TABLE t (" + columns + ")")
	if err != nil {
		t.Fatal(err)
	}
	return &c.Columns
}

func chunkOf(t tester, table *schema.Struct) *column.Chunk {
	t.Helper()
	c, err := column.NewChunk(table)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func jsonOf(t tester, table *schema.Struct) Decoder {
	t.Helper()
	d, err := NewJSON(table)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func protoOf(t tester, table *schema.Struct, descriptor []byte) Decoder {
	t.Helper()
	d, err := NewProto(table, descriptor)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// cell is value i of a column: nil, bool, int64, float32, float64, string, or the unscaled digits of a decimal as a string.
func cell(t tester, v *column.Vector, i int) any {
	t.Helper()
	if v.AllNull() {
		return nil
	}
	var x any
	var zero bool
	switch v.Layout {
	case column.Bool:
		x, zero = v.Bits.Get(i), !v.Bits.Get(i)
	case column.Int32:
		x, zero = int64(v.I32[i]), v.I32[i] == 0
	case column.Int64:
		x, zero = v.I64[i], v.I64[i] == 0
	case column.Float32:
		x, zero = v.F32[i], v.F32[i] == 0
	case column.Float64:
		x, zero = v.F64[i], v.F64[i] == 0
	case column.Bytes:
		x, zero = string(v.BytesAt(i)), len(v.BytesAt(i)) == 0
	case column.Int128:
		x, zero = unscaled(v.Dec[i]), v.Dec[i] == column.Decimal128{}
	}
	if !v.IsValid(i) {
		if !zero {
			t.Errorf("null at %d hides %v", i, x)
		}
		return nil
	}
	return x
}

func unscaled(d column.Decimal128) string {
	n := new(big.Int).Lsh(big.NewInt(d.Hi), 64)
	return n.Add(n, new(big.Int).SetUint64(d.Lo)).String()
}

func rowOf(t tester, c *column.Chunk, i int) []any {
	t.Helper()
	row := make([]any, len(c.Cols))
	for k := range c.Cols {
		if c.Cols[k].N != c.Rows {
			t.Fatalf("column %d has %d values, the chunk %d rows", k, c.Cols[k].N, c.Rows)
		}
		row[k] = cell(t, &c.Cols[k], i)
	}
	return row
}

// snapshot is a deep copy, to compare with later.
func snapshot(c *column.Chunk) *column.Chunk {
	s := &column.Chunk{Rows: c.Rows, Cols: make([]column.Vector, len(c.Cols))}
	for i := range s.Cols {
		v := &c.Cols[i]
		s.Cols[i] = column.Vector{
			Layout: v.Layout, N: v.N, Nulls: v.Nulls, Valid: slices.Clone(v.Valid), Bits: slices.Clone(v.Bits),
			I32: slices.Clone(v.I32), I64: slices.Clone(v.I64), F32: slices.Clone(v.F32), F64: slices.Clone(v.F64),
			Dec: slices.Clone(v.Dec), Offsets: slices.Clone(v.Offsets), Data: slices.Clone(v.Data),
		}
	}
	return s
}

// sameChunk compares every slice, number and bit; only the memory behind the slices may differ.
func sameChunk(t tester, got, want *column.Chunk) {
	t.Helper()
	same := got.Rows == want.Rows && len(got.Cols) == len(want.Cols)
	for i := 0; same && i < len(got.Cols); i++ {
		g, w := &got.Cols[i], &want.Cols[i]
		same = g.Layout == w.Layout && g.N == w.N && g.Nulls == w.Nulls && bytes.Equal(g.Valid, w.Valid) &&
			bytes.Equal(g.Bits, w.Bits) && slices.Equal(g.I32, w.I32) && slices.Equal(g.I64, w.I64) &&
			slices.EqualFunc(g.F32, w.F32, func(a, b float32) bool { return math.Float32bits(a) == math.Float32bits(b) }) &&
			slices.EqualFunc(g.F64, w.F64, func(a, b float64) bool { return math.Float64bits(a) == math.Float64bits(b) }) &&
			slices.Equal(g.Dec, w.Dec) && slices.Equal(g.Offsets, w.Offsets) && bytes.Equal(g.Data, w.Data)
	}
	if same {
		return
	}
	t.Fatalf("the chunk differs:\n%s", cmp.Diff(want, got, cmpopts.EquateEmpty(), cmpopts.IgnoreUnexported(column.Vector{})))
}

// refused decodes a record that must be refused, checks that the chunk is as before, and returns the refusal.
func refused(t tester, d Decoder, c *column.Chunk, record []byte) *RecordError {
	t.Helper()
	before := snapshot(c)
	err := d.Decode(c, record)
	if err == nil {
		t.Fatalf("record %q was accepted as %v", record, rowOf(t, c, c.Rows-1))
	}
	sameChunk(t, c, before)
	var re *RecordError
	if !errors.As(err, &re) {
		t.Fatalf("error is a %T: %v", err, err)
	}
	return re
}

// accepted decodes a record and returns its row.
func accepted(t tester, d Decoder, c *column.Chunk, record []byte) []any {
	t.Helper()
	n := c.Rows
	if err := d.Decode(c, record); err != nil {
		t.Fatalf("record %q: %v", record, err)
	}
	if c.Rows != n+1 {
		t.Fatalf("%d rows after a record, %d before", c.Rows, n)
	}
	return rowOf(t, c, n)
}
