package main

import (
	"bytes"
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/parquet-go/parquet-go"
	"github.com/zerobus-go/zerobus/server"
)

const workspaceTable = "main.default.air_quality"

// workspace is Unity Catalog below a path, with one table. fault, when it is set, answers what the test wants instead.
type workspace struct {
	*httptest.Server
	fault    http.HandlerFunc // of the table's request
	requests atomic.Int64
}

func newWorkspace(t *testing.T, start func(http.Handler) *httptest.Server) *workspace {
	t.Helper()
	noVariables(t)
	ws := new(workspace)
	mux := http.NewServeMux()
	mux.HandleFunc("POST /base/oidc/v1/token", func(w http.ResponseWriter, r *http.Request) {
		if id, secret, _ := r.BasicAuth(); id != "id" || secret != testSecret {
			w.WriteHeader(http.StatusUnauthorized)
			fmt.Fprintf(w, `{"error":"invalid_client","error_description":"no client %s with %s"}`, id, secret)
			return
		}
		fmt.Fprint(w, `{"access_token":"t0ken","token_type":"Bearer","expires_in":3600}`)
	})
	mux.HandleFunc("GET /base/api/2.1/unity-catalog/tables/"+workspaceTable, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer t0ken" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		if ws.fault != nil {
			ws.fault(w, r)
			return
		}
		fmt.Fprint(w, `{"columns":[
			{"name":"device_name","type_text":"string","nullable":false,"comment":"who measured"},
			{"name":"readings","type_text":"array<struct<at:timestamp,value:decimal(10,2)>>","nullable":true}]}`)
	})
	ws.Server = start(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ws.requests.Add(1)
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(ws.Close)
	return ws
}

// flags are the command line that reads its table.
func (ws *workspace) flags() []string {
	return []string{"--uc-endpoint", ws.URL + "/base/", "--client-id", "id", "--client-secret", testSecret, "--table", workspaceTable}
}

const workspaceProto = `syntax = "proto2";

message air_quality {
  // who measured
  required string device_name = 1;
  repeated Readings readings = 2;

  message Readings {
    optional int64 at = 1;  // TIMESTAMP: microseconds since 1970-01-01 UTC
    optional string value = 2;  // DECIMAL(10,2): the number as text
  }
}
`

// The endpoint is taken with a slash at its end and without, and with the path in front.
func TestGenerate_GP24_EndpointWithAPathAndASlash(t *testing.T) {
	ws := newWorkspace(t, httptest.NewServer)
	for _, endpoint := range []string{ws.URL + "/base", ws.URL + "/base/"} {
		out, errw := generate(t, 0, nil, append(ws.flags(), "--uc-endpoint", endpoint, "--output", "-")...)
		if diff := cmp.Diff(workspaceProto, out); diff != "" {
			t.Errorf("%s: %s", endpoint, diff)
		}
		if want := "wrote stdout: message air_quality, 2 fields\n"; errw != want {
			t.Errorf("%s: stderr is %q, want %q", endpoint, errw, want)
		}
	}
}

// Names that are not catalog.schema.table, or that would change the path of the request, are refused before any request.
func TestGenerate_GP24_TableNamesAreCheckedFirst(t *testing.T) {
	ws := newWorkspace(t, httptest.NewServer)
	for _, name := range []string{"air", "main.air", "main..air", "a.b.c.d", "a.b.", "a.b.c/d", "a.b.c?d", "a.b.c%2fd", "a.b.c d", "../a.b.c", "a.b.ü"} {
		out, errw := generate(t, 2, nil, append(ws.flags(), "--table", name, "--output", "-")...)
		if !strings.HasPrefix(errw, "zerobus: --table "+name+": ") || out != "" {
			t.Errorf("%s: got %q and %q", name, out, errw)
		}
	}
	if n := ws.requests.Load(); n != 0 {
		t.Errorf("there were %d requests", n)
	}
}

func TestGenerate_GP24_AWorkspaceThatHangsIsGivenUp(t *testing.T) {
	ws := newWorkspace(t, httptest.NewServer)
	ws.fault = func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	g := generateFlags{endpoint: ws.URL + "/base", id: "id", secret: testSecret, table: workspaceTable}
	c, err := g.catalogTable()
	if err != nil {
		t.Fatal(err)
	}
	if c.timeout != 30*time.Second {
		t.Errorf("the timeout is %v, want 30s", c.timeout)
	}
	c.timeout = 200 * time.Millisecond
	_, err = c.read(t.Context())
	want := "table main.default.air_quality: the workspace did not answer within 200ms: is its URL right?"
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestGenerate_InterruptEndsARequest(t *testing.T) {
	ws := newWorkspace(t, httptest.NewServer)
	ctx, cancel := context.WithCancel(t.Context())
	ws.fault = func(_ http.ResponseWriter, r *http.Request) {
		cancel()
		<-r.Context().Done()
	}
	out, errw, status := runHere(ctx, nil, append([]string{"generate-proto", "--output", "-"}, ws.flags()...)...)
	if status != 1 || out != "" || errw != "zerobus: interrupted\n" {
		t.Errorf("exit status %d, %q and %q", status, out, errw)
	}
}

// Each class of failure is exit status 1 and one line that tells it from the others. What a workspace echoes of the secret is
// hidden (generate looks).
func TestGenerate_GP21_FailuresOfTheWorkspace(t *testing.T) {
	ws := newWorkspace(t, httptest.NewServer)
	answer := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			fmt.Fprint(w, body)
		}
	}
	closed := httptest.NewServer(nil)
	closed.Close()
	for _, tt := range []struct {
		name  string
		fault http.HandlerFunc
		args  []string
		want  []string
	}{
		{"wrong secret", nil, []string{"--client-secret", testSecret + "x"}, []string{"token", "401", "invalid_client", "are the client id and secret right?"}},
		{
			"unknown table", answer(404, `{"error_code":"TABLE_DOES_NOT_EXIST","message":"Table 'main.default.air_quality' does not exist."}`), nil,
			[]string{"main.default.air_quality", "404", "does not exist", "are the table's name and the workspace's URL right?"},
		},
		{
			"no permission", answer(403, `{"error_code":"PERMISSION_DENIED","message":"User does not have USE SCHEMA on Schema 'main.default'."}`), nil,
			[]string{"main.default.air_quality", "403", "USE SCHEMA on Schema", "the principal needs USE CATALOG, USE SCHEMA and SELECT"},
		},
		{"echo of the token", answer(403, `{"message":"the token t0ken may not"}`), nil, []string{"the token (hidden) may not"}},
		{"fault of the server", answer(500, "oops"), nil, []string{"500 Internal Server Error"}},
		{"no JSON", answer(200, "<html>login</html>"), nil, []string{"the answer is not the JSON of a table"}},
		{"no columns", answer(200, "{}"), nil, []string{"the answer has no columns"}},
		{"unknown type", answer(200, `{"columns":[{"name":"where","type_text":"geography(4326)"}]}`), nil, []string{"column \"where\"", "geography(4326)"}},
		{"unreachable", nil, []string{"--uc-endpoint", closed.URL}, []string{"token", "connection refused", "is the workspace's URL right?"}},
		{"wrong path", nil, []string{"--uc-endpoint", ws.URL}, []string{"token", "404"}},
		{"no URL", nil, []string{"--uc-endpoint", "http://a b"}, []string{"the workspace URL is not a URL"}},
		{"password in the URL", nil, []string{"--uc-endpoint", "https://user:passw0rd@host"}, []string{"user information"}},
		{"TLS where there is none", nil, []string{"--uc-endpoint", strings.Replace(ws.URL, "http://", "https://", 1)}, []string{"http"}},
		{"no authority", nil, []string{"--ca", filepath.Join(t.TempDir(), "none.pem")}, []string{"certificate authority: open "}},
		{"empty authority", nil, []string{"--ca", writeFile(t, "ca.pem", nil)}, []string{"certificate authority: ", "holds no certificate"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ws.fault = tt.fault
			dir := t.TempDir()
			out, errw := generate(t, 1, nil, append(append(ws.flags(), "--output", filepath.Join(dir, "t.proto")), tt.args...)...)
			for _, want := range tt.want {
				if !strings.Contains(errw, want) {
					t.Errorf("stderr is %q, want %q in it", errw, want)
				}
			}
			if strings.Contains(errw, "t0ken") || strings.Contains(errw, "passw0rd") {
				t.Errorf("stderr shows what it should not: %q", errw)
			}
			if files := names(t, dir); out != "" || len(files) != 0 {
				t.Errorf("stdout is %q, there are the files %q", out, files)
			}
		})
	}
}

func TestGenerate_GP21_ACertificateThatNobodyTrusts(t *testing.T) {
	ws := newWorkspace(t, func(h http.Handler) *httptest.Server {
		s := httptest.NewUnstartedServer(h)
		s.Config.ErrorLog = log.New(io.Discard, "", 0) // of the handshake that fails
		s.StartTLS()
		return s
	})
	_, errw := generate(t, 1, nil, append(ws.flags(), "--output", "-")...)
	if !strings.Contains(errw, "certificate") || !strings.Contains(errw, "--ca FILE") {
		t.Errorf("stderr is %q", errw)
	}
	ca := writeFile(t, "ca.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ws.Certificate().Raw}))
	out, _ := generate(t, 0, nil, append(ws.flags(), "--ca", ca, "--output", "-")...)
	if diff := cmp.Diff(workspaceProto, out); diff != "" {
		t.Error(diff)
	}
}

// Flags come before the environment, which makes up for each of them.
func TestGenerate_Environment(t *testing.T) {
	ws := newWorkspace(t, httptest.NewServer)
	all := map[string]string{
		workspaceVar: ws.URL + "/base", idVar: "id", secretVar: testSecret, tableVar: workspaceTable,
	}
	flags := map[string]string{workspaceVar: "--uc-endpoint", idVar: "--client-id", secretVar: "--client-secret", tableVar: "--table"}
	for name := range all {
		t.Setenv(name, all[name])
	}
	if out, _ := generate(t, 0, nil, "--output", "-"); out != workspaceProto {
		t.Errorf("with the environment alone:\n%s", out)
	}
	for name := range all {
		t.Run(name, func(t *testing.T) {
			t.Setenv(name, "wrong.wrong.wrong")
			if out, _ := generate(t, 0, nil, "--output", "-", flags[name], all[name]); out != workspaceProto {
				t.Errorf("with %s:\n%s", flags[name], out)
			}
		})
	}
	for _, name := range []string{"-h", "--help"} {
		if out, errw := generate(t, 0, nil, name); strings.Contains(out+errw, testSecret) || !strings.Contains(out, "--proto-msg") {
			t.Errorf("the help is\n%s%s", out, errw)
		}
	}
}

// Our own server answers for its tables, over TLS of its own authority, and says what is not there.
func TestGenerate_FromOurServer(t *testing.T) {
	w := newIngestTest(t, "id BIGINT NOT NULL COMMENT 'counted', at TIMESTAMP, price DECIMAL(10,2), name VARCHAR(5)", server.TLSAuto)
	t.Setenv(workspaceVar, w.srv.WorkspaceURL())
	out, _ := generate(t, 0, nil, "--ca", w.srv.CAFile(), "--output", "-")
	want := `syntax = "proto2";

message events {
  // counted
  required int64 id = 1;
  optional int64 at = 2;  // TIMESTAMP: microseconds since 1970-01-01 UTC
  optional string price = 3;  // DECIMAL(10,2): the number as text
  optional string name = 4;  // VARCHAR(5)
}
`
	if diff := cmp.Diff(want, out); diff != "" {
		t.Error(diff)
	}
	if _, errw := generate(t, 1, nil, "--output", "-"); !strings.Contains(errw, "certificate") || !strings.Contains(errw, "--ca FILE") {
		t.Errorf("without --ca: %q", errw)
	}
	_, errw := generate(t, 1, nil, "--ca", w.srv.CAFile(), "--table", "main.default.nothing", "--output", "-")
	if !strings.Contains(errw, "main.default.nothing") || !strings.Contains(errw, "does not exist") {
		t.Errorf("an unknown table: %q", errw)
	}
	id, secret, err := w.srv.CreatePrincipal(t.Context(), "stranger")
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv(idVar, id)
	t.Setenv(secretVar, secret)
	_, errw = generate(t, 1, nil, "--ca", w.srv.CAFile(), "--output", "-")
	if !strings.Contains(errw, "may not see it") {
		t.Errorf("a stranger: %q", errw)
	}
}

// tree is every file and directory below dir, with its size and the time of its last change.
func tree(t *testing.T, dir string) (all []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		all = append(all, fmt.Sprintf("%s %v %d %v", path, info.Mode(), info.Size(), info.ModTime()))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

const deltaOrders = `syntax = "proto2";

message orders {
  required int64 order_id = 1;
  optional int64 placed = 2;  // TIMESTAMP: microseconds since 1970-01-01 UTC
  optional int64 local = 3;  // TIMESTAMP_NTZ: microseconds since 1970-01-01 of the wall clock
  optional int32 day = 4;  // DATE: days since 1970-01-01
  optional string total = 5;  // DECIMAL(12,2): the number as text
  repeated Lines lines = 6;
  map<string, string> labels = 7;

  message Lines {
    optional string sku = 1;
    optional int32 n = 2;
  }
}
`

// testdata/generate/delta has logs of delta-rs 1.6.6, without the data: orders from version 0 on, with the name sales.orders,
// and cleaned, in which only the checkpoint of version 2 and version 3 are left, without a name.
func TestGenerateDelta_TablesOfDeltaRS(t *testing.T) {
	noVariables(t)
	root := filepath.Join("testdata", "generate", "delta")
	before := tree(t, root)
	for _, tt := range []struct {
		table string
		args  []string
		want  string
	}{
		{"orders", nil, deltaOrders},
		{"orders", []string{"--table", "main.default.sold"}, strings.Replace(deltaOrders, "orders", "sold", 1)},
		{"cleaned", nil, strings.Replace(deltaOrders, "orders", "cleaned", 1)},
		{"cleaned", []string{"--proto-msg", "Order"}, strings.Replace(deltaOrders, "orders", "Order", 1)},
	} {
		out, _ := generate(t, 0, nil, append(tt.args, "--delta", filepath.Join(root, tt.table), "--output", "-")...)
		if diff := cmp.Diff(tt.want, out); diff != "" {
			t.Errorf("%s %q: %s", tt.table, tt.args, diff)
		}
	}
	if diff := cmp.Diff(before, tree(t, root)); diff != "" {
		t.Errorf("the tables were touched:\n%s", diff)
	}
}

// The name of a directory is that of the table, also when it is the current one.
func TestGenerateDelta_TheCurrentDirectory(t *testing.T) {
	noVariables(t)
	t.Chdir(filepath.Join("testdata", "generate", "delta", "cleaned"))
	if out, _ := generate(t, 0, nil, "--delta", ".", "--output", "-"); !strings.Contains(out, "message cleaned {") {
		t.Errorf("got\n%s", out)
	}
}

func TestGenerateDelta_TableOfOurServerWhileItRuns(t *testing.T) {
	w := newIngestTest(t, eventColumns, "")
	t.Setenv(workspaceVar, w.srv.WorkspaceURL())
	want, _ := generate(t, 0, nil, "--output", "-")
	dirs, err := filepath.Glob(filepath.Join(w.data, "tables", "main", "default", "events*"))
	if err != nil || len(dirs) != 1 {
		t.Fatalf("the table is in %q, %v", dirs, err)
	}
	before := tree(t, dirs[0])
	out, _ := generate(t, 0, nil, "--delta", dirs[0], "--output", "-")
	if diff := cmp.Diff(want, out); diff != "" {
		t.Errorf("the log and the catalog differ:\n%s", diff)
	}
	if diff := cmp.Diff(before, tree(t, dirs[0])); diff != "" {
		t.Errorf("the table was touched:\n%s", diff)
	}
}

const (
	longSchema = `{"type":"struct","fields":[{"name":"a","type":"long","nullable":true,"metadata":{}}]}`
	textSchema = `{"type":"struct","fields":[{"name":"b","type":"string","nullable":true,"metadata":{}}]}`
)

// metadataLine is a line of a log.
func metadataLine(schema string) string {
	return fmt.Sprintf(`{"metaData":{"id":"x","name":"n","format":{"provider":"parquet","options":{}},"schemaString":%q,"partitionColumns":[],"configuration":{}}}`+"\n", schema)
}

// actionRow is a row of a checkpoint, as far as this test needs one.
type actionRow struct {
	Add *struct {
		Path string `parquet:"path"`
	} `parquet:"add,optional"`
	Metadata *metadataRow `parquet:"metaData,optional"`
}

type metadataRow struct {
	Name   *string `parquet:"name,optional"`
	Schema string  `parquet:"schemaString"`
}

// checkpoint is a Parquet file with an add before and behind the metadata of each schema; of none it has the add alone.
func checkpoint(t *testing.T, schemas ...string) string {
	t.Helper()
	add := actionRow{Add: &struct {
		Path string `parquet:"path"`
	}{"f.parquet"}}
	rows := []actionRow{add}
	for _, s := range schemas {
		rows = append(rows, actionRow{Metadata: &metadataRow{Schema: s}}, add)
	}
	file := filepath.Join(t.TempDir(), "checkpoint")
	if err := parquet.WriteFile(file, rows, parquet.Compression(&parquet.Snappy)); err != nil {
		t.Fatal(err)
	}
	return read(t, file)
}

// Logs whose beginning is gone, in all the forms that checkpoints have (PROTOCOL.md, "Checkpoints").
func TestGenerateDelta_CheckpointsOfAllForms(t *testing.T) {
	noVariables(t)
	const version = "00000000000000000010"
	const other = `{"commitInfo":{}}` + "\n"
	next := func(text string) map[string]string { return map[string]string{"00000000000000000011.json": text} }
	with := func(files map[string]string, name, text string) map[string]string {
		files[name] = text
		return files
	}
	for _, tt := range []struct {
		name  string
		files map[string]string
		want  string
	}{
		{"classic", with(next(other), version+".checkpoint.parquet", checkpoint(t, longSchema)), "optional int64 a"},
		{"of parts", with(with(next(other), version+".checkpoint.0000000001.0000000002.parquet", checkpoint(t, longSchema)),
			version+".checkpoint.0000000002.0000000002.parquet", checkpoint(t)), "optional int64 a"},
		{"V2 in Parquet", with(next(other), version+".checkpoint.80a083e8-7026-4e79-81be-64bd76c43a11.parquet", checkpoint(t, longSchema)), "optional int64 a"},
		{"V2 in JSON", with(next(other), version+".checkpoint.80a083e8-7026-4e79-81be-64bd76c43a11.json",
			`{"checkpointMetadata":{"version":10}}`+"\n"+metadataLine(longSchema)), "optional int64 a"},
		{"schema after it", with(next(other+metadataLine(textSchema)), version+".checkpoint.parquet", checkpoint(t, longSchema)), "optional string b"},
		{"no commit after it", map[string]string{version + ".checkpoint.parquet": checkpoint(t, longSchema)}, "optional int64 a"},
		{"with its own commit", with(with(next(other), version+".json", other), version+".checkpoint.parquet", checkpoint(t, longSchema)), "optional int64 a"},
		{"with other files", with(with(next(other), version+".checkpoint.parquet", checkpoint(t, longSchema)), "00000000000000000012.crc", "{}"), "optional int64 a"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := deltaTable(t, tt.files)
			out, _ := generate(t, 0, nil, "--delta", dir, "--proto-msg", "M", "--output", "-")
			if !strings.Contains(out, tt.want) {
				t.Errorf("got\n%s", out)
			}
		})
	}
}

// A damaged checkpoint is an error, or the damage is where nobody looks. Number 358 is one that the library meets with a panic.
func TestGenerateDelta_DamagedCheckpoints(t *testing.T) {
	whole := []byte(read(t, filepath.Join("testdata", "generate", "delta", "cleaned", deltaLog, "00000000000000000002.checkpoint.parquet")))
	file := filepath.Join(t.TempDir(), "damaged.parquet")
	refused := 0
	for seed := range uint64(400) {
		r := rand.New(rand.NewPCG(1, seed))
		damaged := bytes.Clone(whole)
		for range 1 + r.IntN(4) {
			damaged[r.IntN(len(damaged))] = byte(r.Uint32())
		}
		if err := os.WriteFile(file, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		if m, err := metadataOfParquet(file); err != nil {
			refused++
		} else if m != nil && m.SchemaString == "" {
			t.Errorf("damage %d: metadata without a schema: %+v", seed, m)
		}
	}
	if refused < 100 {
		t.Errorf("%d of 400 damages were noticed", refused)
	}
}

// deltaTable makes a directory with a log of these files.
func deltaTable(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, deltaLog), 0o777); err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, deltaLog, name), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestGenerateDelta_FaultsAreOneClearLine(t *testing.T) {
	noVariables(t)
	const protocol = `{"protocol":{"minReaderVersion":1,"minWriterVersion":2}}` + "\n"
	first, third := "00000000000000000000.json", "00000000000000000002.json"
	parent := t.TempDir()
	missing := filepath.Join(parent, "missing")
	for _, tt := range []struct{ name, dir, want string }{
		{"missing directory", missing, "missing: "},
		{"a file", writeFile(t, "file", nil), "it is a file, expected the directory with _delta_log in it"},
		{"no log", t.TempDir(), "is no Delta table: there are no commits in "},
		{"empty log", deltaTable(t, nil), "is no Delta table: there are no commits in "},
		{"hole", deltaTable(t, map[string]string{first: protocol + metadataLine(longSchema), third: "{}"}), "version 1 is missing in the log"},
		{"damaged commit", deltaTable(t, map[string]string{first: "{"}), "delta log is damaged"},
		{"no schema", deltaTable(t, map[string]string{first: protocol}), "no metaData"},
		{
			"type of the future", deltaTable(t, map[string]string{first: protocol + metadataLine(strings.Replace(longSchema, "long", "quaternion", 1))}),
			`schema: field a: unknown type "quaternion"`,
		},
		{"damaged checkpoint", deltaTable(t, map[string]string{"00000000000000000010.checkpoint.parquet": "PAR1"}), "00000000000000000010.checkpoint.parquet: "},
		{"checkpoint without", deltaTable(t, map[string]string{"00000000000000000010.checkpoint.parquet": checkpoint(t)}), "no metaData in its log"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			out, errw := generate(t, 1, nil, "--delta", tt.dir, "--output", "-")
			if !strings.Contains(errw, tt.want) || !strings.Contains(errw, filepath.Base(tt.dir)) || out != "" {
				t.Errorf("got %q and %q, want %q", out, errw, tt.want)
			}
		})
	}
	if _, err := os.Stat(missing); !errors.Is(err, fs.ErrNotExist) {
		t.Error("the missing directory was made")
	}
}

// A table that may not be written to, or that is on a medium that cannot, is read all the same.
func TestGenerateDelta_WithoutThePermissionToWrite(t *testing.T) {
	if runtime.GOOS == "windows" || os.Getuid() == 0 {
		t.Skip("permissions do not hold for this user")
	}
	noVariables(t)
	dir := deltaTable(t, map[string]string{
		"00000000000000000000.json": `{"protocol":{"minReaderVersion":1,"minWriterVersion":2}}` + "\n" + metadataLine(longSchema),
	})
	for _, d := range []string{filepath.Join(dir, deltaLog), dir} {
		if err := os.Chmod(d, 0o555); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = os.Chmod(d, 0o755) })
	}
	generate(t, 0, nil, "--delta", dir, "--output", "-")
}
