package zerobus

import (
	"errors"
	"regexp"
	"strconv"
	"testing"

	"google.golang.org/grpc/metadata"

	"github.com/zerobus-go/zerobus/internal/conn"
)

func TestPosition_OfTheServersHeader(t *testing.T) {
	for _, c := range []struct {
		values []string
		next   int64
		found  bool
		bad    bool
	}{
		{nil, 0, false, false},
		{[]string{"0"}, 0, true, false},
		{[]string{"4611686018427387904"}, 1 << 62, true, false},
		{[]string{"4611686018427387905"}, 0, false, true},
		{[]string{"99999999999999999999999"}, 0, false, true},
		{[]string{"1", "1"}, 0, false, true},
		{[]string{""}, 0, false, true},
		{[]string{"-1"}, 0, false, true},
		{[]string{"+1"}, 0, false, true},
		{[]string{" 1"}, 0, false, true},
		{[]string{"1_000"}, 0, false, true},
		{[]string{"0x10"}, 0, false, true},
	} {
		next, found, err := parsePosition(c.values)
		if next != c.next || found != c.found || (err != nil) != c.bad {
			t.Errorf("%q gives %d, %v, %v", c.values, next, found, err)
		}
		p := &pipeline{}
		p.producer.begin("p", nil)
		h := host{p}
		h.introduce(metadata.MD{})
		err = h.answer(metadata.MD{headerProducerNext: c.values})
		var protocol *conn.ProtocolError
		if errors.As(err, &protocol) != c.bad {
			t.Errorf("%q: the handshake gives %v", c.values, err)
		}
	}
}

func FuzzPosition(f *testing.F) {
	for _, s := range []string{"0", "17", "4611686018427387904", "4611686018427387905", "-1", "", "1e3"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		next, found, err := parsePosition([]string{s})
		switch {
		case err != nil && (found || next != 0), err == nil && (!found || next < 0 || next > maxPosition):
			t.Errorf("%q gives %d, %v, %v", s, next, found, err)
		case err == nil && len(s) < 19 && s[0] != '0' && strconv.FormatInt(next, 10) != s:
			t.Errorf("%q gives %d", s, next)
		}
	})
}

func TestSession_IsAUUIDOfItsOwn(t *testing.T) {
	form := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	seen := map[string]bool{}
	for range 1000 {
		id := newSession().id
		if !form.MatchString(id) || seen[id] {
			t.Fatalf("session %q", id)
		}
		seen[id] = true
	}
}
