package partition

import (
	"github.com/zerobus-go/zerobus/schema"
	"github.com/zerobus-go/zerobus/server/internal/column"
)

// Scheme is how a table is partitioned; by no column, when it is not.
type Scheme struct {
	table   *schema.Struct
	columns []string // those it is partitioned by, in the order of metaData
	keys    []int    // their places in the table
	kept    []int    // the places of the others, which the files have
	files   schema.Struct
}

// New is the scheme of a table that is partitioned by some columns. It fails when it cannot be so.
func New(table *schema.Struct, columns []string) (*Scheme, error) {
	if err := table.ValidatePartitionBy(columns); err != nil {
		return nil, err
	}
	s := &Scheme{table: table, columns: columns}
	isKey := make([]bool, len(table.Fields))
	for _, name := range columns {
		i := table.Index(name)
		s.keys = append(s.keys, i)
		isKey[i] = true
	}
	for i, f := range table.Fields {
		if !isKey[i] {
			s.kept = append(s.kept, i)
			s.files.Fields = append(s.files.Fields, f)
		}
	}
	return s, nil
}

// Partitioned reports whether there are partition columns.
func (s *Scheme) Partitioned() bool { return len(s.keys) > 0 }

// Files are the columns that the data files have: the table's without the partition columns.
func (s *Scheme) Files() *schema.Struct { return &s.files }

// Check tells why a row cannot be in the table, which its columns alone do not tell: the column, and the reason without it.
// Both are empty when it can be. It is for rows that are not durable yet; Split takes all.
//
// An empty text is NULL, so a column that is NOT NULL takes none. Years outside of 1 to 9999 have no form that all readers
// take, and a reader that cannot read one value of the log reads nothing of the table: that is what nanoseconds in the place of
// microseconds would do.
func (s *Scheme) Check(c *column.Chunk, row int) (field, reason string) {
	for _, i := range s.keys {
		f, v := &s.table.Fields[i], &c.Cols[i]
		if !v.IsValid(row) {
			continue
		}
		ok := true
		switch f.Type.Kind {
		case schema.String:
			if !f.Nullable && len(v.BytesAt(row)) == 0 {
				return f.Name, "an empty text is NULL in a partition column, and the column is NOT NULL"
			}
		case schema.Date:
			ok = v.I32[row] >= firstDay && v.I32[row] <= lastDay
		case schema.Timestamp, schema.TimestampNTZ:
			ok = v.I64[row] >= firstDay*microsOfDay && v.I64[row] < (lastDay+1)*microsOfDay
		}
		if !ok {
			return f.Name, "years outside of 1 to 9999 cannot be in a partition column"
		}
	}
	return "", ""
}

// The days 0001-01-01 and 9999-12-31.
const (
	firstDay    = -719162
	lastDay     = 2932896
	microsOfDay = 86_400_000_000
)
