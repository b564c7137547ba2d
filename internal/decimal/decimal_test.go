package decimal

import (
	"math/big"
	"math/rand/v2"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	for _, tt := range []struct {
		text             string
		precision, scale int
		want             string // as Append writes it
		fault            Fault
	}{
		{"12.34", 10, 2, "12.34", OK},
		{"-12.34", 10, 2, "-12.34", OK},
		{"+5", 10, 2, "5.00", OK},
		{".5", 10, 2, "0.50", OK},
		{"5.", 10, 2, "5.00", OK},
		{"1e3", 10, 2, "1000.00", OK},
		{"1E-2", 10, 2, "0.01", OK},
		{"-0.00", 10, 2, "0.00", OK},
		{"007", 3, 0, "7", OK},
		{"-7", 1, 0, "-7", OK},
		{"0", 38, 38, "0." + strings.Repeat("0", 38), OK},
		{"0e99999999999999999999", 3, 0, "0", OK},
		{"1.5000", 2, 1, "1.5", OK},
		{"1" + strings.Repeat("0", 60) + "e-60", 1, 0, "1", OK},
		{strings.Repeat("9", 38), 38, 0, strings.Repeat("9", 38), OK},
		{"-" + strings.Repeat("9", 38), 38, 0, "-" + strings.Repeat("9", 38), OK},
		{"-0." + strings.Repeat("9", 38), 38, 38, "-0." + strings.Repeat("9", 38), OK},
		{strings.Repeat("9", 39), 38, 0, "", TooLong},
		{strings.Repeat("9", 39) + "e-1", 38, 0, "", Scale},
		{"100", 4, 2, "", TooLong},
		{"1e99999999999999999999", 38, 0, "", TooLong},
		{"0.001", 4, 2, "", Scale},
		{"1e-99999999999999999999", 38, 38, "", Scale},
		{"", 4, 2, "", Syntax},
		{"-", 4, 2, "", Syntax},
		{".", 4, 2, "", Syntax},
		{"e5", 4, 2, "", Syntax},
		{"1e", 4, 2, "", Syntax},
		{"1e+", 4, 2, "", Syntax},
		{"1e5x", 4, 2, "", Syntax},
		{"1.2.3", 4, 2, "", Syntax},
		{"--1", 4, 2, "", Syntax},
		{"1 ", 4, 2, "", Syntax},
		{"1_0", 4, 2, "", Syntax},
		{"0x1", 4, 2, "", Syntax},
		{"NaN", 4, 2, "", Syntax},
	} {
		n, fault := Parse([]byte(tt.text), tt.precision, tt.scale)
		if fault != tt.fault {
			t.Errorf("%q as (%d,%d): fault %d, want %d", tt.text, tt.precision, tt.scale, fault, tt.fault)
		} else if got := string(n.Append(nil, tt.scale)); fault == OK && got != tt.want {
			t.Errorf("%q as (%d,%d) is %s, want %s", tt.text, tt.precision, tt.scale, got, tt.want)
		}
	}
}

// TestNumber_IsExact compares with big integers: the bits of a number, and its text.
func TestNumber_IsExact(t *testing.T) {
	for range 10_000 {
		precision := 1 + rand.IntN(MaxPrecision)
		scale := rand.IntN(precision + 1)
		digits := make([]byte, 1+rand.IntN(precision))
		for i := range digits {
			digits[i] = '0' + byte(rand.IntN(10))
		}
		want, _ := new(big.Int).SetString(string(digits), 10)
		text := want.String()
		text = strings.Repeat("0", max(0, scale+1-len(text))) + text
		if scale > 0 {
			text = text[:len(text)-scale] + "." + text[len(text)-scale:]
		}
		if want.Sign() > 0 && rand.IntN(2) == 0 {
			want.Neg(want)
			text = "-" + text
		}
		n, fault := Parse([]byte(text), precision, scale)
		bits := new(big.Int).Lsh(big.NewInt(n.Hi), 64)
		if bits.Add(bits, new(big.Int).SetUint64(n.Lo)); fault != OK || bits.Cmp(want) != 0 {
			t.Fatalf("%s as (%d,%d): unscaled %s, fault %d, want %s", text, precision, scale, bits, fault, want)
		}
		if got := string(n.Append([]byte("x"), scale)); got != "x"+text {
			t.Fatalf("%s of scale %d became %s", text, scale, got)
		}
	}
}

func TestNumber_Append_OfAnyBits(t *testing.T) {
	for _, n := range []Number{{-1 << 63, 0}, {1<<63 - 1, 1<<64 - 1}, {-1, 1<<64 - 1}, {0, 1<<64 - 1}, {1, 0}} {
		want := new(big.Int).Lsh(big.NewInt(n.Hi), 64)
		want.Add(want, new(big.Int).SetUint64(n.Lo))
		if got := string(n.Append(nil, 0)); got != want.String() {
			t.Errorf("%v is %s, want %s", n, got, want)
		}
	}
}

// FuzzParse: what is accepted is written as one text, which has the same value.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"0", "-12.50", "1e5", "+.5e-2", "99999999999999999999999999999999999999", "1e-40", "-0"} {
		f.Add([]byte(s), 38, 10)
		f.Add([]byte(s), 5, 2)
	}
	f.Fuzz(func(t *testing.T, text []byte, precision, scale int) {
		precision = 1 + int(uint(precision)%MaxPrecision)
		scale = int(uint(scale) % uint(precision+1))
		n, fault := Parse(text, precision, scale)
		if fault != OK {
			if n != (Number{}) {
				t.Errorf("%q: %v with fault %d", text, n, fault)
			}
			return
		}
		plain := n.Append(nil, scale)
		back, fault := Parse(plain, precision, scale)
		if fault != OK || back != n {
			t.Errorf("%q became %s, which is %v with fault %d, want %v", text, plain, back, fault, n)
		}
	})
}
