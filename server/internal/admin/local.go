package admin

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/zerobus-go/zerobus/schema"
	"github.com/zerobus-go/zerobus/server/internal/catalog"
	"github.com/zerobus-go/zerobus/server/internal/delta"
	"github.com/zerobus-go/zerobus/server/internal/table"
	"github.com/zerobus-go/zerobus/server/internal/token"
)

// Local administers the catalog and lake of this process. All methods may be called concurrently.
type Local struct {
	catalog *catalog.Catalog
	tables  *table.Tables
	engine  *catalog.Engine
	keys    func() (*token.Authority, error)
	flush   func(ctx context.Context, id [16]byte) error
}

var _ API = (*Local)(nil)

// NewLocal makes the administration of a catalog, its tables and the keys of its tokens. flush commits what a running server has
// not committed of a table; nil without a server.
func NewLocal(c *catalog.Catalog, t *table.Tables, keys func() (*token.Authority, error), flush func(ctx context.Context, id [16]byte) error) *Local {
	return &Local{catalog: c, tables: t, engine: catalog.NewEngine(c, t), keys: keys, flush: flush}
}

// SQL implements API.
func (l *Local) SQL(ctx context.Context, script string) ([]catalog.Result, error) {
	return l.engine.Exec(ctx, script)
}

// CreatePrincipal implements API.
func (l *Local) CreatePrincipal(_ context.Context, name string) (Credentials, error) {
	p, secret, err := l.catalog.CreatePrincipal(name)
	return Credentials{principal(p), secret}, err
}

// RotatePrincipal implements API.
func (l *Local) RotatePrincipal(_ context.Context, idOrName string) (Credentials, error) {
	p, secret, err := l.catalog.RotateSecret(idOrName)
	return Credentials{principal(p), secret}, err
}

// DeletePrincipal implements API.
func (l *Local) DeletePrincipal(_ context.Context, idOrName string) (Principal, error) {
	p, err := l.catalog.DeletePrincipal(idOrName)
	return principal(p), err
}

// Principals implements API.
func (l *Local) Principals(context.Context) ([]Principal, error) {
	ps, err := l.catalog.Principals()
	out := make([]Principal, len(ps))
	for i, p := range ps {
		out[i] = principal(p)
	}
	return out, err
}

func principal(p catalog.Principal) Principal {
	return Principal{ID: p.ID, Name: p.Name, Created: p.Created}
}

// RotateKeys implements API.
func (l *Local) RotateKeys(_ context.Context, revoke bool) (Key, error) {
	a, err := l.keys()
	if err != nil {
		return Key{}, err
	}
	id, err := a.Rotate(revoke)
	return Key{id, revoke}, err
}

// Tables implements API.
func (l *Local) Tables(ctx context.Context) ([]TableSummary, error) {
	infos, err := l.all()
	if err != nil {
		return nil, err
	}
	out := make([]TableSummary, 0, len(infos))
	for _, info := range infos {
		s, _, err := l.summary(ctx, info)
		if err != nil {
			s.Err = err.Error()
		}
		out = append(out, s)
	}
	return out, nil
}

func (l *Local) all() (all []catalog.Table, err error) {
	catalogs, err := l.catalog.Catalogs()
	if err != nil {
		return nil, err
	}
	for _, c := range catalogs {
		schemas, err := l.catalog.Schemas(c.Name.Catalog)
		if err != nil {
			return nil, err
		}
		for _, s := range schemas {
			tables, err := l.catalog.Tables(s.Name)
			if err != nil {
				return nil, err
			}
			all = append(all, tables...)
		}
	}
	return all, nil
}

func (l *Local) summary(ctx context.Context, info catalog.Table) (TableSummary, *delta.Table, error) {
	s := TableSummary{Name: info.Name.String(), Type: info.Type(), Location: l.tables.URL(info)}
	d, err := l.tables.Delta(ctx, info)
	if err != nil {
		return s, nil, err
	}
	snap := d.Snapshot()
	s.Version, s.Files, s.Bytes = snap.Version, snap.NumFiles(), snap.SizeBytes()
	for f := range snap.Files() {
		var stats struct {
			NumRecords int64 `json:"numRecords"`
		}
		if json.Unmarshal([]byte(f.Stats), &stats) == nil {
			s.Rows += stats.NumRecords
		}
		if f.DeletionVector != nil {
			s.Rows -= f.DeletionVector.Cardinality
		}
	}
	var sch schema.Struct
	if err := json.Unmarshal([]byte(snap.Metadata.SchemaString), &sch); err != nil {
		return s, d, fmt.Errorf("table %s: schema: %w", info.Name, err)
	}
	s.Columns = len(sch.Fields)
	last, err := d.History(ctx, 1)
	if err != nil {
		return s, d, err
	}
	if len(last) > 0 {
		s.LastCommit = last[0].Timestamp
	}
	return s, d, nil
}

func (l *Local) lookup(name string) (catalog.Table, error) {
	n, err := catalog.ParseTableName(name)
	if err != nil {
		return catalog.Table{}, err
	}
	return l.catalog.Table(n)
}

// Describe implements API.
func (l *Local) Describe(ctx context.Context, name string) (TableDetail, error) {
	info, err := l.lookup(name)
	if err != nil {
		return TableDetail{}, err
	}
	s, d, err := l.summary(ctx, info)
	if err != nil {
		return TableDetail{}, err
	}
	snap := d.Snapshot()
	var sch schema.Struct
	if err := json.Unmarshal([]byte(snap.Metadata.SchemaString), &sch); err != nil {
		return TableDetail{}, fmt.Errorf("table %s: schema: %w", info.Name, err)
	}
	out := TableDetail{
		TableSummary: s, ID: info.ID.String(), Comment: info.Comment, Owner: info.Owner, Created: info.Created,
		Properties: snap.Metadata.Configuration, Protocol: protocolText(snap.Protocol), Schema: make([]Column, len(sch.Fields)),
		PartitionBy: snap.Metadata.PartitionColumns,
	}
	for i := range sch.Fields {
		f := &sch.Fields[i]
		out.Schema[i] = Column{Name: f.Name, Type: f.Type.String(), Nullable: f.Nullable, Comment: f.Comment}
	}
	return out, nil
}

func protocolText(p delta.Protocol) string {
	s := fmt.Sprintf("reader %d, writer %d", p.MinReaderVersion, p.MinWriterVersion)
	if len(p.WriterFeatures) > 0 {
		s += " (" + strings.Join(p.WriterFeatures, ", ") + ")"
	}
	return s
}

// headFlush is how long Head waits for rows that are on their way into the table.
const headFlush = 5 * time.Second

// Head implements API.
func (l *Local) Head(ctx context.Context, name string, limit int) (Rows, error) {
	if limit < 0 || limit > MaxHeadRows {
		return Rows{}, fmt.Errorf("the number of rows must be from 0 to %d, got %d", MaxHeadRows, limit)
	}
	info, err := l.lookup(name)
	if err != nil {
		return Rows{}, err
	}
	if l.flush != nil {
		// Who has just written wants to see it. A table that cannot commit now still shows what it has.
		soon, cancel := context.WithTimeout(ctx, headFlush)
		_ = l.flush(soon, info.ID)
		cancel()
	}
	sch, _, err := l.tables.Schema(ctx, info)
	if err != nil {
		return Rows{}, err
	}
	out := Rows{Columns: make([]string, len(sch.Fields)), Rows: [][]*string{}}
	for i := range sch.Fields {
		out.Columns[i] = sch.Fields[i].Name
	}
	err = l.tables.Head(ctx, info, limit, func(values []any) error {
		row := make([]*string, len(values))
		for i, v := range values {
			if v != nil {
				s := text(&sch.Fields[i].Type, v)
				row[i] = &s
			}
		}
		out.Rows = append(out.Rows, row)
		return nil
	})
	return out, err
}

// History implements API.
func (l *Local) History(ctx context.Context, name string, limit int) ([]Commit, error) {
	if limit < 0 || limit > MaxCommits {
		return nil, fmt.Errorf("the number of commits must be from 0 to %d, got %d", MaxCommits, limit)
	}
	info, err := l.lookup(name)
	if err != nil {
		return nil, err
	}
	d, err := l.tables.Delta(ctx, info)
	if err != nil {
		return nil, err
	}
	entries, err := d.History(ctx, limit)
	out := make([]Commit, len(entries))
	for i, e := range entries {
		out[i] = Commit{
			Version: e.Version, Time: e.Timestamp, Operation: e.Operation, Files: e.NumFiles, Removed: e.NumRemoved,
			Rows: e.Rows, Bytes: e.Bytes, Engine: e.Engine,
		}
	}
	return out, err
}

// Flush implements API.
func (l *Local) Flush(ctx context.Context, name string) error {
	info, err := l.lookup(name)
	if err != nil || l.flush == nil {
		return err
	}
	return l.flush(ctx, info.ID)
}
