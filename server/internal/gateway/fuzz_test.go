package gateway

import (
	"regexp"
	"strconv"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

var producerID = regexp.MustCompile(`^[A-Za-z0-9._:/@-]{1,128}$`)

// FuzzClaim: the headers of a producer are refused with a status that tells the client so, or say what docs/wire.md has them say.
func FuzzClaim(f *testing.F) {
	const session = "01234567-89ab-4def-8123-456789abcdef"
	f.Add("p", session, "0", "0")
	f.Add("a/b:c@d.e_f-g", "", "", "")
	f.Add("", session, "1", "1")
	f.Add("p", "0123456789ab4def8123456789abcdef", "-1", "4611686018427387904")
	f.Add("p", session, "01", "+1")
	f.Fuzz(func(t *testing.T, id, session, try, first string) {
		md := metadata.Pairs(producerHeader, id, sessionHeader, session, tryHeader, try, firstHeader, first)
		c, ok, err := claim(md)
		if err != nil {
			if status.Code(err) != codes.InvalidArgument || ok || len(err.Error()) > 300 {
				t.Fatalf("%t, %v", ok, err)
			}
			return
		}
		number := func(text string, n int64) bool {
			return text == "" && n == 0 || text == strconv.FormatInt(n, 10) && n >= 0 && n <= maxNumber
		}
		if !ok || !producerID.MatchString(id) || c.Producer != id || !number(try, c.Try) || !number(first, c.First) || c.Continues != (first != "") {
			t.Fatalf("%q %q %q %q: %+v, %t", id, session, try, first, c, ok)
		}
		if session != "" && c.Session != [16]byte{} && !regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`).MatchString(session) {
			t.Fatalf("session %q", session)
		}
	})
}
