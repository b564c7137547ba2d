package admin

import (
	"context"
	"time"

	"github.com/zerobus-go/zerobus/server/internal/catalog"
)

// API is the administration. Names of tables are catalog.schema.table. Errors tell people what to do.
type API interface {
	// SQL runs a script of statements and returns their results up to the first that fails.
	SQL(ctx context.Context, script string) ([]catalog.Result, error)

	// CreatePrincipal makes a service principal. The secret is in the answer and nowhere else.
	CreatePrincipal(ctx context.Context, name string) (Credentials, error)
	// RotatePrincipal gives a principal, by name or client id, a new secret; the old one ends.
	RotatePrincipal(ctx context.Context, principal string) (Credentials, error)
	DeletePrincipal(ctx context.Context, principal string) (Principal, error)
	Principals(ctx context.Context) ([]Principal, error)

	// RotateKeys makes a new key that signs access tokens. With revoke the older ones are removed, and all tokens issued before are
	// invalid at once.
	RotateKeys(ctx context.Context, revoke bool) (Key, error)

	// Tables lists all tables with what their Delta logs say.
	Tables(ctx context.Context) ([]TableSummary, error)
	Describe(ctx context.Context, table string) (TableDetail, error)
	// Head gives up to limit rows of the newest files. A running server commits what is durable first.
	Head(ctx context.Context, table string, limit int) (Rows, error)
	// History gives up to limit commits, newest first.
	History(ctx context.Context, table string, limit int) ([]Commit, error)
	// Optimize rewrites the small files of the table into larger ones. progress may be nil.
	Optimize(ctx context.Context, table string, o OptimizeOptions, progress Progress) (Optimize, error)
	// Vacuum deletes the files of the table that no version needs. progress may be nil.
	Vacuum(ctx context.Context, table string, o VacuumOptions, progress Progress) (Vacuum, error)
	// Check reads the whole table and compares its log, its files and their statistics with each other. progress may be nil.
	Check(ctx context.Context, table string, o CheckOptions, progress Progress) (*Check, error)
	// Flush commits what is durable in the table and waits for it. Without a server there is nothing to commit.
	Flush(ctx context.Context, table string) error
}

// Limits of Head and History.
const (
	MaxHeadRows = 10_000
	MaxCommits  = 100_000
)

// Principal is a service principal.
type Principal struct {
	ID      string    `json:"client_id"`
	Name    string    `json:"name"`
	Created time.Time `json:"created_at"`
}

// Credentials are a principal with its secret.
type Credentials struct {
	Principal
	Secret string `json:"client_secret"`
}

// Key is the key that signs access tokens.
type Key struct {
	ID      string `json:"kid"`
	Revoked bool   `json:"revoked"` // whether those before it were
}

// TableSummary is a line of the list of tables. Err says why the Delta log could not be read.
type TableSummary struct {
	Name       string    `json:"name"`
	Type       string    `json:"type"` // MANAGED or EXTERNAL
	Location   string    `json:"location"`
	Columns    int       `json:"columns"`
	Version    int64     `json:"version"`
	Files      int       `json:"files"`
	Rows       int64     `json:"rows"` // from the files' statistics
	Bytes      int64     `json:"bytes"`
	LastCommit time.Time `json:"last_commit,omitzero"`
	Err        string    `json:"error,omitempty"`
}

// TableDetail is all about one table.
type TableDetail struct {
	TableSummary
	ID         string            `json:"id"`
	Comment    string            `json:"comment,omitempty"`
	Owner      string            `json:"owner"`
	Created    time.Time         `json:"created_at"`
	Properties map[string]string `json:"properties,omitempty"`
	Protocol   string            `json:"protocol"` // reader and writer version, and features
	Schema     []Column          `json:"schema"`

	PartitionBy []string `json:"partition_columns,omitempty"` // in order
}

// Column is one column.
type Column struct {
	Name     string `json:"name"`
	Type     string `json:"type"`
	Nullable bool   `json:"nullable"`
	Comment  string `json:"comment,omitempty"`
}

// Rows is rows of a table as text: null for NULL.
type Rows struct {
	Columns []string    `json:"columns"`
	Rows    [][]*string `json:"rows"`
}

// Commit is one version of a table.
type Commit struct {
	Version   int64     `json:"version"`
	Time      time.Time `json:"timestamp"`
	Operation string    `json:"operation"`
	Files     int       `json:"files_added"`
	Removed   int       `json:"files_removed"`
	Rows      int64     `json:"rows"`
	Bytes     int64     `json:"bytes"`
	Engine    string    `json:"engine,omitempty"`
}
