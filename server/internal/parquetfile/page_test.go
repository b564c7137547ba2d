package parquetfile

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"sync/atomic"
	"testing"

	"github.com/zerobus-go/zerobus/server/internal/column"
)

// withHelpers runs f with so many tokens for other cores.
func withHelpers(n int, f func()) {
	old := helpers
	helpers = make(chan struct{}, n)
	defer func() { helpers = old }()
	f()
}

// manyPages are rows of all kinds of leaves, with dictionaries and without, of several pages each.
func manyPages(t testing.TB) (c *column.Chunk, write func(w io.Writer, codec string) error) {
	table := tableOf(t, "id bigint, at timestamp, name string, body string, ok boolean, v double, tags array<string>, s struct<a:int,b:string>")
	c, err := column.NewChunk(table)
	if err != nil {
		t.Fatal(err)
	}
	r := &dice{rand.New(rand.NewPCG(7, 8))}
	body := bytes.Repeat([]byte("a text that is not the same in any two rows, "), 3)
	for i := range 150_000 {
		c.Cols[0].AppendInt64(int64(r.IntN(1 << 40)))
		c.Cols[1].AppendInt64(int64(i))
		c.Cols[2].AppendString([]string{"red", "green", "blue"}[r.IntN(3)])
		if body[r.IntN(len(body))]++; r.IntN(9) == 0 {
			c.Cols[3].AppendNull()
		} else {
			c.Cols[3].AppendString(string(body[:r.IntN(len(body))]))
		}
		c.Cols[4].AppendBool(r.IntN(2) == 0)
		c.Cols[5].AppendFloat64(r.Float64())
		for k := 6; k < 8; k++ {
			r.fill(&c.Cols[k], &table.Fields[k].Type, true)
		}
		c.Rows++
	}
	return c, func(w io.Writer, codec string) error {
		_, err := Write(w, table, []*column.Chunk{c}, Options{Compression: codec, RowGroupRows: 100_000})
		return err
	}
}

func TestWrite_TheSameOnAnyNumberOfCores(t *testing.T) {
	_, write := manyPages(t)
	for _, codec := range []string{"uncompressed", "snappy", "zstd"} {
		var alone bytes.Buffer
		withHelpers(0, func() {
			if err := write(&alone, codec); err != nil {
				t.Fatal(err)
			}
		})
		for _, n := range []int{1, 7} {
			withHelpers(n, func() {
				var b bytes.Buffer
				if err := write(&b, codec); err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(b.Bytes(), alone.Bytes()) {
					t.Errorf("%s: with %d helpers the file is another one", codec, n)
				}
			})
		}
	}
}

// The chunks are the caller's as soon as Write returns, after an error too.
func TestWrite_NobodyReadsTheChunksAfterAnError(t *testing.T) {
	c, write := manyPages(t)
	withHelpers(3, func() {
		for at := int64(1); at < 40; at += 9 {
			var n atomic.Int64
			err := write(writerFunc(func(p []byte) (int, error) {
				if n.Add(1) >= at {
					return 0, errDisk
				}
				return len(p), nil
			}), "uncompressed")
			if !errors.Is(err, errDisk) {
				t.Fatalf("write %d: error is %v", at, err)
			}
			if len(helpers) > 0 {
				t.Fatalf("write %d: %d pages are still encoded", at, len(helpers))
			}
			for i := range c.Cols[0].I64[:c.Rows] { // the race detector sees who reads it
				c.Cols[0].I64[i]++
			}
		}
	})
}
