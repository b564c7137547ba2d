package column

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/zerobus-go/zerobus/schema"
)

// TestRoom gives a chunk the memory that another one took: the same rows need no more than that, and are the same. Bitmaps of nulls
// are not made before, because few columns have them.
func TestRoom(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c, table := nestedChunk(t)
		var room Room
		room.Note(c, roomFrom)
		o := newChunk(t, table)
		room.Make(o, roomFrom)
		checkNested(t, o, table, nil)
		given := o.Held()
		o.AppendChunk(c)
		same(t, o, c)
		if held, nulls := o.Held(), nullBits(o.Cols); held != given+nulls {
			t.Fatalf("%d bytes were made, and the rows hold %d, %d of them bitmaps of nulls", given, held, nulls)
		}
		if most := o.Bytes() * 17 / 16; given > most {
			t.Fatalf("%d bytes were made for %d", given, o.Bytes())
		}
	})
}

func nullBits(cols []Vector) (n int) {
	for i := range cols {
		n += cap(cols[i].Valid) + nullBits(cols[i].Kids)
	}
	return n
}

// TestRoom_Bounds: a chunk never gets much more than the last one took, small ones get nothing, nor do columns of nulls, and chunks of
// other columns do no harm.
func TestRoom_Bounds(t *testing.T) {
	one := func(ddl string) *Chunk {
		table, err := schema.ParseCreateTable("CREATE TABLE c.s.t (" + ddl + ") USING DELTA")
		if err != nil {
			t.Fatal(err)
		}
		c, err := NewChunk(&table.Columns)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	c := one("a STRING, b BIGINT, c BIGINT")
	for range 100 {
		c.Cols[0].AppendString(strings.Repeat("x", 1000))
		c.Cols[1].AppendInt64(1)
		c.EndRow(make([]bool, 3))
	}
	var room Room
	for _, encoded := range []int{0, roomFrom, 1 << 30} {
		fresh := one("a STRING, b BIGINT, c BIGINT")
		if room.Make(fresh, encoded); fresh.Held() != 0 {
			t.Errorf("%d bytes from nothing", fresh.Held())
		}
	}
	room.Note(c, roomFrom-1)
	if room.encoded != 0 {
		t.Error("a small request is remembered")
	}
	taken := c.Bytes()
	room.Note(c, 100_000)
	for encoded, want := range map[int]int{100_000: taken, 50_000: taken / 2, 400_000: 4 * taken} {
		o := one("a STRING, b BIGINT, c BIGINT")
		if room.Make(o, encoded); o.Held() < want || o.Held() > want*17/16+16 {
			t.Errorf("%d bytes were made for a request of %d, which becomes some %d", o.Held(), encoded, want)
		}
	}
	room.Note(c, roomFrom) // 6 times as much in columns as on the wire
	huge := one("a STRING, b BIGINT, c BIGINT")
	for encoded, most := range map[int]int{2 * roomFrom: taken, 10 * roomFrom: 20 * roomFrom} {
		o := one("a STRING, b BIGINT, c BIGINT")
		if room.Make(o, encoded); o.Held() > most*17/16+16 {
			t.Errorf("%d bytes were made for a request of %d, at most %d are to be", o.Held(), encoded, most)
		}
	}
	room.Make(huge, roomFrom)
	if cap(huge.Cols[2].I64) != 0 {
		t.Error("memory for a column of nulls")
	}
	before := cap(huge.Cols[0].Data)
	if room.Make(huge, 50_000); cap(huge.Cols[0].Data) != before {
		t.Errorf("memory that was there is made anew: %d bytes instead of %d", cap(huge.Cols[0].Data), before)
	}
	small := one("a STRING, b BIGINT, c BIGINT")
	if room.Make(small, roomFrom-1); small.Held() != 0 {
		t.Errorf("%d bytes for a small request", small.Held())
	}
	for _, ddl := range []string{"a STRING", "a STRUCT<x: BIGINT, y: ARRAY<STRING>>, b BIGINT, c MAP<STRING, INT>, d INT"} {
		other := one(ddl)
		room.Make(other, 100_000)
		if other.Rows != 0 || other.Bytes() != 0 {
			t.Errorf("%s: %d bytes", ddl, other.Bytes())
		}
	}
}

// TestRoom_GivesBack: a stream whose requests fill other columns by turns, and one whose values come and go, hold not much more than
// their values, and the rows stay what they are.
func TestRoom_GivesBack(t *testing.T) {
	table, err := schema.ParseCreateTable("CREATE TABLE c.s.t (a STRING, x BIGINT, b STRING, y BIGINT) USING DELTA")
	if err != nil {
		t.Fatal(err)
	}
	for name, columns := range map[string]func(i int) []int{
		"by turns":    func(i int) []int { return [][]int{{0, 1}, {2, 3}}[i%2] },
		"all or none": func(i int) []int { return [][]int{{0, 1, 2, 3}, {1}}[i%2] },
	} {
		var room Room
		for i := range 20 {
			c, err := NewChunk(&table.Columns)
			if err != nil {
				t.Fatal(err)
			}
			room.Make(c, 1<<20)
			for range 1000 {
				for _, k := range columns(i) {
					if k%2 == 0 {
						c.Cols[k].AppendString(strings.Repeat("x", 1000))
					} else {
						c.Cols[k].AppendInt64(int64(i))
					}
				}
				c.EndRow(make([]bool, 4))
			}
			before := c.AppendBinary(nil)
			room.Note(c, 1<<20)
			if held, taken := c.Held(), c.Bytes(); held > taken+taken/2+looseRoom {
				t.Errorf("%s: request %d holds %d bytes, and its values take %d", name, i, held, taken)
			}
			if c.Rows != 1000 || string(c.AppendBinary(nil)) != string(before) {
				t.Fatalf("%s: request %d has other rows", name, i)
			}
		}
	}
}
