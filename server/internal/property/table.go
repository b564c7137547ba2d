package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/zerobus-go/zerobus/schema"
)

// dice is the randomness of one case.
type dice struct{ *rand.Rand }

// newDice is that of the case with a seed.
func newDice(seed uint64) dice { return dice{rand.New(rand.NewPCG(seed, 0x7ab1e))} }

// in reports true once in n calls, on average.
func (d dice) in(n int) bool { return d.IntN(n) == 0 }

// one is one of some values.
func one[T any](d dice, of ...T) T { return of[d.IntN(len(of))] }

// between is a number of lo to hi, both included.
func (d dice) between(lo, hi int) int { return lo + d.IntN(hi-lo+1) }

var (
	// plainNames are names that protobuf takes. Some are words of SQL or protobuf.
	plainNames = []string{
		"id", "Value", "temp_c", "select", "order", "group", "message", "optional", "string", "int32", "map", "key", "value", "_x", "x1", "a_b", "aB",
		"list", "element", "item", "array", "metadata", "typed_value", "null", "true", "from", "where", "device_name", "t_2", "add", "path",
		"long_0123456789012345678901234567890123456789",
	}

	// oddNames are names that tables may have and protobuf has not.
	oddNames = []string{
		"größe", "a-b", "a.b", "`tick`", "it's", `q"uote`, `back\slash`, "🎈", "e\u0301", "%20", "<x>", "$", "@at", "1st", "*", "a/b", "#", "?", "A:B",
		"[0]", "ключ", "列", "\u00a0", "+", "&amp", "~", "é",
	}

	comments = []string{"", "", "", "", "degrees", "it's \"quoted\" \\ `", "two\nlines", "größe 🎈", "{\"json\": 1}", "; DROP TABLE x --"}
)

// tableDice makes tables.
type tableDice struct {
	dice
	plain bool // protobuf can say all of it
}

// names draws n names of columns or members, no two of which differ in case alone.
func (d tableDice) names(n int) []string {
	var names []string
	seen := map[string]bool{}
	for i := 0; len(names) < n; i++ {
		name := one(d.dice, plainNames...)
		switch {
		case i > 4*n:
			name = fmt.Sprintf("column_%d", i)
		case !d.plain && d.in(6):
			name = one(d.dice, oddNames...)
		}
		if low := strings.ToLower(name); !seen[low] {
			seen[low] = true
			names = append(names, name)
		}
	}
	return names
}

// scalarKinds are the types without parts. VARIANT has none here: its value is one text.
var scalarKinds = []schema.Kind{
	schema.Boolean, schema.Byte, schema.Short, schema.Integer, schema.Long, schema.Float, schema.Double, schema.Decimal, schema.Decimal, schema.String,
	schema.String, schema.Binary, schema.Date, schema.Timestamp, schema.TimestampNTZ,
}

func (d tableDice) scalar(kinds ...schema.Kind) schema.Type {
	t := schema.Type{Kind: one(d.dice, kinds...)}
	switch t.Kind {
	case schema.Decimal:
		t.Precision = d.between(1, schema.MaxDecimalPrecision)
		t.Scale = d.between(0, t.Precision)
	case schema.String:
		if d.in(3) {
			t.Length, t.Fixed = d.between(1, 40), d.in(2)
		}
	}
	return t
}

// columnType draws a type of at most so many levels of nesting; within is the array or map that it is in, if any.
func (d tableDice) columnType(levels int, within schema.Kind) schema.Type {
	if levels == 0 || d.in(2) {
		if d.in(14) {
			return schema.Type{Kind: schema.Variant}
		}
		return d.scalar(scalarKinds...)
	}
	kind := one(d.dice, schema.StructKind, schema.Array, schema.Map)
	if d.plain && within != schema.Invalid { // protobuf has no arrays of arrays
		kind = schema.StructKind
	}
	if kind == schema.StructKind {
		return schema.Type{Kind: kind, Fields: d.fields(d.between(1, 4), levels-1)}
	}
	elem := d.columnType(levels-1, kind)
	t := schema.Type{Kind: kind, Elem: &elem, ElemNullable: true}
	if kind == schema.Map {
		key := d.scalar(scalarKinds...)
		if k := key.Kind; d.plain && (k == schema.Float || k == schema.Double || k == schema.Binary) {
			key = schema.Type{Kind: schema.Long}
		}
		t.Key = &key
	}
	return t
}

func (d tableDice) fields(n, levels int) []schema.Field {
	fields := make([]schema.Field, n)
	for i, name := range d.names(n) {
		fields[i] = schema.Field{Name: name, Type: d.columnType(levels, schema.Invalid), Nullable: !d.in(4), Comment: one(d.dice, comments...)}
	}
	return fields
}

// deep is a type of so many levels with one value at its end.
func (d tableDice) deep(levels int) schema.Type {
	if levels == 0 {
		return d.scalar(scalarKinds...)
	}
	inner := d.deep(levels - 1)
	switch {
	case d.plain || d.in(3):
		return schema.Type{Kind: schema.StructKind, Fields: []schema.Field{{Name: one(d.dice, plainNames...), Type: inner, Nullable: !d.in(4)}}}
	case d.in(2):
		return schema.Type{Kind: schema.Array, Elem: &inner, ElemNullable: true}
	}
	key := d.scalar(schema.Integer, schema.String)
	return schema.Type{Kind: schema.Map, Key: &key, Elem: &inner, ElemNullable: true}
}

// indexedColumns is the property that says how many columns have statistics.
const indexedColumns = "delta.dataSkippingNumIndexedCols"

const (
	manyColumns = 40 // more than the 32 that have statistics

	// deepest is how many levels a column has at most: Arrow's C interface takes 64, two for a MAP, and delta-rs 1.6.6 opens schemas
	// of 128 levels of JSON, three for a STRUCT.
	deepest = 30
)

// table draws the statement that makes a table. Half of them are such that protobuf can say all of it.
func (d dice) table(name string) *schema.CreateTable {
	columns := tableDice{dice: d, plain: d.in(2)}
	t := &schema.CreateTable{Name: strings.Split(name, "."), Comment: one(d, comments...), Properties: d.properties()}
	n := d.between(1, 8)
	switch d.IntN(25) {
	case 0:
		t.Columns.Fields = columns.fields(manyColumns, 0)
	case 1:
		very := schema.Field{Name: "very_deep", Type: columns.deep(d.between(5, deepest)), Nullable: !d.in(4)}
		t.Columns.Fields = append(columns.fields(n, 0), very)
	default:
		t.Columns.Fields = columns.fields(n, 3)
	}
	if d.in(4) {
		t.PartitionBy = d.partitions(t.Columns.Fields)
	}
	return t
}

// properties draws what changes the files and the log.
func (d dice) properties() map[string]string {
	p := map[string]string{}
	if d.in(3) {
		p["delta.parquet.compression.codec"] = one(d, "zstd", "snappy", "gzip", "uncompressed")
	}
	if d.in(10) {
		p[indexedColumns] = one(d, "-1", "0", "1", "3")
	}
	if d.in(4) {
		p["delta.checkpointInterval"] = one(d, "1", "2")
	}
	return p
}

// partitions draws up to three columns of types that allow it, and not all columns.
func (d dice) partitions(fields []schema.Field) []string {
	var by []string
	for _, i := range d.Perm(len(fields)) {
		f := &fields[i]
		if f.Type.Scalar() && f.Type.Kind != schema.Binary && len(by) < 3 && len(by)+1 < len(fields) && !d.in(3) {
			by = append(by, f.Name)
		}
	}
	return by
}

// sayable are the columns of a table that protobuf records can have: with the others NULL, if they may be; else there are no
// protobuf records for the table, and the result is nil.
func sayable(columns *schema.Struct) *schema.Struct {
	said := &schema.Struct{}
	for _, f := range columns.Fields {
		said.Fields = append(said.Fields, f)
		if _, err := said.Descriptor(messageName); err == nil {
			continue
		}
		if !f.Nullable {
			return nil
		}
		said.Fields = said.Fields[:len(said.Fields)-1]
	}
	if len(said.Fields) == 0 {
		return nil
	}
	said.Fields = slices.Clip(said.Fields)
	return said
}
