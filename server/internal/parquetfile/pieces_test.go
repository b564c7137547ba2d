package parquetfile

import (
	"bytes"
	"errors"
	"io"
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/zerobus-go/zerobus/server/internal/column"
)

// spoil overwrites the values of a chunk, as its next use would.
func spoil(v *column.Vector) {
	for i := range v.I32 {
		v.I32[i] = math.MaxInt32
	}
	for i := range v.I64 {
		v.I64[i] = math.MaxInt64
	}
	for i := range v.F32 {
		v.F32[i] = 1e30
	}
	for i := range v.F64 {
		v.F64[i] = 1e300
	}
	for i := range v.Dec {
		v.Dec[i] = column.Decimal128{Lo: 7}
	}
	for i := range v.Data {
		v.Data[i] = 'Z'
	}
	for i := range v.Kids {
		spoil(&v.Kids[i])
	}
}

// A file in pieces has the rows and the statistics of one that is written at once, though the memory of each piece serves for the
// next.
func TestWriter_PiecesAreTheWhole(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		table := drawNestedTable(rt, 2)
		chunks := drawNestedChunks(rt, table)
		want := joined(rt, table, chunks...)
		whole, wantResult := write(rt, table, Options{}, chunks...)
		var b bytes.Buffer
		w, err := NewWriter(&b, table, Options{})
		if err != nil {
			rt.Fatal(err)
		}
		groups := 0
		for _, c := range chunks {
			if err := w.Write(c); err != nil {
				rt.Fatal(err)
			}
			if c.Rows > 0 {
				groups++
			}
			for i := range c.Cols {
				spoil(&c.Cols[i])
			}
			if w.Size() != int64(b.Len()) {
				rt.Fatalf("size is %d, %d bytes were written", w.Size(), b.Len())
			}
		}
		got, err := w.Close()
		if err != nil {
			rt.Fatal(err)
		}
		equal(rt, table, want, readAll(rt, table, b.Bytes()))
		if got.Stats != wantResult.Stats || got.Rows != wantResult.Rows || got.Bytes != int64(b.Len()) {
			rt.Fatalf("result is %+v of a file of %d bytes, want the rows and statistics of %+v", got, b.Len(), wantResult)
		}
		f, err := open(bytes.NewReader(b.Bytes()), int64(b.Len()))
		if err != nil {
			rt.Fatal(err)
		}
		if n := len(f.RowGroups()); n != groups {
			rt.Fatalf("%d row groups, want one a piece: %d", n, groups)
		}
		if groups == 1 && !bytes.Equal(whole, b.Bytes()) {
			rt.Fatal("a file of one piece is not the one that Write makes")
		}
	})
}

func TestWriter_Refuses(t *testing.T) {
	table := one("int")
	c := chunkOf(t, table, int32(1))
	begin := func(w io.Writer) *Writer {
		f, err := NewWriter(w, table, Options{})
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	var b bytes.Buffer
	if _, err := begin(&b).Close(); err == nil || b.Len() > 0 {
		t.Errorf("a file without rows: %v, %d bytes", err, b.Len())
	}
	empty, err := column.NewChunk(table)
	if err != nil {
		t.Fatal(err)
	}
	if err := begin(&b).Write(empty); err != nil || b.Len() > 0 {
		t.Errorf("no rows: %v, %d bytes", err, b.Len())
	}
	if err := begin(&b).Write(chunkOf(t, one("string"), "x")); err == nil || !strings.Contains(err.Error(), "has type int") {
		t.Errorf("rows of another table: %v", err)
	}
	f := begin(io.Discard)
	for range math.MaxInt16 {
		if err := f.Write(c); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Write(c); err == nil || !strings.Contains(err.Error(), "32768 row groups") {
		t.Errorf("too many row groups: %v", err)
	}
	broken := errors.New("disk full")
	for writes := range 4 {
		f := begin(writerFunc(func(p []byte) (int, error) {
			if writes--; writes < 0 {
				return 0, broken
			}
			return len(p), nil
		}))
		if err := errors.Join(f.Write(c), f.Write(c)); !errors.Is(err, broken) {
			t.Errorf("error is %v, want the writer's", err)
		}
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }
