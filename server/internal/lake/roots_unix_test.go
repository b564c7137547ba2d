//go:build unix

package lake

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A pipe in the place of a commit must not hold up who reads the log.
func TestLocal_APipeInAForeignDirectoryIsNotOpened(t *testing.T) {
	g := newGround(t)
	l, err := g.roots(t, g.root).Make(filepath.Join(g.root, "t"))
	if err != nil {
		t.Fatal(err)
	}
	mkdir(t, l.dir, "_delta_log")
	if err := syscall.Mkfifo(filepath.Join(l.dir, "_delta_log", "00000000000000000000.json"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Get(t.Context(), "_delta_log/00000000000000000000.json"); err == nil || !strings.Contains(err.Error(), "is no file and no directory") {
		t.Errorf("got %v", err)
	}
}
