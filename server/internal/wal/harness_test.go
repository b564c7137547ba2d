package wal_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/zerobus-go/zerobus/server/internal/wal"
	"github.com/zerobus-go/zerobus/server/internal/wal/waltest"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	dir = "/log"
	// Three entries of this size fill a segment of small options.
	third = 4000
)

// small gives options under which segments fill soon.
func small(d *waltest.Disk) wal.Options {
	return wal.Options{
		Dir:             dir,
		FS:              d,
		SegmentBytes:    16 << 10,
		MaxEntryBytes:   6 << 10,
		MaxPendingBytes: 16 << 10,
		MaxBytes:        32 * 16 << 10,
		Logger:          slog.New(slog.DiscardHandler),
	}
}

func open(t testing.TB, o wal.Options) *wal.Local {
	t.Helper()
	l, err := wal.Open(o)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func table(n int) (id wal.TableID) {
	id[0], id[15] = 0x7a, byte(n)
	return id
}

// put appends one entry and waits for its result.
func put(l wal.Log, tab wal.TableID, payload []byte) (uint64, error) {
	type result struct {
		seq uint64
		err error
	}
	c := make(chan result, 1)
	if err := l.Append(context.Background(), nil, tab, payload, func(seq uint64, err error) { c <- result{seq, err} }); err != nil {
		return 0, err
	}
	r := <-c
	return r.seq, r.err
}

func mustPut(t testing.TB, l wal.Log, tab wal.TableID, payload []byte) uint64 {
	t.Helper()
	seq, err := put(l, tab, payload)
	if err != nil {
		t.Fatalf("append: %v", err)
	}
	return seq
}

type record struct {
	seq     uint64
	table   wal.TableID
	payload string
}

func replay(l wal.Log) (all []record, err error) {
	err = l.Replay(context.Background(), func(e wal.Entry) error {
		all = append(all, record{e.Seq, e.Table, string(e.Payload)})
		return nil
	})
	return all, err
}

func mustReplay(t testing.TB, l wal.Log) []record {
	t.Helper()
	all, err := replay(l)
	if err != nil {
		t.Fatalf("replay: %v", err)
	}
	return all
}

func segmentName(n int) string { return filepath.Join(dir, fmt.Sprintf("%020d.wal", n)) }

// oracle knows what a log must hold.
type oracle struct {
	tried   map[string]wal.TableID // payloads, each unique, that were given to Append
	known   map[uint64]record      // acknowledged, or seen by Replay
	trimmed map[wal.TableID]uint64
	max     uint64 // greatest known seq
}

func newOracle() *oracle {
	return &oracle{tried: map[string]wal.TableID{}, known: map[uint64]record{}, trimmed: map[wal.TableID]uint64{}}
}

// learn takes an entry for known: from now on it must stay as it is.
func (o *oracle) learn(r record) error {
	if old, ok := o.known[r.seq]; ok && old != r {
		return fmt.Errorf("entry %d was %q of %s, now it is %q of %s", r.seq, brief(old.payload), old.table, brief(r.payload), r.table)
	}
	if tab, ok := o.tried[r.payload]; !ok || tab != r.table {
		return fmt.Errorf("entry %d, %q of %s, was never appended", r.seq, brief(r.payload), r.table)
	}
	o.known[r.seq] = r
	o.max = max(o.max, r.seq)
	return nil
}

// check compares what Replay gave.
func (o *oracle) check(all []record) error {
	var last uint64
	seen := map[uint64]bool{}
	once := map[string]uint64{}
	for _, r := range all {
		if r.seq <= last {
			return fmt.Errorf("entry %d comes after %d", r.seq, last)
		}
		last = r.seq
		seen[r.seq] = true
		if old, ok := once[r.payload]; ok {
			return fmt.Errorf("entry %d is entry %d again", r.seq, old)
		}
		once[r.payload] = r.seq
	}
	for seq, r := range o.known {
		if !seen[seq] && seq > o.trimmed[r.table] {
			return fmt.Errorf("entry %d, %q of %s, is lost", seq, brief(r.payload), r.table)
		}
	}
	for _, r := range all {
		if err := o.learn(r); err != nil {
			return err
		}
	}
	return nil
}

func brief(s string) string { return s[:min(len(s), 24)] }

// session opens the log, checks what it replays, works with it at random for some steps, and leaves it open. It
// returns nil for the log if the disk stopped it while opening.
func (o *oracle) session(r *rand.Rand, opts wal.Options, steps int) (*wal.Local, error) {
	l, err := wal.Open(opts)
	if err != nil {
		if errors.Is(err, waltest.ErrStopped) || errors.Is(err, errInjected) {
			return nil, nil
		}
		return nil, fmt.Errorf("open: %w", err)
	}
	all, err := replay(l)
	if err != nil && !errors.Is(err, waltest.ErrStopped) && !errors.Is(err, errInjected) && !errors.Is(err, wal.ErrPoisoned) {
		return l, fmt.Errorf("replay: %w", err)
	}
	if err == nil {
		if err := o.check(all); err != nil {
			return l, err
		}
		if next := l.Stats().NextSeq; next <= o.max {
			return l, fmt.Errorf("the next entry is %d, but %d was given before", next, o.max)
		}
	}

	var (
		mu      sync.Mutex
		wait    sync.WaitGroup
		failure error
		last    = l.Stats().NextSeq - 1
		acked   = map[wal.TableID]uint64{}
	)
	for range steps {
		tab := table(r.IntN(3))
		if r.IntN(8) == 0 {
			mu.Lock()
			upTo := acked[tab]
			if upTo > 0 {
				o.trimmed[tab] = max(o.trimmed[tab], upTo)
			}
			mu.Unlock()
			if upTo > 0 {
				l.Trim(tab, upTo)
			}
		}
		size := r.IntN(200)
		if r.IntN(4) == 0 {
			size = r.IntN(opts.MaxEntryBytes - 40)
		}
		payload := fmt.Sprintf("%016x %016x ", r.Uint64(), r.Uint64()) + strings.Repeat(string(rune('a'+r.IntN(26))), size)
		mu.Lock()
		o.tried[payload] = tab
		mu.Unlock()
		wait.Add(1)
		err := l.Append(context.Background(), nil, tab, []byte(payload), func(seq uint64, err error) {
			defer wait.Done()
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				if seq != 0 {
					failure = fmt.Errorf("done gave %d with error %v", seq, err)
				}
				return
			}
			if seq != last+1 {
				failure = fmt.Errorf("done gave %d after %d", seq, last)
			}
			last = seq
			acked[tab] = seq
			if err := o.learn(record{seq, tab, payload}); err != nil {
				failure = err
			}
		})
		if err != nil {
			wait.Done()
			if errors.Is(err, wal.ErrPoisoned) {
				break
			}
			if !errors.Is(err, wal.ErrFull) {
				return l, fmt.Errorf("append: %w", err)
			}
		}
		if r.IntN(3) == 0 {
			wait.Wait()
		}
	}
	wait.Wait()
	mu.Lock()
	defer mu.Unlock()
	return l, failure
}

var errInjected = errors.New("injected")

// flip returns data with one bit changed.
func flip(data []byte, bit int) []byte {
	c := bytes.Clone(data)
	c[bit/8] ^= 1 << (bit % 8)
	return c
}
