package catalog

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/zerobus-go/zerobus/schema"
	"github.com/zerobus-go/zerobus/server/internal/lake"
)

// The types of tables, as Unity Catalog calls them.
const (
	Managed  = "MANAGED"  // made by the catalog, in the lake
	External = "EXTERNAL" // at a place of its own, which others may write, too
)

// Type is [Managed] or [External].
func (t *Table) Type() string {
	if t.External {
		return External
	}
	return Managed
}

// Found is a Delta table that is at a place already.
type Found struct {
	ID          string // metaData.id
	Columns     *schema.Struct
	PartitionBy []string
	Comment     string
	Properties  map[string]string
}

// placeTable is makeTable for a statement with a LOCATION: it registers the table that is there, or makes one. A crash between the
// log and the entry leaves a table that the same statement registers.
func (e *Engine) placeTable(ctx context.Context, name Name, ct *schema.CreateTable, owner string) (Table, error) {
	dir, err := e.tables.Place(ct.Location)
	if err != nil {
		return Table{}, invalid("table %s cannot be created: %v", name, err)
	}
	if err := e.free(dir); err != nil {
		return Table{}, fmt.Errorf("table %s cannot be created: %w", name, err)
	}
	t := Table{ID: uuid.New(), Name: name, Location: dir, External: true, Owner: owner}
	found, err := e.tables.Find(ctx, dir)
	switch {
	case ctx.Err() != nil:
		return Table{}, ctx.Err()
	case err != nil:
		return Table{}, invalid("table %s cannot be created: %v", name, err)
	case found == nil && len(ct.Columns.Fields) == 0:
		return Table{}, invalid("table %s cannot be created: there is no Delta table at %s; give columns to make one", name, dir)
	case found == nil:
		properties, err := checkTable(ct)
		if err == nil {
			err = checkComment(name, ct.Comment)
		}
		if err != nil {
			return Table{}, fmt.Errorf("table %s cannot be created: %w", name, err)
		}
		ct.Name, ct.Properties = name.parts(), properties
		t.DeltaID, t.Comment, t.Properties = t.ID.String(), ct.Comment, properties
		if err := e.tables.Create(ctx, t, ct); errors.Is(err, fs.ErrExist) {
			return Table{}, invalid("table %s cannot be created: somebody else is making one at %s; look at it and try again", name, dir)
		} else if err != nil {
			return Table{}, fmt.Errorf("create table %s at %s: %w", name, dir, err)
		}
	default:
		if d := found.differences(ct); len(d) > 0 {
			return Table{}, invalid("table %s cannot be created: the Delta table at %s is another one: %s; leave out what the table says by itself, or choose another location",
				name, dir, strings.Join(d, "; "))
		}
		t.DeltaID, t.Comment, t.Properties = found.ID, found.Comment, found.Properties
		if len(t.Comment) > maxCommentLength {
			t.Comment = strings.ToValidUTF8(t.Comment[:maxCommentLength], "")
		}
	}
	made, err := e.catalog.CreateTable(t)
	if err != nil {
		return Table{}, fmt.Errorf("register table %s: %w", name, err)
	}
	return made, nil
}

// free refuses a place that is another table's, or in it, or around it. Tables in the lake are not there: [Tables] sees to it.
func (e *Engine) free(dir string) error {
	all, err := e.catalog.Tables(Name{})
	if err != nil {
		return err
	}
	for _, t := range all {
		switch {
		case !t.External || !lake.Nested(t.Location, dir):
		case t.Location == dir:
			return invalid("the directory %s is that of table %s", dir, t.Name)
		default:
			return invalid("the directory %s overlaps with %s, the one of table %s", dir, t.Location, t.Name)
		}
	}
	return nil
}

// maxDifferences is how many differences an error names.
const maxDifferences = 5

// differences tells what a statement says that is not so. A statement without columns says nothing of them.
func (f *Found) differences(ct *schema.CreateTable) (list []string) {
	if given := ct.Columns.Fields; len(given) > 0 {
		list = columnDifferences("", given, f.Columns.Fields)
		if !slices.Equal(ct.PartitionBy, f.PartitionBy) {
			list = append(list, fmt.Sprintf("it is partitioned by (%s), not by (%s)", strings.Join(f.PartitionBy, ", "), strings.Join(ct.PartitionBy, ", ")))
		}
	}
	if ct.Comment != "" && ct.Comment != f.Comment {
		list = append(list, fmt.Sprintf("its comment is %q", clip(f.Comment)))
	}
	for _, key := range slices.Sorted(maps.Keys(ct.Properties)) {
		if is, ok := f.Properties[key]; !ok {
			list = append(list, fmt.Sprintf("it has no property %s", clip(key)))
		} else if is != ct.Properties[key] {
			list = append(list, fmt.Sprintf("its property %s is %q, not %q", clip(key), clip(is), clip(ct.Properties[key])))
		}
	}
	if more := len(list) - maxDifferences; more > 0 {
		list = append(list[:maxDifferences], fmt.Sprintf("and %d more", more))
	}
	return list
}

// columnDifferences compares names, types and NOT NULL, at every level; comments may differ. path is that of the struct, with a dot.
func columnDifferences(path string, given, is []schema.Field) (list []string) {
	for i := range max(len(given), len(is)) {
		switch {
		case i >= len(is):
			list = append(list, fmt.Sprintf("it has no column %s%s", path, clip(given[i].Name)))
		case i >= len(given):
			list = append(list, fmt.Sprintf("it has a column %s%s more", path, clip(is[i].Name)))
		case given[i].Name != is[i].Name:
			return append(list, fmt.Sprintf("its column %d is %s%s, not %s%s", i+1, path, clip(is[i].Name), path, clip(given[i].Name)))
		default:
			at := path + clip(is[i].Name)
			if given[i].Nullable != is[i].Nullable {
				list = append(list, fmt.Sprintf("its column %s %s null", at, map[bool]string{true: "may be", false: "is never"}[is[i].Nullable]))
			}
			list = append(list, typeDifferences(at, &given[i].Type, &is[i].Type)...)
		}
	}
	return list
}

func typeDifferences(at string, given, is *schema.Type) []string {
	if given.Kind == is.Kind {
		// Whether elements may be null has no words in SQL.
		switch given.Kind {
		case schema.StructKind:
			return columnDifferences(at+".", given.Fields, is.Fields)
		case schema.Array:
			return typeDifferences(at+".element", given.Elem, is.Elem)
		case schema.Map:
			return append(typeDifferences(at+".key", given.Key, is.Key), typeDifferences(at+".value", given.Elem, is.Elem)...)
		}
	}
	if g, i := given.String(), is.String(); g != i {
		return []string{fmt.Sprintf("its column %s is %s, not %s", at, clip(i), clip(g))}
	}
	return nil
}

// dropped tells what came of a table that was dropped.
func dropped(t Table) string {
	if t.External {
		return fmt.Sprintf("dropped table %s; it is external: its files stay at %s", t.Name, t.Location)
	}
	return "dropped table " + t.Name.String()
}
