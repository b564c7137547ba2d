package main

import (
	"fmt"
	"strings"
)

// A run is rows of a table that follow each other, of one stream and with numbers that rise by 1.
type run struct{ stream, first, count int64 }

// A tally is how often each record is in the table. Rows are added in the order of commits, and within a file in that of
// its rows.
type tally struct {
	streams []tallied
	rows    int64
	alien   []run // of streams that there are not, or with numbers that no stream reached
}

type tallied struct {
	times []uint8 // by number; no more than 255 are counted
	high  int64   // the highest number so far, plus 1
	late  spans   // records that came for the first time behind a higher one
}

// newTally is for streams that were given so many records each.
func newTally(given []int64) *tally {
	t := &tally{streams: make([]tallied, len(given))}
	for i, n := range given {
		t.streams[i].times = make([]uint8, n)
	}
	return t
}

func (t *tally) add(r run) {
	t.rows += r.count
	if r.stream < 0 || r.stream >= int64(len(t.streams)) || r.first < 0 || r.first+r.count > int64(len(t.streams[r.stream].times)) {
		if len(t.alien) < samples {
			t.alien = append(t.alien, r)
		}
		return
	}
	s := &t.streams[r.stream]
	for n := r.first; n < r.first+r.count; n++ {
		if s.times[n] == 0 && n < s.high {
			s.late.add(n, n+1)
		}
		if s.times[n] < 255 {
			s.times[n]++
		}
		s.high = max(s.high, n+1)
	}
}

// A verdict is the sum of what is right and wrong.
type verdict struct {
	acked, lost, doubled int64
	faults               []string // what must not be, in words
}

// samples is how many numbers are named of each fault of a stream.
const samples = 8

// judge compares the table with what the ledgers say. once is whether no record may be there twice, also when it was sent
// again.
func (t *tally) judge(ledgers []*ledger, once bool) (v verdict) {
	for _, r := range t.alien {
		v.faults = append(v.faults, fmt.Sprintf("stream %d: %d records from %d on were never sent", r.stream, r.count, r.first))
	}
	for i, l := range ledgers {
		s := &t.streams[i]
		var lost, doubled, unexcused spans
		v.acked += l.acked - l.unsure.count()
		for n, times := range s.times {
			n := int64(n)
			switch {
			case times == 0 && n < l.acked && !l.unsure.has(n):
				lost.add(n, n+1)
			case times > 1:
				doubled.add(n, n+1)
				if once || !l.resent.has(n) {
					unexcused.add(n, n+1)
				}
			}
		}
		// The server may be busy with what a stream that was thrown away has sent, while the next stream sends.
		var late spans
		for _, x := range s.late {
			for n := x.from; n < x.to; n++ {
				if !l.unsure.has(n) {
					late.add(n, n+1)
				}
			}
		}
		v.lost += lost.count()
		v.doubled += doubled.count()
		why := "was sent once and is there more than once"
		if once {
			why = "is there more than once"
		}
		for _, f := range []struct {
			what string
			are  spans
		}{{"was acknowledged and is LOST", lost}, {why, unexcused}, {"is behind later ones", late}} {
			if len(f.are) > 0 {
				v.faults = append(v.faults, fmt.Sprintf("stream %d: what %s: %d records: %s", i, f.what, f.are.count(), f.are))
			}
		}
		for _, f := range l.faults {
			v.faults = append(v.faults, fmt.Sprintf("stream %d: the SDK said: %s", i, f))
		}
	}
	return v
}

// String names the first ranges.
func (s spans) String() string {
	var b strings.Builder
	for i, x := range s {
		switch {
		case i == samples:
			fmt.Fprintf(&b, ", and %d more ranges", len(s)-i)
			return b.String()
		case i > 0:
			b.WriteString(", ")
		}
		fmt.Fprint(&b, x.from)
		if x.to > x.from+1 {
			fmt.Fprintf(&b, "-%d", x.to-1)
		}
	}
	return b.String()
}
