package schema

import (
	"fmt"
	"strings"
)

// Kind is the outermost part of a type.
type Kind uint8

// The kinds of Delta types.
const (
	Invalid      Kind = iota
	Boolean           // true, false
	Byte              // TINYINT, 8 bits
	Short             // SMALLINT, 16 bits
	Integer           // INT, 32 bits
	Long              // BIGINT, 64 bits
	Float             // 32 bits
	Double            // 64 bits
	Decimal           // exact, Precision digits of which Scale are behind the point
	String            // UTF-8
	Binary            // bytes
	Date              // days since 1970-01-01
	Timestamp         // microseconds since the epoch, UTC
	TimestampNTZ      // microseconds of a wall clock without a zone
	Variant           // semi-structured
	StructKind        // Fields
	Array             // Elem
	Map               // Key, Elem
)

// Limits that this package enforces.
const (
	MaxDecimalPrecision = 38   // digits, as in Spark
	MaxDepth            = 100  // levels of nesting
	MaxColumns          = 2000 // fields of a table, a limit of the service
)

// Type is a column's type. The zero value is no type.
type Type struct {
	Kind Kind // decides which of the following mean something

	// Of Decimal: 1 to 38 digits, 0 to Precision of them behind the point.
	Precision, Scale int

	// Of String: the longest allowed text in characters, 0 for any. Fixed marks CHAR(n) as opposed to VARCHAR(n).
	Length int
	Fixed  bool

	// Of Array and Map: the element's or value's type and whether it may be null; of Map: the key's type.
	Elem         *Type
	ElemNullable bool
	Key          *Type

	// Of StructKind.
	Fields []Field
}

// Field is a column of a table or a member of a struct.
type Field struct {
	Name     string // as written, without backticks
	Type     Type   // of its values
	Nullable bool   // false for NOT NULL
	Comment  string // empty for none

	// Metadata holds the other entries of the field's JSON metadata, values as JSON text.
	Metadata map[string]string
}

// Struct is the schema of a table.
type Struct struct {
	Fields []Field // the columns, in order
}

// Index returns the position of the column with exactly this name, or -1.
func (s *Struct) Index(name string) int {
	for i := range s.Fields {
		if s.Fields[i].Name == name {
			return i
		}
	}
	return -1
}

// Scalar reports whether the type has no parts.
func (t *Type) Scalar() bool {
	return t.Kind != Invalid && t.Kind != StructKind && t.Kind != Array && t.Kind != Map && t.Kind != Variant
}

// names are the forms of types without parameters: text as in type_text and information schemas, json as in Delta's schema
// string, catalog as in Unity Catalog's type_name.
var names = [...]struct{ text, json, catalog string }{
	Invalid:      {"invalid", "invalid", "INVALID"},
	Boolean:      {"boolean", "boolean", "BOOLEAN"},
	Byte:         {"tinyint", "byte", "BYTE"},
	Short:        {"smallint", "short", "SHORT"},
	Integer:      {"int", "integer", "INT"},
	Long:         {"bigint", "long", "LONG"},
	Float:        {"float", "float", "FLOAT"},
	Double:       {"double", "double", "DOUBLE"},
	Decimal:      {"decimal", "decimal", "DECIMAL"},
	String:       {"string", "string", "STRING"},
	Binary:       {"binary", "binary", "BINARY"},
	Date:         {"date", "date", "DATE"},
	Timestamp:    {"timestamp", "timestamp", "TIMESTAMP"},
	TimestampNTZ: {"timestamp_ntz", "timestamp_ntz", "TIMESTAMP_NTZ"},
	Variant:      {"variant", "variant", "VARIANT"},
	StructKind:   {"struct", "struct", "STRUCT"},
	Array:        {"array", "array", "ARRAY"},
	Map:          {"map", "map", "MAP"},
}

// CatalogName is the name of the kind in Unity Catalog's type_name.
func (k Kind) CatalogName() string { return names[k.known()].catalog }

// String is the name of the kind in a type's text, such as "bigint".
func (k Kind) String() string { return names[k.known()].text }

// known is the kind, or Invalid if there is no such kind.
func (k Kind) known() Kind {
	if int(k) >= len(names) {
		return Invalid
	}
	return k
}

// String is the type's text as Spark's catalogString has it: lower case, no spaces, such as struct<zip:int,city:string>.
func (t Type) String() string {
	switch t.Kind {
	case Decimal:
		return fmt.Sprintf("decimal(%d,%d)", t.Precision, t.Scale)
	case String:
		switch {
		case t.Length > 0 && t.Fixed:
			return fmt.Sprintf("char(%d)", t.Length)
		case t.Length > 0:
			return fmt.Sprintf("varchar(%d)", t.Length)
		}
	case Array:
		return "array<" + t.Elem.String() + ">"
	case Map:
		return "map<" + t.Key.String() + "," + t.Elem.String() + ">"
	case StructKind:
		var b strings.Builder
		b.WriteString("struct<")
		for i, f := range t.Fields {
			if i > 0 {
				b.WriteByte(',')
			}
			b.WriteString(quoteName(f.Name) + ":" + f.Type.String())
		}
		b.WriteByte('>')
		return b.String()
	}
	return t.Kind.String()
}

// DDL is the type as CREATE TABLE takes it, such as BIGINT or ARRAY<STRING>. Unlike String it keeps NOT NULL and comments
// of struct members.
func (t Type) DDL() string {
	switch t.Kind {
	case Array:
		return "ARRAY<" + t.Elem.DDL() + ">"
	case Map:
		return "MAP<" + t.Key.DDL() + ", " + t.Elem.DDL() + ">"
	case StructKind:
		parts := make([]string, len(t.Fields))
		for i, f := range t.Fields {
			parts[i] = f.ddl(": ")
		}
		return "STRUCT<" + strings.Join(parts, ", ") + ">"
	}
	return strings.ToUpper(t.String())
}

// DDL is the column as CREATE TABLE takes it: name, type, NOT NULL, COMMENT.
func (f Field) DDL() string { return f.ddl(" ") }

func (f Field) ddl(sep string) string {
	s := quoteName(f.Name) + sep + f.Type.DDL()
	if !f.Nullable {
		s += " NOT NULL"
	}
	if f.Comment != "" {
		s += " COMMENT '" + quoteText(f.Comment) + "'"
	}
	return s
}

func quoteText(s string) string {
	return strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s)
}

// quoteName puts backticks around a name that is not plain.
func quoteName(s string) string {
	for i, r := range s {
		if r == '_' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || i > 0 && r >= '0' && r <= '9' {
			continue
		}
		return "`" + strings.ReplaceAll(s, "`", "``") + "`"
	}
	if s == "" {
		return "``"
	}
	return s
}
