package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"
)

const (
	diskFile  = 16 << 20 // bytes of the file that is overwritten again and again
	diskWrite = 4 << 10  // bytes of a write
)

// diskLimit is what one writer has of a disk.
type diskLimit struct {
	PerSecond float64       // writes of 4 KiB, each with fdatasync
	P50       time.Duration // of one
}

// measureDisk overwrites a file piece by piece, each made durable before the next, for a time.
func measureDisk(ctx context.Context, dir string, d time.Duration) (l diskLimit, err error) {
	f, err := os.Create(filepath.Join(dir, "disk"))
	if err != nil {
		return l, err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	// The log's segments have their blocks before they are used, and so has this.
	if _, err := f.Write(make([]byte, diskFile)); err != nil {
		return l, err
	}
	if err := f.Sync(); err != nil {
		return l, err
	}
	var took []time.Duration
	p := make([]byte, diskWrite)
	began := time.Now()
	for last := began; last.Sub(began) < d && ctx.Err() == nil; {
		p[0]++
		if _, err := f.WriteAt(p, int64(len(took))*diskWrite%diskFile); err != nil {
			return l, err
		}
		if err := datasync(f); err != nil {
			return l, fmt.Errorf("fdatasync: %w", err)
		}
		now := time.Now()
		took = append(took, now.Sub(last))
		last = now
	}
	if len(took) == 0 {
		return l, ctx.Err()
	}
	l.PerSecond = float64(len(took)) / time.Since(began).Seconds()
	slices.Sort(took)
	l.P50 = took[len(took)/2]
	return l, ctx.Err()
}

// diskProcess is measureDisk as a process, which can be run by strace. It takes a directory and a time, and prints JSON.
func diskProcess(ctx context.Context, args []string, out io.Writer) error {
	if len(args) != 2 {
		return fmt.Errorf("disk takes a directory and a time")
	}
	d, err := time.ParseDuration(args[1])
	if err != nil {
		return err
	}
	l, err := measureDisk(ctx, args[0], d)
	if err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(l)
}

// runDisk runs diskProcess.
func runDisk(ctx context.Context, dir string, d time.Duration, wrap []string) (l diskLimit, err error) {
	self, err := os.Executable()
	if err != nil {
		return l, err
	}
	args := append(slices.Clone(wrap), self, "disk", dir, d.String())
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return l, fmt.Errorf("the disk's limit: %w", err)
	}
	return l, json.Unmarshal(out, &l)
}

// slowed is the command that runs another one, as the process that was started, with every fdatasync returning later by a time.
// It is empty for no delay.
func slowed(delay time.Duration) ([]string, error) {
	if delay == 0 {
		return nil, nil
	}
	strace, err := exec.LookPath("strace")
	if err != nil {
		return nil, fmt.Errorf("-sync-delay needs strace: %w", err)
	}
	// -D: strace is a grandchild, so that the process is ours. --seccomp-bpf: no other system call is stopped.
	return []string{
		strace, "-D", "-f", "--seccomp-bpf", "-o", os.DevNull, "-e", "trace=fdatasync", "-e",
		fmt.Sprintf("inject=fdatasync:delay_exit=%d", delay.Microseconds()),
	}, nil
}
