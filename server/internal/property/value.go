package main

import (
	"encoding/base64"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"

	"github.com/zerobus-go/zerobus/schema"
)

// A value of a column, as it is sent and expected: nil, bool, int64 (integers, dates and times), float32, float64, *big.Int (the
// unscaled number of a DECIMAL), string, []byte, jsonText (a VARIANT), list, entries or members.
type (
	jsonText string
	list     []any
	entries  []entry // of a MAP, in the order in which they are sent
	entry    struct{ key, value any }
	members  []any // of a STRUCT, in the order of its type
)

// values draws values for one form of records.
type values struct {
	dice
	proto  bool // for protobuf: without NULL in arrays and maps, empty ones being NULL where that may be; with NaN and infinities
	finite bool // without NaN and infinities nevertheless
}

// row draws a value for each column. Columns that the table is partitioned by have few values, which few holds.
func (v values) row(t *schema.CreateTable, said *schema.Struct, few map[string]list) members {
	row := make(members, len(t.Columns.Fields))
	for i := range t.Columns.Fields {
		f := &t.Columns.Fields[i]
		switch {
		case v.proto && said.Index(f.Name) < 0: // NULL
		case few[f.Name] != nil:
			row[i] = one(v.dice, few[f.Name]...)
			if kind := f.Type.Kind; (kind == schema.Float || kind == schema.Double) && v.proto && v.in(3) {
				row[i] = v.scalarValue(&f.Type)
			}
		default:
			row[i] = v.value(&f.Type, f.Nullable)
		}
	}
	return row
}

// few draws the values of the columns that the table is partitioned by, as any record can say them.
func (d dice) few(t *schema.CreateTable) map[string]list {
	few := map[string]list{}
	for _, name := range t.PartitionBy {
		f := &t.Columns.Fields[t.Columns.Index(name)]
		for range d.between(1, 3) {
			few[name] = append(few[name], values{dice: d}.partitionValue(f))
		}
	}
	return few
}

// partitionValue draws a value that a partition may have: of the years 1 to 9999, and no empty text. That is NULL: sent, it is
// expected back as NULL, see [expectedRow].
func (v values) partitionValue(f *schema.Field) any {
	for {
		x := v.value(&f.Type, f.Nullable)
		switch f.Type.Kind {
		case schema.String:
			if x == "" && !f.Nullable {
				continue
			}
		case schema.Date:
			if n, ok := x.(int64); ok && (n < firstDay || n > lastDay) {
				continue
			}
		case schema.Timestamp, schema.TimestampNTZ:
			if n, ok := x.(int64); ok && (n < firstDay*microsOfDay || n >= (lastDay+1)*microsOfDay) {
				continue
			}
		}
		return x
	}
}

// The days 0001-01-01 and 9999-12-31.
const (
	firstDay    = -719162
	lastDay     = 2932896
	microsOfDay = 86_400_000_000
)

func (v values) value(t *schema.Type, nullable bool) any {
	if nullable && v.in(6) {
		return nil
	}
	switch t.Kind {
	case schema.StructKind:
		x := make(members, len(t.Fields))
		for i := range t.Fields {
			x[i] = v.value(&t.Fields[i].Type, t.Fields[i].Nullable)
		}
		return x
	case schema.Array:
		x := list{}
		for range v.size() {
			x = append(x, v.value(t.Elem, t.ElemNullable && !v.proto))
		}
		if v.proto && nullable && len(x) == 0 {
			return nil
		}
		return x
	case schema.Map:
		x, seen := entries{}, map[string]bool{}
		for range v.size() {
			key := v.key(t.Key)
			if text := fmt.Sprint(key); !seen[text] {
				seen[text] = true
				x = append(x, entry{key, v.value(t.Elem, t.ElemNullable && !v.proto)})
			}
		}
		if v.proto && nullable && len(x) == 0 {
			return nil
		}
		return x
	case schema.Variant:
		return jsonText(v.json(3))
	}
	return v.scalarValue(t)
}

// size is the length of an array or a map.
func (v values) size() int { return one(v.dice, 0, 0, 1, 1, 2, 3) }

// key draws a key of a map: JSON says no -0.0 and no NaN there, and protobuf no float at all.
func (v values) key(t *schema.Type) any {
	switch x := (values{dice: v.dice}).scalarValue(t).(type) {
	case float32:
		return x + 0 // of -0.0, 0.0
	case float64:
		return x + 0
	default:
		return x
	}
}

// ranges are those of the integers of a kind.
func ranges(k schema.Kind) (lo, hi int64) {
	switch k {
	case schema.Byte:
		return math.MinInt8, math.MaxInt8
	case schema.Short:
		return math.MinInt16, math.MaxInt16
	case schema.Integer, schema.Date:
		return math.MinInt32, math.MaxInt32
	}
	return math.MinInt64, math.MaxInt64
}

func (v values) scalarValue(t *schema.Type) any {
	switch t.Kind {
	case schema.Boolean:
		return v.in(2)
	case schema.Byte, schema.Short, schema.Integer, schema.Long:
		lo, hi := ranges(t.Kind)
		return one(v.dice, lo, hi, 0, -1, 1, lo/2+v.Int64N(hi), int64(int8(v.Uint32())), (1<<53+1)&hi)
	case schema.Date:
		return one(v.dice, 0, -1, firstDay, lastDay, -141428, math.MinInt32, math.MaxInt32, v.Int64N(40_000)-20_000, v.Int64N(40_000)-20_000)
	case schema.Timestamp, schema.TimestampNTZ:
		day := v.Int64N(40_000) - 20_000
		return one(v.dice, 0, -1, firstDay*microsOfDay, (lastDay+1)*microsOfDay-1, -12219292800000001, math.MinInt64, math.MaxInt64,
			day*microsOfDay+v.Int64N(microsOfDay), day*microsOfDay+v.Int64N(microsOfDay), day*microsOfDay)
	case schema.Float:
		return v.float32()
	case schema.Double:
		return v.float64()
	case schema.Decimal:
		return v.decimal(t.Precision)
	case schema.Binary:
		b := make([]byte, v.length())
		for i := range b {
			b[i] = byte(v.Uint32())
		}
		return b
	}
	return v.text(t.Length)
}

func (v values) float32() float32 {
	if v.proto && !v.finite && v.in(5) {
		return one(v.dice, float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1)))
	}
	f := one(v.dice, 0, float32(math.Copysign(0, -1)), 1.5, -0.1, math.MaxFloat32, -math.MaxFloat32, math.SmallestNonzeroFloat32,
		math.Float32frombits(v.Uint32()), math.Float32frombits(v.Uint32()), float32(v.between(-9999, 9999))/8)
	if f != f || math.IsInf(float64(f), 0) {
		return 1 << 24
	}
	return f
}

func (v values) float64() float64 {
	if v.proto && !v.finite && v.in(5) {
		return one(v.dice, math.NaN(), math.Inf(1), math.Inf(-1))
	}
	f := one(v.dice, 0, math.Copysign(0, -1), 1.5, -0.1, math.MaxFloat64, -math.MaxFloat64, math.SmallestNonzeroFloat64,
		math.Float64frombits(v.Uint64()), math.Float64frombits(v.Uint64()), float64(v.between(-9999, 9999))/8)
	if f != f || math.IsInf(f, 0) {
		return 1 << 53
	}
	return f
}

// decimal draws the unscaled number of so many digits at most.
func (v values) decimal(precision int) *big.Int {
	n := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(precision)), nil)
	switch v.IntN(6) {
	case 0:
		n.Sub(n, big.NewInt(1))
	case 1:
		n.SetInt64(int64(v.IntN(2)))
	default:
		digits := make([]byte, v.between(1, precision))
		for i := range digits {
			digits[i] = '0' + byte(v.IntN(10))
		}
		n.SetString(string(digits), 10)
	}
	if v.in(2) {
		n.Neg(n)
	}
	return n
}

// length of a text or of bytes: mostly short, sometimes 0, now and then long.
func (v values) length() int {
	if v.in(60) {
		return v.between(1000, 20_000)
	}
	return one(v.dice, 0, 1, 2, 5, v.between(0, 40), v.between(30, 70))
}

// characters are what texts are made of: quotes and escapes, controls, the ends of UTF-8's lengths and of UTF-16's surrogates,
// combining marks, writing from right to left, what is wide, and the last of all.
var characters = []rune{
	'a', 'b', 'z', 'A', '0', ' ', '\'', '"', '\\', '/', '`', '%', '{', ',', '=', ':', ';', '|', '<', '&', '\n', '\t', '\r', 0, 1, 0x7f, 0x80, 'ü', 0x7ff, 0x800,
	'€', '世', 'א', 0x301, 0x200d, 0x2028, 0xd7ff, 0xe000, 0xfeff, 0xfffd, 0xffff, 0x10000, '🎈', '👩', 0x10ffff,
}

// text draws one of at most so many characters; 0 is any number.
func (v values) text(longest int) string {
	n := v.length()
	if longest > 0 {
		n = one(v.dice, min(n, longest), longest)
	}
	if v.in(4) {
		return strings.Repeat(string(one(v.dice, characters...)), n)
	}
	runes := make([]rune, n)
	for i := range runes {
		runes[i] = one(v.dice, characters...)
		if v.in(2) {
			runes[i] = rune('a' + v.IntN(26))
		}
	}
	return string(runes)
}

// json draws a text for a VARIANT, of at most so many levels.
func (v values) json(levels int) string {
	kind := v.IntN(8)
	if levels == 0 {
		kind = v.IntN(6)
	}
	space := one(v.dice, "", "", " ", "\n\t")
	switch kind {
	case 0:
		return one(v.dice, "null", "true", "false")
	case 1:
		return quoted(v.dice, v.text(one(v.dice, 0, 3, 70)))
	case 2: // integers of all widths, and decimals beyond
		return one(v.dice, strconv.FormatInt(int64(v.Uint64())>>v.IntN(64), 10), "0", v.decimal(38).String())
	case 3: // decimals
		scale := v.between(1, 38)
		return decimalText(v.decimal(v.between(1, 38)), scale)
	case 4:
		return strconv.FormatFloat((values{dice: v.dice}).float64(), 'e', -1, 64)
	case 5:
		return one(v.dice, "[]", "{}", "[ ]", "-1", `""`)
	case 6:
		parts := make([]string, v.between(1, 4))
		for i := range parts {
			parts[i] = space + v.json(levels-1) + space
		}
		return "[" + strings.Join(parts, ",") + "]"
	}
	var parts []string
	for i, key := range (tableDice{dice: v.dice}).names(v.between(1, 4)) {
		if i == 0 && v.in(3) {
			key = ""
		}
		parts = append(parts, space+quoted(v.dice, key)+space+":"+space+v.json(levels-1))
	}
	return "{" + strings.Join(parts, ",") + space + "}"
}

// decimalText is an unscaled number with its point.
func decimalText(n *big.Int, scale int) string {
	if scale == 0 {
		return n.String()
	}
	digits := new(big.Int).Abs(n).String()
	if len(digits) <= scale {
		digits = strings.Repeat("0", scale-len(digits)+1) + digits
	}
	text := digits[:len(digits)-scale] + "." + digits[len(digits)-scale:]
	if n.Sign() < 0 {
		return "-" + text
	}
	return text
}

func base64Text(b []byte) string { return base64.StdEncoding.EncodeToString(b) }
