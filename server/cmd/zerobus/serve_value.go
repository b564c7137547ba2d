package main

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/spf13/pflag"
	"github.com/zerobus-go/zerobus/server"
)

// value is one way to write a setting. What String gives, Set reads.
type value struct {
	typ    string
	format func() string
	set    func(string) error
}

func (v value) String() string {
	if v.format == nil { // pflag makes an empty one to compare with
		return ""
	}
	return v.format()
}
func (v value) Set(s string) error { return v.set(s) }
func (v value) Type() string       { return v.typ }

func textValue(p *string, typ string) pflag.Value {
	return value{typ, func() string { return *p }, func(s string) error {
		if !utf8.ValidString(s) || strings.ContainsFunc(s, unicode.IsControl) {
			return fmt.Errorf("%q has characters that are none", s)
		}
		*p = s
		return nil
	}}
}

// list is a setting that may be given again for one more.
type list struct {
	value
	texts *[]string
}

var _ pflag.SliceValue = list{}

func listValue(p *[]string, typ string) pflag.Value {
	format := func() string { return strings.Join(*p, " ") }
	add := func(s string) error {
		var one string
		if err := textValue(&one, typ).Set(s); err != nil {
			return err
		}
		*p = append(*p, one)
		return nil
	}
	return list{value{typ, format, add}, p}
}

// Append adds one.
func (l list) Append(s string) error { return l.Set(s) }

// Replace takes all of them anew.
func (l list) Replace(all []string) error {
	*l.texts = nil
	for _, s := range all {
		if err := l.Set(s); err != nil {
			return err
		}
	}
	return nil
}

// GetSlice gives all of them.
func (l list) GetSlice() []string { return *l.texts }

// assign gives one value what another one of its kind has.
func assign(to, from pflag.Value) error {
	if l, ok := to.(list); ok {
		return l.Replace(from.(list).GetSlice())
	}
	return to.Set(from.String())
}

// toggleValue is on or off. YAML writers turn off into false, so that is read too.
func toggleValue(p *string) pflag.Value {
	return value{"on|off", func() string { return *p }, func(s string) error {
		switch strings.ToLower(s) {
		case "on", "true", "yes":
			*p = server.MetricsOn
		case "off", "false", "no":
			*p = server.MetricsOff
		default:
			return fmt.Errorf("%q: expected on or off", s)
		}
		return nil
	}}
}

func numberValue(p *int64, least int64) pflag.Value {
	return value{"number", func() string { return strconv.FormatInt(*p, 10) }, func(s string) error {
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil || n < least {
			return fmt.Errorf("%q: expected a number from %d", s, least)
		}
		*p = n
		return nil
	}}
}

// units are those of sizes, the largest first.
var units = []struct {
	name  string
	shift uint
}{{"TiB", 40}, {"GiB", 30}, {"MiB", 20}, {"KiB", 10}, {"B", 0}, {"", 0}}

var errSize = errors.New("expected a whole number above 0 with B, KiB, MiB, GiB or TiB, such as 512MiB")

// sizeValue is bytes, such as 8GiB.
func sizeValue(p *int64) pflag.Value {
	return value{"size", func() string { return formatSize(*p) }, func(s string) error {
		n, err := parseSize(s)
		if err != nil {
			return fmt.Errorf("%q: %w", s, err)
		}
		*p = n
		return nil
	}}
}

const unlimitedText = "unlimited"

// rateValue is a size a second; 0 is written as unlimited.
func rateValue(p *int64) pflag.Value {
	size := sizeValue(p)
	format := func() string {
		if *p == 0 {
			return unlimitedText
		}
		return formatSize(*p)
	}
	return value{"size", format, func(s string) error {
		if s == unlimitedText {
			*p = 0
			return nil
		}
		if err := size.Set(s); err != nil {
			return fmt.Errorf("%w, or %s", err, unlimitedText)
		}
		return nil
	}}
}

func parseSize(s string) (int64, error) {
	for _, u := range units {
		digits, ok := strings.CutSuffix(s, u.name)
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSuffix(digits, " "), 10, 64)
		if err != nil || n <= 0 || n > math.MaxInt64>>u.shift {
			return 0, errSize
		}
		return n << u.shift, nil
	}
	return 0, errSize
}

func formatSize(n int64) string {
	for _, u := range units {
		if n>>u.shift<<u.shift == n && n != 0 {
			return strconv.FormatInt(n>>u.shift, 10) + u.name
		}
	}
	return "0B"
}

const neverText = "never"

// never is a time that does not come, as server.Config has it.
const never time.Duration = -1

var errDuration = errors.New("expected a time above 0, such as 500ms, 15m, 36h or 7d")

// durationValue is a time, such as 15m. If it may be never, that is kept as a negative one.
func durationValue(p *time.Duration, mayBeNever bool) pflag.Value {
	return value{"duration", func() string { return formatDuration(*p) }, func(s string) error {
		d, err := parseDuration(s)
		switch {
		case mayBeNever && (s == neverText || err == nil && d < 0):
			d = never
		case mayBeNever && (err != nil || d == 0):
			return fmt.Errorf("%q: %w, or never", s, errDuration)
		case err != nil || d <= 0:
			return fmt.Errorf("%q: %w", s, errDuration)
		}
		*p = d
		return nil
	}}
}

// dependentDuration is a time that depends on another setting when it is not given, which is kept as 0 and written as nothing.
func dependentDuration(p *time.Duration) pflag.Value {
	given := durationValue(p, false)
	return value{"duration", func() string {
		if *p == 0 {
			return ""
		}
		return given.String()
	}, func(s string) error {
		if s == "" {
			*p = 0
			return nil
		}
		return given.Set(s)
	}}
}

const day = 24 * time.Hour

func parseDuration(s string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(s, "d"); ok {
		n, err := strconv.ParseInt(days, 10, 64)
		if err != nil || n < 0 || n > int64(math.MaxInt64/day) {
			return 0, errDuration
		}
		return time.Duration(n) * day, nil
	}
	return time.ParseDuration(s)
}

// formatDuration leaves out the units that time.Duration writes zeroes for.
func formatDuration(d time.Duration) string {
	switch {
	case d < 0:
		return neverText
	case d > 0 && d%day == 0:
		return strconv.FormatInt(int64(d/day), 10) + "d"
	}
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
