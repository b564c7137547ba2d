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
	"syscall"
	"time"
)

// config is the command line.
type config struct {
	dir       string
	commits   int
	rows      int // of a commit
	perDay    int // commits, by the table's clock
	retention int // days
	every     int // commits between looks at the log
	young     int // commits of the other table
	opens     int // how often the table is opened
}

// result is the output. Times are in nanoseconds.
type result struct {
	Checkpoint int64    // commits between checkpoints
	Commits    []int64  // what each took
	Young      []int64  // what the first commits of another table took, in turns with the last ones
	Log        []sample // its size, over the commits
	Rows       int64    // of the table in the end
	Files      int      // data files, likewise
	OpenHint   []int64  // what opening the table took, with the hint of its last checkpoint
	OpenBare   []int64  // and without it
}

// sample is the table's log after so many commits.
type sample struct {
	Commit  int
	Objects int
	Bytes   int64
	CPU     int64 // processor time of the process up to then; 0 where that cannot be told
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	switch err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "commits:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out, errw io.Writer) error {
	c, err := parse(args, errw)
	if err != nil {
		return err
	}
	r, err := measure(ctx, c, errw)
	if err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(r)
}

func parse(args []string, errw io.Writer) (config, error) {
	var c config
	f := flag.NewFlagSet("commits", flag.ContinueOnError)
	f.SetOutput(errw)
	f.StringVar(&c.dir, "dir", "", "make a data directory below this one, and remove it at the end; it must be on a disk")
	f.IntVar(&c.commits, "commits", 5000, "commits")
	f.IntVar(&c.rows, "rows", 100, "rows of a commit")
	f.IntVar(&c.perDay, "per-day", 200, "commits in a day of the table's clock")
	f.IntVar(&c.retention, "retention", 2, "days for which versions stay in the table's log")
	f.IntVar(&c.every, "every", 25, "commits between two looks at the log")
	f.IntVar(&c.young, "young", 500, "commits on another, new table, which take turns with the last ones; a tenth of all at most")
	f.IntVar(&c.opens, "opens", 5, "how often the table is opened in the end")
	if err := f.Parse(args); err != nil {
		return c, err
	}
	c.young = min(c.young, c.commits/10)
	switch {
	case f.NArg() > 0:
		return c, fmt.Errorf("unexpected argument %q", f.Arg(0))
	case c.dir == "":
		return c, errors.New("-dir is not given")
	case min(c.commits, c.rows, c.perDay, c.retention, c.every, c.opens) < 1 || c.young < 0:
		return c, errors.New("all numbers must be above 0")
	}
	return c, nil
}

// day is one of the table's clock.
const day = 24 * time.Hour
