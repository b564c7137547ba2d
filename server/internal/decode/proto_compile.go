package decode

import (
	"fmt"
	"math"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/zerobus-go/zerobus/schema"
	"github.com/zerobus-go/zerobus/server/internal/column"
)

// compiler matches messages with the table. It goes along the table, which bounds it: a message may contain itself, and many
// fields may name one message.
type compiler struct {
	root   *scope
	values int // of all enums so far
	jumps  int // entries that the jump tables of nested messages may still have
	bad    []Misfit
}

// maxMisfits bounds what is wrong: as many as there can be in a table without nested columns.
const maxMisfits = MaxDescriptorFields + schema.MaxColumns

func (c *compiler) misfit(m Misfit) {
	if len(c.bad) < maxMisfits {
		c.bad = append(c.bad, m)
	}
}

// plan compiles the message in s for the columns of the table, or for the fields of a struct, whose names begin with path.
func (c *compiler) plan(s *scope, ts []target, path string, depth int, clearable bool) *protoPlan {
	p := &protoPlan{targets: ts, nested: make([]*protoNested, len(ts)), refused: make([]int, len(ts)), clearable: clearable}
	if clearable {
		p.came = make([]bool, len(ts))
	}
	columns := make(map[string]int32, len(ts))
	for i := range ts {
		columns[ts[i].name[len(path):]] = int32(i)
	}
	fed := make([]bool, len(ts))
	oneofs := map[int32]int32{} // of the descriptor to ours
	for i := range s.fields {
		if len(c.bad) == maxMisfits {
			return p
		}
		f := &s.fields[i]
		col, ok := columns[f.name]
		if !ok {
			c.misfit(Misfit{Field: path + f.name, Descriptor: c.typeText(s, f), Reason: unknownColumn(f.name, ts, path)})
			continue
		}
		fed[col] = true
		first := len(p.fields)
		p.fields = c.field(p.fields, s, f, &ts[col], depth, clearable)
		for k := range p.fields[first:] {
			pf := &p.fields[first+k]
			pf.col = col
			if pf.nested != nil {
				p.nested[col] = pf.nested
			}
			if f.oneof < 0 || f.cardinality == protoreflect.Repeated {
				continue
			}
			o, ok := oneofs[f.oneof]
			if !ok {
				o = int32(len(p.oneofs))
				oneofs[f.oneof] = o
				p.oneofs = append(p.oneofs, col) // any of its members will do: it has no value yet
			}
			pf.oneof = o
		}
	}
	for i := range ts {
		if ts[i].notNull && !fed[i] {
			c.misfit(Misfit{
				Field: ts[i].name, Column: ts[i].ddl,
				Reason: fmt.Sprintf("the %s is %s NOT NULL and the descriptor has no such field: add it", what(path), ts[i].ddl),
			})
		}
	}
	c.index(p, path != "")
	return p
}

// index gives a message its tables.
func (c *compiler) index(p *protoPlan, inside bool) {
	if !inside {
		p.index(maxJump)
		return
	}
	p.index(uint64(min(maxJump, c.jumps)))
	c.jumps -= len(p.jump)
}

// what a target is: the path of a column is empty.
func what(path string) string {
	if path != "" {
		return "member"
	}
	return "column"
}

func unknownColumn(name string, ts []target, path string) string {
	owner, part := "table", what(path)
	if path != "" {
		owner = "struct"
	}
	for i := range ts {
		if own := ts[i].name[len(path):]; strings.EqualFold(own, name) {
			return fmt.Sprintf("the %s has no such %s, but %s: names match in exact case", owner, part, own)
		}
	}
	return fmt.Sprintf("the %s has no such %s: drop the field from the descriptor or add the %s to the table", owner, part, part)
}

// typeText is the field's type as a .proto file has it.
func (c *compiler) typeText(s *scope, f *field) string {
	if f.cardinality == protoreflect.Repeated && (f.kind == 0 || f.kind == protoreflect.MessageKind) {
		if named := c.find(f, s); named.isMap() {
			if key, value := named.message.entry(); key != nil && value != nil {
				return "map<" + key.typeText() + ", " + value.typeText() + ">"
			}
		}
	}
	return f.typeText()
}

// field matches a field with its column, or its field of a struct, and adds what it makes of it, in one or two ways on the
// wire. What does not fit is in c.bad.
func (c *compiler) field(to []protoField, s *scope, f *field, t *target, depth int, clearable bool) []protoField {
	refuse := func(text, reason string) []protoField {
		c.misfit(Misfit{Field: t.name, Descriptor: text, Column: t.ddl, Reason: reason})
		return to
	}
	if f.kind == 0 {
		// A descriptor whose types were not linked leaves the kind of named types open.
		named := c.find(f, s)
		if named.kind == 0 {
			return refuse(f.typeText(), named.reason)
		}
		f.kind = named.kind
	}
	repeated := f.cardinality == protoreflect.Repeated
	isMap := repeated && f.kind == protoreflect.MessageKind && c.find(f, s).isMap()
	if isMap != (t.kind == schema.Map) || (repeated && !isMap) != (t.kind == schema.Array) {
		return refuse(c.typeText(s, f), doesNotFit(c.typeText(s, f), t))
	}
	if !repeated {
		p, ok := c.single(s, f, t, t, depth, clearable)
		if !ok {
			return to
		}
		return append(to, p)
	}
	n := &protoNested{target: t}
	p := protoField{tag: uint64(f.number)<<3 | wireBytes, oneof: -1, kind: f.kind, nested: n, target: t}
	if isMap {
		n.op, p.op = opEntry, opEntry
		if reason := c.entry(n, c.find(f, s).message, depth); reason != "" {
			return refuse(f.typeText(), reason)
		}
		return append(to, p)
	}
	elem, ok := c.single(s, f, &t.kids[0], t, depth, false)
	if !ok {
		return to
	}
	if elem.op == opStruct {
		n.op, p.op = opMessages, opMessages
		n.plan, n.cost = elem.nested.plan, elem.nested.cost
		return append(to, p)
	}
	n.op, n.elem = opElement, elem
	one := p
	one.op, one.tag = opElement, elem.tag
	if to = append(to, one); elem.tag&7 != wireBytes {
		p.op = opPacked
		to = append(to, p)
	}
	return to
}

// entry compiles the entries of a map. The reason is why there can be none.
func (c *compiler) entry(n *protoNested, s *scope, depth int) string {
	key, value := s.entry()
	if key == nil || value == nil {
		return "the entries of the map have no key and value"
	}
	key.oneof, value.oneof = -1, -1
	switch key.kind {
	case protoreflect.FloatKind, protoreflect.DoubleKind, protoreflect.BytesKind, protoreflect.EnumKind, protoreflect.MessageKind,
		protoreflect.GroupKind, 0:
		return fmt.Sprintf("protobuf has no map with %s as key", key.typeText())
	}
	if value.kind == 0 {
		if value.kind = c.find(value, s).kind; value.kind == 0 {
			return c.find(value, s).reason
		}
	}
	t := n.target
	n.plan = &protoPlan{targets: t.kids, nested: make([]*protoNested, 2), refused: make([]int, 2)}
	for i, f := range []*field{key, value} {
		p, ok := c.single(s, f, &t.kids[i], t, depth, false)
		if !ok {
			return "" // said already
		}
		p.col = int32(i)
		if n.plan.nested[i] = p.nested; p.nested != nil {
			n.cost = 1 + p.nested.cost
		}
		n.plan.fields = append(n.plan.fields, p)
		n.zero[i] = c.zero(f, s)
	}
	n.key = &n.plan.fields[0]
	c.index(n.plan, true)
	return ""
}

// zero is the encoding of the value that an entry of a map has where it says none.
func (c *compiler) zero(f *field, s *scope) []byte {
	switch wireType(f.kind) {
	case wireFixed32:
		return make([]byte, 4)
	case wireFixed64:
		return make([]byte, 8)
	}
	if f.kind == protoreflect.EnumKind {
		if e, _ := c.enum(f, s); e != nil && e.first != 0 {
			return protowire.AppendVarint(nil, uint64(int64(e.first)))
		}
	}
	return []byte{0}
}

// single matches a field, or the elements of a repeated one, with a column that holds one value each. Of is the column with the
// elements; the same one if there are none.
func (c *compiler) single(s *scope, f *field, t, of *target, depth int, clearable bool) (protoField, bool) {
	text := f.singleText()
	refuse := func(reason string) (protoField, bool) {
		c.misfit(Misfit{Field: t.name, Descriptor: text, Column: t.ddl, Reason: reason})
		return protoField{}, false
	}
	p := protoField{
		tag: uint64(f.number)<<3 | wireType(f.kind), kind: f.kind, oneof: -1, min: t.min, max: t.max,
		length: int32(min(t.length, math.MaxInt32)), target: t,
	}
	fits := false
	switch {
	case t.kind == schema.Array, t.kind == schema.Map:
		return refuse(fmt.Sprintf("protobuf has no %s in %s: send JSON records, or change the table", t.kind, of.ddl))
	case p.kind == protoreflect.MessageKind && t.kind == schema.StructKind:
		named := c.find(f, s)
		switch {
		case named.message == nil:
			return refuse(named.reason)
		case named.isMap():
			return refuse("its message is the entry of a map: only a map has such a field")
		case depth == maxMessageDepth:
			return refuse(fmt.Sprintf("messages are nested more than %d levels deep", maxMessageDepth))
		}
		p.op, fits = opStruct, true
		n := &protoNested{op: opStruct, target: t, cost: t.width()}
		n.plan = c.plan(named.message, t.kids, t.name+".", depth+1, clearable || f.oneof >= 0)
		p.nested = n
	case p.kind == protoreflect.BoolKind:
		p.op, fits = opBool, t.layout == column.Bool
	case p.kind == protoreflect.FloatKind:
		p.op, fits = opFloat, t.layout == column.Float32
		if t.layout == column.Float64 {
			p.op, fits = opWiden, true
		}
	case p.kind == protoreflect.DoubleKind:
		p.op, fits = opDouble, t.layout == column.Float64
	case p.kind == protoreflect.StringKind:
		switch t.kind {
		case schema.String:
			p.op, fits = opText, true
		case schema.Decimal:
			p.op, fits = opDecimal, true
		case schema.Variant:
			p.op, fits = opVariant, true
		}
	case p.kind == protoreflect.BytesKind:
		p.op, fits = opBinary, t.kind == schema.Binary
	case p.kind == protoreflect.EnumKind && t.kind == schema.String:
		var reason string
		if p.enum, reason = c.enum(f, s); reason != "" {
			return refuse(reason)
		}
		p.op, fits = opEnumName, true
	case p.kind == protoreflect.MessageKind, p.kind == protoreflect.GroupKind:
	default:
		p.op, fits = integerOp(&p, t), t.integer()
	}
	if !fits {
		return refuse(doesNotFit(text, t))
	}
	return p, true
}

func doesNotFit(text string, t *target) string {
	return fmt.Sprintf("%s does not fit column type %s: %s", text, t.ddl, t.wanted)
}

func wireType(kind protoreflect.Kind) uint64 {
	switch kind {
	case protoreflect.FloatKind, protoreflect.Fixed32Kind, protoreflect.Sfixed32Kind:
		return wireFixed32
	case protoreflect.DoubleKind, protoreflect.Fixed64Kind, protoreflect.Sfixed64Kind:
		return wireFixed64
	case protoreflect.StringKind, protoreflect.BytesKind, protoreflect.MessageKind:
		return wireBytes
	}
	return wireVarint
}

// integerOp picks the way of an integer: the two usual ones are short.
func integerOp(p *protoField, t *target) op {
	switch {
	case t.layout == column.Int32 && (p.kind == protoreflect.Int32Kind || p.kind == protoreflect.EnumKind):
		return opInt32
	case t.layout == column.Int64 && p.kind == protoreflect.Int64Kind && p.min == math.MinInt64 && p.max == math.MaxInt64:
		return opInt64
	}
	return opInteger
}

// width is how many vectors get a value or a null when a value comes: those of elements do not.
func (t *target) width() int {
	n := 1
	switch t.kind {
	case schema.StructKind:
		for i := range t.kids {
			n += t.kids[i].width()
		}
	case schema.Variant:
		n += 2
	}
	return n
}
