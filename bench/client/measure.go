package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Measurement is a case with the results of its repetitions, by client. Results with the same index were neighbours.
type Measurement struct {
	Case    Case
	Results map[string][]Result
}

// bencher measures cases.
type bencher struct {
	self    string // this program
	reps    int
	warm    time.Duration
	measure time.Duration
	profile string // directory for CPU profiles, unless empty
	sinks   map[kind]*sinkProcess
	tell    func(done, of int, what string)
}

func (b *bencher) close() {
	for _, p := range b.sinks {
		p.stop()
	}
}

// all measures every case, repetition by repetition, so that the repetitions of a case are spread over the whole time.
func (b *bencher) all(ctx context.Context, cases []Case) ([]Measurement, error) {
	ms := make([]Measurement, len(cases))
	total := 0
	for i, c := range cases {
		ms[i] = Measurement{Case: c, Results: map[string][]Result{}}
		total += b.reps * len(c.clients())
	}
	done := 0
	for rep := range b.reps {
		for i, c := range cases {
			clients := c.clients()
			for k := range clients {
				name := clients[(k+rep)%len(clients)] // each is first as often as the other
				b.tell(done, total, fmt.Sprintf("%s: %s, %v", c.Group, name, c))
				r, err := b.one(ctx, c, name)
				if err != nil {
					return nil, fmt.Errorf("%s, %v, %s: %w", c.Group, c, name, err)
				}
				ms[i].Results[name] = append(ms[i].Results[name], *r)
				done++
			}
		}
	}
	b.tell(done, total, "")
	return ms, nil
}

// one is one run of one client, in a process of its own.
func (b *bencher) one(ctx context.Context, c Case, name string) (*Result, error) {
	k := kind{TLS: c.TLS, AckDelay: c.AckDelay}
	sink := b.sinks[k]
	if sink == nil {
		var err error
		if sink, err = startSink(b.self, k); err != nil {
			return nil, err
		}
		b.sinks[k] = sink
	}
	before, err := sink.usage()
	if err != nil {
		return nil, err
	}
	job := Job{Case: c, Client: name, Addr: sink.Addr, CA: sink.CA, Warm: b.warm, Measure: b.measure}
	if c.Seconds > 0 {
		job.Measure = time.Duration(c.Seconds * float64(time.Second))
	}
	if b.profile != "" {
		file := strings.NewReplacer(" ", "_", ",", "").Replace(fmt.Sprintf("%s_%v_%s.pprof", c.Group, c, name))
		job.Profile = filepath.Join(b.profile, file)
	}
	in, err := json.Marshal(job)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute+job.Measure)
	defer cancel()
	cmd := exec.CommandContext(ctx, b.self, "-worker")
	cmd.Stdin, cmd.Stderr = bytes.NewReader(in), os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, err
	}
	var r Result
	if err := json.Unmarshal(out, &r); err != nil {
		return nil, err
	}
	after, err := sink.usage()
	if err != nil {
		return nil, err
	}
	// The sink knows nothing of phases, so its figures are of the whole run, warm-up included.
	share := float64(r.Records) / float64(r.Records+r.Warm)
	r.Messages = int64(float64(after.Messages-before.Messages) * share)
	r.ServerCPU = (after.CPU - before.CPU) * share
	if got, want := after.Bytes-before.Bytes, (r.Records+r.Warm)*int64(c.Size); got < want {
		return nil, fmt.Errorf("%d bytes of records were acknowledged, but %d have arrived", want, got)
	}
	return &r, nil
}
