package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"

	"github.com/zerobus-go/zerobus/bench/internal/report"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench/server:", err)
		os.Exit(1)
	}
}

// bencher is how everything is measured.
type bencher struct {
	tools
	rounds  int
	flights string        // file of the group flights
	length  time.Duration // of a case in a round
	scale   float64       // of counts of records and commits; 1 but for a first look
	tell    func(format string, args ...any)
}

func run(ctx context.Context, args []string, out io.Writer) (err error) {
	if len(args) > 0 && args[0] == queueCommand { // by startQueue
		return serveQueue(args[1:], os.Stdin, out)
	}
	f := flag.NewFlagSet("server", flag.ContinueOnError)
	quick := f.Bool("quick", false, "measure what matters most, and print one line of JSON")
	groups := f.String("group", "", "measure the groups that match this regular expression only")
	rounds := f.Int("rounds", 3, "rounds")
	length := f.Duration("for", 5*time.Second, "length of a case in a round, after a warm-up")
	scale := f.Float64("scale", 1, "make counts of records and commits smaller, for a first look")
	to := f.String("out", "", "write server.json, server.md and the plots to this directory; with -group, keep the other groups that are there")
	from := f.String("from", "", "measure nothing: make page and plots of the server.json in this directory")
	list := f.Bool("list", false, "list the groups")
	b := &bencher{tell: func(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }}
	f.StringVar(&b.dir, "dir", "bench/.out", "directory for data, which must be on a disk")
	f.StringVar(&b.flights, "flights", "", "Parquet file of the group flights, which needs it and make interop's Python packages")
	bin := f.String("bin", "", "directory with zerobus, decodebench and commits, instead of building them")
	if err := f.Parse(args); err != nil {
		return err
	}
	chosen, err := choose(*groups)
	switch {
	case f.NArg() > 0:
		return fmt.Errorf("unexpected argument %q", f.Arg(0))
	case err != nil:
		return err
	case *rounds < 1 || *length < 10*time.Millisecond || *scale <= 0 || *scale > 1:
		return errors.New("-rounds is above 0, -for at least 10ms, -scale above 0 and at most 1")
	case *list:
		for _, g := range chosen {
			fmt.Fprintln(out, g.name)
		}
		return nil
	case *from != "":
		r, err := readReport(*from)
		if err != nil {
			return err
		}
		return r.write(*from, out)
	}
	b.rounds, b.length, b.scale = *rounds, *length, *scale
	if err := os.MkdirAll(b.dir, 0o755); err != nil {
		return err
	}
	if b.dir, err = os.MkdirTemp(b.dir, "server-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(b.dir)) }()
	if err := b.find(ctx, *bin); err != nil {
		return err
	}
	if *quick {
		line, err := b.quick(ctx)
		if err != nil {
			return err
		}
		return json.NewEncoder(out).Encode(line)
	}
	r := Report{
		Commands: []string{strings.TrimSpace("go run ./bench/server " + strings.Join(args, " "))}, Date: time.Now().UTC().Format(time.DateOnly),
		Machine: report.Machine(b.dir), Rounds: b.rounds,
	}
	for _, g := range chosen {
		if err := g.measure(ctx, b, &r); err != nil {
			return fmt.Errorf("%s: %w", g.name, err)
		}
	}
	if *groups != "" && *to != "" {
		if r, err = merge(*to, r); err != nil {
			return err
		}
	}
	return r.write(*to, out)
}

// choose returns the groups that match.
func choose(pattern string) (chosen []group, err error) {
	match, err := regexp.Compile(pattern)
	if err != nil {
		return nil, err
	}
	for _, g := range allGroups {
		if match.MatchString(g.name) {
			chosen = append(chosen, g)
		}
	}
	if len(chosen) == 0 {
		return nil, errors.New("no group matches; -list shows them all")
	}
	return chosen, nil
}

// readReport reads the server.json of a directory.
func readReport(dir string) (r Report, err error) {
	b, err := os.ReadFile(filepath.Join(dir, "server.json"))
	if err != nil {
		return r, err
	}
	if err := json.Unmarshal(b, &r); err != nil {
		return r, fmt.Errorf("%s: %w", filepath.Join(dir, "server.json"), err)
	}
	return r, nil
}
