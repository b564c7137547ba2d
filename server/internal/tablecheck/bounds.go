package tablecheck

import (
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/zerobus-go/zerobus/schema"
)

// lastRune is the length of the last character.
func lastRune(b []byte) int {
	_, n := utf8.DecodeLastRune(b)
	return n
}

// number reads a JSON number, exactly.
func number(raw json.RawMessage) (*big.Rat, bool) {
	s := string(raw)
	if s == "" || strings.Trim(s, "0123456789+-.eE") != "" {
		return nil, false
	}
	if _, exp, found := strings.Cut(strings.ToLower(s), "e"); found {
		if n, err := strconv.Atoi(exp); err != nil || n < -1000 || n > 1000 {
			return nil, false
		}
	}
	return new(big.Rat).SetString(s)
}

func (x *extremes) intBound(t *schema.Type, raw json.RawMessage, upper, tight bool) (string, bool) {
	value := pick(x.least, x.most, upper)
	if t.Kind == schema.Boolean {
		var got bool
		if json.Unmarshal(raw, &got) != nil {
			return "", false
		}
		return verdict(compareBools(got, value == 1), upper, tight, strconv.FormatBool(value == 1)), true
	}
	got, ok := number(raw)
	if !ok {
		return "", false
	}
	return verdict(got.Cmp(new(big.Rat).SetInt64(value)), upper, tight, strconv.FormatInt(value, 10)), true
}

func compareBools(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

// floatBound knows that Spark and others hold NaN greater than everything: a file that has one, and a greatest number less than
// NaN, would be passed over by a search for great numbers.
func (x *extremes) floatBound(t *schema.Type, raw json.RawMessage, upper, tight bool) (string, bool) {
	text := strings.Trim(string(raw), `"`)
	switch text {
	case "NaN", "Infinity", "-Infinity", "INF", "-INF", "+INF", "inf", "-inf":
	default:
		if _, ok := number(raw); !ok {
			return "", false
		}
	}
	bits := 64
	if t.Kind == schema.Float {
		bits = 32 // as readers take it
	}
	got, err := strconv.ParseFloat(text, bits)
	if err != nil && !math.IsInf(got, 0) {
		return "", false
	}
	if !x.some { // NaN alone
		if upper && !math.IsNaN(got) {
			return "the file has NaN, which is greater", true
		}
		return "", true
	}
	value := pick(x.leastF, x.mostF, upper)
	shown := strconv.FormatFloat(value, 'g', -1, bits)
	switch {
	case upper && math.IsNaN(got):
		if tight && !x.nan {
			return "want " + shown + ", the file has no NaN", true
		}
		return "", true
	case upper && x.nan:
		return "the file has NaN, which is greater", true
	case math.IsNaN(got):
		return "the file has the lesser value " + shown, true
	}
	cmp := 0
	if got < value {
		cmp = -1
	} else if got > value {
		cmp = 1
	}
	return verdict(cmp, upper, tight, shown), true
}

// decimalBound takes a tight bound for exact when it is so as a double, which some writers make of it, and it bounds.
func (x *extremes) decimalBound(t *schema.Type, raw json.RawMessage, upper, tight bool) (string, bool) {
	got, ok := number(json.RawMessage(strings.Trim(string(raw), `"`)))
	if !ok {
		return "", false
	}
	scale := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(t.Scale)), nil)
	value := new(big.Rat).SetFrac(pick(x.leastD, x.mostD, upper), scale)
	shown := value.FloatString(t.Scale)
	cmp := got.Cmp(value)
	a, _ := got.Float64()
	b, _ := value.Float64()
	return verdict(cmp, upper, tight && a != b, shown), true
}

func (x *extremes) dateBound(raw json.RawMessage, upper, tight bool) (string, bool) {
	var text string
	if json.Unmarshal(raw, &text) != nil {
		return "", false
	}
	at, err := time.Parse("2006-01-02", text)
	if err != nil {
		return "", false
	}
	value := pick(x.least, x.most, upper)
	return verdict(compareInts(at.Unix()/86400, value), upper, tight, time.Unix(value*86400, 0).UTC().Format("2006-01-02")), true
}

func compareInts(a, b int64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// timeForms are how timestamps are written in statistics. Fractions of seconds need no mention.
var timeForms = []string{"2006-01-02T15:04:05Z07:00", "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02 15:04:05Z07:00"}

// timeBound knows that writers cut timestamps to milliseconds, of maximums too: readers widen those by the rest of the
// millisecond (PROTOCOL.md, "Per-file Statistics"). So a bound may be less than a millisecond off.
func (x *extremes) timeBound(raw json.RawMessage, upper, tight bool) (string, bool) {
	var text string
	if json.Unmarshal(raw, &text) != nil {
		return "", false
	}
	var at time.Time
	err := fmt.Errorf("no form")
	for i := 0; i < len(timeForms) && err != nil; i++ {
		at, err = time.Parse(timeForms[i], text)
	}
	if err != nil {
		return "", false
	}
	value := pick(x.least, x.most, upper)
	got := at.UnixMicro()
	const millisecond = 1000
	widened := got
	if upper && fraction(text) <= 3 {
		widened += millisecond - 1
	}
	shown := time.UnixMicro(value).UTC().Format("2006-01-02T15:04:05.000000")
	if fault := verdict(compareInts(widened, value), upper, false, shown); fault != "" {
		return fault, true
	}
	if off := got - value; tight && (off <= -millisecond || off >= millisecond) {
		return "want " + shown + ", the bound is not exact", true
	}
	return "", true
}

// fraction is how many digits of a second the text has.
func fraction(text string) int {
	_, rest, _ := strings.Cut(text, ".")
	n := 0
	for n < len(rest) && rest[n] >= '0' && rest[n] <= '9' {
		n++
	}
	return n
}
