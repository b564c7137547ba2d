package rest_test

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/zerobus-go/zerobus/server/internal/catalog"
	"github.com/zerobus-go/zerobus/server/internal/lake"
	"github.com/zerobus-go/zerobus/server/internal/rest"
	"github.com/zerobus-go/zerobus/server/internal/table"
	"github.com/zerobus-go/zerobus/server/internal/token"
)

const (
	adminToken = "0123456789abcdef0123456789abcdef"
	unity      = "/api/2.1/unity-catalog"
)

// api is all handlers over a catalog and a lake of their own.
type api struct {
	t       *testing.T
	handler http.Handler
	catalog *catalog.Catalog
	tokens  *token.Authority
	engine  *catalog.Engine
	dir     string // of the lake
	root    string // below which there may be external tables
	agent   string // User-Agent
	log     strings.Builder
}

func newAPI(t *testing.T) *api {
	t.Helper()
	a := &api{t: t, dir: filepath.Join(t.TempDir(), "a läke")}
	store, err := lake.NewLocal(a.dir)
	if err != nil {
		t.Fatal(err)
	}
	if a.catalog, err = catalog.Open(filepath.Join(t.TempDir(), "catalog.db"), catalog.Options{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.catalog.Close(); err != nil {
			t.Error(err)
		}
	})
	if a.tokens, err = token.Open(filepath.Join(t.TempDir(), "keys.json"), token.Options{}); err != nil {
		t.Fatal(err)
	}
	tables := table.NewTables(store, "test", time.Now)
	top, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	a.root = filepath.Join(top, "other people's")
	roots, err := lake.NewRoots(a.dir, a.root)
	if err != nil {
		t.Fatal(err)
	}
	tables.AllowExternal(roots)
	a.engine = catalog.NewEngine(a.catalog, tables)
	a.handler = rest.Handler(rest.Config{
		Catalog: a.catalog, Tokens: a.tokens, Lake: tables, AdminToken: adminToken,
		Admin:  http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }),
		Logger: slog.New(slog.NewTextHandler(&a.log, nil)),
	})
	return a
}

func (a *api) sql(script string) {
	a.t.Helper()
	if _, err := a.engine.Exec(a.t.Context(), script); err != nil {
		a.t.Fatal(err)
	}
}

// principal makes one with grants, each without TO, and gives its client id and a token without details.
func (a *api) principal(name string, grants ...string) (id, tok string) {
	a.t.Helper()
	p, _, err := a.catalog.CreatePrincipal(name)
	if err != nil {
		a.t.Fatal(err)
	}
	for _, g := range grants {
		a.sql("GRANT " + g + " TO `" + p.ID + "`")
	}
	return p.ID, a.issue(token.Claims{PrincipalID: p.ID, PrincipalName: name})
}

func (a *api) issue(c token.Claims) string {
	a.t.Helper()
	tok, _, err := a.tokens.Issue(c)
	if err != nil {
		a.t.Fatal(err)
	}
	return tok
}

// do sends a request, with a body where there is one, and reads the JSON of the answer.
func (a *api) do(method, path, bearer, body string) (int, map[string]any) {
	a.t.Helper()
	var b io.Reader
	if body != "" {
		b = strings.NewReader(body)
	}
	r := httptest.NewRequest(method, path, b)
	if bearer != "" {
		r.Header.Set("Authorization", "Bearer "+bearer)
	}
	if a.agent != "" {
		r.Header.Set("User-Agent", a.agent)
	}
	w := httptest.NewRecorder()
	a.handler.ServeHTTP(w, r)
	var v map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &v); err != nil {
		a.t.Fatalf("%s %s: %d %q is not JSON", method, path, w.Code, w.Body)
	}
	if got := w.Header().Get("Content-Type"); got != "application/json" {
		a.t.Errorf("%s %s: Content-Type %q", method, path, got)
	}
	return w.Code, v
}

// must is do for what is answered by 200.
func (a *api) must(method, path, bearer, body string) map[string]any {
	a.t.Helper()
	code, v := a.do(method, unity+path, bearer, body)
	if code != http.StatusOK {
		a.t.Fatalf("%s %s: %d %v", method, path, code, v)
	}
	return v
}

// refused checks status, error_code and shape of a refusal.
func (a *api) refused(method, path, bearer, body string, code int, errorCode string, words ...string) {
	a.t.Helper()
	got, v := a.do(method, unity+path, bearer, body)
	if got != code || v["error_code"] != errorCode {
		a.t.Errorf("%s %s %.80s: %d %v, want %d %s", method, path, body, got, v, code, errorCode)
		return
	}
	msg, _ := v["message"].(string)
	if _, ok := v["details"].([]any); !ok || msg == "" || len(v) != 3 {
		a.t.Errorf("%s %s: %v is not of the shape", method, path, v)
	}
	for _, w := range words {
		if !strings.Contains(msg, w) {
			a.t.Errorf("%s %s: %q does not say %q", method, path, msg, w)
		}
	}
}

// names are the values of a field of a list's elements.
func names(v map[string]any, list, field string) string {
	var out []string
	for _, e := range v[list].([]any) {
		out = append(out, fmt.Sprint(e.(map[string]any)[field]))
	}
	return strings.Join(out, " ")
}

// pages follows next_page_token to the end.
func (a *api) pages(path, bearer, list, field string) (pages []string) {
	a.t.Helper()
	next := ""
	for {
		v := a.must("GET", path+next, bearer, "")
		pages = append(pages, names(v, list, field))
		tok, more := v["next_page_token"].(string)
		if !more {
			return pages
		}
		next = "&page_token=" + url.QueryEscape(tok)
	}
}

func newTable(schema, name, columns string) string {
	c, s, _ := strings.Cut(schema, ".")
	return fmt.Sprintf(`{"catalog_name":%q,"schema_name":%q,"name":%q,"table_type":"MANAGED","data_source_format":"DELTA","columns":[%s]}`, c, s, name, columns)
}

const idColumn = `{"name":"id","type_text":"bigint","type_name":"LONG","position":0,"nullable":false}`
