package parquetfile

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/zerobus-go/zerobus/schema"
	"github.com/zerobus-go/zerobus/server/internal/column"
)

func micros(t testing.TB, text string) int64 {
	t.Helper()
	x, err := time.Parse("2006-01-02T15:04:05.999999", text)
	if err != nil {
		t.Fatal(err)
	}
	return x.UnixMicro()
}

// Delta PROTOCOL.md, "Per-file Statistics"; the rules are those of stats.go.
func TestStats_Golden(t *testing.T) {
	a32 := strings.Repeat("a", 32)
	top := "\U0010ffff"
	nan, inf := math.NaN(), math.Inf(1)
	day := func(text string) int { return int(micros(t, text+"T00:00:00") / 86_400_000_000) }
	at := func(text string) int64 { return micros(t, text) }
	both := func(least, most string) string {
		return `"minValues":{"c":` + least + `},"maxValues":{"c":` + most + `}`
	}
	const neither = `"minValues":{},"maxValues":{}`
	for _, test := range []struct {
		name, typ string
		values    []any
		want      string
	}{
		{"integers", "bigint", []any{int64(math.MaxInt64), nil, int64(math.MinInt64)}, both("-9223372036854775808", "9223372036854775807")},
		{"small integers", "tinyint", []any{-128, 127, 0}, both("-128", "127")},
		{"a null is not a zero", "int", []any{nil, 5, nil, 7}, both("5", "7")},
		{"nulls only", "int", []any{nil, nil}, neither},
		{"booleans", "boolean", []any{true, false}, neither},
		{"binary", "binary", []any{[]byte("a")}, neither},

		{"doubles", "double", []any{1.5, -2.0, 1e300}, both("-2.0", "1e+300")},
		{"tiny double", "double", []any{5e-324}, both("5e-324", "5e-324")},
		{"double with all digits", "double", []any{0.1, 123456789.0}, both("0.1", "123456789.0")},
		{"float as the double of its value", "float", []any{0.1}, both("0.10000000149011612", "0.10000000149011612")},
		{"zeros", "double", []any{0.0}, both("-0.0", "0.0")},
		{"negative zero", "double", []any{math.Copysign(0, -1)}, both("-0.0", "0.0")},
		{"NaN has no maximum", "double", []any{1.0, nan, 2.0}, `"minValues":{"c":1.0},"maxValues":{}`},
		{"NaN first", "float", []any{nan, 1.5}, `"minValues":{"c":1.5},"maxValues":{}`},
		{"NaN only", "double", []any{nan, nan}, neither},
		{"infinity above", "double", []any{1.0, inf}, `"minValues":{"c":1.0},"maxValues":{}`},
		{"infinity below", "double", []any{1.0, -inf}, `"minValues":{},"maxValues":{"c":1.0}`},

		{"decimals", "decimal(10,2)", []any{-5, 0, 123456}, both("-0.05", "1234.56")},
		{"decimal without a fraction", "decimal(5,0)", []any{-42}, both("-42", "-42")},
		{"decimal of fraction alone", "decimal(3,3)", []any{7}, both("0.007", "0.007")},
		{
			"decimals of 38 digits", "decimal(38,10)",
			[]any{add(pow10(38), -1), add(pow10(38), -1).Neg()},
			both("-9999999999999999999999999999.9999999999", "9999999999999999999999999999.9999999999"),
		},

		{"dates", "date", []any{day("1969-12-31"), day("2024-02-29")}, both(`"1969-12-31"`, `"2024-02-29"`)},
		{"first and last date", "date", []any{day("0001-01-01"), day("9999-12-31")}, both(`"0001-01-01"`, `"9999-12-31"`)},
		{"date in year 0", "date", []any{day("0001-01-01") - 1, day("2024-02-29")}, neither},
		{"date in year 10000", "date", []any{day("9999-12-31") + 1, day("2024-02-29")}, neither},
		{
			"timestamps", "timestamp",
			[]any{at("2023-06-15T12:30:00.000001"), at("2023-06-15T12:30:00.999")},
			both(`"2023-06-15T12:30:00.000Z"`, `"2023-06-15T12:30:00.999Z"`),
		},
		{
			"maximum rounded up", "timestamp",
			[]any{at("2023-06-15T12:30:00.999001")},
			both(`"2023-06-15T12:30:00.999Z"`, `"2023-06-15T12:30:01.000Z"`),
		},
		{"before 1970", "timestamp_ntz", []any{int64(-1)}, both(`"1969-12-31T23:59:59.999"`, `"1970-01-01T00:00:00.000"`)},
		{"before 1970, whole", "timestamp_ntz", []any{int64(-1000)}, both(`"1969-12-31T23:59:59.999"`, `"1969-12-31T23:59:59.999"`)},
		{"first timestamp", "timestamp", []any{at("0001-01-01T00:00:00")}, both(`"0001-01-01T00:00:00.000Z"`, `"0001-01-01T00:00:00.000Z"`)},
		{"timestamp in year 0", "timestamp", []any{at("0001-01-01T00:00:00") - 1, int64(0)}, neither},
		{"rounded up into year 10000", "timestamp", []any{at("9999-12-31T23:59:59.999001"), int64(0)}, neither},
		{"extreme timestamps", "timestamp", []any{int64(math.MaxInt64), int64(0), int64(math.MinInt64)}, neither},
		{"least timestamp", "timestamp_ntz", []any{int64(math.MinInt64)}, neither},

		{"strings", "string", []any{"b", "", "ä"}, both(`""`, `"ä"`)},
		{"escapes", "string", []any{"\x00\"\\\n</>\u2028"}, both(`"\u0000\"\\\u000a</>`+"\u2028"+`"`, `"\u0000\"\\\u000a</>`+"\u2028"+`"`)},
		{"32 characters", "string", []any{a32}, both(`"`+a32+`"`, `"`+a32+`"`)},
		{"33 characters", "string", []any{a32 + "b"}, both(`"`+a32+`"`, `"`+a32+"\x7f"+`"`)},
		{"tie-breaker below 7F", "string", []any{a32 + "~"}, both(`"`+a32+`"`, `"`+a32+"\x7f"+`"`)},
		{"tie-breaker from 7F on", "string", []any{a32 + "\x7f"}, both(`"`+a32+`"`, `"`+a32+top+`"`)},
		{"tie-breaker of others", "string", []any{a32 + "ü"}, both(`"`+a32+`"`, `"`+a32+top+`"`)},
		{"characters, not bytes", "string", []any{strings.Repeat("ü", 32)}, both(`"`+strings.Repeat("ü", 32)+`"`, `"`+strings.Repeat("ü", 32)+`"`)},
		{"greatest characters are kept", "string", []any{a32 + top + top + "b"}, both(`"`+a32+`"`, `"`+a32+top+top+"\x7f"+`"`)},
		{"greatest characters to the end", "string", []any{a32 + top + top}, both(`"`+a32+`"`, `"`+a32+top+top+`"`)},
		{"64 characters of them", "string", []any{strings.Repeat(top, 64)}, both(`"`+strings.Repeat(top, 32)+`"`, `"`+strings.Repeat(top, 64)+`"`)},
		{"too many of them", "string", []any{strings.Repeat(top, 65)}, `"minValues":{"c":"` + strings.Repeat(top, 32) + `"},"maxValues":{}`},
		{"order of bytes, not of UTF-16", "string", []any{"\uffff", "\U00010000"}, both("\"\uffff\"", "\"\U00010000\"")},
		{"not UTF-8", "string", []any{"a\xff"}, neither},
		{"varchar", "varchar(5)", []any{"x"}, both(`"x"`, `"x"`)},
	} {
		t.Run(test.name, func(t *testing.T) {
			table := one(test.typ)
			nulls := 0
			for _, x := range test.values {
				if x == nil {
					nulls++
				}
			}
			want := fmt.Sprintf(`{"numRecords":%d,%s,"nullCount":{"c":%d}}`, len(test.values), test.want, nulls)
			// One chunk, and a chunk for every value: the parts are merged.
			var parts []*column.Chunk
			for _, x := range test.values {
				parts = append(parts, chunkOf(t, table, x))
			}
			for _, chunks := range [][]*column.Chunk{{chunkOf(t, table, test.values...)}, parts} {
				for _, groupRows := range []int{0, 1} {
					if _, r := write(t, table, Options{RowGroupRows: groupRows}, chunks...); r.Stats != want {
						t.Errorf("%d chunks, row groups of %d: stats are\n%s\nexpected\n%s", len(chunks), groupRows, r.Stats, want)
					}
				}
			}
		})
	}
}

func add(x int128, n int64) int128 { return int128Of(new(big.Int).Add(bigOf(x), big.NewInt(n))) }

func TestStats_OnlyTheFirstColumns(t *testing.T) {
	table := &schema.Struct{}
	for i := range 34 {
		typ := schema.Type{Kind: schema.Integer}
		if i%2 == 0 {
			typ.Kind = schema.Boolean // counts although it has no bounds
		}
		table.Fields = append(table.Fields, schema.Field{Name: strconv.Itoa(i), Type: typ, Nullable: true})
	}
	c := joined(t, table)
	for i := range c.Cols {
		if i%2 == 1 {
			c.Cols[i].AppendInt32(int32(i))
		}
	}
	c.EndRow(make([]bool, 34))
	for indexed, want := range map[int]int{0: 32, 1: 1, 40: 34, -1: 34} {
		_, r := write(t, table, Options{IndexedColumns: indexed}, c)
		var s statsJSON
		if err := json.Unmarshal([]byte(r.Stats), &s); err != nil {
			t.Fatal(err)
		}
		if len(s.NullCount) != want || len(s.MinValues) != want/2 || len(s.MaxValues) != want/2 {
			t.Errorf("%d indexed columns: %d null counts, %d minima, %d maxima, expected %d and %d", indexed, len(s.NullCount), len(s.MinValues), len(s.MaxValues), want, want/2)
		}
	}
}

func TestStats_ColumnNamesAreEscaped(t *testing.T) {
	table := one("int")
	table.Fields[0].Name = `a"b\é`
	_, r := write(t, table, Options{}, chunkOf(t, table, 1))
	if want := `{"numRecords":1,"minValues":{"a\"b\\é":1},"maxValues":{"a\"b\\é":1},"nullCount":{"a\"b\\é":0}}`; r.Stats != want {
		t.Errorf("stats are %s, expected %s", r.Stats, want)
	}
}

type statsJSON struct {
	NumRecords int                        `json:"numRecords"`
	MinValues  map[string]json.RawMessage `json:"minValues"`
	MaxValues  map[string]json.RawMessage `json:"maxValues"`
	NullCount  map[string]int             `json:"nullCount"`
}

// What the statistics say is checked against the rows that the file gives back.
func TestStats_DT03_AreTrueOfTheFile(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		table := drawTable(rt)
		chunks := drawChunks(rt, table)
		var b bytes.Buffer
		r, err := Write(&b, table, chunks, Options{RowGroupRows: rapid.SampledFrom([]int{0, 20}).Draw(rt, "row group")})
		if err != nil {
			rt.Fatal(err)
		}
		var s statsJSON
		if err := json.Unmarshal([]byte(r.Stats), &s); err != nil {
			rt.Fatalf("%v in %s", err, r.Stats)
		}
		rows := 0
		columns := make([][]any, len(table.Fields))
		nulls := make([]int, len(table.Fields))
		if err := Read(bytes.NewReader(b.Bytes()), int64(b.Len()), table, -1, func(values []any) error {
			rows++
			for i, x := range values {
				if x == nil {
					nulls[i]++
				} else {
					columns[i] = append(columns[i], x)
				}
			}
			return nil
		}); err != nil {
			rt.Fatal(err)
		}
		if s.NumRecords != rows {
			rt.Fatalf("numRecords is %d, the file has %d rows", s.NumRecords, rows)
		}
		for i, f := range table.Fields {
			if n, ok := s.NullCount[f.Name]; !ok || n != nulls[i] {
				rt.Fatalf("column %d: nullCount is %d, the file has %d", i, n, nulls[i])
			}
			checkBounds(rt, &f.Type, columns[i], s.MinValues[f.Name], s.MaxValues[f.Name])
		}
	})
}

// checkBounds fails if a bound is missing that must be there, is there and must not be, is not true or not exact.
func checkBounds(t *rapid.T, typ *schema.Type, values []any, least, most json.RawMessage) {
	fail := func(why string) {
		t.Fatalf("%s: min %s, max %s: %s; values %#v", typ, least, most, why, values)
	}
	expect := func(hasMin, hasMax bool) bool {
		if (least != nil) != hasMin || (most != nil) != hasMax {
			fail(fmt.Sprintf("expected a minimum: %t, a maximum: %t", hasMin, hasMax))
		}
		return hasMin || hasMax
	}
	switch typ.Kind {
	case schema.Boolean, schema.Binary:
		expect(false, false)
	case schema.Byte, schema.Short, schema.Integer, schema.Long, schema.Decimal:
		if !expect(len(values) > 0, len(values) > 0) {
			return
		}
		lo, hi := rat(values[0]), rat(values[0])
		for _, x := range values {
			if r := rat(x); r.Cmp(lo) < 0 {
				lo = r
			} else if r.Cmp(hi) > 0 {
				hi = r
			}
		}
		if rat(string(least)).Cmp(lo) != 0 || rat(string(most)).Cmp(hi) != 0 {
			fail("not exact")
		}
	case schema.Float, schema.Double:
		lo, hi, nan := math.Inf(1), math.Inf(-1), false
		for _, x := range values {
			v, ok := x.(float64)
			if !ok {
				v = float64(x.(float32))
			}
			nan = nan || v != v
			if v < lo {
				lo = v
			}
			if v > hi {
				hi = v
			}
		}
		expect(lo <= hi && !math.IsInf(lo, 0), lo <= hi && !math.IsInf(hi, 0) && !nan)
		if v, err := strconv.ParseFloat(string(least), 64); least != nil && (err != nil || v != lo) {
			fail("minimum not exact")
		}
		if v, err := strconv.ParseFloat(string(most), 64); most != nil && (err != nil || v != hi) {
			fail("maximum not exact")
		}
	case schema.String:
		if len(values) == 0 {
			expect(false, false)
			return
		}
		lo, hi := values[0].(string), values[0].(string)
		for _, x := range values {
			lo, hi = min(lo, x.(string)), max(hi, x.(string))
		}
		var text string
		if json.Unmarshal(least, &text) != nil || text > lo || !strings.HasPrefix(lo, text) || utf8.RuneCountInString(text) != min(32, utf8.RuneCountInString(lo)) {
			fail("minimum is not the first 32 characters")
		}
		if most == nil {
			if n := utf8.RuneCountInString(hi); n <= 64 || !strings.Contains(hi, strings.Repeat("\U0010ffff", 32)) {
				fail("a maximum is missing")
			}
			return
		}
		if json.Unmarshal(most, &text) != nil || text < hi || utf8.RuneCountInString(text) > 65 {
			fail("maximum is no upper bound")
		}
		if utf8.RuneCountInString(hi) <= 32 && text != hi {
			fail("maximum is not exact")
		}
	default:
		unit, layout, slack := time.Millisecond, "2006-01-02T15:04:05.000Z07:00", time.Millisecond
		switch typ.Kind {
		case schema.TimestampNTZ:
			layout = "2006-01-02T15:04:05.000"
		case schema.Date:
			unit, layout, slack = 24*time.Hour, "2006-01-02", 0
		}
		var lo, hi time.Time
		for i, x := range values {
			v := x.(time.Time)
			if i == 0 || v.Before(lo) {
				lo = v
			}
			if i == 0 || v.After(hi) {
				hi = v
			}
		}
		up := hi.Add(-time.Nanosecond).Truncate(unit).Add(unit)
		if !expect(len(values) > 0 && lo.Year() >= 1 && up.Year() <= 9999, len(values) > 0 && lo.Year() >= 1 && up.Year() <= 9999) {
			return
		}
		a, err1 := time.Parse(`"`+layout+`"`, string(least))
		b, err2 := time.Parse(`"`+layout+`"`, string(most))
		if err1 != nil || err2 != nil || a.After(lo) || b.Before(hi) || lo.Sub(a) > slack || b.Sub(hi) > slack {
			fail(fmt.Sprint("not near ", lo, " and ", hi, ": ", err1, err2))
		}
	}
}

func rat(x any) *big.Rat {
	r, ok := new(big.Rat).SetString(fmt.Sprint(x))
	if !ok {
		panic(fmt.Sprintf("%v is no number", x))
	}
	return r
}

func TestTruncateMax_IsAboveAllThatBeginsAlike(t *testing.T) {
	char := rapid.OneOf(rapid.SampledFrom([]rune{'a', '~', 0x7e, 0x7f, 0x80, 0xd7ff, 0xe000, 0xffff, 0x10fffe, 0x10ffff}), rapid.Rune())
	text := rapid.OneOf(rapid.StringOfN(char, 0, 70, -1), rapid.StringOfN(rapid.Just(utf8.MaxRune), 0, 70, -1))
	rapid.Check(t, func(t *rapid.T) {
		s := text.Draw(t, "s")
		got, ok := truncateMax([]byte(s))
		if !ok {
			return
		}
		if string(got) < s || !utf8.Valid(got) || utf8.RuneCount(got) > maxStringPrefix+1 {
			t.Fatalf("%q became %q", s, got)
		}
		if n := utf8.RuneCountInString(s); n <= stringPrefix && string(got) != s {
			t.Fatalf("%q of %d characters became %q", s, n, got)
		}
	})
}

// The bounds of texts that repeat are those of their dictionary, which knows of no nulls.
func TestStats_TextsWithDictionary(t *testing.T) {
	table := one("string")
	file, r := write(t, table, Options{}, chunkOf(t, table, "b", nil, "a", nil, "c", nil, "c", nil, nil, "b"), chunkOf(t, table, nil, "a"))
	const want = `{"numRecords":12,"minValues":{"c":"a"},"maxValues":{"c":"c"},"nullCount":{"c":6}}`
	if r.Stats != want {
		t.Errorf("statistics are %s, expected %s", r.Stats, want)
	}
	m := openFile(t, file).Metadata().RowGroups[0].Columns[0].MetaData
	if s := m.Statistics; m.DictionaryPageOffset == 0 || string(s.MinValue) != "a" || string(s.MaxValue) != "c" || s.NullCount != 6 {
		t.Errorf("dictionary at %d, bounds %q and %q, %d nulls", m.DictionaryPageOffset, s.MinValue, s.MaxValue, s.NullCount)
	}
}
