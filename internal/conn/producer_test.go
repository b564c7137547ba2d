package conn

import (
	"errors"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/zerobus-go/zerobus/zerobustest"
)

// numbering is an owner whose first message says what number its first record has.
type numbering struct {
	*fakeOwner
	first int64
}

func (o *numbering) Take(g uint64) (Message, bool) {
	m, ok := o.fakeOwner.Take(g)
	if ok && m.Offset == 0 {
		m.Numbered, m.First = true, o.first
	}
	return m, ok
}

func TestCheck_SeesTheHeadersOfTheAnswer(t *testing.T) {
	const next = "x-zerobus-producer-next"
	for name, late := range map[string]zerobustest.Step{"at once": nil, "with the response": zerobustest.LateHeaders()} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(r *rig) {
				r.srv.Script(zerobustest.Accept(late, zerobustest.AckAll()))
				r.cfg.Header.Set("x-zerobus-producer-id", "p")
				r.cfg.Owner = &numbering{r.owner, 1<<62 - 1}
				var got []string
				r.cfg.Check = func(md metadata.MD) error { got = md.Get(next); return nil }
				r.owner.add("one", "two")
				c := r.open()
				if len(got) != 1 || got[0] != "0" {
					t.Errorf("the check got %q", got)
				}
				if err := r.srv.WaitRecords(r.Context(), "a.b.c", 2); err != nil {
					t.Fatal(err)
				}
				c.Finish(0)
				<-c.Done()
				reqs := r.srv.Connections()[0].Requests()
				if !reqs[0].Told || reqs[0].First != 1<<62-1 || reqs[1].Told || reqs[1].First != 1<<62 || string(reqs[0].Records[0]) != "one" {
					t.Errorf("requests %+v", reqs)
				}
			})
		})
	}
}

func TestCheck_ErrorEndsTheConnection(t *testing.T) {
	inBubble(t, func(r *rig) {
		bad := errors.New("bad")
		r.cfg.Check = func(metadata.MD) error { return bad }
		if _, err := Open(r.Context(), r.cfg); err != bad {
			t.Errorf("open: %v", err)
		}
		c := r.srv.Connections()[0]
		<-c.Done() // nothing is left behind
	})
}

// A server that refuses may send no headers at all. The check is not asked then.
func TestCheck_NotAfterARefusal(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.srv.Script(zerobustest.RefuseAtOnce(codes.Aborted, "taken"), zerobustest.Refuse(codes.Aborted, "taken"))
		r.cfg.Check = func(metadata.MD) error { t.Error("asked"); return nil }
		for range 2 {
			if _, err := Open(r.Context(), r.cfg); status.Code(err) != codes.Aborted {
				t.Errorf("open: %v", err)
			}
		}
	})
}

// The header of a message fits into the space for it, so that nothing more is allocated.
func TestPacket_HasSpaceForTheLargestNumbers(t *testing.T) {
	inBubble(t, func(r *rig) {
		c := &Conn{cfg: r.cfg, stream: noStream{}}
		body := mem.SliceBuffer(make([]byte, 1<<20))
		for _, m := range []Message{
			{Offset: 1<<63 - 1, Body: body, Numbered: true, First: 1<<63 - 1},
			{Offset: 1<<63 - 1, Body: body, Single: true, Numbered: true, First: 1<<63 - 1},
		} {
			if n := testing.AllocsPerRun(10, func() { _ = c.sendMessage(m) }); n > 1 {
				t.Errorf("%v allocations for a message", n)
			}
		}
	})
}

type noStream struct{ grpc.ClientStream }

func (noStream) SendMsg(any) error { return nil }
