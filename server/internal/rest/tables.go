package rest

import (
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/zerobus-go/zerobus/schema"
	"github.com/zerobus-go/zerobus/server/internal/catalog"
)

// tableInfo is Unity Catalog's TableInfo.
type tableInfo struct {
	Name             string            `json:"name"`
	CatalogName      string            `json:"catalog_name"`
	SchemaName       string            `json:"schema_name"`
	FullName         string            `json:"full_name"`
	TableType        string            `json:"table_type"`
	DataSourceFormat string            `json:"data_source_format"`
	Columns          []columnInfo      `json:"columns"`
	StorageLocation  string            `json:"storage_location"` // a file:// URL
	Comment          string            `json:"comment,omitempty"`
	Properties       map[string]string `json:"properties"`
	Owner            string            `json:"owner"`
	CreatedAt        int64             `json:"created_at"` // milliseconds since the epoch
	UpdatedAt        int64             `json:"updated_at"`
	TableID          string            `json:"table_id"`
	MetastoreID      string            `json:"metastore_id"`
}

// info has no columns when cols is nil.
func (s *server) info(t catalog.Table, cols *schema.Struct, partitionBy []string) tableInfo {
	return tableInfo{
		Name: t.Name.Table, CatalogName: t.Name.Catalog, SchemaName: t.Name.Schema, FullName: t.Name.String(),
		TableType: t.Type(), DataSourceFormat: "DELTA", StorageLocation: fileURL(s.Lake.URL(t)), Comment: t.Comment,
		Properties: notNil(t.Properties), Owner: t.Owner, CreatedAt: t.Created.UnixMilli(), UpdatedAt: t.Updated.UnixMilli(),
		TableID: t.ID.String(), MetastoreID: s.Catalog.ID().String(), Columns: columnInfos(cols, partitionBy),
	}
}

func isNotFound(err error) bool { return errors.Is(err, catalog.ErrNotFound) }

// table is what the path names, if the caller sees it.
func (s *server) table(r *request) (t catalog.Table, err error) {
	n, err := r.named(catalog.TableType)
	if err != nil {
		return t, err
	}
	if t, err = s.Catalog.Table(n); isNotFound(err) || err == nil && !r.who.Sees(n) {
		err = unknown(n)
	}
	return t, err
}

func (s *server) getTable(r *request) (any, error) {
	t, err := s.table(r)
	if err != nil {
		return nil, err
	}
	cols, partitionBy, err := s.Lake.Schema(r.Context(), t)
	if err != nil {
		return nil, err
	}
	return s.info(t, cols, partitionBy), nil
}

// tableExists answers whether there is a table that the caller sees.
func (s *server) tableExists(r *request) (any, error) {
	_, err := s.table(r)
	if f, ok := errors.AsType[*failure](err); ok && f.code == "TABLE_NOT_FOUND" {
		return map[string]bool{"table_exists": false}, nil
	}
	return map[string]bool{"table_exists": true}, err
}

// seenTables are those of a schema or catalog that the caller may see.
func (s *server) seenTables(r *request, in catalog.Name) (list []catalog.Table, err error) {
	all, err := s.Catalog.Tables(in)
	if err != nil {
		return nil, err
	}
	for _, t := range all {
		r.who.Know(t.Name, t.Owner)
		if r.who.Sees(t.Name) {
			list = append(list, t)
		}
	}
	return list, nil
}

func nameOfTable(t catalog.Table) string { return t.Name.String() }

// listTables reads the columns of the tables of one page from their logs, unless omit_columns is set. A table whose log cannot be
// read has none; getting it alone fails.
func (s *server) listTables(r *request) (any, error) {
	in, err := s.within(r, catalog.SchemaType, "catalog_name", "schema_name")
	if err != nil {
		return nil, err
	}
	bare, err := r.flag("omit_columns")
	if err != nil {
		return nil, err
	}
	all, err := s.seenTables(r, in)
	if err != nil {
		return nil, err
	}
	page, next, err := pageOf(r, all, nameOfTable)
	if err != nil {
		return nil, err
	}
	infos := make([]tableInfo, len(page))
	for i, t := range page {
		var cols *schema.Struct
		var partitionBy []string
		if !bare {
			if cols, partitionBy, err = s.Lake.Schema(r.Context(), t); r.Context().Err() != nil {
				return nil, r.Context().Err()
			} else if err != nil {
				s.Logger.Warn("a table is listed without its columns", "table", t.Name.String(), "err", err)
			}
		}
		infos[i] = s.info(t, cols, partitionBy)
	}
	return listed("tables", infos, next), nil
}

// tableSummaries lists names in a catalog by patterns of SQL's LIKE.
func (s *server) tableSummaries(r *request) (any, error) {
	in, err := s.within(r, catalog.CatalogType, "catalog_name")
	if err != nil {
		return nil, err
	}
	all, err := s.seenTables(r, in)
	if err != nil {
		return nil, err
	}
	q := r.URL.Query()
	schemas, tables := like(q.Get("schema_name_pattern")), like(q.Get("table_name_pattern"))
	all = slices.DeleteFunc(all, func(t catalog.Table) bool { return !schemas(t.Name.Schema) || !tables(t.Name.Table) })
	page, next, err := pageOf(r, all, nameOfTable)
	type summary struct {
		FullName  string `json:"full_name"`
		TableType string `json:"table_type"`
	}
	infos := make([]summary, len(page))
	for i, t := range page {
		infos[i] = summary{t.Name.String(), t.Type()}
	}
	return listed("tables", infos, next), err
}

// like matches names by a pattern in which % stands for any text and _ for any character; empty for all.
func like(pattern string) func(name string) bool {
	pattern = strings.ToLower(pattern)
	if pattern == "" {
		return func(string) bool { return true }
	}
	return func(name string) bool {
		// The last % and how far it has eaten, to go back to: linear in the name for each %.
		p, n, star, eaten := 0, 0, -1, 0
		for n < len(name) {
			switch {
			case p < len(pattern) && pattern[p] == '%':
				star, eaten = p, n
				p++
			case p < len(pattern) && (pattern[p] == '_' || pattern[p] == name[n]):
				p++
				n++
			case star >= 0:
				eaten++
				p, n = star+1, eaten
			default:
				return false
			}
		}
		return strings.Trim(pattern[p:], "%") == ""
	}
}

// newTable is CreateTable.
type newTable struct {
	Name             string            `json:"name"`
	CatalogName      string            `json:"catalog_name"`
	SchemaName       string            `json:"schema_name"`
	TableType        string            `json:"table_type"`
	DataSourceFormat string            `json:"data_source_format"`
	Columns          []newColumn       `json:"columns"`
	StorageLocation  string            `json:"storage_location"`
	Comment          string            `json:"comment"`
	Properties       map[string]string `json:"properties"`
	ViewDefinition   string            `json:"view_definition"`
}

// check refuses what the server has no tables for.
func (b *newTable) check() error {
	for _, f := range []struct{ name, value string }{{"name", b.Name}, {"catalog_name", b.CatalogName}, {"schema_name", b.SchemaName}, {"table_type", b.TableType}} {
		if f.value == "" {
			return invalidf("%s is missing.", f.name)
		}
	}
	isExternal := strings.EqualFold(b.TableType, catalog.External)
	switch {
	case !isExternal && !strings.EqualFold(b.TableType, catalog.Managed) || b.ViewDefinition != "":
		return invalidf("The table type %s is not supported: MANAGED and EXTERNAL tables are.", clip(b.TableType))
	case isExternal && b.StorageLocation == "":
		return invalidf("storage_location is missing: an EXTERNAL table is at a place of its own.")
	case b.DataSourceFormat != "" && !strings.EqualFold(b.DataSourceFormat, "DELTA"):
		return invalidf("The format %s is not supported: tables are DELTA.", clip(b.DataSourceFormat))
	case !isExternal && b.StorageLocation != "":
		return invalidf("storage_location cannot be chosen for a MANAGED table: the server keeps it in its own lake. Leave it out, or set table_type to EXTERNAL.")
	}
	return nil
}

func (s *server) createTable(r *request) (any, error) {
	var b newTable
	if err := r.body(&b); err != nil {
		return nil, err
	}
	if err := b.check(); err != nil {
		return nil, err
	}
	n, err := catalog.ParseTableName(strings.Join([]string{b.CatalogName, b.SchemaName, b.Name}, "."))
	if err != nil {
		return nil, err
	}
	if err := s.mayCreate(r, catalog.CreateTable, n.Parent()); err != nil {
		return nil, err
	}
	// A place on the disk is nobody's grant: whoever may choose one could make any table there his own.
	if b.StorageLocation != "" && !r.who.Admin() {
		return nil, denied("Only the administrator can register tables at a storage_location; a grant on the table lets others use it.")
	}
	r.about = n
	ct := schema.CreateTable{Name: []string{n.Catalog, n.Schema, n.Table}, Location: b.StorageLocation, Comment: b.Comment, Properties: maps.Clone(b.Properties)}
	if len(b.Columns) > 0 || ct.Location == "" { // else they are those of the table that is there
		if ct.Columns.Fields, ct.PartitionBy, err = fields(b.Columns); err != nil {
			return nil, err
		}
		if err := ct.Columns.Validate(); err != nil {
			return nil, invalidf("%s", err)
		}
	}
	t, err := s.engine.CreateTable(r.Context(), &ct, r.who.Owner())
	if err != nil {
		return nil, err
	}
	s.changed(r, "created", n)
	cols, partitionBy, err := s.Lake.Schema(r.Context(), t)
	if err != nil {
		return nil, err
	}
	return s.info(t, cols, partitionBy), nil
}

func (s *server) deleteTable(r *request) (any, error) {
	t, err := s.table(r)
	if err != nil {
		return nil, err
	}
	return s.drop(r, t.Name, false)
}
