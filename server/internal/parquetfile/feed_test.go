package parquetfile

import (
	"bytes"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go/format"

	"github.com/zerobus-go/zerobus/server/internal/column"
)

// TestReadChunks_AreBounded: rows that take much come in chunks of fewer.
func TestReadChunks_AreBounded(t *testing.T) {
	table := tableOf(t, "id INT, l ARRAY<BIGINT>, s STRUCT<t: STRING>, e ARRAY<STRUCT<a: INT>>")
	c := joined(t, table)
	const rows, elements, length = 120, 20_000, 300_000
	for i := range rows {
		c.Cols[0].AppendInt32(int32(i))
		for k := range elements {
			c.Cols[1].Kids[0].AppendInt64(int64(i + k%7))
		}
		c.Cols[1].EndList()
		c.Cols[2].Kids[0].AppendString(strings.Repeat("x", length))
		c.Cols[2].EndStruct()
		for range elements {
			c.Cols[3].Kids[0].AppendNull()
		}
		c.Cols[3].EndList()
		c.Rows++
	}
	file, _ := write(t, table, Options{RowGroupRows: 50}, c)
	got := 0
	if err := ReadChunks(bytes.NewReader(file), int64(len(file)), table, -1, func(c *column.Chunk) error {
		if n := c.Bytes(); n > chunkBytes+8*elements+length || c.Rows == 0 {
			t.Errorf("a chunk has %d rows and %d bytes", c.Rows, n)
		}
		for i := range c.Rows {
			if from, to := c.Cols[1].Range(i); int(c.Cols[0].I32[i]) != got || to-from != elements || c.Cols[1].Kids[0].I64[from+8] != int64(got+1) {
				t.Errorf("row %d is another", got)
			}
			got++
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if got != rows {
		t.Errorf("%d rows", got)
	}
}

// TestRead_ARowOfManyCells: structs of many fields make many values in a file, of which a reader keeps a few.
func TestRead_ARowOfManyCells(t *testing.T) {
	const fields, elements = 200, 10_000
	var members []string
	for i := range fields {
		members = append(members, fmt.Sprintf("f%d: BIGINT", i))
	}
	table := tableOf(t, "l ARRAY<STRUCT<"+strings.Join(members, ", ")+">>")
	c := joined(t, table)
	e := &c.Cols[0].Kids[0]
	for range elements {
		for k := range e.Kids {
			e.Kids[k].AppendNull()
		}
		e.EndStruct()
	}
	c.Cols[0].EndList()
	c.Rows = 1
	file, _ := write(t, table, Options{}, c)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	equal(t, table, c, readAll(t, table, file))
	runtime.ReadMemStats(&after)
	if n := (after.TotalAlloc - before.TotalAlloc) / (fields * elements); n > 8 {
		t.Errorf("%d bytes are allocated for a null", n)
	}
}

// TestRead_RowsThatAreNot: a row group must have as many rows as it says.
func TestRead_RowsThatAreNot(t *testing.T) {
	table := tableOf(t, "a INT, l ARRAY<INT>")
	c := joined(t, table)
	for i := range 3 {
		c.Cols[0].AppendInt32(int32(i))
		c.Cols[1].Kids[0].AppendInt32(1)
		c.Cols[1].EndList()
		c.Rows++
	}
	file, _ := write(t, table, Options{}, c)
	for says, reason := range map[int64]string{0: "", 2: "behind the end of a row", 3: "", 4: "ends inside of a row"} {
		rows, err := readRows(table, withFooter(t, file, func(m *format.FileMetaData) { m.RowGroups[0].NumRows = says }))
		if reason == "" && (err != nil || int64(len(rows)) != says) || reason != "" && (err == nil || !strings.Contains(err.Error(), reason)) {
			t.Errorf("of %d rows: %d rows, %v", says, len(rows), err)
		}
	}
}

// TestRead_OnlyTheTablesColumns: what the table does not have is not read.
func TestRead_OnlyTheTablesColumns(t *testing.T) {
	wide, narrow := tableOf(t, "a INT, s STRUCT<x: INT, y: STRING>, l ARRAY<STRING>"), tableOf(t, "b INT, s STRUCT<x: INT>")
	c := joined(t, wide)
	for i := range 3 {
		c.Cols[0].AppendInt32(int32(i))
		c.Cols[1].Kids[0].AppendInt32(int32(10 * i))
		c.Cols[1].Kids[1].AppendString("y")
		c.Cols[1].EndStruct()
		c.Cols[2].Kids[0].AppendString("what nobody asks for")
		c.Cols[2].EndList()
		c.Rows++
	}
	file, _ := write(t, wide, Options{Compression: "uncompressed"}, c)
	at := bytes.Index(file, []byte("what nobody"))
	if at < 0 {
		t.Fatal("the text is not in the file")
	}
	file[at] = 'W' // damage that a reader of the column finds
	if _, err := readRows(wide, file); err == nil {
		t.Error("no error for a damaged page")
	}
	rows, err := readRows(narrow, file)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := fmt.Sprint(rows), "[[<nil> [{x 0}]] [<nil> [{x 10}]] [<nil> [{x 20}]]]"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
