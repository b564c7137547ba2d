package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/zerobus-go/zerobus"
	"github.com/zerobus-go/zerobus/schema"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/descriptorpb"
)

var update = flag.Bool("update", false, "rewrite testdata/generate/*.proto")

// testSecret is what no output may have in it.
const testSecret = "dose-1f3a+/= of secret"

// generate runs zerobus generate-proto in this process, without a variable of the environment unless the test has set it, and
// checks the exit status, the form of errors, and that no secret is shown.
func generate(t *testing.T, status int, stdin io.Reader, args ...string) (stdout, stderr string) {
	t.Helper()
	if stdin == nil {
		stdin = strings.NewReader("")
	}
	stdout, stderr, got := runHere(t.Context(), stdin, append([]string{"generate-proto"}, args...)...)
	if got != status {
		t.Fatalf("zerobus generate-proto %s: exit status %d, want %d\n%s%s", strings.Join(args, " "), got, status, stdout, stderr)
	}
	if status != 0 && (!strings.HasPrefix(stderr, "zerobus: ") || strings.Count(stderr, "\n") != 1) {
		t.Errorf("the error is not one line: %q", stderr)
	}
	for _, secret := range []string{testSecret, os.Getenv(secretVar)} {
		if secret != "" && strings.Contains(stdout+stderr, secret) {
			t.Errorf("the secret is in the output: %s%s", stdout, stderr)
		}
	}
	return stdout, stderr
}

// noVariables takes the variables that the command looks at out of the environment.
func noVariables(t *testing.T) {
	t.Helper()
	for _, name := range []string{workspaceVar, tableVar, idVar, secretVar} {
		t.Setenv(name, "")
	}
}

// ddl writes a CREATE TABLE statement to a file.
func ddl(t *testing.T, statement string) string { return writeFile(t, "table.sql", []byte(statement)) }

// read is the content of a file.
func read(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// names are the files in a directory.
func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	list := make([]string, len(entries))
	for i, e := range entries {
		list[i] = e.Name()
	}
	return list
}

// statements are the tables of the golden files, without .sql.
func statements(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", "generate", "*.sql"))
	if err != nil || len(files) < 4 {
		t.Fatalf("golden files: %q, %v", files, err)
	}
	for i, f := range files {
		files[i] = strings.TrimSuffix(f, ".sql")
	}
	return files
}

func TestGenerate_GP16_GP17_GoldenText(t *testing.T) {
	noVariables(t)
	for _, table := range statements(t) {
		t.Run(filepath.Base(table), func(t *testing.T) {
			got, _ := generate(t, 0, nil, "--ddl", table+".sql", "--output", "-")
			if *update {
				if err := os.WriteFile(table+".proto", []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if diff := cmp.Diff(read(t, table+".proto"), got); diff != "" {
				t.Errorf("the text is another one (-update rewrites it):\n%s", diff)
			}
		})
	}
}

// What is written as text, as a descriptor and as columns is one and the same message, and fits its own table.
func TestGenerate_GP17_TextDescriptorAndTableAgree(t *testing.T) {
	noVariables(t)
	for _, table := range statements(t) {
		t.Run(filepath.Base(table), func(t *testing.T) {
			dir := t.TempDir()
			text, desc := filepath.Join(dir, "t.proto"), filepath.Join(dir, "t.desc")
			generate(t, 0, nil, "--ddl", table+".sql", "--output", text, "--descriptor-out", desc)
			file, err := schema.ParseProto(read(t, text))
			if err != nil {
				t.Fatal(err)
			}
			d := new(descriptorpb.DescriptorProto)
			if err := proto.Unmarshal([]byte(read(t, desc)), d); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(file.GetMessageType()[0], d, protocmp.Transform()); diff != "" {
				t.Errorf("text and descriptor differ:\n%s", diff)
			}
			for _, f := range []string{text, desc} {
				out, _ := generate(t, 0, nil, "--ddl", table+".sql", "--check", f)
				if want := fmt.Sprintf("%s fits ", f); !strings.HasPrefix(out, want) || strings.Count(out, "\n") != 1 {
					t.Errorf("--check of what was generated says\n%s", out)
				}
			}
		})
	}
}

func TestGenerate_GP18_ManyColumnsPassOverTheReservedNumbers(t *testing.T) {
	table := sourceTable{"main.default.wide", new(schema.Struct)}
	for i := range 19_010 {
		table.columns.Fields = append(table.columns.Fields, schema.Field{
			Name: fmt.Sprintf("c%d", i+1), Type: schema.Type{Kind: schema.Long}, Nullable: true,
		})
	}
	text, _, err := protoOf(table, "wide")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{" c18999 = 18999;\n", " c19000 = 20000;\n", " c19010 = 20010;\n"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the text lacks %q", want)
		}
	}
}

func TestGenerate_GP19_MessageNameDefaultsToTable(t *testing.T) {
	noVariables(t)
	for _, tt := range []struct {
		statement string
		args      []string
		want      string
	}{
		{"CREATE TABLE main.default.air_quality (a INT)", nil, "message air_quality {"},
		{"CREATE TABLE AirQuality (a INT)", nil, "message AirQuality {"},
		{"CREATE TABLE main.default.t (a INT)", []string{"--table", "other.place.air"}, "message air {"},
		{"CREATE TABLE main.default.t (a INT)", []string{"--table", "air"}, "message air {"},
		{"CREATE TABLE main.default.t (a INT)", []string{"--proto-msg", "Air", "--table", "other.place.t"}, "message Air {"},
		{"CREATE TABLE main.default.`2020` (a INT)", []string{"--proto-msg", "_2020"}, "message _2020 {"},
	} {
		out, _ := generate(t, 0, nil, append(tt.args, "--ddl", ddl(t, tt.statement), "--output", "-")...)
		if !strings.Contains(out, "\n"+tt.want+"\n") {
			t.Errorf("%s %q gives\n%s", tt.statement, tt.args, out)
		}
	}
	_, errw := generate(t, 1, nil, "--ddl", ddl(t, "CREATE TABLE main.default.`2020` (a INT)"), "--output", "-")
	if !strings.Contains(errw, `"2020" is no name for a message`) || !strings.Contains(errw, "--proto-msg") {
		t.Errorf("the error is %q", errw)
	}
}

func TestGenerate_GP20_WrongCommandLinesExitWith2(t *testing.T) {
	noVariables(t)
	sql := ddl(t, "CREATE TABLE t (a INT)")
	catalog := []string{"--uc-endpoint", "http://127.0.0.1:1", "--client-id", "id", "--client-secret", testSecret, "--table", "a.b.c", "--output", "-"}
	without := func(flag string) []string {
		i := slices.Index(catalog, flag)
		return slices.Delete(slices.Clone(catalog), i, i+2)
	}
	for _, tt := range []struct {
		name string
		args []string
		want string
	}{
		{"nothing", nil, "nothing to do: give --output, --descriptor-out or --check"},
		{"unknown flag", append(catalog, "--protobuf"), "unknown flag: --protobuf"},
		{"argument", append(catalog, "out.proto"), `unknown command "out.proto"`},
		{"flag without value", []string{"--output"}, "flag needs an argument"},
		{"no source", []string{"--output", "-"}, "missing: --uc-endpoint or DATABRICKS_WORKSPACE_URL, --client-id or DATABRICKS_CLIENT_ID, " +
			"--client-secret or DATABRICKS_CLIENT_SECRET, --table or ZEROBUS_TABLE_NAME"},
		{"no endpoint", without("--uc-endpoint"), "missing: --uc-endpoint or"},
		{"no id", without("--client-id"), "missing: --client-id or"},
		{"no secret", without("--client-secret"), "missing: --client-secret or"},
		{"no table", without("--table"), "missing: --table or"},
		{"no output", without("--output"), "nothing to do"},
		{"two sources", []string{"--ddl", sql, "--delta", ".", "--output", "-"}, "--ddl and --delta exclude each other"},
		{"statement and endpoint", append(catalog, "--ddl", sql), "--ddl and --uc-endpoint exclude each other"},
		{"statement and secret", []string{"--ddl", sql, "--client-secret", testSecret, "--output", "-"}, "--ddl and --client-secret exclude each other"},
		{"directory and authority", []string{"--delta", ".", "--ca", "ca.pem", "--output", "-"}, "--delta and --ca exclude each other"},
		{"check and output", []string{"--ddl", sql, "--check", sql, "--output", "-"}, "--check and --output exclude each other"},
		{"check and descriptor", []string{"--ddl", sql, "--check", sql, "--descriptor-out", "x"}, "--check and --descriptor-out exclude each other"},
		{"JSON without check", []string{"--ddl", sql, "--output", "-", "--json"}, "--json goes with --check"},
		{"stdin twice", []string{"--ddl", "-", "--check", "-"}, "standard input (-) is named twice"},
		{"stdout twice", []string{"--ddl", sql, "--output", "-", "--descriptor-out", "-"}, "--output and --descriptor-out are both -"},
		{"one file twice", []string{"--ddl", sql, "--output", "x", "--descriptor-out", "./x"}, "--output and --descriptor-out are both x"},
		{"bad message name", []string{"--ddl", sql, "--output", "-", "--proto-msg", "air-quality"}, `--proto-msg "air-quality": a message has a name of`},
		{"full message name", []string{"--ddl", sql, "--output", "-", "--proto-msg", "a.B"}, `--proto-msg "a.B"`},
		{"bad message to check", []string{"--ddl", sql, "--check", "x", "--proto-msg", "a..B"}, `--proto-msg "a..B"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			out, errw := generate(t, 2, nil, tt.args...)
			if !strings.Contains(errw, tt.want) || out != "" {
				t.Errorf("got %q and %q, want %q", out, errw, tt.want)
			}
		})
	}
}

// What protobuf cannot say is an error with the path of the column and a way out.
func TestGenerate_GP21_MappingErrorsNameTheColumn(t *testing.T) {
	noVariables(t)
	for _, tt := range []struct{ columns, want string }{
		{"ok INT, tags ARRAY<ARRAY<INT>>", "column tags.element: protobuf has no array in an array: send JSON records, or wrap"},
		{"a ARRAY<MAP<STRING, INT>>", "column a.element: protobuf has no map in an array"},
		{"m MAP<STRING, ARRAY<INT>>", "column m.value: protobuf has no array in a map"},
		{"m MAP<STRING, MAP<STRING, INT>>", "column m.value: protobuf has no map in a map"},
		{"m MAP<DOUBLE, INT>", "column m.key: protobuf has no map with double as key"},
		{"s STRUCT<a: STRUCT<b: ARRAY<ARRAY<DATE>>>>", "column s.a.b.element: protobuf has no array in an array"},
		{"`größe` INT", "column größe: the name cannot be a protobuf field"},
		{"`a-b` INT", "column a-b: the name cannot be a protobuf field"},
		{"s STRUCT<`1st`: INT>", "column s.1st: the name cannot be a protobuf field"},
		{"a_b MAP<STRING, INT>, aB MAP<STRING, INT>", "protobuf names the entries of the maps a_b and aB alike"},
	} {
		out, errw := generate(t, 1, nil, "--ddl", ddl(t, "CREATE TABLE c.s.t ("+tt.columns+")"), "--output", "-")
		if !strings.HasPrefix(errw, "zerobus: table c.s.t: column ") || !strings.Contains(errw, tt.want) || out != "" {
			t.Errorf("%s: got %q and %q, want %q", tt.columns, out, errw, tt.want)
		}
	}
}

func TestGenerateDDL_ErrorsHaveFileLineAndColumn(t *testing.T) {
	noVariables(t)
	for _, tt := range []struct{ statement, want string }{
		{"CREATE TABLE t (\n  a INT,\n  b NUMBER\n)", ":3:5: "},
		{"CREATE TABLE t (a INT);\nCREATE TABLE u (a INT)", ":2:1: "},
		{"SELECT 1", ":1:1: expected CREATE, got"},
		{"", ":1:1: expected CREATE, got the end of the statement"},
		{"CREATE TABLE t (a ARRAY<INT)", ":1:28: "},
		{"CREATE TABLE t (a INT, A STRING)", ": column A: the names a and A differ only in case"},
		{"CREATE TABLE t USING DELTA LOCATION '/lake/t'", ": the statement has no columns: read the table itself with --delta /lake/t"},
	} {
		file := ddl(t, tt.statement)
		out, errw := generate(t, 1, nil, "--ddl", file, "--output", "-")
		if !strings.HasPrefix(errw, "zerobus: "+file+tt.want) || out != "" {
			t.Errorf("%q: got %q and %q, want %q", tt.statement, out, errw, tt.want)
		}
		_, errw = generate(t, 1, strings.NewReader(tt.statement), "--ddl", "-", "--output", "-")
		if !strings.HasPrefix(errw, "zerobus: stdin"+tt.want) {
			t.Errorf("%q on standard input: got %q, want %q", tt.statement, errw, tt.want)
		}
	}
	missing := filepath.Join(t.TempDir(), "none.sql")
	if _, errw := generate(t, 1, nil, "--ddl", missing, "--output", "-"); !strings.Contains(errw, "open "+missing+": ") {
		t.Errorf("a missing file: %q", errw)
	}
	if _, errw := generate(t, 1, nil, "--ddl", t.TempDir(), "--output", "-"); !strings.Contains(errw, "directory") {
		t.Errorf("a directory: %q", errw)
	}
	if _, errw := generate(t, 1, strings.NewReader(strings.Repeat(" ", 1<<20+1)), "--ddl", "-", "--output", "-"); !strings.Contains(errw, "stdin: it has more than 1.0 MiB") {
		t.Errorf("a text without end: %q", errw)
	}
}

// A statement comes from standard input, whatever the environment says of other tables, and the text goes to standard output
// alone.
func TestGenerateDDL_StandardInputAndOutput(t *testing.T) {
	noVariables(t)
	t.Setenv(tableVar, "c.s.other")
	t.Setenv(workspaceVar, "http://127.0.0.1:1")
	out, errw := generate(t, 0, strings.NewReader("CREATE TABLE c.s.t (a INT NOT NULL)"), "--ddl", "-", "--output", "-")
	if want := "syntax = \"proto2\";\n\nmessage t {\n  required int32 a = 1;\n}\n"; out != want {
		t.Errorf("got\n%s\nwant\n%s", out, want)
	}
	if want := "wrote stdout: message t, 1 field\n"; errw != want {
		t.Errorf("stderr is %q, want %q", errw, want)
	}
}

// A read of standard input that never ends does not keep the command from ending.
func TestGenerateDDL_InterruptEndsAHangingRead(t *testing.T) {
	noVariables(t)
	ctx, cancel := context.WithCancel(t.Context())
	hang, w := io.Pipe()
	defer w.Close()
	go func() {
		_, _ = w.Write([]byte("CREATE")) // taken: the command is reading
		cancel()
	}()
	out, errw, status := runHere(ctx, hang, "generate-proto", "--ddl", "-", "--output", "-")
	if status != 1 || out != "" || errw != "zerobus: interrupted\n" {
		t.Errorf("exit status %d, %q and %q", status, out, errw)
	}
}

// GP-26: a stream opens with the bytes of --descriptor-out and takes records of that message, without protoc between.
func TestGenerate_GP26_OutputIsTheDescriptorOfAStream(t *testing.T) {
	w := newIngestTest(t, "device_name STRING NOT NULL, temp INT, humidity BIGINT", "")
	t.Setenv(workspaceVar, w.srv.WorkspaceURL())
	desc := filepath.Join(t.TempDir(), "events.desc")
	_, errw := generate(t, 0, nil, "--descriptor-out", desc, "--proto-msg", "Event")
	if want := "wrote " + desc + ": message Event, 3 fields\n"; errw != want {
		t.Errorf("stderr is %q, want %q", errw, want)
	}
	table, err := zerobus.ProtoTableBytes(eventsTable, []byte(read(t, desc)))
	if err != nil {
		t.Fatal(err)
	}
	if table.Descriptor.GetName() != "Event" {
		t.Errorf("the message is %s", table.Descriptor.GetName())
	}
	sdk, err := zerobus.New(w.srv.GRPCEndpoint(), w.srv.WorkspaceURL())
	if err != nil {
		t.Fatal(err)
	}
	defer sdk.Close()
	stream, err := sdk.CreateStream(t.Context(), table, zerobus.ClientCredentials{ID: os.Getenv(idVar), Secret: os.Getenv(secretVar)})
	if err != nil {
		t.Fatal(err)
	}
	record := protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), "sensor-1")
	record = protowire.AppendVarint(protowire.AppendTag(record, 2, protowire.VarintType), 22)
	if _, err := stream.Ingest(t.Context(), zerobus.ProtoBytes(record)); err != nil {
		t.Fatal(err)
	}
	if err := stream.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([][]string{{"sensor-1", "22", ""}}, w.rows()); diff != "" {
		t.Error(diff)
	}
}

// The same in other tables: whatever can be generated, the SDK takes.
func TestGenerate_GP26_EveryDescriptorIsSelfContained(t *testing.T) {
	noVariables(t)
	for _, table := range statements(t) {
		desc, _ := generate(t, 0, nil, "--ddl", table+".sql", "--descriptor-out", "-")
		if _, err := zerobus.ProtoTableBytes("c.s.t", []byte(desc)); err != nil {
			t.Errorf("%s: %v", table, err)
		}
	}
}
