package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"time"

	"golang.org/x/sync/errgroup"
)

// config is the command line.
type config struct {
	cases  int
	seed   uint64
	dir    string
	atOnce int
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	code := program(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

func program(ctx context.Context, args []string, out, errw io.Writer) int {
	var c config
	f := flag.NewFlagSet("property", flag.ContinueOnError)
	f.SetOutput(errw)
	f.IntVar(&c.cases, "cases", 2000, "how many tables")
	f.Uint64Var(&c.seed, "seed", 1, "of the first case; the next one has the next seed")
	f.StringVar(&c.dir, "dir", "", "directory for everything, empty or new; it is kept")
	f.IntVar(&c.atOnce, "at-once", 4*runtime.GOMAXPROCS(0), "how many cases are sent at the same time")
	switch err := f.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	case f.NArg() > 0 || c.cases < 1 || c.atOnce < 1 || c.dir == "":
		fmt.Fprintln(errw, "property: -dir is a directory, -cases and -at-once are at least 1, and there are no arguments beside flags")
		return 2
	}
	if err := run(ctx, c, out); err != nil {
		fmt.Fprintln(errw, "property:", err)
		return 1
	}
	return 0
}

// run makes and fills the tables of all cases, and writes down what must be in them. It stops at the first case that goes wrong.
func run(ctx context.Context, c config, out io.Writer) (err error) {
	if left, err := os.ReadDir(c.dir); err == nil && len(left) > 0 {
		return fmt.Errorf("the directory %s is not empty", c.dir)
	}
	begin := time.Now()
	s, stop, err := start(ctx, c.dir)
	if err != nil {
		return err
	}
	stopped := false
	defer func() {
		if !stopped {
			err = errors.Join(err, stop())
		}
	}()
	file, err := os.Create(filepath.Join(c.dir, casesFile))
	if err != nil {
		return err
	}
	defer file.Close()
	e := newExpectations(file)

	g, sending := errgroup.WithContext(ctx)
	g.SetLimit(c.atOnce)
	for i := range c.cases {
		g.Go(func() error {
			if sending.Err() != nil {
				return sending.Err()
			}
			seed := c.seed + uint64(i)
			if err := s.one(sending, seed, e); err != nil && sending.Err() == nil {
				return fmt.Errorf("case %d: %w\nrepeat it: make property CASES=1 SEED=%d", i, err, seed)
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	// The end of the server commits what is left.
	stopped = true
	if err := errors.Join(stop(), e.w.Flush(), file.Close()); err != nil {
		return err
	}
	t := &e.totals
	fmt.Fprintf(out, "property   %d tables made; rows acknowledged: %d JSON, %d protobuf, %d JSON as protobuf; %d others refused; %.1f s\n",
		t.tables, t.rows[asJSON], t.rows[asProto], t.rows[asDescribed], t.refused, time.Since(begin).Seconds())
	return nil
}
