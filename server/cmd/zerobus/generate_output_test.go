package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// GP-25: whatever goes wrong, a file that was there is as it was, and one that was not there is not there, nor is anything
// beside it.
func TestGenerate_GP25_AnErrorTouchesNoFile(t *testing.T) {
	noVariables(t)
	good, bad := ddl(t, "CREATE TABLE t (a INT)"), ddl(t, "CREATE TABLE t (a ARRAY<ARRAY<INT>>)")
	for _, tt := range []struct {
		name string
		args func(dir string) []string
		want string
	}{
		{"mapping", func(dir string) []string {
			return []string{"--ddl", bad, "--output", filepath.Join(dir, "old.proto"), "--descriptor-out", filepath.Join(dir, "new.desc")}
		}, "column a.element"},
		{"reading", func(dir string) []string {
			return []string{"--ddl", filepath.Join(dir, "none.sql"), "--output", filepath.Join(dir, "old.proto")}
		}, "none.sql"},
		{"second file in no directory", func(dir string) []string {
			return []string{"--ddl", good, "--output", filepath.Join(dir, "old.proto"), "--descriptor-out", filepath.Join(dir, "none", "new.desc")}
		}, filepath.Join("none", "new.desc") + ": "},
		{"first file in no directory", func(dir string) []string {
			return []string{"--ddl", good, "--output", filepath.Join(dir, "none", "new.proto"), "--descriptor-out", filepath.Join(dir, "old.proto")}
		}, filepath.Join("none", "new.proto") + ": "},
		{"second file is a directory", func(dir string) []string {
			return []string{"--ddl", good, "--output", filepath.Join(dir, "old.proto"), "--descriptor-out", filepath.Join(dir, "sub")}
		}, "sub: is a directory"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := errors.Join(os.WriteFile(filepath.Join(dir, "old.proto"), []byte("// mine\n"), 0o644), os.Mkdir(filepath.Join(dir, "sub"), 0o755)); err != nil {
				t.Fatal(err)
			}
			before := tree(t, dir)
			out, errw := generate(t, 1, nil, tt.args(dir)...)
			if !strings.Contains(errw, tt.want) || strings.Contains(errw, ".tmp") || out != "" {
				t.Errorf("got %q and %q, want %q", out, errw, tt.want)
			}
			after := tree(t, dir)
			// The directory itself may have been written to; what is in it may not.
			if strings.Join(before[1:], "\n") != strings.Join(after[1:], "\n") {
				t.Errorf("there was\n%q\nthere is\n%q", before, after)
			}
		})
	}
}

// A pipe that nobody reads fails before the file beside it is put in its place.
func TestGenerate_GP25_AClosedStandardOutputTouchesNoFile(t *testing.T) {
	dir := t.TempDir()
	var outs outputs
	outs.add("-", []byte("text"))
	outs.add(filepath.Join(dir, "t.desc"), []byte("descriptor"))
	err := outs.write(t.Context(), failingWriter{})
	if err == nil || err.Error() != "write stdout: nobody reads" {
		t.Errorf("got %v", err)
	}
	if left := names(t, dir); len(left) != 0 {
		t.Errorf("there is %q", left)
	}
}

type failingWriter struct{}

func (failingWriter) Write([]byte) (int, error) { return 0, errors.New("nobody reads") }

func TestGenerate_GP25_BothFilesAreWritten(t *testing.T) {
	noVariables(t)
	dir := t.TempDir()
	text, desc := filepath.Join(dir, "t.proto"), filepath.Join(dir, "t.desc")
	_, errw := generate(t, 0, nil, "--ddl", ddl(t, "CREATE TABLE t (a INT)"), "--output", text, "--descriptor-out", desc)
	if want := "wrote " + text + " and " + desc + ": message t, 1 field\n"; errw != want {
		t.Errorf("stderr is %q, want %q", errw, want)
	}
	if got := names(t, dir); len(got) != 2 || len(read(t, text)) == 0 || len(read(t, desc)) == 0 {
		t.Errorf("there is %q", got)
	}
}

func TestGenerateOutput_ReplacesWhatIsThere(t *testing.T) {
	noVariables(t)
	table := ddl(t, "CREATE TABLE t (a INT)")
	dir := t.TempDir()
	file := filepath.Join(dir, "t.proto")
	if err := os.WriteFile(file, []byte(strings.Repeat("// old\n", 1000)), 0o640); err != nil {
		t.Fatal(err)
	}
	generate(t, 0, nil, "--ddl", table, "--output", file)
	if got := read(t, file); strings.Contains(got, "old") || !strings.Contains(got, "message t {") {
		t.Errorf("the file is\n%s", got)
	}
	if info, err := os.Stat(file); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o640 {
		t.Errorf("the file's mode is %v, %v; it was 0640", info.Mode(), err)
	}

	if runtime.GOOS == "windows" {
		return // where links take a privilege
	}
	link := filepath.Join(dir, "link.proto")
	if err := os.Symlink("t.proto", link); err != nil {
		t.Fatal(err)
	}
	generate(t, 0, nil, "--ddl", table, "--proto-msg", "Linked", "--output", link)
	if info, err := os.Lstat(link); err != nil || info.Mode().Type() != fs.ModeSymlink {
		t.Errorf("the link is %v, %v", info, err)
	}
	if got := read(t, file); !strings.Contains(got, "message Linked {") {
		t.Errorf("what the link leads to is\n%s", got)
	}
	if got := names(t, dir); len(got) != 2 {
		t.Errorf("there is %q", got)
	}
}

func TestGenerateOutput_DevicesStayDevices(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there is no /dev/null")
	}
	noVariables(t)
	generate(t, 0, nil, "--ddl", ddl(t, "CREATE TABLE t (a INT)"), "--output", "/dev/null")
	if info, err := os.Stat("/dev/null"); err != nil || info.Mode().IsRegular() {
		t.Errorf("/dev/null is %v, %v", info, err)
	}
}
