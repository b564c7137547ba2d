package zerobustest

import (
	"context"
	"errors"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func TestNilDoesNothing(t *testing.T) {
	s := newServer(t, nil, InMemory())
	on := Behavior{}
	On(0, nil, Ack(0))(&on) // a step of the test's own making may be given any Behavior
	for name, behavior := range map[string]Behavior{
		"step":       Accept(nil, AckAll()),
		"action":     Accept(nil, On(0, nil, Do(nil), Ack(0))),
		"everywhere": Accept(OnCreate(nil), On(0, nil, Ack(0)), OnClose(nil), After(0, nil), After(0)),
		"zero value": on,
	} {
		t.Run(name, func(t *testing.T) {
			s.Script(behavior)
			c := dial(t, s).create().created()
			c.record(0, "a")
			c.expectAck(0)
			c.stream.CloseSend()
			c.expectEnd()
		})
	}
	s.Script()
	s.Script(Behavior{}) // accepts, and does nothing
	c := dial(t, s).create().created()
	c.record(0, "a")
	c.stream.CloseSend()
	c.expectEnd()
}

func TestDurationsBelowZeroAreNoTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(InMemory())
		defer s.Close()
		start := time.Now()
		s.Script(Accept(AckAllAfter(-time.Hour), On(1, Wait(-time.Hour), CloseSignal(-time.Hour), Ack(1))), Accept(After(-time.Hour, End())))
		c := dial(t, s).create().created()
		c.record(0, "a")
		c.expectAck(0)
		c.record(1, "b")
		if r, err := c.receive(); err != nil || r.CloseIn != -time.Hour {
			t.Errorf("%+v, %v", r, err)
		}
		c.expectAck(1)
		dial(t, s).create().created().expectEnd()
		if d := time.Since(start); d != 0 {
			t.Errorf("it took %v", d)
		}
	})
}

// OK is a code, too, and a nil error.
func TestRefusingWithOKIsTheEnd(t *testing.T) {
	s := newServer(t)
	s.Script(RefuseAtOnce(codes.OK, ""), Refuse(codes.OK, ""), Accept(On(0, Fail(codes.OK, ""))))
	dial(t, s).expectEnd()
	dial(t, s).create().expectEnd()
	c := dial(t, s).create().created()
	c.record(0, "a")
	c.expectEnd()
	for _, c := range s.Connections() {
		if done, err := c.Ended(); !done || err != nil {
			t.Error(c)
		}
	}
}

func TestBytesOfNoLengthCanBeSent(t *testing.T) {
	s := newServer(t)
	s.Script(Accept(On(0, Send(nil), Ack(0))))
	c := dial(t, s).create().created()
	c.record(0, "a")
	if r, err := c.receive(); err != nil || r.Kind != 0 {
		t.Errorf("%+v, %v", r, err)
	}
	c.expectAck(0)
}

func TestScriptsMayComeLate(t *testing.T) {
	s := newServer(t)
	dial(t, s).create().created()
	s.Script(Refuse(codes.Unavailable, "later"))
	dial(t, s).create().expectStatus(codes.Unavailable, "later")
	dial(t, s).create().created()
}

// All of it does nothing, or is refused with an error.
func TestMethodsAfterClose(t *testing.T) {
	for name, opts := range map[string][]Option{"sockets": nil, "memory": {InMemory()}, "TLS": {TLS(), Authentic()}} {
		t.Run(name, func(t *testing.T) {
			s := New(opts...)
			client := dial(t, s, "authorization", "Bearer "+getToken(t, s, nil), tableHeader, table).create().created()
			client.record(0, "a")
			client.expectAck(0)
			var closing sync.WaitGroup
			for range 3 {
				closing.Go(s.Close)
			}
			closing.Wait()
			s.Close()

			c := s.Connections()[0]
			<-c.Done()
			was := s.Log()
			c.Ack(1)
			c.AckNothing()
			c.CloseSignal(time.Second)
			c.CloseSignalNow()
			c.Send([]byte("x"))
			c.StopReading()
			c.StopReading()
			c.Fail(codes.Internal, "late")
			c.End()
			c.Kill()
			s.GoAway()
			s.Script(Accept())
			s.ScriptTable(table, Accept())
			s.Otherwise(Accept())
			s.Validate(table, nil)
			s.RevokeTokens()
			s.TokenLifetime(0)
			s.AcceptOnly("", "")
			if got := s.Log(); got != was {
				t.Errorf("the log was\n%s\nand is\n%s", was, got)
			}
			expectRecords(t, s.Records(table), "a")
			ctx, cancel := context.WithCancel(context.Background())
			cancel()
			if _, err := s.WaitConnection(ctx, 1); !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
			if conn, err := s.Dialer()(testContext(t), ""); err == nil {
				conn.Close()
				t.Error("a client can connect")
			}
			if resp, err := s.HTTPClient().Post(s.WorkspaceURL()+"/oidc/v1/token", "", nil); err == nil {
				resp.Body.Close()
				t.Error("the workspace answers")
			}
		})
	}
}

func TestThereIsNoConnectionBelowZero(t *testing.T) {
	if c, err := newServer(t).WaitConnection(testContext(t), -1); c != nil || err == nil {
		t.Errorf("%v, %v", c, err)
	}
}

func TestRefusingTokensWithoutAStatusPanicsAtOnce(t *testing.T) {
	defer func() {
		if p := recover(); p == nil {
			t.Error("no panic")
		}
	}()
	newServer(t).RefuseTokens(0, "x", "y")
}

// A client that does not read holds up who sends to it. The connection can still be ended.
func TestAClientThatDoesNotReadCannotHoldUpTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(InMemory())
		defer s.Close()
		returned := false
		s.Script(Accept(
			On(0, Do(func(c *Connection) {
				for range 100 {
					c.Send(make([]byte, 64<<10))
				}
				returned = true
			})),
			After(time.Second, Do(func(*Connection) {
				if returned {
					t.Error("the client has taken everything: this tests nothing")
				}
			}), Fail(codes.Aborted, "enough")),
		))
		c := dial(t, s).create().created()
		c.record(0, "a")
		server := s.Connections()[0]
		<-server.Done()
		synctest.Wait()
		if done, err := server.Ended(); !done || status.Code(err) != codes.Aborted {
			t.Error(server)
		}
		if !returned {
			t.Error("the sender still waits")
		}
		server.Ack(0) // is too late
		expectRecords(t, s.Records(table))
	})
}

// What t.FailNow does on a goroutine that is not the test's.
func TestAFunctionThatEndsItsGoroutineEndsTheConnection(t *testing.T) {
	s := newServer(t)
	exit := Do(func(*Connection) { runtime.Goexit() })
	s.Script(Accept(OnCreate(exit)), Accept(OnClose(exit)), Accept(On(0, exit)))
	dial(t, s).create().expectStatus(codes.Internal, "the script did not return")
	c := dial(t, s).create().created()
	c.stream.CloseSend()
	c.expectStatus(codes.Internal, "the script did not return")
	c = dial(t, s).create().created() // a step's goroutine is its own: the connection goes on
	c.record(0, "a")
	c.stream.CloseSend()
	c.expectEnd()

	s.Validate(table, func([]byte) error { runtime.Goexit(); return nil })
	c = dial(t, s).create().created()
	c.record(0, "a")
	c.expectStatus(codes.Internal, "the script did not return")
}

// No matter how fast the transport notices.
func TestNothingCountsAfterKill(t *testing.T) {
	for name, opts := range map[string][]Option{"sockets": nil, "memory": {InMemory()}, "TLS": {TLS()}} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, opts...)
			s.Otherwise(Accept(On(0, Kill(), Ack(0), Do(func(*Connection) { t.Error("a step went on") }))))
			for range 20 {
				c := dial(t, s).create().created()
				c.record(0, "a")
				c.expectStatus(codes.Unavailable, "")
				c.close()
			}
			s.Close()
			expectRecords(t, s.Records(table))
		})
	}
}

func TestWhatWaitsForTheConnectionEndsWithIt(t *testing.T) {
	s := New()
	s.Script(Accept(On(0, Do(func(c *Connection) { <-c.Done() }))), Accept(OnClose(Hang())))
	c := dial(t, s).create().created()
	c.record(0, "a")
	c.stream.CloseSend()
	other := dial(t, s).create().created()
	other.stream.CloseSend()
	err := s.WaitFor(testContext(t), func() bool { return s.Connections()[0].HalfClosed() && s.Connections()[1].HalfClosed() })
	if err != nil {
		t.Fatal(err)
	}
	c.close() // the client leaves
	<-s.Connections()[0].Done()
	s.Close() // and the server
	other.expectStatus(codes.Unavailable, "")
}

func TestCloseEndsTokenRequests(t *testing.T) {
	for name, opts := range map[string][]Option{"sockets": nil, "memory": {InMemory()}, "TLS": {TLS()}} {
		t.Run(name, func(t *testing.T) {
			s := New(opts...)
			s.HandleToken(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
			failed := make(chan error, 1)
			go func() {
				resp, err := s.HTTPClient().Post(s.WorkspaceURL()+"/oidc/v1/token", "application/x-www-form-urlencoded", strings.NewReader("a=b"))
				if err == nil {
					resp.Body.Close()
				}
				failed <- err
			}()
			if err := s.WaitFor(testContext(t), func() bool { return len(s.TokenRequests()) == 1 }); err != nil {
				t.Fatal(err)
			}
			s.Close()
			if err := <-failed; err == nil {
				t.Error("the request was answered")
			}
		})
	}
}

func TestTokenHandlersMayBreakTheConnection(t *testing.T) {
	for name, opts := range map[string][]Option{"sockets": nil, "memory": {InMemory()}} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, opts...)
			s.HandleToken(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
			resp, err := s.HTTPClient().Post(s.WorkspaceURL()+"/oidc/v1/token", "application/x-www-form-urlencoded", strings.NewReader("a=b"))
			if err == nil {
				resp.Body.Close()
				t.Fatal("the request was answered")
			}
			if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Error(err)
			}
		})
	}
}
