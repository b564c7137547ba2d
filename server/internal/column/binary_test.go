package column

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// golden is two rows of every layout: the byte form is kept in logs and must never change.
const golden = "01" + "02" + "08" +
	"0100" + "02" + // bool: false, true
	"0201" + "01" + "ffffffff" + "00000000" + // int32: -1, null
	"0300" + "0100000000000000" + "feffffffffffffff" + // int64: 1, -2
	"0402" + // float32: null, null
	"0500" + "000000000000f03f" + "00000000000000c0" + // float64: 1, -2
	"0600" + "05" + "02000000" + "05000000" + "6869c3a421" + // text: hi, ä!
	"0601" + "02" + "02" + "00000000" + "02000000" + "ff00" + // binary: null, ff00
	"0700" + "0500000000000000" + "0000000000000000" + "ffffffffffffffff" + "ffffffffffffffff" // decimal: 5, -1

func goldenChunk(t testing.TB) (*Chunk, model) {
	m := model{
		{false, int32(-1), int64(1), nil, 1.0, "hi", nil, Decimal128{5, 0}},
		{true, nil, int64(-2), nil, -2.0, "ä!", "\xff\x00", Decimal128{^uint64(0), -1}},
	}
	return m.fill(t), m
}

func TestByteForm(t *testing.T) {
	c, m := goldenChunk(t)
	if got := hex.EncodeToString(c.AppendBinary(nil)); got != golden {
		t.Errorf("\n got %s\nwant %s", got, golden)
	}
	b, _ := hex.DecodeString(golden)
	back, err := Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	check(t, back, m)
	clear(b)
	check(t, back, m) // it shares no memory
}

func TestDecodeRefuses(t *testing.T) {
	c, _ := goldenChunk(t)
	whole := c.AppendBinary(nil)
	for n := range whole {
		if _, err := Decode(whole[:n]); err == nil {
			t.Errorf("accepted %d of %d bytes", n, len(whole))
		}
	}
	tests := []struct{ name, hex, want string }{
		{"empty", "", "1 bytes expected, 0 left"},
		{"version", "020000", "chunk has version 2, expected 1"},
		{"long row count", "01808000", "number is damaged or above 16777216"},
		{"too many rows", "018180800800", "number is damaged or above 16777216"},
		{"endless number", "01ffffffffffffffffffff", "number is damaged or above 16777216"},
		{"too many columns", "010081800400", "number is damaged or above 65536"},
		{"columns that do not follow", "01000301000100", "chunk says 3 columns, 4 bytes follow"},
		{"bytes behind", "01000000", "1 bytes follow the chunk"},
		{"layout 0", "0100010000", "chunk column 0: layout 0 is unknown"},
		{"layout 11", "0100010b00", "chunk column 0: layout 11 is unknown"},
		{"flags", "0101010204", "chunk column 0: unknown flags 0x4"},
		{"both flags", "0101010203", "chunk column 0: unknown flags 0x3"},
		{"nulls of no rows", "0100010202", "chunk column 0: unknown flags 0x2"},
		{"validity of no rows", "0100010201", "chunk column 0: a validity bitmap of equal bits"},
		{"validity of ones", "010101020101ffffffff", "chunk column 0: a validity bitmap of equal bits"},
		{"validity of zeros", "01010102010000000000", "chunk column 0: a validity bitmap of equal bits"},
		{"validity behind the rows", "010201020105" + "0100000000000000", "chunk column 0: bits are set behind the last row"},
		{"bits behind the rows", "010201010004", "chunk column 0: bits are set behind the last row"},
		{"bool under a null", "01020101010202" + "", ""},
		{"bool under a null", "01020101010103", "chunk column 0: the null of row 1 hides a value"},
		{"int32 under a null", "01020102010101000000" + "05000000", "chunk column 0: the null of row 1 hides a value"},
		{"minus zero under a null", "01020104010101000000" + "00000080", "chunk column 0: the null of row 1 hides a value"},
		{"text under a null", "010201060101" + "01" + "00000000" + "01000000" + "61", "chunk column 0: the null of row 1 hides a value"},
		{"few values", "0102010200" + "00000000", "chunk column 0: 8 bytes expected, 4 left"},
		{"data without rows", "0100010600" + "01" + "61", "chunk column 0: 1 bytes without rows"},
		{"falling offsets", "0102010600" + "02" + "02000000" + "01000000" + "6161", "chunk column 0: offset 1 of row 1 is out of order"},
		{"offset behind the data", "0101010600" + "01" + "02000000" + "61", "chunk column 0: offset 2 of row 0 is out of order"},
		{"negative offset", "0101010600" + "01" + "ffffffff" + "61", "chunk column 0: offset 4294967295 of row 0 is out of order"},
		{"data behind the offsets", "0101010600" + "02" + "01000000" + "6161", "chunk column 0: there are 2 bytes, the last offset is 1"},
		{"too much data", "0101010600" + "ffffffff0f", "chunk column 0: number is damaged or above 2147483647"},
		{"a struct of nothing", "0100010800" + "00", "chunk column 0: a struct says 0 fields, 0 bytes follow"},
		{"a struct of much", "0100010800" + "02" + "0100", "chunk column 0: a struct says 2 fields, 2 bytes follow"},
		{"a struct in a struct, and so on", "01000108" + strings.Repeat("000108", 102) + "00010100", "chunk column 0: vectors are nested more than 101 levels deep"},
		{"a value under a null struct", "0102010801" + "01" + "01" + "0100" + "02", "chunk column 0: the null of row 1 hides a value"},
		{"a value in a column of null structs", "0102010802" + "01" + "0100" + "02", "chunk column 0: a null struct hides a value"},
		{"elements without rows", "0100010900" + "01" + "0100" + "00", "chunk column 0: 1 elements without rows"},
		{"elements behind the offsets", "0101010900" + "02" + "01000000" + "0100" + "00", "chunk column 0: there are 2 elements, the last offset is 1"},
		{"elements of a null", "0102010901" + "01" + "01" + "00000000" + "01000000" + "0100" + "00", "chunk column 0: the null of row 1 hides a value"},
		{"a map without values", "0101010a00" + "01" + "01000000" + "0100" + "00", "chunk column 0: 1 bytes expected, 0 left"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b, err := hex.DecodeString(tt.hex)
			if err != nil {
				t.Fatal(err)
			}
			_, err = Decode(b)
			if got := errorText(err); got != tt.want {
				t.Errorf("\n got %s\nwant %s", got, tt.want)
			}
		})
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// TestDecodeIsBounded: what a few bytes say may not take much memory.
func TestDecodeIsBounded(t *testing.T) {
	// 16 Mi rows in 65,536 columns of nulls are 131 kB; one column of values of them is refused for what follows.
	b := append([]byte{1, 0x80, 0x80, 0x80, 0x08, 0x80, 0x80, 0x04}, strings.Repeat("\x03\x02", 1<<16)...)
	c, err := Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	if n := c.Bytes(); n != 0 {
		t.Errorf("%d bytes of values", n)
	}
	b[len(b)-1] = 0
	if _, err := Decode(b); errorText(err) != "chunk column 65535: 134217728 bytes expected, 0 left" {
		t.Error(err)
	}
}

func FuzzDecode(f *testing.F) {
	b, _ := hex.DecodeString(golden)
	f.Add(b)
	empty, _ := NewChunk(&allTypes)
	f.Add(empty.AppendBinary(nil))
	empty.EndRow(make([]bool, len(empty.Cols)))
	f.Add(empty.AppendBinary(nil))
	f.Add([]byte{1, 0, 0})
	for seed := range 20 {
		f.Add(rapid.Custom(func(t *rapid.T) []byte { c, _ := nestedChunk(t); return c.AppendBinary(nil) }).Example(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := Decode(b)
		if err != nil {
			return
		}
		for k := range c.Cols {
			if c.Cols[k].N != c.Rows {
				t.Fatalf("column %d has %d values, the chunk %d rows", k, c.Cols[k].N, c.Rows)
			}
			if c.Rows < 10_000 {
				checkVector(t, &c.Cols[k])
			}
		}
		if again := c.AppendBinary(nil); !bytes.Equal(again, b) {
			t.Fatalf("% x\nbecame\n% x", b, again)
		}
		if c.Rows < 10_000 {
			// A chunk that came from outside can be worked with.
			c.AppendChunk(c.copy())
			c.Truncate(c.Rows / 2)
			c.EndRow(make([]bool, len(c.Cols)))
			for k := range c.Cols {
				checkVector(t, &c.Cols[k])
			}
		}
	})
}

func (c *Chunk) copy() *Chunk {
	o, err := Decode(c.AppendBinary(nil))
	if err != nil {
		panic(err)
	}
	return o
}

func TestBitmap(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var b Bitmap
		var m []bool
		for range rapid.IntRange(0, 40).Draw(rt, "steps") {
			if rapid.IntRange(0, 4).Draw(rt, "cut") == 0 {
				n := rapid.IntRange(0, len(m)).Draw(rt, "bits")
				b, m = b.truncate(n), m[:n]
			}
			set := rapid.Bool().Draw(rt, "bit")
			b, m = b.Append(len(m), set), append(m, set)
			if len(b) != bitmapLen(len(m)) {
				rt.Fatalf("%d bytes for %d bits", len(b), len(m))
			}
		}
		for i := range m {
			if b.Get(i) != m[i] {
				rt.Fatalf("bit %d is %v", i, b.Get(i))
			}
		}
		if len(m) > 0 {
			ones := b.fill(len(m))
			for i := range m {
				if !ones.Get(i) {
					rt.Fatalf("bit %d of ones is not set", i)
				}
			}
		}
	})
}
