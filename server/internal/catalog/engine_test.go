package catalog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/zerobus-go/zerobus/schema"
)

// fakeLake is a Tables in memory. It follows the contract: what is at a location is never replaced.
type fakeLake struct {
	mu      sync.Mutex
	logs    map[string]*schema.CreateTable // by location
	found   map[string]*Found              // what is outside of the lake, by directory
	changes int                            // that run now

	createErr error // Create fails with it
	dropErr   error
	retired   []string // by Retire
	findErr   error    // Find fails with it
	onCreate  func()   // runs at the end of Create
	dropCtx   error    // of the last Drop
}

func newLake() *fakeLake {
	return &fakeLake{logs: map[string]*schema.CreateTable{}, found: map[string]*Found{}}
}

func (l *fakeLake) begin() (end func(), err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.changes++; l.changes > 1 {
		err = errors.New("two changes at once")
	}
	return func() {
		l.mu.Lock()
		l.changes--
		l.mu.Unlock()
	}, err
}

func (l *fakeLake) Create(_ context.Context, t Table, ct *schema.CreateTable) error {
	end, err := l.begin()
	defer end()
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.createErr != nil {
		return l.createErr
	}
	if l.logs[t.Location] != nil {
		return fmt.Errorf("version 0 is there: %w", fs.ErrExist)
	}
	if t.ID == uuid.Nil || strings.Join(ct.Name, ".") != t.Name.String() {
		return errors.New("wrong arguments")
	}
	l.logs[t.Location] = ct
	if l.onCreate != nil {
		l.onCreate()
	}
	return nil
}

func (l *fakeLake) Drop(ctx context.Context, t Table) error {
	end, err := l.begin()
	defer end()
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.dropCtx = ctx.Err()
	if l.dropErr != nil {
		return l.dropErr
	}
	if !t.External {
		delete(l.logs, t.Location)
	}
	return nil
}

func (l *fakeLake) Retire(t Table) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.retired = append(l.retired, t.Name.String())
}

func (l *fakeLake) Place(location string) (string, error) {
	if dir, ok := strings.CutPrefix(location, "file://"); ok {
		location = dir
	}
	if !strings.HasPrefix(location, "/lake/") {
		return "", fmt.Errorf("location %q: it is not below /lake", location)
	}
	return strings.TrimSuffix(location, "/"), nil
}

func (l *fakeLake) Find(_ context.Context, dir string) (*Found, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.found[dir], l.findErr
}

func (l *fakeLake) Schema(_ context.Context, t Table) (*schema.Struct, []string, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	ct := l.logs[t.Location]
	if f := l.found[t.Location]; f != nil && ct == nil {
		return f.Columns, f.PartitionBy, nil
	}
	if ct == nil {
		return nil, nil, errors.New("no log")
	}
	return &ct.Columns, ct.PartitionBy, nil
}

func (l *fakeLake) locations() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(sortedKeys(l.logs), " ")
}

func engine(t *testing.T) (*Engine, *fakeLake) {
	t.Helper()
	l := newLake()
	return NewEngine(open(t), l), l
}

func run(t *testing.T, e *Engine, script string) []Result {
	t.Helper()
	results, err := e.Exec(t.Context(), script)
	if err != nil {
		t.Fatalf("%s: %v", script, err)
	}
	return results
}

// rows joins the cells of a result that has rows.
func rows(t *testing.T, e *Engine, statement string) []string {
	t.Helper()
	r := run(t, e, statement)
	if len(r) != 1 || r[0].Columns == nil {
		t.Fatalf("%s gave %+v", statement, r)
	}
	var out []string
	for _, row := range r[0].Rows {
		if len(row) != len(r[0].Columns) {
			t.Fatalf("%s: %d cells for %d columns", statement, len(row), len(r[0].Columns))
		}
		out = append(out, strings.Join(row, "|"))
	}
	return out
}

func TestExec_ReadmeOnAnEmptyServer(t *testing.T) {
	e, l := engine(t)
	p := principal(t, e.catalog, "ingest")
	script := strings.ReplaceAll(readme, clientID, p.ID)
	results := run(t, e, script)
	var messages []string
	for _, r := range results {
		messages = append(messages, r.Message)
		if r.Statement == "" || !strings.Contains(script, r.Statement) || r.Took <= 0 {
			t.Errorf("got %+v", r)
		}
	}
	want := []string{
		"created table main.default.air_quality",
		"granted USE CATALOG on catalog main to ingest",
		"granted USE SCHEMA on schema main.default to ingest",
		"granted SELECT, MODIFY on table main.default.air_quality to ingest",
	}
	if d := cmp.Diff(want, messages); d != "" {
		t.Error(d)
	}
	if l.locations() != "main/default/air_quality" {
		t.Errorf("the lake has %s", l.locations())
	}
	n := mustName(t, "main.default.air_quality")
	for priv, on := range map[Privilege]Name{UseCatalog: n.Parent().Parent(), UseSchema: n.Parent(), Select: n, Modify: n} {
		if !e.catalog.Check(p.ID, priv, on) {
			t.Errorf("%s on %s is not granted", priv, on)
		}
	}
	tb, err := e.catalog.Table(n)
	if err != nil || tb.Location != "main/default/air_quality" || tb.ID == uuid.Nil {
		t.Errorf("got %+v, %v", tb, err)
	}
	ct := l.logs[tb.Location]
	if len(ct.Columns.Fields) != 3 || ct.Columns.Fields[0].Name != "device_name" {
		t.Errorf("version 0 has %+v", ct.Columns)
	}
}

func TestExec_Show(t *testing.T) {
	e, l := engine(t)
	p := principal(t, e.catalog, "ann")
	run(t, e, "CREATE CATALOG sales COMMENT 'all sales'; CREATE SCHEMA sales.north; CREATE SCHEMA sales.east COMMENT 'e';"+
		"CREATE TABLE sales.north.T (id BIGINT NOT NULL COMMENT 'the key', v DECIMAL(10,2), name VARCHAR(20)) COMMENT 'it''s' TBLPROPERTIES ('k'='v', DELTA.appendonly=true);"+
		"GRANT SELECT ON CATALOG sales TO ann; GRANT MODIFY, SELECT ON TABLE sales.north.t TO ann; GRANT SELECT ON SCHEMA sales.east TO ann")
	tb, err := e.catalog.Table(mustName(t, "sales.north.t"))
	if err != nil {
		t.Fatal(err)
	}
	id := "|" + p.ID + "|"
	const ddl = "CREATE TABLE sales.north.t (\n  id BIGINT NOT NULL COMMENT 'the key',\n  v DECIMAL(10,2),\n  name VARCHAR(20)\n)\n" +
		"USING DELTA\nCOMMENT 'it\\'s'\nTBLPROPERTIES (\n  'delta.appendOnly' = 'true',\n  'k' = 'v'\n)"
	describe := []string{"id|bigint|false|the key", "v|decimal(10,2)|true|", "name|varchar(20)|true|"}
	for statement, want := range map[string][]string{
		"SHOW CATALOGS":                   {"main|admin|", "sales|admin|all sales"},
		"SHOW SCHEMAS":                    {"main.default|admin|", "sales.east|admin|e", "sales.north|admin|"},
		"SHOW SCHEMAS IN SALES":           {"sales.east|admin|e", "sales.north|admin|"},
		"SHOW TABLES":                     {"sales.north.t|MANAGED|admin|sales/north/t|it's"},
		"SHOW TABLES IN sales.north":      {"sales.north.t|MANAGED|admin|sales/north/t|it's"},
		"SHOW TABLES IN sales.east":       nil,
		"SHOW GRANTS ON sales.north.t":    {"ann" + id + "SELECT|CATALOG|sales", "ann" + id + "SELECT|TABLE|sales.north.t", "ann" + id + "MODIFY|TABLE|sales.north.t"},
		"SHOW GRANTS ON CATALOG sales":    {"ann" + id + "SELECT|CATALOG|sales"},
		"SHOW GRANTS ann ON CATALOG main": nil,
		"SHOW GRANTS `" + p.ID + "`": {
			"ann" + id + "SELECT|CATALOG|sales", "ann" + id + "SELECT|SCHEMA|sales.east",
			"ann" + id + "SELECT|TABLE|sales.north.t", "ann" + id + "MODIFY|TABLE|sales.north.t",
		},
		"SHOW CREATE TABLE sales.north.t": {ddl},
		"DESCRIBE sales.north.t":          describe,
		"DESC EXTENDED sales.north.t": append(append([]string{}, describe...), "|||", "# Table|||", "Name|sales.north.t||", "Id|"+tb.ID.String()+"||", "Type|MANAGED||", "Provider|delta||",
			"Location|sales/north/t||", "Owner|admin||", "Comment|it's||", "Created|"+tb.Created.Format("2006-01-02T15:04:05Z")+"||",
			"Updated|"+tb.Updated.Format("2006-01-02T15:04:05Z")+"||", "Properties|delta.appendOnly=true, k=v||"),
	} {
		if d := cmp.Diff(want, rows(t, e, statement)); d != "" {
			t.Errorf("%s: %s", statement, d)
		}
	}
	if d := cmp.Diff(map[string]string{"delta.appendOnly": "true", "k": "v"}, l.logs["sales/north/t"].Properties); d != "" {
		t.Errorf("version 0: %s", d)
	}
	// What SHOW CREATE TABLE gives makes the same table.
	run(t, e, "DROP TABLE sales.north.t; "+ddl)
	if d := cmp.Diff([]string{ddl}, rows(t, e, "SHOW CREATE TABLE sales.north.t")); d != "" {
		t.Error(d)
	}
}

func TestExec_ResultAsJSON(t *testing.T) {
	e, _ := engine(t)
	r := run(t, e, "SHOW CATALOGS; SHOW TABLES; CREATE CATALOG x")
	for i := range r {
		r[i].Took = 5
	}
	b, err := json.Marshal(r)
	const want = `[{"statement":"SHOW CATALOGS","columns":["name","owner","comment"],"rows":[["main","admin",""]],"took_ns":5},` +
		`{"statement":"SHOW TABLES","columns":["name","type","owner","location","comment"],"rows":[],"took_ns":5},` +
		`{"statement":"CREATE CATALOG x","message":"created catalog x","took_ns":5}]`
	if string(b) != want || err != nil {
		t.Errorf("got  %s, %v\nwant %s", b, err, want)
	}
}

func TestExec_Errors(t *testing.T) {
	e, l := engine(t)
	principal(t, e.catalog, "p")
	run(t, e, "CREATE TABLE main.default.t (a INT); CREATE SCHEMA main.s; CREATE TABLE main.s.t (a INT)")
	before := l.locations()
	for script, want := range map[string]struct {
		class error
		text  string
	}{
		"CREATE TABLE main.none.t (a INT)":    {ErrNotFound, "table main.none.t cannot be created: schema main.none does not exist; run CREATE SCHEMA main.none"},
		"CREATE TABLE none.s.t (a INT)":       {ErrNotFound, "run CREATE SCHEMA none.s"},
		"CREATE TABLE main.default.T (a INT)": {ErrExists, "table main.default.t exists already; drop it first"},
		"CREATE TABLE main.default.u (a INT) TBLPROPERTIES ('delta.enableDeletionVectors'='true')": {ErrInvalid, "property delta.enableDeletionVectors is not supported; of delta.* these are: delta.appendOnly, "},
		"CREATE CATALOG main":                     {ErrExists, "catalog main exists already"},
		"CREATE SCHEMA x.y":                       {ErrNotFound, "catalog x does not exist; run CREATE CATALOG x"},
		"DROP TABLE main.default.none":            {ErrNotFound, "table main.default.none does not exist"},
		"DROP SCHEMA main.s":                      {ErrNotEmpty, "schema main.s still has main.s.t; drop what is in it first, or run DROP SCHEMA main.s CASCADE"},
		"DROP CATALOG main":                       {ErrNotEmpty, "run DROP CATALOG main CASCADE"},
		"DROP SCHEMA main.none CASCADE":           {ErrNotFound, "schema main.none does not exist"},
		"GRANT SELECT ON CATALOG main TO nobody":  {ErrNotFound, `principal "nobody" does not exist`},
		"GRANT SELECT ON CATALOG none TO p":       {ErrNotFound, "catalog none does not exist"},
		"REVOKE SELECT ON CATALOG main FROM none": {ErrNotFound, `principal "none" does not exist`},
		"SHOW SCHEMAS IN none":                    {ErrNotFound, "catalog none does not exist"},
		"SHOW TABLES IN main.none":                {ErrNotFound, "schema main.none does not exist"},
		"SHOW GRANTS none":                        {ErrNotFound, `principal "none" does not exist`},
		"SHOW GRANTS ON main.default.none":        {ErrNotFound, "table main.default.none does not exist"},
		"SHOW CREATE TABLE main.default.none":     {ErrNotFound, "table main.default.none does not exist"},
		"DESCRIBE main.none.t":                    {ErrNotFound, "table main.none.t does not exist, nor does schema main.none"},
	} {
		results, err := e.Exec(t.Context(), "SHOW CATALOGS;\n "+script+"; CREATE CATALOG never")
		fails(t, err, want.class, want.text)
		var st *StatementError
		if !errors.As(err, &st) || st.Number != 2 || st.Statement != script || st.Pos.Line != 2 || st.Pos.Column != 2 {
			t.Errorf("%s: the error is of %+v", script, st)
		}
		if !strings.HasPrefix(err.Error(), "statement 2 ("+clip(script)+") at line 2 column 2: ") {
			t.Errorf("%s: the error is %v", script, err)
		}
		if len(results) != 1 || results[0].Statement != "SHOW CATALOGS" {
			t.Errorf("%s: results %+v", script, results)
		}
	}
	if l.locations() != before {
		t.Errorf("the lake has %s", l.locations())
	}
	if _, err := e.catalog.Namespace(Name{Catalog: "never"}); !errors.Is(err, ErrNotFound) {
		t.Error("a statement behind a failed one was executed")
	}
}

func TestExec_AScriptThatCannotBeParsedChangesNothing(t *testing.T) {
	e, _ := engine(t)
	results, err := e.Exec(t.Context(), "CREATE CATALOG x; CREATE CATALOG")
	fails(t, err, ErrInvalid, "line 1 column 33")
	if len(results) != 0 {
		t.Errorf("results %+v", results)
	}
	if _, err := e.catalog.Namespace(Name{Catalog: "x"}); !errors.Is(err, ErrNotFound) {
		t.Error("the first statement was executed")
	}
}

func TestExec_IfExists(t *testing.T) {
	e, l := engine(t)
	for _, x := range [][2]string{
		{"CREATE CATALOG IF NOT EXISTS main", "catalog main exists already; nothing changed"},
		{"CREATE SCHEMA IF NOT EXISTS main.default", "schema main.default exists already; nothing changed"},
		{"CREATE TABLE IF NOT EXISTS main.default.t (a INT)", "created table main.default.t"},
		{"CREATE TABLE IF NOT EXISTS main.default.t (b ARRAY<INT>)", "table main.default.t exists already; nothing changed"},
		{"DROP TABLE IF EXISTS main.default.t", "dropped table main.default.t"},
		{"DROP TABLE IF EXISTS main.default.t", "table main.default.t does not exist; nothing changed"},
		{"DROP SCHEMA IF EXISTS main.none CASCADE", "schema main.none does not exist; nothing changed"},
		{"DROP SCHEMA IF EXISTS main.default", "dropped schema main.default"},
		{"DROP CATALOG IF EXISTS none", "catalog none does not exist; nothing changed"},
		{"DROP CATALOG main", "dropped catalog main"},
	} {
		if r := run(t, e, x[0]); r[0].Message != x[1] {
			t.Errorf("%s: %s", x[0], r[0].Message)
		}
	}
	if l.locations() != "" {
		t.Errorf("the lake has %s", l.locations())
	}
	_, err := e.Exec(t.Context(), "CREATE SCHEMA IF NOT EXISTS none.s")
	fails(t, err, ErrNotFound, "run CREATE CATALOG none")
}

func TestExec_DropCascade(t *testing.T) {
	e, l := engine(t)
	const fill = "CREATE CATALOG x; CREATE SCHEMA x.a; CREATE SCHEMA x.b; CREATE SCHEMA x.ab; CREATE TABLE x.a.t (a INT); CREATE TABLE x.a.u (a INT);" +
		"CREATE TABLE x.ab.t (a INT); CREATE TABLE x.b.t (a INT); CREATE CATALOG xx; CREATE SCHEMA xx.a; CREATE TABLE xx.a.t (a INT)"
	run(t, e, fill)
	run(t, e, "DROP SCHEMA x.a CASCADE")
	if got := l.locations(); got != "x/ab/t x/b/t xx/a/t" {
		t.Errorf("the lake has %s", got)
	}
	run(t, e, "DROP CATALOG x CASCADE")
	if got := l.locations(); got != "xx/a/t" {
		t.Errorf("the lake has %s", got)
	}
	if d := cmp.Diff([]string{"main|admin|", "xx|admin|"}, rows(t, e, "SHOW CATALOGS")); d != "" {
		t.Error(d)
	}
}

// A crash between version 0 and the entry leaves a log without an entry. The name must stay usable, and what is there must not
// be touched: it could be somebody's table.
func TestExec_LeftoverOfACrashDoesNotBlockTheName(t *testing.T) {
	e, l := engine(t)
	leftover := &schema.CreateTable{Name: []string{"main", "default", "t"}}
	l.logs["main/default/t"] = leftover
	run(t, e, "CREATE TABLE main.default.t (a INT)")
	tb, err := e.catalog.Table(mustName(t, "main.default.t"))
	if err != nil || tb.Location != "main/default/t-"+tb.ID.String()[:8] {
		t.Fatalf("got %+v, %v", tb, err)
	}
	if l.logs["main/default/t"] != leftover || l.logs[tb.Location] == nil {
		t.Errorf("the lake has %s", l.locations())
	}
	if d := cmp.Diff([]string{"a|int|true|"}, rows(t, e, "DESCRIBE main.default.t")); d != "" {
		t.Error(d)
	}
	run(t, e, "DROP TABLE main.default.t")
	if l.locations() != "main/default/t" {
		t.Errorf("the lake has %s", l.locations())
	}
}

func TestExec_FailureOfTheLake(t *testing.T) {
	e, l := engine(t)
	l.createErr = errors.New("disk full")
	_, err := e.Exec(t.Context(), "CREATE TABLE main.default.t (a INT)")
	fails(t, err, l.createErr, "create table main.default.t at main/default/t: disk full")
	if _, err := e.catalog.Table(mustName(t, "main.default.t")); !errors.Is(err, ErrNotFound) {
		t.Errorf("the table is registered without a log: %v", err)
	}
	l.createErr = nil
	run(t, e, "CREATE TABLE main.default.t (a INT)")

	l.dropErr = ErrNotFound // whatever the lake says, IF EXISTS must not take it for a missing table
	_, err = e.Exec(t.Context(), "DROP TABLE IF EXISTS main.default.t")
	fails(t, err, l.dropErr, "table main.default.t is dropped, but its files remain: remove the files at main/default/t in the lake: not found")
	l.dropErr = nil
	run(t, e, "CREATE TABLE main.default.t (a INT)")

	for k := range l.logs {
		delete(l.logs, k)
	}
	_, err = e.Exec(t.Context(), "DESCRIBE main.default.t")
	if err == nil || !strings.Contains(err.Error(), "read the columns of table main.default.t at main/default/t-") {
		t.Error(err)
	}
}

// The entry cannot be written: the schema was dropped meanwhile behind the engine's back. The files are taken back.
func TestExec_FailureToRegisterRemovesTheFiles(t *testing.T) {
	e, l := engine(t)
	l.onCreate = func() {
		if err := e.catalog.DropNamespace(mustName(t, "main.default")); err != nil {
			t.Error(err)
		}
	}
	_, err := e.Exec(t.Context(), "CREATE TABLE main.default.t (a INT)")
	fails(t, err, ErrNotFound, "register table main.default.t: schema main.default does not exist")
	if l.locations() != "" {
		t.Errorf("the lake has %s", l.locations())
	}
}

func TestExec_Contexts(t *testing.T) {
	e, l := engine(t)
	ctx, cancel := context.WithCancel(t.Context())
	// The client goes away while its table is made, and the entry cannot be written: the files are removed all the same.
	l.onCreate = func() {
		cancel()
		if err := e.catalog.DropNamespace(mustName(t, "main.default")); err != nil {
			t.Error(err)
		}
	}
	if _, err := e.Exec(ctx, "CREATE TABLE main.default.t (a INT)"); !errors.Is(err, ErrNotFound) || l.dropCtx != nil || l.locations() != "" {
		t.Errorf("%v, Drop had a context with %v, the lake has %q", err, l.dropCtx, l.locations())
	}
	if _, err := e.Exec(ctx, "CREATE CATALOG x"); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	// Waiting for another statement ends with the context.
	e.catalog.ddl <- struct{}{}
	ctx, cancel = context.WithCancel(t.Context())
	ready := make(chan error)
	go func() {
		ready <- e.alone(ctx, func() error { return nil })
	}()
	cancel()
	if err := <-ready; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	<-e.catalog.ddl
}

func TestExec_RevokeTellsWhatIsLeft(t *testing.T) {
	e, _ := engine(t)
	principal(t, e.catalog, "p")
	run(t, e, "CREATE TABLE main.default.t (a INT); GRANT SELECT, MODIFY ON main.default.t TO p; GRANT SELECT ON SCHEMA main.default TO p")
	r := run(t, e, "REVOKE SELECT, MODIFY ON main.default.t FROM p")
	const want = "revoked SELECT, MODIFY on table main.default.t from p; SELECT is still granted through ALL PRIVILEGES or from above, see SHOW GRANTS"
	if r[0].Message != want {
		t.Errorf("got %s", r[0].Message)
	}
	if r := run(t, e, "REVOKE SELECT ON SCHEMA main.default FROM p"); r[0].Message != "revoked SELECT on schema main.default from p" {
		t.Errorf("got %s", r[0].Message)
	}
}

func TestExec_Concurrent(t *testing.T) {
	e, l := engine(t)
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for j := range 5 {
				name := fmt.Sprintf("main.default.t%d", (i+j)%3)
				_, err := e.Exec(t.Context(), "CREATE TABLE IF NOT EXISTS "+name+" (a INT); SHOW TABLES; DROP TABLE IF EXISTS "+name)
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if l.locations() != "" {
		t.Errorf("the lake has %s", l.locations())
	}
}

func TestCheckProperties(t *testing.T) {
	got, err := checkProperties(map[string]string{
		"DELTA.APPENDONLY": "TRUE", "delta.logRetentionDuration": "interval 30 days", "delta.deletedFileRetentionDuration": "7 day", "delta.checkpointInterval": "10",
		"delta.dataSkippingNumIndexedCols": "-1", "delta.parquet.compression.codec": "ZSTD", "team": "x", "deltas.y": "z",
	})
	want := map[string]string{
		"delta.appendOnly": "true", "delta.logRetentionDuration": "interval 30 days", "delta.deletedFileRetentionDuration": "interval 7 day", "delta.checkpointInterval": "10",
		"delta.dataSkippingNumIndexedCols": "-1", "delta.parquet.compression.codec": "zstd", "team": "x", "deltas.y": "z",
	}
	if d := cmp.Diff(want, got); d != "" || err != nil {
		t.Error(d, err)
	}
	many := map[string]string{}
	for i := range maxProperties + 1 {
		many[fmt.Sprint(i)] = ""
	}
	for _, x := range []struct {
		given map[string]string
		want  string
	}{
		{map[string]string{"delta.appendOnly": "yes"}, `property delta.appendOnly: "yes" is not valid; expected true or false`},
		{map[string]string{"delta.logRetentionDuration": "1 month"}, "expected 'interval 30 days'"},
		{map[string]string{"delta.deletedFileRetentionDuration": "-1 days"}, "expected 'interval 7 days'"},
		{map[string]string{"delta.checkpointInterval": "0"}, "expected a whole number from 1"},
		{map[string]string{"delta.checkpointInterval": "99999999999"}, "expected a whole number from 1"},
		{map[string]string{"delta.dataSkippingNumIndexedCols": "-2"}, "expected a whole number from -1"},
		{map[string]string{"delta.parquet.compression.codec": "rar"}, "expected zstd, snappy"},
		{map[string]string{"Delta.columnMapping.mode": "index"}, `property delta.columnMapping.mode: "index" is not valid; expected none, name or id`},
		{map[string]string{"delta.dataSkippingStatsColumns": " "}, "expected names of columns"},
		{map[string]string{"Delta.columnMapping.maxColumnId": "5"}, "property Delta.columnMapping.maxColumnId is not supported; of delta.* these are: delta.appendOnly, delta.autoOptimize.autoCompact, delta.checkpointInterval"},
		{map[string]string{"delta.": ""}, "property delta. is not supported"},
		{map[string]string{"delta.appendOnly": "true", "delta.appendonly": "true"}, "property delta.appendOnly is given twice"},
		{map[string]string{"": "x"}, "is empty or longer"},
		{map[string]string{"x": strings.Repeat("x", maxPropertyLength+1)}, "is empty or longer than 4096 bytes"},
		{many, "101 properties"},
	} {
		_, err := checkProperties(x.given)
		fails(t, err, ErrInvalid, x.want)
	}
}
