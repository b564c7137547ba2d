package decode

import (
	"encoding/binary"
	"math"
	"unicode/utf8"

	"github.com/zerobus-go/zerobus/server/internal/column"
)

// longCopy is the most text that is copied 8 bytes at once; for more, calls that do nothing else are faster.
const longCopy = 64

// straight puts the fields of a message into value row of the columns, as long as there is nothing to say about them: it returns
// where the first field begins that is otherwise, how many came before it, and the last of them. Left to the caller are columns that
// have got their value, or have none in the chunk so far (those of its first row), members of a oneof, types that few tables have,
// long text and what its column has no memory for, values that the table may not allow, and all that is broken or written in an
// unusual way. So this never fails, and most records are read by this one loop.
func (p *protoPlan) straight(cols []column.Vector, row int, b []byte, last *protoField) (at, got int, _ *protoField) {
	for at < len(b)-1 { // there is a tag, and a byte behind it
		tag, i := uint64(b[at]), at+1
		if tag >= 0x80 {
			if b[i] >= 0x80 || i == len(b)-1 {
				return at, got, last
			}
			tag = tag&0x7f | uint64(b[i])<<7
			i++
		}
		f := p.due(last, tag)
		if f == nil {
			return at, got, last
		}
		v := &cols[f.col]
		if v.N != row || v.Nulls == row || f.oneof >= 0 {
			return at, got, last
		}
		switch f.op {
		case opInt32:
			x := uint64(b[i])
			i++
			if x >= 0x80 {
				if i < len(b) && b[i] < 0x80 {
					x = x&0x7f | uint64(b[i])<<7
					i++
				} else if x, i = longVarint(b, i-1); i < 0 {
					return at, got, last
				}
			}
			if int64(int32(x)) < f.min || int64(int32(x)) > f.max {
				return at, got, last
			}
			v.AppendInt32(int32(x))
		case opInt64:
			x := uint64(b[i])
			i++
			if x >= 0x80 {
				if i < len(b) && b[i] < 0x80 {
					x = x&0x7f | uint64(b[i])<<7
					i++
				} else if x, i = longVarint(b, i-1); i < 0 {
					return at, got, last
				}
			}
			v.AppendInt64(int64(x))
		case opBool:
			if b[i] >= 0x80 {
				return at, got, last
			}
			v.AppendBool(b[i] != 0)
			i++
		case opFloat:
			if len(b)-i < 4 {
				return at, got, last
			}
			v.AppendFloat32(math.Float32frombits(binary.LittleEndian.Uint32(b[i:])))
			i += 4
		case opDouble:
			if len(b)-i < 8 {
				return at, got, last
			}
			v.AppendFloat64(math.Float64frombits(binary.LittleEndian.Uint64(b[i:])))
			i += 8
		case opText:
			n, end := int(b[i]), len(v.Data)
			i++
			if n > min(longCopy, len(b)-i, cap(v.Data)-end) || f.length > 0 {
				return at, got, last
			}
			s, to := b[i:i+n], v.Data[end:end+n]
			var all uint64 // the bits of all bytes: none is above 0x7f in ASCII
			switch {
			case n < 8:
				for k, c := range s {
					to[k] = c
					all |= uint64(c)
				}
			case n <= 16: // two words, which overlap
				x, y := binary.LittleEndian.Uint64(s), binary.LittleEndian.Uint64(s[n-8:])
				binary.LittleEndian.PutUint64(to, x)
				binary.LittleEndian.PutUint64(to[n-8:], y)
				all = x | y
			default:
				for k := 0; k < n-8; k += 8 {
					x := binary.LittleEndian.Uint64(s[k:])
					binary.LittleEndian.PutUint64(to[k:], x)
					all |= x
				}
				x := binary.LittleEndian.Uint64(s[n-8:])
				binary.LittleEndian.PutUint64(to[n-8:], x)
				all |= x
			}
			if all&0x8080808080808080 != 0 && !utf8.Valid(s) {
				return at, got, last
			}
			v.Data = v.Data[:end+n]
			v.EndBytes()
			i += n
		default:
			return at, got, last
		}
		at, last = i, f
		got++
	}
	return at, got, last
}
