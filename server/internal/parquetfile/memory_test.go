package parquetfile

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"weak"

	"github.com/parquet-go/parquet-go/compress"
	"github.com/parquet-go/parquet-go/compress/uncompressed"

	"github.com/zerobus-go/zerobus/schema"
	"github.com/zerobus-go/zerobus/server/internal/column"
)

// brokenCodec panics, as the kernels of a library may.
type brokenCodec struct{ compress.Codec }

func (brokenCodec) Encode(dst, src []byte) ([]byte, error) { panic("broken codec") }

// A panic goes up: nobody waits for the page that will never be encoded.
func TestWriter_APanicIsNoDeadlock(t *testing.T) {
	table := one("int")
	c := chunkOf(t, table, int32(1))
	synctest.Test(t, func(t *testing.T) { // finds a deadlock
		w, err := NewWriter(io.Discard, table, Options{Compression: "snappy"})
		if err != nil {
			t.Fatal(err)
		}
		w.encoder.codec = brokenCodec{w.encoder.codec}
		defer func() {
			if p := recover(); p != "broken codec" {
				t.Errorf("recovered %v, want the codec's panic", p)
			}
		}()
		t.Errorf("no panic: %v", w.Write(c))
	})
}

// Between two pieces the writer holds none of the first one's rows.
func TestWriter_DoesNotKeepChunks(t *testing.T) {
	table := tableOf(t, "name string, body string, n int, tags array<string>, s struct<a:int,b:string>")
	w, err := NewWriter(io.Discard, table, Options{})
	if err != nil {
		t.Fatal(err)
	}
	var cols []weak.Pointer[column.Vector]
	var data []weak.Pointer[byte]
	func() {
		c, err := column.NewChunk(table)
		if err != nil {
			t.Fatal(err)
		}
		for i := range 1000 {
			name := strings.Repeat("x", 20+i%3)
			c.Cols[0].AppendString(name)
			c.Cols[1].AppendString(name + string(rune('a'+i)))
			c.Cols[2].AppendInt32(int32(i % 5))
			c.Cols[3].Kids[0].AppendString(name)
			c.Cols[3].EndList()
			c.Cols[4].Kids[0].AppendInt32(int32(i))
			c.Cols[4].Kids[1].AppendString(name)
			c.Cols[4].EndStruct()
			c.Rows++
		}
		for _, v := range []*column.Vector{&c.Cols[0], &c.Cols[1], &c.Cols[3].Kids[0], &c.Cols[4].Kids[1]} {
			cols, data = append(cols, weak.Make(v)), append(data, weak.Make(&v.Data[0]))
		}
		if err := w.Write(c); err != nil {
			t.Fatal(err)
		}
	}()
	runtime.GC()
	for i := range cols {
		if cols[i].Value() != nil || data[i].Value() != nil {
			t.Errorf("column %d is kept: vector %t, text %t", i, cols[i].Value() != nil, data[i].Value() != nil)
		}
	}
	if _, err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

// The spans of a leaf go when its pages are begun: a wide table in many chunks has many.
func TestWriter_SpansOfFewLeaves(t *testing.T) {
	const columns, ahead = 50, 2
	table := &schema.Struct{}
	for i := range columns {
		table.Fields = append(table.Fields, schema.Field{Name: fmt.Sprintf("c%d", i), Type: schema.Type{Kind: schema.Integer}})
	}
	var chunks []*column.Chunk
	for range 20 {
		c, err := column.NewChunk(table)
		if err != nil {
			t.Fatal(err)
		}
		for i := range c.Cols {
			c.Cols[i].AppendInt32(int32(i))
		}
		c.Rows = 1
		chunks = append(chunks, c)
	}
	withHelpers(ahead, func() {
		w, err := NewWriter(io.Discard, table, Options{})
		if err != nil {
			t.Fatal(err)
		}
		w.encoder.offset = int64(len(magic))
		rg, err := w.encoder.rowGroup(w.tree, rowGroups(chunks, math.MaxInt32, maxRowGroupBytes)[0], &w.total)
		if err != nil || rg.NumRows != int64(len(chunks)) {
			t.Fatalf("%d rows, error %v", rg.NumRows, err)
		}
		if n := len(w.encoder.surveys) + len(w.encoder.idle); n > 1+ahead {
			t.Errorf("the spans of %d leaves are held, want those of at most %d", n, 1+ahead)
		}
	})
}

// A row of very many elements that shrink to nothing leaves no large buffer behind.
func TestPage_LargeBuffersAreNotKept(t *testing.T) {
	for name, p := range map[string]*page{
		"definition levels": {nested: levels{definition: make([]byte, 0, maxKept+1)}},
		"repetition levels": {nested: levels{repetition: make([]byte, 0, maxKept+1)}},
		"levels":            {levels: make([]byte, 0, maxKept+1)},
		"encoded":           {encoded: make([]byte, 0, maxKept+1)},
		"runs":              {runs: make([]byte, 0, maxKept+1)},
		"int32":             {int32s: make([]int32, 0, maxKept/4+1)},
		"int64":             {int64s: make([]int64, 0, maxKept/8+1)},
		"float32":           {float32s: make([]float32, 0, maxKept/4+1)},
		"float64":           {float64s: make([]float64, 0, maxKept/8+1)},
		"body":              {body: make([]byte, 0, maxKept+1)},
		"compressed":        {packed: make([]byte, 0, maxKept+1)},
	} {
		if n := p.largest(); n <= maxKept {
			t.Errorf("%s: the largest buffer has %d bytes, want more than the %d that are kept", name, n, maxKept)
		}
	}
}

// hugeCodec gives more bytes than a page can have.
type hugeCodec struct{ compress.Codec }

func (hugeCodec) Encode(dst, src []byte) ([]byte, error) { return make([]byte, math.MaxInt32+1), nil }

// The header's sizes are of 32 bits. The memory of these pages is never touched.
func TestPage_TooLargeForTheFormat(t *testing.T) {
	if math.MaxInt == math.MaxInt32 {
		t.Skip("no slice is so long")
	}
	body := &page{body: make([]byte, math.MaxInt32+1)}
	body.codec = &uncompressed.Codec{}
	if err := body.pack(); err == nil || !strings.Contains(err.Error(), "2147483648 bytes") {
		t.Errorf("a body of 2 GiB: %v", err)
	}
	packed := &page{body: bytes.Repeat([]byte("x"), 10)}
	packed.codec = hugeCodec{codecs["snappy"]}
	if err := packed.pack(); err == nil || !strings.Contains(err.Error(), "2147483648 bytes") {
		t.Errorf("2 GiB after compression: %v", err)
	}
}
