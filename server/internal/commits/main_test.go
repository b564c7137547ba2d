package main

import (
	"encoding/json"
	"io"
	"os"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestCommits_OfAFewDays(t *testing.T) {
	dir := t.TempDir()
	var out strings.Builder
	args := []string{"-dir", dir, "-commits", "450", "-rows", "3", "-per-day", "50", "-retention", "1", "-every", "10", "-opens", "2"}
	if err := run(t.Context(), args, &out, io.Discard); err != nil {
		t.Fatal(err)
	}
	var r result
	if err := json.Unmarshal([]byte(out.String()), &r); err != nil {
		t.Fatal(err)
	}
	if len(r.Commits) != 450 || len(r.Young) != 45 || r.Rows != 1350 || r.Files < 1 || len(r.Log) != 45 || len(r.OpenHint) != 2 || len(r.OpenBare) != 2 {
		t.Errorf("%d commits, %d rows in %d files, %d samples, opened %v and %v", len(r.Commits), r.Rows, r.Files, len(r.Log), r.OpenHint, r.OpenBare)
	}
	highest := 0
	for _, s := range r.Log {
		highest = max(highest, s.Objects)
		if s.Bytes <= 0 {
			t.Errorf("after %d commits the log has %d objects of %d bytes", s.Commit, s.Objects, s.Bytes)
		}
	}
	// The versions of two days and of two checkpoints; a checkpoint may be written while commits go on.
	if highest < 100 || highest > 400 {
		t.Errorf("the log had up to %d objects: it was not cleaned", highest)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("it left %v behind, %v", left, err)
	}
}

func TestCommits_WrongFlags(t *testing.T) {
	for _, args := range [][]string{
		nil,
		{"-dir", "x", "more"},
		{"-dir", "x", "-commits", "0"},
		{"-dir", "x", "-nothing"},
		{"-dir", "x/y/z"}, // is not there
	} {
		if err := run(t.Context(), args, io.Discard, io.Discard); err == nil {
			t.Errorf("%q: no error", args)
		}
	}
}
