package loadgen

import (
	"errors"
	"fmt"
)

// Ids have 9 digits and take 4 bytes as a varint, so that every record of a shape has the same size.
const (
	firstID = 100_000_000
	endID   = 1 << 28

	// Capacity is how many ids there are, of all streams together.
	Capacity = endID - firstID
)

// ErrUsedUp says that there is no id for another record.
var ErrUsedUp = fmt.Errorf("%d records are the most that one run can tell apart: make it shorter", Capacity)

// Origin says of an id which of how many streams has sent it, and as which of its records, both from 0. Ok is false for a number
// that is no id.
func Origin(id int64, streams int) (stream int, n int64, ok bool) {
	if id < firstID || id >= endID {
		return 0, 0, false
	}
	k := id - firstID
	return int(k % int64(streams)), k / int64(streams), true
}

// roundBytes is the memory of a maker's records together, about: they are distinct, and stay in the processor's caches.
const roundBytes = 128 << 10

// Maker makes the records of one stream.
type Maker struct {
	round    []slot
	at       int
	id, step int64
	made     int64
	encoding Encoding
	textAt   int // in the words, of the next text
}

// slot is a record with the places that change.
type slot struct {
	record   []byte
	id       int // of 4 bytes, or 9 digits
	text, to int // the text
}

// NewMaker makes the records of one of so many streams, numbered from 0.
func NewMaker(s *Shape, e Encoding, stream, streams int) *Maker {
	m := &Maker{id: firstID + int64(stream), step: int64(streams), encoding: e, textAt: stream * 7919 % wordBytes}
	for i := range max(16, min(2048, roundBytes/s.Size(e))) {
		m.round = append(m.round, s.slot(e, stream*31+i))
	}
	return m
}

// Next returns a record, which is valid until the round comes back to it, 16 records later or more. Its error is [ErrUsedUp].
func (m *Maker) Next() ([]byte, error) {
	if m.id >= endID {
		return nil, ErrUsedUp
	}
	s := &m.round[m.at]
	if m.at++; m.at == len(m.round) {
		m.at = 0
	}
	if m.encoding == JSON {
		putDigits(s.record[s.id:s.id+idDigits], m.id)
	} else {
		putVarint(s.record[s.id:s.id+idVarint], m.id)
	}
	m.id += m.step
	m.made++
	n := s.to - s.text
	if m.textAt+n > wordBytes {
		m.textAt = 0
	}
	copy(s.record[s.text:s.to], words()[m.textAt:])
	m.textAt += n + 1
	return s.record, nil
}

// Made is how many records were taken.
func (m *Maker) Made() int64 { return m.made }

// Records makes n records that keep what they have, of one stream.
func Records(s *Shape, e Encoding, n int) ([][]byte, error) {
	if n > Capacity {
		return nil, ErrUsedUp
	}
	if n < 1 {
		return nil, errors.New("no records")
	}
	m := NewMaker(s, e, 0, 1)
	all, memory := make([][]byte, n), make([]byte, 0, n*s.Size(e))
	for i := range all {
		r, err := m.Next()
		if err != nil {
			return nil, err
		}
		from := len(memory)
		memory = append(memory, r...)
		all[i] = memory[from:len(memory):len(memory)]
	}
	return all, nil
}
