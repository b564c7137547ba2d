package column

// Bitmap holds one bit a row, the lowest bit of a byte first, as in Arrow. Bits behind the last row are 0.
type Bitmap []byte

func bitmapLen(n int) int { return (n + 7) / 8 }

// Get is bit i.
func (b Bitmap) Get(i int) bool { return b[i>>3]>>(i&7)&1 != 0 }

// Append sets bit n, where n bits are held so far.
func (b Bitmap) Append(n int, set bool) Bitmap {
	if n&7 == 0 {
		b = append(b[:n>>3], 0)
	}
	mask := byte(1) << (n & 7)
	if set {
		b[n>>3] |= mask
	} else {
		b[n>>3] &^= mask
	}
	return b
}

// fill makes a bitmap of n ones in b's memory.
func (b Bitmap) fill(n int) Bitmap { return b.appendOnes(0, n) }

// appendOnes sets m bits from n on, where n bits are held so far.
func (b Bitmap) appendOnes(n, m int) Bitmap {
	b = b.truncate(n)
	if n&7 != 0 {
		b[len(b)-1] |= 0xff << (n & 7)
	}
	for len(b) < bitmapLen(n+m) {
		b = append(b, 0xff)
	}
	return b.truncate(n + m)
}

// appendZeros clears m bits from n on, where n bits are held so far.
func (b Bitmap) appendZeros(n, m int) Bitmap {
	return appendZeros(b.truncate(n), bitmapLen(n+m)-bitmapLen(n))
}

// appendBits adds the first m bits of o, where n bits are held so far.
func (b Bitmap) appendBits(n int, o Bitmap, m int) Bitmap {
	b, o = b.truncate(n), o[:bitmapLen(m)]
	shift := n & 7
	if shift == 0 {
		return append(b, o...).truncate(n + m)
	}
	for _, x := range o { // the low bits of each fill the last byte up, the high ones begin the next
		b[len(b)-1] |= x << shift
		b = append(b, x>>(8-shift))
	}
	return b.truncate(n + m)
}

// truncate keeps the first n bits.
func (b Bitmap) truncate(n int) Bitmap {
	b = b[:bitmapLen(n)]
	if n&7 != 0 {
		b[len(b)-1] &= 1<<(n&7) - 1
	}
	return b
}
