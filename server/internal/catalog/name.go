package catalog

import (
	"strings"
)

// maxNameLength bounds each part of a name, in bytes, as in Unity Catalog.
const maxNameLength = 255

// Name is the name of a catalog, a schema or a table, depending on how many parts are set. Names that come from [ParseName]
// or from the store are in lower case; methods that take a Name accept any case.
type Name struct{ Catalog, Schema, Table string }

// Securable types, as SQL and authorization_details write them.
const (
	CatalogType = "CATALOG"
	SchemaType  = "SCHEMA"
	TableType   = "TABLE"
)

// ParseName reads catalog, catalog.schema or catalog.schema.table and lowers its case. Errors are [ErrInvalid].
func ParseName(s string) (Name, error) {
	if len(s) > 3*maxNameLength+2 {
		return Name{}, invalid("the name %q… has %d bytes, more than a name can have", s[:32], len(s))
	}
	return nameOf(strings.Split(s, "."))
}

// ParseTableName is [ParseName] for the name of a table, which has three parts.
func ParseTableName(s string) (Name, error) { return ParseSecurable(TableType, s) }

// ParseSecurable reads the name of an object of the given type, in any case: CATALOG, SCHEMA or TABLE. Errors are [ErrInvalid].
func ParseSecurable(objectType, path string) (Name, error) {
	n, err := ParseName(path)
	if err != nil {
		return Name{}, err
	}
	return n, n.mustBe(objectType)
}

func nameOf(parts []string) (Name, error) {
	var n Name
	if len(parts) > 3 {
		return n, invalid("the name %q has %d parts; a name has at most three: catalog.schema.table", strings.Join(parts, "."), len(parts))
	}
	for i, to := range []*string{&n.Catalog, &n.Schema, &n.Table}[:len(parts)] {
		if why := faultOf(parts[i]); why != "" {
			return Name{}, invalid("the name %q: %s", strings.Join(parts, "."), why)
		}
		*to = strings.ToLower(parts[i])
	}
	return n, nil
}

// faultOf tells what is wrong with one part of a name, "" for nothing.
func faultOf(part string) string {
	if part == "" {
		return "a part of it is empty"
	}
	if len(part) > maxNameLength {
		return "a part of it has more than 255 characters"
	}
	for _, r := range part {
		if r != '_' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') {
			return "only letters a to z, digits and underscores are allowed"
		}
	}
	return ""
}

// norm checks a Name that a caller made and lowers its case.
func (n Name) norm() (Name, error) {
	if n.Table != "" && n.Schema == "" || n.Schema != "" && n.Catalog == "" {
		return Name{}, invalid("the name %q lacks a part before its last", n.String())
	}
	return nameOf(n.parts())
}

// mustBe checks that the name has the parts of an object of this type.
func (n Name) mustBe(objectType string) error {
	want := ""
	switch strings.ToUpper(objectType) {
	case CatalogType:
		want = "catalog"
	case SchemaType:
		want = "catalog.schema"
	case TableType:
		want = "catalog.schema.table"
	default:
		return invalid("unknown object type %q; known are CATALOG, SCHEMA and TABLE", clip(objectType))
	}
	if n.Type() != strings.ToUpper(objectType) {
		return invalid("%s is not the name of a %s; expected %s", n, strings.ToLower(objectType), want)
	}
	return nil
}

func (n Name) parts() []string {
	switch {
	case n.Table != "":
		return []string{n.Catalog, n.Schema, n.Table}
	case n.Schema != "":
		return []string{n.Catalog, n.Schema}
	}
	return []string{n.Catalog}
}

// String is the full name: catalog[.schema[.table]].
func (n Name) String() string { return strings.Join(n.parts(), ".") }

// Type is CATALOG, SCHEMA or TABLE.
func (n Name) Type() string {
	switch {
	case n.Table != "":
		return TableType
	case n.Schema != "":
		return SchemaType
	}
	return CatalogType
}

// Parent is the schema of a table or the catalog of a schema; of a catalog it is the zero Name.
func (n Name) Parent() Name {
	switch {
	case n.Table != "":
		return Name{Catalog: n.Catalog, Schema: n.Schema}
	case n.Schema != "":
		return Name{Catalog: n.Catalog}
	}
	return Name{}
}

// kind names the object for messages: "table a.b.c".
func (n Name) kind() string { return strings.ToLower(n.Type()) + " " + n.String() }

// MarshalText writes the full name.
func (n Name) MarshalText() ([]byte, error) {
	if n == (Name{}) {
		return nil, nil
	}
	return []byte(n.String()), nil
}

// UnmarshalText reads a full name.
func (n *Name) UnmarshalText(b []byte) (err error) {
	if len(b) == 0 {
		*n = Name{}
		return nil
	}
	*n, err = ParseName(string(b))
	return err
}

// clip shortens a text that a client gave, for messages.
func clip(s string) string {
	const most = 64
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}
