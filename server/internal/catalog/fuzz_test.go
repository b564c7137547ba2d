package catalog

import (
	"errors"
	"regexp"
	"strings"
	"testing"
)

var normName = regexp.MustCompile(`^[a-z0-9_]{1,255}(\.[a-z0-9_]{1,255}){0,2}$`)

// FuzzName: a name is refused, or has nothing in it that a path, a statement or a message could be broken with, and is itself when
// it is read again.
func FuzzName(f *testing.F) {
	for _, s := range []string{"main", "main.default", "MAIN.Default.t_1", "", ".", "a..b", "a.b.c.d", "../../etc", "a.b.c/d", "a.b.\x00", "ſ", "\u212a", strings.Repeat("a", 256), strings.Repeat("a", 800), strings.Repeat("é", 400)} {
		f.Add(s, "TABLE")
	}
	f.Fuzz(func(t *testing.T, s, kind string) {
		for _, parse := range []func() (Name, error){
			func() (Name, error) { return ParseName(s) },
			func() (Name, error) { return ParseSecurable(kind, s) },
		} {
			n, err := parse()
			if err != nil {
				if !errors.Is(err, ErrInvalid) || len(err.Error()) > 4<<10 {
					t.Fatalf("%d bytes: %v", len(err.Error()), err)
				}
				continue
			}
			again, err := ParseName(n.String())
			if err != nil || again != n || !normName.MatchString(n.String()) || n.String() != strings.ToLower(s) {
				t.Fatalf("%q is %q, %v", s, n, err)
			}
		}
	})
}

// FuzzPrivilege: what is read is one of the privileges that there are, and is read again.
func FuzzPrivilege(f *testing.F) {
	for _, s := range []string{"SELECT", "use_catalog", "ALL PRIVILEGES", "all", "", "SELECT,MODIFY", "ſelect", "\u212a"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := ParsePrivilege(s)
		if err != nil {
			if len(err.Error()) > 2<<10 {
				t.Fatalf("an error of %d bytes", len(err.Error()))
			}
			return
		}
		if again, err := ParsePrivilege(string(p)); err != nil || again != p {
			t.Fatalf("%q is %q, and that is %q, %v", s, p, again, err)
		}
	})
}

// FuzzHash: a text that is no hash of ours verifies nothing.
func FuzzHash(f *testing.F) {
	whole := encodeHash(make([]byte, argonSalt), make([]byte, argonKey))
	for _, s := range []string{whole, "", "$argon2id$", whole[:len(whole)-1], whole + "A", strings.ReplaceAll(whole, "$", "|"), strings.ReplaceAll(whole, "m=", "m=9")} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if strings.ContainsAny(s, "\r\n") {
			return // base64 passes over them; what is read is the catalog's own
		}
		salt, sum := decodeHash(s)
		if (salt == nil) != (sum == nil) || sum != nil && encodeHash(salt, sum) != s {
			t.Fatalf("%q: %x, %x", s, salt, sum)
		}
	})
}
