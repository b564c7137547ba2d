package gateway

import (
	"github.com/zerobus-go/zerobus/server/internal/column"
	"github.com/zerobus-go/zerobus/server/internal/decode"
	"github.com/zerobus-go/zerobus/server/internal/partition"
	"github.com/zerobus-go/zerobus/server/internal/table"
)

// checked refuses records whose values cannot be those of a partition.
type checked struct {
	decode.Decoder
	scheme *partition.Scheme
}

// withCheck is the decoder of a stream to a table.
func withCheck(d decode.Decoder, s *table.Shape) decode.Decoder {
	if !s.Partitions().Partitioned() {
		return d
	}
	return &checked{d, s.Partitions()}
}

// Decode implements decode.Decoder.
func (d *checked) Decode(dst *column.Chunk, record []byte) error {
	if err := d.Decoder.Decode(dst, record); err != nil {
		return err
	}
	last := dst.Rows - 1
	if field, reason := d.scheme.Check(dst, last); reason != "" {
		dst.Truncate(last)
		return &decode.RecordError{Field: field, Reason: reason}
	}
	return nil
}
