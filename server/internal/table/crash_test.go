package table

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/zerobus-go/zerobus/server/internal/catalog"
)

const fewCrashes = 200 // about 28 s of processor time with the race detector, and 4.4 s without

var (
	crashRuns = flag.Int("table.crashes", fewCrashes, "number of seeded crash runs")
	crashSeed = flag.Uint64("table.seed", 1, "seed of the first crash run")
)

// crashLabels are the kinds of operations of the path from Append to the table: of the disk by the kind of file, of the
// lake by log and data. At each a crash must come, and no other may be seen.
var crashLabels = []string{
	"disk create ID.tmp", "disk create spare.tmp",
	"disk datasync spare", "disk datasync wal",
	"disk list directory",
	"disk lock LOCK",
	"disk mkdir directory",
	"disk open ID", "disk open spare", "disk open wal",
	"disk preallocate spare.tmp",
	"disk read ID", "disk read wal",
	"disk remove ID.tmp", "disk remove spare", "disk remove spare.tmp", "disk remove wal",
	"disk rename ID.tmp", "disk rename spare", "disk rename spare.tmp", "disk rename wal",
	"disk sync ID.tmp", "disk sync spare.tmp",
	"disk syncdir directory",
	"disk write ID.tmp", "disk write spare", "disk write spare.tmp", "disk write wal",
	"lake commit data", "lake commit log",
	"lake create data", "lake create log",
	"lake delete data",
	"lake get log",
	"lake list",
	"lake list log",
	"lake open data",
	"lake put if absent log", "lake put log",
	"lake remove all",
	"lake write data", "lake write log",
	"ledger forget",
	"ledger orphans",
	"ledger rewrites",
	"ledger save",
}

// Each run is a few lives of a server's data path: the log on a disk that can lose power, the lake with the durability of the
// local one. A life ends by kill -9 or by a power cut, at any operation of disk or lake, during the start and the shutdown
// too, or in order; some meet an error instead. In the end a clean life commits what there is, and the tables have every
// acknowledged row once, no other row twice, no chunk in part, and each producer's rows in order. Small files are compacted all
// along; no data file without a commit is left.
func TestCrash_DT07_EveryStepOfLogAndTable(t *testing.T) {
	cat, err := catalog.Open(memoryDir(t)+"/catalog.db", catalog.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer cat.Close()
	var (
		sum     summary
		next    atomic.Uint64
		failed  atomic.Bool
		workers = runtime.GOMAXPROCS(0)
	)
	// The histories are short and throw away much; the collector would take a third of the time.
	defer debug.SetGCPercent(debug.SetGCPercent(400))
	t.Run("runs", func(t *testing.T) {
		for i := range workers {
			t.Run(fmt.Sprint(i), func(t *testing.T) {
				t.Parallel()
				for n := next.Add(1); n <= uint64(*crashRuns) && !failed.Load(); n = next.Add(1) {
					if !crashRun(t, cat, *crashSeed+n-1, &sum) {
						failed.Store(true)
					}
				}
			})
		}
	})
	if t.Failed() {
		return
	}
	t.Log(sum.String())
	line := fmt.Sprintf("%d runs, %d acknowledged, 0 lost, 0 doubled", sum.runs, sum.acked)
	t.Log(line)
	if *crashRuns > fewCrashes {
		fmt.Println(line)
	}
	// Other seeds may miss a rare kind by chance when they are few.
	if *crashRuns >= 1000 || *crashRuns >= fewCrashes && *crashSeed == 1 {
		sum.check(t)
	}
}

// crashRun is one seed. False: it failed.
func crashRun(t *testing.T, cat *catalog.Catalog, seed uint64, sum *summary) bool {
	h := newHistory(seed, cat)
	defer func() {
		if p := recover(); p != nil { // synctest's, when all goroutines wait for one another
			panic(fmt.Sprintf("%v\n%s\n  life %d, its last operations:%s", p, h.where(), h.lives, h.story()))
		}
	}()
	synctest.Test(t, func(*testing.T) { h.run() })
	v, err := h.judge(h.cat, h.lake, h.names)
	for id, known := range h.book.tables {
		if len(known.Rewrites) > 0 && err == nil {
			err = fmt.Errorf("the ledger still waits for the files %q of table %x", known.Rewrites, id[:4])
		}
	}
	if failure := h.failure(); failure != nil {
		err = failure
	}
	if err != nil {
		t.Errorf("%v\n%s", err, h.where())
		return false
	}
	sum.add(h, v)
	return true
}

// memoryDir is a directory in memory where there is one: the catalog syncs its file at each change, and is not what is
// tested.
func memoryDir(t *testing.T) string {
	dir, err := os.MkdirTemp("/dev/shm", "zerobus-crash-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// summary is what all runs saw.
type summary struct {
	mu                          sync.Mutex // guards the following
	runs, acked                 int
	lives                       int
	kills, cuts, faults, orders int
	verdict                     verdict
	used, crashed               map[string]int
}

func (s *summary) add(h *history, v verdict) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.used == nil {
		s.used, s.crashed = map[string]int{}, map[string]int{}
	}
	s.runs++
	s.acked += v.acked
	s.lives += h.lives
	s.kills += h.kills
	s.cuts += h.cuts
	s.faults += h.faults
	s.orders += h.orders
	s.verdict.dropped += v.dropped
	s.verdict.unasked += v.unasked
	s.verdict.numbered += v.numbered
	s.verdict.commits += v.commits
	s.verdict.files += v.files
	s.verdict.orphans += v.orphans
	s.verdict.litter += v.litter
	s.verdict.rewrites += v.rewrites
	for label, n := range h.used {
		s.used[label] += n
	}
	for label, n := range h.crashed {
		s.crashed[label] += n
	}
}

func (s *summary) String() string {
	ops, hits := 0, 0
	for _, n := range s.used {
		ops += n
	}
	for _, n := range s.crashed {
		hits += n
	}
	return fmt.Sprintf("%d lives: %d killed, %d without power, %d ended in order, %d met an error; %d operations of %d kinds, %d crashes at %d kinds; "+
		"%d commits, %d of them compactions, %d files, %d orphans, %d objects of dropped tables, %d rows of producers with a name, %d rows that nobody was told of, %d acknowledged rows of dropped tables",
		s.lives, s.kills, s.cuts, s.orders, s.faults, ops, len(s.used), hits, len(s.crashed),
		s.verdict.commits, s.verdict.rewrites, s.verdict.files, s.verdict.orphans, s.verdict.litter, s.verdict.numbered, s.verdict.unasked, s.verdict.dropped)
}

// check fails the test when it did not test what it is for.
func (s *summary) check(t *testing.T) {
	for _, label := range slices.Sorted(maps.Keys(s.used)) {
		t.Logf("%-40s %7d operations, %4d crashes", label, s.used[label], s.crashed[label])
		if !slices.Contains(crashLabels, label) {
			t.Errorf("%s is not in the list of crashLabels", label)
		}
	}
	for _, label := range crashLabels {
		rare := s.runs < 1000 && s.used[label] > 0 && s.used[label] < 500 // few runs may pass it by
		if s.crashed[label] == 0 && !rare {
			t.Errorf("no crash came at %s, of which there were %d", label, s.used[label])
		}
	}
	if s.verdict.rewrites < s.runs {
		t.Errorf("only %d compactions were committed", s.verdict.rewrites)
	}
	if s.acked < 100*s.runs {
		t.Errorf("only %d rows were acknowledged", s.acked)
	}
}
