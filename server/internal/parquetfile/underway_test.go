package parquetfile

import (
	"errors"
	"io"
	"testing"
	"testing/synctest"

	"github.com/parquet-go/parquet-go/compress"
)

// slowCodec encodes some pages only when the gate is closed.
type slowCodec struct {
	compress.Codec
	hold  func(page []byte) bool
	gate  chan struct{}
	begun chan struct{} // an element for every page
}

func (c *slowCodec) Encode(dst, src []byte) ([]byte, error) {
	c.begun <- struct{}{}
	if c.hold(src) {
		<-c.gate
	}
	return append(dst[:0], src...), nil
}

// slowly writes so many pages of a column, each of the values that value gives for its number, on two more cores, and calls check once
// nothing goes on before the gate is closed. written has Write's error then.
func slowly(t *testing.T, to io.Writer, typ string, pages int, value func(page int) any, hold func(page []byte) bool, check func(w *Writer, c *slowCodec, written chan error)) {
	table := one(typ)
	values := make([]any, pages*maxPageRows)
	for i := range values {
		values[i] = value(i / maxPageRows)
	}
	rows := chunkOf(t, table, values...)
	withHelpers(2, func() {
		synctest.Test(t, func(t *testing.T) {
			w, err := NewWriter(to, table, Options{Compression: "snappy"})
			if err != nil {
				t.Fatal(err)
			}
			c := &slowCodec{w.encoder.codec, hold, make(chan struct{}), make(chan struct{}, 100)}
			w.encoder.codec = c
			written := make(chan error, 1)
			go func() { written <- w.Write(rows) }()
			synctest.Wait()
			check(w, c, written)
		})
	})
}

// A page without a dictionary ends in the last byte of its last value.
func isPage(n byte) func([]byte) bool {
	return func(page []byte) bool { return page[len(page)-1] == n }
}

// A page that takes long holds up those behind it, which would fill the memory.
func TestWriter_FewPagesUnderWay(t *testing.T) {
	slowly(t, io.Discard, "decimal(30,0)", 8, func(page int) any { return page }, isPage(0), func(_ *Writer, c *slowCodec, written chan error) {
		if n := len(c.begun); n != 3 {
			t.Errorf("%d pages are begun while the first takes long, want one for each of 3 cores", n)
		}
		close(c.gate)
		if err := <-written; err != nil || len(c.begun) != 8 {
			t.Errorf("%d pages, want 8; error %v", len(c.begun), err)
		}
	})
}

// After an error, Write does not return before the chunks' last reader.
func TestWriter_WaitsForPagesAfterAnError(t *testing.T) {
	const magicAndHeader = 2
	slowly(t, &failing{magicAndHeader}, "decimal(30,0)", 2, func(page int) any { return page }, isPage(1), func(_ *Writer, c *slowCodec, written chan error) {
		if len(c.begun) != 2 || len(written) > 0 {
			t.Errorf("%d pages are begun, want 2; Write returned: %t", len(c.begun), len(written) > 0)
		}
		close(c.gate)
		if err := <-written; !errors.Is(err, errDisk) {
			t.Errorf("error is %v, want the writer's", err)
		}
	})
}

// A dictionary belongs to its leaf until the last page with it is written.
func TestWriter_DictionaryOfPagesUnderWay(t *testing.T) {
	data := func(page []byte) bool { return len(page) != 8 } // the dictionary is two INTs
	slowly(t, io.Discard, "int", 2, func(page int) any { return page }, data, func(w *Writer, c *slowCodec, written chan error) {
		if n := len(w.encoder.dicts); n != 0 {
			t.Errorf("%d dictionaries are free while pages need theirs", n)
		}
		close(c.gate)
		if err := <-written; err != nil || len(c.begun) != 3 {
			t.Errorf("%d pages, want 3; error %v", len(c.begun), err)
		}
	})
}
