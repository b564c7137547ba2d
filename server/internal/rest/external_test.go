package rest_test

import (
	"encoding/json"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/zerobus-go/zerobus/server/internal/delta"
	"github.com/zerobus-go/zerobus/server/internal/lake"
)

// foreign makes a Delta table that the server has not made, below the root, and gives the URL of its directory.
func (a *api) foreign(name string) string {
	a.t.Helper()
	dir := filepath.Join(a.root, name)
	store, err := lake.NewLocal(dir)
	if err != nil {
		a.t.Fatal(err)
	}
	_, err = delta.Create(a.t.Context(), store, delta.CreateSpec{
		ID: "of-spark", Description: "theirs", Now: time.Now,
		SchemaString:     `{"type":"struct","fields":[{"name":"id","type":"long","nullable":false,"metadata":{}},{"name":"day","type":"date","nullable":true,"metadata":{}}]}`,
		PartitionColumns: []string{"day"},
	})
	if err != nil {
		a.t.Fatal(err)
	}
	return (&url.URL{Scheme: "file", Path: filepath.ToSlash(dir)}).String()
}

// external is the body that makes an external table.
func external(name, location, columns string) string {
	b, _ := json.Marshal(location)
	body := newTable("main.default", name, columns)
	return strings.Replace(body, `"table_type":"MANAGED"`, `"table_type":"EXTERNAL","storage_location":`+string(b), 1)
}

const dayColumn = `{"name":"day","type_text":"date","position":1,"partition_index":0}`

// What Unity Catalog's POST /tables does with EXTERNAL: https://github.com/unitycatalog/unitycatalog/blob/main/api/all.yaml.
func TestUnity_ExternalTables(t *testing.T) {
	a := newAPI(t)
	place := a.foreign("ev ents")
	v := a.must("POST", "/tables", adminToken, external("t", place, ""))
	if v["table_type"] != "EXTERNAL" || v["storage_location"] != place || v["comment"] != "theirs" || names(v, "columns", "name") != "id day" {
		t.Errorf("made %v", v)
	}
	got := a.must("GET", "/tables/main.default.t", adminToken, "")
	if got["table_type"] != "EXTERNAL" || got["storage_location"] != place || got["columns"].([]any)[1].(map[string]any)["partition_index"] != 0.0 {
		t.Errorf("got %v", got)
	}
	for list, field := range map[string]string{"/tables?catalog_name=main&schema_name=default": "tables", "/table-summaries?catalog_name=main": "tables"} {
		if got := names(a.must("GET", list, adminToken, ""), field, "table_type"); got != "EXTERNAL" {
			t.Errorf("%s: %s", list, got)
		}
	}
	creds := a.must("POST", "/temporary-table-credentials", adminToken, `{"table_id":"`+v["table_id"].(string)+`","operation":"READ"}`)
	if creds["url"] != place {
		t.Errorf("credentials are of %v", creds["url"])
	}

	// Who has a grant uses it as any other table; its owner is the administrator.
	_, reader := a.principal("reader", "USE CATALOG ON CATALOG main", "USE SCHEMA ON SCHEMA main.default", "SELECT ON TABLE main.default.t")
	if got := a.must("GET", "/tables/main.default.t", reader, ""); got["storage_location"] != place || got["owner"] != "admin" {
		t.Errorf("the reader got %v", got)
	}
	a.refused("DELETE", "/tables/main.default.t", reader, "", 403, "PERMISSION_DENIED")
	a.must("DELETE", "/tables/main.default.t", adminToken, "")
	if _, err := os.Stat(filepath.Join(a.root, "ev ents", "_delta_log", "00000000000000000000.json")); err != nil {
		t.Error(err)
	}
	// With the same columns, as Spark's connector sends them, and then a new one with columns of its own.
	a.must("POST", "/tables", adminToken, external("t", place+"/", idColumn+","+dayColumn))
	v = a.must("POST", "/tables", adminToken, external("u", filepath.Join(a.root, "new", "u"), idColumn))
	if names(v, "columns", "name") != "id" {
		t.Errorf("made %v", v)
	}
	if _, err := os.Stat(filepath.Join(a.root, "new", "u", "_delta_log", "00000000000000000000.json")); err != nil {
		t.Error(err)
	}
}

func TestUnity_ExternalTablesRefused(t *testing.T) {
	a := newAPI(t)
	place := a.foreign("t")
	for _, c := range []struct{ body, words string }{
		{external("t", "", ""), "storage_location is missing"},
		{external("t", place+"/none", ""), "is inside of the Delta table"},
		{external("t", place, idColumn), "it has a column day more"},
		{external("t", place, idColumn+`,{"name":"day","type_text":"string","position":1,"partition_index":0}`), "its column day is date, not string"},
		{external("t", strings.TrimSuffix(place, "t"), ""), "is not below a directory"},
		{external("t", place+"/../../t", ""), "is not below a directory"},
		{external("t", place+"/%2e%2e/%2e%2e/t", ""), "is not below a directory"},
		{external("t", "file://"+filepath.ToSlash(a.dir)+"/main", ""), "hexadecimal|in the server's data directory|is not below"},
		{external("t", "s3://bucket/t", ""), "s3 is not supported"},
		{external("t", "/etc", idColumn), "is not below a directory"},
		{strings.Replace(external("t", place, ""), "EXTERNAL", "MANAGED", 1), "storage_location cannot be chosen for a MANAGED table"},
		{strings.Replace(external("t", place, ""), "DELTA", "PARQUET", 1), "PARQUET"},
		{external("t", filepath.Join(a.root, "none"), ""), "there is no Delta table"},
	} {
		code, v := a.do("POST", unity+"/tables", adminToken, c.body)
		msg, _ := v["message"].(string)
		ok := false
		for w := range strings.SplitSeq(c.words, "|") {
			ok = ok || strings.Contains(msg, w)
		}
		if code != 400 || v["error_code"] != "INVALID_PARAMETER_VALUE" || !ok {
			t.Errorf("%s\n%d %v, want 400 and %q", c.body, code, v, c.words)
		}
	}

	// Whoever may make tables may not choose places, and learns nothing of what is there.
	_, maker := a.principal("maker", "USE CATALOG ON CATALOG main", "USE SCHEMA ON CATALOG main", "ALL PRIVILEGES ON CATALOG main")
	for _, location := range []string{place, filepath.Join(a.root, "none"), "/etc"} {
		a.refused("POST", "/tables", maker, external("t", location, ""), 403, "PERMISSION_DENIED", "Only the administrator")
		a.refused("POST", "/tables", maker, external("t", location, idColumn), 403, "PERMISSION_DENIED", "Only the administrator")
	}
	_, loner := a.principal("loner")
	a.refused("POST", "/tables", loner, external("t", place, ""), 404, "SCHEMA_NOT_FOUND")
	if got := names(a.must("GET", "/tables?catalog_name=main&schema_name=default", adminToken, ""), "tables", "name"); got != "" {
		t.Errorf("there are %s", got)
	}
	if entries, err := os.ReadDir(a.root); err != nil || len(entries) != 1 {
		t.Errorf("below the root there are %v, %v", entries, err)
	}
}

// Reading a table whose directory is away, or another one's, fails; listing goes on.
func TestUnity_ExternalTableThatIsAway(t *testing.T) {
	a := newAPI(t)
	place := a.foreign("t")
	a.must("POST", "/tables", adminToken, external("t", place, ""))
	dir := filepath.Join(a.root, "t")
	if err := os.Rename(dir, dir+"2"); err != nil {
		t.Fatal(err)
	}
	a.refused("GET", "/tables/main.default.t", adminToken, "", 500, "INTERNAL_ERROR")
	if got := names(a.must("GET", "/tables?catalog_name=main&schema_name=default", adminToken, ""), "tables", "storage_location"); got != place {
		t.Errorf("listed is %s", got)
	}
	if !strings.Contains(a.log.String(), "the directory is not there") {
		t.Errorf("the log says %s", a.log.String())
	}
	a.must("DELETE", "/tables/main.default.t", adminToken, "")
}
