package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// mainEnv makes the test binary the program, so that it can be run as a process, and can run itself again in namespaces.
const mainEnv = "ZEROBUS_BLACKBOX_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(mainEnv) != "" {
		main()
	}
	os.Exit(m.Run())
}

// runProgram runs the program with the flags and returns what it says, and its exit status.
func runProgram(t *testing.T, flags ...string) (string, int) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, flags...)
	cmd.Env = append(os.Environ(), mainEnv+"=1")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return out.String(), cmd.ProcessState.ExitCode()
}

// buildServer builds the server.
func buildServer(t *testing.T) string {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "zerobus.exe") // a name that every platform runs
	if out, err := exec.Command("go", "build", "-o", bin, "../../cmd/zerobus").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return bin
}

// reader is delta-rs where make interop has installed it.
func reader(t *testing.T) string {
	t.Helper()
	if _, err := os.Stat("../../../interop/.venv/installed.txt"); err != nil {
		t.Log("interop/.venv is not there (make interop makes it): the table is read with parquet-go, not with delta-rs")
		return "parquet-go"
	}
	return "delta-rs"
}

func TestBlackbox_Smoke(t *testing.T) {
	bin := buildServer(t)
	for _, tt := range []struct {
		name, producers, fulls string
		found                  string
	}{
		{"producers", "true", "1", "0 lost, 0 doubled; "},
		{"no producers", "false", "0", "0 lost, "}, // what was sent again may be there twice
	} {
		t.Run(tt.name, func(t *testing.T) {
			flags := []string{
				"-bin", bin, "-reader", reader(t), "-dir", t.TempDir(), "-kills", "3", "-terms", "1", "-interval", "150ms",
				"-rate", "20000", "-seed", "7", "-producers=" + tt.producers, "-full",
			}
			out, status := runProgram(t, append(flags, tt.fulls)...)
			if status == noDisk {
				t.Logf("no disk is made full:\n%s", out)
				tt.fulls = "0"
				out, status = runProgram(t, append(flags, tt.fulls)...)
			}
			last := regexp.MustCompile(`\n3 kills, 1 terminations, ` + tt.fulls + ` full disks: [1-9][0-9,]* acknowledged, ` + tt.found + `[^\n]*\n$`)
			if status != 0 || !last.MatchString(out) {
				t.Errorf("exit status %d:\n%s", status, out)
			}
			t.Log(out)
		})
	}
}

func TestBlackbox_WrongFlags(t *testing.T) {
	for _, tt := range []struct {
		flags []string
		want  string
	}{
		{[]string{"-kills", "-1"}, "negative"},
		{[]string{"-streams", "0"}, "at least 1 stream"},
		{[]string{"-reader", "mine"}, "parquet-go"},
		{[]string{"-disk", "floppy"}, "userns"},
		{[]string{"-disk", "plain", "-full", "1"}, "-full 0"},
		{[]string{"-kills", "many"}, "invalid value"},
		{[]string{"now"}, "no arguments"},
	} {
		out, status := runProgram(t, tt.flags...)
		if status != 2 || !strings.Contains(out, tt.want) {
			t.Errorf("%q: exit status %d, want 2; output without %q:\n%s", tt.flags, status, tt.want, out)
		}
	}
}
