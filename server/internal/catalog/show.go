package catalog

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/zerobus-go/zerobus/schema"
)

func (e *Engine) showNamespaces(st *ShowNamespacesStmt) (Result, error) {
	r := Result{Columns: []string{"name", "owner", "comment"}, Rows: [][]string{}}
	list, err := e.catalog.Catalogs()
	if st.Schemas {
		list, err = e.catalog.Schemas(st.In.Catalog)
	}
	for _, ns := range list {
		r.Rows = append(r.Rows, []string{ns.Name.String(), ns.Owner, ns.Comment})
	}
	return r, err
}

func (e *Engine) showTables(st *ShowTablesStmt) (Result, error) {
	r := Result{Columns: []string{"name", "type", "owner", "location", "comment"}, Rows: [][]string{}}
	list, err := e.catalog.Tables(st.In)
	for _, t := range list {
		r.Rows = append(r.Rows, []string{t.Name.String(), t.Type(), t.Owner, t.Location, t.Comment})
	}
	return r, err
}

// showGrants has a row for each privilege. With an object it also shows what is granted on the schema and catalog that it is
// in, because that counts.
func (e *Engine) showGrants(st *ShowGrantsStmt) (Result, error) {
	r := Result{Columns: []string{"principal", "client_id", "privilege", "object_type", "object"}, Rows: [][]string{}}
	list, err := e.catalog.Grants(GrantFilter{Principal: st.Principal, On: st.On, Inherited: true})
	for _, g := range list {
		for _, p := range g.Privileges {
			r.Rows = append(r.Rows, []string{g.PrincipalName, g.PrincipalID, string(p), g.Type, g.On.String()})
		}
	}
	return r, err
}

// table reads a table's entry, its columns and what it is partitioned by.
func (e *Engine) table(ctx context.Context, n Name) (Table, *schema.Struct, []string, error) {
	t, err := e.catalog.Table(n)
	if err != nil {
		return Table{}, nil, nil, err
	}
	columns, partitionBy, err := e.tables.Schema(ctx, t)
	if err != nil {
		return Table{}, nil, nil, fmt.Errorf("read the columns of table %s at %s: %w", t.Name, t.Location, err)
	}
	return t, columns, partitionBy, nil
}

func (e *Engine) showCreateTable(ctx context.Context, st *ShowCreateTableStmt) (Result, error) {
	t, columns, partitionBy, err := e.table(ctx, st.Name)
	if err != nil {
		return Result{}, err
	}
	ct := schema.CreateTable{
		Name:        []string{t.Name.Catalog, t.Name.Schema, t.Name.Table},
		Columns:     *columns,
		PartitionBy: partitionBy,
		Comment:     t.Comment,
		Properties:  t.Properties,
	}
	if t.External {
		ct.Location = t.Location
	}
	return Result{Columns: []string{"create_statement"}, Rows: [][]string{{ct.DDL()}}}, nil
}

func (e *Engine) describe(ctx context.Context, st *DescribeStmt) (Result, error) {
	t, columns, partitionBy, err := e.table(ctx, st.Name)
	if err != nil {
		return Result{}, err
	}
	r := Result{Columns: []string{"column", "type", "nullable", "comment"}}
	row := func(cells ...string) {
		r.Rows = append(r.Rows, append(cells, make([]string, len(r.Columns)-len(cells))...))
	}
	field := func(f *schema.Field) { row(f.Name, f.Type.String(), fmt.Sprint(f.Nullable), f.Comment) }
	for i := range columns.Fields {
		field(&columns.Fields[i])
	}
	for i, name := range partitionBy {
		if i == 0 {
			row()
			row("# Partition Information")
		}
		if at := columns.Index(name); at >= 0 {
			field(&columns.Fields[at])
		}
	}
	if !st.Extended {
		return r, nil
	}
	var properties []string
	for _, k := range sortedKeys(t.Properties) {
		properties = append(properties, k+"="+t.Properties[k])
	}
	row()
	row("# Table")
	row("Name", t.Name.String())
	row("Id", t.ID.String())
	row("Type", t.Type())
	row("Provider", "delta")
	row("Location", t.Location)
	row("Owner", t.Owner)
	row("Comment", t.Comment)
	row("Created", t.Created.Format(time.RFC3339))
	row("Updated", t.Updated.Format(time.RFC3339))
	row("Properties", strings.Join(properties, ", "))
	return r, nil
}
