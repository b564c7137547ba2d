package server_test

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/zerobus-go/zerobus"
	"github.com/zerobus-go/zerobus/server"
)

// A table outside of the data directory: made, written, dropped under a stream, registered again. Its rows stay with its files.
func TestExternalTable_FromStatementToRows(t *testing.T) {
	root := newRoot(t)
	// Commits come with the drop, and with what looks at the table.
	h := start(t, func(c *server.Config) { c.ExternalRoots, c.CommitInterval = []string{root}, time.Hour })
	const name = "main.default.theirs"
	place := filepath.ToSlash(root) + "/a b"
	h.sql("CREATE TABLE " + name + " (id BIGINT, text STRING) LOCATION '" + place + "'")
	id, secret := h.principal("writer of theirs", name)
	open := func() *zerobus.Stream {
		s, err := h.sdk().CreateStream(t.Context(), zerobus.Table(name), zerobus.ClientCredentials{ID: id, Secret: secret}, zerobus.WithRecovery(false))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	s := open()
	for i := range 3 {
		if _, err := s.Ingest(t.Context(), zerobus.JSONString(fmt.Sprintf(`{"id":%d}`, i))); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	h.sql("DROP TABLE " + name)
	_, err := s.Ingest(t.Context(), zerobus.JSONString(`{"id":99}`))
	err = errors.Join(err, s.Flush(t.Context()), s.Close(t.Context()))
	if err == nil || !strings.Contains(err.Error(), "NotFound") && !strings.Contains(err.Error(), "cannot be found") {
		t.Errorf("the stream ended with %v", err)
	}

	h.sql("CREATE TABLE " + name + " LOCATION 'file://" + strings.ReplaceAll(place, " ", "%20") + "'")
	h.sql("GRANT SELECT, MODIFY ON TABLE " + name + " TO `" + id + "`")
	s = open()
	if _, err := s.Ingest(t.Context(), zerobus.JSONString(`{"id":3}`)); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if rows := h.head(name); len(rows) != 4 {
		t.Errorf("the table has %v, want 4 rows", rows)
	}
	if _, err := os.Stat(filepath.Join(root, "a b", "_delta_log", "00000000000000000000.json")); err != nil {
		t.Error(err)
	}
}

// lockedText is a log that is read while it is written.
type lockedText struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lockedText) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lockedText) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// newRoot makes a directory for tables of others, and gives its path without links.
func newRoot(t *testing.T) string {
	t.Helper()
	top, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	root := filepath.Join(top, "lake")
	if err := os.Mkdir(root, 0o755); err != nil {
		t.Fatal(err)
	}
	return root
}

// A stream to a table that is away, or another one, is refused without a word of places; the log has them.
func TestExternalTable_RefusedStreams(t *testing.T) {
	root := newRoot(t)
	var log lockedText
	h := start(t, func(c *server.Config) {
		c.ExternalRoots, c.Logger = []string{root}, slog.New(slog.NewTextHandler(&log, nil))
	})
	const name = "main.default.theirs"
	dir := filepath.Join(root, "t")
	h.sql("CREATE TABLE " + name + " (id BIGINT) LOCATION '" + filepath.ToSlash(dir) + "'; CREATE TABLE main.default.other (id BIGINT) LOCATION '" + filepath.ToSlash(root) + "/u'")
	id, secret := h.principal("writer of theirs", name)
	refused := func(why string) {
		t.Helper()
		_, err := h.sdk().CreateStream(t.Context(), zerobus.Table(name), zerobus.ClientCredentials{ID: id, Secret: secret}, zerobus.WithRecovery(false))
		if err == nil || !strings.Contains(err.Error(), "it needs its operator: the server's log says why") || strings.Contains(err.Error(), "lake") {
			t.Errorf("got %v", err)
		}
		if !strings.Contains(log.String(), why) {
			t.Errorf("the log has no %q:\n%s", why, log.String())
		}
	}
	if err := os.Rename(dir, dir+"2"); err != nil {
		t.Fatal(err)
	}
	refused("the directory is not there")
	if err := os.Rename(filepath.Join(root, "u"), dir); err != nil {
		t.Fatal(err)
	}
	refused("table was replaced: metaData.id at " + dir)
	if err := errors.Join(os.RemoveAll(dir), os.Symlink(dir+"2", dir)); err != nil {
		t.Skip("no links here: ", err)
	}
	refused("a link leads to " + dir + "2")
}

func TestExternalTable_NoRootNoLocation(t *testing.T) {
	h := start(t)
	err := h.SQL(t.Context(), "CREATE TABLE main.default.x LOCATION '/data/x'")
	if err == nil || !strings.Contains(err.Error(), "external_root (--external-root)") {
		t.Errorf("got %v, want the name of the setting", err)
	}
}
