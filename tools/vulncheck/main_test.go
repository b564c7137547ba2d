package main

import (
	"strings"
	"testing"
)

const scan = `
{"config":{"go_version":"go1.26.8"}}
{"osv":{"id":"GO-1","summary":"one"}}
{"osv":{"id":"GO-2","summary":"two"}}
{"osv":{"id":"GO-3","summary":"three"}}
{"finding":{"osv":"GO-1","fixed_version":"v1.26.9","trace":[{"module":"stdlib","version":"v1.26.8","package":"net/http"}]}}
{"finding":{"osv":"GO-1","fixed_version":"v1.26.9","trace":[{"module":"stdlib","version":"v1.26.8","package":"net/http","receiver":"*Server","function":"Serve"},{"package":"a","function":"b"}]}}
{"finding":{"osv":"GO-2","fixed_version":"v2.0.0","trace":[{"module":"example.org/m","version":"v1.0.0","package":"example.org/m"}]}}
`

const reached = `{"finding":{"osv":"GO-3","trace":[{"module":"example.org/m","version":"v1.0.0","package":"example.org/m","function":"F"},{"package":"a","function":"b"}]}}`

func TestReport(t *testing.T) {
	for name, c := range map[string]struct {
		scan, toolchain string
		fails           bool
		has             []string
	}{
		"the toolchain has mended it":     {scan, "v1.26.10", false, []string{"mended GO-1: one", "v1.26.8, fixed in v1.26.9; a.b calls net/http.Server.Serve", "0 to mend, 1 mended"}},
		"the toolchain is too old":        {scan, "v1.26.8", true, []string{"FAILED GO-1", "1 to mend, 0 mended"}},
		"a module is reached":             {scan + reached, "v1.26.10", true, []string{"FAILED GO-3: three", "not fixed; a.b calls example.org/m.F"}},
		"a module that nothing calls":     {`{"config":{"go_version":"go1.26.8"}}`, "v1.26.8", false, []string{"0 to mend, 0 mended"}},
		"a version of more than one part": {scan, "v1.27.0", false, []string{"1 mended"}},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := read(strings.NewReader(c.scan))
			if err != nil {
				t.Fatal(err)
			}
			var out strings.Builder
			if err := r.write(&out, "db", c.toolchain); (err != nil) != c.fails {
				t.Errorf("err = %v", err)
			}
			for _, want := range c.has {
				if !strings.Contains(out.String(), want) {
					t.Errorf("no %q in\n%s", want, out.String())
				}
			}
		})
	}
	for _, bad := range []string{"", `{"osv":{"id":"GO-1"}}`, `{"config":`} {
		if _, err := read(strings.NewReader(bad)); err == nil {
			t.Errorf("%q was read", bad)
		}
	}
}
