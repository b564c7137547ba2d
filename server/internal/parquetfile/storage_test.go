package parquetfile

import (
	"bytes"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"
)

// TestRead_StorageThatTheLibraryReadsWrong is refused, but for columns that are not read.
func TestRead_StorageThatTheLibraryReadsWrong(t *testing.T) {
	boolean := parquet.Leaf(parquet.BooleanType)
	for name, tt := range map[string]struct {
		root    parquet.Group
		columns string
		reason  string
	}{
		"RLE":                   {parquet.Group{"b": parquet.Encoded(boolean, &parquet.RLE)}, "b BOOLEAN", "column b has booleans in RLE encoding"},
		"RLE in a struct":       {parquet.Group{"s": parquet.Group{"b": parquet.Encoded(boolean, &parquet.RLE)}}, "s STRUCT<b: BOOLEAN>", "column s.b has booleans in RLE"},
		"plain":                 {parquet.Group{"b": parquet.Optional(parquet.Encoded(boolean, &parquet.Plain))}, "b BOOLEAN", ""},
		"RLE of no concern":     {parquet.Group{"b": parquet.Encoded(boolean, &parquet.RLE), "c": parquet.Optional(boolean)}, "c BOOLEAN", ""},
		"LZ4_RAW":               {parquet.Group{"b": parquet.Compressed(boolean, &parquet.Lz4Raw)}, "b BOOLEAN", "column b is compressed with LZ4_RAW"},
		"LZ4_RAW of no concern": {parquet.Group{"b": boolean, "c": parquet.Compressed(boolean, &parquet.Lz4Raw)}, "b BOOLEAN", ""},
		"LZ4_RAW of fields that are not known": {
			parquet.Group{"s": parquet.Group{"x": parquet.Compressed(boolean, &parquet.Lz4Raw)}}, "s STRUCT<b: BOOLEAN>", "column s is compressed with LZ4_RAW",
		},
	} {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			w := parquet.NewGenericWriter[any](&b, parquet.NewSchema("schema", tt.root))
			row := map[string]any{}
			for name := range tt.root {
				row[name] = true
				if name == "s" {
					row[name] = map[string]any{"b": true, "x": true}
				}
			}
			if _, err := w.Write([]any{row}); err != nil {
				t.Fatal(err)
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			rows, err := readRows(tableOf(t, tt.columns), b.Bytes())
			switch {
			case tt.reason == "" && (err != nil || len(rows) != 1 || rows[0][0] != true):
				t.Errorf("%v, %v", rows, err)
			case tt.reason != "" && (err == nil || !strings.Contains(err.Error(), tt.reason)):
				t.Errorf("error is %v", err)
			}
		})
	}
}

func TestPlainBooleans(t *testing.T) {
	stats := func(p format.PageType, e format.Encoding) []format.PageEncodingStats {
		return []format.PageEncodingStats{{PageType: p, Encoding: e, Count: 1}}
	}
	for name, tt := range map[string]struct {
		m    format.ColumnMetaData
		want bool
	}{
		"pages of version 1":       {format.ColumnMetaData{EncodingStats: stats(format.DataPage, format.Plain), Encoding: []format.Encoding{format.RLE, format.Plain}}, true},
		"RLE in version 1":         {format.ColumnMetaData{EncodingStats: stats(format.DataPage, format.RLE)}, false},
		"RLE in version 2":         {format.ColumnMetaData{EncodingStats: stats(format.DataPageV2, format.RLE)}, false},
		"levels, without a list":   {format.ColumnMetaData{Encoding: []format.Encoding{format.RLE, format.Plain}}, true},
		"values, without a list":   {format.ColumnMetaData{Encoding: []format.Encoding{format.RLE}}, false},
		"BIT_PACKED, without list": {format.ColumnMetaData{Encoding: []format.Encoding{format.BitPacked}}, true},
	} {
		if got := plainBooleans(&tt.m); got != tt.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
