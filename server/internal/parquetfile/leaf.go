package parquetfile

import (
	"fmt"
	"math"
	"math/bits"

	"github.com/parquet-go/parquet-go/deprecated"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"

	"github.com/zerobus-go/zerobus/schema"
	"github.com/zerobus-go/zerobus/server/internal/column"
)

// leaf is one column as Parquet has it.
type leaf struct {
	nodes    []*node // from the table's column to the leaf itself
	typ      *schema.Type
	path     string // for errors
	layout   column.Layout
	physical format.Type
	size     int // bytes of a value in PLAIN encoding; 0 for Boolean and ByteArray

	def, rep byte // the greatest levels
	bounded  bool // the footer has its bounds
}

// flat reports whether the leaf is a column of the table: its values are the rows.
func (l *leaf) flat() bool { return len(l.nodes) == 1 }

func (l *leaf) optional() bool { return l.nodes[len(l.nodes)-1].nullable }

// names are those of the groups above it in the file, from the outermost on, and its own.
func (l *leaf) names() []string {
	var names []string
	for _, n := range l.nodes {
		names = append(names, n.name)
		switch n.typ.Kind {
		case schema.Array:
			names = append(names, "list")
		case schema.Map:
			names = append(names, "key_value")
		}
	}
	return names
}

// newLeaf makes the leaf at the end of a path. Bounds of repeated leaves mean nothing to readers that skip rows, and those of a
// variant's bytes nothing to anyone.
func newLeaf(n *node, layout column.Layout, nodes []*node) leaf {
	l := leaf{nodes: nodes, typ: n.typ, path: n.path, layout: layout, def: n.def, rep: n.rep}
	l.bounded = l.rep == 0 && (l.flat() || nodes[len(nodes)-2].typ.Kind != schema.Variant)
	switch layout {
	case column.Bool:
		l.physical = format.Boolean
	case column.Int32:
		l.physical, l.size = format.Int32, 4
	case column.Int64:
		l.physical, l.size = format.Int64, 8
	case column.Float32:
		l.physical, l.size = format.Float, 4
	case column.Float64:
		l.physical, l.size = format.Double, 8
	case column.Bytes:
		l.physical = format.ByteArray
	case column.Int128:
		l.physical, l.size = decimalStorage(n.typ.Precision)
	}
	return l
}

// decimalStorage is Spark's non-legacy layout: the smallest integer that holds the digits, else as few bytes as can hold them.
func decimalStorage(precision int) (format.Type, int) {
	switch {
	case precision <= 9:
		return format.Int32, 4
	case precision <= 18:
		return format.Int64, 8
	}
	limit := pow10(precision)
	width := bits.Len64(limit.Lo)
	if limit.Hi > 0 {
		width = 64 + bits.Len64(uint64(limit.Hi))
	}
	return format.FixedLenByteArray, width/8 + 1 // one more bit for the sign
}

// element is the column in the file's schema. Old readers know only the converted type, so it is set wherever one exists
// that says the same; for a timestamp without a zone there is none.
func (l *leaf) element() format.SchemaElement {
	e := format.SchemaElement{Type: thrift.New(l.physical), RepetitionType: thrift.New(repetition(l.optional())), Name: l.nodes[len(l.nodes)-1].name}
	logical := func(v format.LogicalTypeValue) { e.LogicalType.Value = v }
	micros := format.TimeUnit{Value: &format.MicroSeconds{}}
	switch t := l.typ; t.Kind {
	case schema.Byte:
		logical(&format.IntType{BitWidth: 8, IsSigned: true})
		e.ConvertedType = thrift.New(deprecated.Int8)
	case schema.Short:
		logical(&format.IntType{BitWidth: 16, IsSigned: true})
		e.ConvertedType = thrift.New(deprecated.Int16)
	case schema.Date:
		logical(&format.DateType{})
		e.ConvertedType = thrift.New(deprecated.Date)
	case schema.Timestamp:
		logical(&format.TimestampType{IsAdjustedToUTC: true, Unit: micros})
		e.ConvertedType = thrift.New(deprecated.TimestampMicros)
	case schema.TimestampNTZ:
		logical(&format.TimestampType{IsAdjustedToUTC: false, Unit: micros})
	case schema.String:
		logical(&format.StringType{})
		e.ConvertedType = thrift.New(deprecated.UTF8)
	case schema.Decimal:
		precision, scale := int32(t.Precision), int32(t.Scale)
		logical(&format.DecimalType{Precision: precision, Scale: scale})
		e.ConvertedType = thrift.New(deprecated.Decimal)
		e.Precision, e.Scale = thrift.New(precision), thrift.New(scale)
		if l.physical == format.FixedLenByteArray {
			e.TypeLength = thrift.New(int32(l.size))
		}
	}
	return e
}

// check reports a value that the column's type cannot hold. b are the bounds of the column's values.
func (l *leaf) check(b *bounds) error {
	if !b.some {
		return nil
	}
	switch t := l.typ; t.Kind {
	case schema.Byte:
		return l.checkInt(b, math.MinInt8, math.MaxInt8)
	case schema.Short:
		return l.checkInt(b, math.MinInt16, math.MaxInt16)
	case schema.Decimal:
		limit := pow10(t.Precision)
		if b.maxDec.Cmp(limit) >= 0 || b.minDec.Cmp(limit.Neg()) <= 0 {
			return fmt.Errorf("column %s: a value from %s to %s is outside %s", l.path,
				appendDecimal(nil, b.minDec, t.Scale), appendDecimal(nil, b.maxDec, t.Scale), t)
		}
	}
	return nil
}

func (l *leaf) checkInt(b *bounds, least, most int64) error {
	if b.minInt < least || b.maxInt > most {
		return fmt.Errorf("column %s: a value from %d to %d is outside %s", l.path, b.minInt, b.maxInt, l.typ)
	}
	return nil
}
