package parquetfile

import (
	"runtime"

	"github.com/klauspost/compress/zstd"
	codec "github.com/parquet-go/parquet-go/compress/zstd"
)

// zstdCodec is zstd at its fastest level, but with entropy coding of what does not repeat, which that level leaves out: the indices
// of a dictionary hardly ever do, and get a tenth to a fifth smaller for next to no time. It encodes on any number of goroutines; more
// than there are cores wait for each other.
type zstdCodec struct {
	codec.Codec // all but Encode
	encoder     *zstd.Encoder
}

func newZstd() *zstdCodec {
	e, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithAllLitEntropyCompression(true),
		zstd.WithEncoderConcurrency(runtime.GOMAXPROCS(0)), zstd.WithZeroFrames(true), zstd.WithEncoderCRC(false))
	if err != nil {
		panic(err) // of our own options
	}
	e.EncodeAll(nil, nil) // its channels are made at the first use, and must not be those of a test's synctest bubble
	return &zstdCodec{encoder: e}
}

func (c *zstdCodec) Encode(dst, src []byte) ([]byte, error) {
	return c.encoder.EncodeAll(src, dst[:0]), nil
}
