package schema

import (
	"bytes"
	"hash/maphash"
	"slices"

	"github.com/zerobus-go/zerobus/internal/jsonscan"
)

// entryKey reads the key of a map at b[i] and writes it.
func (s *encodeState) entryKey(p *encodePlan, b []byte, i int) int {
	if reason := jsonscan.Key(b, i); reason != "" {
		return s.fail(p.path, i, reason)
	}
	text, end, reason := s.scratch.View(b, i)
	if reason != "" {
		return s.fail(p.key.path, end, reason)
	}
	begin := len(s.out)
	if reason = s.keyText(p.key, text); reason != "" {
		return s.fail(p.key.path, i, reason)
	}
	if !s.sets[p.set].add(s.out[begin:]) { // on the wire equal keys are the same bytes
		return s.fail(p.path, i, "duplicate key '"+jsonscan.Clip(text)+"'")
	}
	return end
}

// keyText writes a key, of which JSON has but the text. The reason is why it is none of the type; empty if it is.
func (s *encodeState) keyText(p *encodePlan, text []byte) (reason string) {
	switch p.op {
	case encodeDecimal:
		return s.decimalText(p, text)
	case encodeInteger:
		x, end, ok := jsonscan.Int64(text, 0)
		switch {
		case end != len(text) || string(text) == "-0":
			return "key '" + jsonscan.Clip(text) + "' is not a plain integer"
		case !ok || x < p.min || x > p.max:
			return p.outOfRange(text)
		}
		s.varint(p.tag, uint64(x))
		return ""
	case encodeBool:
		switch string(text) {
		case "true":
			s.varint(p.tag, 1)
		case "false":
			s.varint(p.tag, 0)
		default:
			return "key '" + jsonscan.Clip(text) + "' is neither true nor false"
		}
		return ""
	}
	if reason = p.tooLong(text); reason == "" {
		s.bytes(p.tag, text)
	}
	return reason
}

// keySet is the keys of one map.
type keySet struct {
	seed  maphash.Seed
	text  []byte // the keys, one behind the other
	ends  []int  // of each
	table []int  // by hash: 1 + which key, 0 for none; a power of two, no less than twice as many as keys
}

const (
	minKeyTable = 16       // entries, enough for most maps
	maxKeyText  = 64 << 10 // bytes of keys, beyond which the next map lets the memory go
)

// reset empties the set.
func (k *keySet) reset() {
	if cap(k.text) > maxKeyText {
		*k = keySet{seed: k.seed}
	}
	k.text, k.ends = k.text[:0], k.ends[:0]
	k.table = k.table[:min(len(k.table), minKeyTable)]
	clear(k.table)
}

// add adds a key, and reports whether it is new.
func (k *keySet) add(key []byte) bool {
	if 2*len(k.ends) >= len(k.table) {
		k.grow()
	}
	at := k.find(key)
	if k.table[at] != 0 {
		return false
	}
	k.text = append(k.text, key...)
	k.ends = append(k.ends, len(k.text))
	k.table[at] = len(k.ends)
	return true
}

// find is where a key is in the table, or would be.
func (k *keySet) find(key []byte) uint64 {
	mask := uint64(len(k.table) - 1)
	at := maphash.Bytes(k.seed, key) & mask
	for k.table[at] != 0 && !bytes.Equal(k.key(k.table[at]-1), key) {
		at = (at + 1) & mask
	}
	return at
}

// key is key n.
func (k *keySet) key(n int) []byte {
	begin := 0
	if n > 0 {
		begin = k.ends[n-1]
	}
	return k.text[begin:k.ends[n]]
}

// grow doubles the table.
func (k *keySet) grow() {
	size := max(2*len(k.table), minKeyTable)
	k.table = slices.Grow(k.table[:0], size)[:size]
	clear(k.table)
	for n := range k.ends {
		k.table[k.find(k.key(n))] = n + 1
	}
}
