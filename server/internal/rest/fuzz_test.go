package rest

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/zerobus-go/zerobus/server/internal/catalog"
	"github.com/zerobus-go/zerobus/server/internal/token"
)

// fuzzServer has a principal with grants on main.default.t, which is not there as a table of the lake.
func fuzzServer(f *testing.F) (c Config, p catalog.Principal, secret string) {
	f.Helper()
	cat, err := catalog.Open(filepath.Join(f.TempDir(), "catalog.db"), catalog.Options{})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { cat.Close() })
	tokens, err := token.Open(filepath.Join(f.TempDir(), "keys"), token.Options{})
	if err != nil {
		f.Fatal(err)
	}
	if p, secret, err = cat.CreatePrincipal("p"); err != nil {
		f.Fatal(err)
	}
	table, err := catalog.ParseTableName("main.default.t")
	if err != nil {
		f.Fatal(err)
	}
	if _, err := cat.CreateTable(catalog.Table{ID: [16]byte{1}, Name: table, Location: "main/default/t"}); err != nil {
		f.Fatal(err)
	}
	if err := cat.Grant(p.ID, []catalog.Privilege{catalog.Select, catalog.Modify}, table); err != nil {
		f.Fatal(err)
	}
	return Config{Catalog: cat, Tokens: tokens, Admin: http.NotFoundHandler(), Logger: slog.New(slog.DiscardHandler)}, p, secret
}

const fuzzDetails = `[{"type":"unity_catalog_privileges","privileges":["SELECT","MODIFY"],"object_type":"TABLE","object_full_path":"main.default.t"}]`

// FuzzDetails: what comes of authorization_details is granted, every bit of it.
func FuzzDetails(f *testing.F) {
	c, p, _ := fuzzServer(f)
	s := &server{Config: c}
	for _, text := range []string{
		fuzzDetails, "", "[]", "null", "{}", "[null]", `[{"type":"unity_catalog_privileges","privileges":[],"object_type":"table","object_full_path":"MAIN.DEFAULT.T"}]`,
		strings.ReplaceAll(fuzzDetails, "SELECT", "ALL PRIVILEGES"), strings.ReplaceAll(fuzzDetails, "main.default.t", "main.default.../t"), strings.Repeat("[", 1000),
		"[" + strings.Repeat(fuzzDetails[1:len(fuzzDetails)-1]+",", 40) + fuzzDetails[1:],
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		grants, err := s.granted(p.ID, text)
		if err != nil {
			if _, ok := err.(*detailsError); !ok || len(err.Error()) > 8<<10 || grants != nil {
				t.Fatalf("%T of %d bytes: %v", err, len(err.Error()), err)
			}
			return
		}
		n := 0
		for _, g := range grants {
			on, err := catalog.ParseSecurable(g.ObjectType, g.Object)
			if err != nil {
				t.Fatal(err)
			}
			for _, text := range g.Privileges {
				n++
				privilege, err := catalog.ParsePrivilege(text)
				if ok := err == nil && c.Catalog.Check(p.ID, privilege, on); !ok {
					t.Fatalf("%s on %s is not granted: %v", text, on, err)
				}
			}
		}
		if n > maxDetails {
			t.Fatalf("%d privileges", n)
		}
	})
}

// FuzzToken: a form of a principal that has logged in gives a token of this principal, or a refusal in OAuth's form.
func FuzzToken(f *testing.F) {
	c, p, secret := fuzzServer(f)
	h := Handler(c)
	login := "Basic " + base64.StdEncoding.EncodeToString([]byte(p.ID+":"+secret))
	for _, form := range []string{
		"grant_type=client_credentials", "grant_type=client_credentials&resource=api://databricks/workspaces/1/zerobusDirectWriteApi&authorization_details=" + fuzzDetails,
		"grant_type=client_credentials&resource=&resource=", "grant_type=password", "grant_type=client_credentials;x=y", "%", "grant_type=client_credentials&resource=%00", "a=b&&=&c",
	} {
		f.Add(form, "application/x-www-form-urlencoded")
	}
	f.Add("grant_type=client_credentials", "multipart/form-data; boundary=x")
	f.Fuzz(func(t *testing.T, form, contentType string) {
		r := httptest.NewRequest("POST", tokenPath, strings.NewReader(form))
		r.Header.Set("Content-Type", contentType)
		r.Header.Set("Authorization", login)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		var answer struct {
			Token string `json:"access_token"`
			Error string `json:"error"`
			ID    string `json:"error_id"`
		}
		if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
			t.Fatal(err)
		}
		switch w.Code {
		case 200:
			claims, err := c.Tokens.Verify(answer.Token)
			if err != nil || claims.PrincipalID != p.ID || claims.Audience != "" && !token.ForStreams(claims.Audience) {
				t.Fatalf("%+v: %v", claims, err)
			}
		case 400, 401:
			if answer.Error == "" || answer.ID == "" || answer.Token != "" {
				t.Fatal(w.Body)
			}
		default:
			t.Fatal(w.Code, w.Body)
		}
	})
}

// FuzzLogin: no header that we did not make logs anybody in. Logins that fail are held up after the first ones, so the slow hashes
// are few.
func FuzzLogin(f *testing.F) {
	c, p, secret := fuzzServer(f)
	h := Handler(c)
	right := "Basic " + base64.StdEncoding.EncodeToString([]byte(p.ID+":"+secret))
	for _, header := range []string{"Basic", "Basic Og==", "Basic %%%", "basic " + base64.StdEncoding.EncodeToString([]byte(p.ID+":%")), "Bearer x", "Basic " + strings.Repeat("A", 1000)} {
		f.Add(header)
	}
	f.Fuzz(func(t *testing.T, header string) {
		r := httptest.NewRequest("POST", tokenPath, strings.NewReader("grant_type=client_credentials"))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Authorization", header)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != 401 && w.Code != 429 && (w.Code != 200 || !strings.EqualFold(header[:5], right[:5])) {
			t.Fatal(w.Code, w.Body)
		}
		if w.Code == 200 {
			if id, s, ok := r.BasicAuth(); !ok || unescape(id) != p.ID || unescape(s) != secret {
				t.Fatal("logged in with another secret")
			}
		}
	})
}

// FuzzColumns: columns that Unity Catalog's clients send are refused, or are columns that can be written down and read again.
func FuzzColumns(f *testing.F) {
	for _, text := range []string{
		`[{"name":"n","type_name":"INT","type_text":"int","type_json":"\"integer\"","position":0}]`, `[{"name":"n","type_text":"decimal(10,2)","type_json":"{\"name\":\"n\",\"type\":\"decimal(10,2)\",\"nullable\":true,\"metadata\":{}}"}]`,
		`[{"name":"n","type_name":"DECIMAL","type_precision":38,"type_scale":-1,"position":-1}]`, `[{"name":"","type_name":"ARRAY"},{"name":"","position":0}]`, `[{"name":"n","type_name":"STRING","partition_index":0,"nullable":false,"comment":"c"}]`, `[]`, `[null]`,
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var cols []newColumn
		if json.Unmarshal([]byte(text), &cols) != nil {
			return
		}
		list, partitionBy, err := fields(cols)
		if err != nil {
			if len(err.Error()) > 64<<10 {
				t.Fatalf("an error of %d bytes", len(err.Error()))
			}
			return
		}
		if len(list) != len(cols) || len(partitionBy) > len(cols) {
			t.Fatalf("%d columns, %d partition columns of %d", len(list), len(partitionBy), len(cols))
		}
		for i := range list {
			if _, err := json.Marshal(&list[i]); err != nil {
				t.Fatal(fmt.Errorf("column %q: %w", list[i].Name, err))
			}
		}
	})
}
