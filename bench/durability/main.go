package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

// commands by name. The last two are processes of the program itself.
var commands = map[string]func(ctx context.Context, args []string, out io.Writer) error{
	"groupcommit": groupCommit,
	"soak":        soak,
	"commits":     commits,
	"load":        loadProcess,
	"disk":        diskProcess,
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench/durability:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	if len(args) == 0 || commands[args[0]] == nil {
		return errors.New("usage: durability groupcommit|soak|commits [flags]; -help after the command lists them")
	}
	return commands[args[0]](ctx, args[1:], out)
}

// place is where a measurement works and what it measures.
type place struct {
	dir    string // made by -dir, removed by close
	binary string // what is measured
	keep   bool
	fs     string // type of dir's file system
}

// flags are those that all measurements have.
type flags struct {
	*flag.FlagSet
	dir, out, binary string
	keep             bool
	program          string // the package that is measured
}

// newFlags are those of a measurement of zerobus.
func newFlags(name string) *flags { return newFlagsOf(name, "zerobus", "server/cmd/zerobus") }

// newFlagsOf are those of a measurement of a program, for which a flag can name a binary.
func newFlagsOf(name, binary, program string) *flags {
	f := &flags{FlagSet: flag.NewFlagSet(name, flag.ContinueOnError), program: program}
	f.StringVar(&f.dir, "dir", ".", "make a temporary data directory below this one; it must be on a disk")
	f.StringVar(&f.out, "out", "", "write the page and its plot to this directory, instead of the page to standard output")
	f.StringVar(&f.binary, binary, "", "measure this binary instead of one built from ./"+program)
	f.BoolVar(&f.keep, "keep", false, "keep the data directory")
	return f
}

// open parses the arguments and makes the place.
func (f *flags) open(ctx context.Context, args []string) (*place, error) {
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	if f.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q", f.Arg(0))
	}
	if _, err := os.Stat("/proc/self/status"); err != nil {
		return nil, fmt.Errorf("processes cannot be looked at here: %w", err)
	}
	if err := os.MkdirAll(f.dir, 0o755); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(f.dir, "durability-")
	if err != nil {
		return nil, err
	}
	p := &place{dir: dir, binary: f.binary, keep: f.keep, fs: fileSystem(dir)}
	if p.inMemory() {
		fmt.Fprintf(os.Stderr, "%s is on %s: a sync costs nothing there, so the figures say nothing of a disk\n", dir, p.fs)
	}
	if p.binary == "" {
		p.binary, err = build(ctx, dir, f.program)
	}
	if err != nil {
		return nil, errors.Join(err, p.close())
	}
	return p, nil
}

func (p *place) inMemory() bool { return p.fs == "tmpfs" || p.fs == "ramfs" }

func (p *place) close() error {
	if p.keep {
		fmt.Fprintln(os.Stderr, "kept:", p.dir)
		return nil
	}
	return os.RemoveAll(p.dir)
}

// commandLine is how to repeat the measurement, from the repository's root.
func commandLine(name string, args []string) string {
	return strings.TrimSpace("go run ./bench/durability " + name + " " + strings.Join(args, " "))
}

func today() string { return time.Now().UTC().Format(time.DateOnly) }

// pause waits, unless the context ends.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
