package partition

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/zerobus-go/zerobus/schema"
	"github.com/zerobus-go/zerobus/server/internal/column"
)

func typ(k schema.Kind) schema.Type { return schema.Type{Kind: k} }

// number is a table with a partition column p of a type, nullable, and a column id.
func number(t schema.Type) *schema.Struct {
	return &schema.Struct{Fields: []schema.Field{
		{Name: "p", Type: t, Nullable: true},
		{Name: "id", Type: typ(schema.Long), Nullable: true},
	}}
}

func mustNew(t testing.TB, table *schema.Struct, columns ...string) *Scheme {
	t.Helper()
	s, err := New(table, columns)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func chunk(t testing.TB, table *schema.Struct) *column.Chunk {
	t.Helper()
	c, err := column.NewChunk(table)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func day(year int, month time.Month, day int) int32 {
	return int32(time.Date(year, month, day, 0, 0, 0, 0, time.UTC).Unix() / 86400)
}

func micros(t time.Time) int64 { return t.UnixMicro() }

// PROTOCOL.md, "Partition Value Serialization", and Java's Double.toString. read is what the text is read back as; nil: NULL.
func TestValues(t *testing.T) {
	negative := column.Decimal128{Lo: ^uint64(0), Hi: -1} // -1
	long := strings.Repeat("a", 300)
	at := time.Date(2023, 6, 15, 12, 30, 0, 123456000, time.UTC)
	for _, c := range []struct {
		typ  schema.Type
		add  func(*column.Vector)
		text string // "" for null
		dir  string
		read any
	}{
		{typ(schema.Boolean), func(v *column.Vector) { v.AppendBool(true) }, "true", "p=true/", true},
		{typ(schema.Boolean), func(v *column.Vector) { v.AppendBool(false) }, "false", "p=false/", false},
		{typ(schema.Byte), func(v *column.Vector) { v.AppendInt32(-128) }, "-128", "p=-128/", int32(-128)},
		{typ(schema.Short), func(v *column.Vector) { v.AppendInt32(32767) }, "32767", "p=32767/", int32(32767)},
		{typ(schema.Integer), func(v *column.Vector) { v.AppendInt32(math.MinInt32) }, "-2147483648", "p=-2147483648/", int32(math.MinInt32)},
		{typ(schema.Long), func(v *column.Vector) { v.AppendInt64(math.MinInt64) }, "-9223372036854775808", "p=-9223372036854775808/", int64(math.MinInt64)},
		{typ(schema.Long), func(v *column.Vector) { v.AppendInt64(0) }, "0", "p=0/", int64(0)},

		{typ(schema.Double), func(v *column.Vector) { v.AppendFloat64(0) }, "0.0", "p=0.0/", 0.0},
		{typ(schema.Double), func(v *column.Vector) { v.AppendFloat64(math.Copysign(0, -1)) }, "-0.0", "p=-0.0/", math.Copysign(0, -1)},
		{typ(schema.Double), func(v *column.Vector) { v.AppendFloat64(1) }, "1.0", "p=1.0/", 1.0},
		{typ(schema.Double), func(v *column.Vector) { v.AppendFloat64(-1.25) }, "-1.25", "p=-1.25/", -1.25},
		{typ(schema.Double), func(v *column.Vector) { v.AppendFloat64(0.001) }, "0.001", "p=0.001/", 0.001},
		{typ(schema.Double), func(v *column.Vector) { v.AppendFloat64(0.00099) }, "9.9E-4", "p=9.9E-4/", 0.00099},
		{typ(schema.Double), func(v *column.Vector) { v.AppendFloat64(9999999) }, "9999999.0", "p=9999999.0/", 9999999.0},
		{typ(schema.Double), func(v *column.Vector) { v.AppendFloat64(1e7) }, "1.0E7", "p=1.0E7/", 1e7},
		{typ(schema.Double), func(v *column.Vector) { v.AppendFloat64(-1e23) }, "-1.0E23", "p=-1.0E23/", -1e23},
		{typ(schema.Double), func(v *column.Vector) { v.AppendFloat64(math.MaxFloat64) }, "1.7976931348623157E308", "p=1.7976931348623157E308/", math.MaxFloat64},
		{typ(schema.Double), func(v *column.Vector) { v.AppendFloat64(math.SmallestNonzeroFloat64) }, "5.0E-324", "p=5.0E-324/", math.SmallestNonzeroFloat64},
		{typ(schema.Double), func(v *column.Vector) { v.AppendFloat64(math.NaN()) }, "NaN", "p=NaN/", math.NaN()},
		{typ(schema.Double), func(v *column.Vector) { v.AppendFloat64(math.Inf(1)) }, "Infinity", "p=Infinity/", math.Inf(1)},
		{typ(schema.Double), func(v *column.Vector) { v.AppendFloat64(math.Inf(-1)) }, "-Infinity", "p=-Infinity/", math.Inf(-1)},
		{typ(schema.Float), func(v *column.Vector) { v.AppendFloat32(0.1) }, "0.1", "p=0.1/", float32(0.1)},
		{typ(schema.Float), func(v *column.Vector) { v.AppendFloat32(math.MaxFloat32) }, "3.4028235E38", "p=3.4028235E38/", float32(math.MaxFloat32)},
		{typ(schema.Float), func(v *column.Vector) { v.AppendFloat32(float32(math.NaN())) }, "NaN", "p=NaN/", float32(math.NaN())},

		{schema.Type{Kind: schema.Decimal, Precision: 38, Scale: 18}, func(v *column.Vector) { v.AppendDecimal(negative) }, "-0.000000000000000001", "p=-0.000000000000000001/", "-0.000000000000000001"},
		{schema.Type{Kind: schema.Decimal, Precision: 10, Scale: 2}, func(v *column.Vector) { v.AppendDecimal(column.Decimal128{Lo: 150}) }, "1.50", "p=1.50/", "1.50"},
		{schema.Type{Kind: schema.Decimal, Precision: 10}, func(v *column.Vector) { v.AppendDecimal(column.Decimal128{}) }, "0", "p=0/", "0"},

		{typ(schema.Date), func(v *column.Vector) { v.AppendInt32(0) }, "1970-01-01", "p=1970-01-01/", time.Unix(0, 0).UTC()},
		{typ(schema.Date), func(v *column.Vector) { v.AppendInt32(day(1, 1, 1)) }, "0001-01-01", "p=0001-01-01/", time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC)},
		{typ(schema.Date), func(v *column.Vector) { v.AppendInt32(day(9999, 12, 31)) }, "9999-12-31", "p=9999-12-31/", time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)},
		{typ(schema.Date), func(v *column.Vector) { v.AppendInt32(day(12024, 2, 29)) }, "+12024-02-29", "", time.Date(12024, 2, 29, 0, 0, 0, 0, time.UTC)},
		{typ(schema.Date), func(v *column.Vector) { v.AppendInt32(day(-4, 2, 29)) }, "-0004-02-29", "p=-0004-02-29/", time.Date(-4, 2, 29, 0, 0, 0, 0, time.UTC)},

		{typ(schema.Timestamp), func(v *column.Vector) { v.AppendInt64(0) }, "1970-01-01T00:00:00.000000Z", "", time.Unix(0, 0).UTC()},
		{typ(schema.Timestamp), func(v *column.Vector) { v.AppendInt64(-1) }, "1969-12-31T23:59:59.999999Z", "", time.UnixMicro(-1).UTC()},
		{typ(schema.Timestamp), func(v *column.Vector) { v.AppendInt64(micros(at)) }, "2023-06-15T12:30:00.123456Z", "", at},
		{typ(schema.TimestampNTZ), func(v *column.Vector) { v.AppendInt64(micros(at)) }, "2023-06-15 12:30:00.123456", "", at},
		{typ(schema.TimestampNTZ), func(v *column.Vector) { v.AppendInt64(micros(at.Truncate(time.Second))) }, "2023-06-15 12:30:00", "", at.Truncate(time.Second)},

		{typ(schema.String), func(v *column.Vector) { v.AppendString("") }, "", "", nil},
		{typ(schema.String), func(v *column.Vector) { v.AppendNull() }, "", "", nil},
		{typ(schema.Long), func(v *column.Vector) { v.AppendNull() }, "", "", nil},
		{typ(schema.String), func(v *column.Vector) { v.AppendString("a-Z_0.9") }, "a-Z_0.9", "p=a-Z_0.9/", "a-Z_0.9"},
		{typ(schema.String), func(v *column.Vector) { v.AppendString("a/b") }, "a/b", "", "a/b"},
		{typ(schema.String), func(v *column.Vector) { v.AppendString("100%") }, "100%", "", "100%"},
		{typ(schema.String), func(v *column.Vector) { v.AppendString("%2F") }, "%2F", "", "%2F"},
		{typ(schema.String), func(v *column.Vector) { v.AppendString(" ") }, " ", "", " "},
		{typ(schema.String), func(v *column.Vector) { v.AppendString("a b") }, "a b", "", "a b"},
		{typ(schema.String), func(v *column.Vector) { v.AppendString("größe €🎈") }, "größe €🎈", "", "größe €🎈"},
		{typ(schema.String), func(v *column.Vector) { v.AppendString(`"'\`) }, `"'\`, "", `"'\`},
		{typ(schema.String), func(v *column.Vector) { v.AppendString("a\nb\x00") }, "a\nb\x00", "", "a\nb\x00"},
		{typ(schema.String), func(v *column.Vector) { v.AppendString(".") }, ".", "", "."},
		{typ(schema.String), func(v *column.Vector) { v.AppendString("..") }, "..", "", ".."},
		{typ(schema.String), func(v *column.Vector) { v.AppendString("a.") }, "a.", "", "a."},
		{typ(schema.String), func(v *column.Vector) { v.AppendString("null") }, "null", "p=null/", "null"},
		{typ(schema.String), func(v *column.Vector) { v.AppendString("__HIVE_DEFAULT_PARTITION__") }, "__HIVE_DEFAULT_PARTITION__", "", "__HIVE_DEFAULT_PARTITION__"},
		{typ(schema.String), func(v *column.Vector) { v.AppendString(long) }, long, "", long},
		{typ(schema.String), func(v *column.Vector) { v.AppendString(long[:maxDirName-1]) }, long[:maxDirName-1], "p=" + long[:maxDirName-1] + "/", long[:maxDirName-1]},
	} {
		table := number(c.typ)
		s := mustNew(t, table, "p")
		ch := chunk(t, table)
		c.add(&ch.Cols[0])
		ch.EndRow(make([]bool, 2))
		f, ok := s.Split([]*column.Chunk{ch}).Next(1 << 20)
		if !ok {
			t.Fatal("no file")
		}
		text, has := f.Values["p"]
		switch {
		case !has || len(f.Values) != 1:
			t.Errorf("%s: values %v", c.typ, f.Values)
			continue
		case text == nil != (c.text == ""), text != nil && *text != c.text:
			t.Errorf("%s: got %v, want %q", c.typ, show(text), c.text)
		}
		if f.Dir != c.dir {
			t.Errorf("%s %q: directory %q, want %q", c.typ, c.text, f.Dir, c.dir)
		}
		read, err := s.Parse(f.Values)
		if err != nil || !sameAny(read[0], c.read) {
			t.Errorf("%s %q: read %v, %v, want %v", c.typ, c.text, read, err, c.read)
		}
	}
}

func show(p *string) string {
	if p == nil {
		return "null"
	}
	return *p
}

// sameAny is equality that knows NaN and the sign of zero.
func sameAny(a, b any) bool {
	switch x := a.(type) {
	case float64:
		y, ok := b.(float64)
		return ok && (math.Float64bits(x) == math.Float64bits(y) || x != x && y != y)
	case float32:
		y, ok := b.(float32)
		return ok && (math.Float32bits(x) == math.Float32bits(y) || x != x && y != y)
	case time.Time:
		y, ok := b.(time.Time)
		return ok && x.Equal(y)
	}
	return a == b
}

// Values of other writers: delta-rs, Spark with a zone, Spark of old, pandas.
func TestParse_WhatOthersWrite(t *testing.T) {
	utc := time.Date(2023, 6, 15, 12, 30, 0, 0, time.UTC)
	for _, c := range []struct {
		typ  schema.Type
		text string
		want any // nil: an error
	}{
		{typ(schema.Timestamp), "2023-06-15 12:30:00", utc},
		{typ(schema.Timestamp), "2023-06-15 12:30:00.000000", utc},
		{typ(schema.Timestamp), "2023-06-15 12:30:00.5", utc.Add(time.Second / 2)},
		{typ(schema.Timestamp), "2023-06-15T14:30:00+02:00", utc},
		{typ(schema.Timestamp), "2023-06-15T12:30:00Z", utc},
		{typ(schema.Timestamp), "2023-06-15", utc.Truncate(24 * time.Hour)},
		{typ(schema.Timestamp), "yesterday", nil},
		{typ(schema.Timestamp), "-", nil},
		{typ(schema.TimestampNTZ), "2023-06-15T12:30:00", utc},
		{typ(schema.TimestampNTZ), "2023-06-15T12:30:00+02:00", nil},
		{typ(schema.Date), "2023-06-15", utc.Truncate(24 * time.Hour)},
		{typ(schema.Date), "2023-02-29", nil},
		{typ(schema.Date), "2023-06-15 12:30:00", nil},
		{typ(schema.Double), "1e10", 1e10},
		{typ(schema.Double), "inf", math.Inf(1)},
		{typ(schema.Double), "-inf", math.Inf(-1)},
		{typ(schema.Double), "nan", math.NaN()},
		{typ(schema.Double), "0x10", nil},
		{typ(schema.Boolean), "True", true},
		{typ(schema.Boolean), "1", nil},
		{typ(schema.Byte), "128", nil},
		{typ(schema.Long), "1.0", nil},
		{schema.Type{Kind: schema.Decimal, Precision: 5, Scale: 2}, "1", "1.00"},
		{schema.Type{Kind: schema.Decimal, Precision: 5, Scale: 2}, "1.23E1", "12.30"},
		{schema.Type{Kind: schema.Decimal, Precision: 5, Scale: 2}, "1.234", nil},
		{schema.Type{Kind: schema.Decimal, Precision: 5, Scale: 2}, "-1.-23", nil},
	} {
		s := mustNew(t, number(c.typ), "p")
		got, err := s.Parse(map[string]*string{"p": &c.text})
		switch {
		case c.want == nil:
			if err == nil || !strings.Contains(err.Error(), "partition column p: ") {
				t.Errorf("%s %q: got %v, %v, want an error", c.typ, c.text, got, err)
			}
		case err != nil || !sameAny(got[0], c.want):
			t.Errorf("%s %q: got %v, %v, want %v", c.typ, c.text, got, err, c.want)
		}
	}
	s := mustNew(t, number(typ(schema.Long)), "p")
	if got, err := s.Parse(nil); err == nil {
		t.Errorf("without a value: got %v", got)
	}
}

func TestDir_OfSeveralColumns(t *testing.T) {
	str := typ(schema.String)
	for _, c := range []struct{ columns, values, dir string }{
		{"a,b", "x,y", "a=x/b=y/"},
		{"b,a", "x,y", "b=x/a=y/"},
		{"a,b", "x,y z", ""},
		{"_a", "x", ""},
		{".a", "x", ""},
		{"größe", "x", ""},
		{"a/b", "x", ""},
		{"a-b", "x", "a-b=x/"},
	} {
		names, values := strings.Split(c.columns, ","), strings.Split(c.values, ",")
		table := &schema.Struct{Fields: []schema.Field{{Name: "id", Type: typ(schema.Long), Nullable: true}}}
		for _, n := range names {
			table.Fields = append(table.Fields, schema.Field{Name: n, Type: str, Nullable: true})
		}
		s := mustNew(t, table, names...)
		ch := chunk(t, table)
		for i, v := range values {
			ch.Cols[1+i].AppendString(v)
		}
		ch.EndRow(make([]bool, len(table.Fields)))
		f, _ := s.Split([]*column.Chunk{ch}).Next(1)
		if f.Dir != c.dir {
			t.Errorf("%s %s: directory %q, want %q", c.columns, c.values, f.Dir, c.dir)
		}
	}
	// Many columns make a long path.
	table := &schema.Struct{Fields: []schema.Field{{Name: "id", Type: typ(schema.Long), Nullable: true}}}
	var names []string
	for i := range 6 {
		names = append(names, strings.Repeat(string(rune('a'+i)), 10))
		table.Fields = append(table.Fields, schema.Field{Name: names[i], Type: str, Nullable: true})
	}
	s, ch := mustNew(t, table, names...), chunk(t, table)
	for i := range names {
		ch.Cols[1+i].AppendString(strings.Repeat("v", 100))
	}
	ch.EndRow(make([]bool, len(table.Fields)))
	if f, _ := s.Split([]*column.Chunk{ch}).Next(1); f.Dir != "" {
		t.Errorf("a directory of %d bytes", len(f.Dir))
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"", "-", "2023-06-15T12:30:00.123456Z", "+12024-02-29", "NaN", "-1.50", "1E400", "true"} {
		f.Add(s)
	}
	kinds := []schema.Type{
		typ(schema.Boolean), typ(schema.Long), typ(schema.Float), typ(schema.Double),
		{Kind: schema.Decimal, Precision: 20, Scale: 3},
		typ(schema.String), typ(schema.Date), typ(schema.Timestamp), typ(schema.TimestampNTZ),
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, k := range kinds {
			s := mustNew(t, number(k), "p")
			v, err := s.Parse(map[string]*string{"p": &text})
			if err == nil && (v[0] == nil) != (text == "") {
				t.Errorf("%s %q: %v", k, text, v)
			}
		}
	})
}
