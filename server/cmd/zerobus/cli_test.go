package main

import (
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/zerobus-go/zerobus/server/internal/admin"
)

func TestCommandLine_FaultsAreOneClearLine(t *testing.T) {
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	data := t.TempDir()
	file := filepath.Join(data, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		args   []string
		status int
		want   string
	}{
		{"unknown command", []string{"serv"}, 2, `unknown command "serv"`},
		{"unknown flag", []string{"serve", "--port", "1"}, 2, "unknown flag: --port"},
		{"missing argument", []string{"table", "head"}, 2, "accepts 1 arg(s), received 0"},
		{"superfluous argument", []string{"version", "x"}, 2, `unknown command "x"`},
		{"bad flag value", []string{"table", "head", "t", "-n", "many"}, 2, "many"},
		{"bad address", []string{"serve", "--data", data, "--grpc-listen", "8980"}, 2, `gRPC listen address "8980": expected HOST:PORT`},
		{"bad TLS", []string{"serve", "--data", data, "--tls", "on"}, 2, `TLS "on": expected off, auto or CERT,KEY`},
		{"bad log level", []string{"serve", "--data", data, "--log-level", "loud"}, 2, `log level "loud"`},
		{"port in use", []string{"serve", "--data", data, "--grpc-listen", busy.Addr().String(), "--http-listen", "127.0.0.1:0"}, 1, "address already in use"},
		{"no directory", []string{"serve", "--data", filepath.Join(file, "data")}, 1, "data directory"},
		{"missing certificate", []string{"serve", "--data", data, "--tls", "a.pem,b.pem"}, 1, "TLS certificate: open a.pem"},
		{"bad statement", []string{"sql", "--data", data, "SELECT 1"}, 1, "SELECT"},
		{"no data directory", []string{"table", "list", "--data", filepath.Join(data, "nope")}, 1, "is no data directory"},
		{"unknown table", []string{"table", "head", "--data", data, "main.default.nothing"}, 1, "main.default.nothing does not exist"},
		{"bad table name", []string{"table", "describe", "--data", data, "flights"}, 1, "flights"},
		{"unknown principal", []string{"principal", "delete", "--data", data, "nobody"}, 1, "nobody"},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, errw, status := tool(t, c.args...)
			if status != c.status {
				t.Errorf("exit status %d, want %d", status, c.status)
			}
			if !strings.HasPrefix(errw, "zerobus: ") || !strings.Contains(errw, c.want) || strings.Count(errw, "\n") != 1 {
				t.Errorf("stderr is %q, want one line with %q", errw, c.want)
			}
			if out != "" {
				t.Errorf("stdout is %q, want nothing", out)
			}
		})
	}
}

// The same commands work beside a running server and without one, and see the same.
func TestAdministration_WithAndWithoutTheServer(t *testing.T) {
	data := t.TempDir()
	mustTool(t, "sql", "--data", data, "CREATE TABLE main.default.air_quality (device_name STRING, temp INT, humidity BIGINT) USING DELTA;")

	p := serveProcess(t, data, "--grpc-listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0")
	mustTool(t, "sql", "--data", data, "CREATE SCHEMA main.other; CREATE TABLE main.other.t (id BIGINT)")
	id, secret := writer(t, data, "main.default.air_quality")
	if secret == "" || strings.Contains(p.terminate(), secret) {
		t.Error("the secret is empty or in the server's log")
	}

	var tables []admin.TableSummary
	if err := json.Unmarshal([]byte(mustTool(t, "table", "list", "--data", data, "--json")), &tables); err != nil {
		t.Fatal(err)
	}
	if len(tables) != 2 || tables[0].Name != "main.default.air_quality" || tables[0].Columns != 3 || tables[1].Name != "main.other.t" {
		t.Errorf("table list says %+v", tables)
	}
	if out := mustTool(t, "principal", "list", "--data", data); !strings.Contains(out, id) || strings.Contains(out, secret) {
		t.Errorf("principal list says\n%s", out)
	}
	if out := mustTool(t, "sql", "--data", data, "SHOW GRANTS ON TABLE main.default.air_quality"); !strings.Contains(out, "MODIFY") {
		t.Errorf("SHOW GRANTS says\n%s", out)
	}
	for _, args := range [][]string{{"token-key", "rotate"}, {"token-key", "rotate", "--revoke"}} { // without a server; principal_test has it beside one
		if out := mustTool(t, append(args, "--data", data)...); !strings.Contains(out, " signs tokens now; ") || strings.Contains(out, "invalid") != (len(args) == 3) {
			t.Errorf("%v says\n%s", args, out)
		}
	}
	// A server that was killed leaves its address behind; the tool must not hang on it.
	killed := serveProcess(t, data, "--grpc-listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0")
	killed.kill()
	mustTool(t, "sql", "--data", data, "DROP TABLE main.other.t; DROP SCHEMA main.other")
	if left := mustTool(t, "table", "list", "--data", data); strings.Contains(left, "main.other.t") {
		t.Errorf("table list says after the drop\n%s", left)
	}
	if _, err := os.Stat(filepath.Join(data, "tables", "main", "other", "t", "_delta_log")); !os.IsNotExist(err) {
		t.Errorf("the dropped table's log is still there: %v", err)
	}
}

func TestDemo_ASecondRunAppends(t *testing.T) {
	data := t.TempDir()
	for run := 1; run <= 2; run++ {
		out := mustTool(t, "demo", "--data", data)
		want := "The table has " + count(run*100_000) + " rows"
		for _, w := range []string{want, "origin", "STREAMING UPDATE", "Ack latency: p50", "delta_scan"} {
			if !strings.Contains(out, w) {
				t.Errorf("run %d does not say %q:\n%s", run, w, out)
			}
		}
	}
	var commits []admin.Commit
	if err := json.Unmarshal([]byte(mustTool(t, "table", "history", "--data", data, "--json", demoTable)), &commits); err != nil {
		t.Fatal(err)
	}
	rows := int64(0)
	for _, c := range commits {
		rows += c.Rows
	}
	if rows != 200_000 || commits[len(commits)-1].Operation != "CREATE TABLE" {
		t.Errorf("the history has %d rows: %+v", rows, commits)
	}
}

func TestPrint_NumbersAreSetRightAndLongCellsStayOutsideATerminal(t *testing.T) {
	var b strings.Builder
	long := strings.Repeat("x", maxCell+10)
	printTable(&b, []string{"name", "n"}, [][]string{{"a", "5"}, {long, "12"}})
	want := "name" + strings.Repeat(" ", len(long)-4) + "   n\n" +
		strings.Repeat("─", len(long)) + "  ──\n" +
		"a" + strings.Repeat(" ", len(long)-1) + "   5\n" + long + "  12\n"
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
}

func TestCount(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", -1234567: "-1,234,567", -100: "-100"} {
		if got := count(n); got != want {
			t.Errorf("count(%d) = %q, want %q", n, got, want)
		}
	}
	for n, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 3 << 30: "3.0 GiB"} {
		if got := bytesText(n); got != want {
			t.Errorf("bytesText(%d) = %q, want %q", n, got, want)
		}
	}
	if got := when(time.Time{}); got != "" {
		t.Errorf("when of no time is %q", got)
	}
}
