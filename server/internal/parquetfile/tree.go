package parquetfile

import (
	"errors"
	"fmt"
	"math"

	"github.com/parquet-go/parquet-go/deprecated"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"

	"github.com/zerobus-go/zerobus/schema"
	"github.com/zerobus-go/zerobus/server/internal/column"
)

// tree is a table's schema as Parquet has it. A type with parts is a group, and its leaves are what the file stores:
//
//	STRUCT   group c { fields }
//	ARRAY    group c (LIST) { repeated group list { element } }
//	MAP      group c (MAP) { repeated group key_value { required key; value } }
//	VARIANT  group c { required binary value; required binary metadata }
//
// The group of a VARIANT has no annotation: parquet-java before 1.16, which Spark 4.0 has, opens no file with an annotation that
// it does not know. value is the first field since Spark 4.0 takes the fields by their position.
type tree struct {
	columns []*node
	leaves  []leaf
	wholes  int // nodes that have a number of their own in Delta's statistics
}

// node is a column, a field of a struct, the elements of a list or the keys or values of a map.
type node struct {
	name     string // in the file, of the element that holds the values
	path     string // for errors
	typ      *schema.Type
	nullable bool
	ids

	kids   []*node // in the file's order
	kid    int     // which of the kids of its parent's vector
	leaf   int     // which of the tree's leaves; -1 for a group
	strict bool    // it or something inside of it is NOT NULL

	// The levels of a value that is there: its definition level, one less for a null, and the repetition level of all values
	// but the first below the same parent.
	def, rep byte

	// whole numbers the nodes that Delta's statistics count as one column, depth first: those of scalar types, arrays, maps and
	// variants that are not inside of an array, a map or a variant. -1 for the others.
	whole int
}

func (n *node) list() bool { return n.typ.Kind == schema.Array || n.typ.Kind == schema.Map }

// null is the definition level of a null whose parent is there.
func (n *node) null() byte {
	if n.nullable {
		return n.def - 1
	}
	return n.def
}

var binaryType = schema.Type{Kind: schema.Binary}

// treeOf gives a table's tree. It fails on a type that column does not hold.
func treeOf(table *schema.Struct) (*tree, error) {
	if len(table.Fields) == 0 {
		return nil, fmt.Errorf("the table has no columns")
	}
	t := &tree{}
	for i := range table.Fields {
		f := &table.Fields[i]
		n := &node{name: f.Name, path: f.Name, typ: &f.Type, nullable: f.Nullable, kid: i}
		err := n.ids.of(f)
		if err == nil {
			err = t.add(n, []*node{n}, 0, 0, true)
		}
		if err != nil {
			return nil, fmt.Errorf("column %s: %w", f.Name, err)
		}
		t.columns = append(t.columns, n)
	}
	return t, nil
}

// add completes the last node of a path, whose parent has these levels. outer says that no list is above it.
func (t *tree) add(n *node, path []*node, def, rep int, outer bool) error {
	if n.nullable {
		def++
	}
	if def >= math.MaxUint8 { // a list adds one more
		return fmt.Errorf("it is nested too deep for a file")
	}
	n.def, n.rep, n.leaf, n.whole, n.strict = byte(def), byte(rep), -1, -1, !n.nullable
	layout, ok := column.LayoutOf(n.typ)
	if !ok {
		return fmt.Errorf("type %s cannot be stored in files", n.typ)
	}
	if outer && n.typ.Kind != schema.StructKind {
		n.whole = t.wholes
		t.wholes++
	}
	inside := func(kid int, name string, typ *schema.Type, nullable bool, own ids) error {
		k := &node{name: name, path: n.path + "." + name, typ: typ, nullable: nullable, kid: kid, ids: own}
		n.kids = append(n.kids, k)
		err := t.add(k, append(path[:len(path):len(path)], k), def, rep, outer && n.typ.Kind == schema.StructKind)
		n.strict = n.strict || k.strict
		return err
	}
	switch n.typ.Kind {
	case schema.StructKind:
		if len(n.typ.Fields) == 0 {
			return fmt.Errorf("a struct without fields cannot be stored in files")
		}
		for i := range n.typ.Fields {
			f := &n.typ.Fields[i]
			var own ids
			if err := own.of(f); err != nil {
				return fmt.Errorf("field %s: %w", f.Name, err)
			}
			if err := inside(i, f.Name, &f.Type, f.Nullable, own); err != nil {
				return err
			}
		}
		return nil
	case schema.Variant:
		if err := inside(column.VariantValue, "value", &binaryType, false, ids{}); err != nil {
			return err
		}
		return inside(column.VariantMetadata, "metadata", &binaryType, false, ids{})
	case schema.Array:
		def, rep = def+1, rep+1
		return inside(0, "element", n.typ.Elem, n.typ.ElemNullable, n.below("element"))
	case schema.Map:
		def, rep = def+1, rep+1
		if err := inside(0, "key", n.typ.Key, false, n.below("key")); err != nil {
			return err
		}
		return inside(1, "value", n.typ.Elem, n.typ.ElemNullable, n.below("value"))
	}
	n.leaf = len(t.leaves)
	t.leaves = append(t.leaves, newLeaf(n, layout, path))
	return nil
}

// appendElements adds the node to the footer's schema.
func (t *tree) appendElements(to []format.SchemaElement, n *node) []format.SchemaElement {
	if n.leaf >= 0 {
		e := t.leaves[n.leaf].element()
		e.FieldID = n.id
		return append(to, e)
	}
	group := func(name string, r format.FieldRepetitionType, kids int) *format.SchemaElement {
		to = append(to, format.SchemaElement{Name: name, RepetitionType: thrift.New(r), NumChildren: thrift.New(int32(kids))})
		return &to[len(to)-1]
	}
	switch n.typ.Kind {
	case schema.Array:
		e := group(n.name, repetition(n.nullable), 1)
		e.FieldID = n.id
		e.ConvertedType, e.LogicalType.Value = thrift.New(deprecated.List), &format.ListType{}
		group("list", format.Repeated, 1)
	case schema.Map:
		e := group(n.name, repetition(n.nullable), 1)
		e.FieldID = n.id
		e.ConvertedType, e.LogicalType.Value = thrift.New(deprecated.Map), &format.MapType{}
		group("key_value", format.Repeated, 2)
	default:
		group(n.name, repetition(n.nullable), len(n.kids)).FieldID = n.id
	}
	for _, k := range n.kids {
		to = t.appendElements(to, k)
	}
	return to
}

func repetition(nullable bool) format.FieldRepetitionType {
	if nullable {
		return format.Optional
	}
	return format.Required
}

// ErrNull is the error of [Write] about a null in a column, field, element or value that is NOT NULL.
var ErrNull = errors.New("NOT NULL")

// checkNulls reports a null where the node or one inside of it is NOT NULL. spans are its values, parents those of them whose
// parent is null: there a null says nothing.
func (n *node) checkNulls(spans []span, parents int) error {
	if !n.strict {
		return nil
	}
	values, nulls := countSpans(spans)
	if !n.nullable && nulls > parents {
		return fmt.Errorf("column %s is %w, %d of %d values are null", n.path, ErrNull, nulls-parents, values-parents)
	}
	if n.list() {
		nulls = 0
	}
	for _, k := range n.kids {
		if err := k.checkNulls(within(spans, n, k), nulls); err != nil {
			return err
		}
	}
	return nil
}
