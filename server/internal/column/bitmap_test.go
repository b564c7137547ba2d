package column

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// TestBitmap_AddsManyBits compares what adds many bits at once with what adds one, at every place in a byte. Bits behind the last one
// stay 0 in both.
func TestBitmap_AddsManyBits(t *testing.T) {
	random := func(n int) (b Bitmap) {
		for i := range n {
			b = b.Append(i, rand.IntN(2) == 0)
		}
		return b
	}
	for n := range 20 {
		for m := range 40 {
			b, o := random(n), random(m)
			ones, zeros, bits := bytes.Clone(b), bytes.Clone(b), bytes.Clone(b)
			for i := range m {
				ones = Bitmap(ones).Append(n+i, true)
				zeros = Bitmap(zeros).Append(n+i, false)
				bits = Bitmap(bits).Append(n+i, o.Get(i))
			}
			for _, tt := range []struct {
				name      string
				got, want []byte
			}{
				{"appendOnes", Bitmap(bytes.Clone(b)).appendOnes(n, m), ones},
				{"appendZeros", Bitmap(bytes.Clone(b)).appendZeros(n, m), zeros},
				{"appendBits", Bitmap(bytes.Clone(b)).appendBits(n, o, m), bits},
			} {
				if !bytes.Equal(tt.got, tt.want) {
					t.Errorf("%s of %d bits to %d: %x, want %x", tt.name, m, n, tt.got, tt.want)
				}
			}
		}
	}
}

// BenchmarkAppendChunk adds chunks of 1,000 rows to a larger one, as it is done before a file is written.
func BenchmarkAppendChunk(b *testing.B) {
	small, large := newChunk(b, &allTypes), newChunk(b, &allTypes)
	for r := range 1000 {
		for i := range small.Cols {
			if (r+i)%5 == 0 {
				small.Cols[i].AppendNull()
			} else {
				small.Cols[i].AppendZero()
			}
		}
		small.Rows++
	}
	b.ReportAllocs()
	for b.Loop() {
		large.Reset()
		for range 10 {
			large.AppendChunk(small)
		}
	}
	b.ReportMetric(float64(10*small.Rows*b.N)/b.Elapsed().Seconds()/1e6, "Mrows/s")
}
