//go:build unix

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Two names of one file, and the name of the file that is read, are a wrong command line; a link to what is not there yet is
// followed.
func TestGenerate_GP25_OneFileUnderTwoNames(t *testing.T) {
	noVariables(t)
	t.Chdir(t.TempDir())
	write := func(name, text string) {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	read := func(name string) string {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Error(err)
		}
		return string(b)
	}
	const ddl = "CREATE TABLE t (a INT)"
	write("t.sql", ddl)
	write("real", "was")
	for _, link := range [][2]string{{"real", "link"}, {"new", "dangling"}, {".", "dir"}} {
		if err := os.Symlink(link[0], link[1]); err != nil {
			t.Fatal(err)
		}
	}
	abs, err := filepath.Abs("real")
	if err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"--output", "real", "--descriptor-out", "link"},
		{"--output", "real", "--descriptor-out", abs},
		{"--output", "-", "--descriptor-out", "-"},
		{"--output", "new", "--descriptor-out", "dir/new"},
		{"--output", "new", "--descriptor-out", "dangling"},
		{"--output", "t.sql"},
		{"--output", "dir/t.sql"},
	} {
		generate(t, 2, nil, append([]string{"--ddl", "t.sql"}, args...)...)
		if read("t.sql") != ddl || read("real") != "was" {
			t.Fatalf("%q: a file was touched", args)
		}
	}
	generate(t, 0, nil, "--ddl", "t.sql", "--output", "dangling")
	if info, err := os.Lstat("dangling"); err != nil || info.Mode()&os.ModeSymlink == 0 || !strings.Contains(read("new"), "message t {") {
		t.Errorf("the link was replaced, or its file is not there: %v", err)
	}
	if out, _ := generate(t, 0, nil, "--ddl", "t.sql", "--output", "/dev/stdout"); !strings.Contains(out, "message t {") {
		t.Errorf("standard output has %q", out)
	}
}
