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

// mainEnv makes the test binary the program, so that it can be run as a process.
const mainEnv = "ZEROBUS_HOSTILE_MAIN"

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

func TestHostile_Smoke(t *testing.T) {
	bin := filepath.Join(t.TempDir(), "zerobus.exe") // a name that every platform runs
	if out, err := exec.Command("go", "build", "-o", bin, "../../cmd/zerobus").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	// How fast the control load is says nothing on a machine that runs other tests, too.
	out, status := runProgram(t, "-quick", "-bin", bin, "-dir", t.TempDir(), "-least", "0")
	last := regexp.MustCompile(`\n[1-9][0-9]* attacks, [1-9][0-9,]* requests, [1-9][0-9,]* refusals as expected; control load: [1-9][0-9,]* records, 0 lost, 0 doubled, [^\n]*MiB\n$`)
	if status != 0 || !last.MatchString(out) {
		t.Errorf("exit status %d:\n%s", status, out)
	}
	t.Log(out)
}

func TestHostile_WrongFlags(t *testing.T) {
	for _, tt := range []struct {
		flags []string
		want  string
	}{
		{[]string{"-streams", "0"}, "at least 1 stream"},
		{[]string{"-rate", "0"}, "more than 0"},
		{[]string{"-memory", "-1"}, "negative"},
		{[]string{"-only", "["}, "-only"},
		{[]string{"-open", "many"}, "invalid value"},
		{[]string{"now"}, "no arguments"},
	} {
		out, status := runProgram(t, tt.flags...)
		if status != 2 || !strings.Contains(out, tt.want) {
			t.Errorf("%q: exit status %d, want 2; output without %q:\n%s", tt.flags, status, tt.want, out)
		}
	}
}

func TestStrays(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{
		"data/catalog.db", "data/wal/00000000000000000001.wal", "data/tables/main/default/t/_delta_log/00000000000000000000.json",
		"data/tables/main/default/t/.part-1.parquet.tmp", "data/tables/main/default/t-0123abcd/part-00000-1.zstd.parquet",
		"cwd/evil", "data/evil", "data/tables/evil.parquet", "data/tables/main/default/t/_delta_log/evil.json", "data/tables/main/default/T/x.parquet", "tmp/x",
	} {
		name = filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	found, err := strays(dir)
	if err != nil {
		t.Fatal(err)
	}
	want := "cwd/evil data/evil data/tables/evil.parquet data/tables/main/default/T/x.parquet data/tables/main/default/t/_delta_log/evil.json tmp/x"
	if got := strings.Join(found, " "); got != want && !strings.EqualFold(got, want) {
		t.Errorf("found %q, want %q", got, want)
	}
}

func TestTrial_JudgesAnswers(t *testing.T) {
	tr := &trial{arena: &arena{}, name: "x"}
	tr.refuse("right", "grpc NotFound Table", "grpc (NotFound|Aborted)")
	tr.refuse("in the middle", "http 500 grpc NotFound", "grpc NotFound")
	tr.take("right", "http 200 {}", "http 200")
	if tr.requests != 3 || tr.refusals != 1 || len(tr.faults) != 1 || !strings.HasPrefix(tr.faults[0], "x: in the middle: got") {
		t.Errorf("%d requests, %d refusals, faults %q", tr.requests, tr.refusals, tr.faults)
	}
}
