package table

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/zerobus-go/zerobus/server/internal/column"
	"github.com/zerobus-go/zerobus/server/internal/delta"
	"github.com/zerobus-go/zerobus/server/internal/lake"
	"github.com/zerobus-go/zerobus/server/internal/parquetfile"
)

// wideShape is that of a table with many columns, of which rows have few.
func wideShape(t *testing.T, columns int) *Shape {
	t.Helper()
	fields := []string{`{"name":"id","type":"long","nullable":false,"metadata":{}}`, `{"name":"text","type":"string","nullable":true,"metadata":{}}`}
	for i := len(fields); i < columns; i++ {
		fields = append(fields, fmt.Sprintf(`{"name":"c%d","type":"long","nullable":true,"metadata":{}}`, i))
	}
	d, err := delta.Create(t.Context(), lake.NewMemory(), delta.CreateSpec{SchemaString: `{"type":"struct","fields":[` + strings.Join(fields, ",") + `]}`})
	if err != nil {
		t.Fatal(err)
	}
	shape, err := newShape(d.Snapshot())
	if err != nil {
		t.Fatal(err)
	}
	return shape
}

// Whatever the files are, the rows that are held at a time are bounded: no row group is larger than the limit and one chunk.
func TestRowMover_MemoryIsBounded(t *testing.T) {
	const limit = 256 << 10
	for name, c := range map[string]struct {
		columns int
		row     func(c *column.Chunk, i int64)
	}{
		"numbers": {2, func(c *column.Chunk, i int64) { c.Cols[0].AppendInt64(i); c.Cols[1].AppendNull() }},
		"texts": {2, func(c *column.Chunk, i int64) {
			c.Cols[0].AppendInt64(i)
			c.Cols[1].AppendString(strings.Repeat("x", 2000))
		}},
		"columns of nulls that have a value at last": {100, func(c *column.Chunk, i int64) {
			c.Cols[0].AppendInt64(i)
			if i == 59_999 {
				for j := range c.Cols[1:] {
					if j > 0 {
						c.Cols[1+j].AppendInt64(1)
					}
				}
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			shape := wideShape(t, c.columns)
			store := lake.NewMemory()
			var files []delta.Add
			rows, most := int64(0), int64(60_000)
			if name == "texts" {
				most = 6_000
			}
			for range 3 {
				ch := shape.Chunk()
				for range most / 3 {
					c.row(ch, rows)
					ch.EndRow(make([]bool, c.columns))
					rows++
				}
				files = append(files, dataFile(t, store, shape, fmt.Sprintf("f%d", len(files)), ch))
			}
			var out bytes.Buffer
			m := &rowMover{limit: limit}
			res, err := m.move(t.Context(), &out, store, shape, files, parquetfile.Options{Compression: "uncompressed"})
			if err != nil || res.Rows != rows {
				t.Fatalf("%d rows, %v", res.Rows, err)
			}
			f, err := parquet.OpenFile(bytes.NewReader(out.Bytes()), int64(out.Len()))
			if err != nil {
				t.Fatal(err)
			}
			groups := f.RowGroups()
			if len(groups) < 2 {
				t.Errorf("%d row groups of %d rows", len(groups), rows)
			}
			// The reader gives 1,024 rows at a time.
			for i, g := range groups {
				if held := g.NumRows() * (rowBytes(name) + 1); held > limit+1024*rowBytes(name)*2+gatheredBytes {
					t.Errorf("row group %d has %d rows, about %d bytes", i, g.NumRows(), held)
				}
			}
		})
	}
}

func rowBytes(name string) int64 {
	if name == "texts" {
		return 2016
	}
	return 8
}

// readFails is a lake whose objects cannot be read to the end.
type readFails struct {
	lake.Store
	err error
}

func (s readFails) Open(ctx context.Context, path string) (lake.Reader, error) {
	r, err := s.Store.Open(ctx, path)
	return failingReader{r, s.err}, err
}

type failingReader struct {
	lake.Reader
	err error
}

func (r failingReader) ReadAt(p []byte, off int64) (int, error) {
	if off > 0 && off < 100 {
		return 0, r.err
	}
	return r.Reader.ReadAt(p, off)
}

// What fails in the lake is not the file's fault: it is tried again, and the file is not left for good.
func TestRowMover_WhoseFaultAnErrorIs(t *testing.T) {
	shape := wideShape(t, 2)
	store := lake.NewMemory()
	ch := shape.Chunk()
	for i := range int64(1000) {
		ch.Cols[0].AppendInt64(i * i)
		ch.Cols[1].AppendString(fmt.Sprint(i))
		ch.EndRow(make([]bool, 2))
	}
	good := dataFile(t, store, shape, "good", ch)
	loose := wideShape(t, 2)
	loose.scheme.Files().Fields[0].Nullable = true
	nulls := loose.Chunk()
	nulls.Cols[0].AppendNull()
	nulls.EndRow(make([]bool, 2))
	nullFile := dataFile(t, store, loose, "nulls", nulls)
	broken := errors.New("the disk does not answer")
	move := func(store lake.Store, out func([]byte) (int, error), ctx context.Context, files ...delta.Add) error {
		m := &rowMover{limit: 1 << 20}
		if err := m.examine(ctx, store, shape, files); err != nil {
			return err
		}
		_, err := m.move(ctx, writerFunc(out), store, shape, files, parquetfile.Options{})
		return err
	}
	fine := func(p []byte) (int, error) { return len(p), nil }
	bad := func(err error) bool {
		_, ok := errors.AsType[*unreadable](err)
		return ok
	}
	if err := move(store, fine, t.Context(), good, good); err != nil {
		t.Error(err)
	}
	if err := move(readFails{store, broken}, fine, t.Context(), good); !errors.Is(err, broken) || bad(err) {
		t.Errorf("of a lake that cannot be read: %v", err)
	}
	if err := move(store, func([]byte) (int, error) { return 0, broken }, t.Context(), good); !errors.Is(err, broken) || bad(err) {
		t.Errorf("of a lake that cannot be written: %v", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := move(store, fine, ended, good); !errors.Is(err, context.Canceled) || bad(err) {
		t.Errorf("of a compaction that was ended: %v", err)
	}
	if err := move(store, fine, t.Context(), good, nullFile); !bad(err) || !strings.Contains(err.Error(), "file nulls: column id is NOT NULL") {
		t.Errorf("of a null that must not be: %v", err)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// Work in the background pauses for as long as it works.
func TestDuty_HalfOfTheTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d *duty
		if err := d.rest(t.Context()); err != nil {
			t.Error(err)
		}
		d = &duty{now: time.Now}
		begun, worked := time.Now(), time.Duration(0)
		for range 1000 {
			if err := d.rest(t.Context()); err != nil {
				t.Fatal(err)
			}
			time.Sleep(7 * time.Millisecond) // its work
			worked += 7 * time.Millisecond
		}
		if share := float64(worked) / float64(time.Since(begun)); share < 0.48 || share > 0.52 {
			t.Errorf("it worked for %.0f %% of the time", 100*share)
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		reason := errors.New("reason")
		cancel(reason)
		time.Sleep(time.Second)
		if err := d.rest(ctx); !errors.Is(err, reason) {
			t.Errorf("error is %v", err)
		}
	})
}
