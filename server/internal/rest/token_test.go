package rest_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
)

const resource = "api://databricks/workspaces/127/zerobusDirectWriteApi"

// login asks the token endpoint; with basic by header, else in the form.
func (a *api) login(from, id, secret string, basic bool, form url.Values) (*httptest.ResponseRecorder, map[string]string) {
	a.t.Helper()
	f := url.Values{"grant_type": {"client_credentials"}, "scope": {"all-apis"}}
	for k, v := range form {
		f[k] = v
	}
	if !basic {
		f.Set("client_id", id)
		f.Set("client_secret", secret)
	}
	r := httptest.NewRequest("POST", "/oidc/v1/token", strings.NewReader(f.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if basic {
		r.SetBasicAuth(url.QueryEscape(id), url.QueryEscape(secret))
	}
	r.RemoteAddr = from
	w := httptest.NewRecorder()
	a.handler.ServeHTTP(w, r)
	var v map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &v); err != nil {
		a.t.Fatal(err)
	}
	texts := map[string]string{}
	for k, x := range v {
		texts[k], _ = x.(string)
	}
	return w, texts
}

func TestToken_BothWaysToLogIn(t *testing.T) {
	a := newAPI(t)
	p, secret, err := a.catalog.CreatePrincipal("p")
	if err != nil {
		t.Fatal(err)
	}
	for _, basic := range []bool{true, false} {
		w, v := a.login("10.0.0.1:1", p.ID, secret, basic, nil)
		claims, err := a.tokens.Verify(v["access_token"])
		if w.Code != http.StatusOK || v["token_type"] != "Bearer" || err != nil || claims.PrincipalID != p.ID || claims.Audience != "" {
			t.Errorf("basic %t: %d %v, %v", basic, w.Code, claims, err)
		}
		w, v = a.login("10.0.0.1:1", p.ID, secret+"x", basic, nil)
		if w.Code != http.StatusUnauthorized || v["error"] != "invalid_client" || v["error_id"] == "" || v["error_description"] == "" {
			t.Errorf("basic %t, wrong secret: %d %v", basic, w.Code, v)
		}
	}
	if strings.Contains(a.log.String(), secret) {
		t.Error("the log has the secret")
	}
}

func TestToken_Audience(t *testing.T) {
	a := newAPI(t)
	p, secret, err := a.catalog.CreatePrincipal("p")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		resource []string
		want     int
	}{
		{nil, 200},
		{[]string{""}, 200},
		{[]string{resource}, 200},
		{[]string{"api://databricks/workspaces/adb-1234567890123456/zerobusDirectWriteApi"}, 200},
		{[]string{"api://databricks/workspaces//zerobusDirectWriteApi"}, 200}, // of SDKs that know no id
		{[]string{"api://databricks/workspaces/1/otherApi"}, 400},
		{[]string{"api://databricks/workspaces/1/2/zerobusDirectWriteApi"}, 400},
		{[]string{resource + "x"}, 400},
		{[]string{"https://example.com"}, 400},
		{[]string{resource, resource}, 400},
	} {
		w, v := a.login("10.0.0.1:1", p.ID, secret, true, url.Values{"resource": c.resource})
		if w.Code != c.want || c.want == 400 && v["error"] != "invalid_target" {
			t.Errorf("%q: %d %v", c.resource, w.Code, v)
		}
		if c.want == 200 {
			claims, err := a.tokens.Verify(v["access_token"])
			if want := strings.Join(c.resource, ""); err != nil || claims.Audience != want {
				t.Errorf("%q: audience %q, %v", c.resource, claims.Audience, err)
			}
		}
	}
}

// Failed logins are held up by client id and address. Who has been right before, and who comes from elsewhere, is not.
func TestToken_FailedLoginsAreHeldUp(t *testing.T) {
	a := newAPI(t)
	p, secret, err := a.catalog.CreatePrincipal("p")
	if err != nil {
		t.Fatal(err)
	}
	q, other, err := a.catalog.CreatePrincipal("q")
	if err != nil {
		t.Fatal(err)
	}
	if w, _ := a.login("[2001:db8::1]:1", q.ID, other, true, nil); w.Code != 200 {
		t.Fatal(w.Code)
	}
	var last *httptest.ResponseRecorder
	var v map[string]string
	for i := range 11 {
		for _, id := range []string{p.ID, q.ID} {
			last, v = a.login("[2001:db8::"+strconv.Itoa(i+1)+"]:1", id, "wrong", true, nil)
		}
		if want := map[bool]int{true: 401, false: 429}[i < 10]; last.Code != want {
			t.Fatalf("login %d: %d %v, want %d", i, last.Code, v, want)
		}
	}
	if n, err := strconv.Atoi(last.Header().Get("Retry-After")); err != nil || n < 1 || n > 6 || v["error"] != "slow_down" || v["error_id"] == "" {
		t.Errorf("Retry-After %d, %v, %v", n, err, v)
	}
	for _, c := range []struct {
		what, from, id, secret string
		want                   int
	}{
		{"the right secret that was never seen", "[2001:db8::ffff]:1", p.ID, secret, 429}, // same network
		{"the right secret that was seen", "[2001:db8::1]:1", q.ID, other, 200},
		{"another network", "[2001:db8:0:1::1]:1", p.ID, secret, 200},
		{"another client", "[2001:db8::1]:1", "someone", "wrong", 401},
	} {
		if w, v := a.login(c.from, c.id, c.secret, false, nil); w.Code != c.want {
			t.Errorf("%s: %d %v, want %d", c.what, w.Code, v, c.want)
		}
	}
	if n := strings.Count(a.log.String(), "login refused"); n != 21 {
		t.Errorf("%d lines about refused logins", n)
	}
}

func TestDiscovery(t *testing.T) {
	a := newAPI(t)
	for _, c := range []struct{ proto, want string }{{"", "http://example.com"}, {"https", "https://example.com"}, {"gopher", "http://example.com"}} {
		for path, field := range map[string]string{"/oidc/.well-known/oauth-authorization-server": "issuer", "/.well-known/databricks-config": "oidc_endpoint"} {
			r := httptest.NewRequest("GET", path, nil)
			r.Header.Set("X-Forwarded-Proto", c.proto)
			w := httptest.NewRecorder()
			a.handler.ServeHTTP(w, r)
			var v map[string]any
			if err := json.Unmarshal(w.Body.Bytes(), &v); err != nil || v[field] != c.want+"/oidc" {
				t.Errorf("%s: %v, %v", path, v, err)
			}
			if field == "issuer" && v["token_endpoint"] != c.want+"/oidc/v1/token" {
				t.Errorf("got %v", v)
			}
		}
	}
}
