package zerobustest

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
)

const refusal = "Record decoder/encoder error: unrecognized field name 'ip'. Error Code: 4044, Error State: 3."

func refuseBad(rec []byte) error {
	if string(rec) == "bad" {
		return errors.New("unrecognized field name 'ip'")
	}
	return nil
}

// Protocol, sections 2.3 and 2.6: what came before a bad record is durable and acknowledged, then the stream ends.
func TestValidate(t *testing.T) {
	sec, ms := time.Second, time.Millisecond
	for _, tt := range []struct {
		name     string
		behavior Behavior
		requests [][]string
		acks     []int64
		code     codes.Code
		text     string
		durable  []string
		took     time.Duration
	}{
		{"at once", Accept(AckAll()), [][]string{{"a"}, {"b"}, {"bad"}}, []int64{0, 1}, codes.InvalidArgument, refusal, []string{"a", "b"}, 0},
		{"late", Accept(AckAllAfter(sec)), [][]string{{"a"}, {"b"}, {"bad"}}, []int64{0, 1}, codes.InvalidArgument, refusal, []string{"a", "b"}, sec},
		{"the first one", Accept(AckAll()), [][]string{{"bad"}}, nil, codes.InvalidArgument, refusal, nil, 0},
		{"in a batch", Accept(AckAll()), [][]string{{"a", "b"}, {"c", "bad", "d"}}, []int64{0}, codes.InvalidArgument, refusal, []string{"a", "b"}, 0},
		{"a script that acknowledges nothing", Accept(), [][]string{{"a"}, {"b"}, {"bad"}}, []int64{1}, codes.InvalidArgument, refusal, []string{"a", "b"}, 0},
		{
			"a script that does so later", Accept(On(1, Wait(sec), Ack(0))),
			[][]string{{"a"}, {"b"}, {"c"}, {"bad"}},
			[]int64{0, 2},
			codes.InvalidArgument, refusal,
			[]string{"a", "b", "c"},
			sec,
		},
		{
			"a script that fails first", Accept(On(0, Wait(sec), Fail(codes.Internal, "lost"))),
			[][]string{{"a"}, {"bad"}},
			nil, codes.Internal, "lost", nil, sec,
		},
		{
			"a script that acknowledged beyond it", Accept(On(0, Ack(5))),
			[][]string{{"a"}, {"bad"}},
			[]int64{5},
			codes.InvalidArgument, refusal,
			[]string{"a"},
			0,
		},
		{
			"a step of the bad one", Accept(On(1, Fail(codes.Internal, "step"))),
			[][]string{{"a"}, {"bad"}},
			[]int64{0},
			codes.InvalidArgument, refusal,
			[]string{"a"},
			0,
		},
		{
			"the connection ends meanwhile", Accept(AckAllAfter(sec), After(ms, Fail(codes.Unavailable, "restarting"))),
			[][]string{{"a"}, {"bad"}},
			nil, codes.Unavailable, "restarting", nil, ms,
		},
		{
			"a step that hangs holds the end up", Accept(On(0, Hang()), After(ms, End())),
			[][]string{{"a"}, {"bad"}},
			nil, codes.OK, "", nil, ms,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := New(InMemory())
				defer s.Close()
				s.Validate(table, refuseBad)
				s.Script(tt.behavior)
				start := time.Now()
				c := dial(t, s).create().created()
				defer c.close()
				for offset, recs := range tt.requests {
					if len(recs) == 1 {
						c.record(int64(offset), recs[0])
					} else {
						c.batch(int64(offset), recs...)
					}
				}
				for _, offset := range tt.acks {
					c.expectAck(offset)
				}
				if tt.code == codes.OK {
					c.expectEnd()
				} else {
					c.expectStatus(tt.code, tt.text)
				}
				if d := time.Since(start); d != tt.took {
					t.Errorf("the end came after %v; want %v", d, tt.took)
				}
				expectRecords(t, s.Records(table), tt.durable...)
				if n := len(s.Connections()[0].Requests()); n != len(tt.requests)-1 {
					t.Errorf("%d requests are in the log; want all but the refused one", n)
				}
			})
		})
	}
}

func TestValidateIsOfOneTable(t *testing.T) {
	s := newServer(t)
	s.Validate("a.b.c", refuseBad)
	c := dial(t, s).create().created()
	c.record(0, "bad")
	c.expectAck(0)
	s.Validate(table, refuseBad) // also for streams that are open
	c.record(1, "bad")
	c.expectStatus(codes.InvalidArgument, refusal)
	s.Validate(table, nil)
	c = dial(t, s).create().created()
	c.record(0, "bad")
	c.expectAck(0)
	expectRecords(t, s.Records(table), "bad", "bad")
}
