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
func (b Bitmap) fill(n int) Bitmap {
	b = b[:0]
	for range n >> 3 {
		b = append(b, 0xff)
	}
	if n&7 != 0 {
		b = append(b, 1<<(n&7)-1)
	}
	return b
}

// truncate keeps the first n bits.
func (b Bitmap) truncate(n int) Bitmap {
	b = b[:bitmapLen(n)]
	if n&7 != 0 {
		b[len(b)-1] &= 1<<(n&7) - 1
	}
	return b
}
