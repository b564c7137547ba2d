package decode

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/zerobus-go/zerobus/schema"
	"github.com/zerobus-go/zerobus/server/internal/column"
	"github.com/zerobus-go/zerobus/server/internal/variant"
)

// Values of nested columns as tests write them; a struct is []any, or {metadata, value} if it is a VARIANT.
type (
	elements []any
	entries  map[any]any
)

// valueAt is value i of a vector of a type.
func valueAt(t tester, v *column.Vector, typ *schema.Type, i int) any {
	t.Helper()
	if !v.IsValid(i) {
		return nil
	}
	switch typ.Kind {
	case schema.StructKind:
		fields := make([]any, len(typ.Fields))
		for k := range fields {
			fields[k] = valueAt(t, &v.Kids[k], &typ.Fields[k].Type, i)
		}
		return fields
	case schema.Variant:
		return []any{string(v.Kids[0].BytesAt(i)), string(v.Kids[1].BytesAt(i))}
	case schema.Array:
		l := elements{}
		for from, to := v.Range(i); from < to; from++ {
			l = append(l, valueAt(t, &v.Kids[0], typ.Elem, from))
		}
		return l
	case schema.Map:
		m := entries{}
		for from, to := v.Range(i); from < to; from++ {
			key := valueAt(t, &v.Kids[0], typ.Key, from)
			if _, ok := m[key]; ok {
				t.Errorf("key %v comes twice", key)
			}
			m[key] = valueAt(t, &v.Kids[1], typ.Elem, from)
		}
		return m
	}
	return cell(t, v, i)
}

// valuesAt is a row with nested columns.
func valuesAt(t tester, c *column.Chunk, table *schema.Struct, i int) []any {
	t.Helper()
	row := make([]any, len(c.Cols))
	for k := range row {
		row[k] = valueAt(t, &c.Cols[k], &table.Fields[k].Type, i)
	}
	return row
}

// jsonVariant is a VARIANT of a JSON text.
func jsonVariant(text string) []any {
	m, v, reason := variant.Append(nil, nil, []byte(text))
	if reason != "" {
		panic(reason)
	}
	return []any{string(m), string(v)}
}

// taken decodes a record with nested columns and returns its row. The chunk must be one that the log would keep.
func taken(t tester, d Decoder, c *column.Chunk, table *schema.Struct, record []byte) []any {
	t.Helper()
	n := c.Rows
	if err := d.Decode(c, record); err != nil {
		t.Fatalf("record %q: %v", record, err)
	}
	if c.Rows != n+1 {
		t.Fatalf("%d rows after a record, %d before", c.Rows, n)
	}
	sound(t, c, table)
	return valuesAt(t, c, table, n)
}

// sound reads the chunk's byte form, which checks what must hold for every vector.
func sound(t tester, c *column.Chunk, table *schema.Struct) {
	t.Helper()
	again, err := column.Decode(c.AppendBinary(nil))
	if err == nil {
		err = again.Compatible(table)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// turnedDown decodes a record that must be refused, twice, checks that the chunk is as before, and returns the refusal.
func turnedDown(t tester, d Decoder, c *column.Chunk, table *schema.Struct, record []byte) *RecordError {
	t.Helper()
	before := c.AppendBinary(nil)
	var texts []string
	var re *RecordError
	for range 2 {
		err := d.Decode(c, record)
		if err == nil {
			t.Errorf("record %q was accepted as %v", record, valuesAt(t, c, table, c.Rows-1))
			return nil
		}
		if !errors.As(err, &re) {
			t.Fatalf("error is a %T: %v", err, err)
		}
		if !bytes.Equal(before, c.AppendBinary(nil)) {
			t.Fatalf("record %q left something in the chunk", record)
		}
		texts = append(texts, err.Error())
	}
	if texts[0] != texts[1] {
		t.Fatalf("record %q is refused as %s, then as %s", record, texts[0], texts[1])
	}
	if len(texts[0]) > 500 {
		t.Fatal("the error is long")
	}
	return re
}

// values decodes with the library and holds the message against the table, whose columns may be nested.
func (o *protoOracle) values(record []byte) ([]any, error) {
	if err := checkWire(o.md, record); err != nil {
		return nil, err
	}
	m := dynamicpb.NewMessage(o.md)
	if err := (proto.UnmarshalOptions{AllowPartial: true}).Unmarshal(record, m); err != nil {
		return nil, err
	}
	return structValues(o.table.Fields, m)
}

func structValues(fields []schema.Field, m protoreflect.Message) ([]any, error) {
	row := make([]any, len(fields))
	for i := range fields {
		f := &fields[i]
		fd := m.Descriptor().Fields().ByName(protoreflect.Name(f.Name))
		empty := fd == nil || !m.Has(fd)
		switch {
		case empty && f.Nullable:
			continue
		case empty && f.Type.Kind == schema.Array:
			row[i] = elements{}
			continue
		case empty && f.Type.Kind == schema.Map:
			row[i] = entries{}
			continue
		case empty:
			return nil, fmt.Errorf("%s is missing", f.Name)
		}
		var err error
		if row[i], err = fieldValue(&f.Type, fd, m.Get(fd)); err != nil {
			return nil, err
		}
	}
	return row, nil
}

func fieldValue(t *schema.Type, fd protoreflect.FieldDescriptor, v protoreflect.Value) (any, error) {
	switch {
	case fd.IsList():
		l := elements{}
		for i := range v.List().Len() {
			x, err := singleValue(t.Elem, fd, v.List().Get(i))
			if err != nil {
				return nil, err
			}
			l = append(l, x)
		}
		return l, nil
	case fd.IsMap():
		m := entries{}
		var err error
		v.Map().Range(func(k protoreflect.MapKey, v protoreflect.Value) bool {
			var key, x any
			if key, err = singleValue(t.Key, fd.MapKey(), k.Value()); err != nil {
				return false
			}
			x, err = singleValue(t.Elem, fd.MapValue(), v)
			m[key] = x
			return err == nil
		})
		return m, err
	}
	return singleValue(t, fd, v)
}

func singleValue(t *schema.Type, fd protoreflect.FieldDescriptor, v protoreflect.Value) (any, error) {
	switch t.Kind {
	case schema.StructKind:
		return structValues(t.Fields, v.Message())
	case schema.Variant:
		m, x, reason := variant.Append(nil, nil, []byte(v.String()))
		if reason != "" {
			return nil, errors.New(reason)
		}
		return []any{string(m), string(x)}, nil
	}
	x, ok := protoCell(t, fd, v)
	if !ok {
		return nil, errRefused
	}
	return x, nil
}

// checkWire checks what the library is lenient about, in all messages: known fields under another wire type, deep groups.
func checkWire(md protoreflect.MessageDescriptor, b []byte) error {
	for len(b) > 0 {
		num, wt, n := protowire.ConsumeTag(b)
		if n < 0 {
			return protowire.ParseError(n)
		}
		size := protowire.ConsumeFieldValue(num, wt, b[n:])
		if size < 0 {
			return protowire.ParseError(size)
		}
		if wt == protowire.StartGroupType && groupDepth(b[:n+size]) > maxGroupDepth {
			return errRefused
		}
		if fd := md.Fields().ByNumber(num); fd != nil {
			want := wireTypeOf(fd.Kind())
			if fd.Message() != nil {
				want = protowire.BytesType
			}
			if wt != want && !(fd.IsList() && wt == protowire.BytesType) {
				return errRefused
			}
			if fd.Message() != nil {
				inside, _ := protowire.ConsumeBytes(b[n:])
				if err := checkWire(fd.Message(), inside); err != nil {
					return err
				}
			}
		}
		b = b[n+size:]
	}
	return nil
}

// nestedPair is a decoder with its oracle, and a chunk with the rows so far.
type nestedPair struct {
	d      Decoder
	oracle *protoOracle
	chunk  *column.Chunk
	rows   [][]any
}

func (p *nestedPair) check(t tester, record []byte) (ok bool) {
	t.Helper()
	table := p.oracle.table
	want, err := p.oracle.values(record)
	if err != nil {
		if turnedDown(t, p.d, p.chunk, table, record) == nil {
			t.Fatalf("accepted, but the oracle says %v; table %s", err, describe(table))
		}
		return false
	}
	if diff := cmp.Diff(want, taken(t, p.d, p.chunk, table, record), cmpopts.EquateNaNs()); diff != "" {
		t.Fatalf("record %q: %s", record, diff)
	}
	p.rows = append(p.rows, want)
	return true
}

// checkRows compares all rows.
func (p *nestedPair) checkRows(t tester) {
	t.Helper()
	for i, want := range p.rows {
		if diff := cmp.Diff(want, valuesAt(t, p.chunk, p.oracle.table, i), cmpopts.EquateNaNs()); diff != "" {
			t.Fatalf("row %d: %s", i, diff)
		}
	}
}

func nestedPairOf(t testing.TB, rt tester, table *schema.Struct, oracle *protoOracle, descriptor []byte) *nestedPair {
	t.Helper()
	return &nestedPair{d: protoOf(rt, table, descriptor), oracle: oracle, chunk: chunkOf(rt, table)}
}
