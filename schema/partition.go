package schema

import (
	"fmt"
	"slices"
)

// ValidatePartitionBy checks what a table may be partitioned by, none being no partitioning: columns that it has, by their exact
// names, each once and not all of them, of types whose values can be written as text: any but BINARY, VARIANT and nested ones.
func (s *Struct) ValidatePartitionBy(columns []string) error {
	for i, name := range columns {
		at := s.Index(name)
		switch {
		case at < 0:
			return fmt.Errorf("partition column %s is not a column of the table", name)
		case slices.Contains(columns[:i], name):
			return fmt.Errorf("partition column %s is given twice", name)
		}
		if t := &s.Fields[at].Type; !t.Scalar() || t.Kind == Binary {
			return fmt.Errorf("column %s of type %s cannot be a partition column: BINARY, VARIANT and nested types cannot", name, t.DDL())
		}
	}
	if len(columns) > 0 && len(columns) == len(s.Fields) {
		return fmt.Errorf("every column is a partition column, which leaves none for the files: leave one out of PARTITIONED BY")
	}
	return nil
}
