package tablecheck

import (
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/zerobus-go/zerobus/schema"
	"github.com/zerobus-go/zerobus/server/internal/delta"
)

// field is a column of the table, a field of a struct, or the elements of an array, the keys or the values of a map.
type field struct {
	path     string // for people: names of the table, with dots
	name     string // in files and statistics
	logical  string // in the table
	id       int32  // that the file's column must have; 0 for any
	typ      *schema.Type
	nullable bool
	key      bool // partitioned by it
	kids     []*field
}

// fieldOf makes the column of a field. In a mapped table its metadata has the name and the id that files know it by.
func fieldOf(f *schema.Field, above string, mapped bool) (*field, error) {
	c := &field{path: join(above, f.Name), name: f.Name, logical: f.Name, typ: &f.Type, nullable: f.Nullable}
	if mapped {
		if err := json.Unmarshal([]byte(f.Metadata[delta.PhysicalName]), &c.name); err != nil {
			return nil, fmt.Errorf("column %s has no %s", c.path, delta.PhysicalName)
		}
		id, err := strconv.ParseInt(f.Metadata[delta.ColumnID], 10, 32)
		if err != nil {
			return nil, fmt.Errorf("column %s has no %s", c.path, delta.ColumnID)
		}
		c.id = int32(id)
	}
	return c, c.addKids(mapped)
}

func (c *field) addKids(mapped bool) error {
	inside := func(name string, t *schema.Type, nullable bool) error {
		k := &field{path: join(c.path, name), name: name, logical: name, typ: t, nullable: nullable}
		c.kids = append(c.kids, k)
		return k.addKids(mapped)
	}
	switch c.typ.Kind {
	case schema.StructKind:
		for i := range c.typ.Fields {
			k, err := fieldOf(&c.typ.Fields[i], c.path, mapped)
			if err != nil {
				return err
			}
			c.kids = append(c.kids, k)
		}
	case schema.Array:
		return inside("element", c.typ.Elem, c.typ.ElemNullable)
	case schema.Map:
		if err := inside("key", c.typ.Key, false); err != nil {
			return err
		}
		return inside("value", c.typ.Elem, c.typ.ElemNullable)
	}
	return nil
}

func join(above, name string) string {
	if above == "" {
		return name
	}
	return above + "." + name
}
