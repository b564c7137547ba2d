package parquetfile

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"

	"github.com/parquet-go/parquet-go"

	"github.com/zerobus-go/zerobus/schema"
)

// Keys of a field's metadata that say what its column has in files beside its name. The first two are those of Spark.
const (
	// FieldIDKey is the field_id of the column, 1 or more.
	FieldIDKey = "parquet.field.id"

	// NestedIDsKey is an object with the field_ids of elements, keys and values below the field: {"c.element":7,"c.element.key":8}
	// for a field c that is an array of maps. Those below a field of a struct are in that field's metadata.
	NestedIDsKey = "parquet.field.nested.ids"

	// ByIDKey, whatever its value, has readers find the column by its field_id and not by its name.
	ByIDKey = "parquet.field.by.id"
)

// ids are what a node has of field_ids.
type ids struct {
	id   int32 // 0 for none
	byID bool  // it is found by its id

	// For what is below a list: the nested ids of the field that the node is or is in, and the node's own key among them.
	nested map[string]int32
	key    string
}

// of reads the ids of a field.
func (x *ids) of(f *schema.Field) error {
	*x = ids{key: f.Name}
	if text, ok := f.Metadata[FieldIDKey]; ok {
		id, err := strconv.ParseInt(text, 10, 32)
		if err != nil || id < 1 {
			return fmt.Errorf("%s is %s, expected a number from 1 to %d", FieldIDKey, text, math.MaxInt32)
		}
		x.id = int32(id)
	}
	if text, ok := f.Metadata[NestedIDsKey]; ok {
		if err := json.Unmarshal([]byte(text), &x.nested); err != nil {
			return fmt.Errorf("%s: %w", NestedIDsKey, err)
		}
	}
	if _, x.byID = f.Metadata[ByIDKey]; x.byID && x.id == 0 {
		return fmt.Errorf("%s without %s", ByIDKey, FieldIDKey)
	}
	return nil
}

// below are the ids of an element, key or value inside of the node.
func (x *ids) below(name string) ids {
	key := x.key + "." + name
	return ids{id: x.nested[key], nested: x.nested, key: key}
}

// find is the node's column in a group of a file, nil when it has none.
func (n *node) find(in *parquet.Column) *parquet.Column {
	if !n.byID {
		return in.Column(n.name)
	}
	for _, c := range in.Columns() {
		if c.ID() == int(n.id) {
			return c
		}
	}
	return nil
}

// checkIDs refuses a file without ids when columns are found by them: all of it would be null
// (https://github.com/delta-io/delta/blob/master/PROTOCOL.md#reader-requirements-for-column-mapping).
func (t *tree) checkIDs(f *parquet.File) error {
	if !t.columns[0].byID {
		return nil
	}
	for _, c := range f.Root().Columns() {
		if c.ID() != 0 {
			return nil
		}
	}
	return fmt.Errorf("its columns have no field ids, by which those of the table are found")
}
