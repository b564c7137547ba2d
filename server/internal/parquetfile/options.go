package parquetfile

import (
	"fmt"

	"github.com/google/uuid"
	"github.com/parquet-go/parquet-go/compress"
	"github.com/parquet-go/parquet-go/compress/snappy"
	"github.com/parquet-go/parquet-go/compress/uncompressed"
	"github.com/parquet-go/parquet-go/compress/zstd"
)

// Defaults of Options.
const (
	DefaultCompression    = "zstd"
	DefaultRowGroupRows   = 1 << 20
	DefaultIndexedColumns = 32 // as delta.dataSkippingNumIndexedCols

	// A row group also ends at this size, measured as the chunks' bytes in memory.
	maxRowGroupBytes = 128 << 20
)

// Options say how a file is written. The zero value means the defaults.
type Options struct {
	// Compression is "zstd" (level 1, the default), "snappy" or "none". Delta's protocol recommends zstd. Measured on one
	// core: rows of numbers and short codes take as long with either and are 2 to 5 % smaller with zstd; rows of log text
	// are 14 % smaller and take a third longer.
	Compression string

	// RowGroupRows is the most rows of a row group, 0 for 1,048,576. A group ends earlier when its values take 128 MiB.
	RowGroupRows int

	// IndexedColumns is how many columns, from the first on, get Delta statistics: 0 for 32, negative for all. The fields of a
	// struct count, not the struct.
	IndexedColumns int

	// StatsColumns, unless it is nil, are the columns that get them instead; empty for none. A column is named by its path from
	// the table's column on, and a struct stands for all that is in it. What is not a column is passed over.
	StatsColumns [][]string

	// ClusteringColumns get them in any case, likewise by their paths.
	ClusteringColumns [][]string

	// CreatedBy names the writer in the footer, in the form "name version 1.2.3".
	CreatedBy string
}

// Result describes a written file.
type Result struct {
	Rows  int64
	Bytes int64  // the file's exact length
	Stats string // the JSON for the stats of Delta's add action
}

// Codecs keep their encoders' memory from file to file.
var codecs = map[string]compress.Codec{
	"zstd":   &zstd.Codec{Level: zstd.SpeedFastest},
	"snappy": &snappy.Codec{},
	"none":   &uncompressed.Codec{},
}

// withDefaults fills what is zero and refuses what is unknown.
func (o Options) withDefaults() (Options, error) {
	if o.Compression == "" {
		o.Compression = DefaultCompression
	}
	if codecs[o.Compression] == nil {
		return o, fmt.Errorf("compression %q is unknown, expected zstd, snappy or none", o.Compression)
	}
	if o.RowGroupRows == 0 {
		o.RowGroupRows = DefaultRowGroupRows
	}
	if o.RowGroupRows < 0 {
		return o, fmt.Errorf("a row group of %d rows is not possible", o.RowGroupRows)
	}
	if o.IndexedColumns == 0 {
		o.IndexedColumns = DefaultIndexedColumns
	}
	return o, nil
}

// NewName is the name of a data file that these options write, such as part-00000-<uuid>.c000.zstd.parquet. A random
// id makes it unique; a name is never used twice. Files without compression have no codec in their name.
func NewName(id uuid.UUID, o Options) string {
	codec := "." + o.Compression
	switch o.Compression {
	case "":
		codec = "." + DefaultCompression
	case "none":
		codec = ""
	}
	return "part-00000-" + id.String() + ".c000" + codec + ".parquet"
}
