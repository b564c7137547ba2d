package parquetfile

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// Bytes of which only some are used shrink without anything that repeats: 5 of 8 bits.
func TestZstd_EntropyCoding(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	page := make([]byte, 64<<10)
	for i := range page {
		page[i] = byte(r.IntN(32))
	}
	packed, err := codecs["zstd"].Encode(nil, page)
	if err != nil || len(packed) > len(page)*2/3 {
		t.Errorf("%d bytes of %d, expected five eighths; error %v", len(packed), len(page), err)
	}
	if got, err := codecs["zstd"].Decode(nil, packed); err != nil || !bytes.Equal(got, page) {
		t.Errorf("%d other bytes are read back, error %v", len(got), err)
	}
}
