package main

import (
	"encoding/base64"
	"encoding/json"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/zerobus-go/zerobus/schema"
)

// appendCell appends a CSV cell, which is not empty, as the JSON value that a column of the type takes. wanted is what the
// column wants instead, when the cell is not that; dst is then as it was, and empty otherwise.
//
// Whether a number is in the range of its column is the server's judgement.
func appendCell(dst []byte, t *schema.Type, cell string) (_ []byte, wanted string) {
	text := cell
	if t.Kind != schema.String && t.Kind != schema.Variant {
		text = strings.TrimSpace(cell)
	}
	ok := false
	switch t.Kind {
	case schema.Byte, schema.Short, schema.Integer, schema.Long:
		dst, ok = appendNumber(dst, text, true)
		wanted = "an integer"
	case schema.Float, schema.Double:
		dst, ok = appendNumber(dst, text, false)
		wanted = "a finite number"
	case schema.Decimal:
		n := len(dst)
		if dst, ok = appendNumber(append(dst, '"'), text, false); !ok {
			dst = dst[:n]
			return dst, "a decimal number"
		}
		dst = append(dst, '"')
	case schema.Boolean:
		dst, ok = appendBool(dst, text)
		wanted = "true, false, t, f, 1 or 0"
	case schema.Date:
		dst, ok = appendDate(dst, text)
		wanted = "a date like 2006-01-02 or a number of days"
	case schema.Timestamp:
		dst, ok = appendTime(dst, text, true)
		wanted = "a time like 2006-01-02T15:04:05.999999Z or a number of microseconds"
	case schema.TimestampNTZ:
		dst, ok = appendTime(dst, text, false)
		wanted = "a time like 2006-01-02 15:04:05.999999 or a number of microseconds"
	case schema.Binary:
		dst, ok = appendBase64(dst, text)
		wanted = "base64 in the standard alphabet with padding"
	case schema.String, schema.Variant:
		if ok = utf8.ValidString(text); ok {
			dst = appendString(dst, text)
		}
		wanted = "UTF-8"
	default: // arrays, maps and structs come as JSON
		if ok = utf8.ValidString(text) && json.Valid([]byte(text)); ok {
			dst = append(dst, text...)
		}
		wanted = "JSON"
	}
	if ok {
		wanted = ""
	}
	return dst, wanted
}

// appendNumber appends a number, exact, in the spelling of JSON: without a plus, leading zeros or a bare point. NaN and
// infinities have none.
func appendNumber(dst []byte, s string, integer bool) ([]byte, bool) {
	begin := len(dst)
	if s != "" && (s[0] == '-' || s[0] == '+') {
		if s[0] == '-' {
			dst = append(dst, '-')
		}
		s = s[1:]
	}
	whole := digits(s)
	fraction, rest, dot := 0, s[whole:], false
	if rest != "" && rest[0] == '.' {
		dot = true
		fraction = digits(rest[1:])
		rest = rest[1+fraction:]
	}
	if whole+fraction == 0 || integer && (dot || rest != "") {
		return dst[:begin], false
	}
	if w := strings.TrimLeft(s[:whole], "0"); w != "" {
		dst = append(dst, w...)
	} else {
		dst = append(dst, '0')
	}
	if fraction > 0 {
		dst = append(dst, s[whole:whole+1+fraction]...)
	}
	if rest != "" {
		if rest[0]|0x20 != 'e' {
			return dst[:begin], false
		}
		exponent := rest[1:]
		if exponent != "" && (exponent[0] == '-' || exponent[0] == '+') {
			exponent = exponent[1:]
		}
		if exponent == "" || digits(exponent) != len(exponent) {
			return dst[:begin], false
		}
		dst = append(dst, rest...)
	}
	return dst, true
}

// digits is how many decimal digits s begins with.
func digits(s string) int {
	n := 0
	for n < len(s) && s[n]-'0' <= 9 {
		n++
	}
	return n
}

func appendBool(dst []byte, s string) ([]byte, bool) {
	switch {
	case s == "1", strings.EqualFold(s, "t"), strings.EqualFold(s, "true"):
		return append(dst, "true"...), true
	case s == "0", strings.EqualFold(s, "f"), strings.EqualFold(s, "false"):
		return append(dst, "false"...), true
	}
	return dst, false
}

func appendBase64(dst []byte, s string) ([]byte, bool) {
	if strings.ContainsAny(s, "\r\n") { // the decoder would pass over them
		return dst, false
	}
	n := len(dst)
	dst, err := base64.StdEncoding.Strict().AppendDecode(dst, []byte(s))
	dst = dst[:n]
	if err != nil {
		return dst, false
	}
	dst = append(dst, '"')
	dst = append(dst, s...)
	return append(dst, '"'), true
}

const (
	secondsPerDay    = 24 * 60 * 60
	microsPerSecond  = 1_000_000
	microsecondWidth = 6 // digits
)

// appendDate appends the days since 1970-01-01.
func appendDate(dst []byte, s string) ([]byte, bool) {
	if days, rest, ok := cutDate(s); ok && rest == "" {
		return strconv.AppendInt(dst, days, 10), true
	}
	return appendNumber(dst, s, true)
}

// appendTime appends the microseconds since 1970-01-01. Digits beyond them are dropped, which is towards the past for times
// before 1970, too. With zoned, the time is that of the text's zone, or UTC without one; otherwise it is the wall clock that
// the text shows, and a zone means nothing.
func appendTime(dst []byte, s string, zoned bool) ([]byte, bool) {
	days, rest, ok := cutDate(s)
	if !ok {
		return appendNumber(dst, s, true)
	}
	if rest == "" || rest[0] != ' ' && rest[0]|0x20 != 't' {
		return dst, false
	}
	micros, rest, ok := cutClock(rest[1:])
	if !ok {
		return dst, false
	}
	offset, ok := zone(rest)
	if !ok {
		return dst, false
	}
	if !zoned {
		offset = 0
	}
	return strconv.AppendInt(dst, (days*secondsPerDay-offset)*microsPerSecond+micros, 10), true
}

// cutDate reads YYYY-MM-DD as days since 1970-01-01, proleptic Gregorian.
func cutDate(s string) (days int64, rest string, ok bool) {
	const layout = len("2006-01-02")
	if len(s) < layout || s[4] != '-' || s[7] != '-' {
		return 0, s, false
	}
	year, ok1 := number(s[:4])
	month, ok2 := number(s[5:7])
	day, ok3 := number(s[8:10])
	if !ok1 || !ok2 || !ok3 {
		return 0, s, false
	}
	t := time.Date(year, time.Month(month), day, 0, 0, 0, 0, time.UTC)
	if t.Month() != time.Month(month) || t.Day() != day {
		return 0, s, false // there is no such day
	}
	return t.Unix() / secondsPerDay, s[layout:], true // at midnight there is nothing to round
}

// cutClock reads hh:mm:ss and a fraction as microseconds.
func cutClock(s string) (micros int64, rest string, ok bool) {
	const layout = len("15:04:05")
	if len(s) < layout || s[2] != ':' || s[5] != ':' {
		return 0, s, false
	}
	hour, ok1 := number(s[:2])
	minute, ok2 := number(s[3:5])
	second, ok3 := number(s[6:8])
	if !ok1 || !ok2 || !ok3 || hour > 23 || minute > 59 || second > 59 {
		return 0, s, false
	}
	micros = int64(hour*3600+minute*60+second) * microsPerSecond
	rest = s[layout:]
	if rest == "" || rest[0] != '.' {
		return micros, rest, true
	}
	n := digits(rest[1:])
	if n == 0 {
		return 0, s, false
	}
	fraction, unit := rest[1:1+n], int64(microsPerSecond/10)
	for i := range min(n, microsecondWidth) {
		micros += int64(fraction[i]-'0') * unit
		unit /= 10
	}
	return micros, rest[1+n:], true
}

// zone reads Z, ±hh:mm or nothing as seconds east of UTC.
func zone(s string) (seconds int64, ok bool) {
	switch {
	case s == "", s == "Z", s == "z":
		return 0, true
	case len(s) != len("+00:00") || s[0] != '+' && s[0] != '-' || s[3] != ':':
		return 0, false
	}
	hour, ok1 := number(s[1:3])
	minute, ok2 := number(s[4:6])
	if !ok1 || !ok2 || hour > 23 || minute > 59 {
		return 0, false
	}
	seconds = int64(hour*3600 + minute*60)
	if s[0] == '-' {
		seconds = -seconds
	}
	return seconds, true
}

// number reads a few decimal digits.
func number(s string) (n int, ok bool) {
	for i := range len(s) {
		if s[i]-'0' > 9 {
			return 0, false
		}
		n = n*10 + int(s[i]-'0')
	}
	return n, true
}

// appendString appends a JSON string of valid UTF-8.
func appendString(dst []byte, s string) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	done := 0
	for i := range len(s) {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		dst = append(dst, s[done:i]...)
		done = i + 1
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		case '\t':
			dst = append(dst, '\\', 't')
		default:
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
	}
	dst = append(dst, s[done:]...)
	return append(dst, '"')
}
