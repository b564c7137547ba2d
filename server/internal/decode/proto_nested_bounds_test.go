package decode

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/zerobus-go/zerobus/schema"
	"github.com/zerobus-go/zerobus/server/internal/column"
)

// wideStruct is a message of n fields and the type that it feeds.
func wideStruct(name string, n int) (*descriptorpb.DescriptorProto, string) {
	var columns, fields []string
	for i := range n {
		columns, fields = append(columns, fmt.Sprintf("f%d: BIGINT", i)), append(fields, fmt.Sprintf("f%d int64", i))
	}
	return named(name, fields...), "STRUCT<" + strings.Join(columns, ", ") + ">"
}

// repeat is n times the same bytes.
func repeat(w wire, n int) wire { return wire(strings.Repeat(string(w), n)) }

// TestProtoNested_Bounds are records that would take quadratic time, or far more memory than they have bytes. They end at once, one
// way or the other; with a slip here the test takes minutes.
func TestProtoNested_Bounds(t *testing.T) {
	const many = 1 << 18
	wide, wideType := wideStruct("Wide", 1000)
	table := tableOf(t, "n INT, l ARRAY<INT>, s ARRAY<STRUCT<x: INT, in: STRUCT<y: INT>, r: ARRAY<STRUCT<x: INT>>>>, m MAP<INT, INT>, "+
		"ms MAP<STRING, STRUCT<x: INT>>, w ARRAY<"+wideType+">, ow "+wideType+", ol STRUCT<w: ARRAY<STRUCT<x: INT, y: INT>>, m: MAP<INT, "+wideType+">>, e ARRAY<STRING>")
	small := named("Small", "x int32", "in message In", "r repeated message X")
	nestedIn(small, named("In", "y int32"), named("X", "x int32"))
	ol := nestedIn(named("OL", "w repeated message XY", "m repeated message MWEntry"), named("XY", "x int32", "y int32"), entryOf("MWEntry", "int32", "message Wide"))
	long := &descriptorpb.EnumDescriptorProto{Name: proto.String("Long"), Value: []*descriptorpb.EnumValueDescriptorProto{
		{Name: proto.String(strings.Repeat("x", 100_000)), Number: proto.Int32(0)},
	}}
	m := nestedIn(messageOf("n int32", "l repeated int32", "s repeated message Small", "m repeated message MEntry", "ms repeated message MSEntry",
		"w repeated message Wide", "ow message Wide", "ol message OL"),
		wide, small, ol, entryOf("MEntry", "int32", "int32"), entryOf("MSEntry", "string", "message Small.X"))
	m.EnumType, m.Field = append(m.EnumType, long), append(m.Field, pf("e repeated enum Long", 20))
	for _, f := range []*descriptorpb.FieldDescriptorProto{m.Field[0], m.Field[6], m.Field[7]} {
		f.OneofIndex = proto.Int32(0)
	}
	descriptor := marshal(t, m)

	var keys, keysTwice, texts wire
	for i := range int64(many) {
		keys = keys.sub(4, wire{}.int(1, i).int(2, i))
		texts = texts.sub(5, wire{}.text(1, fmt.Sprint(i%(many/2))))
	}
	for i := range int64(many) {
		keysTwice = keysTwice.sub(4, wire{}.int(1, (i*7919)%(many/2)).int(2, i))
	}
	full := wire{}
	for i := range 1000 {
		full = full.int(protowire.Number(i+1), 5)
	}
	for _, tt := range []struct {
		name   string
		record wire
		reason string // part of; empty if it is taken
		check  func(row *column.Chunk) int
		want   int
	}{
		{"packed", wire{}.sub(2, repeat(wire{0}, many)), "", func(c *column.Chunk) int { return c.Cols[1].Kids[0].N }, many},
		{"one by one", repeat(wire{}.int(2, 1), many), "", func(c *column.Chunk) int { return c.Cols[1].Kids[0].N }, many},
		{"empty runs", repeat(wire{}.sub(2, nil), many), "", func(c *column.Chunk) int { return c.Cols[1].Nulls }, 1},
		{"empty structs", repeat(wire{}.sub(3, nil), many), "", func(c *column.Chunk) int { return c.Cols[2].Kids[0].N }, many},
		{"a struct merged", wire{}.sub(3, repeat(wire{}.sub(2, nil), many)), "", func(c *column.Chunk) int { return c.Cols[2].Kids[0].N }, 1},
		{"lists in a list", repeat(wire{}.sub(3, wire{}.sub(3, nil).sub(3, nil)), many/2), "", func(c *column.Chunk) int { return c.Cols[2].Kids[0].Kids[2].Kids[0].N }, many},
		{"a key many times", repeat(wire{}.sub(4, nil), many), "", func(c *column.Chunk) int { return c.Cols[3].Kids[0].N }, 1},
		{"many keys", keys, "", func(c *column.Chunk) int { return c.Cols[3].Kids[0].N }, many},
		{"half of the keys twice", keysTwice, "", func(c *column.Chunk) int { return c.Cols[3].Kids[0].N }, many / 2},
		{"half of the texts twice", texts, "", func(c *column.Chunk) int { return c.Cols[4].Kids[0].N }, many / 2},
		{"wide empty structs", repeat(wire{}.sub(6, nil), many), "too many fields together", nil, 0},
		{"a wide full struct and empty ones", append(wire{}.sub(6, full), repeat(wire{}.sub(6, nil), many)...), "send smaller", nil, 0},
		{"a wide struct comes and goes", repeat(wire{}.sub(7, wire{}.int(1000, 1)).int(1, 1), many), "", func(c *column.Chunk) int { return c.Cols[6].Nulls }, 1},
		{
			"a list comes and goes, after a long one", append(repeat(wire{}.sub(6, wire{}.int(1, 1)), 1000), repeat(wire{}.sub(8, wire{}.sub(1, nil)).int(1, 1), many)...), "",
			func(c *column.Chunk) int { return c.Cols[7].Nulls }, 1,
		},
		{"a map comes and goes", repeat(wire{}.sub(8, wire{}.sub(2, nil)).int(1, 1), many), "too many fields together", nil, 0},
		{"long names of enums", wire{}.sub(20, repeat(wire{0}, many)), "MiB in columns", nil, 0},
		{"unknown groups", repeat(nested(maxGroupDepth), 1000), "", func(c *column.Chunk) int { return c.Rows }, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d, c := protoOf(t, table, descriptor), chunkOf(t, table)
			if tt.reason != "" {
				c.Nest(column.MaxNested - 8<<20) // most of a batch has been, so that the test takes less time
			}
			err := d.Decode(c, tt.record)
			switch {
			case tt.reason == "" && err != nil:
				t.Fatal(err)
			case tt.reason == "":
				if got := tt.check(c); got != tt.want {
					t.Errorf("%d, want %d", got, tt.want)
				}
				sound(t, c, table)
			case err == nil || !strings.Contains(err.Error(), tt.reason):
				t.Errorf("%v, want %s", err, tt.reason)
			}
			if d := d.(*protoDecoder); cap(d.entries) > maxKept {
				t.Errorf("%d entries are kept", cap(d.entries))
			}
			c.Reset()
			if err := d.Decode(c, wire{}.int(1, 1)); err != nil || c.Rows != 1 {
				t.Errorf("the next record: %v", err)
			}
		})
	}
}

// TestProtoOneof_ManyMembers: members that come in turn cost the same, however many the oneof has. When each looks at all others, the
// test takes minutes.
func TestProtoOneof_ManyMembers(t *testing.T) {
	const members, turns = schema.MaxColumns, 1 << 20
	columns, fields := make([]string, members), make([]string, members)
	for i := range members {
		columns[i], fields[i] = fmt.Sprintf("c%d BOOLEAN", i), fmt.Sprintf("c%d bool", i)
	}
	m := messageOf(fields...)
	for _, f := range m.Field {
		f.OneofIndex = proto.Int32(0)
	}
	table := tableOf(t, strings.Join(columns, ","))
	d, c := protoOf(t, table, marshal(t, m)), chunkOf(t, table)
	if err := d.Decode(c, repeat(wire{}.int(1, 1).int(2, 1), turns)); err != nil {
		t.Fatal(err)
	}
	if err := d.Decode(c, wire{}.int(members, 1).int(1, 1).int(2, 1).int(members, 1)); err != nil { // after another record's member 2
		t.Fatal(err)
	}
	for i := range c.Cols {
		v := &c.Cols[i]
		if first, second := v.IsValid(0), v.IsValid(1); first != (i == 1) || second != (i == members-1) {
			t.Errorf("column %d has values %t and %t", i, first, second)
		}
	}
	sound(t, c, table)
}

// TestProtoNested_FirstNullOfMany: the first null of a column makes a bitmap of all values before. Lists that come and go after
// many valid elements may not do that each time for nothing.
func TestProtoNested_FirstNullOfMany(t *testing.T) {
	table := tableOf(t, "a STRUCT<l: ARRAY<STRUCT<x: INT>>, m: MAP<INT, STRUCT<x: INT>>>, b INT")
	a := nestedIn(named("A", "l repeated message X", "m repeated message MEntry"), named("X", "x int32"), entryOf("MEntry", "int32", "message X"))
	m := nestedIn(messageOf("a message A", "b int32"), a)
	for _, f := range m.Field {
		f.OneofIndex = proto.Int32(0)
	}
	for field, one := range map[protowire.Number]wire{1: {}, 2: wire{}.int(1, 5)} {
		d, c := protoOf(t, table, marshal(t, m)), chunkOf(t, table)
		full := wire{}
		for i := range int64(1 << 18) {
			full = full.sub(field, append(wire{}.int(1, i), wire{}.sub(2, wire{}.int(1, i))...))
		}
		if field == 1 {
			full = repeat(wire{}.sub(1, wire{}.int(1, 1)), 1<<18)
		}
		if err := d.Decode(c, wire{}.sub(1, full)); err != nil {
			t.Fatal(err)
		}
		c.Nest(column.MaxNested - 64<<20)
		got := turnedDown(t, d, c, table, repeat(wire{}.sub(1, wire{}.sub(field, one)).int(2, 1), 1<<18))
		if !strings.Contains(got.Error(), "too many fields together") {
			t.Error(got)
		}
	}
}

// TestProtoNested_DescriptorBounds: what a descriptor makes the server do is bounded by the table.
func TestProtoNested_DescriptorBounds(t *testing.T) {
	// Every column names the same big message.
	big, bigType := wideStruct("Big", 1000)
	var columns, fields []string
	for i := range 500 {
		columns, fields = append(columns, fmt.Sprintf("c%d STRUCT<f0: BIGINT>", i)), append(fields, fmt.Sprintf("c%d message Big", i))
	}
	_, err := NewProto(tableOf(t, strings.Join(columns, ",")), marshal(t, nestedIn(messageOf(fields...), big)))
	if got := len(err.(*SchemaError).Misfits); got != maxMisfits {
		t.Errorf("%d misfits", got)
	}
	if len(err.Error()) > 20_000 {
		t.Errorf("the error has %d bytes", len(err.Error()))
	}
	// The jump tables of nested messages are bounded together.
	columns = nil
	for i := range big.Field {
		big.Field[i].Number = proto.Int32(int32(2047 - i))
	}
	for i := range 40 {
		columns = append(columns, fmt.Sprintf("c%d %s", i, bigType))
	}
	table := tableOf(t, strings.Join(columns, ","))
	d := protoOf(t, table, marshal(t, nestedIn(messageOf(fields[:40]...), big))).(*protoDecoder)
	jumps := 0
	for _, n := range d.nested {
		jumps += len(n.plan.jump)
	}
	if jumps > maxNestedJumps || jumps < maxNestedJumps/2 {
		t.Errorf("the jump tables have %d entries", jumps)
	}
	c := chunkOf(t, table)
	if err := d.Decode(c, wire{}.sub(1, wire{}.int(2047, 1)).sub(40, wire{}.int(2047, 2).int(2046, 3))); err != nil {
		t.Fatal(err)
	}
	if got := c.Cols[39].Kids[1].I64[0]; got != 3 {
		t.Error(got)
	}
	// Long names, asked for in many places.
	x := named("X", "y enum "+strings.Repeat("Root.", 150_000)+"Color")
	columns = nil
	for i := range 500 {
		columns, fields[i] = append(columns, fmt.Sprintf("c%d STRUCT<y: STRING>", i)), fmt.Sprintf("c%d message X", i)
	}
	if _, err = NewProto(tableOf(t, strings.Join(columns, ",")), marshal(t, nestedIn(messageOf(fields...), x))); len(err.Error()) > 20_000 {
		t.Errorf("the error has %d bytes", len(err.Error()))
	}
}

// nestedWorkload is orders with structs, lists and maps.
func nestedWorkload(t testing.TB) (*schema.Struct, []byte, [][]byte) {
	table := tableOf(t, orderColumns)
	var records [][]byte
	for r := range int64(64) {
		w := wire{}.int(1, r).sub(2, wire{}.text(1, "Long Street 17").text(2, "12345").sub(3, wire{}.fixed64(1, math.Float64bits(52.5)).fixed64(2, math.Float64bits(13.4))).text(4, "home"))
		for i := range r%4 + 1 {
			w = w.sub(3, wire{}.text(1, fmt.Sprintf("sku-%06d", r*i)).int(2, i).text(3, "a note"))
		}
		w = w.sub(4, packedInts(1, 2, 3, r)).sub(5, wire{}.text(1, "count").int(2, r)).sub(5, wire{}.text(1, "other").int(2, 3)).
			sub(6, wire{}.varint(1, 2).sub(2, wire{}.fixed64(1, 0))).sub(8, packedInts(0, 1)).text(9, "1.25").sub(11, wire{}.text(1, "9.99").text(2, "x"))
		records = append(records, w)
	}
	return table, marshal(t, orderMessage()), records
}

func TestProtoNested_DoesNotAllocate(t *testing.T) {
	table, descriptor, records := nestedWorkload(t)
	many := wire{}.int(1, 1)
	for i := range int64(100) {
		many = many.sub(5, wire{}.text(1, fmt.Sprint(i%60)).int(2, i))
	}
	records = append(records, many, wire{}.int(1, 2).text(7, `{"a":[1,2.5,"x"]}`).text(10, "true"))
	noAllocs(t, protoOf(t, table, descriptor), chunkOf(t, table), records)
}

func BenchmarkDecodeProtoNested(b *testing.B) {
	table, descriptor, records := nestedWorkload(b)
	d, c := protoOf(b, table, descriptor), chunkOf(b, table)
	size := 0
	for _, r := range records {
		size += len(r)
	}
	b.SetBytes(int64(size))
	b.ReportAllocs()
	for b.Loop() {
		c.Reset()
		for _, r := range records {
			if err := d.Decode(c, r); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(len(records))*float64(b.N)/b.Elapsed().Seconds()/1e6, "Mrec/s")
	b.ReportMetric(float64(size)/float64(len(records)), "B/rec")
}

func FuzzProtoNested(f *testing.F) {
	table, descriptor, records := nestedWorkload(f)
	for _, r := range records[:4] {
		f.Add(r)
	}
	f.Add([]byte(wire{}.int(1, 1).text(7, `{"a":1}`).text(10, "1").sub(12, wire{}.text(1, "k").int(2, 1)).sub(5, nil).sub(5, nil)))
	m := orderMessage()
	var link func(*descriptorpb.DescriptorProto)
	link = func(m *descriptorpb.DescriptorProto) {
		for i, field := range m.Field {
			name := field.GetTypeName()
			switch name[strings.LastIndexByte(name, '.')+1:] {
			case "Geo":
				field.TypeName = proto.String(".pkg.Root.Address.Geo")
			case "":
			default:
				field.TypeName = proto.String(".pkg.Root." + name[strings.LastIndexByte(name, '.')+1:])
			}
			if field.GetLabel() != descriptorpb.FieldDescriptorProto_LABEL_REPEATED && !m.GetOptions().GetMapEntry() {
				field.Proto3Optional, field.OneofIndex = proto.Bool(true), proto.Int32(int32(len(m.OneofDecl)))
				m.OneofDecl = append(m.OneofDecl, &descriptorpb.OneofDescriptorProto{Name: proto.String(fmt.Sprint("_", i))})
			}
		}
		for _, nested := range m.NestedType {
			link(nested)
		}
	}
	link(m)
	p := nestedPairOf(f, f, table, newProtoOracle(f, table, m), descriptor)
	f.Fuzz(func(t *testing.T, record []byte) {
		if p.chunk.Rows > 50 {
			p.chunk.Reset()
		}
		// Not the field of decimal keys: of two texts for one number the last counts, and the library's maps have no order.
		if len(record) < 1<<16 && !strings.Contains(string(record), "Z") {
			p.check(t, record)
		}
	})
}

// TestNewProto_AgreesWithSchemaCheckOnNested: the check that clients make and ours say the same of nested descriptors.
func TestNewProto_AgreesWithSchemaCheckOnNested(t *testing.T) {
	singles := []string{"INT", "BIGINT", "STRING", "BOOLEAN", "VARIANT", "STRUCT<a: INT, b: STRING>", "STRUCT<a: INT NOT NULL, c: INT NOT NULL>", "STRUCT<a: STRUCT<a: INT, b: STRING>>"}
	kinds := []string{"int32", "int64", "string", "bool", "bytes", "enum E", "message N", "message .p.M.P", "message M.Q"}
	opened := 0
	for seed := range uint64(4000) {
		rnd := rand.New(rand.NewPCG(seed, 2))
		pick := func(s []string) string { return s[rnd.IntN(len(s))] }
		d := &descriptorpb.DescriptorProto{Name: proto.String("M"), EnumType: []*descriptorpb.EnumDescriptorProto{enumOf("E", "X")}}
		nestedIn(d, named("N", "a int32", "b string"), named("P", "a int32", "c required int32"), named("Q", "a message N"))
		var columns []string
		for i := range 1 + rnd.IntN(3) {
			name, typ := fmt.Sprint("f", i), pick(singles)
			switch rnd.IntN(5) {
			case 0:
				typ = "ARRAY<" + typ + ">"
			case 1:
				typ = "MAP<" + pick([]string{"INT", "STRING", "BOOLEAN"}) + ", " + typ + ">"
			case 2:
				if rnd.IntN(4) == 0 {
					typ = "ARRAY<ARRAY<" + typ + ">>"
				}
			}
			columns = append(columns, name+" "+typ)
			kind := pick(kinds)
			if rnd.IntN(3) > 0 { // one that is likely to fit
				kind = map[byte]string{'I': "int32", 'B': "int64", 'V': "string"}[typ[0]]
			}
			switch {
			case strings.HasPrefix(typ, "MAP<") && rnd.IntN(4) > 0:
				nestedIn(d, entryOf(fmt.Sprintf("F%dEntry", i), pick([]string{"int32", "string", "bool"}), pick(kinds)))
				kind = fmt.Sprintf("repeated message F%dEntry", i)
			case strings.HasPrefix(typ, "ARRAY<") && rnd.IntN(4) > 0:
				kind = "repeated " + pick(kinds)
			case kind == "":
				kind = pick(kinds)
			}
			d.Field = append(d.Field, pf(name+" "+kind, int32(i+1)))
		}
		table := tableOf(t, strings.Join(columns, ","))
		_, opens := NewProto(table, marshal(t, d))
		refused := schema.Check(d, table).Err()
		if (opens == nil) != (refused == nil) {
			t.Fatalf("seed %d: the decoder says %v, the check %v, of %v for %s", seed, opens, refused, d, describe(table))
		}
		if opens == nil {
			opened++
		} else if got, want := opens.(*SchemaError).Misfits[0].Field, schemaPath(refused); got != want {
			t.Fatalf("seed %d: the decoder blames %s, the check %s: %v, %v", seed, got, want, opens, refused)
		}
	}
	if opened < 200 {
		t.Errorf("%d descriptors were accepted; the test tells too little", opened)
	}
}

func schemaPath(err error) string { return err.(*schema.MisfitError).Findings[0].Path }
