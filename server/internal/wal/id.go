package wal

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"io"
	"path/filepath"
	"strings"
)

// The ID file says that the directory is a log, whatever else is left of it: a log whose segments have vanished must
// not begin again at 1 under the same id, or its tables would take new entries for old ones.
const (
	idPrefix   = "zerobus-wal 1 "
	maxIDBytes = 256
)

// newLogID makes a random UUID, version 4.
func newLogID() logID {
	var id logID
	rand.Read(id[:]) // never fails
	id[6] = id[6]&0x0f | 0x40
	id[8] = id[8]&0x3f | 0x80
	return id
}

// idLine is the content of the ID file: format, version, id, and CRC-32C of all before it.
func idLine(id logID) string {
	line := idPrefix + id.String()
	return fmt.Sprintf("%s %08x\n", line, crc32.Checksum([]byte(line), castagnoli))
}

// parseIDLine is the reverse of idLine.
func parseIDLine(line string) (id logID, ok bool) {
	digits, ok := strings.CutPrefix(line, idPrefix)
	if !ok || len(digits) < 36 {
		return id, false
	}
	raw, err := hex.DecodeString(strings.ReplaceAll(digits[:36], "-", ""))
	if err != nil || len(raw) != len(id) {
		return id, false
	}
	copy(id[:], raw)
	return id, idLine(id) == line
}

// readID reads the ID file. The log's segments say what should be in it; want is nil if there are none.
func readID(fsys FS, dir string, want *logID) (logID, error) {
	name := filepath.Join(dir, idName)
	f, err := fsys.Open(name)
	if err != nil {
		return logID{}, ioError("open", name, err)
	}
	defer f.Close()
	b := make([]byte, maxIDBytes)
	n, err := f.ReadAt(b, 0)
	if err != nil && err != io.EOF {
		return logID{}, ioError("read", name, err)
	}
	id, ok := parseIDLine(string(b[:n]))
	switch {
	case !ok && want != nil:
		return id, &CorruptionError{File: name, Reason: fmt.Sprintf("not the id of a log; the log's segments say that it should be %q", idLine(*want))}
	case !ok:
		return id, &CorruptionError{File: name, Reason: "not the id of a log"}
	case want != nil && id != *want:
		return id, &CorruptionError{File: name, Reason: fmt.Sprintf("the id is %s, but the log's segments belong to %s: files of two logs are mixed", id, *want)}
	}
	return id, nil
}
