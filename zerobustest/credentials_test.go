package zerobustest

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
)

const details = `[{"type":"unity_catalog_privileges","privileges":["USE CATALOG"],"object_type":"CATALOG","object_full_path":"main"},` +
	`{"type":"unity_catalog_privileges","privileges":["SELECT","MODIFY"],"object_type":"TABLE","object_full_path":"main.default.air_quality"}]`

type answer struct {
	status      int
	Token       string `json:"access_token"`
	ExpiresIn   *int64 `json:"expires_in"`
	Error       string `json:"error"`
	Description string `json:"error_description"`
}

// askToken requests a token as the service's clients do, but for the fields that are changed.
func askToken(t testing.TB, s *Server, id, secret string, change url.Values) answer {
	t.Helper()
	form := url.Values{
		"grant_type": {"client_credentials"}, "scope": {"all-apis"},
		"resource":              {"api://databricks/workspaces/127/zerobusDirectWriteApi"},
		"authorization_details": {details},
	}
	for name, values := range change {
		form[name] = values
	}
	req, err := http.NewRequestWithContext(testContext(t), http.MethodPost, s.WorkspaceURL()+"/oidc/v1/token", strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if id != "" {
		req.SetBasicAuth(id, secret)
	}
	resp, err := s.HTTPClient().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	a := answer{status: resp.StatusCode}
	if err := json.Unmarshal(body, &a); err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	return a
}

func getToken(t testing.TB, s *Server, change url.Values) string {
	t.Helper()
	a := askToken(t, s, "id", "secret", change)
	if a.status != http.StatusOK || a.Token == "" {
		t.Fatalf("no token: %+v", a)
	}
	return a.Token
}

func TestAuthenticRefusesStreamsWithoutAGoodToken(t *testing.T) {
	s := newServer(t, Authentic())
	good := getToken(t, s, nil)
	readOnly := strings.Replace(details, `,"MODIFY"`, "", 1)
	for _, tt := range []struct {
		name   string
		header []string
		code   codes.Code
		text   string
	}{
		{"good", []string{"authorization", "Bearer " + good, tableHeader, table}, codes.OK, ""},
		{"good, in another case", []string{"authorization", "bearer " + good, tableHeader, table}, codes.OK, ""},
		{"no header", []string{tableHeader, table}, codes.Unauthenticated, "Invalid token: there is no bearer token"},
		{
			"two headers",
			[]string{"authorization", "Bearer " + good, "authorization", "Bearer " + good, tableHeader, table},
			codes.Unauthenticated, "Invalid token: there is no bearer token",
		},
		{"no scheme", []string{"authorization", good, tableHeader, table}, codes.Unauthenticated, "Invalid token: there is no bearer token"},
		{"another scheme", []string{"authorization", "Basic " + good, tableHeader, table}, codes.Unauthenticated, "Invalid token: there is no bearer token"},
		{"empty", []string{"authorization", "Bearer ", tableHeader, table}, codes.Unauthenticated, "Invalid token: there is no bearer token"},
		{"made up", []string{"authorization", "Bearer guess", tableHeader, table}, codes.Unauthenticated, "Invalid token: it was not issued"},
		{"no table", []string{"authorization", "Bearer " + good}, codes.InvalidArgument, "no table name in the header"},
		{
			"another table",
			[]string{"authorization", "Bearer " + good, tableHeader, "a.b.c"},
			codes.PermissionDenied,
			"Authorization token is missing MODIFY privilege for a table a.b.c. Error Code: 3, Error State: 0.",
		},
		{
			"to read only",
			[]string{
				"authorization", "Bearer " + getToken(t, s, url.Values{"authorization_details": {readOnly}}), tableHeader, table,
			},
			codes.PermissionDenied, "missing MODIFY privilege for a table " + table,
		},
		{
			"of no table",
			[]string{"authorization", "Bearer " + getToken(t, s, url.Values{"authorization_details": nil}), tableHeader, table},
			codes.PermissionDenied, "missing MODIFY privilege for a table " + table,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := dial(t, s, tt.header...).create()
			if tt.code == codes.OK {
				c.created().record(0, "a")
				c.expectAck(0)
				return
			}
			c.expectStatus(tt.code, tt.text)
			if strings.Contains(s.Log(), good) || strings.Contains(s.Log(), "guess") {
				t.Error("a token is in the log")
			}
		})
	}
}

func TestTokensExpireAndAreRevoked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(InMemory(), Authentic())
		defer s.Close()
		open := func(token string) *client {
			return dial(t, s, "authorization", "Bearer "+token, tableHeader, table).create()
		}
		hour := askToken(t, s, "id", "secret", nil)
		if *hour.ExpiresIn != 3600 {
			t.Errorf("expires in %d s; want an hour", *hour.ExpiresIn)
		}
		s.TokenLifetime(90*time.Second + time.Millisecond)
		brief := askToken(t, s, "id", "secret", nil)
		if *brief.ExpiresIn != 90 {
			t.Errorf("expires in %d s; want 90", *brief.ExpiresIn)
		}
		s.TokenLifetime(-time.Second)
		never := askToken(t, s, "id", "secret", nil)
		if *never.ExpiresIn != 0 {
			t.Errorf("expires in %d s; want 0", *never.ExpiresIn)
		}
		open(never.Token).expectStatus(codes.Unauthenticated, "Invalid token: it has expired")

		time.Sleep(90 * time.Second)
		open(brief.Token).created().close()
		time.Sleep(time.Millisecond)
		open(brief.Token).expectStatus(codes.Unauthenticated, "Invalid token: it has expired")

		c := open(hour.Token).created()
		s.RevokeTokens()
		open(hour.Token).expectStatus(codes.Unauthenticated, "Invalid token: it was revoked")
		c.record(0, "a") // a stream that is open goes on
		c.expectAck(0)
		s.TokenLifetime(time.Minute)
		open(getToken(t, s, nil)).created()
	})
}

func TestAuthenticTokenEndpoint(t *testing.T) {
	s := newServer(t, InMemory(), Authentic())
	s.AcceptOnly("id", "secret")
	for _, tt := range []struct {
		name, id, secret string
		change           url.Values
		status           int
		err              string
	}{
		{"good", "id", "secret", nil, 200, ""},
		{"wrong secret", "id", "x", nil, 401, "invalid_client"},
		{"no credentials", "", "", nil, 401, "invalid_client"},
		{"another grant", "id", "secret", url.Values{"grant_type": {"password"}}, 400, "unsupported_grant_type"},
		{"details that are no list", "id", "secret", url.Values{"authorization_details": {"{"}}, 400, "invalid_authorization_details"},
	} {
		if a := askToken(t, s, tt.id, tt.secret, tt.change); a.status != tt.status || a.Error != tt.err {
			t.Errorf("%s: %+v", tt.name, a)
		}
	}
	s.HandleToken(nil)
	if a := askToken(t, s, "any", "thing", nil); a.status != 200 {
		t.Errorf("without AcceptOnly: %+v", a)
	}
	if a := askToken(t, s, "", "", nil); a.status != 401 {
		t.Errorf("no credentials without AcceptOnly: %+v", a)
	}
}

func TestCredentialsComeBeforeScripts(t *testing.T) {
	s := newServer(t, Authentic())
	s.Script(Refuse(codes.Unavailable, "starting"))
	dial(t, s).expectStatus(codes.Unauthenticated, "Invalid token")
	good := []string{"authorization", "Bearer " + getToken(t, s, nil), tableHeader, table}
	dial(t, s, good...).create().expectStatus(codes.Unavailable, "starting")
	dial(t, s, good...).create().created()
	if n := len(s.Connections()); n != 3 {
		t.Errorf("%d connections", n)
	}
}

// The parts of authentic mode that could be mistaken for the ordinary one's.
func TestWithoutAuthenticEverythingIsLenient(t *testing.T) {
	s := newServer(t)
	if a := askToken(t, s, "", "", url.Values{"grant_type": nil, "authorization_details": {"{"}}); a.status != 200 {
		t.Errorf("%+v", a)
	}
	token := getToken(t, s, nil)
	s.RevokeTokens()
	for _, header := range [][]string{nil, {"authorization", "Bearer " + token}, {"authorization", "x", tableHeader, table}} {
		dial(t, s, header...).create().created()
	}
}
