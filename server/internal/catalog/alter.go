package catalog

import (
	"context"
	"fmt"
	"maps"
	"strings"

	"go.etcd.io/bbolt"

	"github.com/zerobus-go/zerobus/internal/sqltext"
	"github.com/zerobus-go/zerobus/schema"
)

// AlterTableStmt is ALTER TABLE or COMMENT ON TABLE, see [schema.ParseAlterTable].
type AlterTableStmt struct {
	Source
	Name  Name
	Alter *schema.AlterTable
}

// alter cuts the statement out of the script, for the parser that knows types and clauses.
func (p *parser) alter() (Statement, error) {
	source, text := p.rest()
	st := &AlterTableStmt{Source: source}
	var err error
	if st.Alter, err = schema.ParseAlterTable(text); err != nil {
		return nil, rebase(err, st.Pos)
	}
	if st.Name, err = nameOf(st.Alter.Name); err == nil {
		err = st.Name.mustBe(TableType)
	}
	if err != nil {
		return nil, sqltext.Errorf(p.first, "%s", err)
	}
	return st, nil
}

// alterTable changes the Delta log, then the entry, so that a crash in between leaves a table that has what its log says; the same
// statement again mends the entry.
func (e *Engine) alterTable(ctx context.Context, st *AlterTableStmt) (Result, error) {
	err := e.alone(ctx, func() error {
		t, err := e.catalog.Table(st.Name)
		if err != nil {
			return err
		}
		a := *st.Alter
		if err := checkAlter(st.Name, &a); err != nil {
			return err
		}
		if err := e.tables.Alter(ctx, t, &a); err != nil {
			return fmt.Errorf("alter table %s: %w", t.Name, err)
		}
		return e.catalog.altered(t.Name, &a)
	})
	if err != nil {
		return Result{}, err
	}
	return message("altered table %s", st.Name)
}

// checkAlter refuses what CREATE TABLE refuses, and spells properties as Delta does.
func checkAlter(n Name, a *schema.AlterTable) error {
	if a.Comment != nil && a.Column == "" {
		if err := checkComment(n, *a.Comment); err != nil {
			return err
		}
	}
	if len(a.Set) > 0 {
		set, err := checkProperties(a.Set)
		if err != nil {
			return fmt.Errorf("table %s cannot be altered: %w", n, err)
		}
		a.Set = set
	}
	for i, key := range a.Unset {
		for known := range deltaProperties {
			if strings.EqualFold(known, key) {
				key = known
			}
		}
		if _, ok := deltaProperties[key]; !ok && strings.HasPrefix(strings.ToLower(key), "delta.") {
			return invalid("property %s of table %s is not ours to unset", clip(key), n)
		}
		a.Unset[i] = key
	}
	return nil
}

// altered brings the entry to what the log says.
func (c *Catalog) altered(n Name, a *schema.AlterTable) error {
	key := []byte(n.String())
	return c.db.Update(func(tx *bbolt.Tx) error {
		if err := mustExist(tx, n); err != nil {
			return err
		}
		var t Table
		if _, err := get(tx, tablesBucket, key, &t); err != nil {
			return err
		}
		if a.Comment != nil && a.Column == "" {
			t.Comment = *a.Comment
		}
		t.Properties = maps.Clone(t.Properties)
		if t.Properties == nil {
			t.Properties = map[string]string{}
		}
		maps.Copy(t.Properties, a.Set)
		for _, key := range a.Unset {
			delete(t.Properties, key)
		}
		t.Updated = c.time()
		return put(tx, tablesBucket, key, t)
	})
}
