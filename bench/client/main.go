package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

func main() {
	if err := command(os.Args[1:]); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench/client:", err)
		os.Exit(1)
	}
}

func command(args []string) error {
	flags := flag.NewFlagSet("client", flag.ContinueOnError)
	isQuick := flags.Bool("quick", false, "measure the ratios that matter, and print them as one line of JSON")
	asJSON := flags.Bool("json", false, "print a line of JSON for every case, instead of tables")
	groups := flags.String("group", "", "measure the groups of cases that match this regular expression only")
	names := flags.String("case", "", "measure the cases whose name matches this regular expression only, see -list")
	client := flags.String("client", "", "measure this client only: zerobus or baseline")
	reps := flags.Int("reps", 5, "repetitions")
	seconds := flags.Float64("seconds", 1, "length of a run, after 0.3 s to warm up")
	out := flags.String("out", "", "write client.json, client.md and the plots to this directory; with -group, keep the others that are there")
	from := flags.String("from", "", "measure nothing: make tables and plots of the client.json in this directory")
	profile := flags.String("profile", "", "write a CPU profile of each case's last run to this directory")
	list := flags.Bool("list", false, "list the cases")

	isSink := flags.Bool("sink", false, "be a sink (for the program itself, as are the next three)")
	sinkTLS := flags.Bool("tls", false, "of a sink: speak TLS")
	sinkDelay := flags.Duration("delay", 0, "of a sink: acknowledge after this time")
	isWorker := flags.Bool("worker", false, "make the run that standard input describes")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	switch {
	case *isSink:
		return serve(kind{*sinkTLS, *sinkDelay}, os.Stdin, os.Stdout)
	case *isWorker:
		return work(os.Stdin, os.Stdout)
	case *from != "":
		ms, err := readMeasurements(filepath.Join(*from, "client.json"))
		if err != nil {
			return err
		}
		if *out == "" {
			return printTables(os.Stdout, ms.Measurements)
		}
		return writePage(*out, ms)
	}

	cases := all()
	if *isQuick {
		cases = quick()
	}
	chosen, err := choose(cases, *groups, *names, *client)
	if err != nil {
		return err
	}
	if *list {
		for _, c := range chosen {
			fmt.Printf("%-10s %v\n", c.Group, c)
		}
		return nil
	}

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	self, err := os.Executable()
	if err != nil {
		return err
	}
	b := &bencher{
		self: self, reps: *reps, profile: *profile, warm: 300 * time.Millisecond,
		measure: time.Duration(*seconds * float64(time.Second)), sinks: map[kind]*sinkProcess{}, tell: progress(os.Stderr),
	}
	if *isQuick {
		b.warm, b.measure = 100*time.Millisecond, min(b.measure, 500*time.Millisecond)
	}
	defer b.close()
	ms, err := b.all(ctx, chosen)
	if err != nil {
		return err
	}
	report := Report{
		Command: "go run ./bench/client " + strings.Join(args, " "), Date: time.Now().UTC().Format(time.DateOnly),
		Machine: describeMachine(), Reps: *reps, Measurements: ms,
	}
	switch {
	case *isQuick:
		return json.NewEncoder(os.Stdout).Encode(verdict(ms))
	case *out != "":
		if *groups != "" {
			if report, err = merge(*out, report); err != nil {
				return err
			}
		}
		return writePage(*out, report)
	case *asJSON:
		enc := json.NewEncoder(os.Stdout)
		for _, m := range ms {
			if err := enc.Encode(summarize(m)); err != nil {
				return err
			}
		}
		return nil
	}
	return printTables(os.Stdout, ms)
}

// choose returns the cases that match, for one client if it is given.
func choose(cases []Case, groups, names, client string) (chosen []Case, err error) {
	group, err := regexp.Compile(groups)
	if err != nil {
		return nil, err
	}
	name, err := regexp.Compile(names)
	if err != nil {
		return nil, err
	}
	for _, c := range cases {
		if !group.MatchString(c.Group) || !name.MatchString(c.String()) || client != "" && !slices.Contains(c.clients(), client) {
			continue
		}
		if client != "" {
			c.Only = client
		}
		chosen = append(chosen, c)
	}
	if len(chosen) == 0 {
		return nil, errors.New("no case matches; -list shows them all")
	}
	return chosen, nil
}

// merge puts the groups of a report in the place of those in the client.json of a directory, if there is one.
func merge(dir string, r Report) (Report, error) {
	old, err := readMeasurements(filepath.Join(dir, "client.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return r, nil
	}
	if err != nil {
		return r, err
	}
	if old.Machine != r.Machine || old.Reps != r.Reps {
		return r, fmt.Errorf("%s has results of another machine or number of repetitions; remove them first", dir)
	}
	fresh := groupsOf(r.Measurements)
	kept := slices.DeleteFunc(old.Measurements, func(m Measurement) bool { return slices.Contains(fresh, m.Case.Group) })
	order := groupsOf(append(slices.Clone(kept), r.Measurements...))
	for _, c := range all() { // in the order of a full run
		if i := slices.Index(order, c.Group); i >= 0 {
			order = append(slices.Delete(order, i, i+1), c.Group)
		}
	}
	everything := append(kept, r.Measurements...)
	slices.SortStableFunc(everything, func(a, b Measurement) int {
		return slices.Index(order, a.Case.Group) - slices.Index(order, b.Case.Group)
	})
	r.Measurements = everything
	r.Command = old.Command + "\n" + r.Command
	return r, nil
}
