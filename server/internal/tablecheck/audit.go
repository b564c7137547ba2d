package tablecheck

import (
	"fmt"
	"slices"
	"strings"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"

	"github.com/zerobus-go/zerobus/schema"
	"github.com/zerobus-go/zerobus/server/internal/delta"
)

// leaf is a column of the file whose values are looked at.
type leaf struct {
	*node
	col      *field    // whose values it has; nil when what it has is not known
	measured []measure // of the columns of the table that begin with this leaf
	extremes extremes
}

// measure counts the nulls of one column of the table, which may be a struct or an array, in one of its leaves.
type measure struct {
	col     *field
	def     int  // from that definition level on the column has a value
	strict  bool // the column is NOT NULL, and the file could have a null: one level less
	outer   bool // it is in no array or map, so that it has statistics: one value a row
	skipped bool // in the statistics, because its form is not read

	nulls  int64 // values that are null, those of null parents included
	broken int64 // values that are null though their parent is not
}

// audit compares the columns of the file with those of the table, and gives the leaves.
func (f *file) audit(p *parquet.File) []*leaf {
	root, err := nodesOf(p)
	if err != nil {
		f.fault(Schema, "", "%v", err)
		return nil
	}
	a := &auditor{f: f, leaves: make([]*leaf, 0, 16), ofOld: calendarOfOld(p.Metadata().KeyValueMetadata)}
	a.collect(root)
	columns := f.c.columns
	for _, col := range columns {
		if !col.key {
			continue
		}
		if n := root.kid(col.name); n != nil && !f.keysInFiles() {
			a.fault(col, "a partition column is in the file")
		}
	}
	a.fields(root, slices.DeleteFunc(slices.Clone(columns), func(c *field) bool { return c.key }), true)
	return a.leaves
}

// keysInFiles tells whether a feature wants partition columns in the files too.
func (f *file) keysInFiles() bool {
	return slices.ContainsFunc(f.c.log.Snapshot.Protocol.WriterFeatures, func(feature string) bool {
		return feature == "materializePartitionColumns" || strings.HasPrefix(feature, "icebergCompat")
	})
}

type auditor struct {
	f      *file
	leaves []*leaf
	ofOld  bool // days and times may be of the calendar before 1582
}

// calendarOfOld tells whether Spark says in the footer that it has written days and times of the calendar before 1582: it did so up to
// 2.4, and later when it was asked to. Statistics are of today's.
func calendarOfOld(footer []format.KeyValue) bool {
	return slices.ContainsFunc(footer, func(kv format.KeyValue) bool {
		return strings.HasPrefix(kv.Key, "org.apache.spark.legacy") || kv.Key == "org.apache.spark.version" && strings.HasPrefix(kv.Value, "2.")
	})
}

func (a *auditor) fault(col *field, format string, args ...any) {
	a.f.refused[col] = true
	a.f.fault(Schema, col.path, format, args...)
}

func (a *auditor) collect(n *node) {
	if n.leaf >= 0 {
		a.leaves = append(a.leaves, &leaf{node: n})
	}
	for _, k := range n.kids {
		a.collect(k)
	}
}

// fields finds the columns of a table or a struct in a group.
func (a *auditor) fields(group *node, columns []*field, outer bool) {
	for _, col := range columns {
		n := a.find(group, col)
		if n == nil {
			if !col.nullable && a.f.rows > 0 {
				a.fault(col, "the column is NOT NULL, and the file has not got it")
			}
			continue
		}
		if col.id != 0 && n.FieldID != col.id && (n.FieldID != 0 || a.f.c.mapping == delta.MappedByID) {
			a.fault(col, "the field id is %d, want %d", n.FieldID, col.id)
		}
		if n.repeated() {
			a.fault(col, "the column is repeated in the file")
			continue
		}
		a.column(n, col, outer)
	}
}

// find finds a column in a group of the file: by its id where the table is mapped so, else by its name.
func (a *auditor) find(group *node, col *field) *node {
	if a.f.c.mapping == delta.MappedByID {
		for _, k := range group.kids {
			if k.FieldID == col.id {
				return k
			}
		}
	}
	if n := group.kid(col.name); n != nil {
		return n
	}
	for _, k := range group.kids {
		if strings.EqualFold(k.Name, col.name) {
			a.fault(col, "the file has it as %q, in another case", k.Name)
		}
	}
	return nil
}

// column checks one column, and has its values looked at.
func (a *auditor) column(n *node, col *field, outer bool) {
	m := measure{col: col, def: n.def, strict: !col.nullable && n.optional(), outer: outer}
	isGroup := slices.Contains([]schema.Kind{schema.StructKind, schema.Array, schema.Map, schema.Variant}, col.typ.Kind)
	if isGroup != (n.leaf < 0) {
		a.fault(col, "it is %s in the file, expected %s", n.form(), col.typ)
		return
	}
	if isGroup {
		if !a.group(n, col, outer) {
			return
		}
	} else if !a.scalar(n, col) {
		m.skipped = true
	} else {
		a.leaves[n.leaf].col = col
	}
	if first := n.first(); first != nil {
		l := a.leaves[first.leaf]
		l.measured = append(l.measured, m)
	}
}

// group checks a column with parts. False: it is not that, or of a form that is not read.
func (a *auditor) group(n *node, col *field, outer bool) bool {
	form := n.annotation()
	wrong := func(what string) bool {
		a.fault(col, "%s, expected %s", what, col.typ)
		return false
	}
	switch col.typ.Kind {
	case schema.StructKind:
		if form != "" {
			return wrong("it is " + n.form() + " in the file")
		}
		a.fields(n, col.kids, outer)
	case schema.Array:
		if form != "LIST" || len(n.kids) != 1 || !n.kids[0].repeated() {
			return wrong("it is no list in the file")
		}
		list := n.kids[0]
		if list.leaf >= 0 || len(list.kids) != 1 || list.annotation() != "" || list.kids[0].repeated() {
			a.f.unchecked(Schema, col.path, "the list has the form of older writers, not of three levels")
			a.f.unchecked(Values, col.path, "the list has the form of older writers, not of three levels")
			return true
		}
		a.column(list.kids[0], col.kids[0], false)
	case schema.Map:
		if form != "MAP" || len(n.kids) != 1 || !n.kids[0].repeated() || len(n.kids[0].kids) != 2 {
			return wrong("it is no map in the file")
		}
		entry := n.kids[0].kids
		if entry[0].optional() {
			a.fault(col.kids[0], "the keys of the map may be null in the file")
		}
		for i, k := range entry {
			if k.repeated() {
				return wrong("a part of the map is repeated in the file")
			}
			a.column(k, col.kids[i], false)
		}
	case schema.Variant:
		return a.variant(n, col)
	}
	return true
}

func (a *auditor) variant(n *node, col *field) bool {
	if n.kid("typed_value") != nil {
		a.f.unchecked(Values, col.path, "the variant is shredded")
		return true
	}
	if form := n.annotation(); form != "" && form != "VARIANT" {
		a.fault(col, "it is %s in the file, expected %s", n.form(), col.typ)
		return false
	}
	for _, name := range []string{"metadata", "value"} {
		k := n.kid(name)
		switch {
		case k == nil || k.leaf < 0 || k.Type.V != format.ByteArray:
			a.fault(col, "the variant has no binary %s", name)
			return false
		case k.optional() || k.repeated():
			a.fault(col, "the variant's %s is not required", name)
		}
	}
	return true
}

// scalar checks the types of a column without parts. False: its values cannot be compared.
func (a *auditor) scalar(n *node, col *field) bool {
	physical, is := n.Type.V, n.annotation()
	wrong := func() bool {
		if !narrower(physical, is, col.typ) || !a.widens(col) {
			a.fault(col, "it is %s in the file, expected %s", n.form(), col.typ)
		}
		return false
	}
	current := func() bool {
		if a.ofOld {
			a.f.unchecked(Values, col.path, "days and times of the file are of the calendar before 1582")
		}
		return !a.ofOld
	}
	fits := func(want format.Type, annotations ...string) bool {
		if physical == want && slices.Contains(annotations, is) {
			return true
		}
		return wrong()
	}
	switch t := col.typ; t.Kind {
	case schema.Boolean:
		return fits(format.Boolean, "")
	case schema.Byte:
		return fits(format.Int32, "INT(8)")
	case schema.Short:
		return fits(format.Int32, "INT(16)")
	case schema.Integer:
		return fits(format.Int32, "", "INT(32)")
	case schema.Long:
		return fits(format.Int64, "", "INT(64)")
	case schema.Float:
		return fits(format.Float, "")
	case schema.Double:
		return fits(format.Double, "")
	case schema.Date:
		return fits(format.Int32, "DATE") && current()
	case schema.Timestamp, schema.TimestampNTZ:
		if physical == format.Int96 && t.Kind == schema.Timestamp { // which Spark writes unless it is told otherwise
			return current()
		}
		return fits(format.Int64, timeAnnotation(t.Kind == schema.Timestamp, "MICROS")) && current()
	case schema.String:
		return fits(format.ByteArray, "STRING")
	case schema.Binary:
		return fits(format.ByteArray, "")
	case schema.Decimal:
		return a.decimal(n, col)
	}
	a.f.unchecked(Schema, col.path, "the type %s is not known here", col.typ)
	return false
}

func (a *auditor) decimal(n *node, col *field) bool {
	t := col.typ
	if is := n.annotation(); is != fmt.Sprintf("DECIMAL(%d,%d)", t.Precision, t.Scale) {
		if narrower(n.Type.V, is, t) && a.widens(col) {
			return false
		}
		a.fault(col, "it is %s in the file, expected %s", n.form(), t)
		return false
	}
	digits := map[format.Type]int{format.Int32: 9, format.Int64: 18, format.ByteArray: 38, format.FixedLenByteArray: 38}[n.Type.V]
	if t.Precision > digits {
		a.fault(col, "it is %s in the file, which cannot hold %s", n.form(), t)
		return false
	}
	return true
}

// narrower tells whether a column of the type may have begun as what the file has (PROTOCOL.md, "Supported Type Changes").
func narrower(physical format.Type, annotation string, t *schema.Type) bool {
	bits := 0 // of an integer
	switch {
	case physical == format.Int32 && annotation == "":
		bits = 32
	case physical == format.Int64 && annotation == "":
		bits = 64
	default:
		_, _ = fmt.Sscanf(annotation, "INT(%d)", &bits)
	}
	switch t.Kind {
	case schema.Short:
		return bits == 8
	case schema.Integer:
		return bits == 8 || bits == 16
	case schema.Long:
		return bits == 8 || bits == 16 || bits == 32
	case schema.Double:
		return physical == format.Float || bits == 8 || bits == 16 || bits == 32
	case schema.Decimal:
		return bits > 0 || strings.HasPrefix(annotation, "DECIMAL(")
	case schema.TimestampNTZ:
		return annotation == "DATE"
	}
	return false
}

// widens tells whether the column may have had a narrower type when the file was written.
func (a *auditor) widens(col *field) bool {
	ok := slices.ContainsFunc(a.f.c.log.Snapshot.Protocol.WriterFeatures, func(feature string) bool { return strings.HasPrefix(feature, "typeWidening") })
	if ok {
		a.f.unchecked(Values, col.path, "the file has a narrower type, from before the column was widened")
	}
	return ok
}
