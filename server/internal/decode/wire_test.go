package decode

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"
)

// TestVarint reads varints of every length, with more behind them, with little and with nothing, and cut off.
func TestVarint(t *testing.T) {
	for range 20_000 {
		want := rand.Uint64() >> rand.IntN(64)
		b := binary.AppendUvarint([]byte("ahead"), want)
		end := len(b)
		for behind := range 10 {
			b = append(b[:end], "0123456789"[:behind]...)
			if x, next := varint(b, 5); x != want || next != end {
				t.Fatalf("%x is %d to %d, want %d to %d", b, x, next, want, end)
			}
		}
		for cut := 5; cut < end; cut++ {
			if _, next := varint(b[:cut], 5); next != int(faultTruncatedVarint) {
				t.Fatalf("%x ends at %d", b[:cut], next)
			}
		}
	}
}

// TestASCII puts a byte above 0x7f at every place of texts around the width of the fast path.
func TestASCII(t *testing.T) {
	for n := range 40 {
		text := []byte("abcdefghijklmnopqrstuvwxyzabcdefghijklmn"[:n])
		if !ascii(text) {
			t.Errorf("%q has something else", text)
		}
		for at := range text {
			for _, c := range []byte{0x80, 0xc3, 0xff} {
				was := text[at]
				text[at] = c
				if ascii(text) {
					t.Errorf("%q is all ASCII", text)
				}
				text[at] = was
			}
		}
	}
}
