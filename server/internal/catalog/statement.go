package catalog

import (
	"github.com/zerobus-go/zerobus/internal/sqltext"
	"github.com/zerobus-go/zerobus/schema"
)

// Statement is one parsed statement: a pointer to one of the types below.
type Statement interface {
	Where() Source
}

// Source is where a statement stands in its script.
type Source struct {
	Text string // without the semicolon and the space around
	Pos  sqltext.Pos
}

// Where returns the source itself: statements embed it.
func (s Source) Where() Source { return s }

// CreateNamespaceStmt is CREATE CATALOG | SCHEMA [IF NOT EXISTS] name [COMMENT 'text'].
type CreateNamespaceStmt struct {
	Source
	Name        Name
	IfNotExists bool
	Comment     string
}

// CreateTableStmt is CREATE TABLE, see [schema.ParseCreateTable].
type CreateTableStmt struct {
	Source
	Name  Name
	Table *schema.CreateTable
}

// DropStmt is DROP CATALOG | SCHEMA | TABLE [IF EXISTS] name [CASCADE | RESTRICT].
type DropStmt struct {
	Source
	Name     Name // its Type tells what is dropped
	IfExists bool
	Cascade  bool
}

// GrantStmt is GRANT privilege, … ON [CATALOG | SCHEMA | TABLE] name TO principal, or REVOKE … FROM principal.
type GrantStmt struct {
	Source
	Revoke     bool
	Privileges []Privilege
	On         Name
	Principal  string // client id or name
}

// ShowNamespacesStmt is SHOW CATALOGS, or SHOW SCHEMAS [IN catalog].
type ShowNamespacesStmt struct {
	Source
	Schemas bool
	In      Name // a catalog; zero for all
}

// ShowTablesStmt is SHOW TABLES [IN catalog[.schema]].
type ShowTablesStmt struct {
	Source
	In Name // zero for all
}

// ShowGrantsStmt is SHOW GRANTS [principal] [ON [CATALOG | SCHEMA | TABLE] name].
type ShowGrantsStmt struct {
	Source
	Principal string // client id or name; empty for all
	On        Name   // zero for all
}

// ShowCreateTableStmt is SHOW CREATE TABLE name.
type ShowCreateTableStmt struct {
	Source
	Name Name
}

// DescribeStmt is DESCRIBE [TABLE] [EXTENDED] name.
type DescribeStmt struct {
	Source
	Name     Name
	Extended bool
}
