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

	"github.com/zerobus-go/zerobus/server/internal/loadgen"
)

// config is the command line behind the command.
type config struct {
	shapes    []*loadgen.Shape
	encodings []loadgen.Encoding
	rounds    int
	length    time.Duration // of a case in a round
	streams   int
	delay     time.Duration // of the network, each way
	dir       string
	records   int
	oursOnly  bool
}

var commands = map[string]func(ctx context.Context, c config, out io.Writer) error{
	"decode": decodeAll, "receive": receiveAll, "corpus": corpus,
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	switch err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "decodebench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out, errw io.Writer) error {
	if len(args) == 0 || commands[args[0]] == nil {
		return errors.New("usage: decodebench decode|receive|corpus [flags]; -help after the command lists them")
	}
	c, err := parse(args[0], args[1:], errw)
	if err != nil {
		return err
	}
	return commands[args[0]](ctx, c, out)
}

func parse(name string, args []string, errw io.Writer) (c config, err error) {
	f := flag.NewFlagSet(name, flag.ContinueOnError)
	f.SetOutput(errw)
	var every []string
	for _, s := range loadgen.Shapes {
		every = append(every, s.Name)
	}
	shapes := f.String("shapes", strings.Join(every, ","), "shapes of records")
	encodings := f.String("encodings", "protobuf,json", "their encodings")
	f.IntVar(&c.rounds, "rounds", 5, "rounds")
	f.DurationVar(&c.length, "for", 300*time.Millisecond, "length of a case in a round")
	f.IntVar(&c.streams, "streams", 1, "of receive: streams at a time")
	f.DurationVar(&c.delay, "delay", 0, "of receive: time that the network takes, each way")
	f.StringVar(&c.dir, "dir", "", "of corpus: the directory to write to")
	f.IntVar(&c.records, "records", 4096, "of corpus: records of a case")
	f.BoolVar(&c.oursOnly, "ours", false, "of decode: our decoder alone")
	if err := f.Parse(args); err != nil {
		return c, err
	}
	if f.NArg() > 0 {
		return c, fmt.Errorf("unexpected argument %q", f.Arg(0))
	}
	if min(c.rounds, c.streams, c.records) < 1 || c.length <= 0 || c.delay < 0 {
		return c, errors.New("-rounds, -streams, -records and -for must be above 0, -delay at least 0")
	}
	for name := range strings.SplitSeq(*shapes, ",") {
		s, err := loadgen.ShapeNamed(name)
		if err != nil {
			return c, err
		}
		c.shapes = append(c.shapes, s)
	}
	for name := range strings.SplitSeq(*encodings, ",") {
		e, err := loadgen.EncodingNamed(name)
		if err != nil {
			return c, err
		}
		c.encodings = append(c.encodings, e)
	}
	return c, nil
}
