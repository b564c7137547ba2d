package zerobustest

import (
	"fmt"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"

	"github.com/zerobus-go/zerobus/internal/wire"
)

func TestLogHasALineForEachConnection(t *testing.T) {
	s := newServer(t)
	if got := s.Log(); got != "no connections" {
		t.Errorf("%q", got)
	}
	s.Script(
		Accept(AckAll()), Refuse(codes.Unavailable, "two\nlines"), RefuseAtOnce(codes.PermissionDenied, "no"), Accept(On(1, Kill())), Accept(),
	)
	const secret = "Bearer do-not-print"
	c := dial(t, s, "authorization", secret, tableHeader, table).create().created()
	c.record(0, "a")
	c.expectAck(0)
	c.batch(1, "b", "c")
	c.expectAck(1)
	c.stream.CloseSend()
	c.expectEnd()
	dial(t, s, "authorization", secret).create().expectStatus(codes.Unavailable, "")
	dial(t, s, "authorization", secret, "x-other", secret).expectStatus(codes.PermissionDenied, "")
	c = dial(t, s, "authorization", secret)
	c.send(wire.AppendCreateStream(nil, wire.CreateStream{Table: "a.b.c\n", Descriptor: []byte{1}}))
	c.created().send(wire.AppendSinglePrefix(nil, 0, wire.Proto, 0))
	c.send(wire.AppendSinglePrefix(nil, 1, wire.Proto, 0))
	c.expectStatus(codes.Unavailable, "")
	dial(t, s, "authorization", secret).create().created()
	<-s.Connections()[3].Done() // the server notices by itself; it tells clients of the other ends

	want := []string{
		`connection 0: table "main.default.air_quality", JSON, requests: 2, records: 3, acknowledged up to 1, half-closed, ended OK`,
		`connection 1: table "main.default.air_quality", JSON, requests: 0, records: 0, nothing acknowledged, ended Unavailable "two\nlines"`,
		`connection 2: no stream created, ended PermissionDenied "no"`,
		`connection 3: table "a.b.c\n", PROTO, requests: 2, records: 2, nothing acknowledged, ended Canceled "context canceled"`,
		`connection 4: table "main.default.air_quality", JSON, requests: 0, records: 0, nothing acknowledged, open`,
	}
	if got := s.Log(); got != strings.Join(want, "\n") {
		t.Errorf("log is\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
	for i, c := range s.Connections() {
		for _, verb := range []string{"%v", "%+v", "%s"} {
			if got := fmt.Sprintf(verb, c); got != want[i] {
				t.Errorf("%s is %q", verb, got)
			}
		}
	}
}

// A table header is a header's value, too.
func TestAnotherTableInTheHeaderIsNotRepeated(t *testing.T) {
	s := newServer(t)
	c := dial(t, s, tableHeader, "the-header").create()
	c.expectStatus(codes.InvalidArgument, `table name "main.default.air_quality" differs from the header's`)
	if strings.Contains(s.Log(), "the-header") {
		t.Error(s.Log())
	}
}
