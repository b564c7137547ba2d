package parquetfile

import (
	"fmt"
	"slices"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"
)

// checkStorage reports columns whose pages the library gives wrong values of, without an error. Both are as of version 0.32:
//
//   - BOOLEAN in RLE encoding, which writers use in pages of version 2: of a run of true, one value in eight is.
//   - LZ4_RAW: a page that is not compressed to a third is what was in the buffer before, and a damaged one takes all memory.
//
// Spark, delta-rs, DuckDB and Polars write neither unless they are asked to.
func checkStorage(f *parquet.File, s *source) error {
	if s == nil {
		return nil
	}
	for _, k := range s.kids {
		if err := checkStorage(f, k); err != nil {
			return err
		}
	}
	for _, g := range f.Metadata().RowGroups {
		for _, file := range s.files {
			m := &g.Columns[file].MetaData
			switch {
			case m.Codec == format.Lz4Raw:
				return fmt.Errorf("column %s is compressed with %s, which is not supported", s.node.path, m.Codec)
			case s.leaf != nil && m.Type == format.Boolean && !plainBooleans(m):
				return fmt.Errorf("column %s has booleans in RLE encoding, which is not supported", s.node.path)
			}
		}
	}
	return nil
}

// plainBooleans reports whether no page has RLE encoding for values. The column's list of encodings has it for levels, too, so that it
// decides only where the encodings of pages are not listed.
func plainBooleans(m *format.ColumnMetaData) bool {
	for _, p := range m.EncodingStats {
		if p.Encoding == format.RLE && (p.PageType == format.DataPage || p.PageType == format.DataPageV2) {
			return false
		}
	}
	return len(m.EncodingStats) > 0 || slices.Contains(m.Encoding, format.Plain) || !slices.Contains(m.Encoding, format.RLE)
}
