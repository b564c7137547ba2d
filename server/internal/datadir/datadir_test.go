package datadir

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

func TestAnnounce_ReadBackAndRetracted(t *testing.T) {
	d, err := Open(filepath.Join(t.TempDir(), "a", "b"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Running(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("before: %v", err)
	}
	want := Running{PID: 7, GRPCEndpoint: "http://127.0.0.1:1", WorkspaceURL: "http://127.0.0.1:2", CA: "ca.pem"}
	if err := d.Announce(want); err != nil {
		t.Fatal(err)
	}
	token, err := d.EnsureAdminToken()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := d.Running(); got != want || err != nil {
		t.Errorf("got %+v, %v", got, err)
	}
	if again, err := d.EnsureAdminToken(); again != token || err != nil || len(token) != 64 {
		t.Errorf("the admin token changed from %d to %d characters: %v", len(token), len(again), err)
	}
	if info, err := os.Stat(d.adminToken()); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("the admin token's file: %v, %v", info.Mode(), err)
	}
	for range 2 {
		if err := d.Retract(); err != nil {
			t.Errorf("retract: %v", err)
		}
	}
	if _, err := d.Running(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after: %v", err)
	}
}

func TestOpen_Refusals(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{file, filepath.Join(file, "below")} {
		if _, err := Open(path); err == nil {
			t.Errorf("%s was opened", path)
		}
	}
	empty := t.TempDir()
	if _, err := Existing(empty); err == nil {
		t.Error("an empty directory is taken for a data directory")
	}
	if _, err := Open(empty); err != nil {
		t.Error(err)
	}
	if left, _ := os.ReadDir(empty); len(left) != 0 {
		t.Errorf("Open left %v behind", left)
	}
}

func TestAdminToken_DamageIsAnError(t *testing.T) {
	d, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(d.adminToken(), []byte("short\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := d.EnsureAdminToken(); err == nil {
		t.Error("a damaged admin token was taken")
	}
}
