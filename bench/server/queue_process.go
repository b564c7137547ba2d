package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"

	"github.com/zerobus-go/zerobus/bench/internal/report"
)

// queueCommand is the argument that makes this program a queue.
const queueCommand = "queue"

// usualSync is how often JetStream syncs unless it is told otherwise.
const usualSync = 2 * time.Minute

// queueStart is the most that a queue takes until it listens.
const queueStart = 10 * time.Second

// serveQueue serves a queue on a free port of loopback until in ends. It writes JSON to out: its address, then for each line of in
// the processor time that it has used, in nanoseconds.
func serveQueue(args []string, in io.Reader, out io.Writer) error {
	f := flag.NewFlagSet(queueCommand, flag.ContinueOnError)
	dir := f.String("dir", "", "directory of the queue's files")
	always := f.Bool("always", false, "sync before each acknowledgement, instead of every 2 minutes")
	if err := f.Parse(args); err != nil {
		return err
	}
	if *dir == "" || f.NArg() > 0 {
		return errors.New("usage: server queue -dir DIR [-always]")
	}
	if err := os.MkdirAll(*dir, 0o755); err != nil { // without it, the queue would tell nobody why it does not listen
		return err
	}
	s, err := natsserver.NewServer(&natsserver.Options{
		Host: "127.0.0.1", Port: natsserver.RANDOM_PORT, NoLog: true, NoSigs: true,
		JetStream: true, StoreDir: *dir, SyncAlways: *always, SyncInterval: usualSync,
	})
	if err != nil {
		return err
	}
	s.Start()
	defer func() {
		s.Shutdown()
		s.WaitForShutdown()
	}()
	if !s.ReadyForConnections(queueStart) {
		return fmt.Errorf("a queue in %s does not listen after %v", *dir, queueStart)
	}
	answers := json.NewEncoder(out)
	if err := answers.Encode(s.ClientURL()); err != nil {
		return err
	}
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		if err := answers.Encode(report.ProcessorTime()); err != nil {
			return err
		}
	}
	return lines.Err()
}

// queueProcess is a queue that runs. Its methods are for one goroutine.
type queueProcess struct {
	url     string
	cmd     *exec.Cmd
	in      io.WriteCloser
	answers *json.Decoder
	stderr  strings.Builder
}

// startQueue starts this program as a queue. It ends with the context, at once; stop ends it in order.
func startQueue(ctx context.Context, dir string, always bool) (*queueProcess, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	q := &queueProcess{cmd: exec.CommandContext(ctx, self, queueCommand, "-dir", dir, fmt.Sprintf("-always=%t", always))}
	q.cmd.Stderr = &q.stderr
	if q.in, err = q.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := q.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := q.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the queue: %w", err)
	}
	q.answers = json.NewDecoder(out)
	if err := q.answers.Decode(&q.url); err != nil {
		return nil, errors.Join(fmt.Errorf("start the queue: no address: %w", err), q.stop())
	}
	return q, nil
}

// processorTime is what the queue has used since its start.
func (q *queueProcess) processorTime() (used time.Duration, err error) {
	if _, err = io.WriteString(q.in, "\n"); err == nil {
		err = q.answers.Decode(&used)
	}
	if err != nil {
		return 0, fmt.Errorf("ask the queue for its processor time: %w", err)
	}
	return used, nil
}

// stop waits until the queue has ended.
func (q *queueProcess) stop() error {
	err := q.in.Close()
	if wait := q.cmd.Wait(); wait != nil {
		err = errors.Join(err, fmt.Errorf("the queue's process: %w\n%s", wait, q.stderr.String()))
	}
	return err
}
