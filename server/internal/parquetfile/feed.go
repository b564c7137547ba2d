package parquetfile

import (
	"errors"
	"io"

	"github.com/parquet-go/parquet-go"
)

// The values of all columns together that are read ahead take about feedBytes. Those of one column are no fewer and no more than these.
const (
	feedBytes     = 4 << 20
	valueBytes    = 24
	minFeedValues = 64
	maxFeedValues = 1 << 10
)

// feed gives the values of one column of a row group, one after the other. It has one page in memory and a few values of it, so that
// it matters little how many of them a row has.
type feed struct {
	column parquet.ColumnChunk
	pages  parquet.Pages // nil before the first value
	page   parquet.Page
	values parquet.ValueReader // of the page; nil when it has no more

	buf  []parquet.Value
	next []parquet.Value // of buf: read and not taken
}

// feedsOf are feeds for the columns of a row group that sources have; the others are never read.
func feedsOf(g parquet.RowGroup, sources []*source) cells {
	columns := g.ColumnChunks()
	c := cells{feeds: make([]feed, len(columns))}
	n := 0
	for _, s := range sources {
		if s != nil {
			n += len(s.files)
		}
	}
	size := min(max(feedBytes/valueBytes/max(n, 1), minFeedValues), maxFeedValues)
	for _, s := range sources {
		if s == nil {
			continue
		}
		for _, file := range s.files {
			c.feeds[file] = feed{column: columns[file], buf: make([]parquet.Value, size)}
		}
	}
	return c
}

// more reports whether there is a next value.
func (f *feed) more() (bool, error) {
	if len(f.next) > 0 {
		return true, nil
	}
	return f.fill()
}

func (f *feed) fill() (bool, error) {
	if f.pages == nil {
		if f.column == nil {
			return false, nil
		}
		f.pages = f.column.Pages()
	}
	for {
		if f.values == nil {
			parquet.Release(f.page)
			var err error
			if f.page, err = f.pages.ReadPage(); err != nil {
				f.page = nil
				if errors.Is(err, io.EOF) {
					err = nil
				}
				return false, err
			}
			f.values = f.page.Values()
		}
		n, err := f.values.ReadValues(f.buf)
		if err != nil {
			if !errors.Is(err, io.EOF) {
				return false, err
			}
			f.values = nil
		}
		if n > 0 {
			f.next = f.buf[:n]
			return true, nil
		}
	}
}

// close lets the page go. The feed gives nothing any more.
func (f *feed) close() {
	if f.pages != nil {
		parquet.Release(f.page)
		f.pages.Close()
	}
	*f = feed{}
}
