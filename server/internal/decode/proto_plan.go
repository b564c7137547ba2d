package decode

import (
	"hash/maphash"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/zerobus-go/zerobus/schema"
	"github.com/zerobus-go/zerobus/server/internal/variant"
)

// op is what to do with the value of a field: how it is read and where it goes.
type op uint8

const (
	opInt32    op = iota // int32, enum -> Int32, range checked
	opInt64              // int64 -> Int64
	opInteger            // any other kind of integer -> Int32 or Int64, range checked
	opBool               // bool -> Bool
	opFloat              // float -> Float32
	opWiden              // float -> Float64
	opDouble             // double -> Float64
	opText               // string -> Bytes, UTF-8 and length checked
	opBinary             // bytes -> Bytes
	opDecimal            // string -> Int128
	opEnumName           // enum -> Bytes, the name of the value
	opVariant            // string -> Struct of metadata and value, from JSON text

	opStruct   // message -> Struct
	opMessages // repeated message -> List of Struct, one element
	opElement  // repeated scalar -> List, one element
	opPacked   // repeated scalar -> List, many elements in one value
	opEntry    // map -> Map, one entry
)

// protoField is a field of the descriptor and its column, or its field of a struct.
type protoField struct {
	tag      uint64 // number and wire type, as on the wire
	min, max int64  // of integers
	col      int32  // index into the columns, or the kids of the struct
	oneof    int32  // index into protoPlan.oneofs; -1: none
	length   int32  // of opText: characters, 0 for any number
	kind     protoreflect.Kind
	op       op
	enum     *enumType    // of opEnumName
	nested   *protoNested // of opStruct and what follows it
	target   *target

	// next is the field that followed this one when it was last seen: records of a stream mostly look alike, and to compare with
	// the tag that is due is cheaper than to look it up. Nil before that.
	next *protoField
}

// protoPlan is what to do with the fields of one message: a record, or what feeds a struct, or an entry of a map. There is one
// for each place in the table, so what it holds of a record belongs to one message at a time.
type protoPlan struct {
	targets []target
	fields  []protoField
	begin   protoField       // its next is the first field
	jump    []uint16         // by tag: 1 + index into fields, 0 for none
	far     map[uint64]int32 // the same for tags beyond: index into fields
	numbers map[uint64]int32 // by field number: index into fields
	oneofs  []int32          // of each: the column of the member that came last, in this message or an earlier one
	nested  []*protoNested   // by column; nil for scalars, and for what no field feeds

	// The values of the current message that the table does not allow, unless a later one takes their place.
	refused []int // by column: 1 + position of the value in the record, 0 for none

	// A message that a member of a oneof may clear remembers which of its fields have come, so that to clear it costs no more
	// than they did.
	clearable bool
	came      []bool  // by column
	order     []int32 // the columns that have come
}

// protoNested is a field whose column is a STRUCT, an ARRAY or a MAP, and what the current message has put there. Values stay
// open until that message ends: structs merge, and the elements of a list need not stand together.
type protoNested struct {
	op     op
	target *target
	plan   *protoPlan // of the message, or of a map's entry; nil for lists of scalars
	elem   protoField // of lists of scalars
	cost   int        // vectors that one more element takes a value or a null in, 0 for scalars

	open  bool    // opStruct: the field has come
	first refusal // of the elements and entries so far

	// Of maps: the entries wait until the map is whole, because the last one of a key counts.
	key        *protoField // in plan
	zero       [2][]byte   // the encodings that stand for a key and a value that are not there
	head, tail int32       // 1 + index into protoDecoder.entries; 0 for none
	count      int
}

// maxJump bounds the jump table of a message, 2 bytes an entry. Field numbers below 2,048 are in it.
const maxJump = 2048 << 3

// maxNestedJumps bounds the jump tables of all messages but the record, together: the client chooses the numbers.
const maxNestedJumps = 1 << 16

// protoDecoder is the plan, compiled from a descriptor and a table, and the state of one record.
type protoDecoder struct {
	protoPlan
	notNull  []bool
	flat     bool    // no column is nested and no field is in a oneof: a column that has got its value keeps one
	whole    bool    // each column has got a value, if the plan is flat
	inside   []int32 // the columns that are nested and have a field
	nRefused int     // values and lists that hold a refusal, at all levels
	first    refusal // of the nested columns, when the record has ended

	entries []mapEntry // of all maps of the record
	buckets []int32    // the hash table that finds keys that come twice
	seed    maphash.Seed
	number  [16]byte // a key to hash
	budget  budget

	variants variant.Encoder
}

// NewProto makes a decoder for records that the descriptor, a serialized DescriptorProto, describes. A *SchemaError tells
// what of it does not fit the table.
func NewProto(table *schema.Struct, descriptor []byte) (Decoder, error) {
	ts, err := targets(table)
	if err != nil {
		return nil, err
	}
	m, schemaErr := parseMessage(descriptor)
	if schemaErr != nil {
		return nil, schemaErr
	}
	c := compiler{root: newScope(m, nil), jumps: maxNestedJumps}
	p := c.plan(c.root, ts, "", 0, false)
	if len(c.bad) > 0 {
		return nil, misfits(c.bad)
	}
	d := &protoDecoder{protoPlan: *p, notNull: notNulls(ts), seed: maphash.MakeSeed()}
	d.flat = len(d.oneofs) == 0
	for col, n := range d.nested {
		if n != nil {
			d.inside = append(d.inside, int32(col))
			d.flat = false
		}
	}
	return d, nil
}

// index builds the ways from a tag to its field. The jump table holds tags below the limit.
func (p *protoPlan) index(limit uint64) {
	size := uint64(0)
	for i := range p.fields {
		if tag := p.fields[i].tag; tag < limit {
			size = max(size, tag+1)
		}
	}
	p.jump = make([]uint16, size)
	p.numbers = make(map[uint64]int32, len(p.fields))
	for i := range p.fields {
		tag := p.fields[i].tag
		if _, ok := p.numbers[tag>>3]; !ok { // a field that may be packed has two tags
			p.numbers[tag>>3] = int32(i)
		}
		if tag < limit {
			p.jump[tag] = uint16(i + 1)
			continue
		}
		if p.far == nil {
			p.far = map[uint64]int32{}
		}
		p.far[tag] = int32(i)
	}
}

// due is the field with this tag, behind the last one; nil if there is none. Both it and find are small enough to be inlined, which
// is a tenth of the time of a record.
func (p *protoPlan) due(last *protoField, tag uint64) *protoField {
	if f := last.next; f != nil && f.tag == tag {
		return f
	}
	return p.find(last, tag)
}

// find looks up the field with this tag, which is due behind the last one from now on; nil if there is none.
func (p *protoPlan) find(last *protoField, tag uint64) *protoField {
	var f *protoField
	if tag < uint64(len(p.jump)) && p.jump[tag] != 0 {
		f = &p.fields[p.jump[tag]-1]
	} else if n, ok := p.far[tag]; ok {
		f = &p.fields[n]
	} else {
		return nil
	}
	last.next = f
	return f
}

// fieldOf is the field that feeds column col. There is one: names are unique in a message.
func (p *protoPlan) fieldOf(col int32) *protoField {
	for i := range p.fields {
		if p.fields[i].col == col {
			return &p.fields[i]
		}
	}
	return nil
}
