package partition

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/zerobus-go/zerobus/schema"
	"github.com/zerobus-go/zerobus/server/internal/column"
	"pgregory.net/rapid"
)

func TestNew_Refuses(t *testing.T) {
	table := number(typ(schema.Long))
	for columns, want := range map[string]string{
		"q":    "partition column q is not a column of the table",
		"P":    "partition column P is not a column of the table",
		"p,p":  "partition column p is given twice",
		"p,id": "every column is a partition column",
	} {
		_, err := New(table, strings.Split(columns, ","))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", columns, err)
		}
	}
	if _, err := New(number(typ(schema.Binary)), []string{"p"}); err == nil {
		t.Error("BINARY is taken")
	}
}

func TestCheck(t *testing.T) {
	const empty, years = "an empty text is NULL in a partition column, and the column is NOT NULL", "years outside of 1 to 9999 cannot be in a partition column"
	for _, c := range []struct {
		typ      schema.Type
		nullable bool
		add      func(*column.Vector)
		reason   string
	}{
		{typ(schema.String), false, func(v *column.Vector) { v.AppendString("") }, empty},
		{typ(schema.String), false, func(v *column.Vector) { v.AppendString(" ") }, ""},
		{typ(schema.String), true, func(v *column.Vector) { v.AppendString("") }, ""},
		{typ(schema.String), true, func(v *column.Vector) { v.AppendNull() }, ""},
		{typ(schema.Date), true, func(v *column.Vector) { v.AppendNull() }, ""},
		{typ(schema.Date), true, func(v *column.Vector) { v.AppendInt32(day(1, 1, 1)) }, ""},
		{typ(schema.Date), true, func(v *column.Vector) { v.AppendInt32(day(1, 1, 1) - 1) }, years},
		{typ(schema.Date), true, func(v *column.Vector) { v.AppendInt32(day(9999, 12, 31)) }, ""},
		{typ(schema.Date), true, func(v *column.Vector) { v.AppendInt32(day(9999, 12, 31) + 1) }, years},
		{typ(schema.Timestamp), true, func(v *column.Vector) { v.AppendInt64(-62135596800000000) }, ""},
		{typ(schema.Timestamp), true, func(v *column.Vector) { v.AppendInt64(-62135596800000001) }, years},
		{typ(schema.TimestampNTZ), true, func(v *column.Vector) { v.AppendInt64(253402300799999999) }, ""},
		{typ(schema.TimestampNTZ), true, func(v *column.Vector) { v.AppendInt64(253402300800000000) }, years},
		{typ(schema.Long), true, func(v *column.Vector) { v.AppendInt64(math.MaxInt64) }, ""},
	} {
		table := number(c.typ)
		table.Fields[0].Nullable = c.nullable
		table.Fields = append(table.Fields, schema.Field{Name: "q", Type: c.typ, Nullable: true}) // may have what it likes
		ch := chunk(t, table)
		c.add(&ch.Cols[0])
		c.add(&ch.Cols[2])
		ch.EndRow(make([]bool, 3))
		field, reason := mustNew(t, table, "p").Check(ch, 0)
		if reason != c.reason || (field == "p") != (reason != "") {
			t.Errorf("%s: %q %q, want %q", c.typ, field, reason, c.reason)
		}
		if field, reason := mustNew(t, table).Check(ch, 0); field+reason != "" {
			t.Errorf("without partitions: %q %q", field, reason)
		}
	}
}

// ids makes a chunk of p and id; p[i] "-" is null.
func ids(t testing.TB, table *schema.Struct, first int64, p ...string) *column.Chunk {
	c := chunk(t, table)
	for i, s := range p {
		if s == "-" {
			c.Cols[0].AppendNull()
		} else {
			c.Cols[0].AppendString(s)
		}
		c.Cols[1].AppendInt64(first + int64(i))
		c.EndRow(make([]bool, 2))
	}
	return c
}

// files goes through a split and tells of each file its value and its ids, a | between chunks.
func files(p *Split, limit int) (all []string) {
	for f, ok := p.Next(limit); ok; f, ok = p.Next(limit) {
		text := show(f.Values["p"]) + ":"
		rows := 0
		for i, c := range f.Chunks {
			if i > 0 {
				text += " |"
			}
			for _, id := range c.Cols[len(c.Cols)-1].I64 {
				text += fmt.Sprint(" ", id)
			}
			rows += c.Rows
		}
		if rows != f.Rows {
			text += fmt.Sprintf(" (%d rows, not %d)", rows, f.Rows)
		}
		all = append(all, text)
	}
	return all
}

func TestSplit_FilesByPartition(t *testing.T) {
	table := number(typ(schema.String))
	s := mustNew(t, table, "p")
	chunks := []*column.Chunk{
		ids(t, table, 0, "a", "a"),
		ids(t, table, 10, "b", "a", "b", "-", ""),
		ids(t, table, 20),
		ids(t, table, 30, "b"),
		ids(t, table, 40, "-", "-"),
		ids(t, table, 50, "a", "c"),
		ids(t, table, 60, "c", "a"),
	}
	p := s.Split(chunks)
	if p.Partitions() != 4 {
		t.Errorf("%d partitions", p.Partitions())
	}
	want := []string{"a: 0 1 | 11 50 61", "b: 10 12 | 30", "null: 13 14 | 40 41", "c: 51 60"}
	for range 2 {
		if got := files(p, 1<<20); !slices.Equal(got, want) {
			t.Errorf("got %q", got)
		}
		if _, ok := p.Next(1); ok {
			t.Error("there is one more")
		}
		p.Rewind()
	}
	p.Next(1 << 20)
	p.Done()
	p.Next(1 << 20)
	p.Rewind()
	if got := files(p, 1<<20); !slices.Equal(got, want[1:]) {
		t.Errorf("after the first: got %q", got)
	}
}

func TestSplit_WithoutPartitionColumns(t *testing.T) {
	table := number(typ(schema.String))
	s := mustNew(t, table)
	chunks := []*column.Chunk{ids(t, table, 0, "a", "b"), ids(t, table, 10), ids(t, table, 20, "c")}
	p := s.Split(chunks)
	f, ok := p.Next(1)
	if !ok || f.Rows != 3 || f.Dir != "" || len(f.Values) != 0 || f.Values == nil || len(f.Chunks) != 2 || f.Chunks[0] != chunks[0] {
		t.Errorf("got %+v, %v", f, ok)
	}
	if _, ok := p.Next(1); ok {
		t.Error("there are two files")
	}
	if _, ok := s.Split(chunks[1:2]).Next(1); ok {
		t.Error("no rows make a file")
	}
}

// Copies that take more than the limit are written piece by piece; chunks of one partition need no copy.
func TestSplit_LimitOfCopies(t *testing.T) {
	table := number(typ(schema.String))
	s := mustNew(t, table, "p")
	var mixed []string
	for range 1000 {
		mixed = append(mixed, "a", "b")
	}
	whole := slices.Repeat([]string{"a"}, 1000)
	chunks := []*column.Chunk{ids(t, table, 0, mixed...), ids(t, table, 10_000, whole...), ids(t, table, 20_000, mixed...)}
	p := s.Split(chunks)
	rows := map[string]int{}
	last := map[string]int64{}
	n := 0
	for f, ok := p.Next(1000 * 8); ok; f, ok = p.Next(1000 * 8) {
		n++
		v := *f.Values["p"]
		copied := 0
		for _, c := range f.Chunks {
			if len(c.Cols) != 1 {
				t.Fatalf("%d columns", len(c.Cols))
			}
			for _, id := range c.Cols[0].I64 {
				if id < last[v] {
					t.Fatalf("partition %s: %d after %d", v, id, last[v])
				}
				last[v] = id
			}
			if &c.Cols[0].I64[0] != &chunks[1].Cols[1].I64[0] {
				copied += c.Rows
			}
		}
		if copied > 1000+blockRows {
			t.Errorf("file %d has %d copied rows", n, copied)
		}
		rows[v] += f.Rows
	}
	if rows["a"] != 3000 || rows["b"] != 2000 || n != 4 {
		t.Errorf("%d files, rows %v", n, rows)
	}
}

// A chunk that is older than the partition column is of the partition of nulls.
func TestSplit_ChunkWithoutTheColumn(t *testing.T) {
	table := &schema.Struct{Fields: []schema.Field{
		{Name: "id", Type: typ(schema.Long), Nullable: true}, {Name: "p", Type: typ(schema.String), Nullable: true},
	}}
	old := chunk(t, &schema.Struct{Fields: table.Fields[:1]})
	old.Cols[0].AppendInt64(1)
	old.EndRow([]bool{false})
	young := chunk(t, table)
	young.Cols[0].AppendInt64(2)
	young.Cols[1].AppendString("a")
	young.EndRow([]bool{false, false})
	young.Cols[0].AppendInt64(3)
	young.EndRow([]bool{false, false})
	if got := files(mustNew(t, table, "p").Split([]*column.Chunk{old, young}), 1<<20); !slices.Equal(got, []string{"null: 1 | 3", "a: 2"}) {
		t.Errorf("got %q", got)
	}
}

// All that are not a number are one partition, the two zeros are two.
func TestSplit_Floats(t *testing.T) {
	for _, k := range []schema.Kind{schema.Float, schema.Double} {
		table := number(typ(k))
		c := chunk(t, table)
		for i, x := range []float64{0, math.NaN(), math.Copysign(0, -1), -math.NaN(), math.Inf(1), 0} {
			if k == schema.Float {
				c.Cols[0].AppendFloat32(float32(x))
			} else {
				c.Cols[0].AppendFloat64(x)
			}
			c.Cols[1].AppendInt64(int64(i))
			c.EndRow(make([]bool, 2))
		}
		if k == schema.Double {
			c.Cols[0].F64[3] = math.Float64frombits(0xfff8_0000_0000_0001)
		}
		got := files(mustNew(t, table, "p").Split([]*column.Chunk{c}), 1<<20)
		if !slices.Equal(got, []string{"0.0: 0 5", "NaN: 1 3", "-0.0: 2", "Infinity: 4"}) {
			t.Errorf("%v: got %q", k, got)
		}
	}
}

// anyType is the types that a table may be partitioned by.
var anyType = []schema.Type{
	{Kind: schema.Boolean},
	{Kind: schema.Byte},
	{Kind: schema.Integer},
	{Kind: schema.Long},
	{Kind: schema.Float},
	{Kind: schema.Double},
	{Kind: schema.Decimal, Precision: 30, Scale: 5},
	{Kind: schema.String},
	{Kind: schema.Date},
	{Kind: schema.Timestamp},
	{Kind: schema.TimestampNTZ},
}

// nested is a type with all layouts inside.
var nested = schema.Type{Kind: schema.StructKind, Fields: []schema.Field{
	{Name: "n", Type: typ(schema.Long), Nullable: true},
	{Name: "list", Type: schema.Type{Kind: schema.Array, Elem: &schema.Type{Kind: schema.String}, ElemNullable: true}, Nullable: true},
	{Name: "map", Type: schema.Type{Kind: schema.Map, Key: &schema.Type{Kind: schema.String}, Elem: &schema.Type{Kind: schema.Double}, ElemNullable: true}, Nullable: true},
}}

// fill adds a value, from a small set so that rows meet.
func fill(v *column.Vector, n int) {
	if n%7 == 6 {
		v.AppendNull()
		return
	}
	switch v.Layout {
	case column.Bool:
		v.AppendBool(n%2 == 0)
	case column.Int32:
		v.AppendInt32(int32(n%5) - 2)
	case column.Int64:
		v.AppendInt64(int64(n%5)*1_000_000_007 - 2)
	case column.Float32:
		v.AppendFloat32([]float32{0, float32(math.NaN()), -1.5, 1e20}[n%4])
	case column.Float64:
		v.AppendFloat64([]float64{0, math.NaN(), -1.5, 1e200}[n%4])
	case column.Int128:
		v.AppendDecimal(column.Decimal128{Lo: uint64(n % 3), Hi: int64(n % 2)})
	case column.Bytes:
		v.AppendString([]string{"", "x", "a/b", "größe", strings.Repeat("l", 500)}[n%5])
	case column.Struct:
		for i := range v.Kids {
			fill(&v.Kids[i], n+i)
		}
		v.EndStruct()
	case column.List, column.Map:
		for e := range n % 4 {
			for k := range v.Kids {
				if k == 0 && v.Layout == column.Map {
					v.Kids[k].AppendString(fmt.Sprint(e))
				} else {
					fill(&v.Kids[k], n+e)
				}
			}
		}
		v.EndList()
	}
}

// value is a value as text, with what is inside.
func value(v *column.Vector, i int) string {
	if !v.IsValid(i) {
		return "null"
	}
	switch v.Layout {
	case column.Bool:
		return fmt.Sprint(v.Bits.Get(i))
	case column.Int32:
		return fmt.Sprint(v.I32[i])
	case column.Int64:
		return fmt.Sprint(v.I64[i])
	case column.Float32:
		return fmt.Sprint(v.F32[i])
	case column.Float64:
		return fmt.Sprint(v.F64[i])
	case column.Int128:
		return fmt.Sprint(v.Dec[i])
	case column.Bytes:
		return fmt.Sprintf("%q", v.BytesAt(i))
	case column.Struct:
		text := "{"
		for k := range v.Kids {
			text += value(&v.Kids[k], i) + " "
		}
		return text + "}"
	}
	text := "["
	from, to := v.Range(i)
	for e := from; e < to; e++ {
		for k := range v.Kids {
			text += value(&v.Kids[k], e) + " "
		}
	}
	return text + "]"
}

// Random rows of random tables: each is in one file, that of its values, in the order of its partition, with all that it has.
func TestSplit_Random(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		table := &schema.Struct{}
		var by []string
		for i := range rapid.IntRange(1, 4).Draw(t, "columns") {
			f := schema.Field{Name: fmt.Sprint("c", i), Type: rapid.SampledFrom(anyType).Draw(t, "type"), Nullable: true}
			table.Fields = append(table.Fields, f)
			if rapid.Bool().Draw(t, "key") {
				by = append(by, f.Name)
			}
		}
		table.Fields = append(table.Fields, schema.Field{Name: "s", Type: nested, Nullable: true})
		by = rapid.Permutation(by).Draw(t, "by")
		s, err := New(table, by)
		if err != nil {
			t.Fatal(err)
		}
		type row struct{ key, rest string }
		texts := func(c *column.Chunk, i int) (r row) {
			for j := range table.Fields {
				v := value(&c.Cols[j], i)
				if k := slices.Index(by, table.Fields[j].Name); k < 0 {
					r.rest += v + ";"
				}
			}
			for _, name := range by {
				j := table.Index(name)
				v := &c.Cols[j]
				text := "null"
				if v.IsValid(i) && (v.Layout != column.Bytes || len(v.BytesAt(i)) > 0) {
					text = string(appendText(nil, &table.Fields[j].Type, v, i))
				}
				r.key += text + ";"
			}
			return r
		}
		want := map[string][]string{}
		var chunks []*column.Chunk
		for range rapid.IntRange(0, 5).Draw(t, "chunks") {
			c, err := column.NewChunk(table)
			if err != nil {
				t.Fatal(err)
			}
			n := rapid.IntRange(0, 30).Draw(t, "rows")
			same := rapid.IntRange(0, 3).Draw(t, "same") == 0
			for range n {
				for j := range c.Cols {
					x := rapid.IntRange(0, 100).Draw(t, "x")
					if same && slices.Contains(by, table.Fields[j].Name) {
						x = j
					}
					fill(&c.Cols[j], x)
				}
				c.EndRow(make([]bool, len(c.Cols)))
			}
			for i := range c.Rows {
				r := texts(c, i)
				want[r.key] = append(want[r.key], r.rest)
			}
			chunks = append(chunks, c)
		}
		p := s.Split(chunks)
		if p.Partitions() != len(want) {
			t.Fatalf("%d partitions, want %d", p.Partitions(), len(want))
		}
		limit := rapid.SampledFrom([]int{1, 1000, 1 << 20}).Draw(t, "limit")
		got := map[string][]string{}
		for f, ok := p.Next(limit); ok; f, ok = p.Next(limit) {
			key := ""
			for _, name := range by {
				key += show(f.Values[name]) + ";"
			}
			for _, c := range f.Chunks {
				if err := c.Compatible(s.Files()); err != nil {
					t.Fatal(err)
				}
				for i := range c.Rows {
					rest := ""
					for j := range c.Cols {
						rest += value(&c.Cols[j], i) + ";"
					}
					got[key] = append(got[key], rest)
				}
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(want) { // maps print sorted
			t.Fatalf("got %v\nwant %v", got, want)
		}
	})
}

func BenchmarkSplit(b *testing.B) {
	table := &schema.Struct{Fields: []schema.Field{
		{Name: "d", Type: typ(schema.Date), Nullable: true},
		{Name: "region", Type: typ(schema.String), Nullable: true},
		{Name: "id", Type: typ(schema.Long), Nullable: true},
		{Name: "text", Type: typ(schema.String), Nullable: true},
	}}
	s := mustNew(b, table, "d", "region")
	regions := []string{"eu-west-1", "eu-north-1", "us-east-1", "us-west-2", "ap-south-1"}
	for _, bb := range []struct {
		name string
		of   func(i int) (day int32, region string)
	}{
		{"one", func(int) (int32, string) { return 20000, regions[0] }},
		{"runs of 100", func(i int) (int32, string) { return 20000, regions[i/100%5] }},
		{"5 mixed", func(i int) (int32, string) { return 20000, regions[i*7%5] }},
		{"1000 mixed", func(i int) (int32, string) { return 20000 + int32(i*31%200), regions[i*7%5] }},
	} {
		b.Run(bb.name, func(b *testing.B) {
			var chunks []*column.Chunk
			rows := 0
			for range 10 {
				c := chunk(b, table)
				for i := range 10_000 {
					day, region := bb.of(i)
					c.Cols[0].AppendInt32(day)
					c.Cols[1].AppendString(region)
					c.Cols[2].AppendInt64(int64(i))
					c.Cols[3].AppendString("some text of a record")
					c.EndRow(make([]bool, 4))
					rows++
				}
				chunks = append(chunks, c)
			}
			b.ReportAllocs()
			for b.Loop() {
				p := s.Split(chunks)
				for _, ok := p.Next(128 << 20); ok; _, ok = p.Next(128 << 20) {
				}
			}
			b.ReportMetric(float64(rows)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
		})
	}
}
