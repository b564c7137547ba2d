package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/zerobus-go/zerobus/server/internal/admin"
)

// A partitioned table by the tool alone: made, loaded, described, read back and dropped.
func TestPartitionedTable_FromStatementToHead(t *testing.T) {
	w := newIngestTest(t, "id BIGINT", "")
	const table = "main.default.readings"
	mustHere := func(args ...string) string {
		t.Helper()
		out, errs, status := runHere(t.Context(), strings.NewReader(""), append(args, "--data", w.data)...)
		if status != 0 {
			t.Fatalf("zerobus %q: %s", args, errs)
		}
		return out
	}
	mustHere("sql", "CREATE TABLE "+table+" (id BIGINT NOT NULL, d DATE, place STRING, v DOUBLE) PARTITIONED BY (d, place); GRANT SELECT, MODIFY ON TABLE "+table+" TO loader")
	w.ingest(0, `{"id":1,"d":20000,"place":"north","v":1.5}
{"id":2,"d":20001,"place":"US/East"}
{"id":3,"d":20000,"place":"north","v":-1}
{"id":4,"place":""}
`, "--table", table, "-")

	var head admin.Rows
	if err := json.Unmarshal([]byte(mustHere("table", "head", table, "--json")), &head); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range head.Rows {
		text := ""
		for _, v := range r {
			if v == nil {
				text += "NULL "
			} else {
				text += *v + " "
			}
		}
		got = append(got, text)
	}
	slices.Sort(got)
	if want := []string{"1 2024-10-04 north 1.5 ", "2 2024-10-05 US/East NULL ", "3 2024-10-04 north -1 ", "4 NULL NULL NULL "}; !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
	if out := mustHere("table", "describe", table); !strings.Contains(out, "partitioned  d, place\n") {
		t.Errorf("described as\n%s", out)
	}
	var detail admin.TableDetail
	if err := json.Unmarshal([]byte(mustHere("table", "describe", table, "--json")), &detail); err != nil || !slices.Equal(detail.PartitionBy, []string{"d", "place"}) {
		t.Errorf("described as %+v, %v", detail, err)
	}
	if out := mustHere("sql", "SHOW CREATE TABLE "+table); !strings.Contains(out, "PARTITIONED BY (d, place)") {
		t.Errorf("made by\n%s", out)
	}
	files, err := filepath.Glob(filepath.Join(detail.Location, "d=2024-10-04", "place=north", "part-*.parquet"))
	if err != nil || len(files) != 1 {
		t.Errorf("files %q, %v", files, err)
	}
	if files, err = filepath.Glob(filepath.Join(detail.Location, "part-*.parquet")); err != nil || len(files) != 2 {
		t.Errorf("files at the root %q, %v", files, err)
	}
	mustHere("sql", "DROP TABLE "+table)
	if _, err := os.Stat(detail.Location); !os.IsNotExist(err) {
		t.Errorf("the directory is left: %v", err)
	}
}
