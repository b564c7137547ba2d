package catalog

import (
	"slices"
	"strings"
)

// Privilege is one thing that may be granted, spelt as in SQL: upper case, with spaces.
type Privilege string

// The privileges.
const (
	UseCatalog    Privilege = "USE CATALOG"
	UseSchema     Privilege = "USE SCHEMA"
	Select        Privilege = "SELECT"
	Modify        Privilege = "MODIFY"
	CreateSchema  Privilege = "CREATE SCHEMA"
	CreateTable   Privilege = "CREATE TABLE"
	AllPrivileges Privilege = "ALL PRIVILEGES"
)

// grantable tells on which types a privilege can be granted.
var grantable = map[Privilege][]string{
	UseCatalog:    {CatalogType},
	UseSchema:     {CatalogType, SchemaType},
	Select:        {CatalogType, SchemaType, TableType},
	Modify:        {CatalogType, SchemaType, TableType},
	CreateSchema:  {CatalogType},
	CreateTable:   {CatalogType, SchemaType},
	AllPrivileges: {CatalogType, SchemaType, TableType},
}

// order is the order in which privileges are listed.
var order = []Privilege{AllPrivileges, UseCatalog, UseSchema, CreateSchema, CreateTable, Select, Modify}

// ParsePrivilege reads a privilege in any case, with spaces or underscores. Errors are [ErrInvalid].
func ParsePrivilege(s string) (Privilege, error) {
	p := Privilege("")
	if len(s) <= 64 {
		p = Privilege(strings.Join(strings.Fields(strings.ToUpper(strings.ReplaceAll(s, "_", " "))), " "))
	}
	switch p {
	case "ALL":
		p = AllPrivileges
	case "USE DATABASE":
		p = UseSchema
	}
	if _, ok := grantable[p]; !ok {
		return "", invalid("unknown privilege %q; known are %s", clip(s), joinPrivileges(order))
	}
	return p, nil
}

func joinPrivileges(ps []Privilege) string {
	var b strings.Builder
	for i, p := range ps {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(string(p))
	}
	return b.String()
}

// checkGrantable checks and normalises privileges for an object.
func checkGrantable(ps []Privilege, on Name) ([]Privilege, error) {
	if len(ps) == 0 {
		return nil, invalid("no privilege is named")
	}
	var out []Privilege
	for _, p := range ps {
		q, err := ParsePrivilege(string(p))
		if err != nil {
			return nil, err
		}
		if types := grantable[q]; !slices.Contains(types, on.Type()) {
			return nil, invalid("%s cannot be granted on a %s; grant it on a %s",
				q, strings.ToLower(on.Type()), strings.ToLower(strings.Join(types, " or a ")))
		}
		if !slices.Contains(out, q) {
			out = append(out, q)
		}
	}
	return out, nil
}

// sortPrivileges puts privileges into listing order.
func sortPrivileges(ps []Privilege) {
	slices.SortFunc(ps, func(a, b Privilege) int { return slices.Index(order, a) - slices.Index(order, b) })
}
