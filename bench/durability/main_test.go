package main

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/zerobus-go/zerobus/internal/leaktest"
)

// The program starts itself for some of its work. Then it is the test's binary that must do it.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && slices.Contains([]string{"load", "disk"}, os.Args[1]) {
		main()
		return
	}
	leaktest.Main(m)
}

// measure runs a command with the real server for a moment, and returns its page. Without a binary the command builds its own.
func measure(t *testing.T, binary, name string, args ...string) (page string, err error) {
	t.Helper()
	dir, out := t.TempDir(), t.TempDir()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	if binary != "" {
		args = append([]string{"-zerobus", binary}, args...)
	}
	args = append([]string{name, "-dir", dir, "-out", out}, args...)
	err = run(ctx, args, io.Discard)
	if err != nil && !errors.Is(err, errFailed) {
		t.Fatal(err)
	}
	text, rerr := os.ReadFile(filepath.Join(out, name+".md"))
	if rerr != nil {
		t.Fatal(rerr)
	}
	svg, rerr := os.ReadFile(filepath.Join(out, name+".svg"))
	if rerr != nil {
		t.Fatal(rerr)
	}
	checkSVG(t, svg)
	left, rerr := os.ReadDir(dir)
	if rerr != nil {
		t.Fatal(rerr)
	}
	if len(left) > 0 {
		t.Errorf("it left %v behind", left)
	}
	return string(text), err
}

// needProc skips a test where the program cannot work.
func needProc(t *testing.T) {
	t.Helper()
	if _, err := os.Stat("/proc/self/status"); err != nil {
		t.Skip("the program needs /proc, which is not here: ", err)
	}
}

func TestSmoke(t *testing.T) {
	needProc(t)
	binary, err := buildServer(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	short := []string{"-streams", "1,4", "-rounds", "1", "-for", "200ms", "-warm", "50ms", "-disk", "50ms"}

	t.Run("groupcommit", func(t *testing.T) {
		page, err := measure(t, binary, "groupcommit", append(short, "-sync-delay", "0")...)
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"## The disk as it is\n", "\n| 1 | ", " | 1 × | 1 | ", "\n| 4 | "} {
			if !strings.Contains(page, want) {
				t.Errorf("the page lacks %q:\n%s", want, page)
			}
		}
	})
	t.Run("groupcommit on a slower disk", func(t *testing.T) {
		wrap, err := slowed(time.Millisecond)
		if err != nil {
			t.Skip(err)
		}
		if out, err := exec.Command(wrap[0], append(wrap[1:], "true")...).CombinedOutput(); err != nil {
			t.Skipf("strace cannot trace here: %v: %s", err, out)
		}
		page, err := measure(t, binary, "groupcommit", append(short, "-sync-delay", "5ms", "-shared")...)
		if err != nil {
			t.Fatal(err)
		}
		if want := "## Every fdatasync 5ms longer\n"; !strings.Contains(page, want) {
			t.Errorf("the page lacks %q:\n%s", want, page)
		}
	})
	t.Run("soak", func(t *testing.T) {
		// What a machine that is busy with other tests can make fail is logged only.
		page, err := measure(t, binary, "soak", "-for", "3s", "-every", "500ms", "-idle", "500ms", "-rate", "20000", "-disk", "0.25")
		if err != nil {
			t.Log(err)
		}
		for _, want := range []string{
			"| all acknowledged records are in the table | yes |", "| no record is there twice | yes |",
			"| a restart after a crash changes nothing | yes |", "\n| idle, after | ",
		} {
			if !strings.Contains(page, want) {
				t.Errorf("the page lacks %q:\n%s", want, page)
			}
		}
	})
}

func TestCommand_RefusesWhatItCannotDo(t *testing.T) {
	for _, args := range [][]string{
		nil,
		{"nothing"},
		{"groupcommit", "more"},
		{"groupcommit", "-streams", "0"},
		{"groupcommit", "-sync-delay", "-1s"},
		{"groupcommit", "-size", "10"},
		{"soak", "-size", "10"},
		{"soak", "-streams", "0"},
		{"soak", "-rate", "0", "-disk", "1e9"}, // no disk is so large
	} {
		dir := t.TempDir()
		if len(args) > 0 && args[0] != "nothing" {
			args = append(args[:1:1], append([]string{"-dir", dir, "-zerobus", "none"}, args[1:]...)...)
		}
		if err := run(t.Context(), args, io.Discard); err == nil {
			t.Errorf("%q: no error", args)
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
			t.Errorf("%q left %v behind, %v", args, left, err)
		}
	}
}

func TestServer_ThatDoesNotStart(t *testing.T) {
	needProc(t) // and the shell
	script := filepath.Join(t.TempDir(), "zerobus")
	if err := os.WriteFile(script, []byte("#!/bin/sh\necho that is wrong >&2\nexit 3\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	_, err := startServer(t.Context(), script, t.TempDir(), "data")
	if err == nil || !strings.Contains(err.Error(), "that is wrong") {
		t.Errorf("error %v, want what the server said", err)
	}
}
