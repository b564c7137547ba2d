package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/term"
)

// config is the command line.
type config struct {
	kills, terms, fulls int
	streams             int
	seed                uint64
	interval            time.Duration
	rate                float64
	bin, dir, python    string
	reader, disk        string
	producers           bool
}

// Exit statuses beside 0, 1 and 2.
const (
	noDisk      = 3
	interrupted = 130
)

// errUsage is a wrong command line, which was told already.
var errUsage = errors.New("wrong flags")

func parse(args []string, errw io.Writer) (config, error) {
	var c config
	f := flag.NewFlagSet("blackbox", flag.ContinueOnError)
	f.SetOutput(errw)
	f.IntVar(&c.kills, "kills", 100, "how often the server is killed with signal 9")
	f.IntVar(&c.terms, "terms", 20, "how often it is ended with SIGTERM")
	f.IntVar(&c.fulls, "full", 5, "how often its disk is full")
	f.IntVar(&c.streams, "streams", 8, "how many streams ingest")
	f.Uint64Var(&c.seed, "seed", 1, "decides what happens when")
	f.DurationVar(&c.interval, "interval", 2*time.Second, "mean time between two of these")
	f.Float64Var(&c.rate, "rate", 50_000, "records a second of all streams; 0: as many as possible")
	f.BoolVar(&c.producers, "producers", true, "streams have producer ids: no record may be there twice, also when it was sent again")
	f.StringVar(&c.bin, "bin", "", "the zerobus binary (default: it is built)")
	f.StringVar(&c.dir, "dir", "", "directory for everything, empty or new (default: a temporary one, removed if all is well)")
	f.StringVar(&c.python, "python", "", "Python with deltalake (default: that of interop/.venv)")
	f.StringVar(&c.reader, "reader", "delta-rs", "who reads the table: delta-rs, or parquet-go without Python")
	f.StringVar(&c.disk, "disk", "", "the disk: userns, tmpfs, ext4 or plain, see the package (default: the first that works, plain without full disks)")
	if err := f.Parse(args); err != nil {
		return c, err // was told
	}
	var faults []string
	fault := func(bad bool, text string) {
		if bad {
			faults = append(faults, text)
		}
	}
	fault(f.NArg() > 0, "there are no arguments beside flags")
	fault(c.kills < 0 || c.terms < 0 || c.fulls < 0 || c.rate < 0 || c.interval < 0, "numbers cannot be negative")
	fault(c.streams < 1, "there is at least 1 stream")
	fault(c.reader != "delta-rs" && c.reader != "parquet-go", "-reader is delta-rs or parquet-go")
	fault(!strings.Contains(" userns tmpfs ext4 plain ", " "+c.disk+" ") && c.disk != "", "-disk is userns, tmpfs, ext4 or plain")
	fault(c.fulls > 0 && c.disk == string(plain), "a plain disk cannot be filled: use -full 0")
	if len(faults) > 0 {
		fmt.Fprintf(errw, "blackbox: %s\n", strings.Join(faults, "; "))
		return c, errUsage
	}
	return c, nil
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	os.Exit(program(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// program is the whole of it. With full disks it is two processes: the outer one makes the directory and finds a way to
// mount a small disk, the inner one mounts it and does the rest.
func program(ctx context.Context, args []string, out, errw io.Writer) int {
	c, err := parse(args, errw)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	}
	if mode, inner := os.LookupEnv(wayEnv); inner {
		w, probe := strings.CutSuffix(mode, probing)
		return within(ctx, c, way(w), os.Getenv(dirEnv), probe, out, errw)
	}
	made := c.dir == ""
	dir, err := makeDir(c.dir)
	if err != nil {
		fmt.Fprintln(errw, "blackbox:", err)
		return 1
	}
	w := way(c.disk)
	if w == "" && c.fulls == 0 {
		w = plain
	}
	code := 0
	if w != plain {
		among := ways
		if w != "" {
			among = []way{w}
		}
		if w, err = chooseWay(ctx, among, dir); err != nil {
			fmt.Fprintln(errw, "blackbox:", err)
			code = noDisk
		} else if code, err = again(ctx, w, dir, "", out, errw); err != nil {
			fmt.Fprintln(errw, "blackbox:", err)
			code = 1
		}
	} else {
		code = within(ctx, c, plain, dir, false, out, errw)
	}
	if made && (code == 0 || code == interrupted || code == noDisk) {
		if err := os.RemoveAll(dir); err != nil {
			fmt.Fprintln(errw, "blackbox:", err)
		}
	}
	return code
}

// makeDir returns an absolute path of an empty directory.
func makeDir(name string) (string, error) {
	if name == "" {
		return os.MkdirTemp("", "zerobus-blackbox-")
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

// within mounts the disk, and does the run unless that was all to find out.
func within(ctx context.Context, c config, w way, dir string, probe bool, out, errw io.Writer) int {
	d, err := mount(w, dir)
	if err == nil && !probe {
		err = do(ctx, c, d, dir, out)
	}
	switch {
	case err == nil:
		return 0
	case probe:
		fmt.Fprintln(errw, errors.Join(err, d.discard()))
		return noDisk
	}
	fmt.Fprintln(errw, "blackbox:", err)
	if ctx.Err() != nil {
		return interrupted
	}
	kept := d.dir
	if w != plain && d.dir != "" { // the mount ends with this process
		kept = filepath.Join(dir, "kept")
		if err := os.CopyFS(kept, os.DirFS(d.dir)); err != nil {
			fmt.Fprintln(errw, "blackbox: the data directory could not be kept:", err)
		}
	}
	fmt.Fprintf(errw, "blackbox: data directory: %s; the server and the SDK said: %s %s\n", kept, filepath.Join(dir, "serve.log"), filepath.Join(dir, "sdk.log"))
	return 1
}

// do is a run with its verdict.
func do(ctx context.Context, c config, d *disk, dir string, out io.Writer) error {
	r := newRand(c.seed, 0)
	root, err := repository()
	if err != nil {
		return err
	}
	if c.python == "" {
		c.python = filepath.Join(root, "interop", ".venv", "bin", "python")
	}
	if c.reader == "delta-rs" {
		if o, err := exec.CommandContext(ctx, c.python, "-c", "import deltalake, pyarrow").CombinedOutput(); err != nil {
			return fmt.Errorf("no Python with deltalake: run ./interop/venv, or read with -reader parquet-go: %w\n%s", err, o)
		}
	}
	if c.bin == "" {
		c.bin = filepath.Join(dir, "zerobus")
		build := exec.CommandContext(ctx, "go", "build", "-o", c.bin, "./server/cmd/zerobus")
		build.Dir = root
		if o, err := build.CombinedOutput(); err != nil {
			return fmt.Errorf("go build: %w\n%s", err, o)
		}
	}
	if c.bin, err = filepath.Abs(c.bin); err != nil {
		return err
	}
	logFile, err := os.Create(filepath.Join(dir, "serve.log"))
	if err != nil {
		return err
	}
	defer logFile.Close()
	sdkFile, err := os.Create(filepath.Join(dir, "sdk.log"))
	if err != nil {
		return err
	}
	defer sdkFile.Close()
	grpc, http, err := freePorts(newRand(uint64(time.Now().UnixNano()), uint64(os.Getpid())))
	if err != nil {
		return err
	}
	h := &harness{
		cfg: c, disk: d, load: &load{producers: c.producers, log: slog.New(slog.NewTextHandler(sdkFile, nil))}, rand: r,
		server: &server{bin: c.bin, data: filepath.Join(d.dir, "data"), grpc: grpc, http: http, log: &serverLog{file: logFile}},
	}
	plan := newPlan(r, c.kills, c.terms, c.fulls, c.streams, c.interval)
	fmt.Fprintf(out, "%d streams into zerobus serve, %d kills, %d terminations, %d full disks, seed %d, disk %s, %s\n",
		c.streams, c.kills, c.terms, c.fulls, c.seed, d.way, runtime.Version())

	var at atomic.Pointer[string]
	tell := func(e event, i int) {
		s := fmt.Sprintf("%d of %d, next: %v", i, len(plan), e.kind)
		at.Store(&s)
	}
	begun := "0 of " + fmt.Sprint(len(plan))
	at.Store(&begun)
	began := time.Now()
	end := show(out, isTerminal(out), func() string {
		n := h.load.acked.Load()
		return fmt.Sprintf("%s | %s acknowledged, %s/s", *at.Load(), grouped(n), grouped(int64(float64(n)/time.Since(began).Seconds())))
	})
	err = h.run(ctx, plan, tell)
	end()
	if err != nil {
		if ctx.Err() != nil {
			err = errors.New("interrupted")
		}
		return errors.Join(append([]error{err}, asErrors(h.faults)...)...)
	}
	return h.verify(ctx, root, out)
}

// verify reads the table and judges it.
func (h *harness) verify(ctx context.Context, root string, out io.Writer) error {
	b, err := h.server.tool(ctx, "table", "describe", tableName, "--json")
	if err != nil {
		return err
	}
	var table struct{ Location string }
	if err := json.Unmarshal(b, &table); err != nil {
		return fmt.Errorf("zerobus table describe: %w", err)
	}
	var (
		ledgers []*ledger
		given   []int64
	)
	for _, w := range h.writers {
		ledgers = append(ledgers, &w.ledger)
		n, _ := w.ledger.totals()
		given = append(given, n)
	}
	t := newTally(given)
	var read reading
	if h.cfg.reader == "delta-rs" {
		read, err = readDeltaRS(ctx, h.cfg.python, filepath.Join(root, "interop", "blackbox.py"), table.Location, t.add)
	} else {
		read, err = readGo(table.Location, t.add)
	}
	if err != nil {
		return err
	}
	if read.Rows != t.rows {
		h.fault("%s has read %d rows and told of %d", read.reader, read.Rows, t.rows)
	}
	v := t.judge(ledgers, h.cfg.producers)
	h.faults = append(append(h.faults, read.bad...), v.faults...)
	for _, line := range h.details(read) {
		fmt.Fprintln(out, line)
	}
	fmt.Fprintln(out, h.summary(v))
	return errors.Join(asErrors(h.faults)...)
}

func asErrors(texts []string) (errs []error) {
	for _, t := range texts {
		errs = append(errs, errors.New(t))
	}
	return errs
}

// repository is the root of our working copy, above the working directory.
func repository() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "interop", "blackbox.py")); err == nil {
			return dir, nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", errors.New("run it within the repository")
		}
		dir = up
	}
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
