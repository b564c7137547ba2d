package main

import (
	"bufio"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"

	"github.com/zerobus-go/zerobus/bench/client/sink"
	"github.com/zerobus-go/zerobus/bench/internal/report"
)

// kind is what tells sinks apart.
type kind struct {
	TLS      bool
	AckDelay time.Duration
}

// hello is the first line that a sink process writes.
type hello struct {
	Addr string
	CA   string
}

// usage is what a sink process answers to every line that it reads.
type usage struct {
	Messages int64
	Bytes    int64
	CPU      float64 // seconds
	Err      string
}

// serve is a sink process. It ends with its standard input.
func serve(k kind, in io.Reader, out io.Writer) error {
	cfg := sink.Config{AckDelay: k.AckDelay}
	var h hello
	if k.TLS {
		var server *tls.Config
		var ca []byte
		var err error
		if server, ca, err = sink.SelfSigned(); err != nil {
			return err
		}
		cfg.TLS, h.CA = server, string(ca)
	}
	s, err := sink.Listen("127.0.0.1:0", cfg)
	if err != nil {
		return err
	}
	defer s.Close()
	h.Addr = s.Addr()
	enc := json.NewEncoder(out)
	if err := enc.Encode(h); err != nil {
		return err
	}
	for lines := bufio.NewScanner(in); lines.Scan(); {
		stats := s.Stats()
		u := usage{Messages: stats.Messages, Bytes: stats.Bytes, CPU: report.ProcessorTime().Seconds()}
		if err := s.Err(); err != nil {
			u.Err = err.Error()
		}
		if err := enc.Encode(u); err != nil {
			return err
		}
	}
	return nil
}

// sinkProcess is a running sink, seen from outside.
type sinkProcess struct {
	hello
	cmd *exec.Cmd
	in  io.WriteCloser
	out *json.Decoder
}

func startSink(self string, k kind) (*sinkProcess, error) {
	cmd := exec.Command(self, "-sink", fmt.Sprintf("-tls=%t", k.TLS), fmt.Sprintf("-delay=%v", k.AckDelay))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &sinkProcess{cmd: cmd, in: in, out: json.NewDecoder(out)}
	if err := p.out.Decode(&p.hello); err != nil {
		p.stop()
		return nil, fmt.Errorf("start the sink: %w", err)
	}
	return p, nil
}

func (p *sinkProcess) usage() (u usage, err error) {
	if _, err = io.WriteString(p.in, "\n"); err == nil {
		err = p.out.Decode(&u)
	}
	if err == nil && u.Err != "" {
		err = fmt.Errorf("the sink met a fault: %s", u.Err)
	}
	return u, err
}

func (p *sinkProcess) stop() {
	p.in.Close()
	p.cmd.Wait()
}
