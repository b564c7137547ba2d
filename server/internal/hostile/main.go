package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"syscall"
	"time"
)

// config is the command line.
type config struct {
	quick    bool
	only     string
	streams  int
	rate     float64
	least    float64
	memory   int64 // MiB
	open     int
	bin, dir string
}

const interrupted = 130

// errUsage is a wrong command line, which was told already.
var errUsage = errors.New("wrong flags")

func parse(args []string, errw io.Writer) (config, error) {
	var c config
	f := flag.NewFlagSet("hostile", flag.ContinueOnError)
	f.SetOutput(errw)
	f.BoolVar(&c.quick, "quick", false, "only the attacks that take no time, and smaller ones")
	f.StringVar(&c.only, "only", "", "only the attacks whose name the regular expression matches")
	f.IntVar(&c.streams, "streams", 4, "how many streams the control load has")
	f.Float64Var(&c.rate, "rate", 2000, "records a second of the control load")
	f.Float64Var(&c.least, "least", 50, "what the rate of the control load must be under attack, in percent of undisturbed; 0: it is told and not judged")
	f.Int64Var(&c.memory, "memory", 1024, "what the server's resident memory may be, in MiB, of which rows that wait for their table may take 256")
	f.IntVar(&c.open, "open", 10_000, "how many streams are opened at once; the server's limit")
	f.StringVar(&c.bin, "bin", "", "the zerobus binary (default: it is built)")
	f.StringVar(&c.dir, "dir", "", "directory for everything, empty or new (default: a temporary one, removed if all is well)")
	if err := f.Parse(args); err != nil {
		return c, err // was told
	}
	var faults []error
	fault := func(bad bool, text string) {
		if bad {
			faults = append(faults, errors.New(text))
		}
	}
	_, err := regexp.Compile(c.only)
	fault(f.NArg() > 0, "there are no arguments beside flags")
	fault(err != nil, fmt.Sprintf("-only: %v", err))
	fault(c.streams < 1 || c.open < 1, "there is at least 1 stream")
	fault(c.rate <= 0, "the rate is more than 0")
	fault(c.least < 0 || c.memory < 0, "numbers cannot be negative")
	if len(faults) > 0 {
		fmt.Fprintf(errw, "hostile: %v\n", errors.Join(faults...))
		return c, errUsage
	}
	return c, nil
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	os.Exit(program(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

func program(ctx context.Context, args []string, out, errw io.Writer) int {
	c, err := parse(args, errw)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	}
	made := c.dir == ""
	dir, err := makeDir(c.dir)
	if err == nil {
		err = do(ctx, c, dir, out)
	}
	if err != nil && ctx.Err() != nil {
		err = errors.New("interrupted")
	}
	if made && dir != "" && (err == nil || ctx.Err() != nil) {
		err = errors.Join(err, os.RemoveAll(dir))
	}
	switch {
	case err == nil:
		return 0
	case ctx.Err() != nil:
		fmt.Fprintln(errw, "hostile:", err)
		return interrupted
	}
	fmt.Fprintln(errw, "hostile:", err)
	fmt.Fprintf(errw, "hostile: everything is in %s; the servers said serve.log, the SDK sdk.log\n", dir)
	return 1
}

// makeDir returns an absolute path of an empty directory.
func makeDir(name string) (string, error) {
	if name == "" {
		return os.MkdirTemp("", "zerobus-hostile-")
	}
	name, err := filepath.Abs(name)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(name, 0o700); err != nil {
		return "", err
	}
	switch in, err := os.ReadDir(name); {
	case err != nil:
		return "", err
	case len(in) > 0:
		return "", fmt.Errorf("%s is not empty", name)
	}
	return name, nil
}

// do is a run with its verdict.
func do(ctx context.Context, c config, dir string, out io.Writer) error {
	if c.bin == "" {
		c.bin = filepath.Join(dir, "zerobus")
		if o, err := exec.CommandContext(ctx, "go", "build", "-o", c.bin, "github.com/zerobus-go/zerobus/server/cmd/zerobus").CombinedOutput(); err != nil {
			return fmt.Errorf("go build: %w\n%s", err, o)
		}
	}
	bin, err := filepath.Abs(c.bin)
	if err != nil {
		return err
	}
	serverLog, err := os.Create(filepath.Join(dir, "serve.log"))
	if err != nil {
		return err
	}
	defer serverLog.Close()
	sdkLog, err := os.Create(filepath.Join(dir, "sdk.log"))
	if err != nil {
		return err
	}
	defer sdkLog.Close()
	list := chosen(c)
	fmt.Fprintf(out, "%d attacks on zerobus serve, beside %d streams with %g records/s; memory limit %s, bound %d MiB; %s\n",
		len(list), c.streams, c.rate, memoryLimit, c.memory, runtime.Version())
	a, err := newArena(ctx, c, bin, filepath.Join(dir, "server"), serverLog, sdkLog)
	if err != nil {
		return err
	}
	defer func() { _ = a.server.kill() }()
	calm := 3 * time.Second
	if c.quick {
		calm = 500 * time.Millisecond
	}
	if err := a.settle(ctx, calm); err != nil {
		return err
	}
	var verdicts []verdict
	var faults []string
	before := a.undisturbed
	for _, k := range list {
		v := a.try(ctx, k, before)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		fmt.Fprintln(out, v.line(a.undisturbed.rate()))
		before = v.after
		verdicts, faults = append(verdicts, v), append(faults, v.faults...)
		if a.server.alive() != nil {
			break
		}
	}
	load, lost, doubled, more := a.verify(ctx)
	if len(verdicts) == 0 {
		return errors.New("there is no such attack")
	}
	faults = append(faults, more...)
	faults = append(faults, tooSlow(verdicts, a.undisturbed, c.least)...)
	fmt.Fprintln(out, summary(verdicts, a.undisturbed, load, lost, doubled))
	return errors.Join(asErrors(faults)...)
}

// chosen are the attacks of the command line.
func chosen(c config) (list []attack) {
	only := regexp.MustCompile(c.only)
	for _, k := range attacks {
		if only.MatchString(k.name) && !(c.quick && k.slow) {
			list = append(list, k)
		}
	}
	return list
}

// tooSlow judges the control load.
func tooSlow(verdicts []verdict, undisturbed figures, least float64) (faults []string) {
	for _, v := range verdicts {
		if rate := 100 * v.during.rate() / undisturbed.rate(); v.during.took >= longEnough && rate < least {
			faults = append(faults, fmt.Sprintf("%s: the control load fell to %.0f %% of its rate, below %g %%", v.name, rate, least))
		}
	}
	return faults
}
