package partition

import (
	"github.com/zerobus-go/zerobus/schema"
	"github.com/zerobus-go/zerobus/server/internal/column"
)

// Scheme is how a table is partitioned; by no column, when it is not.
type Scheme struct {
	table   *schema.Struct
	columns []string // those it is partitioned by, in the order of metaData, as add actions call them
	keys    []int    // their places in the table
	kept    []int    // the places of the others, which the files have
	files   schema.Struct
	shown   schema.Struct // the same columns, as the table calls them
	flat    bool          // no file is in a directory
}

// New is the scheme of a table that is partitioned by some columns. It fails when it cannot be so.
func New(table *schema.Struct, columns []string) (*Scheme, error) {
	return newScheme(table, table, columns)
}

// NewMapped is the scheme of a table whose columns have other names in files and in the partition values of add actions, and perhaps
// other metadata: stored has them in the places of the table's. No file is in a directory: readers of such tables never look at
// paths, and the names would tell nobody anything.
func NewMapped(table, stored *schema.Struct, columns []string) (*Scheme, error) {
	s, err := newScheme(table, stored, columns)
	if err == nil {
		s.flat = true
	}
	return s, err
}

func newScheme(table, stored *schema.Struct, columns []string) (*Scheme, error) {
	if err := table.ValidatePartitionBy(columns); err != nil {
		return nil, err
	}
	s := &Scheme{table: table}
	isKey := make([]bool, len(table.Fields))
	for _, name := range columns {
		i := table.Index(name)
		s.columns = append(s.columns, stored.Fields[i].Name)
		s.keys = append(s.keys, i)
		isKey[i] = true
	}
	for i := range table.Fields {
		if !isKey[i] {
			s.kept = append(s.kept, i)
			s.files.Fields = append(s.files.Fields, stored.Fields[i])
			s.shown.Fields = append(s.shown.Fields, table.Fields[i])
		}
	}
	return s, nil
}

// Partitioned reports whether there are partition columns.
func (s *Scheme) Partitioned() bool { return len(s.keys) > 0 }

// Files are the columns that the data files have, as they have them: the table's without the partition columns.
func (s *Scheme) Files() *schema.Struct { return &s.files }

// Shown are the columns of Files, in their places, as the table calls them.
func (s *Scheme) Shown() *schema.Struct { return &s.shown }

// Columns are the names that the partition values of an add action have, in the order of metaData.
func (s *Scheme) Columns() []string { return s.columns }

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
