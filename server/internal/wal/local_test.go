package wal_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/zerobus-go/zerobus/server/internal/wal"
	"github.com/zerobus-go/zerobus/server/internal/wal/waltest"
)

// eventually waits for what the stock does in the background.
func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !cond(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}

// gate lets a test hold the log's fdatasyncs. Each value that is sent to open lets one pass.
type gate struct {
	reached chan struct{} // an fdatasync of a segment has come
	open    chan struct{}
}

func newGate(d *waltest.Disk) *gate {
	g := &gate{make(chan struct{}), make(chan struct{})}
	d.Hook(func(op waltest.Op) error {
		if op.Kind == "datasync" && strings.HasSuffix(op.Name, ".wal") {
			g.reached <- struct{}{}
			<-g.open
		}
		return nil
	})
	return g
}

func (g *gate) pass() {
	<-g.reached
	g.open <- struct{}{}
}

func TestLocal_RoundTrip(t *testing.T) {
	systems := map[string]func(t *testing.T) wal.Options{
		"memory": func(*testing.T) wal.Options { return small(waltest.New()) },
		"os": func(t *testing.T) wal.Options {
			o := small(nil)
			o.FS, o.Dir = nil, filepath.Join(t.TempDir(), "a", "log")
			return o
		},
	}
	for name, options := range systems {
		t.Run(name, func(t *testing.T) {
			o := options(t)
			l := open(t, o)
			id := l.ID()
			if len(id) != 36 {
				t.Errorf("id is %q", id)
			}
			if got := mustReplay(t, l); len(got) != 0 {
				t.Errorf("a new log replays %v", got)
			}
			var want []record
			for i := range 40 {
				payload := strings.Repeat(string(rune('a'+i%26)), i*i*3)
				tab := table(i % 3)
				seq := mustPut(t, l, tab, []byte(payload))
				if seq != uint64(i+1) {
					t.Fatalf("entry %d has number %d", i+1, seq)
				}
				want = append(want, record{seq, tab, payload})
			}
			if n := l.Stats().Segments; n < 3 {
				t.Errorf("only %d segments: the test is too small", n)
			}
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}

			for range 2 {
				l = open(t, o)
				if l.ID() != id {
					t.Errorf("id was %s, is %s", id, l.ID())
				}
				for range 2 {
					if diff := cmp.Diff(want, mustReplay(t, l), cmp.AllowUnexported(record{})); diff != "" {
						t.Fatalf("replay (-want +got):\n%s", diff)
					}
				}
				if r := l.Recovery(); r.Cut != nil || r.Entries != uint64(len(want)) {
					t.Errorf("recovery is %+v after Close", r)
				}
				seq := mustPut(t, l, table(9), []byte("more"))
				if seq != uint64(len(want)+1) {
					t.Errorf("after reopening an entry has number %d, want %d", seq, len(want)+1)
				}
				want = append(want, record{seq, table(9), "more"})
				if err := l.Close(); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

func TestLocal_FilesAreForTheOwnerOnly(t *testing.T) {
	o := small(nil)
	o.FS, o.Dir = nil, filepath.Join(t.TempDir(), "log")
	l := open(t, o)
	mustPut(t, l, table(1), []byte("x"))
	info, err := os.Stat(o.Dir)
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("directory: %v, %v", info.Mode(), err)
	}
	files, err := os.ReadDir(o.Dir)
	if err != nil || len(files) < 3 {
		t.Fatalf("files: %v, %v", files, err)
	}
	for _, f := range files {
		if info, err := f.Info(); err == nil && info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v", f.Name(), info.Mode())
		}
	}
}

func TestLocal_IsLockedWhileOpen(t *testing.T) {
	osOptions := small(nil)
	osOptions.FS, osOptions.Dir = nil, t.TempDir()
	for name, o := range map[string]wal.Options{"memory": small(waltest.New()), "os": osOptions} {
		t.Run(name, func(t *testing.T) {
			l := open(t, o)
			_, err := wal.Open(o)
			if !errors.Is(err, wal.ErrLocked) {
				t.Fatalf("second open: %v", err)
			}
			if !strings.Contains(err.Error(), o.Dir) {
				t.Errorf("%q does not name the directory", err)
			}
			if name == "os" && !strings.Contains(err.Error(), fmt.Sprint(os.Getpid())) {
				t.Errorf("%q does not name the process", err)
			}
			mustPut(t, l, table(1), []byte("still works"))
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			open(t, o)
		})
	}
}

func TestLocal_OneSyncForAllThatWaited(t *testing.T) {
	d := waltest.New()
	l := open(t, small(d))
	g := newGate(d)
	var wait sync.WaitGroup
	wait.Go(func() { mustPut(t, l, table(0), []byte("first")) })
	<-g.reached
	before := l.Stats().Syncs
	const n = 64
	for i := range n {
		wait.Go(func() {
			if _, err := put(l, table(i), []byte("record")); err != nil {
				t.Error(err)
			}
		})
	}
	eventually(t, "all are queued", func() bool { return l.Stats().Pending == n })
	g.open <- struct{}{}
	g.pass()
	wait.Wait()
	if got := l.Stats().Syncs - before; got != 2 {
		t.Errorf("%d syncs for 1 + %d entries, want 2", got, n)
	}
	d.Hook(nil)
}

func TestLocal_CloseTellsHowManySyncsTheEntriesTook(t *testing.T) {
	var text strings.Builder
	o := small(waltest.New())
	o.Logger = slog.New(slog.NewTextHandler(&text, nil))
	l := open(t, o)
	const n = 3 // one at a time, so each is a group of its own
	for range n {
		mustPut(t, l, table(1), []byte("record"))
	}
	s := l.Stats()
	if s.Entries != n || s.Syncs != n || s.Written < n*int64(len("record")) {
		t.Errorf("%d entries, %d syncs, %d bytes for %d entries of 6 bytes", s.Entries, s.Syncs, s.Written, n)
	}
	for range 2 { // the second Close has nothing to tell
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	want := fmt.Sprintf("msg=\"write-ahead log closed\" entries=%d syncs=%d bytes=%d\n", n, n, s.Written)
	if got := text.String(); strings.Count(got, "write-ahead log closed") != 1 || !strings.HasSuffix(got, want) {
		t.Errorf("logged %q, want the end %q", got, want)
	}

	// They count from Open: what is replayed was made durable by somebody else.
	l = open(t, o)
	if s := l.Stats(); s.Entries != 0 || s.Syncs != 0 || s.Written != 0 {
		t.Errorf("after Open: %+v", s)
	}
}

func TestLocal_DoneComesInOrder(t *testing.T) {
	d := waltest.New()
	l := open(t, small(d))
	var (
		mu   sync.Mutex
		seqs []uint64
		wait sync.WaitGroup
	)
	const appenders, each = 8, 50
	for a := range appenders {
		wait.Go(func() {
			var last uint64
			for i := range each {
				c := make(chan uint64, 1)
				err := l.Append(context.Background(), nil, table(a), []byte(strings.Repeat("p", i*3)), func(seq uint64, err error) {
					if err != nil {
						t.Error(err)
					}
					mu.Lock()
					seqs = append(seqs, seq)
					mu.Unlock()
					c <- seq
				})
				if err != nil {
					t.Error(err)
					return
				}
				if seq := <-c; seq <= last {
					t.Errorf("%d after %d", seq, last)
				} else {
					last = seq
				}
			}
		})
	}
	wait.Wait()
	if len(seqs) != appenders*each {
		t.Fatalf("%d calls of done, want %d", len(seqs), appenders*each)
	}
	for i, seq := range seqs {
		if seq != uint64(i+1) {
			t.Fatalf("call %d of done is for entry %d", i+1, seq)
		}
	}
}

func TestLocal_AppendWaitsForRoomAndHonoursContext(t *testing.T) {
	d := waltest.New()
	o := small(d)
	l := open(t, o)
	g := newGate(d)
	payload := make([]byte, o.MaxEntryBytes)
	var queued sync.WaitGroup
	add := func() {
		queued.Add(1)
		err := l.Append(context.Background(), nil, table(1), payload, func(_ uint64, err error) {
			if err != nil {
				t.Error(err)
			}
			queued.Done()
		})
		if err != nil {
			t.Error(err)
			queued.Done()
		}
	}
	for range o.MaxPendingBytes / int64(o.MaxEntryBytes+48) {
		add()
	}
	<-g.reached // what is being written counts

	ctx, cancel := context.WithCancel(context.Background())
	refused := make(chan error)
	go func() {
		refused <- l.Append(ctx, nil, table(1), payload, func(uint64, error) { t.Error("done was called for an entry that was not queued") })
	}()
	select {
	case err := <-refused:
		t.Fatalf("Append did not wait: %v", err)
	case <-time.After(10 * time.Millisecond):
	}
	cancel()
	if err := <-refused; !errors.Is(err, context.Canceled) {
		t.Errorf("Append gives %v", err)
	}

	waiting := make(chan struct{})
	go func() { add(); close(waiting) }()
	go func() {
		for range g.reached {
			g.open <- struct{}{}
		}
	}()
	g.open <- struct{}{}
	<-waiting
	queued.Wait()
	d.Hook(nil)
	close(g.reached)
}

func TestLocal_CloseWritesWhatIsQueued(t *testing.T) {
	d := waltest.New()
	l := open(t, small(d))
	g := newGate(d)
	var done sync.WaitGroup
	const n = 10
	done.Add(n)
	for i := range n {
		err := l.Append(context.Background(), nil, table(1), []byte{byte(i)}, func(seq uint64, err error) {
			if err != nil || seq != uint64(i+1) {
				t.Errorf("entry %d: %d, %v", i, seq, err)
			}
			done.Done()
		})
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			<-g.reached
		}
	}
	closed := make(chan error)
	for range 2 {
		go func() { closed <- l.Close() }()
	}
	eventually(t, "closing", func() bool {
		_, err := replay(l)
		return errors.Is(err, wal.ErrClosed)
	})
	d.Hook(nil)
	g.open <- struct{}{}
	done.Wait()
	for range 2 {
		if err := <-closed; err != nil {
			t.Error(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if got := mustReplay(t, open(t, small(d))); len(got) != n {
		t.Errorf("%d entries after Close, want %d", len(got), n)
	}
}

func TestLocal_RefusesMisuse(t *testing.T) {
	o := small(waltest.New())
	l := open(t, o)
	never := func(uint64, error) { t.Error("done was called") }
	ctx := context.Background()

	if err := l.Append(ctx, nil, table(1), make([]byte, o.MaxEntryBytes+1), never); !errors.Is(err, wal.ErrTooLarge) {
		t.Errorf("too large: %v", err)
	}
	over, cancel := context.WithCancel(ctx)
	cancel()
	if err := l.Append(over, nil, table(1), nil, never); !errors.Is(err, context.Canceled) {
		t.Errorf("context is over: %v", err)
	}
	mustPut(t, l, table(1), make([]byte, o.MaxEntryBytes))
	mustPut(t, l, table(1), nil)
	if _, err := replay(l); err == nil {
		t.Error("Replay after Append is taken")
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := l.Append(ctx, nil, table(1), nil, never); !errors.Is(err, wal.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
	if _, err := replay(l); !errors.Is(err, wal.ErrClosed) {
		t.Errorf("Replay after Close: %v", err)
	}

	l = open(t, o)
	errMine := errors.New("mine")
	calls := 0
	err := l.Replay(ctx, func(wal.Entry) error {
		calls++
		if err := l.Append(ctx, nil, table(1), nil, never); err == nil {
			t.Error("Append during Replay is taken")
		}
		return errMine
	})
	if err != errMine || calls != 1 {
		t.Errorf("Replay gives %v after %d calls", err, calls)
	}
	if err := l.Replay(over, func(wal.Entry) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("Replay with a context that is over: %v", err)
	}
}

func TestOptions_ValidateNamesEveryFault(t *testing.T) {
	if err := (wal.Options{Dir: "x"}).Validate(); err != nil {
		t.Errorf("defaults: %v", err)
	}
	bad := wal.Options{SegmentBytes: 100_001, MaxPendingBytes: 10, MaxBytes: 100_000, MaxEntryBytes: 200_000, Recycled: -1}
	err := bad.Validate()
	if err == nil {
		t.Fatal("taken")
	}
	for _, name := range []string{"Dir", "SegmentBytes", "MaxPendingBytes", "MaxBytes", "MaxEntryBytes", "Recycled"} {
		if !strings.Contains(err.Error(), name+" is ") {
			t.Errorf("%s is not named in %q", name, err)
		}
	}
	if _, err := wal.Open(bad); err == nil {
		t.Error("Open takes what Validate refuses")
	}
}

// With slots and slabs in use again, an entry costs no allocation of the log's.
func TestLocal_AppendDoesNotAllocate(t *testing.T) {
	o := small(nil)
	o.FS, o.Dir = nil, t.TempDir()
	o.SegmentBytes, o.MaxPendingBytes, o.MaxBytes = 8<<20, 1<<20, 64<<20
	l := open(t, o)
	payload := make([]byte, 1024)
	c := make(chan struct{}, 16)
	done := func(_ uint64, err error) {
		if err != nil {
			t.Error(err)
		}
		c <- struct{}{}
	}
	run := func() {
		for range 16 {
			if err := l.Append(context.Background(), nil, table(1), payload, done); err != nil {
				t.Fatal(err)
			}
		}
		for range 16 {
			<-c
		}
	}
	run()
	if n := testing.AllocsPerRun(50, run); n > 1 {
		t.Errorf("%v allocations for 16 entries", n)
	}
}
