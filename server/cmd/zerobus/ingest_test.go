package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/parquet-go/parquet-go"
	"github.com/zerobus-go/zerobus/server"
	"github.com/zerobus-go/zerobus/server/internal/catalog"
	"github.com/zerobus-go/zerobus/server/internal/datadir"
)

const eventsTable = "main.default.events"

// ingestTest is a server in this process, a table, and credentials in the environment.
type ingestTest struct {
	*testing.T
	srv  *server.Server
	data string
}

// newIngestTest makes the table main.default.events with the given columns.
func newIngestTest(t *testing.T, columns, tls string) *ingestTest {
	t.Helper()
	w := &ingestTest{T: t, data: filepath.Join(t.TempDir(), "data")}
	var err error
	w.srv, err = server.New(t.Context(), server.Config{
		DataDir: w.data, GRPCListen: "127.0.0.1:0", HTTPListen: "127.0.0.1:0", CommitInterval: time.Hour, TLS: tls,
	})
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- w.srv.Serve() }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := w.srv.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	id, secret, err := w.srv.CreatePrincipal(t.Context(), "loader")
	if err != nil {
		t.Fatal(err)
	}
	err = w.srv.SQL(t.Context(), "CREATE TABLE main.default.events ("+columns+") USING DELTA;"+
		"GRANT USE CATALOG ON CATALOG main TO loader; GRANT USE SCHEMA ON SCHEMA main.default TO loader;"+
		"GRANT SELECT, MODIFY ON TABLE main.default.events TO loader")
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{endpointVar: "", workspaceVar: "", tableVar: eventsTable, idVar: id, secretVar: secret} {
		t.Setenv(name, value)
	}
	return w
}

// runHere runs a command line in this process.
func runHere(ctx context.Context, stdin io.Reader, args ...string) (stdout, stderr string, status int) {
	var out, errw bytes.Buffer
	status = run(ctx, args, stdin, &out, &errw)
	return out.String(), errw.String(), status
}

// ingest runs zerobus ingest on the server's data directory, and checks the exit status.
func (w *ingestTest) ingest(status int, stdin string, args ...string) (stdout, stderr string) {
	w.Helper()
	args = append([]string{"ingest", "--data", w.data}, args...)
	stdout, stderr, got := runHere(w.Context(), strings.NewReader(stdin), args...)
	if got != status {
		w.Fatalf("zerobus %s: exit status %d, want %d\n%s%s", strings.Join(args, " "), got, status, stdout, stderr)
	}
	if secret := os.Getenv(secretVar); secret != "" && strings.Contains(stdout+stderr, secret) {
		w.Errorf("the secret is in the output")
	}
	if status != 0 && strings.Count(stderr, "\n") != 1 {
		w.Errorf("the error is not one line: %q", stderr)
	}
	return stdout, stderr
}

// rows reads the table back, NULL as the empty string.
func (w *ingestTest) rows() (rows [][]string) {
	w.Helper()
	if err := w.srv.Flush(w.Context(), eventsTable); err != nil {
		w.Fatal(err)
	}
	dir, err := datadir.Existing(w.data)
	if err != nil {
		w.Fatal(err)
	}
	api, release, err := connect(w.Context(), dir)
	if err != nil {
		w.Fatal(err)
	}
	defer release()
	head, err := api.Head(w.Context(), eventsTable, 10_000)
	if err != nil {
		w.Fatal(err)
	}
	for _, r := range head.Rows {
		row := make([]string, len(r))
		for i, v := range r {
			if v != nil {
				row[i] = *v
			}
		}
		rows = append(rows, row)
	}
	return rows
}

// wantIDs checks that the first column has 0 to n-1, each once.
func (w *ingestTest) wantIDs(n int) {
	w.Helper()
	times := make([]int, n)
	for _, r := range w.rows() {
		id, err := strconv.Atoi(r[0])
		if err != nil || id < 0 || id >= n {
			w.Fatalf("row %q is not one of %d", r, n)
		}
		times[id]++
	}
	for id, got := range times {
		if got != 1 {
			w.Fatalf("id %d is there %d times", id, got)
		}
	}
}

// events are records with ids from first on.
func events(first, n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "{\"id\":%d,\"text\":\"event\"}\n", first+i)
	}
	return b.String()
}

const eventColumns = "id BIGINT NOT NULL, text STRING"

func TestIngest_NDJSON(t *testing.T) {
	w := newIngestTest(t, eventColumns, "")
	dir := t.TempDir()
	var files []string
	for name, content := range map[string][]byte{
		"a.ndjson":    []byte("\ufeff" + strings.ReplaceAll(events(0, 10), "\n", "\r\n")),
		"b.ndjson.gz": gzipped(events(10, 2000), events(2010, 10)),
		"c.ndjson":    []byte("\n\n" + strings.TrimSuffix(strings.ReplaceAll(events(2020, 10), "\n", "\n \n"), "\n")),
		"empty":       nil,
	} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		files = append(files, path)
	}
	out, _ := w.ingest(0, events(2030, 5), append(files, "-")...)
	if want := regexp.MustCompile(`^2,035 records, 0\.1 MB in [0-9.]+ s: [0-9,]+ records/s, [0-9.]+ MB/s\n$`); !want.MatchString(out) {
		t.Errorf("summary %q", out)
	}
	w.wantIDs(2035)
}

func TestIngest_Commit(t *testing.T) {
	w := newIngestTest(t, eventColumns, "") // commits by itself in an hour
	out, _ := w.ingest(0, events(0, 3), "--commit", "-")
	if want := regexp.MustCompile(`^3 records, 0\.0 MB in [0-9.]+ s: [0-9,]+ records/s, [0-9.]+ MB/s; in the table after [0-9.]+ s\n$`); !want.MatchString(out) {
		t.Errorf("summary %q", out)
	}
	out, _ = w.ingest(0, events(3, 2), "--commit", "--json", "-")
	var sum summary
	if err := json.Unmarshal([]byte(out), &sum); err != nil {
		t.Fatal(err)
	}
	if sum.Records != 2 || sum.Committed < sum.Seconds {
		t.Errorf("%+v", sum)
	}
	versions, err := filepath.Glob(filepath.Join(w.data, "tables", "main", "default", "events", "_delta_log", "0*.json"))
	if err != nil || len(versions) != 3 {
		t.Errorf("%d versions, want 3: the table's first and one for each load (%v)", len(versions), err)
	}
	w.wantIDs(5)
}

// The table says how its files are compressed, and may change its mind.
func TestIngest_Compression(t *testing.T) {
	w := newIngestTest(t, eventColumns, "")
	codecs := map[string]int{}
	for i, property := range []string{"", "gzip", "uncompressed"} {
		if property != "" {
			err := w.srv.SQL(t.Context(), "ALTER TABLE main.default.events SET TBLPROPERTIES ('delta.parquet.compression.codec' = '"+property+"')")
			if err != nil {
				t.Fatal(err)
			}
		}
		w.ingest(0, events(100*i, 100), "--commit", "-")
	}
	files, err := filepath.Glob(filepath.Join(w.data, "tables", "main", "default", "events", "*.parquet"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		info, err := f.Stat()
		if err != nil {
			t.Fatal(err)
		}
		p, err := parquet.OpenFile(f, info.Size())
		if err != nil {
			t.Fatal(err)
		}
		meta := p.Metadata()
		if !regexp.MustCompile(`^zerobus-go version [0-9]+\.[0-9]+\.[0-9]+`).MatchString(meta.CreatedBy) {
			t.Errorf("the file is created by %q", meta.CreatedBy)
		}
		_, extension, _ := strings.Cut(filepath.Base(name), ".c000")
		codecs[meta.RowGroups[0].Columns[0].MetaData.Codec.String()+extension]++
	}
	if d := cmp.Diff(map[string]int{"ZSTD.zstd.parquet": 1, "GZIP.gz.parquet": 1, "UNCOMPRESSED.parquet": 1}, codecs); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
	w.wantIDs(300)
}

func TestIngest_JSONSummary(t *testing.T) {
	w := newIngestTest(t, eventColumns, "")
	out, _ := w.ingest(0, events(-2, 5), "--json", "--skip", "2", "-")
	var sum summary
	if err := json.Unmarshal([]byte(out), &sum); err != nil {
		t.Fatal(err)
	}
	if sum.Seconds <= 0 || sum.RecordsPerSecond <= 0 || sum.MBPerSecond <= 0 {
		t.Errorf("no rates: %+v", sum)
	}
	sum.Seconds, sum.RecordsPerSecond, sum.MBPerSecond = 0, 0, 0
	want := summary{Table: eventsTable, Records: 3, Bytes: int64(len(events(0, 3)) - 3), Skipped: 2}
	if d := cmp.Diff(want, sum); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
	w.wantIDs(3)

	out, _ = w.ingest(1, events(0, 2)+events(3, 1)+"{}\n", "--json", "--skip", "2", "-")
	sum = summary{}
	if err := json.Unmarshal([]byte(out), &sum); err != nil {
		t.Fatal(err)
	}
	if sum.Records != 1 || sum.Place != "stdin:4" || sum.Resume == nil || *sum.Resume != 3 || !strings.Contains(sum.Error, "id") {
		t.Errorf("%+v", sum)
	}
}

func TestIngest_CSV(t *testing.T) {
	w := newIngestTest(t, `i8 TINYINT, i16 SMALLINT, i32 INT, i64 BIGINT, f32 FLOAT, f64 DOUBLE, dec DECIMAL(10,2), ok BOOLEAN,
		text STRING, code VARCHAR(5), bytes BINARY, day DATE, at TIMESTAMP, wall TIMESTAMP_NTZ`, "")
	file := writeFile(t, "all.csv.gz", gzipped(`text,i8,i16,i32,i64,f32,f64,dec,ok,code,bytes,day,at,wall
"a ""b"", \c
d",-128,32767,007,9223372036854775807,.5,1e3,12.5,T,Zürich,AP8=,2001-02-03,1969-12-31 23:59:59.9999999,2001-01-01 00:01:00
`, `,,,,,,,,,,,,,
x,1,1,1,1,1,1,1,0,,,11356,978307200000000,2001-01-01T00:00:00.5+02:00
`))
	w.ingest(1, "", file) // VARCHAR(5) is too short for a name of six letters: the server's judgement
	file = writeFile(t, "all.csv", []byte(`text;i8;i16;i32;i64;f32;f64;dec;ok;code;bytes;day;at;wall
"a ""b"", \c
d";-128;32767;007;9223372036854775807;.5;1e3;12.5;T;Züri;AP8=;2001-02-03;1969-12-31 23:59:59.9999999;2001-01-01 00:01:00
;;;;;;;;;;;;;
x;1;1;1;1;1;1;1;0;;;11356;978307200000000;2001-01-01T00:00:00.5+02:00
`))
	w.ingest(0, "", "--csv-comma", ";", file)
	want := [][]string{
		{"-128", "32767", "7", "9223372036854775807", "0.5", "1000", "12.50", "true", "a \"b\", \\c\nd", "Züri", "AP8=", "2001-02-03", "1969-12-31T23:59:59.999999Z", "2001-01-01 00:01:00"},
		make([]string, 14),
		{"1", "1", "1", "1", "1", "1", "1.00", "false", "x", "", "", "2001-02-03", "2001-01-01T00:00:00Z", "2001-01-01 00:00:00.5"},
	}
	if d := cmp.Diff(want, w.rows()); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}

func TestIngest_CSVFaults(t *testing.T) {
	w := newIngestTest(t, eventColumns, "")
	for _, tt := range []struct{ in, want string }{
		{"id,txt\n1,a\n", `stdin:1: the header names "txt", and the table has no such column: it has id, text; 0 records are durable`},
		{"id,text\n0,a\n1,b\nabc,c\n", `stdin:4: column id: "abc" is not an integer (BIGINT); 2 records are durable; fix the line and go on with --skip 2`},
		{"text,id\n\"a\n\nb\",2\nc,\n", `stdin:5: Record decoder/encoder error`}, // id is NOT NULL
	} {
		if _, errw := w.ingest(1, tt.in, "--format", "csv", "-"); !strings.Contains(errw, tt.want) {
			t.Errorf("error %q does not say %q", errw, tt.want)
		}
	}
	w.wantIDs(3)
	w.ingest(0, "id\n3\n4\n", "--format", "csv", "-")
	w.wantIDs(5)
}

// The user learns which line the server refuses, all before it is durable, and going on as told loses and doubles nothing.
func TestIngest_BadLineInTheMiddle(t *testing.T) {
	w := newIngestTest(t, eventColumns, "")
	const n, bad = 5000, 3333
	lines := strings.SplitAfter(events(0, n), "\n")
	lines[bad] = "\n\n" + strings.Replace(lines[bad], `"text"`, `"txet"`, 1) // on line bad+1, and two blank ones before
	first := writeFile(t, "first.ndjson", []byte(events(0, 1000)))
	text := strings.Join(lines[1000:], "")
	second := writeFile(t, "second.ndjson", []byte(text))

	_, errw := w.ingest(1, "", first, second)
	want := fmt.Sprintf("zerobus: %s:%d: Record decoder/encoder error: unrecognized field name 'txet'", second, bad-1000+1+2)
	resume := "Error State: 3; 3,333 records are durable; fix the line and go on with --skip 3333\n"
	if !strings.HasPrefix(errw, want) || !strings.HasSuffix(errw, resume) {
		t.Errorf("error %q, want %q … %q", errw, want, resume)
	}
	w.wantIDs(bad)

	if err := os.WriteFile(second, []byte(strings.Replace(text, "txet", "text", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	out, _ := w.ingest(0, "", "--skip", "3333", first, second)
	if !strings.HasPrefix(out, "1,667 records (3,333 skipped), ") {
		t.Errorf("summary %q", out)
	}
	w.wantIDs(n)
}

// With a producer the same command goes on by itself: after a bad line that was mended, and when there is more at the end.
func TestIngest_Producer(t *testing.T) {
	w := newIngestTest(t, eventColumns, "")
	const n, bad = 5000, 3333
	text := events(0, n)
	lines := strings.SplitAfter(text, "\n")
	lines[bad] = strings.Replace(lines[bad], `"text"`, `"txet"`, 1)
	file := writeFile(t, "a.ndjson", []byte(strings.Join(lines, "")))
	args := []string{"--producer", "host7:a.ndjson", file}
	_, errw := w.ingest(1, "", args...)
	if !strings.HasSuffix(errw, "3,333 records are durable; fix the line and go on with the same command\n") {
		t.Errorf("error %q", errw)
	}
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct{ text, want string }{
		{text, "1,667 records (3,333 skipped), "},
		{text, "0 records (5,000 skipped), "},
		{text + events(n, 10), "10 records (5,000 skipped), "},
	} {
		write(tt.text)
		if out, _ := w.ingest(0, "", args...); !strings.HasPrefix(out, tt.want) {
			t.Errorf("summary %q, want %q", out, tt.want)
		}
	}
	w.wantIDs(n + 10)

	write(events(0, 3))
	if _, errw := w.ingest(1, "", args...); !strings.Contains(errw, "the table has 5,010 of its records, and the inputs have only 3") {
		t.Errorf("error %q", errw)
	}
	if _, errw := w.ingest(2, "", "--skip", "0", "--producer", "p", file); !strings.Contains(errw, "exclude each other") {
		t.Errorf("error %q", errw)
	}
	if _, errw := w.ingest(1, "", "--producer", "white space", file); !strings.Contains(errw, "ProducerID") {
		t.Errorf("error %q", errw)
	}
}

func TestIngest_Interrupted(t *testing.T) {
	w := newIngestTest(t, eventColumns, "")
	stdin, producer := io.Pipe()
	defer producer.Close()
	ctx, interrupt := context.WithCancel(t.Context())
	go func() {
		// A pipe without a buffer: when the second write is taken, the first was.
		_, _ = producer.Write([]byte(events(0, 7)))
		_, _ = producer.Write([]byte("{"))
		interrupt()
	}()
	_, errw, status := runHere(ctx, stdin, "ingest", "--data", w.data, "-")
	m := regexp.MustCompile(`^zerobus: interrupted; (\d+) records are durable; go on with --skip (\d+)\n$`).FindStringSubmatch(errw)
	if status != 1 || m == nil || m[1] != m[2] {
		t.Fatalf("exit status %d, error %q", status, errw)
	}
	n, err := strconv.Atoi(m[1])
	if err != nil {
		t.Fatal(err)
	}
	w.wantIDs(n)
}

func TestIngest_Refused(t *testing.T) {
	w := newIngestTest(t, eventColumns, "")
	csv := writeFile(t, "a.csv", []byte("id\n1\n"))
	for _, tt := range []struct {
		name string
		args []string
		want string
	}{
		{"wrong secret", []string{"--client-secret", "not-the-secret", "-"}, "invalid_client: Client authentication failed: the client id or the secret is wrong"},
		{"wrong secret, CSV", []string{"--client-secret", "not-the-secret", csv}, "invalid_client"},
		{"unknown table", []string{"--table", "main.default.none", "-"}, "main.default.none"},
		{"unknown table, CSV", []string{"--table", "main.default.none", csv}, "main.default.none"},
		{"no such file", []string{csv + ".none"}, csv + ".none"},
		{"a directory", []string{w.data}, "is a directory"},
		{"no certificate", []string{"--ca", csv, "-"}, "certificate"},
		{"too much skipped", []string{"--skip", "9", "-"}, "--skip 9: the inputs have only 1 record\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v := *w
			v.T = t
			out, errw := v.ingest(1, events(0, 1), tt.args...)
			if !strings.Contains(errw, tt.want) || out != "" || strings.Contains(errw, "not-the-secret") {
				t.Errorf("output %q, error %q; want %q", out, errw, tt.want)
			}
		})
	}
	if rows := w.rows(); len(rows) > 0 {
		t.Errorf("there are rows: %q", rows)
	}
}

func TestIngest_WrongCommandLine(t *testing.T) {
	for _, name := range []string{endpointVar, workspaceVar, tableVar, idVar, secretVar} {
		t.Setenv(name, "")
	}
	data := filepath.Join(t.TempDir(), "none")
	all := []string{"--table", "a.b.c", "--server-endpoint", "http://127.0.0.1:1", "--workspace-url", "http://127.0.0.1:1", "--client-id", "i", "--client-secret", "s"}
	for _, tt := range []struct {
		name string
		args []string
		want []string
	}{
		{"nothing given", []string{"--data", data, "-"}, []string{
			"--table or ZEROBUS_TABLE_NAME", "--server-endpoint or ZEROBUS_SERVER_ENDPOINT", "--workspace-url or DATABRICKS_WORKSPACE_URL",
			"--client-id or DATABRICKS_CLIENT_ID", "--client-secret or DATABRICKS_CLIENT_SECRET", "no server of " + data + " is running",
		}},
		{"no secret", append(all[:8:8], "-"), []string{"missing: --client-secret or DATABRICKS_CLIENT_SECRET ("}},
		{"no input", all, []string{"no input"}},
		{"format", append(all[:10:10], "--format", "xml", "-"), []string{`--format "xml"`}},
		{"separator", append(all[:10:10], "--csv-comma", ";;", "-"), []string{`--csv-comma ";;"`}},
		{"skip", append(all[:10:10], "--skip", "-1", "-"), []string{"--skip"}},
		{"inflight", append(all[:10:10], "--max-inflight", "0", "-"), []string{"--max-inflight"}},
		{"table name", append(all[:10:10], "--table", "c", "-"), []string{"--table c: "}},
		{"endpoint", append(all[:10:10], "--server-endpoint", "ftp://x", "-"), []string{"ftp"}},
		{"commit elsewhere", append(all[:10:10], "--commit", "-"), []string{"--commit is for the server of a data directory"}},
		{"stdin twice", append(all[:10:10], "-", "-"), []string{"named twice"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, errw, status := runHere(t.Context(), strings.NewReader(""), append([]string{"ingest"}, tt.args...)...)
			if status != 2 || strings.Count(errw, "\n") != 1 || !strings.HasSuffix(errw, " (see zerobus ingest --help)\n") {
				t.Errorf("exit status %d, error %q; want 2 and one line that names the command's help", status, errw)
			}
			for _, want := range tt.want {
				if !strings.Contains(errw, want) {
					t.Errorf("error %q does not say %q", errw, want)
				}
			}
		})
	}
	if _, err := os.Stat(data); err == nil {
		t.Error("the data directory was made")
	}
}

func TestIngest_HelpShowsNoSecret(t *testing.T) {
	t.Setenv(secretVar, "the-secret-of-the-environment")
	out, errw, status := runHere(t.Context(), strings.NewReader(""), "ingest", "--help")
	if status != 0 || strings.Contains(out+errw, "the-secret") || !strings.Contains(out, "prefer the environment") {
		t.Errorf("exit status %d\n%s%s", status, out, errw)
	}
}

// With TLS, the authority comes from the data directory or from --ca, for streams and tokens.
func TestIngest_TLS(t *testing.T) {
	w := newIngestTest(t, eventColumns, server.TLSAuto)
	csv := writeFile(t, "a.csv", []byte("id\n0\n"))
	w.ingest(0, "", csv)
	explicit := []string{"ingest", "--server-endpoint", w.srv.GRPCEndpoint(), "--workspace-url", w.srv.WorkspaceURL(), "-"}
	out, errw, status := runHere(t.Context(), strings.NewReader(events(1, 2)), append(explicit, "--ca", w.srv.CAFile())...)
	if status != 0 {
		t.Fatalf("exit status %d\n%s%s", status, out, errw)
	}
	w.wantIDs(3)
}

// Flags come before a data directory that is named, that before the environment, that before the default data directory.
func TestTargetFlags_Order(t *testing.T) {
	for name, value := range map[string]string{tableVar: "a.b.c", idVar: "i", secretVar: "s"} {
		t.Setenv(name, value)
	}
	data, local := t.TempDir(), "http://g-of-data http://w-of-data"
	dir, err := datadir.Open(data)
	if err != nil {
		t.Fatal(err)
	}
	if err := dir.Announce(datadir.Running{GRPCEndpoint: "http://g-of-data", WorkspaceURL: "http://w-of-data"}); err != nil {
		t.Fatal(err)
	}
	// What a running server holds. Without it server.json is what a killed server left behind.
	held, err := catalog.Open(dir.Catalog(), catalog.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	for _, tt := range []struct {
		name  string
		env   [2]string
		flags targetFlags
		want  string
	}{
		{"default data directory", [2]string{}, targetFlags{data: data}, local},
		{"environment", [2]string{"http://e", "http://w"}, targetFlags{data: data}, "http://e http://w"},
		{"named data directory", [2]string{"http://e", "http://w"}, targetFlags{data: data, useData: true}, local},
		{"flags", [2]string{"http://e", "http://w"}, targetFlags{endpoint: "http://f", workspace: "http://g", data: data, useData: true}, "http://f http://g"},
		{"a flag and the environment", [2]string{"http://e", "http://w"}, targetFlags{endpoint: "http://f", data: data}, "http://f http://w"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv(endpointVar, tt.env[0])
			t.Setenv(workspaceVar, tt.env[1])
			got, err := tt.flags.target()
			if err != nil {
				t.Fatal(err)
			}
			if s := got.endpoint + " " + got.workspace; s != tt.want {
				t.Errorf("%s, want %s", s, tt.want)
			}
		})
	}
}
