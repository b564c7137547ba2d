package decode

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
	"pgregory.net/rapid"

	"github.com/zerobus-go/zerobus/schema"
)

// protoOracle decodes with the library and then holds the message against the table.
type protoOracle struct {
	table *schema.Struct
	md    protoreflect.MessageDescriptor
}

// newProtoOracle takes a message as a proto3 file has it: optional is explicit.
func newProtoOracle(t testing.TB, table *schema.Struct, m *descriptorpb.DescriptorProto) *protoOracle {
	t.Helper()
	file, err := protodesc.NewFile(&descriptorpb.FileDescriptorProto{
		Name: proto.String("t.proto"), Syntax: proto.String("proto3"), Package: proto.String("pkg"),
		MessageType: []*descriptorpb.DescriptorProto{m},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return &protoOracle{table, file.Messages().Get(0)}
}

var errRefused = errors.New("refused by the oracle")

func (o *protoOracle) decode(record []byte) ([]any, error) {
	if err := o.wireTypes(record); err != nil {
		return nil, err
	}
	m := dynamicpb.NewMessage(o.md)
	if err := (proto.UnmarshalOptions{AllowPartial: true}).Unmarshal(record, m); err != nil {
		return nil, err
	}
	row := make([]any, len(o.table.Fields))
	for i := range o.table.Fields {
		f := &o.table.Fields[i]
		fd := o.md.Fields().ByName(protoreflect.Name(f.Name))
		if fd == nil || !m.Has(fd) {
			if !f.Nullable {
				return nil, errRefused
			}
			continue
		}
		x, ok := protoCell(&f.Type, fd, m.Get(fd))
		if !ok {
			return nil, errRefused
		}
		row[i] = x
	}
	return row, nil
}

// wireTypes checks what the library is lenient about: known fields under another wire type, deep groups.
func (o *protoOracle) wireTypes(b []byte) error {
	for len(b) > 0 {
		num, wt, n := protowire.ConsumeTag(b)
		if n < 0 {
			return protowire.ParseError(n)
		}
		size := protowire.ConsumeFieldValue(num, wt, b[n:])
		if size < 0 {
			return protowire.ParseError(size)
		}
		if fd := o.md.Fields().ByNumber(num); fd != nil && wt != wireTypeOf(fd.Kind()) {
			return errRefused
		}
		if wt == protowire.StartGroupType && groupDepth(b[:n+size]) > maxGroupDepth {
			return errRefused
		}
		b = b[n+size:]
	}
	return nil
}

// groupDepth is the depth of a field that the library finds well formed. A field number that it takes inside of groups only
// counts as too deep.
func groupDepth(b []byte) int {
	depth, deepest := 0, 0
	for len(b) > 0 {
		num, wt, n := protowire.ConsumeTag(b)
		b = b[n:]
		if num > protowire.MaxValidNumber {
			return maxGroupDepth + 1
		}
		switch wt {
		case protowire.StartGroupType:
			depth++
			deepest = max(deepest, depth)
		case protowire.EndGroupType:
			depth--
		default:
			b = b[protowire.ConsumeFieldValue(num, wt, b):]
		}
	}
	return deepest
}

func wireTypeOf(k protoreflect.Kind) protowire.Type {
	switch k {
	case protoreflect.FloatKind, protoreflect.Fixed32Kind, protoreflect.Sfixed32Kind:
		return protowire.Fixed32Type
	case protoreflect.DoubleKind, protoreflect.Fixed64Kind, protoreflect.Sfixed64Kind:
		return protowire.Fixed64Type
	case protoreflect.StringKind, protoreflect.BytesKind:
		return protowire.BytesType
	}
	return protowire.VarintType
}

func protoCell(t *schema.Type, fd protoreflect.FieldDescriptor, v protoreflect.Value) (any, bool) {
	switch x := v.Interface().(type) {
	case bool:
		return x, true
	case int32, int64, uint32, uint64:
		n, _ := new(big.Int).SetString(fmt.Sprint(x), 10)
		return integerCell(t, n)
	case float32:
		if t.Kind == schema.Double {
			return float64(x), true
		}
		return x, true
	case float64:
		return x, true
	case string:
		if t.Kind == schema.Decimal {
			return decimalCell(t, x)
		}
		return textCell(t, x)
	case []byte:
		return string(x), true
	case protoreflect.EnumNumber:
		if t.Kind != schema.String {
			return integerCell(t, big.NewInt(int64(x)))
		}
		value := fd.Enum().Values().ByNumber(x)
		if value == nil {
			return nil, false
		}
		return textCell(t, string(value.Name()))
	}
	return nil, false
}

func integerCell(t *schema.Type, n *big.Int) (any, bool) {
	bits := map[schema.Kind]uint{
		schema.Byte: 7, schema.Short: 15, schema.Integer: 31, schema.Date: 31,
		schema.Long: 63, schema.Timestamp: 63, schema.TimestampNTZ: 63,
	}[t.Kind]
	limit := new(big.Int).Lsh(big.NewInt(1), bits)
	if n.Cmp(limit) >= 0 || n.Cmp(new(big.Int).Neg(limit)) < 0 {
		return nil, false
	}
	return n.Int64(), true
}

func textCell(t *schema.Type, s string) (any, bool) {
	return s, t.Length == 0 || utf8.RuneCountInString(s) <= t.Length
}

var decimalSyntaxRE = regexp.MustCompile(`^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$`)

// decimalCell is exact arithmetic with rationals.
func decimalCell(t *schema.Type, s string) (any, bool) {
	if !decimalSyntaxRE.MatchString(s) {
		return nil, false
	}
	digits, e, _ := strings.Cut(strings.ToLower(s), "e")
	x, ok := new(big.Rat).SetString(digits)
	if !ok {
		panic("not a number: " + digits)
	}
	if x.Sign() == 0 {
		return "0", true
	}
	exp := new(big.Int)
	if e != "" {
		exp.SetString(e, 10)
	}
	exp.Add(exp, big.NewInt(int64(t.Scale)))
	if !exp.IsInt64() || exp.Int64() > int64(len(s))+100 || exp.Int64() < -int64(len(s))-100 {
		return nil, false // so many zeros more than digits: too large, or not whole
	}
	shift := new(big.Int).Exp(big.NewInt(10), new(big.Int).Abs(exp), nil)
	if exp.Sign() >= 0 {
		x.Mul(x, new(big.Rat).SetInt(shift))
	} else {
		x.Quo(x, new(big.Rat).SetInt(shift))
	}
	limit := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(t.Precision)), nil)
	if !x.IsInt() || new(big.Int).Abs(x.Num()).Cmp(limit) >= 0 {
		return nil, false
	}
	return x.Num().String(), true
}

const diffColumns = `b BOOLEAN, t TINYINT, s SMALLINT, i INT, ifix INT, ienum INT, l BIGINT, lu BIGINT, lz BIGINT, d DATE,
	ts TIMESTAMP, ntz TIMESTAMP_NTZ, f FLOAT, df DOUBLE, dd DOUBLE, str STRING, vc VARCHAR(3), en STRING, bin BINARY,
	dec DECIMAL(5,2), o1 INT, o2 STRING, o3 TINYINT, far INT, absent STRING`

// diffMessage has a field of nearly every kind: optional ones, a oneof of three, one with a number beyond the jump table.
func diffMessage() *descriptorpb.DescriptorProto {
	m := messageOf("b bool", "t int32", "s sint32", "i uint32", "ifix sfixed32", "ienum enum .pkg.Root.Color", "l int64",
		"lu uint64", "lz sint64", "d int32", "ts fixed64", "ntz sfixed64", "f float", "df float", "dd double", "str string",
		"vc string", "en enum .pkg.Root.Color", "bin bytes", "dec string", "o1 int32", "o2 string", "o3 int64", "far fixed32")
	m.Field[23].Number = proto.Int32(5000)
	for i := range m.EnumType[0].Value { // proto3 wants 0 first
		if m.EnumType[0].Value[i].GetNumber() == 0 {
			v := m.EnumType[0].Value
			v[0], v[i] = v[i], v[0]
		}
	}
	m.OneofDecl = append(m.OneofDecl, &descriptorpb.OneofDescriptorProto{Name: proto.String("choice")})
	for _, f := range m.Field {
		if strings.HasPrefix(f.GetName(), "o") {
			f.OneofIndex = proto.Int32(0)
		}
	}
	for _, f := range m.Field {
		if f.OneofIndex == nil {
			f.Proto3Optional = proto.Bool(true)
			f.OneofIndex = proto.Int32(int32(len(m.OneofDecl)))
			m.OneofDecl = append(m.OneofDecl, &descriptorpb.OneofDescriptorProto{Name: proto.String("_" + f.GetName())})
		}
	}
	return m
}

// protoPair is a decoder with its oracle.
type protoPair struct {
	d      Decoder
	oracle *protoOracle
}

func newProtoPair(t testing.TB) *protoPair {
	table, m := tableOf(t, diffColumns), diffMessage()
	return &protoPair{protoOf(t, table, marshal(t, m)), newProtoOracle(t, table, m)}
}

// rowsBefore are what a chunk may hold when a record comes: whether its columns have values, nulls, or nothing decides which way the
// values of the record take.
func rowsBefore() [][]wire {
	few := wire{}.int(2, 1).text(16, "before")
	full := wire{}.varint(1, 1).int(2, -3).int(3, 7).int(4, 300).fixed32(5, 8).varint(6, 1).int(7, -5).varint(8, 1).varint(9, 2).
		int(10, 20000).fixed64(11, 1).fixed64(12, 2).fixed32(13, 3).fixed32(14, 4).fixed64(15, 5).text(16, "a text of the row before").
		text(17, "äöü").varint(18, 1).text(19, "\xff").text(20, "-1.5e1").int(21, 1).fixed32(5000, 1)
	return [][]wire{nil, {few}, {full}, {full, few, full}, {few, few, full}}
}

// check compares one record, into a chunk that is new or whose columns have had longer texts, with rows before it.
func (p *protoPair) check(t tester, record []byte, before []wire, roomy bool) (ok bool) {
	t.Helper()
	c := chunkOf(t, p.oracle.table)
	if roomy {
		accepted(t, p.d, c, wire{}.text(16, strings.Repeat("x", 300)).text(22, strings.Repeat("y", 300)))
		c.Reset()
	}
	for _, row := range before {
		accepted(t, p.d, c, row)
	}
	rows := snapshot(c)
	want, wantErr := p.oracle.decode(record)
	if wantErr != nil {
		if len(refused(t, p.d, c, record).Error()) > 500 {
			t.Fatal("the error is long")
		}
		return false
	}
	if err := p.d.Decode(c, record); err != nil {
		t.Fatalf("record %q: %v, expected %v", record, err, want)
	}
	if diff := cmp.Diff(want, rowOf(t, c, c.Rows-1), cmpopts.EquateNaNs()); diff != "" {
		t.Fatalf("record %q: %s", record, diff)
	}
	c.Truncate(len(before))
	sameChunk(t, c, rows)
	return true
}

func FuzzProto(f *testing.F) {
	f.Add([]byte(wire{}.varint(1, 1).int(2, -3).varint(3, 7).varint(4, 9).fixed32(5, 8).varint(6, 1).int(7, -5).varint(8, 1).varint(9, 2)))
	f.Add([]byte(wire{}.int(10, 20000).fixed64(11, 1).fixed64(12, 2).fixed32(13, 3).fixed32(14, 4).fixed64(15, 5).text(16, "text")))
	f.Add([]byte(wire{}.text(17, "äöü").varint(18, 1).text(19, "\xff").text(20, "-1.5e1").fixed32(5000, 1)))
	f.Add([]byte(wire{}.int(21, 1).text(22, "x").int(23, 300).int(21, 5)))
	f.Add([]byte(wire{}.int(2, 300).group(99, wire{}.int(1, 1)).int(2, 3)))
	p := newProtoPair(f) // one for all: nothing of a record may stay in it
	f.Fuzz(func(t *testing.T, record []byte) {
		for i, before := range rowsBefore() {
			p.check(t, record, before, i%2 == 0)
		}
	})
}

// TestProtoAgreesWithDynamicpb makes records of well-formed fields in any order, repeated, unknown, with values at the edges,
// and sometimes cuts or damages them.
func TestProtoAgreesWithDynamicpb(t *testing.T) {
	p := newProtoPair(t)
	numbers := append([]int32{99, 2047, 2048, maxNumber}, 5000)
	for i := range int32(24) {
		numbers = append(numbers, i+1)
	}
	edges := []uint64{
		0, 1, 127, 128, 255, 1 << 15, 1<<15 - 1, 1 << 31, 1<<31 - 1, 1<<32 - 1, 1 << 32, 1<<63 - 1, 1 << 63,
		math.MaxUint64, ^uint64(127), ^uint64(128), ^uint64(1<<15 - 1), ^uint64(1 << 15), ^uint64(1<<31 - 1), ^uint64(1 << 31),
	}
	var taken, refusals int
	one := func(rt *rapid.T) {
		var w wire
		for range rapid.IntRange(0, 8).Draw(rt, "fields") {
			num := protowire.Number(rapid.SampledFrom(numbers).Draw(rt, "number"))
			x := rapid.OneOf(rapid.SampledFrom(edges), rapid.Uint64()).Draw(rt, "x")
			wt := protowire.Type(rapid.SampledFrom([]int8{0, 1, 2, 3, 5}).Draw(rt, "wire type"))
			if fd := p.oracle.md.Fields().ByNumber(num); fd != nil && rapid.IntRange(0, 50).Draw(rt, "odd") > 0 {
				wt = wireTypeOf(fd.Kind())
			}
			switch wt {
			case protowire.VarintType:
				w = w.varint(num, x)
			case protowire.Fixed32Type:
				w = w.fixed32(num, uint32(x))
			case protowire.Fixed64Type:
				w = w.fixed64(num, x)
			case protowire.StartGroupType:
				w = w.group(num, wire{}.varint(1, x).text(16, "in a group"))
			case protowire.BytesType:
				text := rapid.SampledFrom([]string{
					"", "x", "äöü", "four", "12.34", "-0.01", "1e2", "1000", "0.001", "\xff",
					"of eight", "more than eight", "exactly sixteen.", "a text longer than sixteen", "ein längerer Text, nicht ASCII", "acht sind ä",
					"broken at its end \xff", strings.Repeat("as long as words are copied here", 2), strings.Repeat("longer than that ", 4),
				}).Draw(rt, "text")
				w = w.text(num, text)
			}
		}
		if len(w) > 0 && rapid.IntRange(0, 9).Draw(rt, "damage") == 0 {
			w[rapid.IntRange(0, len(w)-1).Draw(rt, "at")] ^= byte(1 << rapid.IntRange(0, 7).Draw(rt, "bit"))
			w = w[:rapid.IntRange(0, len(w)).Draw(rt, "cut")]
		}
		if p.check(rt, w, rapid.SampledFrom(rowsBefore()).Draw(rt, "before"), rapid.Bool().Draw(rt, "roomy")) {
			taken++
		} else {
			refusals++
		}
	}
	rapid.Check(t, func(rt *rapid.T) {
		for range 15 {
			one(rt)
		}
	})
	if taken == 0 || refusals == 0 {
		t.Errorf("%d records accepted, %d refused: the test sees one side only", taken, refusals)
	}
}

func TestVarintOfEveryLength(t *testing.T) {
	for bit := range 64 {
		for _, x := range []uint64{1 << bit, 1<<bit - 1, 1<<bit | 1, math.MaxUint64 << bit} {
			b := protowire.AppendVarint(nil, x)
			for _, tail := range []string{"", "\x00", "\xff\xff\xff\xff\xff\xff\xff\xff\xff", "\x01\x02\x03\x04\x05\x06\x07\x08"} {
				if got, i := varint(append(b[:len(b):len(b)], tail...), 0); got != x || i != len(b) {
					t.Errorf("% x, then % x: %d in %d bytes, want %d in %d", b, tail, got, i, x, len(b))
				}
			}
		}
	}
}

func FuzzVarint(f *testing.F) {
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01})
	f.Add([]byte{0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01, 0x55})
	f.Add([]byte{0x81, 0x00, 1, 2, 3, 4, 5, 6, 7, 8})
	f.Fuzz(func(t *testing.T, b []byte) {
		want, n := protowire.ConsumeVarint(b)
		got, i := varint(b, 0)
		if n < 0 != (i < 0) || n >= 0 && (got != want || i != n) {
			t.Errorf("% x: %d in %d bytes, want %d in %d", b, got, i, want, n)
		}
		for tag := range uint64(8) {
			n := protowire.ConsumeFieldValue(5, protowire.Type(tag), b)
			i := skip(b, 0, 5<<3|tag)
			if n < 0 != (i < 0) || n >= 0 && i != n {
				if n >= 0 && tag == wireStartGroup && groupDepth(append([]byte{5<<3 | 3}, b[:n]...)) > maxGroupDepth {
					continue
				}
				t.Errorf("% x: wire type %d is skipped to %d, want %d", b, tag, i, n)
			}
		}
	})
}
