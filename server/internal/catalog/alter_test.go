package catalog

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/zerobus-go/zerobus/schema"
)

// Alter does to the log what the statement says.
func (l *fakeLake) Alter(_ context.Context, t Table, a *schema.AlterTable) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	ct := l.logs[t.Location]
	if ct == nil {
		return errors.New("no log")
	}
	columns, err := a.Columns(&ct.Columns)
	if err != nil {
		return invalid("%v", err)
	}
	ct.Columns = *columns
	return nil
}

func TestEngine_AlterTable(t *testing.T) {
	e, _ := engine(t)
	run(t, e, `CREATE CATALOG c; CREATE SCHEMA c.s; CREATE TABLE c.s.t (id BIGINT) TBLPROPERTIES ('k' = 'v', 'delta.appendOnly' = 'true');`)
	r := run(t, e, `ALTER TABLE c.s.t ADD COLUMNS (name STRING COMMENT 'who', day DATE);
		ALTER TABLE C.s.T ALTER COLUMN ID COMMENT 'which';
		COMMENT ON TABLE c.s.t IS 'things; of mine';
		ALTER TABLE c.s.t SET TBLPROPERTIES ('DELTA.checkpointinterval' = '20', other = 1);
		ALTER TABLE c.s.t UNSET TBLPROPERTIES ('k', 'DELTA.appendonly')`)
	if len(r) != 5 || r[0].Message != "altered table c.s.t" {
		t.Errorf("got %+v", r)
	}
	ddl := run(t, e, "SHOW CREATE TABLE c.s.t")[0].Rows[0][0]
	for _, want := range []string{"`id` BIGINT COMMENT 'which'", "`name` STRING COMMENT 'who'", "`day` DATE", "COMMENT 'things; of mine'", "'delta.checkpointInterval' = '20'", "'other' = '1'"} {
		if !strings.Contains(strings.ReplaceAll(ddl, "`", ""), strings.ReplaceAll(want, "`", "")) {
			t.Errorf("no %s in\n%s", want, ddl)
		}
	}
	if strings.Contains(ddl, "'k'") || strings.Contains(ddl, "appendOnly") {
		t.Errorf("what was unset is still in\n%s", ddl)
	}
	run(t, e, "COMMENT ON TABLE c.s.t IS NULL")
	if ddl := run(t, e, "SHOW CREATE TABLE c.s.t")[0].Rows[0][0]; strings.Contains(ddl, "things") {
		t.Errorf("the comment is still in\n%s", ddl)
	}
	for script, want := range map[string]struct {
		err  error
		text string
	}{
		"ALTER TABLE c.s.nothing ADD COLUMN a INT":                                    {ErrNotFound, "c.s.nothing"},
		"ALTER TABLE c.s.t ADD COLUMN Name INT":                                       {ErrInvalid, "there is a column name already"},
		"ALTER TABLE c.s.t SET TBLPROPERTIES ('delta.columnMapping.maxColumnId'='9')": {ErrInvalid, "is not supported"},
		"ALTER TABLE c.s.t UNSET TBLPROPERTIES ('delta.minReaderVersion')":            {ErrInvalid, "is not ours to unset"},
		"ALTER TABLE c.s.t ADD COLUMN a INT NOT NULL":                                 {ErrInvalid, "line 1 column 30"},
		"DESCRIBE c.s.t;\n  ALTER TABLE c.s.t RENAME TO u":                            {ErrInvalid, "line 2 column 21"},
		"ALTER TABLE t ADD COLUMN a INT":                                              {ErrInvalid, "line 1 column 1"},
		"COMMENT ON TABLE c.s.t IS '" + strings.Repeat("x", 5000) + "'":               {ErrInvalid, "comment"},
	} {
		if _, err := e.Exec(t.Context(), script); !errors.Is(err, want.err) || !strings.Contains(err.Error(), want.text) {
			t.Errorf("%.60s: %v", script, err)
		}
	}
}
