package main

import (
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
)

// maker makes JSON records of one size, each with another id. Its memory is used again for the next.
type maker struct {
	id, step int64
	size     int
	buf      []byte
	noteAt   int
}

// newMaker makes the records first, first + step, first + 2 step, … of some bytes each.
func newMaker(first, step int64, size int) *maker {
	return &maker{id: first, step: step, size: size, noteAt: int(uint64(first) * 7919 % corpusSize)}
}

const (
	corpusSize = 1 << 20
	minSize    = 120 // bytes of a record: what all but the note can take
)

// corpus is text of made-up words, from which notes are cut at ever other places. They compress well, as those of real logs do.
var corpus = sync.OnceValue(func() string {
	r := rand.New(rand.NewPCG(1, 2))
	words := make([]string, 2000)
	for i := range words {
		var w strings.Builder
		for range 2 + r.IntN(8) {
			w.WriteByte(byte('a' + r.IntN(26)))
		}
		words[i] = w.String()
	}
	var b strings.Builder
	for b.Len() < 2*corpusSize {
		b.WriteString(words[r.IntN(len(words))])
		b.WriteByte(' ')
	}
	return b.String()
})

// next returns a record, which is valid until the next call.
func (m *maker) next() []byte {
	id := m.id
	m.id += m.step
	b := append(m.buf[:0], `{"id":`...)
	b = strconv.AppendInt(b, id, 10)
	b = append(b, `,"device":"sensor-`...)
	b = strconv.AppendInt(b, id%4096, 10)
	b = append(b, `","at":`...)
	b = strconv.AppendInt(b, 1_767_225_600_000_000+id*997, 10) // from 2026 on
	b = append(b, `,"temp":`...)
	b = strconv.AppendFloat(b, float64(id*31%10_000)/100, 'f', 2, 64)
	b = append(b, `,"note":"`...)
	note := max(0, m.size-len(b)-2)
	m.noteAt = (m.noteAt + note + 1) % corpusSize
	b = append(b, corpus()[m.noteAt:m.noteAt+note]...)
	m.buf = append(b, `"}`...)
	return m.buf
}
