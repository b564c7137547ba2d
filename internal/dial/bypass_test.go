package dial

import (
	"net/netip"
	"strings"
	"testing"
)

func TestProxy_PX03_Bypass(t *testing.T) {
	for _, tt := range []struct {
		list string
		yes  string // targets that are reached directly, between blanks
		no   string
	}{
		{list: "", no: "example.com:443 127.0.0.1:80 localhost:80"},
		{list: " , ,, ", no: "example.com:443 127.0.0.1:80"},
		{list: "*", yes: "example.com:443 127.0.0.1:80 [::1]:1"},
		{list: " * ", yes: "example.com:443 127.0.0.1:80 [::1]:1"},
		{list: "a,*", yes: "example.com:443 b:1"},
		{list: "*:80", yes: "example.com:80 10.0.0.1:80", no: "example.com:443"},

		{list: "localhost", yes: "localhost:1 LOCALHOST:2 localhost.:3", no: "127.0.0.1:1 localhost.com:1 mylocalhost:1"},
		{
			list: "example.com",
			yes:  "example.com:443 api.example.com:443 a.b.example.com:1 API.Example.COM:443",
			no:   "notexample.com:443 example.com.evil:443 example.co:443 com:443 xexample.com:1",
		},
		{list: "EXAMPLE.com", yes: "example.com:443 api.example.com:443"},
		{list: "example.com.", yes: "example.com:443 api.example.com:443"},
		{list: ".example.com", yes: "api.example.com:443 a.b.example.com:1 example.com:443", no: "notexample.com:443"},
		{list: "*.example.com", yes: "api.example.com:443 example.com:443", no: "notexample.com:443"},
		{list: "127.0.0.1, localhost", yes: "127.0.0.1:8080 localhost:8080", no: "127.0.0.2:8080"},
		{list: "a.com , b.com,\tc.com d.com", yes: "a.com:1 b.com:1 x.c.com:1 d.com:1", no: "e.com:1"},

		{list: "example.com:443", yes: "example.com:443 api.example.com:443", no: "example.com:80"},
		{list: "example.com:", yes: "example.com:443 example.com:80"},

		{list: "10.1.2.3", yes: "10.1.2.3:1 [::ffff:10.1.2.3]:1", no: "10.1.2.33:1 110.1.2.3:1"},
		{list: "10.1.2.3:80", yes: "10.1.2.3:80", no: "10.1.2.3:81"},
		{list: "::ffff:10.1.2.3", yes: "10.1.2.3:1"},
		{list: "2.3", no: "10.1.2.3:1"}, // a suffix of labels is about names
		{list: "::1", yes: "[::1]:1 [0:0::0:1]:2", no: "[::2]:1 127.0.0.1:1"},
		{list: "[::1]", yes: "[::1]:1"},
		{list: "[0::1]:443", yes: "[::1]:443", no: "[::1]:80"},
		{list: "2001:DB8::1:443", yes: "[2001:db8::1:443]:1", no: "[2001:db8::1]:443"}, // all of it is the address
		{list: "fe80::1", yes: "[fe80::1%eth0]:1"},

		{list: "10.0.0.0/8", yes: "10.255.0.1:1 [::ffff:10.1.2.3]:1", no: "11.0.0.1:1 ten.example:1"},
		{list: "10.1.2.3/8", yes: "10.255.0.1:1"},
		{list: "10.0.0.0/8:443", yes: "10.255.0.1:443", no: "10.255.0.1:80"},
		{list: "2001:db8::/32", yes: "[2001:db8:1::1]:1", no: "[2001:db9::1]:1"},
		{list: "0.0.0.0/0", yes: "1.2.3.4:1", no: "[::1]:1 example.com:1"},

		{list: ". : :80 [] [ ] *. .* ** / 10.0.0.0/99 <local> http://example.com", no: "example.com:80 10.0.0.1:80 local:80 [::1]:80 a:1"},
	} {
		t.Run(tt.list, func(t *testing.T) {
			for want, targets := range map[bool]string{true: tt.yes, false: tt.no} {
				for _, target := range strings.Fields(targets) {
					host, port := hostPort(t, target)
					if got := parseBypass(tt.list).covers(host, port); got != want {
						t.Errorf("%s: %v", target, got)
					}
				}
			}
		})
	}
}

func FuzzParseBypass(f *testing.F) {
	f.Add("example.com", "10.0.0.0/8:443", "api.example.com", "443")
	f.Add("*", "[::1]:80", "::1", "80")
	f.Add(".a, *.b", "::ffff:1.2.3.4", "1.2.3.4", "")
	f.Fuzz(func(t *testing.T, a, b, host, port string) {
		either := parseBypass(a).covers(host, port) || parseBypass(b).covers(host, port)
		if both := parseBypass(a+","+b).covers(host, port); both != either {
			t.Errorf("%q and %q for %q %q: %v alone, %v together", a, b, host, port, either, both)
		}
		if !parseBypass(a+" *").covers(host, port) {
			t.Errorf("%q is not every host", a+" *")
		}
		_, err := netip.ParseAddr(host)
		if name := strings.Trim(host, "."); err != nil && (checkName(host) != nil || name != host) {
			return
		}
		if !parseBypass(host).covers(host, port) {
			t.Errorf("%q is not on a list of itself", host)
		}
	})
}
