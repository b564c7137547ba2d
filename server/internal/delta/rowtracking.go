package delta

import (
	"encoding/json"
	"fmt"
	"math"
)

// Row tracking (PROTOCOL.md, "Row Tracking"): every row has a number, which is that of its file's first row plus its place in the
// file, and the version that it came with. A domain keeps the highest number that was given.

const (
	rowTracking    = "rowTracking"    // the feature
	domainMetadata = "domainMetadata" // the feature that it needs

	rowDomain     = "delta.rowTracking"
	enableRows    = "delta.enableRowTracking"
	suspendRows   = "delta.rowTrackingSuspended"
	noRows        = -1                            // the high water mark of a table that has numbered no rows
	rowsPreserved = "delta.rowTracking.preserved" // tag of commitInfo: no row has lost its number
)

// rowMark is what the domain says.
type rowMark struct {
	High *int64 `json:"rowIdHighWaterMark"`
}

// RowTracking tells whether the table supports row tracking: then its rows have numbers, which a commit that moves rows to
// other files would have to keep. This writer does not; it appends.
func (s *Snapshot) RowTracking() bool { return s.Protocol.lists(rowTracking) }

// keepsRows tells whether readers rely on the numbers.
func (s *Snapshot) keepsRows() bool { return s.RowTracking() && s.isTrue(enableRows) }

// numbersRows tells whether new rows get numbers: support is enough for that, unless it is suspended.
func (s *Snapshot) numbersRows() bool { return s.RowTracking() && !s.isTrue(suspendRows) }

// checkRows refuses a table of which rows could not be numbered.
func (s *Snapshot) checkRows(refuse func(feature, format string, args ...any) error) error {
	switch {
	case !s.RowTracking():
		return nil
	case !s.Protocol.lists(domainMetadata):
		return refuse(rowTracking, "without the feature domainMetadata it breaks the protocol")
	case s.keepsRows() && !s.numbersRows():
		return refuse(rowTracking, "%s and %s contradict each other", enableRows, suspendRows)
	}
	if _, err := s.rowsHigh(); err != nil {
		return refuse(rowTracking, "%v", err)
	}
	return nil
}

// rowsHigh returns the highest number of a row, or noRows. A table without the domain has given none, or has lost it with the
// feature; what is left in the files is never given again.
func (s *Snapshot) rowsHigh() (int64, error) {
	d, ok := s.Domains[rowDomain]
	if ok {
		var mark rowMark
		if err := json.Unmarshal([]byte(d.Configuration), &mark); err != nil || mark.High == nil || *mark.High < noRows {
			return 0, fmt.Errorf("domain %s has no rowIdHighWaterMark: %.100q", rowDomain, d.Configuration)
		}
		return *mark.High, nil
	}
	high := int64(noRows)
	for f := range s.Files() {
		if f.BaseRowID == nil {
			continue
		}
		rows, ok := numRecords(f.Stats)
		if !ok {
			return 0, fmt.Errorf("domain %s is missing, and file %s does not say how many rows it has", rowDomain, f.Path)
		}
		high = max(high, *f.BaseRowID+rows-1)
	}
	return high, nil
}

// assignRows numbers the rows of the files that the commit adds, in their order, and moves the high water mark. What is removed
// keeps the numbers that it had. after describes the table after the commit.
func (b *builder) assignRows(after *Snapshot, c *commit) error {
	if len(c.removes) > 0 && after.keepsRows() {
		return after.refusal(rowTracking, "rows that move to other files would lose their ids")
	}
	for i := range c.removes {
		b.inherit(&c.removes[i])
	}
	if !after.numbersRows() || len(c.adds) == 0 {
		return nil
	}
	before, err := b.draft.rowsHigh()
	if err != nil {
		return after.refusal(rowTracking, "%v", err)
	}
	high := before
	for i := range c.adds {
		f := &c.adds[i]
		rows, ok := numRecords(f.Stats)
		switch {
		case !ok || rows < 0:
			return fmt.Errorf("file %q: its statistics do not say how many rows it has, which row tracking needs", f.Path)
		case rows > math.MaxInt64-1-high:
			return after.refusal(rowTracking, "no ids are left after %d", high)
		}
		f.BaseRowID, f.DefaultRowCommitVersion = new(high+1), new(after.Version)
		high += rows
	}
	if high == before {
		return nil
	}
	configuration, err := json.Marshal(rowMark{High: &high})
	if err != nil {
		return err
	}
	c.domains = append(c.domains, DomainMetadata{Domain: rowDomain, Configuration: string(configuration)})
	return nil
}

// inherit gives a remove the numbers of the file that it takes away.
func (b *builder) inherit(r *Remove) {
	i, ok := b.index[fileKey(r.Path, r.DeletionVector)]
	if !ok || r.BaseRowID != nil || r.DefaultRowCommitVersion != nil {
		return
	}
	f := &b.draft.files.adds[i]
	r.BaseRowID, r.DefaultRowCommitVersion = f.BaseRowID, f.DefaultRowCommitVersion
}
