package tablecheck

import (
	"errors"
	"fmt"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/deprecated"
	"github.com/parquet-go/parquet-go/format"
)

// node is a column or group of a Parquet file, as its footer describes it.
type node struct {
	*format.SchemaElement

	kids []*node
	leaf int // which of the file's columns; -1 for a group

	// The levels of a value that is there: https://parquet.apache.org/docs/file-format/nestedencoding/.
	def, rep int
}

// maxNesting bounds the groups in groups of a file.
const maxNesting = 200

// nodesOf makes a tree of the footer's schema.
func nodesOf(p *parquet.File) (*node, error) {
	list := p.Metadata().Schema
	next, leaves := 0, 0
	var read func(above *node, depth int) (*node, error)
	read = func(above *node, depth int) (*node, error) {
		if next == len(list) || depth > maxNesting {
			return nil, errors.New("the schema of the file is damaged")
		}
		n := &node{SchemaElement: &list[next], leaf: -1}
		next++
		if above != nil {
			n.def, n.rep = above.def, above.rep
			switch {
			case n.repeated():
				n.def, n.rep = n.def+1, n.rep+1
			case n.optional():
				n.def++
			}
		}
		kids, isGroup := n.NumChildren.Get()
		if !isGroup || n.Type.Valid {
			n.leaf = leaves
			leaves++
			return n, nil
		}
		for range kids {
			k, err := read(n, depth+1)
			if err != nil {
				return nil, err
			}
			n.kids = append(n.kids, k)
		}
		return n, nil
	}
	root, err := read(nil, 0)
	if err == nil && next != len(list) {
		err = errors.New("the schema of the file is damaged")
	}
	return root, err
}

func (n *node) optional() bool {
	return n.RepetitionType.Valid && n.RepetitionType.V == format.Optional
}

func (n *node) repeated() bool {
	return n.RepetitionType.Valid && n.RepetitionType.V == format.Repeated
}

func (n *node) kid(name string) *node {
	for _, k := range n.kids {
		if k.Name == name {
			return k
		}
	}
	return nil
}

// first is the first leaf of a node.
func (n *node) first() *node {
	for n.leaf < 0 {
		if len(n.kids) == 0 {
			return nil
		}
		n = n.kids[0]
	}
	return n
}

// annotation is the meaning of a column: its logical type, or that of the older form which says the same.
func (n *node) annotation() string {
	if v := n.LogicalType.Value; v != nil {
		switch t := v.(type) {
		case *format.DecimalType:
			return fmt.Sprintf("DECIMAL(%d,%d)", t.Precision, t.Scale)
		case *format.IntType:
			return intAnnotation(int(t.BitWidth), t.IsSigned)
		case *format.TimestampType:
			unit := "NANOS"
			switch t.Unit.Value.(type) {
			case *format.MicroSeconds:
				unit = "MICROS"
			case *format.MilliSeconds:
				unit = "MILLIS"
			}
			return timeAnnotation(t.IsAdjustedToUTC, unit)
		}
		return n.LogicalType.String()
	}
	c, ok := n.ConvertedType.Get()
	if !ok {
		return ""
	}
	switch c {
	case deprecated.UTF8:
		return "STRING"
	case deprecated.Map, deprecated.MapKeyValue:
		return "MAP"
	case deprecated.List:
		return "LIST"
	case deprecated.Decimal:
		return fmt.Sprintf("DECIMAL(%d,%d)", n.Precision.V, n.Scale.V)
	case deprecated.Date:
		return "DATE"
	case deprecated.TimestampMicros:
		return timeAnnotation(true, "MICROS")
	case deprecated.TimestampMillis:
		return timeAnnotation(true, "MILLIS")
	case deprecated.Int8, deprecated.Int16, deprecated.Int32, deprecated.Int64:
		return intAnnotation(8<<(c-deprecated.Int8), true)
	case deprecated.Uint8, deprecated.Uint16, deprecated.Uint32, deprecated.Uint64:
		return intAnnotation(8<<(c-deprecated.Uint8), false)
	}
	return fmt.Sprint(c)
}

func intAnnotation(bits int, signed bool) string {
	if signed {
		return fmt.Sprintf("INT(%d)", bits)
	}
	return fmt.Sprintf("UINT(%d)", bits)
}

func timeAnnotation(utc bool, unit string) string {
	if utc {
		return "TIMESTAMP(" + unit + ", UTC)"
	}
	return "TIMESTAMP(" + unit + ", local)"
}

// form is what faults say of a column of a file.
func (n *node) form() string {
	s := "a group"
	if n.leaf >= 0 {
		s = fmt.Sprint(n.Type.V)
	}
	if a := n.annotation(); a != "" {
		s += " " + a
	}
	return s
}
