package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/zerobus-go/zerobus"
)

const (
	tableName = "main.default.readings"
	tablePath = "tables/main/default/readings" // in the data directory
	logPath   = "wal"
	columns   = "id BIGINT, device STRING, at TIMESTAMP, temp DOUBLE, note STRING"

	startTime = time.Minute      // for the server to get ready
	stopTime  = 40 * time.Second // above what zerobus serve takes to end at most, which is 25 s
)

// buildServer builds zerobus into a directory.
func buildServer(ctx context.Context, dir string) (string, error) {
	return build(ctx, dir, "server/cmd/zerobus")
}

// build builds a program of ours, by its package, into a directory.
func build(ctx context.Context, dir, program string) (string, error) {
	name, err := filepath.Abs(filepath.Join(dir, filepath.Base(program)))
	if err != nil {
		return "", err
	}
	out, err := exec.CommandContext(ctx, "go", "build", "-o", name, "github.com/zerobus-go/zerobus/"+program).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build %s: %w\n%s", program, err, out)
	}
	return name, nil
}

// access is what a client must know to write to a server's table.
type access struct {
	Endpoint, Workspace string
	ID, Secret          string
}

// open opens a stream of JSON records.
func (a access) open(ctx context.Context, sdk *zerobus.SDK, opts ...zerobus.StreamOption) (*zerobus.Stream, error) {
	return sdk.CreateStream(ctx, zerobus.Table(tableName), zerobus.ClientCredentials{ID: a.ID, Secret: a.Secret}, opts...)
}

// server is a running zerobus serve.
type server struct {
	access
	binary string
	data   string // its data directory
	log    string // file with its standard error
	cmd    *exec.Cmd
	ended  chan struct{}
	err    error // of the process, once ended is closed
}

// startServer starts zerobus serve on free ports, with the directory dir/name, and waits until it is ready. wrap is a command
// that runs it, which must leave it the process that was started. The end of ctx interrupts it.
func startServer(ctx context.Context, binary, dir, name string, wrap ...string) (*server, error) {
	s := &server{binary: binary, data: filepath.Join(dir, name), log: filepath.Join(dir, name+".log"), ended: make(chan struct{})}
	log, err := os.OpenFile(s.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close() // the process has its own
	args := append(wrap, binary, "serve", "--data", s.data, "--grpc-listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0")
	s.cmd = exec.CommandContext(ctx, args[0], args[1:]...)
	s.cmd.Cancel = func() error { return s.cmd.Process.Signal(os.Interrupt) }
	s.cmd.WaitDelay = stopTime
	s.cmd.Env = append(os.Environ(), "GOTRACEBACK=all") // of the goroutines, see dump
	s.cmd.Stderr = log
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	late := time.AfterFunc(startTime, func() { _ = s.cmd.Process.Kill() })
	ready := false
	for lines := bufio.NewScanner(out); !ready && lines.Scan(); {
		switch f := strings.Fields(lines.Text()); {
		case len(f) < 2:
		case f[0] == "streams":
			s.Endpoint = f[1]
		case f[0] == "http":
			s.Workspace = f[1]
		case f[0] == "data":
			ready = true
		}
	}
	late.Stop()
	go func() {
		s.err = s.cmd.Wait()
		close(s.ended)
	}()
	if !ready {
		<-s.ended
		return nil, fmt.Errorf("zerobus serve did not get ready: %w\n%s", errors.Join(s.err, ctx.Err()), s.logText())
	}
	return s, nil
}

// prepare makes the table and a principal that may write it, and waits until the log has its files, because making them
// keeps the disk busy.
func (s *server) prepare(ctx context.Context) error {
	out, err := s.tool(ctx, "principal", "create", "bench", "--json")
	if err != nil {
		return err
	}
	var c struct {
		ID     string `json:"client_id"`
		Secret string `json:"client_secret"`
	}
	if err := json.Unmarshal(out, &c); err != nil {
		return fmt.Errorf("principal create: %w", err)
	}
	s.ID, s.Secret = c.ID, c.Secret
	if _, err := s.tool(ctx, "sql", fmt.Sprintf("CREATE TABLE %s (%s); GRANT USE CATALOG ON CATALOG main TO `bench`; "+
		"GRANT USE SCHEMA ON SCHEMA main.default TO `bench`; GRANT SELECT, MODIFY ON TABLE %[1]s TO `bench`", tableName, columns)); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	for {
		spares, err := filepath.Glob(filepath.Join(s.data, logPath, "*.spare"))
		if err != nil || len(spares) > 0 {
			return err
		}
		if err := pause(ctx, 10*time.Millisecond); err != nil {
			return fmt.Errorf("the log has no spare segment: %w", err)
		}
	}
}

// tool runs a command of zerobus on the server and returns its output.
func (s *server) tool(ctx context.Context, args ...string) ([]byte, error) {
	var stderr strings.Builder
	cmd := exec.CommandContext(ctx, s.binary, append(args, "--data", s.data)...)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("zerobus %s: %w\n%s", args[0], err, stderr.String())
	}
	return out, nil
}

// stop asks the server to end and returns how.
func (s *server) stop() error {
	if err := s.end(os.Interrupt); err != nil {
		return fmt.Errorf("end of zerobus serve: %w\n%s", err, s.logText())
	}
	return nil
}

// end ends the server with a signal, or without mercy when that takes too long.
func (s *server) end(signal os.Signal) error {
	if err := s.cmd.Process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	late := time.AfterFunc(stopTime, func() { _ = s.cmd.Process.Kill() })
	defer late.Stop()
	<-s.ended
	return s.err
}

// dump ends the server with signal QUIT, upon which the Go runtime prints the stacks of all goroutines, and returns them.
func (s *server) dump() (stacks, error) {
	before := len(s.logText())
	if err := s.end(syscall.SIGQUIT); err == nil {
		return nil, errors.New("zerobus serve ended in order upon signal QUIT: it should have printed its goroutines")
	}
	found := parseStacks(s.logText()[before:])
	if len(found) == 0 {
		return nil, errors.New("zerobus serve printed no goroutines upon signal QUIT")
	}
	return found, nil
}

func (s *server) logText() string {
	text, _ := os.ReadFile(s.log) // what is there
	return string(text)
}

// logCounts is what a server logs of its write-ahead log when it ends.
type logCounts struct {
	Entries, Syncs, Bytes int64
}

var logClosed = regexp.MustCompile(`msg="write-ahead log closed" entries=(\d+) syncs=(\d+) bytes=(\d+)`)

// parseLogCounts finds them in the log of a server that has ended.
func parseLogCounts(text string) (c logCounts, err error) {
	m := logClosed.FindStringSubmatch(text)
	if m == nil {
		return c, errors.New("zerobus serve did not log what its write-ahead log took")
	}
	for i, to := range []*int64{&c.Entries, &c.Syncs, &c.Bytes} {
		if *to, err = strconv.ParseInt(m[i+1], 10, 64); err != nil {
			return c, err
		}
	}
	return c, nil
}

// treeSize adds up what the files below a directory say of their size. Files that go meanwhile count nothing.
func treeSize(dir string) (bytes int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return ignoreGone(err)
		}
		info, err := d.Info()
		if err != nil {
			return ignoreGone(err)
		}
		bytes += info.Size()
		return nil
	})
	return bytes, err
}

// ignoreGone forgives that a file is not there any more.
func ignoreGone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
