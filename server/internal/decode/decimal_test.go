package decode

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/zerobus-go/zerobus/schema"
)

func FuzzDecimal(f *testing.F) {
	for _, s := range []string{
		"0", "-0.00", "12.34", ".5", "5.", "+1e3", "1E-7", "1e99999999999999999999", "0e-99999999999999999999",
		strings.Repeat("9", 38), strings.Repeat("0", 50) + "1" + strings.Repeat("0", 50), "1" + strings.Repeat("0", 60) + "e-60",
		strings.Repeat("9", 39) + "e-1", "", ".", "e5", "1e", "1.2.3", "--1", "1_0", "0x1p3", "1/3",
	} {
		f.Add(s, 38, 10)
	}
	f.Fuzz(func(t *testing.T, s string, precision, scale int) {
		typ := schema.Type{Kind: schema.Decimal, Precision: 1 + int(uint(precision)%38)}
		typ.Scale = int(uint(scale) % uint(typ.Precision+1))
		checkDecimal(t, &typ, s)
	})
}

func checkDecimal(t tester, typ *schema.Type, s string) {
	want, ok := decimalCell(typ, s)
	got, fault := parseDecimal([]byte(s), typ.Precision, typ.Scale)
	if ok != (fault == decimalOK) || ok && unscaled(got) != want {
		t.Errorf("%q as %s: %s, fault %d; want %v", s, typ, unscaled(got), fault, want)
	}
	if syntax := fault == decimalSyntax; syntax == decimalSyntaxRE.MatchString(s) {
		t.Errorf("%q: fault %d", s, fault)
	}
}

func TestDecimalIsExact(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		typ := schema.Type{Kind: schema.Decimal, Precision: rapid.IntRange(1, 38).Draw(rt, "precision")}
		typ.Scale = rapid.IntRange(0, typ.Precision).Draw(rt, "scale")
		for range 30 {
			checkDecimal(rt, &typ, rapid.StringMatching(`[+-]?(0{0,3}[0-9]{0,40}\.?[0-9]{0,40}0{0,3})([eE][+-]?[0-9]{1,2})?`).Draw(rt, "text"))
		}
	})
}
