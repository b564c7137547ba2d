package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/zerobus-go/zerobus"
	"github.com/zerobus-go/zerobus/server/internal/admin"
)

// An external table by the real program: its rows survive a kill and a start without its root, and the tool knows it without a server.
func TestExternalTable_ByTheProgram(t *testing.T) {
	top, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	data, root := filepath.Join(top, "data"), filepath.Join(top, "lake")
	dir := filepath.Join(root, "events")
	const table = "main.default.events"
	ports := []string{"--grpc-listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0", "--commit-interval", "1h"}
	withRoot := append([]string{"--external-root", root}, ports...)

	p := serveProcess(t, data, withRoot...) // the root is not there yet
	if err := os.Mkdir(root, 0o755); err != nil {
		t.Fatal(err)
	}
	create := "CREATE TABLE " + table + " (id BIGINT) USING DELTA LOCATION '" + filepath.ToSlash(dir) + "'"
	mustTool(t, "sql", "--data", data, create)
	id, secret := writer(t, data, table)
	sdk, err := zerobus.New(p.grpc, p.http)
	if err != nil {
		t.Fatal(err)
	}
	defer sdk.Close()
	s, err := sdk.CreateStream(t.Context(), zerobus.Table(table), zerobus.ClientCredentials{ID: id, Secret: secret}, zerobus.WithRecovery(false))
	if err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		if _, err := s.Ingest(t.Context(), zerobus.JSONString(fmt.Sprintf(`{"id":%d}`, i))); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.kill()
	_ = s.Close(t.Context()) // it has failed

	var detail admin.TableDetail
	if err := json.Unmarshal([]byte(mustTool(t, "table", "describe", table, "--data", data, "--json")), &detail); err != nil {
		t.Fatal(err)
	}
	if detail.Type != "EXTERNAL" || detail.Location != dir || detail.Rows != 0 {
		t.Errorf("described as %+v", detail)
	}
	if _, errw, status := tool(t, "sql", "--data", data, "CREATE TABLE main.default.more LOCATION '"+filepath.ToSlash(dir)+"2'"); status != 1 || !strings.Contains(errw, "no server is running") {
		t.Errorf("a place without a server: status %d, %s", status, errw)
	}

	p = serveProcess(t, data, ports...)
	if _, errw, status := tool(t, "table", "head", table, "--data", data); status != 1 || !strings.Contains(errw, "--external-root") {
		t.Errorf("without its root: status %d, %s", status, errw)
	}
	if log := p.terminate(); !strings.Contains(log, "table could not be recovered") || !strings.Contains(log, "--external-root") {
		t.Errorf("without its root the log says %s", log)
	}

	p = serveProcess(t, data, withRoot...)
	var head admin.Rows
	if err := json.Unmarshal([]byte(mustTool(t, "table", "head", table, "--data", data, "--json")), &head); err != nil || len(head.Rows) != 5 {
		t.Errorf("the table has %v, %v", head.Rows, err)
	}
	if out := mustTool(t, "sql", "--data", data, "DROP TABLE "+table); !strings.Contains(out, "its files stay at "+dir) {
		t.Errorf("dropped with %q", out)
	}
	if log := p.terminate(); strings.Contains(log, "level=ERROR") {
		t.Error(log)
	}
	if _, err := os.Stat(filepath.Join(dir, "_delta_log")); errors.Is(err, fs.ErrNotExist) {
		t.Error("the files are gone")
	}
}
