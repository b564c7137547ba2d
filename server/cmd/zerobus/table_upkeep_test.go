package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/zerobus-go/zerobus/server/internal/admin"
)

// age makes a file of a table some days old; it is made when it does not exist.
func age(t *testing.T, path string, days int) {
	t.Helper()
	if _, err := os.Stat(path); os.IsNotExist(err) {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("abc"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	at := time.Now().Add(-time.Duration(days) * 24 * time.Hour)
	if err := os.Chtimes(path, at, at); err != nil {
		t.Fatal(err)
	}
}

// The same commands, beside a running server and without one.
func TestTableUpkeep_VacuumAndCheck(t *testing.T) {
	w := newIngestTest(t, "id BIGINT, name STRING", "")
	const table = "main.default.kept"
	here := func(want int, args ...string) (string, string) {
		t.Helper()
		out, errs, status := runHere(t.Context(), strings.NewReader(""), append(args, "--data", w.data)...)
		if status != want {
			t.Fatalf("zerobus %q: status %d: %s%s", args, status, out, errs)
		}
		return out, errs
	}
	here(0, "sql", "CREATE TABLE "+table+" (id BIGINT, name STRING); GRANT SELECT, MODIFY ON TABLE "+table+" TO loader")
	w.ingest(0, `{"id":1,"name":"a"}`+"\n", "--table", table, "-")
	here(0, "table", "head", table, "-n", "0") // commits what is durable
	var detail admin.TableDetail
	out, _ := here(0, "table", "describe", table, "--json")
	if err := json.Unmarshal([]byte(out), &detail); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(detail.Location, "*.parquet"))
	if err != nil || len(files) != 1 {
		t.Fatalf("files %q, %v", files, err)
	}
	age(t, files[0], 99)
	age(t, filepath.Join(detail.Location, "d", "old.parquet"), 8)
	age(t, filepath.Join(detail.Location, "young.parquet"), 6)

	out, _ = here(0, "table", "check", table)
	for _, want := range []string{"check        looked at", "values       1 row ", "d/old.parquet  3 B", "  expired\nyoung.parquet", "  new\n", "no files of earlier versions, 1 file with 3 B new, 1 file with 3 B that a vacuum", table + " version 1: sound; 1 file with "} {
		if !strings.Contains(out, want) {
			t.Errorf("check says\n%s\nwant %s", out, want)
		}
	}
	if out, _ = here(0, "table", "check", table, "--quick"); !strings.Contains(out, "no fault found, the rows were left alone") {
		t.Errorf("a quick check says\n%s", out)
	}

	out, _ = here(0, "table", "vacuum", table, "--dry-run")
	if !strings.Contains(out, "d/old.parquet  3 B") || !strings.Contains(out, "not in the log\n") ||
		!strings.HasSuffix(out, "\n1 file with 3 B would be deleted; 1 file with 3 B younger than 7 days kept; 1 file in use, version 1\n") {
		t.Errorf("a dry run says\n%s", out)
	}
	if _, errs := here(1, "table", "vacuum", table, "--retain", "24h"); !strings.Contains(errs, "a retention of 24h0m0s is less than the 168h0m0s") {
		t.Errorf("a short retention says %s", errs)
	}
	var v admin.Vacuum
	out, _ = here(0, "table", "vacuum", table, "--retain", "168h", "--json")
	if err := json.Unmarshal([]byte(out), &v); err != nil || v.Files != 1 || v.List[0].Path != "d/old.parquet" || v.RetainSeconds != 604800 || v.Kept != 1 {
		t.Errorf("vacuum says %s, %v", out, err)
	}
	if out, _ = here(0, "table", "vacuum", table, "--retain", "24h", "--force"); !strings.HasPrefix(out, "1 file with 3 B deleted; no files younger than 1 day kept; 1 file in use") {
		t.Errorf("a forced one says\n%s", out)
	}
	for _, gone := range []string{"d/old.parquet", "young.parquet"} {
		if _, err := os.Stat(filepath.Join(detail.Location, gone)); !os.IsNotExist(err) {
			t.Errorf("%s is there: %v", gone, err)
		}
	}

	if err := os.Truncate(files[0], 100); err != nil {
		t.Fatal(err)
	}
	out, errs := here(1, "table", "check", table)
	if !strings.Contains(out, "it has 100 bytes, its add says") || !strings.Contains(out, "version 1: 2 faults;") || !strings.Contains(errs, "zerobus: table "+table+" has 2 faults") {
		t.Errorf("a damaged table says\n%s%s", out, errs)
	}
	var c admin.Check
	out, _ = here(1, "table", "check", table, "--json")
	if err := json.Unmarshal([]byte(out), &c); err != nil || c.Sound || len(c.Faults) != 2 || c.Faults[0].Check != "files" || *c.Faults[0].Version != 1 {
		t.Errorf("a damaged table says %s, %v", out, err)
	}
	if _, errs := here(1, "table", "check", "main.default.none"); !strings.Contains(errs, "main.default.none does not exist") {
		t.Errorf("an unknown table says %s", errs)
	}
}

func TestTask_ProgressAsALine(t *testing.T) {
	var tk task
	if got := tk.look(); got.name != "" {
		t.Errorf("before it began: %v", got)
	}
	tk.progress("files looked up", 1200, 0)
	if got := tk.look().String(); got != "1,200 files looked up" {
		t.Error(got)
	}
	tk.progress("files checked", 3, 12000)
	if got := tk.look().String(); got != "3 of 12,000 files checked" {
		t.Error(got)
	}
}

func TestSpan(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0 s", time.Second: "1 s", time.Minute: "1 minute", 90 * time.Second: "90 s", 36 * time.Hour: "36 hours", 24 * time.Hour: "1 day", 168 * time.Hour: "7 days",
	} {
		if got := span(d.Seconds()); got != want {
			t.Errorf("%s: %s, want %s", d, got, want)
		}
	}
	if got := fmt.Sprint(amount(0, 0), ", ", amount(1, 5), ", ", amount(2000, 2048)); got != "no files, 1 file with 5 B, 2,000 files with 2.0 KiB" {
		t.Error(got)
	}
}
