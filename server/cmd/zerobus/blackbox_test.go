package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// binaryDir is where zerobusBinary built, or empty.
var binaryDir string

// zerobusBinary builds the command once for all tests that run it as a process.
var zerobusBinary = sync.OnceValues(func() (_ string, err error) {
	if binaryDir, err = os.MkdirTemp("", "zerobus-test-"); err != nil {
		return "", err
	}
	name := filepath.Join(binaryDir, "zerobus")
	if runtime.GOOS == "windows" {
		name += ".exe"
	}
	out, err := exec.Command("go", "build", "-o", name, ".").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return name, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if binaryDir != "" {
		os.RemoveAll(binaryDir)
	}
	os.Exit(code)
}

// process is a running zerobus serve.
type process struct {
	t    *testing.T
	cmd  *exec.Cmd
	log  *strings.Builder
	grpc string
	http string
	done chan error
}

// serveProcess starts the server as a process and waits until it answers.
func serveProcess(t *testing.T, data string, args ...string) *process {
	t.Helper()
	bin, err := zerobusBinary()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{t: t, log: new(strings.Builder), done: make(chan error, 1)}
	p.cmd = exec.Command(bin, append([]string{"serve", "--data", data}, args...)...)
	p.cmd.Stderr = p.log
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.cmd.Process.Kill() })
	ready := make(chan struct{})
	go func() {
		for s := bufio.NewScanner(out); s.Scan(); {
			f := strings.Fields(s.Text())
			switch {
			case len(f) < 2:
			case f[0] == "streams":
				p.grpc = f[1]
			case f[0] == "http":
				p.http = f[1]
			case f[0] == "data":
				close(ready)
			}
		}
		p.done <- p.cmd.Wait()
	}()
	select {
	case <-ready:
	case err := <-p.done:
		t.Fatalf("zerobus serve ended: %v\n%s", err, p.log)
	case <-time.After(time.Minute):
		t.Fatal("zerobus serve did not get ready within a minute")
	}
	return p
}

// kill ends the process as kill -9 does.
func (p *process) kill() {
	p.t.Helper()
	if err := p.cmd.Process.Kill(); err != nil {
		p.t.Fatal(err)
	}
	<-p.done
}

// terminate asks the process to end in order and returns its log.
func (p *process) terminate() string {
	p.t.Helper()
	if err := p.cmd.Process.Signal(os.Interrupt); err != nil {
		p.t.Fatal(err)
	}
	select {
	case err := <-p.done:
		if err != nil {
			p.t.Fatalf("zerobus serve ended with %v\n%s", err, p.log)
		}
	case <-time.After(time.Minute):
		p.t.Fatal("zerobus serve did not end within a minute of the interrupt")
	}
	return p.log.String()
}

// tool runs one command to its end and returns its output and exit status.
func tool(t *testing.T, args ...string) (stdout, stderr string, status int) {
	t.Helper()
	bin, err := zerobusBinary()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, bin, args...)
	var out, errw strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errw
	err = cmd.Run()
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return out.String(), errw.String(), cmd.ProcessState.ExitCode()
}

// mustTool runs one command that must succeed.
func mustTool(t *testing.T, args ...string) string {
	t.Helper()
	out, errw, status := tool(t, args...)
	if status != 0 {
		t.Fatalf("zerobus %s: exit status %d\n%s%s", strings.Join(args, " "), status, out, errw)
	}
	return out
}

// writer makes a principal that may write the table.
func writer(t *testing.T, data, table string) (id, secret string) {
	t.Helper()
	var c struct {
		ID     string `json:"client_id"`
		Secret string `json:"client_secret"`
	}
	out := mustTool(t, "principal", "create", "writer-"+strings.ReplaceAll(table, ".", "-"), "--data", data, "--json")
	if err := json.Unmarshal([]byte(out), &c); err != nil {
		t.Fatal(err)
	}
	catalog, schema, _ := strings.Cut(table, ".")
	schema, _, _ = strings.Cut(schema, ".")
	mustTool(t, "sql", "--data", data, fmt.Sprintf(
		"GRANT USE CATALOG ON CATALOG %s TO `%s`; GRANT USE SCHEMA ON SCHEMA %s.%s TO `%[2]s`; GRANT SELECT, MODIFY ON TABLE %[5]s TO `%[2]s`;",
		catalog, c.ID, catalog, schema, table))
	return c.ID, c.Secret
}

// freePorts finds addresses that a server can take again after a restart.
func freePorts(t *testing.T) (grpc, http string) {
	t.Helper()
	var addrs [2]string
	for i := range addrs {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		addrs[i] = l.Addr().String()
	}
	return addrs[0], addrs[1]
}
