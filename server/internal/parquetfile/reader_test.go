package parquetfile

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/parquet-go/parquet-go"

	"github.com/zerobus-go/zerobus/schema"
	"github.com/zerobus-go/zerobus/server/internal/column"
)

func TestRead_GoValues(t *testing.T) {
	day := time.Date(1969, 12, 31, 0, 0, 0, 0, time.UTC)
	moment := time.Date(1969, 12, 31, 23, 59, 59, 999_999_000, time.UTC)
	for typ, test := range map[string]struct{ in, want any }{
		"boolean": {true, true}, "tinyint": {-1, int32(-1)}, "smallint": {300, int32(300)}, "int": {7, int32(7)},
		"bigint": {7, int64(7)}, "float": {1.5, float32(1.5)}, "double": {1.5, 1.5}, "string": {"é", "é"}, "binary": {[]byte{}, []byte{}},
		"date": {-1, day}, "timestamp": {-1, moment}, "timestamp_ntz": {-1, moment},
		"decimal(5,2)": {-5, "-0.05"}, "decimal(18,0)": {42, "42"}, "decimal(38,1)": {-12, "-1.2"},
	} {
		table := one(typ)
		file, _ := write(t, table, Options{}, chunkOf(t, table, test.in, nil))
		var got []any
		if err := Read(bytes.NewReader(file), int64(len(file)), table, -1, func(values []any) error {
			got = append(got, values...)
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]any{test.want, nil}, got); diff != "" {
			t.Errorf("%s:\n%s", typ, diff)
		}
	}
}

func TestRead_Limit(t *testing.T) {
	table := one("int")
	var values []any
	for i := range 3000 {
		values = append(values, i)
	}
	file, _ := write(t, table, Options{RowGroupRows: 1100}, chunkOf(t, table, values...))
	for limit, want := range map[int]int{-1: 3000, 0: 0, 1: 1, 1024: 1024, 1025: 1025, 1100: 1100, 1101: 1101, 2999: 2999, 5000: 3000} {
		n := 0
		if err := Read(bytes.NewReader(file), int64(len(file)), table, limit, func(row []any) error {
			if row[0] != int32(n) {
				return fmt.Errorf("row %d holds %v", n, row[0])
			}
			n++
			return nil
		}); err != nil {
			t.Errorf("limit %d: %v", limit, err)
		}
		if n != want {
			t.Errorf("limit %d: %d rows, expected %d", limit, n, want)
		}
	}
}

func TestRead_GivesTheCallbacksError(t *testing.T) {
	table := one("int")
	file, _ := write(t, table, Options{}, chunkOf(t, table, 1, 2))
	stop := errors.New("stop")
	n := 0
	err := Read(bytes.NewReader(file), int64(len(file)), table, -1, func([]any) error { n++; return stop })
	if err != stop || n != 1 {
		t.Errorf("error is %v after %d calls, expected the callback's after 1", err, n)
	}
}

// Columns are found by name: the file may lack some, have others, and have them in another order.
func TestRead_OtherColumns(t *testing.T) {
	type row struct {
		Nested struct{ X []int64 } `parquet:"nested"`
		B      string              `parquet:"b"`
		A      int64               `parquet:"a"`
	}
	var b bytes.Buffer
	w := parquet.NewGenericWriter[row](&b)
	if _, err := w.Write([]row{{B: "x", A: 1}, {B: "y", A: 2}}); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	table := &schema.Struct{Fields: []schema.Field{
		{Name: "a", Type: schema.Type{Kind: schema.Long}},
		{Name: "new", Type: schema.Type{Kind: schema.Date}, Nullable: true},
		{Name: "b", Type: schema.Type{Kind: schema.String}},
	}}
	var got [][]any
	if err := Read(bytes.NewReader(b.Bytes()), int64(b.Len()), table, -1, func(values []any) error {
		got = append(got, values)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([][]any{{int64(1), nil, "x"}, {int64(2), nil, "y"}}, got); diff != "" {
		t.Error(diff)
	}

	for typ, want := range map[string]string{"a int": "column a is stored as INT64, expected INT32 for int", "nested string": "column nested is nested"} {
		name, typ, _ := strings.Cut(typ, " ")
		table := one(typ)
		table.Fields[0].Name = name
		err := Read(bytes.NewReader(b.Bytes()), int64(b.Len()), table, -1, func([]any) error { return nil })
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error is %v, expected one with %q", name, err, want)
		}
	}
}

// Decimals of other writers: any form that the format knows.
func TestRead_DecimalsOfOtherWriters(t *testing.T) {
	type row struct {
		Small int32  `parquet:"small,decimal(2:9)"`
		Large int64  `parquet:"large,decimal(2:18)"`
		Bytes []byte `parquet:"bytes"`
	}
	var b bytes.Buffer
	w := parquet.NewGenericWriter[row](&b)
	if _, err := w.Write([]row{{-5, -5, []byte{0xff, 0xfb}}, {5, 5, []byte{5}}}); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	table := &schema.Struct{}
	for _, name := range []string{"small", "large", "bytes"} {
		f := one("decimal(20,2)").Fields[0]
		f.Name = name
		table.Fields = append(table.Fields, f)
	}
	var got [][]any
	if err := Read(bytes.NewReader(b.Bytes()), int64(b.Len()), table, -1, func(values []any) error {
		got = append(got, values)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([][]any{{"-0.05", "-0.05", "-0.05"}, {"0.05", "0.05", "0.05"}}, got); diff != "" {
		t.Error(diff)
	}
}

// panicking stands for the damages that the library meets with a panic: its nth read does.
type panicking struct {
	r    *bytes.Reader
	left int
}

func (p *panicking) ReadAt(b []byte, off int64) (int, error) {
	if p.left--; p.left < 0 {
		panic("index out of bounds")
	}
	return p.r.ReadAt(b, off)
}

func TestRead_PanicOfTheLibraryIsAnError(t *testing.T) {
	table := one("int")
	file, _ := write(t, table, Options{}, chunkOf(t, table, 1))
	for n := 0; ; n++ {
		err := Read(&panicking{bytes.NewReader(file), n}, int64(len(file)), table, -1, func([]any) error { return nil })
		if err == nil {
			if n < 3 { // the file's end, the footer, a page
				t.Errorf("only %d reads were tried", n)
			}
			return
		}
		if !strings.Contains(err.Error(), "the file is damaged: index out of bounds") {
			t.Fatalf("read %d: error is %v", n, err)
		}
	}
}

func TestRead_PanicOfTheCallbackIsNotHidden(t *testing.T) {
	table := one("int")
	file, _ := write(t, table, Options{}, chunkOf(t, table, 1))
	defer func() {
		if p := recover(); p != "mine" {
			t.Errorf("recovered %v, expected the callback's panic", p)
		}
	}()
	err := Read(bytes.NewReader(file), int64(len(file)), table, -1, func([]any) error { panic("mine") })
	t.Errorf("no panic, error %v", err)
}

// Every file that is cut short and every file with a byte changed is an error or gives rows; a byte changed in the pages'
// bodies is always an error.
func TestRead_DamagedFiles(t *testing.T) {
	table := &schema.Struct{}
	for _, typ := range []string{"int", "string", "decimal(20,2)", "double"} {
		table.Fields = append(table.Fields, schema.Field{Name: fmt.Sprint("c", len(table.Fields)), Type: one(typ).Fields[0].Type})
	}
	c := joined(t, table)
	for i := range 10 {
		c.Cols[0].AppendInt32(int32(i))
		c.Cols[1].AppendString(fmt.Sprint(i))
		c.Cols[2].AppendDecimal(column.Decimal128{Lo: uint64(i)})
		c.Cols[3].AppendFloat64(float64(i))
		c.EndRow(make([]bool, len(c.Cols)))
	}
	file, _ := write(t, table, Options{Compression: "uncompressed"}, c)
	read := func(b []byte) error {
		return Read(bytes.NewReader(b), int64(len(b)), table, -1, func(values []any) error {
			if len(values) != len(table.Fields) {
				t.Errorf("%d values", len(values))
			}
			return nil
		})
	}
	if err := read(file); err != nil {
		t.Fatal(err)
	}
	for n := range file {
		if read(file[:n]) == nil {
			t.Errorf("a file cut to %d of %d bytes reads without an error", n, len(file))
		}
	}
	body := bytes.Index(file, []byte("\x01\x00\x00\x000\x01\x00\x00\x001")) // the first two strings
	if body < 0 {
		t.Fatal("the strings are not in the file")
	}
	found := 0
	for i := range file {
		for _, flip := range []byte{0x01, 0xff} {
			b := bytes.Clone(file)
			b[i] ^= flip
			err := read(b)
			if err != nil {
				found++
			} else if i >= body && i < body+40 {
				t.Errorf("byte %d of the file is changed by %#x, and no error", i, flip)
			}
		}
	}
	if found < len(file) {
		t.Errorf("only %d of %d damages were found", found, 2*len(file))
	}
}

// A sparse file can claim any footer, which the library would make room for.
func TestRead_FooterBeyondTheLimit(t *testing.T) {
	const size = 1 << 40
	err := Read(sparse{size, "\xff\xff\xff\xffPAR1"}, size, &schema.Struct{Fields: []schema.Field{{Name: "id", Type: schema.Type{Kind: schema.Long}}}}, 1, func([]any) error { return nil })
	if err == nil || !strings.Contains(err.Error(), "more than the limit") {
		t.Errorf("error %v", err)
	}
}

// sparse is a file of zeros with an end.
type sparse struct {
	size int64
	end  string
}

func (s sparse) ReadAt(p []byte, at int64) (int, error) {
	clear(p)
	if from := s.size - int64(len(s.end)); at+int64(len(p)) > from {
		copy(p[max(0, from-at):], s.end[max(0, at-from):])
	}
	return len(p), nil
}
