package decode

import (
	"bytes"
	"encoding/binary"
	"hash/maphash"
	"math"
	"slices"

	"github.com/zerobus-go/zerobus/internal/jsonscan"
	"github.com/zerobus-go/zerobus/schema"
	"github.com/zerobus-go/zerobus/server/internal/column"
)

// entryKey reads the key of a map at b[i]: a string, whatever the type of the keys, with the text of one.
func (d *jsonDecoder) entryKey(v *column.Vector, p *jsonPlan, b []byte, i int) int {
	if reason := jsonscan.Key(b, i); reason != "" {
		return d.fail(p.name, i, reason)
	}
	p = p.key
	switch p.layout {
	case column.Bytes:
		if p.kind == schema.Binary {
			return d.binary(v, p, b, i)
		}
		return d.string(v, p, b, i)
	case column.Int128:
		return d.decimal(v, p, b, i)
	}
	text, end, reason := d.text.View(b, i)
	if reason != "" {
		return d.fail(p.name, end, reason)
	}
	if reason = p.scalarKey(v, text); reason != "" {
		return d.fail(p.name, i, reason)
	}
	return end
}

// scalarKey adds the key that a text says as JSON writes the value. The reason is why it says none; empty if it does. A sign
// before zero is refused: it would be another text for the same key.
func (p *jsonPlan) scalarKey(v *column.Vector, text []byte) (reason string) {
	switch p.layout {
	case column.Bool:
		switch string(text) {
		case "true", "false":
			v.AppendBool(text[0] == 't')
			return ""
		}
		return "key '" + clip(text) + "' is neither true nor false"
	case column.Float32, column.Float64:
		x, end, ok := jsonscan.Float64(text, 0)
		if p.layout == column.Float32 {
			var narrow float32
			narrow, end, ok = jsonscan.Float32(text, 0)
			x = float64(narrow)
		}
		switch {
		case end != len(text) || x == 0 && math.Signbit(x):
			return "key '" + clip(text) + "' is not a plain number"
		case !ok:
			return "value " + clip(text) + " is out of range for " + p.ddl
		case p.layout == column.Float32:
			v.AppendFloat32(float32(x))
		default:
			v.AppendFloat64(x)
		}
		return ""
	}
	x, end, ok := jsonscan.Int64(text, 0)
	switch {
	case end != len(text) || x == 0 && text[0] == '-':
		return "key '" + clip(text) + "' is not a plain integer"
	case !ok || x < p.min || x > p.max:
		return p.outOfRange(clip(text))
	case p.layout == column.Int32:
		v.AppendInt32(int32(x))
	default:
		v.AppendInt64(x)
	}
	return ""
}

// keyText is the text of the key at b[i], for an error.
func (d *jsonDecoder) keyText(b []byte, i int) string {
	text, _, _ := d.text.View(b, i)
	return clip(text)
}

// keySet finds the keys that a map has twice. A few are compared with each other; of more there is a table. The
// zero value is ready.
type keySet struct {
	seed  maphash.Seed // a secret: who sends the keys cannot choose what collides
	table []int32      // by hash: 1 + which key of the map, 0 for none; a power of two, no less than twice as many as keys
}

const (
	fewKeys     = 8
	minKeyTable = 64
	maxKeyTable = 16 << 10 // entries that stay when the map has ended
)

// isNew reports whether the last one of the keys is none of those before it from begin on. It is called for each key of a map
// in turn.
func (k *keySet) isNew(keys *column.Vector, begin int) bool {
	last := keys.N - 1
	if last-begin < fewKeys {
		for i := begin; i < last; i++ {
			if sameKey(keys, i, last) {
				return false
			}
		}
		return true
	}
	if last-begin == fewKeys {
		if k.table == nil {
			k.seed = maphash.MakeSeed()
		}
		k.fill(keys, begin, minKeyTable)
	} else if 2*(last-begin+1) > len(k.table) {
		k.fill(keys, begin, 2*len(k.table))
	}
	at := k.find(keys, begin, last)
	if k.table[at] != 0 {
		return false
	}
	k.table[at] = int32(last-begin) + 1
	return true
}

// letGo drops the memory that a large map has taken.
func (k *keySet) letGo() {
	if cap(k.table) > maxKeyTable {
		k.table = nil
	}
}

// fill makes the table anew, of the keys from begin on but the last.
func (k *keySet) fill(keys *column.Vector, begin, size int) {
	k.table = slices.Grow(k.table[:0], size)[:size]
	clear(k.table)
	for i := begin; i < keys.N-1; i++ {
		k.table[k.find(keys, begin, i)] = int32(i-begin) + 1
	}
}

// find is where key i is in the table, or would be.
func (k *keySet) find(keys *column.Vector, begin, i int) uint64 {
	mask := uint64(len(k.table) - 1)
	at := k.hash(keys, i) & mask
	for k.table[at] != 0 && !sameKey(keys, begin+int(k.table[at]-1), i) {
		at = (at + 1) & mask
	}
	return at
}

func (k *keySet) hash(keys *column.Vector, i int) uint64 {
	var lo, hi uint64
	switch keys.Layout {
	case column.Bytes:
		return maphash.Bytes(k.seed, keys.BytesAt(i))
	case column.Int32:
		lo = uint64(keys.I32[i])
	case column.Int64:
		lo = uint64(keys.I64[i])
	case column.Float32:
		lo = uint64(math.Float32bits(keys.F32[i]))
	case column.Float64:
		lo = math.Float64bits(keys.F64[i])
	case column.Int128:
		lo, hi = keys.Dec[i].Lo, uint64(keys.Dec[i].Hi)
	}
	var b [16]byte
	binary.LittleEndian.PutUint64(b[:], lo)
	binary.LittleEndian.PutUint64(b[8:], hi)
	return maphash.Bytes(k.seed, b[:])
}

// sameKey compares two keys. Of floats neither is NaN or a negative zero.
func sameKey(keys *column.Vector, i, j int) bool {
	switch keys.Layout {
	case column.Bytes:
		return bytes.Equal(keys.BytesAt(i), keys.BytesAt(j))
	case column.Bool:
		return keys.Bits.Get(i) == keys.Bits.Get(j)
	case column.Int32:
		return keys.I32[i] == keys.I32[j]
	case column.Int64:
		return keys.I64[i] == keys.I64[j]
	case column.Float32:
		return keys.F32[i] == keys.F32[j]
	case column.Float64:
		return keys.F64[i] == keys.F64[j]
	}
	return keys.Dec[i] == keys.Dec[j]
}
