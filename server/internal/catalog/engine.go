package catalog

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/zerobus-go/zerobus/internal/sqltext"
	"github.com/zerobus-go/zerobus/schema"
)

// Tables is what the engine needs of those who keep tables in the lake. Its methods may be called by many goroutines, but the
// engine changes one table at a time.
type Tables interface {
	// Create makes a table: it writes version 0 of its Delta log. When there is a Delta log at the location already, it leaves it as
	// it is and fails with an error that is fs.ErrExist.
	Create(ctx context.Context, t Table, ct *schema.CreateTable) error

	// Place gives the absolute directory that a LOCATION stands for, without links in it. The error says why no table may be there.
	Place(location string) (dir string, err error)

	// Find reads the Delta table at a directory that Place gave, and nil when one may be made there.
	Find(ctx context.Context, dir string) (*Found, error)

	// Retire ends the use of an external table that is about to be dropped, and brings into it what was acknowledged.
	Retire(t Table)

	// Drop ends the use of a table, whose entry is gone already, and removes its files unless it is external. A table without files
	// is no error.
	Drop(ctx context.Context, t Table) error

	// Alter changes a table's metadata in its Delta log. Errors: [ErrInvalid] for what the table cannot have, or has not.
	Alter(ctx context.Context, t Table, a *schema.AlterTable) error

	// Schema reads a table's columns from its log, and the names of those that it is partitioned by.
	Schema(ctx context.Context, t Table) (columns *schema.Struct, partitionBy []string, err error)
}

// removeTimeout bounds the removal of one table's files.
const removeTimeout = time.Minute

// Engine executes statements. It may be used by many goroutines; statements that make or drop something run one after the
// other, in all engines of a catalog.
type Engine struct {
	catalog *Catalog
	tables  Tables
}

// NewEngine makes an engine on a catalog that is open.
func NewEngine(c *Catalog, t Tables) *Engine {
	return &Engine{catalog: c, tables: t}
}

// Result is what one statement gave: rows, or a message about what was done.
type Result struct {
	Statement string        `json:"statement"`
	Columns   []string      `json:"columns,omitzero"`
	Rows      [][]string    `json:"rows,omitzero"` // not nil when there are columns
	Message   string        `json:"message,omitempty"`
	Took      time.Duration `json:"took_ns"`
}

// StatementError is the failure of one statement of a script. Those before it were executed.
type StatementError struct {
	Number    int    // from 1
	Statement string // its text
	Pos       sqltext.Pos
	Err       error
}

// Error names the statement by its beginning.
func (e *StatementError) Error() string {
	return fmt.Sprintf("statement %d (%s) at %s: %v", e.Number, clip(strings.Join(strings.Fields(e.Statement), " ")), e.Pos, e.Err)
}

func (e *StatementError) Unwrap() error { return e.Err }

// Exec executes the statements of a script in order. A script that cannot be parsed changes nothing. The first statement that
// fails ends the script with a [StatementError]; the results of those before it are returned too.
func (e *Engine) Exec(ctx context.Context, script string) ([]Result, error) {
	statements, err := Parse(script)
	if err != nil {
		return nil, err
	}
	results := []Result{}
	for i, st := range statements {
		start := time.Now()
		r, err := e.exec(ctx, st)
		if err != nil {
			return results, &StatementError{i + 1, st.Where().Text, st.Where().Pos, err}
		}
		r.Statement = st.Where().Text
		r.Took = time.Since(start)
		results = append(results, r)
	}
	return results, nil
}

func (e *Engine) exec(ctx context.Context, st Statement) (Result, error) {
	if err := ctx.Err(); err != nil {
		return Result{}, err
	}
	switch st := st.(type) {
	case *CreateNamespaceStmt:
		return e.createNamespace(ctx, st)
	case *CreateTableStmt:
		return e.createTable(ctx, st)
	case *AlterTableStmt:
		return e.alterTable(ctx, st)
	case *DropStmt:
		return e.drop(ctx, st)
	case *GrantStmt:
		return e.grant(st)
	case *ShowNamespacesStmt:
		return e.showNamespaces(st)
	case *ShowTablesStmt:
		return e.showTables(st)
	case *ShowGrantsStmt:
		return e.showGrants(st)
	case *ShowCreateTableStmt:
		return e.showCreateTable(ctx, st)
	case *DescribeStmt:
		return e.describe(ctx, st)
	}
	return Result{}, invalid("the statement cannot be executed")
}

// alone runs f while nothing else is made or dropped.
func (e *Engine) alone(ctx context.Context, f func() error) error {
	select {
	case e.catalog.ddl <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-e.catalog.ddl }()
	return f()
}

func message(format string, args ...any) (Result, error) {
	return Result{Message: fmt.Sprintf(format, args...)}, nil
}

func (e *Engine) createNamespace(ctx context.Context, st *CreateNamespaceStmt) (Result, error) {
	_, err := e.CreateNamespace(ctx, Namespace{Name: st.Name, Comment: st.Comment})
	if st.IfNotExists && errors.Is(err, ErrExists) {
		return message("%s exists already; nothing changed", st.Name.kind())
	}
	if err != nil {
		return Result{}, err
	}
	return message("created %s", st.Name.kind())
}

// CreateNamespace is [Catalog.AddNamespace] in its turn among what makes and drops.
func (e *Engine) CreateNamespace(ctx context.Context, ns Namespace) (made Namespace, err error) {
	return made, e.alone(ctx, func() error {
		made, err = e.catalog.AddNamespace(ns)
		return err
	})
}

func (e *Engine) createTable(ctx context.Context, st *CreateTableStmt) (Result, error) {
	ct := *st.Table
	ct.Name = st.Name.parts()
	t, err := e.CreateTable(ctx, &ct, "")
	if st.Table.IfNotExists && errors.Is(err, ErrExists) {
		return message("table %s exists already; nothing changed", st.Name)
	}
	if err != nil {
		return Result{}, err
	}
	if t.External {
		return message("created table %s at %s", st.Name, t.Location)
	}
	return message("created table %s", st.Name)
}

// CreateTable makes a table, whose name must have three parts, for an owner, empty for [DefaultOwner]. Errors: [ErrExists],
// [ErrNotFound] for the schema, [ErrInvalid] for what a table here cannot have, or of [Tables].
//
// It writes version 0 of the table's log, then the entry, so that every table in the catalog has a log. A crash in between
// leaves a log without an entry, which nobody looks at; when the table is created again its files find the place taken and go
// beside it. A table with a Location is external: see placeTable.
func (e *Engine) CreateTable(ctx context.Context, ct *schema.CreateTable, owner string) (t Table, err error) {
	name, err := nameOf(ct.Name)
	if err == nil {
		err = name.mustBe(TableType)
	}
	if err != nil {
		return Table{}, err
	}
	return t, e.alone(ctx, func() error {
		t, err = e.makeTable(ctx, name, *ct, owner)
		return err
	})
}

func (e *Engine) makeTable(ctx context.Context, name Name, ct schema.CreateTable, owner string) (Table, error) {
	if _, err := e.catalog.Namespace(name.Parent()); err != nil {
		return Table{}, fmt.Errorf("table %s cannot be created: %w", name, err)
	}
	switch _, err := e.catalog.Table(name); {
	case err == nil:
		return Table{}, exists("table %s exists already; drop it first, or use CREATE TABLE IF NOT EXISTS", name)
	case !errors.Is(err, ErrNotFound):
		return Table{}, err
	}
	if ct.Location != "" {
		return e.placeTable(ctx, name, &ct, owner)
	}
	properties, err := checkTable(&ct)
	if err != nil {
		return Table{}, fmt.Errorf("table %s cannot be created: %w", name, err)
	}
	ct.Name, ct.Properties = name.parts(), properties

	t := Table{ID: uuid.New(), Name: name, Comment: ct.Comment, Properties: properties, Owner: owner}
	t.Location = strings.Join(ct.Name, "/")
	err = e.tables.Create(ctx, t, &ct)
	if errors.Is(err, fs.ErrExist) {
		t.Location += "-" + t.ID.String()[:8] // no name has a hyphen, so no other table's place is taken
		err = e.tables.Create(ctx, t, &ct)
	}
	if err != nil {
		return Table{}, fmt.Errorf("create table %s at %s: %w", t.Name, t.Location, err)
	}
	made, err := e.catalog.CreateTable(t)
	if err != nil {
		return Table{}, errors.Join(fmt.Errorf("register table %s: %w", t.Name, err), e.removeFiles(ctx, t))
	}
	return made, nil
}

func (e *Engine) drop(ctx context.Context, st *DropStmt) (Result, error) {
	there := true
	var t Table
	err := e.alone(ctx, func() (err error) {
		if there, err = e.exists(st.Name); err != nil || !there && st.IfExists {
			return err
		}
		if st.Name.Table == "" {
			return e.dropNamespace(ctx, st.Name, st.Cascade)
		}
		t, err = e.dropTable(ctx, st.Name)
		return err
	})
	switch {
	case err != nil:
		return Result{}, err
	case !there:
		return message("%s does not exist; nothing changed", st.Name.kind())
	}
	if st.Name.Table != "" {
		return message("%s", dropped(t))
	}
	return message("dropped %s", st.Name.kind())
}

// Drop removes a table, with its files unless it is external, or a catalog or schema, which must be empty unless cascade is set;
// then everything in it goes, too. Errors: [ErrNotFound], [ErrNotEmpty], or of [Tables].
func (e *Engine) Drop(ctx context.Context, n Name, cascade bool) error {
	return e.alone(ctx, func() error {
		if n.Table == "" {
			return e.dropNamespace(ctx, n, cascade)
		}
		_, err := e.dropTable(ctx, n)
		return err
	})
}

func (e *Engine) exists(n Name) (bool, error) {
	var err error
	if n.Table != "" {
		_, err = e.catalog.Table(n)
	} else {
		_, err = e.catalog.Namespace(n)
	}
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// dropTable removes the entry, then the files, so that a crash in between leaves files that nobody looks at and never an entry
// without files. The rows of an external table that are not in its files yet come first: without an entry nobody knows where to.
func (e *Engine) dropTable(ctx context.Context, n Name) (Table, error) {
	if t, err := e.catalog.Table(n); err == nil && t.External {
		e.tables.Retire(t)
	}
	t, err := e.catalog.DropTable(n)
	if err != nil {
		return t, err
	}
	if err := e.removeFiles(ctx, t); err != nil {
		return t, fmt.Errorf("table %s is dropped, but its files remain: %w", t.Name, err)
	}
	return t, nil
}

// removeFiles goes on when the client has gone away: nobody would come back for files without an entry.
func (e *Engine) removeFiles(ctx context.Context, t Table) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), removeTimeout)
	defer cancel()
	if err := e.tables.Drop(ctx, t); err != nil {
		return fmt.Errorf("remove the files at %s in the lake: %w", t.Location, err)
	}
	return nil
}

func (e *Engine) dropNamespace(ctx context.Context, n Name, cascade bool) error {
	if cascade {
		tables, err := e.catalog.Tables(n)
		if err != nil {
			return err
		}
		for _, t := range tables {
			if _, err := e.dropTable(ctx, t.Name); err != nil {
				return err
			}
		}
	}
	if cascade && n.Schema == "" {
		schemas, err := e.catalog.Schemas(n.Catalog)
		if err != nil {
			return err
		}
		for _, s := range schemas {
			if err := e.catalog.DropNamespace(s.Name); err != nil {
				return err
			}
		}
	}
	return e.catalog.DropNamespace(n)
}

func (e *Engine) grant(st *GrantStmt) (Result, error) {
	p, err := e.catalog.Principal(st.Principal)
	if err != nil {
		return Result{}, err
	}
	if !st.Revoke {
		if err := e.catalog.Grant(p.ID, st.Privileges, st.On); err != nil {
			return Result{}, err
		}
		return message("granted %s on %s to %s", joinPrivileges(st.Privileges), st.On.kind(), p.Name)
	}
	if err := e.catalog.Revoke(p.ID, st.Privileges, st.On); err != nil {
		return Result{}, err
	}
	text := fmt.Sprintf("revoked %s on %s from %s", joinPrivileges(st.Privileges), st.On.kind(), p.Name)
	for _, priv := range st.Privileges {
		if e.catalog.Check(p.ID, priv, st.On) {
			text += fmt.Sprintf("; %s is still granted through ALL PRIVILEGES or from above, see SHOW GRANTS", priv)
		}
	}
	return message("%s", text)
}
