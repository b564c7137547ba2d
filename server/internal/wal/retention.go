package wal

import "slices"

// segment is one segment file of the log.
type segment struct {
	number   uint64
	firstSeq uint64
	next     uint64 // sequence number behind its last entry
	end      int64  // offset behind its last entry
	size     int64  // of the file
	sealed   bool   // a later segment exists; nothing is added any more
	tables   int    // number of tables with entries that are not trimmed
}

// retention knows which segments are still needed. It is pure; the log's lock guards it.
//
// Invariant: segment.tables is the number of uses that refer to the segment, over all tables.
type retention struct {
	live   []*segment // ascending; the last one is being written
	tables map[TableID]*uses
}

// uses lists the segments with entries of one table that are not trimmed, ascending.
type uses struct{ list []use }

type use struct {
	seg  *segment
	last uint64 // the table's last entry in seg
}

// note records that entry seq of table is in seg, which is the last of live.
func (r *retention) note(table TableID, seg *segment, seq uint64) {
	u := r.tables[table]
	if u == nil {
		if r.tables == nil {
			r.tables = make(map[TableID]*uses)
		}
		u = &uses{}
		r.tables[table] = u
	}
	if n := len(u.list); n > 0 && u.list[n-1].seg == seg {
		u.list[n-1].last = seq
		return
	}
	u.list = append(u.list, use{seg, seq})
	seg.tables++
}

// trim drops what entries of table up to upTo need, and returns the segments that nothing needs any more.
func (r *retention) trim(table TableID, upTo uint64) []*segment {
	u := r.tables[table]
	if u == nil {
		return nil
	}
	n, unused := 0, false
	for ; n < len(u.list) && u.list[n].last <= upTo; n++ {
		seg := u.list[n].seg
		seg.tables--
		unused = unused || seg.tables == 0 && seg.sealed
	}
	u.list = slices.Delete(u.list, 0, n)
	if len(u.list) == 0 {
		delete(r.tables, table)
	}
	if !unused {
		return nil
	}
	return r.sweep()
}

// seal records that a segment gets no more entries.
func (r *retention) seal(seg *segment) []*segment {
	seg.sealed = true
	return r.sweep()
}

// sweep takes the segments that nothing needs out of live.
func (r *retention) sweep() (dead []*segment) {
	r.live = slices.DeleteFunc(r.live, func(s *segment) bool {
		if s.sealed && s.tables == 0 {
			dead = append(dead, s)
			return true
		}
		return false
	})
	return dead
}
