package unity

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/zerobus-go/zerobus/internal/leaktest"
	"github.com/zerobus-go/zerobus/schema"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// workspace answers for a table with a body, and counts on the token.
func workspace(t *testing.T, status int, body string) *httptest.Server {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("POST /base/oidc/v1/token", func(w http.ResponseWriter, r *http.Request) {
		id, secret, _ := r.BasicAuth()
		if id != "id" || secret != "s3cret" || r.FormValue("scope") != "all-apis" || r.FormValue("resource") != "" {
			w.WriteHeader(http.StatusUnauthorized)
			fmt.Fprint(w, `{"error":"invalid_client","error_description":"no s3cret"}`)
			return
		}
		fmt.Fprint(w, `{"access_token":"t0ken","token_type":"Bearer","expires_in":3600}`)
	})
	mux.HandleFunc("GET /base/api/2.1/unity-catalog/tables/{name}", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer t0ken" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.WriteHeader(status)
		fmt.Fprint(w, strings.ReplaceAll(body, "NAME", r.PathValue("name")))
	})
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	return srv
}

func fetch(srv *httptest.Server, table string) (string, error) {
	endpoint := srv.URL + "/base/" // GP-24: a path, and a slash at its end
	s, err := Fetch(context.Background(), Config{Endpoint: endpoint, Token: ClientToken(endpoint, "id", "s3cret", nil)}, table)
	if err != nil {
		return "", err
	}
	return ddl(s), nil
}

func ddl(s *schema.Struct) string {
	columns := make([]string, len(s.Fields))
	for i, f := range s.Fields {
		columns[i] = f.DDL()
	}
	return strings.Join(columns, ", ")
}

func TestFetch(t *testing.T) {
	for _, tt := range []struct{ name, columns, want string }{
		{
			"type_text alone", `{"name":"a","type_text":"BIGINT","nullable":false},{"name":"b","type_text":"struct<x:decimal(10,2),y:array<string>>"}`,
			"a BIGINT NOT NULL, b STRUCT<x: DECIMAL(10,2), y: ARRAY<STRING>>",
		},
		{
			"type_json of a field", `{"name":"a","type_text":"struct<x:int>","nullable":true,"comment":"of a","type_json":"{\"name\":\"a\",\"type\":{\"type\":\"struct\",\"fields\":[{\"name\":\"x\",\"type\":\"integer\",\"nullable\":false,\"metadata\":{\"comment\":\"of x\"}}]},\"nullable\":true,\"metadata\":{}}"}`,
			"a STRUCT<x: INT NOT NULL COMMENT 'of x'> COMMENT 'of a'",
		},
		{
			"type_json of a type", `{"name":"a","type_text":"","type_json":"\"timestamp_ntz\""},{"name":"b","type_json":"{\"type\":\"array\",\"elementType\":\"long\",\"containsNull\":true}"}`,
			"a TIMESTAMP_NTZ, b ARRAY<BIGINT>",
		},
		{
			"lengths of texts", `{"name":"a","type_text":"varchar(5)","type_json":"{\"name\":\"a\",\"type\":\"string\",\"nullable\":true,\"metadata\":{\"__CHAR_VARCHAR_TYPE_STRING\":\"varchar(5)\"}}"}`,
			"a VARCHAR(5)",
		},
		{"lengths beside the JSON of a type", `{"name":"a","type_text":"varchar(5)","type_json":"\"string\""}`, "a VARCHAR(5)"},
		{"type_json that is not known", `{"name":"a","type_text":"int","type_json":"{}"},{"name":"b","type_text":"int","type_json":"nonsense"}`, "a INT, b INT"},
		{"positions", `{"name":"b","type_text":"int","position":1},{"name":"a","type_text":"int","position":0}`, "a INT, b INT"},
		{"no positions", `{"name":"b","type_text":"int"},{"name":"a","type_text":"int","position":0}`, "b INT, a INT"},
	} {
		got, err := fetch(workspace(t, 200, `{"name":"NAME","columns":[`+tt.columns+`]}`), "c.s.t")
		if err != nil || got != tt.want {
			t.Errorf("%s: %s, %v; want %s", tt.name, got, err, tt.want)
		}
	}
}

func TestFetch_GP15_GP21_Errors(t *testing.T) {
	for _, tt := range []struct {
		name, body, want string
		status           int
	}{
		{
			"no such table", `{"error_code":"TABLE_NOT_FOUND","message":"Table 'NAME' does not exist."}`,
			"table schema of c.s.t: refused with HTTP 404 Not Found: TABLE_NOT_FOUND: Table 'c.s.t' does not exist.", 404,
		},
		{
			"no permission", `{"error_code":"PERMISSION_DENIED","message":"t0ken may not"}`,
			"table schema of c.s.t: refused with HTTP 403 Forbidden: PERMISSION_DENIED: (hidden) may not", 403,
		},
		{"no JSON", `<html>`, "table schema of c.s.t: the answer is not the JSON of a table", 200},
		{"no columns", `{"columns":[]}`, "table schema of c.s.t: the answer has no columns", 200},
		{"no columns at all", `{}`, "table schema of c.s.t: the answer has no columns", 200},
		{
			"an unknown type", `{"columns":[{"name":"a","type_text":"interval day","type_json":"\"interval day\""}]}`,
			`table schema of c.s.t: column "a": type "interval day": line 1 column 1: unknown type interval`, 200,
		},
		{"no type", `{"columns":[{"name":"a"}]}`, `table schema of c.s.t: column "a": type "": `, 200},
	} {
		_, err := fetch(workspace(t, tt.status, tt.body), "c.s.t")
		var e *Error
		if !errors.As(err, &e) || !strings.HasPrefix(err.Error(), tt.want) || e.Status != tt.status || e.Retriable {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
	srv := workspace(t, 200, "")
	_, err := Fetch(t.Context(), Config{Endpoint: srv.URL + "/base", Token: ClientToken(srv.URL+"/base", "id", "wrong", nil)}, "c.s.t")
	var e *Error
	if !errors.As(err, &e) || e.Status != 401 || e.Code != "invalid_client" {
		t.Errorf("a wrong secret: %v", err)
	}
	for _, name := range []string{"c..t", "c.t", "c.s.t.u", ""} {
		if _, err := fetch(srv, name); err == nil || !strings.Contains(err.Error(), "it has three parts") {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// GP-24: what stands in a name cannot leave its place in the path.
func TestFetch_GP24_EscapesNames(t *testing.T) {
	for _, name := range []string{"c.s.a/b", "c.s.a b", "c.s.%2e", "c.s.größe", "c.s.a?b#c"} {
		if got, err := fetch(workspace(t, 200, `{"columns":[{"name":"NAME","type_text":"int"}]}`), name); err != nil || !strings.Contains(got, strings.ReplaceAll(name, "`", "``")) {
			t.Errorf("%s: %s, %v", name, got, err)
		}
	}
}

// Whatever a workspace answers: a schema or an error, and no panic.
func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"columns":[{"name":"a","type_text":"int","type_json":"\"integer\"","position":0,"nullable":false,"comment":"c"}]}`))
	f.Add([]byte(`{"columns":[{"name":"a","type_json":"{\"name\":\"a\",\"type\":\"long\",\"nullable\":false,\"metadata\":{}}"}]}`))
	f.Add([]byte(`{"columns":[null]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		s, err := parse(body)
		if (s == nil) == (err == nil) {
			t.Errorf("%v, %v", s, err)
		}
		if s != nil {
			_, _ = s.Proto("M")
		}
	})
}
