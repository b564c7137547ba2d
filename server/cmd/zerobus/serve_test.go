package main

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/zerobus-go/zerobus/server"
)

func printed(t testing.TB, s *settings) string {
	t.Helper()
	var b bytes.Buffer
	if err := s.print(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestSettings_AreThoseOfTheServer(t *testing.T) {
	fields := map[string]bool{"LogLevel": true, "LogFormat": true}
	for _, f := range reflect.VisibleFields(reflect.TypeFor[server.Config]()) {
		fields[f.Name] = f.Name != "Logger"
	}
	delete(fields, "Logger")
	keys := map[string]bool{}
	for _, one := range defaultSettings().list() {
		if !fields[one.field] {
			t.Errorf("%s is the setting of %s, which does not exist or has one already", one.key, one.field)
		}
		delete(fields, one.field)
		if keys[one.key] {
			t.Errorf("%s is there twice", one.key)
		}
		keys[one.key] = true
		if !strings.HasSuffix(one.doc, ".") {
			t.Errorf("%s: %q is no sentence", one.key, one.doc)
		}
	}
	for f := range fields {
		t.Errorf("%s has no setting", f)
	}
	if faults := defaultSettings().validate(); faults != nil {
		t.Errorf("the defaults are wrong: %v", faults)
	}
}

// unusual are settings of which none is the default.
func unusual() *settings {
	s := defaultSettings()
	s.DataDir, s.GRPCListen, s.HTTPListen, s.TLS = `/srv/my "data": #1`, "[::1]:0", ":8981", "/etc/c.pem,/etc/k.pem"
	s.ExternalRoots = []string{"/data/lake", `/with, "comma"`, "off"}
	s.Metrics, s.MetricsListen, s.MetricsTables = server.MetricsOff, "127.0.0.1:9100", 50
	s.StreamLifetime, s.ProducerRetention, s.CommitInterval = never, 36*time.Hour, 1500*time.Millisecond
	s.CommitIntervalMax, s.Compression = 90*time.Second, "snappy"
	s.Compaction, s.CompactionSmallFile, s.CompactionTarget, s.CompactionMinFiles = server.CompactionOff, 1<<20, 9<<20, 3
	s.MemoryBytes, s.LogBytes, s.MaxStreams = 512<<20, 1<<40, 7
	s.MaxConnections, s.PrincipalStreams, s.PrincipalRate, s.TableRate = 11, 3, 5<<20, 9<<30
	s.LogLevel, s.LogFormat = "debug", "json"
	return s
}

func TestSettings_PrintedParsedAndPrintedAgainAreTheSame(t *testing.T) {
	for name, s := range map[string]*settings{"defaults": defaultSettings(), "others": unusual()} {
		text := printed(t, s)
		back := defaultSettings()
		lines, faults := back.parse([]byte(text))
		if len(faults) > 0 {
			t.Fatalf("%s: %v in\n%s", name, faults, text)
		}
		if !reflect.DeepEqual(back, s) {
			t.Errorf("%s: read as %+v, want %+v", name, back, s)
		}
		if again := printed(t, back); again != text {
			t.Errorf("%s: printed as\n%s\nthen as\n%s", name, text, again)
		}
		if len(lines) != len(s.list()) {
			t.Errorf("%s: %d settings in the file, want %d", name, len(lines), len(s.list()))
		}
	}
	a, b := reflect.ValueOf(defaultSettings().Config), reflect.ValueOf(unusual().Config)
	for _, f := range reflect.VisibleFields(a.Type()) {
		if f.Name != "Logger" && reflect.DeepEqual(a.FieldByIndex(f.Index).Interface(), b.FieldByIndex(f.Index).Interface()) {
			t.Errorf("%s is the default, so this test does not see it", f.Name)
		}
	}
}

// serveWith runs zerobus serve --print-config with a file.
func serveWith(t *testing.T, file string, args ...string) (out string, errors []string, status int) {
	t.Helper()
	name := filepath.Join(t.TempDir(), "z.yaml")
	if err := os.WriteFile(name, []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	out, errw, status := tool(t, append([]string{"serve", "--config", name, "--print-config"}, args...)...)
	errw = strings.ReplaceAll(errw, name, "z.yaml")
	return out, strings.Split(strings.TrimSuffix(errw, "\n"), "\n"), status
}

func TestSettings_FlagsComeBeforeTheFile(t *testing.T) {
	out, errors, status := serveWith(t, "max_streams: 5\nwal_limit: 2GiB\ncommit_interval: 3s\n", "--max-streams", "9", "--memory-limit", "64MiB")
	if status != 0 {
		t.Fatal(errors)
	}
	for _, line := range []string{"max_streams: 9", "memory_limit: 64MiB", "wal_limit: 2GiB", "commit_interval: 3s", "producer_retention: 7d", "# Default: 7d", `tls: ""`} {
		if !strings.Contains(out, "\n"+line+"\n") {
			t.Errorf("no line %q in\n%s", line, out)
		}
	}
	// A flag mends what is wrong in the file, but not what cannot be read.
	if _, errors, status := serveWith(t, "log_level: loud\nmax_streams: 5\n", "--log-level", "warn"); status != 0 {
		t.Error(errors)
	}
}

func TestSettings_Lists(t *testing.T) {
	const head = "\nexternal_root: "
	for _, c := range []struct {
		file string
		args []string
		want string
	}{
		{"# nothing\n", nil, `[]`},
		{"external_root: []\n", nil, `[]`},
		{"external_root: /data/lake\n", nil, `["/data/lake"]`},
		{"external_root: [/a, 'b, c']\n", nil, `["/a", "b, c"]`},
		{"external_root:\n  - /a\n  - \"off\"\n", nil, `["/a", "off"]`},
		{"# nothing\n", []string{"--external-root", "/a", "--external-root=/b,c"}, `["/a", "/b,c"]`},
		{"external_root: [/a, /b]\n", []string{"--external-root", "/c"}, `["/c"]`},
	} {
		out, errors, status := serveWith(t, c.file, c.args...)
		if status != 0 || !strings.Contains(out, head+c.want+"\n") {
			t.Errorf("%q %q: status %d, %q; want %s in\n%s", c.file, c.args, status, errors, c.want, out)
		}
	}
	for file, want := range map[string]string{
		"external_root:\n":                         "z.yaml:1: external_root: it has no value: remove the line for the default",
		"external_root: [a, [b]]\n":                "z.yaml:1: external_root: expected a list of plain values",
		"external_root: [a, ]\nmax_streams: [1]\n": "z.yaml:2: max_streams: expected one plain value",
		"external_root: [~]\n":                     "z.yaml:1: external_root: expected a list of plain values",
		"external_root: {a: b}\n":                  "z.yaml:1: external_root: expected one plain value",
		"external_root: [\"a\\u0007\"]\n":          "z.yaml:1: external_root: \"a\\a\" has characters that are none",
		"external_root: ['']\n":                    "z.yaml:1: external_root: an external root is not named",
		"data: d\nexternal_root: [/a, d]\n":        `z.yaml:2: external_root: external root "d": it is in the data directory, where only the server's own tables are`,
		"data: d\nexternal_root: d/tables/\n":      `z.yaml:2: external_root: external root "d/tables/": it is in the data directory`,
	} {
		_, errors, status := serveWith(t, file)
		if status != 2 || len(errors) != 1 || !strings.HasPrefix(errors[0], "zerobus: "+want) {
			t.Errorf("%q: status %d, %q, want %q", file, status, errors, want)
		}
	}
}

func TestSettings_AllFaultsAtOnceWithTheirLines(t *testing.T) {
	out, errors, status := serveWith(t, `# a comment
grpc-listen: :8980
http_listen: 8981
max_stream: 7
memory_limit: 1GB
wal_limit: 64MiB
stream_lifetime: 1ms
commit_interval: 0s
tls: {mode: auto}
data:
colour: red
max_streams: 5
max_streams: 6
metrics_tables: -1
GRPCListen: :1
commit_interval_max: 20ms
`, "--log-format", "xml")
	want := []string{
		`zerobus: log format "xml": expected text or json`,
		"zerobus: z.yaml:2: grpc-listen: there is no such setting: did you mean grpc_listen?",
		`zerobus: z.yaml:3: http_listen: HTTP listen address "8981": expected HOST:PORT`,
		"zerobus: z.yaml:4: max_stream: there is no such setting: did you mean max_streams?",
		`zerobus: z.yaml:5: memory_limit: "1GB": expected a whole number above 0 with B, KiB, MiB, GiB or TiB, such as 512MiB`,
		"zerobus: z.yaml:6: wal_limit: the log bound is 67108864 bytes, less than 134217728: it takes so much from the start",
		"zerobus: z.yaml:7: stream_lifetime: the stream lifetime is 1ms, less than 100ms: streams would spend it in their handshakes",
		`zerobus: z.yaml:8: commit_interval: "0s": expected a time above 0, such as 500ms, 15m, 36h or 7d`,
		"zerobus: z.yaml:9: tls: expected one plain value",
		"zerobus: z.yaml:10: data: it has no value: remove the line for the default",
		"zerobus: z.yaml:11: colour: there is no such setting; --print-config lists them",
		"zerobus: z.yaml:13: max_streams: it is set in line 12 already",
		`zerobus: z.yaml:14: metrics_tables: "-1": expected a number from 0`,
		"zerobus: z.yaml:15: GRPCListen: there is no such setting: did you mean grpc_listen?",
		"zerobus: z.yaml:16: commit_interval_max: the longest commit interval is 20ms, less than the commit interval of 1s, from which it grows",
		"zerobus: 15 settings are wrong (see zerobus serve --help)",
	}
	if status != 2 || out != "" || strings.Join(errors, "\n") != strings.Join(want, "\n") {
		t.Errorf("status %d, output %q, errors\n%s\nwant\n%s", status, out, strings.Join(errors, "\n"), strings.Join(want, "\n"))
	}
}

func TestSettings_FilesThatAreNone(t *testing.T) {
	for file, want := range map[string]string{
		"a: b: c\n":                         "z.yaml:1: not YAML: mapping values are not allowed in this context",
		"- data\n":                          "z.yaml:1: expected lines such as max_streams: 10000",
		"max_streams: 1\n---\ndata: x\n":    "z.yaml:2: a second document begins: expected one",
		"max_streams: 1\n\tdata: x\n":       "z.yaml:2: not YAML",
		"max_streams: many\n":               `z.yaml:1: max_streams: "many": expected a number from 1`,
		"metrics: maybe\n":                  `z.yaml:1: metrics: "maybe": expected on or off`,
		"http_listen: 127.0.0.1:8980\n":     `z.yaml:1: http_listen: HTTP listen address "127.0.0.1:8980": it is the gRPC listen address too`,
		"tls: cert.pem,\n":                  `z.yaml:1: tls: TLS "cert.pem,": expected off, auto or CERT,KEY`,
		strings.Repeat("#", maxConfig+1):    "is larger than 1048576 bytes",
		"data: \"a\\u0007b\"\n":             "z.yaml:1: data: ",
		"data: &a x\nlog_level: *a\n":       "z.yaml:2: log_level: expected one plain value",
		"? [a, b]\n: c\n":                   "z.yaml:1: expected the name of a setting",
		"max_streams: 99999999999999999999": `z.yaml:1: max_streams: "99999999999999999999": expected a number from 1`,
	} {
		_, errors, status := serveWith(t, file)
		if status != 2 || len(errors) != 1 || !strings.HasPrefix(errors[0], "zerobus: ") || !strings.Contains(errors[0], want) {
			t.Errorf("%.40q: status %d, %q, want %q", file, status, errors, want)
		}
	}
	if out, errors, status := serveWith(t, "# nothing\n"); status != 0 || out != printed(t, defaultSettings()) {
		t.Errorf("a file of comments: status %d, %q", status, errors)
	}
	if _, errw, status := tool(t, "serve", "--config", "nowhere.yaml"); status != 2 || !strings.Contains(errw, "configuration file: open nowhere.yaml") {
		t.Errorf("no file: status %d, %q", status, errw)
	}
	// What YAML writers make of off.
	if out, _, _ := serveWith(t, "metrics: false\n"); !strings.Contains(out, "\nmetrics: \"off\"\n") {
		t.Errorf("metrics: false is printed as\n%s", out)
	}
}

func TestSettings_SizesAndDurations(t *testing.T) {
	for text, want := range map[string]int64{"1": 1, "512MiB": 512 << 20, "8 GiB": 8 << 30, "3TiB": 3 << 40, "100B": 100, "1KiB": 1024} {
		if n, err := parseSize(text); err != nil || n != want {
			t.Errorf("%s is %d, %v", text, n, err)
		}
	}
	for _, text := range []string{"", "0", "-1", "1.5GiB", "GiB", "1GB", "1G", "9999999TiB", "1gib"} {
		if n, err := parseSize(text); err == nil {
			t.Errorf("%q is %d", text, n)
		}
	}
	for _, n := range []int64{1, 1023, 1024, 1 << 20, 3 << 30, 1<<30 + 1, math.MaxInt64} {
		if back, err := parseSize(formatSize(n)); err != nil || back != n {
			t.Errorf("%d is written as %s and read as %d, %v", n, formatSize(n), back, err)
		}
	}
	for d, want := range map[time.Duration]string{
		time.Second: "1s", 15 * time.Minute: "15m", 36 * time.Hour: "36h", 7 * day: "7d", 90 * time.Minute: "1h30m", 100 * time.Millisecond: "100ms",
		time.Hour + time.Second: "1h0m1s", 10 * time.Second: "10s", 20 * time.Minute: "20m", 10 * time.Hour: "10h", never: "never", math.MaxInt64: "2562047h47m16.854775807s",
	} {
		var back time.Duration
		if err := durationValue(&back, true).Set(want); formatDuration(d) != want || err != nil || back != d {
			t.Errorf("%v is written as %s, want %s, which is read as %v, %v", d, formatDuration(d), want, back, err)
		}
	}
	for _, text := range []string{"0", "-5s", "never", "7", "1w", "-1d", "9999999d", ""} {
		var d time.Duration
		if err := durationValue(&d, false).Set(text); err == nil {
			t.Errorf("%q is %v", text, d)
		}
	}
}

func FuzzSettings(f *testing.F) {
	f.Add(printed(f, defaultSettings()))
	f.Add(printed(f, unusual()))
	f.Add("max_streams: 1 # x\ndata: 'a: b'\n")
	f.Fuzz(func(t *testing.T, text string) {
		s := defaultSettings()
		if _, faults := s.parse([]byte(text)); len(faults) > 0 {
			return
		}
		once := printed(t, s)
		back := defaultSettings()
		if _, faults := back.parse([]byte(once)); len(faults) > 0 || !reflect.DeepEqual(back, s) {
			t.Errorf("%+v is printed as\n%s\nand read as %+v with %v", s, once, back, faults)
		}
	})
}

func TestSettings_TheDocumentHasTheListOfTheCode(t *testing.T) {
	var b strings.Builder
	b.WriteString("| setting | default | |\n|---|---|---|\n")
	for _, one := range defaultSettings().list() {
		def := one.value.String()
		if def != "" {
			def = "`" + def + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", one.key, def, one.doc)
	}
	document := filepath.Join("..", "..", "..", "docs", "operations.md")
	text, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	const begin, end = "<!-- settings -->\n", "<!-- end -->\n"
	before, rest, ok := strings.Cut(string(text), begin)
	is, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s has no table between %q and %q", document, begin, end)
	}
	if is == b.String() {
		return
	}
	if !*update {
		t.Fatalf("%s has other settings than the code; go test ./server/cmd/zerobus -run Settings -update rewrites it", document)
	}
	if err := os.WriteFile(document, []byte(before+begin+b.String()+end+after), 0o644); err != nil {
		t.Fatal(err)
	}
}
