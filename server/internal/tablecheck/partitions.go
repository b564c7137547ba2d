package tablecheck

import (
	"slices"

	"github.com/zerobus-go/zerobus/schema"
	"github.com/zerobus-go/zerobus/server/internal/partition"
)

// partitions checks the partition values of a file: one for each partition column, of its type.
func (f *file) partitions() {
	f.c.report.result(Partitions).Looked++
	values := f.add.PartitionValues
	for name := range values {
		if !slices.ContainsFunc(f.c.keys, func(k *field) bool { return k.name == name }) {
			f.fault(Partitions, name, "the table is not partitioned by it, and the file has a value of it")
		}
	}
	for _, k := range f.c.keys {
		text, ok := values[k.name]
		if !ok {
			f.fault(Partitions, k.path, "the file has no value of the partition column")
			continue
		}
		if text == nil || *text == "" {
			if !k.nullable {
				f.fault(Partitions, k.path, "the column is NOT NULL, and the value is null")
			}
			continue
		}
		// A table of this column and one that it is not partitioned by.
		table := &schema.Struct{Fields: []schema.Field{{Name: "k", Type: *k.typ, Nullable: true}, {Name: "v", Type: schema.Type{Kind: schema.Long}, Nullable: true}}}
		s, err := partition.New(table, []string{"k"})
		if err != nil {
			f.unchecked(Partitions, k.path, "values of %s are not read", k.typ)
			continue
		}
		if _, err = s.Parse(map[string]*string{"k": text}); err != nil {
			f.fault(Partitions, k.path, "%.100q is no %s", *text, k.typ)
		}
	}
}
