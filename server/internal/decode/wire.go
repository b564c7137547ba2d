package decode

import (
	"encoding/binary"
	"fmt"
	"math/bits"
)

// The wire types of protobuf.
const (
	wireVarint     = 0
	wireFixed64    = 1
	wireBytes      = 2
	wireStartGroup = 3
	wireEndGroup   = 4
	wireFixed32    = 5
)

const (
	maxNumber     = 1<<29 - 1 // the largest field number
	maxGroupDepth = 100       // levels of groups in a field that is skipped, as deep as messages may nest
)

// wireFault is what breaks the encoding of a record. As a position it is negative.
type wireFault int

const (
	faultTruncatedVarint wireFault = -1 - iota
	faultLongVarint
	faultShort
	faultNumber
	faultWireType
	faultEndGroup
	faultOpenGroup
	faultDepth

	// What is no matter of the encoding alone, but ends a record as well.
	faultText
	faultLate
	faultSize
)

func (f wireFault) String() string {
	switch f {
	case faultTruncatedVarint:
		return "truncated varint"
	case faultLongVarint:
		return "varint is too long"
	case faultShort:
		return "the record ends within a value"
	case faultNumber:
		return "invalid field number"
	case faultWireType:
		return "invalid wire type"
	case faultEndGroup:
		return "end of a group that did not begin"
	case faultOpenGroup:
		return "the record ends within a group"
	case faultDepth:
		return fmt.Sprintf("groups are nested more than %d levels deep", maxGroupDepth)
	case faultText:
		return "invalid UTF-8"
	case faultLate:
		return tooLate
	case faultSize:
		return tooLarge
	}
	return fmt.Sprintf("fault %d", int(f))
}

// varint reads the varint at b[i]. It returns the position behind it, or a wireFault.
func varint(b []byte, i int) (uint64, int) {
	if i < len(b) && b[i] < 0x80 {
		return uint64(b[i]), i + 1
	}
	return longVarint(b, i)
}

// longVarint is varint without the short way for one byte.
func longVarint(b []byte, i int) (uint64, int) {
	var x uint64
	shift := 0
	if i+8 <= len(b) {
		// 8 bytes at once: find the last one, cut off what follows, squeeze the groups of 7 bits together.
		x = binary.LittleEndian.Uint64(b[i:])
		stop := ^x & 0x8080808080808080
		x &= (stop ^ (stop - 1)) & 0x7f7f7f7f7f7f7f7f
		x = x&0x007f007f007f007f | x&0x7f007f007f007f00>>1
		x = x&0x00003fff00003fff | x&0x3fff00003fff0000>>2
		x = x&0x000000000fffffff | x&0x0fffffff00000000>>4
		if stop != 0 {
			return x, i + (bits.TrailingZeros64(stop)+1)/8
		}
		i += 8 // 9 or 10 bytes, as numbers below zero have
		shift = 56
	}
	for ; shift < 70; shift += 7 {
		if i >= len(b) {
			return 0, int(faultTruncatedVarint)
		}
		c := b[i]
		i++
		x |= uint64(c&0x7f) << shift
		if c < 0x80 {
			if shift == 63 && c > 1 {
				return 0, int(faultLongVarint)
			}
			return x, i
		}
	}
	return 0, int(faultLongVarint)
}

// ascii reports whether there is no byte above 0x7f in s.
func ascii(s []byte) bool {
	var all uint64
	if len(s) < 8 {
		for _, c := range s {
			all |= uint64(c)
		}
		return all < 0x80
	}
	// 8 bytes at once; the last 8 overlap with those before.
	for i := 0; i < len(s)-8; i += 8 {
		all |= binary.LittleEndian.Uint64(s[i:])
	}
	all |= binary.LittleEndian.Uint64(s[len(s)-8:])
	return all&0x8080808080808080 == 0
}

// span reads the length-delimited value at b[i]: it is b[from:to]. To is a wireFault where there is none.
func span(b []byte, i int) (from, to int) {
	n, i := varint(b, i)
	if i < 0 {
		return 0, i
	}
	if n > uint64(len(b)-i) {
		return 0, int(faultShort)
	}
	return i, i + int(n)
}

// skip passes over the value at b[i] of a field with this tag. It returns the position behind it, or a wireFault.
func skip(b []byte, i int, tag uint64) int {
	if tag&7 != wireStartGroup {
		return skipPlain(b, i, tag)
	}
	var open [maxGroupDepth]uint64 // the numbers of the groups that have begun
	open[0] = tag >> 3
	for depth := 1; depth > 0; {
		if i >= len(b) {
			return int(faultOpenGroup)
		}
		var next uint64
		if next, i = varint(b, i); i < 0 {
			return i
		}
		number := next >> 3
		if number == 0 || number > maxNumber {
			return int(faultNumber)
		}
		switch next & 7 {
		case wireStartGroup:
			if depth == maxGroupDepth {
				return int(faultDepth)
			}
			open[depth] = number
			depth++
		case wireEndGroup:
			depth--
			if open[depth] != number {
				return int(faultEndGroup)
			}
		default:
			if i = skipPlain(b, i, next); i < 0 {
				return i
			}
		}
	}
	return i
}

func skipPlain(b []byte, i int, tag uint64) int {
	switch tag & 7 {
	case wireVarint:
		_, i = varint(b, i)
		return i
	case wireFixed32:
		i += 4
	case wireFixed64:
		i += 8
	case wireBytes:
		_, i = span(b, i)
		return i
	case wireEndGroup:
		return int(faultEndGroup)
	default:
		return int(faultWireType)
	}
	if i > len(b) {
		return int(faultShort)
	}
	return i
}
