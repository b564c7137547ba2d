package parquetfile

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/google/uuid"
	"github.com/parquet-go/parquet-go/compress"
	"github.com/parquet-go/parquet-go/compress/gzip"
	"github.com/parquet-go/parquet-go/compress/snappy"
	"github.com/parquet-go/parquet-go/compress/uncompressed"
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
	// Compression is one of Compressions; empty for zstd.
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

// Compressions are those that files can have, by the names that the property delta.parquet.compression.codec has for them: the fastest
// level of each. LZ4 is not among them because we could not read it, see checkStorage.
var Compressions = []string{"zstd", "snappy", "gzip", "uncompressed"}

// Codecs keep their encoders' memory from file to file.
var codecs = map[string]compress.Codec{
	"zstd":         newZstd(),
	"snappy":       &snappy.Codec{},
	"gzip":         &gzip.Codec{Level: gzip.BestSpeed},
	"uncompressed": &uncompressed.Codec{},
}

// extensions are what the codecs add to the names of files, as Spark has it.
var extensions = map[string]string{"zstd": ".zstd", "snappy": ".snappy", "gzip": ".gz", "uncompressed": ""}

// withDefaults fills what is zero and refuses what is unknown.
func (o Options) withDefaults() (Options, error) {
	if o.Compression == "" {
		o.Compression = DefaultCompression
	}
	if codecs[o.Compression] == nil {
		return o, fmt.Errorf("compression %q is unknown, expected one of %s", o.Compression, strings.Join(Compressions, ", "))
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
	return "part-00000-" + id.String() + ".c000" + extensions[cmp.Or(o.Compression, DefaultCompression)] + ".parquet"
}
