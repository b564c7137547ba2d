package parquetfile

import (
	"fmt"
	"io"
	"strings"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"

	"github.com/zerobus-go/zerobus/schema"
)

// legacyKeys in a footer say that dates and times before 1582 are of another calendar: Spark wrote such files up to 2.4, and later
// when it was asked to.
const legacyKeys = "org.apache.spark.legacy"

// CheckMeaning tells whether the values of a file mean what ReadChunks takes them for: nil, or what stands against it.
// ReadChunks looks at physical types, which is enough for files of this package; other writers may have times in milliseconds, a
// decimal of another scale or integers without a sign under the same physical type. Who writes the values again must ask.
func CheckMeaning(r io.ReaderAt, size int64, table *schema.Struct) (err error) {
	defer asError(&err)
	t, err := treeOf(table)
	if err != nil {
		return err
	}
	f, err := open(r, size)
	if err != nil {
		return err
	}
	for _, kv := range f.Metadata().KeyValueMetadata {
		if strings.HasPrefix(kv.Key, legacyKeys) {
			return fmt.Errorf("dates or times of the file are of a calendar of old: its footer has %s", kv.Key)
		}
	}
	sources, err := sourcesOf(f, t)
	if err != nil {
		return err
	}
	leaves := leavesOf(f.Root())
	for _, s := range sources {
		if err := s.checkMeaning(leaves); err != nil {
			return err
		}
	}
	return nil
}

// leavesOf lists the columns with values, in the file's order.
func leavesOf(c *parquet.Column) []*parquet.Column {
	if c.Leaf() {
		return []*parquet.Column{c}
	}
	var out []*parquet.Column
	for _, k := range c.Columns() {
		out = append(out, leavesOf(k)...)
	}
	return out
}

func (s *source) checkMeaning(leaves []*parquet.Column) error {
	if s == nil {
		return nil
	}
	for _, k := range s.kids {
		if err := k.checkMeaning(leaves); err != nil {
			return err
		}
	}
	if s.leaf == nil {
		return nil
	}
	c := leaves[s.files[0]]
	if !s.leaf.means(saysOf(c)) {
		return fmt.Errorf("column %s is %s in the file, expected %s", s.leaf.path, c.Type(), s.leaf.typ)
	}
	return nil
}

// saysOf is what a column says of its values beside the physical type; the library gives the annotations of old writers in
// the form of new ones. Nil: nothing.
func saysOf(c *parquet.Column) format.LogicalTypeValue {
	if l := c.Type().LogicalType(); l != nil {
		return l.Value
	}
	if c.Type().ConvertedType() != nil {
		return &format.NullType{} // something that no column of ours says
	}
	return nil
}

// means tells whether values with this annotation are those of the leaf's type.
func (l *leaf) means(a format.LogicalTypeValue) bool {
	switch l.typ.Kind {
	case schema.Byte, schema.Short, schema.Integer, schema.Long:
		i, ok := a.(*format.IntType)
		return a == nil || ok && i.IsSigned
	case schema.String, schema.Binary:
		_, ok := a.(*format.StringType)
		return a == nil || ok
	case schema.Date:
		_, ok := a.(*format.DateType)
		return ok
	case schema.Timestamp, schema.TimestampNTZ:
		x, ok := a.(*format.TimestampType)
		if !ok || x.IsAdjustedToUTC != (l.typ.Kind == schema.Timestamp) {
			return false
		}
		_, micros := x.Unit.Value.(*format.MicroSeconds)
		return micros
	case schema.Decimal:
		d, ok := a.(*format.DecimalType)
		return ok && int(d.Scale) == l.typ.Scale && int(d.Precision) <= l.typ.Precision
	}
	return a == nil
}
