package token

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/google/uuid"
)

const (
	algorithm      = "EdDSA"
	keyFileVersion = 1
	maxKeys        = 16       // one signs, the others wait for their tokens to expire
	maxKeyFile     = 64 << 10 // bytes; a key takes some 200
)

// key is one signing key.
type key struct {
	id      string
	created time.Time
	private ed25519.PrivateKey
}

func newKey(now time.Time) (key, error) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	return key{uuid.NewString(), now.UTC().Truncate(time.Second), private}, err
}

// until is when the last token that the key has signed expires, if next has signed since. It is zero, never, when next was put
// into the file by hand without its time.
func (k key) until(next key) time.Time {
	if next.created.IsZero() {
		return time.Time{}
	}
	return next.created.Add(MaxLifetime + maxSkew)
}

// keyFile is the JSON of the key file; the format is described in the package documentation.
type keyFile struct {
	Version int        `json:"version"`
	Keys    []keyEntry `json:"keys"`
}

type keyEntry struct {
	ID        string    `json:"kid"`
	Algorithm string    `json:"alg"`
	Created   time.Time `json:"created"`
	Private   []byte    `json:"private_key"`
}

// openKeyFile reads the keys, after making the file when there is none.
func openKeyFile(path string, now time.Time) ([]key, error) {
	keys, err := readKeyFile(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return keys, err
	}
	if err := createKeyFile(path, now); err != nil {
		return nil, fmt.Errorf("make token key file %s: %w", path, err)
	}
	return readKeyFile(path)
}

// readKeyFile never quotes what it reads.
func readKeyFile(path string) ([]key, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read token key file: %w", err)
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("read token key file: %w", err)
	}
	// Windows has no such bits; there the access list of the directory decides.
	if perm := st.Mode().Perm(); runtime.GOOS != "windows" && perm&0o077 != 0 {
		return nil, fmt.Errorf("token key file %s can be read by others (mode %04o); run chmod 600 on it, or remove it to have a new key made", path, perm)
	}
	b, err := io.ReadAll(io.LimitReader(f, maxKeyFile+1))
	if err != nil {
		return nil, fmt.Errorf("read token key file: %w", err)
	}
	keys, reason := parseKeyFile(b)
	if reason != "" {
		return nil, fmt.Errorf("token key file %s: %s; restore it, or remove it to have a new key made (tokens issued before become invalid)", path, reason)
	}
	return keys, nil
}

func parseKeyFile(b []byte) (keys []key, reason string) {
	var j keyFile
	if len(b) > maxKeyFile || json.Unmarshal(b, &j) != nil {
		return nil, "it is damaged"
	}
	if j.Version != keyFileVersion {
		return nil, fmt.Sprintf("it has version %d, this program reads %d", j.Version, keyFileVersion)
	}
	if len(j.Keys) == 0 || len(j.Keys) > maxKeys {
		return nil, fmt.Sprintf("it has %d keys, expected 1 to %d", len(j.Keys), maxKeys)
	}
	seen := map[string]bool{}
	for i, e := range j.Keys {
		if e.ID == "" || len(e.ID) > 64 || seen[e.ID] {
			return nil, fmt.Sprintf("the id of key %d is missing, too long or not unique", i)
		}
		seen[e.ID] = true
		if e.Algorithm != algorithm {
			return nil, fmt.Sprintf("key %d is not for %s", i, algorithm)
		}
		parsed, err := x509.ParsePKCS8PrivateKey(e.Private)
		private, ok := parsed.(ed25519.PrivateKey)
		if err != nil || !ok {
			return nil, fmt.Sprintf("key %d is damaged", i)
		}
		keys = append(keys, key{e.ID, e.Created, private})
	}
	return keys, ""
}

// createKeyFile makes the file durably, whole or not at all. When another process was faster its file stays.
func createKeyFile(path string, now time.Time) error {
	k, err := newKey(now)
	if err != nil {
		return err
	}
	return writeKeyFile(path, []key{k}, func(temp string) error {
		err := os.Link(temp, path)
		if err != nil && !errors.Is(err, fs.ErrExist) {
			err = os.Rename(temp, path) // a file system without hard links
		}
		if errors.Is(err, fs.ErrExist) {
			return nil
		}
		return err
	})
}

// replaceKeyFile writes the file durably; a crash leaves the old one or the new one.
func replaceKeyFile(path string, keys []key) error {
	return writeKeyFile(path, keys, func(temp string) error { return os.Rename(temp, path) })
}

// writeKeyFile writes a file beside path, which publish brings to its place.
func writeKeyFile(path string, keys []key, publish func(temp string) error) error {
	f := keyFile{Version: keyFileVersion}
	for _, k := range keys {
		der, err := x509.MarshalPKCS8PrivateKey(k.private)
		if err != nil {
			return err
		}
		f.Keys = append(f.Keys, keyEntry{k.id, algorithm, k.created, der})
	}
	b, err := json.Marshal(f)
	if err != nil {
		return err
	}
	dir := filepath.Dir(path)
	tmp, err := os.CreateTemp(dir, "."+filepath.Base(path)+".*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(append(b, '\n'))
	if err == nil {
		err = tmp.Sync()
	}
	if err = errors.Join(err, tmp.Close()); err != nil {
		return err
	}
	if err := publish(tmp.Name()); err != nil {
		return err
	}
	return syncDir(dir)
}

// syncDir makes a new name in the directory durable. Windows cannot and need not.
func syncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
