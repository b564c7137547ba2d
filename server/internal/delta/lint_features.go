package delta

import (
	"cmp"
	"slices"
	"strconv"
)

// features checks what the table's features ask of a commit, against the state before it: in-commit timestamps stand first and
// grow, and rows have ids that no row had before.
func (l *linter) features(version int64, c *commit) {
	before := &l.state.draft
	after := before.following(c)
	l.timestamps(version, before, after, c)
	l.rowTracking(version, before, after, c)
}

// timestamps checks PROTOCOL.md, "Writer Requirements for In-Commit Timestamps".
func (l *linter) timestamps(version int64, before, after *Snapshot, c *commit) {
	switch {
	case !after.inCommitTimestamps():
		return
	case c.stamp == nil:
		l.report(version, "commitInfo with inCommitTimestamp is missing")
		return
	case !c.infoFirst:
		l.report(version, "inCommitTimestamp is not in the first action")
	}
	if before.inCommitTimestamps() {
		if before.stamp != nil && *c.stamp <= *before.stamp {
			l.report(version, "inCommitTimestamp is %d, after %d", *c.stamp, *before.stamp)
		}
		return
	}
	if version == 0 {
		return
	}
	for _, p := range []struct {
		name string
		want int64
	}{{enablementVersion, version}, {enablementTimestamp, *c.stamp}} {
		if v, _ := after.property(p.name); v != strconv.FormatInt(p.want, 10) {
			l.report(version, "in-commit timestamps begin here, property %s is %q, want %d", p.name, v, p.want)
		}
	}
}

// rowIDs is what an add says of the rows of its file.
type rowIDs struct {
	base, version *int64
}

// rowTracking checks PROTOCOL.md, "Writer Requirements for Row Tracking".
func (l *linter) rowTracking(version int64, before, after *Snapshot, c *commit) {
	if l.rows == nil {
		l.rows = map[string]rowIDs{}
		for a := range before.Files() {
			l.rowsAre(&a)
		}
	}
	defer func() {
		for i := range c.adds {
			l.rowsAre(&c.adds[i])
		}
	}()
	if !after.RowTracking() {
		return
	}
	if err := after.checkRows(after.refusal); err != nil {
		l.report(version, "%v", err)
		return
	}
	for i := range c.removes {
		r := &c.removes[i]
		if had := l.rows[r.Path]; !had.equal(rowIDs{r.BaseRowID, r.DefaultRowCommitVersion}) {
			l.report(version, "remove of %s does not have the row ids of its add", r.Path)
		}
	}
	l.newRows(version, before, after, c)
	if after.keepsRows() && !before.keepsRows() {
		l.allRows(version, c)
	}
}

// rowsAre remembers the row ids of a file, if it has some.
func (l *linter) rowsAre(a *Add) {
	if a.BaseRowID == nil && a.DefaultRowCommitVersion == nil {
		delete(l.rows, a.Path)
		return
	}
	l.rows[a.Path] = rowIDs{a.BaseRowID, a.DefaultRowCommitVersion}
}

func (r rowIDs) equal(o rowIDs) bool {
	same := func(a, b *int64) bool { return (a == nil) == (b == nil) && (a == nil || *a == *b) }
	return same(r.base, o.base) && same(r.version, o.version)
}

// newRows checks the ids that the commit gives, and the high water mark after it.
func (l *linter) newRows(version int64, before, after *Snapshot, c *commit) {
	mark, err := before.rowsHigh()
	if err != nil {
		return // which the version that made it so was reported for
	}
	high := mark
	var given []*Add
	for i := range c.adds {
		a := &c.adds[i]
		had := l.rows[a.Path]
		switch {
		case had.base != nil:
			if !had.equal(rowIDs{a.BaseRowID, a.DefaultRowCommitVersion}) {
				l.report(version, "add of %s changes the row ids of the file", a.Path)
			}
		case !after.numbersRows():
			if a.BaseRowID != nil || a.DefaultRowCommitVersion != nil {
				l.report(version, "add of %s gives row ids, which are suspended", a.Path)
			}
		case a.BaseRowID == nil || a.DefaultRowCommitVersion == nil:
			l.report(version, "add of %s gives no row ids", a.Path)
		default:
			if *a.DefaultRowCommitVersion != version {
				l.report(version, "add of %s has defaultRowCommitVersion %d", a.Path, *a.DefaultRowCommitVersion)
			}
			given = append(given, a)
		}
	}
	slices.SortFunc(given, func(a, b *Add) int { return cmp.Compare(*a.BaseRowID, *b.BaseRowID) })
	for _, a := range given {
		rows, ok := numRecords(a.Stats)
		if !ok {
			l.report(version, "add of %s gives row ids and does not say to how many rows", a.Path)
			continue
		}
		if *a.BaseRowID <= high {
			l.report(version, "add of %s gives row ids from %d on, %d was given before", a.Path, *a.BaseRowID, high)
		}
		high = max(high, *a.BaseRowID+rows-1)
	}
	for i := range c.domains {
		if d := &c.domains[i]; d.Domain == rowDomain {
			after.Domains = map[string]DomainMetadata{}
			if !d.Removed {
				after.Domains[rowDomain] = *d
			}
		}
	}
	switch now, err := after.rowsHigh(); {
	case err != nil:
		l.report(version, "%v", err)
	case now < high:
		l.report(version, "the high water mark of row ids is %d, %d was given", now, high)
	}
}

// allRows checks that every file has row ids when readers may rely on them.
func (l *linter) allRows(version int64, c *commit) {
	left := map[string]bool{} // the files before that stay as they are
	for a := range l.state.draft.Files() {
		left[a.Path] = a.BaseRowID == nil
	}
	for i := range c.removes {
		delete(left, c.removes[i].Path)
	}
	for i := range c.adds {
		delete(left, c.adds[i].Path)
	}
	for _, path := range sortedKeys(left) {
		if left[path] {
			l.report(version, "row tracking is turned on, and file %s has no row ids", path)
		}
	}
}
