package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/zerobus-go/zerobus/schema"
	"github.com/zerobus-go/zerobus/server/internal/column"
	"github.com/zerobus-go/zerobus/server/internal/decode"
	"github.com/zerobus-go/zerobus/server/internal/loadgen"
)

// batch is how many records make a chunk.
const batch = 1024

// result is a line of the output: one decoder and one case.
type result struct {
	Decoder  string           `json:"decoder"`
	Shape    string           `json:"shape"`
	Encoding loadgen.Encoding `json:"encoding"`
	Bytes    int              `json:"record_bytes"`
	MB       []float64        `json:"mb_s"`   // of each round, 10^6 bytes of records in a second
	Allocs   float64          `json:"allocs"` // of a record, over all rounds
}

// contestant is a decoder with its measurements. Turn takes a batch of records.
type contestant struct {
	result
	turn    func(records [][]byte) error
	records int64
	allocs  uint64
}

// decodeAll is the command.
func decodeAll(ctx context.Context, c config, out io.Writer) error {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	enc := json.NewEncoder(out)
	for _, s := range c.shapes {
		for _, e := range c.encodings {
			records, err := loadgen.Records(s, e, batch)
			if err != nil {
				return err
			}
			all, err := contestants(s, e)
			if err != nil {
				return err
			}
			if c.oursOnly {
				all = all[:1]
			}
			for range c.rounds {
				for _, one := range all {
					if err := one.measure(ctx, records, c.length); err != nil {
						return fmt.Errorf("%s of %s, %s: %w", one.Decoder, s.Name, e, err)
					}
				}
			}
			for _, one := range all {
				one.Allocs = float64(one.allocs) / float64(one.records)
				if err := enc.Encode(one.result); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// contestants are our decoder and what anybody has, in this order.
func contestants(s *loadgen.Shape, e loadgen.Encoding) ([]*contestant, error) {
	d, c, err := decoder(s, e)
	if err != nil {
		return nil, err
	}
	about := result{Shape: s.Name, Encoding: e, Bytes: s.Size(e)}
	named := func(name string, turn func([][]byte) error) *contestant {
		about.Decoder = name
		return &contestant{result: about, turn: turn}
	}
	all := []*contestant{named("zerobus", func(records [][]byte) error {
		c.Reset()
		for _, r := range records {
			if err := d.Decode(c, r); err != nil {
				return err
			}
		}
		return nil
	})}
	if e == loadgen.JSON {
		return append(all, named("encoding/json", func(records [][]byte) error {
			for _, r := range records {
				m := map[string]any{}
				if err := json.Unmarshal(r, &m); err != nil {
					return err
				}
			}
			return nil
		})), nil
	}
	md, err := schema.Resolve(s.Descriptor())
	if err != nil {
		return nil, err
	}
	return append(all, named("dynamicpb", func(records [][]byte) error {
		for _, r := range records {
			if err := proto.Unmarshal(r, dynamicpb.NewMessage(md)); err != nil {
				return err
			}
		}
		return nil
	})), nil
}

// decoder is the server's, and a chunk for its rows.
func decoder(s *loadgen.Shape, e loadgen.Encoding) (d decode.Decoder, c *column.Chunk, err error) {
	table := s.Table()
	if c, err = column.NewChunk(table); err != nil {
		return nil, nil, err
	}
	if e == loadgen.JSON {
		d, err = decode.NewJSON(table)
		return d, c, err
	}
	descriptor, err := proto.Marshal(s.Descriptor())
	if err != nil {
		return nil, nil, err
	}
	d, err = decode.NewProto(table, descriptor)
	return d, c, err
}

// measure repeats turns for a time, after one that does not count.
func (c *contestant) measure(ctx context.Context, records [][]byte, d time.Duration) error {
	if err := c.turn(records); err != nil {
		return err
	}
	size := 0
	for _, r := range records {
		size += len(r)
	}
	var before, after runtime.MemStats
	runtime.GC() // of what the others left
	runtime.ReadMemStats(&before)
	turns, began := 0, time.Now()
	var took time.Duration
	for took < d {
		for range 8 { // so that looking at the clock costs nothing
			if err := c.turn(records); err != nil {
				return err
			}
			turns++
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		took = time.Since(began)
	}
	runtime.ReadMemStats(&after)
	c.records += int64(turns * len(records))
	c.allocs += after.Mallocs - before.Mallocs
	c.MB = append(slices.Clip(c.MB), float64(turns)*float64(size)/took.Seconds()/1e6)
	return nil
}
