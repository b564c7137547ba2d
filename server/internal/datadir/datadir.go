// Package datadir knows where a server keeps what: it gives the paths in a data directory and reads and writes the two small
// files that let the tool find a running server. It opens none of the stores.
//
//	zerobus-data/
//	├─ tables/        the lake: one directory a table, in it _delta_log and the Parquet files
//	├─ wal/           the write-ahead log
//	├─ ledger.db      positions of producers, and where orphaned files may be
//	├─ catalog.db     catalogs, schemas, tables, principals, grants
//	├─ token-keys.json   the keys that sign access tokens      (owner only)
//	├─ tls/           the local certificate authority           (its key: owner only)
//	├─ admin.token    what the tool shows the running server    (owner only)
//	└─ server.json    where the running server listens
package datadir

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Default is the data directory when none is named.
const Default = "zerobus-data"

// Dir is a data directory.
type Dir struct{ root string }

// Open makes the directory when it does not exist and checks that it can be written.
func Open(path string) (Dir, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return Dir{}, err
	}
	if err := os.MkdirAll(abs, 0o755); err != nil {
		return Dir{}, fmt.Errorf("data directory: %w", err)
	}
	probe, err := os.CreateTemp(abs, ".probe-*")
	if err != nil {
		return Dir{}, fmt.Errorf("data directory cannot be written: %w", err)
	}
	probe.Close()
	return Dir{abs}, os.Remove(probe.Name())
}

// Existing is Open for a directory that is there already, for those who only look.
func Existing(path string) (Dir, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return Dir{}, err
	}
	if _, err := os.Stat(Dir{abs}.Catalog()); err != nil {
		return Dir{}, fmt.Errorf("%s is no data directory: name one with --data, or make one with zerobus serve", abs)
	}
	return Dir{abs}, nil
}

// Root is the absolute path.
func (d Dir) Root() string { return d.root }

// Tables is the directory of the lake.
func (d Dir) Tables() string { return filepath.Join(d.root, "tables") }

// WAL is the directory of the log.
func (d Dir) WAL() string { return filepath.Join(d.root, "wal") }

// Ledger is the ledger's file.
func (d Dir) Ledger() string { return filepath.Join(d.root, "ledger.db") }

// Catalog is the catalog's file.
func (d Dir) Catalog() string { return filepath.Join(d.root, "catalog.db") }

// TokenKeys is the file of the keys that sign tokens.
func (d Dir) TokenKeys() string { return filepath.Join(d.root, "token-keys.json") }

// TLS is the directory of the local certificate authority.
func (d Dir) TLS() string { return filepath.Join(d.root, "tls") }

func (d Dir) adminToken() string { return filepath.Join(d.root, "admin.token") }
func (d Dir) running() string    { return filepath.Join(d.root, "server.json") }

// Running is where a server of this directory listens.
type Running struct {
	PID          int    `json:"pid"`
	GRPCEndpoint string `json:"grpc_endpoint"` // for New of the SDK
	WorkspaceURL string `json:"workspace_url"` // likewise; also that of the administration
	CA           string `json:"ca,omitempty"`  // file of the certificate authority to trust, if not the system's
}

// Announce writes where the server listens.
func (d Dir) Announce(r Running) error {
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return replace(d.running(), append(b, '\n'), 0o644)
}

// Retract removes what Announce said about the address, if there is anything.
func (d Dir) Retract() error {
	if err := os.Remove(d.running()); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// Running reads where a server listens. The error is fs.ErrNotExist when none says so; one that was killed may still say so.
func (d Dir) Running() (Running, error) {
	var r Running
	b, err := os.ReadFile(d.running())
	if err != nil {
		return r, err
	}
	if err := json.Unmarshal(b, &r); err != nil {
		return r, fmt.Errorf("%s: %w", d.running(), err)
	}
	return r, nil
}

// EnsureAdminToken is AdminToken for the server, which makes one when there is none yet.
func (d Dir) EnsureAdminToken() (string, error) {
	t, err := d.AdminToken()
	if errors.Is(err, fs.ErrNotExist) {
		return d.newAdminToken()
	}
	return t, err
}

// AdminToken reads the admin token. The error is fs.ErrNotExist before a server has run.
func (d Dir) AdminToken() (string, error) {
	b, err := os.ReadFile(d.adminToken())
	t := strings.TrimSpace(string(b))
	if err == nil && len(t) < 32 {
		return "", fmt.Errorf("%s is damaged: remove it and restart the server", d.adminToken())
	}
	return t, err
}

func (d Dir) newAdminToken() (string, error) {
	var b [32]byte
	if _, err := rand.Read(b[:]); err != nil {
		return "", err
	}
	t := hex.EncodeToString(b[:])
	return t, replace(d.adminToken(), []byte(t+"\n"), 0o600)
}

// replace writes a small file as a whole. Readers see the old or the new one. It is not synced: what these files say is of no
// use after a crash, and a lost admin token is made anew.
func replace(path string, data []byte, perm fs.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	if err := errors.Join(f.Chmod(perm), write(f, data), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

func write(f *os.File, data []byte) error {
	_, err := f.Write(data)
	return err
}
