package main

import "sort"

// places knows on which line of which input a record stands, for the records that are not durable yet. It keeps a mark only
// where records do not stand on consecutive lines.
type places struct{ marks []mark }

// mark says that the records from this one on stand on consecutive lines.
type mark struct {
	record int64
	line   int64
	input  int
}

// note is called for every record, in order.
func (p *places) note(record int64, input int, line int64) {
	if n := len(p.marks); n > 0 {
		last := &p.marks[n-1]
		if last.input == input && last.line-last.record == line-record {
			return
		}
	}
	p.marks = append(p.marks, mark{record, line, input})
}

// forget drops the marks of records below this one, once they are more than half.
func (p *places) forget(below int64) {
	if i := p.find(below); i > len(p.marks)/2 {
		p.marks = append(p.marks[:0], p.marks[i:]...)
	}
}

// at returns the place of a record that was noted and not forgotten.
func (p *places) at(record int64) (input int, line int64) {
	m := p.marks[p.find(record)]
	return m.input, m.line + record - m.record
}

// find is the index of the last mark that is not behind the record; 0 when all are.
func (p *places) find(record int64) int {
	i := sort.Search(len(p.marks), func(i int) bool { return p.marks[i].record > record })
	return max(i-1, 0)
}
