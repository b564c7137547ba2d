package lake

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var (
	lakeCrashes = flag.Int("lake.crashes", 300, "number of seeded crash runs of the local store")
	lakeSeed    = flag.Uint64("lake.seed", 1, "seed of the first one")
)

var errStopped = errors.New("the process is gone")

// disk is the directory of a Local as a crash finds it. It follows the steps by the store's own hook: what a step changed is
// durable when a later one has synced it.
//
// A kill stops at a step: that and all later ones do not happen. A power cut also takes back changes of directories that were
// not synced, the latest ones first, and cuts files that were not synced at any length.
type disk struct {
	t      *testing.T
	r      *rand.Rand
	l      *Local
	stopAt int // the step at which the process ends, from 1
	step   int
	seen   map[string]bool // kinds of steps at which it ended

	last    func()              // finds out what the step that was let go on has changed
	changes map[string][]func() // by directory: how to take back what is not durable, oldest first
	dirty   map[string]bool     // temporary files whose content is not durable
}

func (d *disk) at(step, file string) error {
	d.settle()
	d.step++
	if d.step >= d.stopAt {
		if d.step == d.stopAt {
			d.seen[step] = true
		}
		return errStopped
	}
	dir := filepath.Dir(file)
	_, statErr := os.Lstat(file)
	missing := errors.Is(statErr, fs.ErrNotExist)
	var before []byte
	if !missing && step != "sync dir" && step != "mkdir" {
		before, _ = os.ReadFile(file)
	}
	made := func(undo func()) {
		if _, err := os.Lstat(file); err == nil {
			d.changes[dir] = append(d.changes[dir], undo)
		}
	}
	switch step {
	case "create":
		d.last = func() {
			d.dirty[file] = true
			made(func() { os.Remove(file) })
		}
	case "sync":
		d.last = func() { delete(d.dirty, file) }
	case "link":
		if missing {
			d.last = func() { made(func() { os.Remove(file) }) }
		}
	case "rename":
		d.last = func() {
			made(func() {
				if missing {
					os.Remove(file)
				} else if err := os.WriteFile(file, before, 0o666); err != nil {
					d.t.Error(err)
				}
			})
		}
	case "remove":
		if !missing && !strings.HasPrefix(filepath.Base(file), tempPrefix) {
			d.last = func() {
				d.changes[dir] = append(d.changes[dir], func() {
					if err := os.WriteFile(file, before, 0o666); err != nil {
						d.t.Error(err)
					}
				})
			}
		}
	case "mkdir":
		if missing {
			d.last = func() { made(func() { os.RemoveAll(file) }) }
		}
	case "sync dir":
		d.last = func() { delete(d.changes, file) }
	}
	return nil
}

// settle is called when the last step is over.
func (d *disk) settle() {
	if d.last != nil {
		d.last()
		d.last = nil
	}
}

// powerCut makes of the directory what may be left. Directories above go last: what is in one that vanishes goes with it.
func (d *disk) powerCut() {
	for name := range d.dirty {
		if st, err := os.Stat(name); err == nil {
			if err := os.Truncate(name, d.r.Int64N(st.Size()+1)); err != nil {
				d.t.Error(err)
			}
		}
	}
	dirs := slices.Sorted(maps.Keys(d.changes))
	slices.SortFunc(dirs, func(a, b string) int { return len(b) - len(a) })
	for _, dir := range dirs {
		c := d.changes[dir]
		for _, undo := range slices.Backward(c[d.r.IntN(len(c)+1):]) {
			undo()
		}
	}
}

// The local store's promise at every step, by a kill and by a power cut: what was answered is there, whole; what was not has
// happened or not; nothing is there in part; and fs.ErrExist is said of nothing that can vanish.
func TestCrash_LocalAtEveryStep(t *testing.T) {
	seen := map[string]bool{}
	for n := range *lakeCrashes {
		seed := *lakeSeed + uint64(n)
		if !crashLocal(t, seed, seen) {
			t.Fatalf("seed %d (-run TestCrash_LocalAtEveryStep -lake.seed %[1]d -lake.crashes 1)", seed)
		}
	}
	if *lakeCrashes < 300 {
		return
	}
	for _, step := range []string{"create", "write", "sync", "link", "rename", "remove", "mkdir", "sync dir"} {
		if !seen[step] {
			t.Errorf("no crash came at %s", step)
		}
	}
}

func crashLocal(t *testing.T, seed uint64, seen map[string]bool) bool {
	r := rand.New(rand.NewPCG(seed, 0))
	root, err := os.MkdirTemp(memory(t), "crash-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(root)
	d := &disk{t: t, r: r, seen: seen, changes: map[string][]func(){}, dirty: map[string]bool{}}
	may := map[string][]string{} // by path: what may be there; "" is nothing
	for range 1 + r.IntN(3) {
		if d.l, err = NewLocal(root); err != nil {
			t.Errorf("open: %v", err)
			return false
		}
		d.l.at, d.step, d.stopAt = d.at, 0, 1+r.IntN(60)
		for i := 0; d.step < d.stopAt; i++ {
			p := fmt.Sprintf("%c/%c/%d", 'a'+r.IntN(2), 'x'+r.IntN(2), r.IntN(3))
			if may[p] == nil {
				may[p] = []string{""}
			}
			data := strings.Repeat(fmt.Sprintf("%d.%d ", seed, i), 1+r.IntN(400))
			if err := operate(t, d, r, p, data, may); err != nil {
				t.Errorf("%s: %v", p, err)
				return false
			}
		}
		d.settle()
		if r.IntN(3) > 0 {
			d.powerCut()
			clear(d.changes)
			clear(d.dirty)
		} // else what is seen may not be durable, and the next process does not know
		for p, allowed := range may {
			got, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(p)))
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				t.Error(err)
				return false
			}
			if !slices.Contains(allowed, string(got)) {
				t.Errorf("%s has %d bytes, %.20q, which is none of the %d things that it may be", p, len(got), got, len(allowed))
				return false
			}
		}
	}
	return true
}

// operate does one thing to an object, and notes what may be there afterwards.
func operate(t *testing.T, d *disk, r *rand.Rand, p, data string, may map[string][]string) error {
	answered := func(err error, done string) error {
		switch {
		case err == nil:
			may[p] = []string{done}
		case errors.Is(err, errStopped):
			may[p] = append(may[p], done)
		case errors.Is(err, fs.ErrExist):
			there, err := os.ReadFile(filepath.Join(d.l.dir, filepath.FromSlash(p)))
			if err != nil {
				return fmt.Errorf("it is said to exist: %w", err)
			}
			may[p] = []string{string(there)} // which is durable now
		default:
			return err
		}
		return nil
	}
	switch r.IntN(5) {
	case 0:
		return answered(d.l.Put(t.Context(), p, []byte(data)), data)
	case 1:
		return answered(d.l.Delete(t.Context(), p), "")
	case 2:
		w, err := d.l.Create(t.Context(), p)
		if err != nil {
			return answered(err, data)
		}
		half := len(data) / 2
		for _, piece := range []string{data[:half], data[half:]} {
			if err == nil {
				_, err = w.Write([]byte(piece))
			}
		}
		if err == nil {
			err = w.Commit()
		}
		w.Abort()
		return answered(err, data)
	default:
		return answered(d.l.PutIfAbsent(t.Context(), p, []byte(data)), data)
	}
}

// memory is a directory in memory where there is one: what is durable is the simulation's to say.
func memory(t *testing.T) string {
	if st, err := os.Stat("/dev/shm"); err == nil && st.IsDir() {
		return "/dev/shm"
	}
	return t.TempDir()
}
