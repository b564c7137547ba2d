package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// python is delta-rs where make interop has installed it, or empty.
func python(t *testing.T) string {
	t.Helper()
	if _, err := os.Stat("../../../interop/.venv/installed.txt"); err != nil {
		t.Log("interop/.venv is not there (make interop makes it): delta-rs does not read the tables")
		return ""
	}
	return "../../../interop/.venv/bin/python"
}

func TestProgram_DT01_Smoke(t *testing.T) {
	const seed, cases = 50, 8 // 50 is a case whose expectations are damaged
	dir := t.TempDir()
	var out, errw bytes.Buffer
	if code := program(t.Context(), []string{"-cases", "8", "-seed", "50", "-dir", dir}, &out, &errw); code != 0 {
		t.Fatalf("exit status %d\n%s%s", code, &out, &errw)
	}
	if !regexp.MustCompile(`(?m)^property   8 tables made; rows acknowledged: \d+ JSON, \d+ protobuf, \d+ JSON as protobuf; \d+ others refused; .* s$`).Match(out.Bytes()) {
		t.Errorf("it says %s", &out)
	}
	text, err := os.ReadFile(filepath.Join(dir, casesFile))
	if err != nil {
		t.Fatal(err)
	}
	seen := map[uint64]bool{}
	for line := range strings.Lines(string(text)) {
		var table expectedTable
		if err := json.Unmarshal([]byte(line), &table); err != nil {
			t.Fatal(err)
		}
		seen[table.Seed] = true
		if _, err := os.Stat(filepath.Join(dir, table.Path, "_delta_log", "00000000000000000000.json")); err != nil {
			t.Error(err)
		}
	}
	for n := range uint64(cases) {
		if !seen[seed+n] {
			t.Errorf("there is no line for seed %d", seed+n)
		}
	}
	if py := python(t); py != "" {
		cmd := exec.CommandContext(t.Context(), py, "../../../interop/property.py", dir)
		cmd.Env = append(os.Environ(), "PYTHONDONTWRITEBYTECODE=1")
		said, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains(string(said), " values: equal\n") {
			t.Errorf("%v\n%s", err, said)
		}
	}
}

func TestProgram_Refusals(t *testing.T) {
	full := t.TempDir()
	if err := os.WriteFile(filepath.Join(full, "x"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		args []string
		code int
		says string
	}{
		{"help", []string{"-h"}, 0, "of the first case"},
		{"no directory", nil, 2, "-dir is a directory"},
		{"no cases", []string{"-dir", full, "-cases", "0"}, 2, "at least 1"},
		{"an argument", []string{"-dir", full, "more"}, 2, "no arguments"},
		{"an unknown flag", []string{"-no"}, 2, "-no"},
		{"a directory with something in it", []string{"-dir", full}, 1, "not empty"},
	} {
		var out, errw bytes.Buffer
		if code := program(t.Context(), tt.args, &out, &errw); code != tt.code || !strings.Contains(errw.String(), tt.says) {
			t.Errorf("%s: exit status %d: %s", tt.name, code, &errw)
		}
	}
}
