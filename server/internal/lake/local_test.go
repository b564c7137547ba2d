package lake

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

func openLocal(t *testing.T) *Local {
	t.Helper()
	l, err := NewLocal(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// files returns every file and directory below the lake, hidden ones as well.
func files(t *testing.T, l *Local) []string {
	t.Helper()
	var out []string
	err := filepath.WalkDir(l.dir, func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			rel, _ := filepath.Rel(l.dir, name)
			out = append(out, filepath.ToSlash(rel))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// record notes the steps that touch the disk, with hidden names shortened.
func record(l *Local, steps *[]string) {
	l.at = func(step, file string) error {
		rel, _ := filepath.Rel(l.dir, file)
		if strings.HasPrefix(filepath.Base(rel), tempPrefix) {
			rel = filepath.Join(filepath.Dir(rel), "TEMP")
		}
		*steps = append(*steps, step+" "+filepath.ToSlash(rel))
		return nil
	}
}

func wantSteps(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s took the steps\n%s\nwant\n%s", what, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// The POSIX rule of spec/delta.md §5: hidden file, sync, link, unlink, sync of the directory.
func TestLocal_PutIfAbsentFollowsThePOSIXRule(t *testing.T) {
	l := openLocal(t)
	var steps []string
	record(l, &steps)
	put := func(path string) {
		steps = nil
		if err := l.PutIfAbsent(t.Context(), path, []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	put("t/log/0")
	wantSteps(t, "the first write into a new directory", steps,
		"create t/log/TEMP", "mkdir t/log", "create t/log/TEMP", "write t/log/TEMP", "sync t/log/TEMP",
		"link t/log/0", "remove t/log/TEMP", "sync dir t/log", "sync dir t", "sync dir .")
	put("t/log/1")
	wantSteps(t, "the second write", steps,
		"create t/log/TEMP", "write t/log/TEMP", "sync t/log/TEMP", "link t/log/1", "remove t/log/TEMP", "sync dir t/log")

	if err := l.RemoveAll(t.Context(), "t"); err != nil {
		t.Fatal(err)
	}
	put("t/log/0")
	if !slices.Contains(steps, "sync dir .") {
		t.Errorf("a directory that was made anew was not synced in its parents: %q", steps)
	}
}

func TestLocal_ErrExistComesAfterTheWinnerIsDurable(t *testing.T) {
	l := openLocal(t)
	if err := l.Put(t.Context(), "log/0", nil); err != nil {
		t.Fatal(err)
	}
	var steps []string
	record(l, &steps)
	if err := l.PutIfAbsent(t.Context(), "log/0", nil); !errors.Is(err, fs.ErrExist) {
		t.Fatalf("error %v, want %v", err, fs.ErrExist)
	}
	if steps[len(steps)-1] != "sync dir log" {
		t.Errorf("steps %q: the directory was not synced before the answer", steps)
	}
	errSync := errors.New("input/output error")
	l.at = func(step, file string) error {
		if step == "sync dir" {
			return errSync
		}
		return nil
	}
	if err := l.PutIfAbsent(t.Context(), "log/0", nil); errors.Is(err, fs.ErrExist) || !errors.Is(err, errSync) {
		t.Errorf("error %v when the sync failed, want %v alone", err, errSync)
	}
}

func TestLocal_EveryFailedStepIsAnErrorAndLeavesNoPart(t *testing.T) {
	errStep := errors.New("input/output error")
	writes := map[string]func(l *Local) error{
		"Put":         func(l *Local) error { return l.Put(t.Context(), "new/a", []byte("data")) },
		"Replace":     func(l *Local) error { return l.Put(t.Context(), "old/a", []byte("data")) },
		"PutIfAbsent": func(l *Local) error { return l.PutIfAbsent(t.Context(), "new/a", []byte("data")) },
		"Create": func(l *Local) error {
			w, err := l.Create(t.Context(), "new/a")
			if err != nil {
				return err
			}
			defer w.Abort()
			if _, err := w.Write([]byte("data")); err != nil {
				return err
			}
			return w.Commit()
		},
	}
	for name, write := range writes {
		t.Run(name, func(t *testing.T) {
			for fail := 1; ; fail++ {
				l := openLocal(t)
				if err := l.Put(t.Context(), "old/a", []byte("before")); err != nil {
					t.Fatal(err)
				}
				n, failed := 0, ""
				l.at = func(step, file string) error {
					// Failing to remove the temporary file is no error: it is hidden and swept.
					if step == "remove" {
						return nil
					}
					if n++; n == fail {
						failed = step
						return errStep
					}
					return nil
				}
				err := write(l)
				if failed == "" {
					if err != nil {
						t.Errorf("without a failed step: %v", err)
					}
					if fail < 6 {
						t.Errorf("only %d steps were seen", fail-1)
					}
					return
				}
				if !errors.Is(err, errStep) {
					t.Errorf("step %d (%s) failed, the error is %v", fail, failed, err)
				}
				l.at = func(string, string) error { return nil }
				for _, f := range files(t, l) {
					data, err := l.Get(t.Context(), f)
					if err != nil || (string(data) != "data" && string(data) != "before") {
						t.Errorf("step %d (%s) failed and left %s: %q, %v", fail, failed, f, data, err)
					}
				}
			}
		})
	}
}

func TestLocal_WithoutLinks(t *testing.T) {
	for _, c := range []struct {
		name    string
		refused []string // steps that this file system does not have
		last    string
	}{
		{"RenameExclusive", []string{"link"}, "rename exclusive"},
		{"CreateExclusive", []string{"link", "rename exclusive"}, "create exclusive"},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := openLocal(t)
			var seen []string
			l.at = func(step, file string) error {
				seen = append(seen, step)
				if step == "link" && slices.Contains(c.refused, step) {
					return &os.LinkError{Op: "link", New: file, Err: syscall.EPERM}
				}
				return nil
			}
			claim := l.claim
			if slices.Contains(c.refused, "rename exclusive") {
				claim = l.copyExclusive
			}
			temp := func(data string) string {
				name := filepath.Join(l.dir, tempPrefix+data)
				if err := os.WriteFile(name, []byte(data), 0o666); err != nil {
					t.Fatal(err)
				}
				return name
			}
			name := filepath.Join(l.dir, "a")
			if err := claim(temp("first"), name); err != nil {
				t.Fatal(err)
			}
			if err := claim(temp("second"), name); !errors.Is(err, fs.ErrExist) {
				t.Errorf("second claim: %v, want %v", err, fs.ErrExist)
			}
			if data, err := os.ReadFile(name); err != nil || string(data) != "first" {
				t.Errorf("the object is %q, %v", data, err)
			}
			if last := seen[len(seen)-1]; last != c.last {
				t.Errorf("the last step was %q, want %q", last, c.last)
			}
		})
	}
}

func TestLocal_CreateExclusiveThatFailsLeavesNoPart(t *testing.T) {
	l := openLocal(t)
	temp := filepath.Join(l.dir, tempPrefix+"x")
	if err := os.WriteFile(temp, []byte("data"), 0o666); err != nil {
		t.Fatal(err)
	}
	l.at = func(step, file string) error {
		if step == "write exclusive" {
			return syscall.ENOSPC
		}
		return nil
	}
	if err := l.copyExclusive(temp, filepath.Join(l.dir, "a")); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("error %v, want %v", err, syscall.ENOSPC)
	}
	if _, err := l.Get(t.Context(), "a"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the object is there: %v", err)
	}
}

func TestLocal_OpenSweepsWhatDeadWritersLeft(t *testing.T) {
	l := openLocal(t)
	if err := l.Put(t.Context(), "t/a", []byte("x")); err != nil {
		t.Fatal(err)
	}
	old := time.Now().Add(-staleTemp - time.Hour)
	write := func(name string, mod time.Time) {
		t.Helper()
		name = filepath.Join(l.dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, nil, 0o666); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(name, mod, mod); err != nil {
			t.Fatal(err)
		}
	}
	write("t/.tmp-OLD", old)
	write("t/.tmp-NEW", time.Now())
	write("t/old", old)
	write(".tmp-removed-X/log/0", time.Now())
	if _, err := NewLocal(l.dir); err != nil {
		t.Fatal(err)
	}
	if got, want := files(t, l), []string{"t/.tmp-NEW", "t/a", "t/old"}; !slices.Equal(got, want) {
		t.Errorf("after the sweep there is %q, want %q", got, want)
	}
}

func TestLocal_RemoveAllIsOneRename(t *testing.T) {
	l := openLocal(t)
	for i := range 5 {
		if err := l.Put(t.Context(), fmt.Sprintf("t/%d", i), nil); err != nil {
			t.Fatal(err)
		}
	}
	// A crash right after the rename: nothing of the table is visible, and the next start removes the rest.
	crash := errors.New("crash")
	l.at = func(step, file string) error {
		if step == "remove" {
			return crash
		}
		return nil
	}
	if err := l.RemoveAll(t.Context(), "t"); !errors.Is(err, crash) {
		t.Fatalf("error %v, want %v", err, crash)
	}
	for info := range l.List(t.Context(), "", "") {
		t.Errorf("%s is still visible", info.Path)
	}
	if len(files(t, l)) != 5 {
		t.Errorf("files %q: the test is meant to stop before they are removed", files(t, l))
	}
	again, err := NewLocal(l.dir)
	if err != nil {
		t.Fatal(err)
	}
	if left := files(t, again); len(left) != 0 {
		t.Errorf("after the next start there is %q", left)
	}
}

func TestLocal_KnownDirectoriesAreBounded(t *testing.T) {
	l := openLocal(t)
	for i := range 3 * maxKnownDirs {
		l.remember(fmt.Sprint(i))
	}
	if len(l.known) > maxKnownDirs {
		t.Errorf("%d directories are remembered, want at most %d", len(l.known), maxKnownDirs)
	}
}

func TestNewLocal_TellsWhyItCannotOpen(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{file, filepath.Join(file, "below")} {
		if _, err := NewLocal(dir); err == nil || !strings.Contains(err.Error(), file) {
			t.Errorf("NewLocal(%q): error %v, want one that names %s", dir, err, file)
		}
	}
}

// racerDir names the lake in which a child process of the test races.
const racerDir = "LAKE_TEST_RACER_DIR"

func TestLocal_ExcludesAcrossProcesses(t *testing.T) {
	const rounds, racers = 20, 3
	if dir := os.Getenv(racerDir); dir != "" {
		l, err := NewLocal(dir)
		if err != nil {
			t.Fatal(err)
		}
		for i := range rounds {
			err := l.PutIfAbsent(t.Context(), fmt.Sprintf("d%d/a", i), nil)
			if err == nil {
				fmt.Println("won")
			} else if !errors.Is(err, fs.ErrExist) {
				t.Error(err)
			}
		}
		return
	}
	dir := t.TempDir()
	cmds := make([]*exec.Cmd, racers)
	outs := make([]strings.Builder, racers)
	for i := range cmds {
		cmds[i] = exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestLocal_ExcludesAcrossProcesses$")
		cmds[i].Env = append(os.Environ(), racerDir+"="+dir)
		cmds[i].Stdout, cmds[i].Stderr = &outs[i], &outs[i]
		if err := cmds[i].Start(); err != nil {
			t.Fatal(err)
		}
	}
	won := 0
	for i := range cmds {
		if err := cmds[i].Wait(); err != nil {
			t.Errorf("racer %d: %v\n%s", i, err, outs[i].String())
		}
		won += strings.Count(outs[i].String(), "won\n")
	}
	if won != rounds {
		t.Errorf("%d wins in %d rounds", won, rounds)
	}
}

func FuzzCheckPath(f *testing.F) {
	for _, s := range []string{"a", "a/b", "..", "a/../..", "/a", "C:/x", "a\\..\\b", "NUL", ".tmp-x", "é/\xff"} {
		f.Add(s)
	}
	root := filepath.Join(string(filepath.Separator), "lake", "dir")
	f.Fuzz(func(t *testing.T, path string) {
		if checkPath(path) != nil {
			return
		}
		rel, err := filepath.Rel(root, filepath.Join(root, filepath.FromSlash(path)))
		if err != nil || filepath.ToSlash(rel) != path {
			t.Errorf("%q is accepted and leads to %q, %v", path, rel, err)
		}
	})
}
