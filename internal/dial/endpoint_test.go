package dial

import (
	"net"
	"net/url"
	"strings"
	"testing"
)

func TestParseEndpoint_AU11(t *testing.T) {
	tests := []struct {
		in                      string
		host, port              string
		plaintext               bool
		workspace, target, auth string
	}{
		{
			"1234.zerobus.us-west-2.cloud.databricks.com", "1234.zerobus.us-west-2.cloud.databricks.com", "443", false,
			"1234", "passthrough:///1234.zerobus.us-west-2.cloud.databricks.com:443", "1234.zerobus.us-west-2.cloud.databricks.com",
		},
		{
			"https://1234.zerobus.eu.azuredatabricks.net", "1234.zerobus.eu.azuredatabricks.net", "443", false,
			"1234", "passthrough:///1234.zerobus.eu.azuredatabricks.net:443", "1234.zerobus.eu.azuredatabricks.net",
		},
		{"https://1234.example/", "1234.example", "443", false, "1234", "passthrough:///1234.example:443", "1234.example"},
		{"1234.example:8443", "1234.example", "8443", false, "1234", "passthrough:///1234.example:8443", "1234.example:8443"},
		{"HTTPS://1234.example:0443", "1234.example", "443", false, "1234", "passthrough:///1234.example:443", "1234.example"},
		{"http://localhost:8080", "localhost", "8080", true, "localhost:8080", "passthrough:///localhost:8080", "localhost:8080"},
		{"http://localhost:8080/", "localhost", "8080", true, "localhost:8080", "passthrough:///localhost:8080", "localhost:8080"},
		{"http://localhost", "localhost", "80", true, "localhost", "passthrough:///localhost:80", "localhost"},
		{"localhost", "localhost", "443", false, "localhost", "passthrough:///localhost:443", "localhost"},
		{"http://127.0.0.1:8080", "127.0.0.1", "8080", true, "127", "passthrough:///127.0.0.1:8080", "127.0.0.1:8080"},
		{"http://[::1]:8980", "::1", "8980", true, "[::1]:8980", "passthrough:///[::1]:8980", "[::1]:8980"},
		{"[2001:db8::1]", "2001:db8::1", "443", false, "[2001:db8::1]", "passthrough:///[2001:db8::1]:443", "[2001:db8::1]"},
		{"https://[fe80::1%25eth0]:443", "fe80::1%eth0", "443", false, "[fe80::1%25eth0]:443", "passthrough:///[fe80::1%25eth0]:443", "[fe80::1%eth0]"},
		{"https://[fe80::1%2512]:443", "fe80::1%12", "443", false, "[fe80::1%2512]:443", "passthrough:///[fe80::1%2512]:443", "[fe80::1%12]"},
		{"my_host-1.internal:443", "my_host-1.internal", "443", false, "my_host-1", "passthrough:///my_host-1.internal:443", "my_host-1.internal"},
	}
	for _, tt := range tests {
		t.Run(tt.in, func(t *testing.T) {
			e, err := ParseEndpoint(tt.in)
			if err != nil {
				t.Fatal(err)
			}
			if e.Host != tt.host || e.Port != tt.port || e.Plaintext != tt.plaintext {
				t.Errorf("host %q, port %q, plaintext %v", e.Host, e.Port, e.Plaintext)
			}
			if got := e.WorkspaceID(); got != tt.workspace {
				t.Errorf("workspace id is %q, want %q", got, tt.workspace)
			}
			if got := e.Target(); got != tt.target {
				t.Errorf("target is %q, want %q", got, tt.target)
			}
			if got := e.authority(); got != tt.auth {
				t.Errorf("authority is %q, want %q", got, tt.auth)
			}
		})
	}
}

func TestWorkspaceIDOfAnEndpointMadeByHand(t *testing.T) {
	if got := (Endpoint{Host: "1234.example", Port: "443"}).WorkspaceID(); got != "1234" {
		t.Errorf("%q", got)
	}
}

func TestParseEndpointRefuses(t *testing.T) {
	for in, want := range map[string]string{
		"":                               "empty",
		"https://":                       "host is missing",
		"/":                              "host is missing",
		":443":                           "host is missing",
		"ftp://host":                     "scheme",
		"://host":                        "scheme",
		"grpc://host:1":                  "scheme",
		"https://user:hunter2@host":      "user information",
		"user:hunter2@host":              "user information",
		"https://host/path":              `"/path"`,
		"https://host//":                 `"/"`,
		"https://host?o=1":               `"?o=1"`,
		"https://host#top":               `"#top"`,
		"host:":                          "port",
		"host:0":                         "port",
		"host:65536":                     "port",
		"host:-1":                        "port",
		"host:+1":                        "port",
		"host:https":                     "port",
		"http:host":                      "port",
		"::1":                            "brackets",
		"https://2001:db8::1":            "brackets",
		"[::1":                           "not closed",
		"[127.0.0.1]:1":                  "no IPv6 address",
		"[host]:1":                       "no IPv6 address",
		"[]:1":                           "no IPv6 address",
		"[fe80::1%zz]:1":                 "zone",
		"[::1]443":                       "only a port",
		" https://host":                  "scheme",
		"host name":                      "character",
		"host\n":                         "character",
		"höst":                           "character",
		"<workspace-id>.zerobus.example": "character",
	} {
		e, err := ParseEndpoint(in)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %+v, %v, want an error with %q", in, e, err, want)
			continue
		}
		if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: the error repeats the password: %v", in, err)
		}
	}
}

func FuzzParseEndpoint(f *testing.F) {
	for _, s := range []string{"host", "https://host:443/", "http://[::1]:80", "[fe80::1%25eth0]", "a.b.c:1", "http://127.0.0.1:8080", "u:p@h"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		e, err := ParseEndpoint(s)
		if err != nil {
			return
		}
		host, port, err := net.SplitHostPort(e.Address())
		if err != nil || host != e.Host || port != e.Port || host == "" {
			t.Errorf("%q gives %+v, whose address is taken apart as %q, %q, %v", s, e, host, port, err)
		}
		if e.WorkspaceID() == "" && !strings.HasPrefix(e.Host, ".") {
			t.Errorf("%q has no workspace id", s)
		}
		if u, err := url.Parse(e.Target()); err == nil && (u.Scheme != "passthrough" || u.Path != "/"+e.Address()) {
			t.Errorf("%q: target %q is read as %q", s, e.Target(), u)
		}
		if strings.Contains(e.Host, "%") { // a zone is escaped in what we read, and not in what we write
			return
		}
		again, err := ParseEndpoint(e.String())
		if err != nil || again.Host != e.Host || again.Port != e.Port || again.Plaintext != e.Plaintext {
			t.Errorf("%q is written as %q and read as %+v, %v", s, e, again, err)
		}
	})
}
