package decode

import (
	"bytes"
	"encoding/binary"
	"hash/maphash"
	"math/bits"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/zerobus-go/zerobus/server/internal/column"
)

// mapEntry is an entry of a map that waits for the end of the map.
type mapEntry struct {
	at   int32 // where its length is in the record; ^at if a later entry has its key
	key  int32 // where its key is; 0 if it has none
	next int32 // 1 + index of the next entry of the map; 0 for none
}

// maxPairs is how many entries of a map are compared pair by pair.
const maxPairs = 8

// endMap puts the entries of a map into the kids of v.
func (d *protoDecoder) endMap(dst *column.Chunk, n *protoNested, v *column.Vector, b []byte) error {
	if n.count > 1 {
		d.markRepeated(n, b)
	}
	return d.readEntries(dst, n, v, b)
}

// dropMap forgets the entries of a map.
func (d *protoDecoder) dropMap(dst *column.Chunk, n *protoNested, v *column.Vector, b []byte) error {
	for e := n.head; e != 0; e = d.entries[e-1].next {
		d.entries[e-1].at = ^d.entries[e-1].at
	}
	return d.readEntries(dst, n, v, b)
}

// readEntries reads the entries of a map. One that does not count is read like the others, because what breaks it breaks the
// record, and taken back.
func (d *protoDecoder) readEntries(dst *column.Chunk, n *protoNested, v *column.Vector, b []byte) error {
	for e := n.head; e != 0; {
		entry := d.entries[e-1] // a copy: maps inside of values add theirs
		if err := d.entry(dst, n, v, b, entry.at); err != nil {
			return err
		}
		e = entry.next
	}
	n.head, n.tail, n.count = 0, 0, 0
	return nil
}

func (d *protoDecoder) entry(dst *column.Chunk, n *protoNested, v *column.Vector, b []byte, pos int32) error {
	row, at, kept, cost := v.Kids[0].N, int(pos), n.first, n.cost
	dropped := pos < 0
	if dropped {
		at, n.first, cost = int(^pos), refusal{}, weight(v)
	}
	if cost > 0 {
		if err := d.charge(dst, n, cost); err != nil {
			return err
		}
	}
	from, to := span(b, at)
	if err := d.inner(dst, n.plan, v.Kids, row, b[:to], from); err != nil {
		return err
	}
	for i := range n.plan.fields {
		f, kid := &n.plan.fields[i], &v.Kids[i]
		switch {
		case f.op == opStruct:
			f.nested.open = true // a message that is not there is an empty one
			if err := d.end(dst, f.nested, kid, row, b, from, &n.first); err != nil {
				return err
			}
		case n.plan.refused[i] != 0:
			d.settleField(n.plan, i, &n.first)
		case kid.N == row:
			if kid.AllNull() && !dst.Begin(kid) {
				return late(f.target)
			}
			next, ok := d.scalar(dst, kid, f, n.zero[i], 0)
			if next < 0 {
				return d.fault(f.target, next, n.zero[i], 0, from)
			}
			if !ok {
				place(kid)
				d.note(&n.first, refusal{at: from, target: f.target, field: f, zero: n.zero[i]})
			}
		}
	}
	if !dropped {
		return nil
	}
	for i := range v.Kids {
		v.Kids[i].Truncate(row)
	}
	if n.first.target != nil {
		d.nRefused--
	}
	n.first = kept
	return nil
}

// markRepeated marks the entries whose key a later entry has.
func (d *protoDecoder) markRepeated(n *protoNested, b []byte) {
	for e := n.head; e != 0; e = d.entries[e-1].next {
		d.entries[e-1].key = n.findKey(b, int(d.entries[e-1].at))
	}
	if n.count <= maxPairs {
		for e := d.entries[n.head-1].next; e != 0; e = d.entries[e-1].next {
			key := n.keyAt(b, d.entries[e-1].key)
			for o := n.head; o != e; o = d.entries[o-1].next {
				if earlier := &d.entries[o-1]; earlier.at >= 0 && key.same(n.keyAt(b, earlier.key)) {
					earlier.at = ^earlier.at
					break
				}
			}
		}
		return
	}
	// Open addressing with at least a quarter of the buckets free; each holds 1 + the index of an entry.
	size := 1 << bits.Len(uint(n.count+n.count/3))
	if len(d.buckets) < size {
		d.buckets = make([]int32, size)
	}
	buckets := d.buckets[:size]
	clear(buckets)
	for e := n.head; e != 0; e = d.entries[e-1].next {
		key := n.keyAt(b, d.entries[e-1].key)
		if key.odd {
			continue
		}
		at := d.hash(key) & uint64(size-1)
		for ; buckets[at] != 0; at = (at + 1) & uint64(size-1) {
			if earlier := &d.entries[buckets[at]-1]; key.same(n.keyAt(b, earlier.key)) {
				earlier.at = ^earlier.at
				break
			}
		}
		buckets[at] = e
	}
}

// findKey is where the last key of the entry is whose length is at b[at]; 0 if there is none. Entries that are broken are found
// later.
func (n *protoNested) findKey(b []byte, at int) (key int32) {
	i, end := span(b, at)
	b = b[:end]
	for i < len(b) {
		tag, value := varint(b, i)
		if value < 0 {
			return key
		}
		if i = skip(b, value, tag); i < 0 {
			return key
		}
		if tag == n.key.tag {
			key = int32(value)
		}
	}
	return key
}

// mapKey is a key as it is compared: of the values that the column takes, two are the same if they are the same in the column.
type mapKey struct {
	text   []byte
	number column.Decimal128
	odd    bool // it is no decimal number, which is the same as no other
}

func (k mapKey) same(o mapKey) bool {
	return k.number == o.number && bytes.Equal(k.text, o.text) && !k.odd && !o.odd
}

// keyAt is the key at b[at], or the one that stands for none if at is 0.
func (n *protoNested) keyAt(b []byte, at int32) mapKey {
	if at == 0 {
		b = n.zero[0]
	}
	if n.key.kind != protoreflect.StringKind {
		x, _ := integerBits(b, int(at), n.key.kind)
		if n.key.op == opBool {
			x = min(x, 1)
		}
		return mapKey{number: column.Decimal128{Lo: x}}
	}
	from, to := span(b, int(at))
	if n.key.op != opDecimal {
		return mapKey{text: b[from:to]}
	}
	x, fault := parseDecimal(b[from:to], n.target.kids[0].precision, n.target.kids[0].scale)
	return mapKey{number: x, odd: fault != decimalOK}
}

// hash is of a seed that nobody knows.
func (d *protoDecoder) hash(k mapKey) uint64 {
	if k.text != nil {
		return maphash.Bytes(d.seed, k.text)
	}
	binary.LittleEndian.PutUint64(d.number[:], k.number.Lo)
	binary.LittleEndian.PutUint64(d.number[8:], uint64(k.number.Hi))
	return maphash.Bytes(d.seed, d.number[:])
}
