package tablecheck

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"math/big"
	"slices"
	"unicode/utf8"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"

	"github.com/zerobus-go/zerobus/schema"
)

// scanBatch is how many values of a page are looked at together.
const scanBatch = 1024

// codecs are what the library can decompress. Its decoder of LZ4_RAW is left out: of damaged data it makes room without end.
var codecs = []format.CompressionCodec{format.Uncompressed, format.Snappy, format.Gzip, format.Brotli, format.Zstd}

// scan reads all values of the file, column by column. An error says that they cannot be read.
func (f *file) scan(p *parquet.File, leaves []*leaf) (err error) {
	defer asError(&err)
	buf := make([]parquet.Value, scanBatch)
	for g, group := range p.RowGroups() {
		for i, chunk := range group.ColumnChunks() {
			if i >= len(leaves) {
				return errors.New("the file has more columns than its schema")
			}
			l := leaves[i]
			if codec := p.Metadata().RowGroups[g].Columns[i].MetaData.Codec; !slices.Contains(codecs, codec) {
				return fmt.Errorf("column %s is compressed with %s, which is %w", l.label(), codec, errUnread)
			}
			rows, err := l.scan(chunk, buf)
			if err != nil {
				return fmt.Errorf("column %s: row group %d: %w", l.label(), g, err)
			}
			if rows != group.NumRows() {
				return fmt.Errorf("column %s: row group %d has %d rows, the footer says %d", l.label(), g, rows, group.NumRows())
			}
		}
	}
	for _, l := range leaves {
		for i := range l.measured {
			if m := &l.measured[i]; m.broken > 0 {
				f.fault(Values, m.col.path, "the column is NOT NULL, and %d values are null", m.broken)
			}
		}
		if l.extremes.fault != "" {
			f.fault(Values, l.col.path, "%s", l.extremes.fault)
		}
	}
	return nil
}

func (l *leaf) label() string {
	switch {
	case l.col != nil:
		return l.col.path
	case len(l.measured) > 0:
		return l.measured[0].col.path
	}
	return l.Name
}

// scan reads a column chunk, and returns its rows.
func (l *leaf) scan(chunk parquet.ColumnChunk, buf []parquet.Value) (rows int64, err error) {
	pages := chunk.Pages()
	defer pages.Close()
	for {
		page, err := pages.ReadPage()
		if errors.Is(err, io.EOF) {
			return rows, nil
		}
		if err != nil {
			return rows, err
		}
		n, err := l.page(page, buf)
		parquet.Release(page)
		rows += n
		if err != nil {
			return rows, err
		}
	}
}

func (l *leaf) page(page parquet.Page, buf []parquet.Value) (rows int64, err error) {
	values := page.Values()
	for {
		n, err := values.ReadValues(buf)
		for i := range buf[:n] {
			v := &buf[i]
			def := v.DefinitionLevel()
			if v.RepetitionLevel() == 0 {
				rows++
			}
			for k := range l.measured {
				l.measured[k].add(def)
			}
			if def == l.def && l.col != nil {
				l.extremes.add(l.col.typ, v)
			}
		}
		if errors.Is(err, io.EOF) {
			return rows, nil
		}
		if err != nil {
			return rows, err
		}
		if n == 0 {
			return rows, io.ErrNoProgress
		}
	}
}

// add counts a value by its definition level. Columns that have statistics have a value a row.
func (m *measure) add(def int) {
	if def < m.def {
		m.nulls++
		if def == m.def-1 && m.strict {
			m.broken++
		}
	}
}

// extremes are the least and the greatest of some values, and what is wrong with one of them.
type extremes struct {
	some          bool // there is a value beside nulls and NaN
	nan           bool
	least, most   int64
	leastF, mostF float64
	leastD, mostD *big.Int
	leastB, mostB []byte

	fault string // the first
}

func (x *extremes) add(t *schema.Type, v *parquet.Value) {
	switch t.Kind {
	case schema.Boolean:
		n := int64(0)
		if v.Boolean() {
			n = 1
		}
		x.addInt(n)
	case schema.Byte:
		x.addInt(int64(v.Int32()))
		x.within(t, math.MinInt8, math.MaxInt8)
	case schema.Short:
		x.addInt(int64(v.Int32()))
		x.within(t, math.MinInt16, math.MaxInt16)
	case schema.Integer, schema.Date:
		x.addInt(int64(v.Int32()))
	case schema.Timestamp, schema.TimestampNTZ:
		x.addTime(v)
	case schema.Long:
		x.addInt(v.Int64())
	case schema.Float:
		x.addFloat(float64(v.Float()))
	case schema.Double:
		x.addFloat(v.Double())
	case schema.Decimal:
		x.addDecimal(t, v)
	case schema.String:
		x.addText(t, v.ByteArray())
	}
}

func (x *extremes) addInt(n int64) {
	if !x.some {
		x.some, x.least, x.most = true, n, n
	}
	x.least, x.most = min(x.least, n), max(x.most, n)
}

func (x *extremes) within(t *schema.Type, least, most int64) {
	if x.least < least || x.most > most {
		x.wrong("a value from %d to %d is outside of %s", x.least, x.most, t)
	}
}

func (x *extremes) wrong(format string, args ...any) {
	if x.fault == "" {
		x.fault = fmt.Sprintf(format, args...)
	}
}

// addTime takes microseconds since 1970, or the older form: nanoseconds of a day, and the day since the beginning of 4713 BC.
func (x *extremes) addTime(v *parquet.Value) {
	if v.Kind() != parquet.Int96 {
		x.addInt(v.Int64())
		return
	}
	const (
		epoch     = 2_440_588 // the day of 1970-01-01
		micros    = 86_400_000_000
		mostDays  = math.MaxInt64/micros - 1
		nanosADay = 1000 * micros
	)
	old := v.Int96()
	nanos, day := int64(old[0])|int64(old[1])<<32, int64(int32(old[2]))-epoch
	if nanos < 0 || nanos > nanosADay || day > mostDays || day < -mostDays {
		x.wrong("a timestamp has %d nanoseconds of the day %d", nanos, day)
		return
	}
	x.addInt(day*micros + nanos/1000)
}

func (x *extremes) addFloat(n float64) {
	switch {
	case math.IsNaN(n):
		x.nan = true
	case !x.some:
		x.some, x.leastF, x.mostF = true, n, n
	default:
		x.leastF, x.mostF = math.Min(x.leastF, n), math.Max(x.mostF, n)
	}
}

// addDecimal takes the unscaled number, of which the file has any of four forms.
func (x *extremes) addDecimal(t *schema.Type, v *parquet.Value) {
	var n *big.Int
	switch v.Kind() {
	case parquet.Int32:
		n = big.NewInt(int64(v.Int32()))
	case parquet.Int64:
		n = big.NewInt(v.Int64())
	default: // two's complement, the highest byte first
		b := v.ByteArray()
		n = new(big.Int).SetBytes(b)
		if len(b) > 0 && b[0]&0x80 != 0 {
			n.Sub(n, new(big.Int).Lsh(big.NewInt(1), uint(8*len(b))))
		}
	}
	if !x.some {
		x.some, x.leastD, x.mostD = true, n, n
	}
	if n.Cmp(x.leastD) < 0 {
		x.leastD = n
	}
	if n.Cmp(x.mostD) > 0 {
		x.mostD = n
	}
	if limit := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(t.Precision)), nil); x.fault == "" && n.CmpAbs(limit) >= 0 {
		x.wrong("the unscaled value %s is outside of %s", n, t)
	}
}

func (x *extremes) addText(t *schema.Type, b []byte) {
	if !utf8.Valid(b) {
		x.wrong("a value is not UTF-8")
	}
	if t.Length > 0 && utf8.RuneCount(b) > t.Length {
		x.wrong("a value is longer than %s", t)
	}
	if !x.some {
		x.some, x.leastB, x.mostB = true, bytes.Clone(b), bytes.Clone(b)
		return
	}
	if bytes.Compare(b, x.leastB) < 0 {
		x.leastB = append(x.leastB[:0], b...)
	}
	if bytes.Compare(b, x.mostB) > 0 {
		x.mostB = append(x.mostB[:0], b...)
	}
}
