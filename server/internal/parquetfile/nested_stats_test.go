package parquetfile

import (
	"bytes"
	"encoding/json"
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/zerobus-go/zerobus/schema"
)

// Delta PROTOCOL.md, "Per-file Statistics": nested like the schema; what is no struct counts as one column.
func TestNestedStats_Golden(t *testing.T) {
	table := tableOf(t, "id BIGINT, `a.b` STRUCT<x: INT, y: STRUCT<z: STRING, w: BOOLEAN>, l: ARRAY<STRUCT<q: INT>>>, m MAP<STRING, INT>, v VARIANT, d DATE")
	c := joined(t, table)
	s := &c.Cols[1]
	for i := range 4 {
		c.Cols[0].AppendInt64(int64(i))
		if i == 3 {
			break
		}
		s.Kids[0].AppendInt32(int32(10 * i))
		if i == 0 {
			s.Kids[1].AppendNull()
			s.Kids[2].AppendNull()
		} else {
			s.Kids[1].Kids[0].AppendString(fmt.Sprint("s", i))
			s.Kids[1].Kids[1].AppendBool(true)
			s.Kids[1].EndStruct()
			s.Kids[2].EndList()
		}
		s.EndStruct()
		c.Cols[2].EndList()
		c.Cols[3].AppendNull()
	}
	s.AppendNull()
	c.Cols[2].AppendNull()
	v := &c.Cols[3]
	v.Kids[0].AppendString("\x01\x00\x00")
	v.Kids[1].AppendString("\x0c\x01")
	v.EndStruct()
	c.Rows = 3
	c.EndRow(make([]bool, 5))
	c.Cols[4].Truncate(0)
	for range 4 {
		c.Cols[4].AppendInt32(1)
	}

	const bounds = `"minValues":{"id":0%s},"maxValues":{"id":3%s},"nullCount":{"id":0%s}}`
	for indexed, parts := range map[int][3]string{
		0: {`,"a.b":{"x":0,"y":{"z":"s1"}},"d":"1970-01-02"`, `,"a.b":{"x":20,"y":{"z":"s2"}},"d":"1970-01-02"`, `,"a.b":{"x":1,"y":{"z":2,"w":2},"l":2},"m":1,"v":3,"d":0`},
		1: {},
		2: {`,"a.b":{"x":0}`, `,"a.b":{"x":20}`, `,"a.b":{"x":1}`},
		4: {`,"a.b":{"x":0,"y":{"z":"s1"}}`, `,"a.b":{"x":20,"y":{"z":"s2"}}`, `,"a.b":{"x":1,"y":{"z":2,"w":2}}`},
		6: {`,"a.b":{"x":0,"y":{"z":"s1"}}`, `,"a.b":{"x":20,"y":{"z":"s2"}}`, `,"a.b":{"x":1,"y":{"z":2,"w":2},"l":2},"m":1`},
	} {
		want := `{"numRecords":4,` + fmt.Sprintf(bounds, parts[0], parts[1], parts[2])
		for _, groupRows := range []int{0, 1} {
			if _, r := write(t, table, Options{IndexedColumns: indexed, RowGroupRows: groupRows}, c); r.Stats != want {
				t.Errorf("%d columns: stats are\n%s\nexpected\n%s", indexed, r.Stats, want)
			}
		}
	}
}

// What the statistics say is checked against the rows that the file gives back.
func TestNestedStats_DT03_AreTrueOfTheFile(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		table := drawNestedTable(rt, 3)
		chunks := drawNestedChunks(rt, table)
		indexed := rapid.SampledFrom([]int{1, 3, 5, -1}).Draw(rt, "indexed")
		file, r := write(rt, table, Options{RowGroupRows: rapid.SampledFrom([]int{0, 3}).Draw(rt, "row group"), IndexedColumns: indexed}, chunks...)
		var s struct {
			NumRecords                      int
			MinValues, MaxValues, NullCount map[string]json.RawMessage
		}
		if err := json.Unmarshal([]byte(r.Stats), &s); err != nil {
			rt.Fatalf("%v in %s", err, r.Stats)
		}
		columns := make([][]any, len(table.Fields))
		rows := 0
		if err := Read(bytes.NewReader(file), int64(len(file)), table, -1, func(values []any) error {
			for i, x := range values {
				columns[i] = append(columns[i], x)
			}
			rows++
			return nil
		}); err != nil {
			rt.Fatal(err)
		}
		if s.NumRecords != rows {
			rt.Fatalf("numRecords is %d, the file has %d rows", s.NumRecords, rows)
		}
		left := indexed
		checkStats(rt, table.Fields, columns, &left, s.MinValues, s.MaxValues, s.NullCount)
	})
}

// checkStats compares the objects of a struct's fields with the fields' values, one slice for each. left counts down the columns that
// are indexed.
func checkStats(t *rapid.T, fields []schema.Field, columns [][]any, left *int, least, most, nulls map[string]json.RawMessage) {
	known := map[string]bool{}
	for i := range fields {
		f := &fields[i]
		known[f.Name] = true
		if f.Type.Kind == schema.StructKind {
			inside := make([][]any, len(f.Type.Fields))
			for _, x := range columns[i] {
				for k := range inside {
					if x == nil {
						inside[k] = append(inside[k], nil)
					} else {
						inside[k] = append(inside[k], x.(Struct)[k].Value)
					}
				}
			}
			object := func(m map[string]json.RawMessage) map[string]json.RawMessage {
				if m[f.Name] == nil {
					return nil
				}
				var o map[string]json.RawMessage
				if err := json.Unmarshal(m[f.Name], &o); err != nil || len(o) == 0 {
					t.Fatalf("%s is %s: %v", f.Name, m[f.Name], err)
				}
				return o
			}
			checkStats(t, f.Type.Fields, inside, left, object(least), object(most), object(nulls))
			continue
		}
		if *left == 0 {
			if least[f.Name] != nil || most[f.Name] != nil || nulls[f.Name] != nil {
				t.Fatalf("%s has statistics and is not indexed", f.Name)
			}
			continue
		}
		*left--
		var values []any
		for _, x := range columns[i] {
			if x != nil {
				values = append(values, x)
			}
		}
		if want := fmt.Sprint(len(columns[i]) - len(values)); string(nulls[f.Name]) != want {
			t.Fatalf("nullCount of %s is %s, expected %s", f.Name, nulls[f.Name], want)
		}
		if f.Type.Scalar() {
			checkBounds(t, &f.Type, values, least[f.Name], most[f.Name])
		} else if least[f.Name] != nil || most[f.Name] != nil {
			t.Fatalf("%s %s has bounds", f.Name, f.Type)
		}
	}
	for _, m := range []map[string]json.RawMessage{least, most, nulls} {
		for name := range m {
			if !known[name] {
				t.Fatalf("there is no field %s", name)
			}
		}
	}
}
