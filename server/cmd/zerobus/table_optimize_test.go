package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/zerobus-go/zerobus/server/internal/admin"
)

// The same command, beside a running server and without one.
func TestTableOptimize(t *testing.T) {
	w := newIngestTest(t, "id BIGINT, name STRING", "")
	const table = "main.default.small"
	here := func(want int, args ...string) (string, string) {
		t.Helper()
		out, errs, status := runHere(t.Context(), strings.NewReader(""), append(args, "--data", w.data)...)
		if status != want {
			t.Fatalf("zerobus %q: status %d: %s%s", args, status, out, errs)
		}
		return out, errs
	}
	here(0, "sql", "CREATE TABLE "+table+" (id BIGINT, name STRING); GRANT SELECT, MODIFY ON TABLE "+table+" TO loader")
	for i := range 4 {
		w.ingest(0, fmt.Sprintf(`{"id":%d,"name":"a"}`+"\n", i), "--table", table, "-")
		here(0, "table", "head", table, "-n", "0") // commits what is durable
	}
	out, _ := here(0, "table", "optimize", table, "--dry-run")
	for _, want := range []string{"to be rewritten      4  ", "to be written        1\n", table + " has 1 file, version 4\n"} {
		if !strings.Contains(out, want) {
			t.Errorf("a dry run says\n%s\nwant %q", out, want)
		}
	}
	if out, _ = here(0, "table", "optimize", table, "--min-files", "5"); !strings.Contains(out, table+" has 4 files, version 4\n") {
		t.Errorf("with more files asked for than there are:\n%s", out)
	}
	var v admin.Optimize
	out, _ = here(0, "table", "optimize", table, "--target-size", "1GiB", "--json")
	if err := json.Unmarshal([]byte(out), &v); err != nil || v.FilesRemoved != 4 || v.FilesAdded != 1 || v.Files != 1 || v.Version != 5 || v.BytesAdded == 0 || v.BytesRemoved <= v.BytesAdded {
		t.Errorf("optimize says %s, %v", out, err)
	}
	if out, _ = here(0, "table", "history", table, "-n", "1"); !strings.Contains(out, "OPTIMIZE") {
		t.Errorf("history says\n%s", out)
	}
	if out, _ = here(0, "table", "head", table); strings.Count(out, " a\n") != 4 {
		t.Errorf("the table has\n%s", out)
	}
	if out, _ = here(0, "table", "check", table); !strings.Contains(out, "sound") {
		t.Errorf("check says\n%s", out)
	}
	if _, errs := here(2, "table", "optimize", table, "--min-files", "1"); !strings.Contains(errs, "one file alone") {
		t.Errorf("one file alone: %s", errs)
	}
	if _, errs := here(2, "table", "optimize", table, "--target-size", "many"); !strings.Contains(errs, "expected a whole number") {
		t.Errorf("no size: %s", errs)
	}
	if _, errs := here(1, "table", "optimize", "main.default.none"); !strings.Contains(errs, "main.default.none does not exist") {
		t.Errorf("an unknown table: %s", errs)
	}
}

func TestTableOptimize_WithoutAServer(t *testing.T) {
	data := t.TempDir() + "/data"
	if out, errs, status := runHere(t.Context(), strings.NewReader(""), "sql", "CREATE TABLE main.default.t (id BIGINT)", "--data", data); status != 0 {
		t.Fatal(out, errs)
	}
	out, errs, status := runHere(t.Context(), strings.NewReader(""), "table", "optimize", "main.default.t", "--data", data)
	if status != 0 || !strings.HasSuffix(out, "\nmain.default.t has 0 files, version 0\n") {
		t.Errorf("status %d: %s%s", status, out, errs)
	}
}

func TestTableOptimize_Print(t *testing.T) {
	var b strings.Builder
	printOptimize(&b, admin.Optimize{Table: "a.b.c", Version: 9, FilesRemoved: 1200, FilesAdded: 12, BytesRemoved: 2 << 20, BytesAdded: 1 << 20, Files: 15, Left: 2, Conflicts: 1})
	want := `           files  size
─────────  ─────  ───────
rewritten  1,200  2.0 MiB
new           12  1.0 MiB

a.b.c has 15 files, version 9
2 files cannot be rewritten; the log of the server says why, zerobus table check a.b.c looks closer
1 rewrite gave way to another writer of the same files: run it again
`
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
}
