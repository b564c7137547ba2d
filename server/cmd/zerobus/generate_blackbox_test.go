package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/zerobus-go/zerobus"
)

// The path of a user: a server, a table by SQL, a principal; the message from the server's endpoint, with what the server's
// start has printed; a changed message that is found out.
func TestGenerate_FromARunningServer(t *testing.T) {
	noVariables(t)
	data := t.TempDir()
	p := serveProcess(t, data, "--grpc-listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0")
	const table = "main.default.shipments"
	mustTool(t, "sql", "--data", data, "CREATE TABLE "+table+" (id BIGINT NOT NULL COMMENT 'of the order', shipped DATE, weight DECIMAL(8,3)) USING DELTA")
	id, secret := writer(t, data, table)
	t.Setenv(idVar, id)
	t.Setenv(secretVar, secret)

	text, desc := filepath.Join(data, "shipments.proto"), filepath.Join(data, "shipments.desc")
	out, errw, status := tool(t, "generate-proto", "--uc-endpoint", p.http, "--table", table, "--output", text, "--descriptor-out", desc)
	if want := "wrote " + text + " and " + desc + ": message shipments, 3 fields\n"; status != 0 || out != "" || errw != want {
		t.Fatalf("exit status %d, stdout %q, stderr %q, want %q", status, out, errw, want)
	}
	want := `syntax = "proto2";

message shipments {
  // of the order
  required int64 id = 1;
  optional int32 shipped = 2;  // DATE: days since 1970-01-01
  optional string weight = 3;  // DECIMAL(8,3): the number as text
}
`
	if got := read(t, text); got != want {
		t.Errorf("the text is\n%s\nwant\n%s", got, want)
	}
	if _, err := zerobus.ProtoTableBytes(table, []byte(read(t, desc))); err != nil {
		t.Error(err)
	}

	check := []string{"generate-proto", "--uc-endpoint", p.http, "--table", table, "--check", text}
	if out := mustTool(t, check...); out != text+" fits "+table+": 3 fields\n" {
		t.Errorf("--check says %q", out)
	}
	if err := os.WriteFile(text, []byte(strings.Replace(want, "string weight", "double weight", 1)), 0o644); err != nil {
		t.Fatal(err)
	}
	out, errw, status = tool(t, check...)
	if status != 1 || !strings.Contains(out, "double does not fit DECIMAL(8,3)") || !strings.HasSuffix(errw, "no stream would open: weight\n") {
		t.Errorf("--check of a changed message: exit status %d\n%s%s", status, out, errw)
	}

	tables, err := filepath.Glob(filepath.Join(data, "tables", "main", "default", "shipments*"))
	if err != nil || len(tables) != 1 {
		t.Fatalf("the table is in %q, %v", tables, err)
	}
	if out := mustTool(t, "generate-proto", "--delta", tables[0], "--proto-msg", "shipments", "--output", "-"); out != want {
		t.Errorf("from the files:\n%s", out)
	}
	if strings.Contains(p.terminate(), secret) {
		t.Error("the server's log has the secret")
	}
}
