package delta

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/zerobus-go/zerobus/server/internal/lake"
)

// checksumFile is the content of <version>.crc: what the state of the version amounts to (PROTOCOL.md, "Version Checksum File").
// Spark takes a difference for damage. What is not required is nil where the file has not got it.
type checksumFile struct {
	TableSizeBytes *int64          `json:"tableSizeBytes"`
	NumFiles       *int64          `json:"numFiles"`
	NumMetadata    *int64          `json:"numMetadata"`
	NumProtocol    *int64          `json:"numProtocol"`
	Metadata       json.RawMessage `json:"metadata"`
	Protocol       json.RawMessage `json:"protocol"`

	TxnID             *string           `json:"txnId"`
	InCommitTimestamp *int64            `json:"inCommitTimestampOpt"`
	Txns              *[]Txn            `json:"setTransactions"`
	Domains           *[]DomainMetadata `json:"domainMetadata"`
	AllFiles          *[]Add            `json:"allFiles"`
	Histogram         *fileHistogram    `json:"fileSizeHistogram"`
	OldHistogram      *fileHistogram    `json:"histogramOpt"` // Spark's name for it

	NumDeletedRecords  *int64 `json:"numDeletedRecordsOpt"`
	NumDeletionVectors *int64 `json:"numDeletionVectorsOpt"`
}

// fileHistogram counts files by their size: bin i has those from its boundary on to the next.
type fileHistogram struct {
	Boundaries []int64 `json:"sortedBinBoundaries"`
	Counts     []int64 `json:"fileCounts"`
	Bytes      []int64 `json:"totalBytes"`
}

// checksumVersion returns the version that a path of the log is the checksum file of.
func checksumVersion(path string) (int64, bool) {
	name, inLog := strings.CutPrefix(path, logDir)
	digits, isCRC := strings.CutSuffix(name, ".crc")
	if !inLog || !isCRC {
		return 0, false
	}
	return parseVersion(digits)
}

// checksum compares the checksum file of the version with the state, if there is one.
func (l *linter) checksum(ctx context.Context, store lake.Store, version int64) error {
	if !l.sums[version] {
		return nil
	}
	path := checksumPath(version)
	data, err := store.Get(ctx, path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // cleaned up meanwhile
	}
	if err != nil {
		return fmt.Errorf("table %s: read %s: %w", store.URL(), path, err)
	}
	l.summed++
	var c checksumFile
	if err := json.Unmarshal(data, &c); err != nil {
		l.reportIn(InChecksum, version, path, "%s: %v", path, err)
		return nil
	}
	for _, fault := range c.compare(&l.state.draft, l.txnID) {
		l.reportIn(InChecksum, version, path, "%s: %s", path, fault)
	}
	return nil
}

// compare tells what is not as it is in the snapshot.
func (c *checksumFile) compare(s *Snapshot, txnID string) (faults []string) {
	report := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	number := func(name string, got *int64, want int64, required bool) {
		switch {
		case got == nil && required:
			report("%s is missing", name)
		case got != nil && *got != want:
			report("%s is %d, want %d", name, *got, want)
		}
	}
	number("tableSizeBytes", c.TableSizeBytes, s.SizeBytes(), true)
	number("numFiles", c.NumFiles, int64(s.NumFiles()), true)
	number("numMetadata", c.NumMetadata, 1, true)
	number("numProtocol", c.NumProtocol, 1, true)

	// As a commit would have them: absent and null are the same, and so are null and empty maps.
	var state commit
	err := state.parseAction([]byte(`{"metaData":` + orNull(c.Metadata) + `,"protocol":` + orNull(c.Protocol) + `}`))
	switch {
	case err != nil:
		report("%v", err)
	case state.metadata == nil:
		report("metadata is missing")
	case !reflect.DeepEqual(*state.metadata, s.Metadata):
		report("metadata is %+v, want %+v", *state.metadata, s.Metadata)
	}
	switch {
	case err != nil:
	case state.protocol == nil:
		report("protocol is missing")
	case !sameProtocol(state.protocol, &s.Protocol):
		report("protocol is %+v, want %+v", *state.protocol, s.Protocol)
	}

	if c.TxnID != nil && txnID != "" && *c.TxnID != txnID {
		report("txnId is %q, the commit has %q", *c.TxnID, txnID)
	}
	switch {
	case s.stamp != nil && s.inCommitTimestamps():
		number("inCommitTimestampOpt", c.InCommitTimestamp, *s.stamp, true)
	case c.InCommitTimestamp != nil:
		report("inCommitTimestampOpt is %d, and the table has no in-commit timestamps", *c.InCommitTimestamp)
	}
	if _, expire := s.property(txnRetention); c.Txns != nil && !expire {
		if fault := compareBy("setTransactions", *c.Txns, s.Txns, func(t Txn) string { return t.AppID }); fault != "" {
			report("%s", fault)
		}
	}
	if c.Domains != nil {
		if fault := compareBy("domainMetadata", *c.Domains, s.Domains, func(d DomainMetadata) string { return d.Domain }); fault != "" {
			report("%s", fault)
		}
	}
	c.compareFiles(s, report)
	return faults
}

// compareFiles looks at what depends on each of the files.
func (c *checksumFile) compareFiles(s *Snapshot, report func(string, ...any)) {
	if c.AllFiles != nil {
		left := map[string]int64{}
		for a := range s.Files() {
			left[fileKey(a.Path, a.DeletionVector)] = a.Size
		}
		for i := range *c.AllFiles {
			a := &(*c.AllFiles)[i]
			key := fileKey(a.Path, a.DeletionVector)
			switch size, ok := left[key]; {
			case !ok:
				report("allFiles has %s, which is not in the table", a.Path)
			case size != a.Size:
				report("allFiles has %s with %d bytes, want %d", a.Path, a.Size, size)
			}
			delete(left, key)
		}
		if len(left) > 0 {
			report("allFiles lacks %d files", len(left))
		}
	}
	if h := cmp.Or(c.Histogram, c.OldHistogram); h != nil {
		want := fileHistogram{h.Boundaries, make([]int64, len(h.Boundaries)), make([]int64, len(h.Boundaries))}
		for a := range s.Files() {
			at, exact := slices.BinarySearch(h.Boundaries, a.Size)
			if !exact {
				at--
			}
			if at >= 0 {
				want.Counts[at]++
				want.Bytes[at] += a.Size
			}
		}
		if !slices.Equal(h.Counts, want.Counts) || !slices.Equal(h.Bytes, want.Bytes) {
			report("fileSizeHistogram has files %v and bytes %v, want %v and %v", h.Counts, h.Bytes, want.Counts, want.Bytes)
		}
	}
	vectors, deleted := int64(0), int64(0)
	for a := range s.Files() {
		if a.DeletionVector != nil {
			vectors++
			deleted += a.DeletionVector.Cardinality
		}
	}
	if c.NumDeletionVectors != nil && *c.NumDeletionVectors != vectors {
		report("numDeletionVectorsOpt is %d, want %d", *c.NumDeletionVectors, vectors)
	}
	if c.NumDeletedRecords != nil && *c.NumDeletedRecords != deleted {
		report("numDeletedRecordsOpt is %d, want %d", *c.NumDeletedRecords, deleted)
	}
}

// compareBy compares a list with a map, by a key of its elements.
func compareBy[V comparable](name string, list []V, want map[string]V, key func(V) string) string {
	got := map[string]V{}
	for _, v := range list {
		if _, twice := got[key(v)]; twice {
			return fmt.Sprintf("%s has %s twice", name, key(v))
		}
		got[key(v)] = v
	}
	if !maps.Equal(got, want) {
		return fmt.Sprintf("%s are %v, want %v", name, got, want)
	}
	return ""
}

// sameProtocol compares protocols; the features are sets.
func sameProtocol(a, b *Protocol) bool {
	set := func(list []string) []string { return slices.Sorted(slices.Values(list)) }
	return a.MinReaderVersion == b.MinReaderVersion && a.MinWriterVersion == b.MinWriterVersion &&
		slices.Equal(set(a.ReaderFeatures), set(b.ReaderFeatures)) && slices.Equal(set(a.WriterFeatures), set(b.WriterFeatures))
}

func orNull(raw json.RawMessage) string {
	if len(raw) == 0 {
		return "null"
	}
	return string(raw)
}
