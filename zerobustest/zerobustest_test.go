package zerobustest

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/zerobus-go/zerobus/internal/wire"
)

const table = "main.default.air_quality"

// client is a client without any of a client's wits.
type client struct {
	t      testing.TB
	conn   *grpc.ClientConn
	stream grpc.ClientStream
	cancel context.CancelFunc
}

func testContext(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func newServer(t testing.TB, opts ...Option) *Server {
	t.Helper()
	s := New(opts...)
	t.Cleanup(s.Close)
	return s
}

// dial connects and opens an RPC, but sends nothing.
func dial(t testing.TB, s *Server, header ...string) *client {
	t.Helper()
	return dialBy(t, s, s.Dialer(), header...)
}

// dialBy is dial over connections of the test's making.
func dialBy(t testing.TB, s *Server, dialer func(context.Context, string) (net.Conn, error), header ...string) *client {
	t.Helper()
	creds := insecure.NewCredentials()
	if s.RootCAs() != nil {
		creds = credentials.NewTLS(&tls.Config{RootCAs: s.RootCAs(), ServerName: "127.0.0.1"})
	}
	conn, err := grpc.NewClient("passthrough:///server", grpc.WithTransportCredentials(creds), grpc.WithContextDialer(dialer),
		grpc.WithDefaultCallOptions(grpc.ForceCodecV2(wire.Codec())))
	if err != nil {
		t.Fatal(err)
	}
	return (&client{t: t, conn: conn}).another(header...)
}

// another opens an RPC on the same channel.
func (c *client) another(header ...string) *client {
	t, conn := c.t, c.conn
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	ctx = metadata.AppendToOutgoingContext(ctx, header...)
	stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, wire.Method)
	if err != nil {
		t.Fatal(err)
	}
	opened := &client{t, conn, stream, cancel}
	t.Cleanup(opened.close)
	return opened
}

func (c *client) close() {
	c.cancel()
	c.conn.Close()
}

func (c *client) send(b []byte) {
	c.t.Helper()
	// The verdict on a stream that has ended comes from receiving.
	if err := c.stream.SendMsg(&wire.Outgoing{Buffers: mem.BufferSlice{mem.SliceBuffer(b)}}); err != nil && err != io.EOF {
		c.t.Fatal(err)
	}
}

func (c *client) create() *client {
	c.t.Helper()
	c.send(wire.AppendCreateStream(nil, wire.CreateStream{Table: table, Type: wire.JSON, HasType: true}))
	return c
}

func (c *client) record(offset int64, rec string) {
	c.t.Helper()
	c.send(append(wire.AppendSinglePrefix(nil, offset, wire.JSON, len(rec)), rec...))
}

func (c *client) batch(offset int64, recs ...string) {
	c.t.Helper()
	var body []byte
	for _, r := range recs {
		body = wire.AppendRecord(body, []byte(r))
	}
	c.send(append(wire.AppendBatchPrefix(nil, offset, wire.JSON, len(body)), body...))
}

// receive returns the next response, or the error that ends the stream.
func (c *client) receive() (wire.Response, error) {
	var in wire.Incoming
	if err := c.stream.RecvMsg(&in); err != nil {
		return wire.Response{}, err
	}
	return wire.ParseResponse(in.Bytes)
}

// created takes the answer to create.
func (c *client) created() *client {
	c.t.Helper()
	r, err := c.receive()
	if err != nil || r.Kind != wire.ResponseCreated {
		c.t.Fatalf("the answer to create is %+v, %v", r, err)
	}
	return c
}

func (c *client) expectAck(offset int64) {
	c.t.Helper()
	r, err := c.receive()
	if want := (wire.Response{Kind: wire.ResponseAck, AckUpTo: offset, HasAck: true}); err != nil || r != want {
		c.t.Fatalf("got %+v, %v, want an ack of %d", r, err, offset)
	}
}

func (c *client) expectStatus(code codes.Code, text string) {
	c.t.Helper()
	r, err := c.receive()
	if status.Code(err) != code || !strings.Contains(status.Convert(err).Message(), text) {
		c.t.Fatalf("got %+v, %v, want %v %q", r, err, code, text)
	}
}

func (c *client) expectEnd() {
	c.t.Helper()
	if r, err := c.receive(); err != io.EOF {
		c.t.Fatalf("got %+v, %v, want the end of the stream", r, err)
	}
}

func texts(recs [][]byte) []string {
	out := []string{}
	for _, r := range recs {
		out = append(out, string(r))
	}
	return out
}

func expectRecords(t testing.TB, got [][]byte, want ...string) {
	t.Helper()
	if !slices.Equal(texts(got), append([]string{}, want...)) {
		t.Errorf("records are %q, want %q", texts(got), want)
	}
}

func TestDefaultServerAcknowledgesAndKeepsEverything(t *testing.T) {
	for name, opts := range map[string][]Option{"sockets": nil, "memory": {InMemory()}, "TLS": {TLS()}} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, opts...)
			c := dial(t, s, "x-databricks-zerobus-table-name", table, "authorization", "Bearer x").create().created()
			c.record(0, `{"n":0}`)
			c.expectAck(0)
			c.batch(1, `{"n":1}`, `{"n":2}`)
			c.expectAck(1)
			expectRecords(t, s.Records(table), `{"n":0}`, `{"n":1}`, `{"n":2}`)
			if err := c.stream.CloseSend(); err != nil {
				t.Fatal(err)
			}
			c.expectEnd()

			if err := s.WaitRecords(testContext(t), table, 3); err != nil {
				t.Error(err)
			}
			log, err := s.WaitConnection(testContext(t), 0)
			if err != nil {
				t.Fatal(err)
			}
			ended := func() bool { done, _ := log.Ended(); return done }
			if err := s.WaitFor(testContext(t), ended); err != nil {
				t.Fatal(err)
			}
			if _, err := log.Ended(); err != nil || !log.HalfClosed() {
				t.Errorf("ended with %v, half closed %v", err, log.HalfClosed())
			}
			if got := log.Metadata().Get("authorization"); !slices.Equal(got, []string{"Bearer x"}) {
				t.Errorf("authorization is %q", got)
			}
			if create, ok := log.Create(); !ok || create.Table != table || create.RecordType != 2 || create.Descriptor != nil {
				t.Errorf("create is %+v, %v", create, ok)
			}
			requests := log.Requests()
			if len(requests) != 2 || requests[0].Batch || !requests[1].Batch || requests[1].Offset != 1 || !requests[1].JSON {
				t.Errorf("requests are %+v", requests)
			}
			expectRecords(t, log.Records(), `{"n":0}`, `{"n":1}`, `{"n":2}`)
		})
	}
}

func TestBreakingTheProtocolIsInvalidArgument(t *testing.T) {
	descriptor := []byte{1}
	create := func(c wire.CreateStream) []byte { return wire.AppendCreateStream(nil, c) }
	tests := []struct {
		name string
		send func(c *client)
		want string
	}{
		{"record first", func(c *client) { c.record(0, "{}") }, "not create_stream"},
		{"garbage first", func(c *client) { c.send([]byte{0xff}) }, "malformed"},
		{"no table", func(c *client) { c.send(create(wire.CreateStream{Type: wire.JSON, HasType: true})) }, "table name is empty"},
		{"other table than the header", func(c *client) {
			c.send(create(wire.CreateStream{Table: "a.b.c", Type: wire.JSON, HasType: true}))
		}, "differs from the header's"},
		{"type unspecified", func(c *client) {
			c.send(create(wire.CreateStream{Table: table, Descriptor: descriptor, HasType: true}))
		}, "Record type is not specified"},
		{"no descriptor", func(c *client) { c.send(create(wire.CreateStream{Table: table})) }, "descriptor"},
		{"create twice", func(c *client) { c.create().created().create() }, "create_stream, not a record"},
		{
			"gap", func(c *client) { c.create().created().record(1, "{}") },
			"Non-incremental offset: expected 0, actual 1. Error Code: 4002, Error State: 0.",
		},
		{"no offset", func(c *client) { c.create().created().send([]byte{0x12, 0x02, 0x1a, 0x00}) }, "no offset"},
		{"no payload", func(c *client) { c.create().created().send([]byte{0x12, 0x02, 0x08, 0x00}) }, "no records"},
		{"wrong type", func(c *client) { c.create().created().send(wire.AppendSinglePrefix(nil, 0, wire.Proto, 0)) }, "PROTO"},
		{"damaged batch", func(c *client) {
			c.create().created().send(append(wire.AppendBatchPrefix(nil, 0, wire.JSON, 2), 0x0a, 0x05))
		}, "malformed batch at offset 0"},
		{"too large", func(c *client) { c.create().created().record(0, strings.Repeat("x", wire.MaxRequest+1)) }, "limit"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newServer(t)
			c := dial(t, s, "x-databricks-zerobus-table-name", table)
			tt.send(c)
			c.expectStatus(codes.InvalidArgument, tt.want)
			expectRecords(t, s.Records(table))
		})
	}
}

// A gap after good records takes nothing from them.
func TestRecordsBeforeAFaultAreKept(t *testing.T) {
	s := newServer(t)
	c := dial(t, s).create().created()
	c.record(0, "a")
	c.expectAck(0)
	c.record(0, "again")
	c.expectStatus(codes.InvalidArgument, "expected 1, actual 0")
	expectRecords(t, s.Records(table), "a")
}

func TestScriptGoesFromConnectionToConnection(t *testing.T) {
	s := newServer(t)
	s.Script(
		Refuse(codes.Unavailable, "starting"),
		Accept(On(1, Ack(0), Fail(codes.Internal, "lost the leader"))),
	)
	s.ScriptTable("a.b.c", RefuseAtOnce(codes.PermissionDenied, "no grant"))

	dial(t, s).create().expectStatus(codes.Unavailable, "starting")
	dial(t, s, "x-databricks-zerobus-table-name", "a.b.c").expectStatus(codes.PermissionDenied, "no grant")

	c := dial(t, s).create().created()
	c.record(0, "a")
	c.record(1, "b")
	c.expectAck(0)
	c.expectStatus(codes.Internal, "lost the leader")
	expectRecords(t, s.Records(table), "a") // "b" was not acknowledged

	c = dial(t, s).create().created() // beyond the script
	c.record(0, "b")
	c.expectAck(0)
	expectRecords(t, s.Records(table), "a", "b")

	s.Otherwise(Refuse(codes.NotFound, "gone"))
	for range 2 {
		dial(t, s).create().expectStatus(codes.NotFound, "gone")
	}
	if got := len(s.Connections()); got != 6 {
		t.Errorf("%d connections", got)
	}
	for i, c := range s.Connections() {
		if c.Number() != i {
			t.Errorf("connection %d has number %d", i, c.Number())
		}
	}
	expectRecords(t, s.Connections()[2].Records(), "a", "b")
}

func TestSteps(t *testing.T) {
	tests := []struct {
		name     string
		behavior Behavior
		client   func(t *testing.T, s *Server, c *client)
	}{
		{"a stream id of choice", Accept(StreamID("")), func(t *testing.T, _ *Server, c *client) {
			if r, err := c.create().receive(); err != nil || r != (wire.Response{Kind: wire.ResponseCreated}) {
				t.Errorf("%+v, %v", r, err)
			}
		}},
		{"AckAll leaves offsets with steps alone", Accept(AckAll(), On(1)), func(t *testing.T, s *Server, c *client) {
			c.create().created()
			c.record(0, "a")
			c.expectAck(0)
			c.record(1, "b")
			c.record(2, "c")
			c.expectAck(2)
			expectRecords(t, s.Records(table), "a", "b", "c")
		}},
		{"nothing is acknowledged unasked", Accept(OnClose(Fail(codes.Aborted, "closed"))), func(t *testing.T, s *Server, c *client) {
			c.create().created()
			c.record(0, "a")
			c.stream.CloseSend()
			c.expectStatus(codes.Aborted, "closed")
			expectRecords(t, s.Records(table))
			expectRecords(t, s.Connections()[0].Records(), "a")
		}},
		{"end at creation", Accept(OnCreate(End())), func(t *testing.T, _ *Server, c *client) { c.create().expectEnd() }},
		{"another answer to creation", Accept(OnCreate(Ack(0))), func(t *testing.T, _ *Server, c *client) { c.create().expectAck(0) }},
		{
			"responses of any kind", Accept(On(0, AckNothing(), CloseSignal(time.Second), CloseSignalNow(), Send([]byte{0x07}), End())),
			func(t *testing.T, _ *Server, c *client) {
				c.create().created().record(0, "a")
				for _, want := range []wire.Response{
					{Kind: wire.ResponseAck},
					{Kind: wire.ResponseClose, CloseIn: time.Second, HasCloseIn: true},
					{Kind: wire.ResponseClose},
				} {
					if r, err := c.receive(); err != nil || r != want {
						t.Errorf("%+v, %v, want %+v", r, err, want)
					}
				}
				if r, err := c.receive(); err == nil || status.Code(err) != codes.Unknown {
					t.Errorf("garbage was read as %+v, %v", r, err)
				}
				c.expectEnd()
			},
		},
		{"acknowledgements that go back or beyond", Accept(On(1, Ack(5), Ack(0))), func(t *testing.T, s *Server, c *client) {
			c.create().created().record(0, "a")
			c.record(1, "b")
			c.expectAck(5)
			c.expectAck(0)
			expectRecords(t, s.Records(table), "a", "b")
		}},
		{"kill", Accept(On(0, Kill())), func(t *testing.T, s *Server, c *client) {
			c.create().created().record(0, "a")
			c.expectStatus(codes.Unavailable, "")
		}},
		{"do", Accept(On(0, Do(func(c *Connection) { c.Fail(codes.DataLoss, "done") }), Ack(0))), func(t *testing.T, s *Server, c *client) {
			c.create().created().record(0, "a")
			c.expectStatus(codes.DataLoss, "done")
			expectRecords(t, s.Records(table)) // the step ended with the connection
		}},
		{
			"a step ends with the connection", Accept(On(0, Fail(codes.DataLoss, "end"), Do(func(*Connection) { panic("after the end") }))),
			func(t *testing.T, s *Server, c *client) {
				c.create().created().record(0, "a")
				c.expectStatus(codes.DataLoss, "end")
			},
		},
		{"AckAll does not go back behind a step", Accept(AckAll(), On(0, Ack(5))), func(t *testing.T, s *Server, c *client) {
			c.create().created().record(0, "a")
			c.expectAck(5)
			for offset := int64(1); offset <= 6; offset++ {
				c.record(offset, "b")
			}
			c.expectAck(6)
		}},
		{"a test in control", Accept(), func(t *testing.T, s *Server, c *client) {
			server, err := s.WaitConnection(testContext(t), 0)
			if err != nil {
				t.Fatal(err)
			}
			c.create().created().record(0, "a")
			if err := s.WaitFor(testContext(t), func() bool { return len(server.Requests()) == 1 }); err != nil {
				t.Fatal(err)
			}
			server.Ack(0)
			c.expectAck(0)
			server.End()
			c.expectEnd()
			server.Ack(1) // nothing happens
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newServer(t)
			s.Script(tt.behavior)
			tt.client(t, s, dial(t, s))
		})
	}
}

// N7: some servers send headers with the first response only.
func TestHeadersComeAtOnceUnlessLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(InMemory())
		s.Script(Accept(), Accept(LateHeaders()))
		for _, late := range []bool{false, true} {
			c := dial(t, s)
			headers := make(chan metadata.MD, 1)
			go func() {
				md, _ := c.stream.Header() // without headers, the error is for those who receive
				headers <- md
			}()
			synctest.Wait() // until nothing moves any more; nothing was sent yet
			if came := len(headers) == 1; came == late {
				t.Errorf("late %v: headers came before the first request: %v", late, came)
			}
			c.create().created()
			if <-headers == nil {
				t.Errorf("late %v: no headers", late)
			}
			c.close()
		}
		s.Close()
	})
}

// Flow control stops a client whose server does not read.
func TestStopReadingHoldsTheClientUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(InMemory())
		s.Script(Accept(OnCreate(StopReading())), Accept())
		for _, stopped := range []bool{true, false} {
			c := dial(t, s).create().created()
			const records = 100
			sent := 0
			done := make(chan struct{})
			go func() {
				defer close(done)
				rec := strings.Repeat("x", 64<<10)
				for sent < records {
					body := append(wire.AppendSinglePrefix(nil, int64(sent), wire.JSON, len(rec)), rec...)
					if c.stream.SendMsg(&wire.Outgoing{Buffers: mem.BufferSlice{mem.SliceBuffer(body)}}) != nil {
						return
					}
					sent++
				}
			}()
			synctest.Wait() // until nothing moves any more
			server := s.Connections()[len(s.Connections())-1]
			read := len(server.Requests())
			server.Ack(0)
			c.expectAck(0)
			c.close()
			<-done
			if stopped && (read != 0 || sent > records/10) || !stopped && (read != records || sent != records) {
				t.Errorf("stopped %v: %d records were sent, %d read", stopped, sent, read)
			}
		}
		s.Close()
	})
}

func TestTimeIsTheBubbles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(InMemory())
		s.Script(
			Accept(AckAllAfter(50*time.Millisecond), After(5*time.Second, Fail(codes.Unavailable, "timeout"))),
			Silent(),
		)
		start := time.Now()
		c := dial(t, s).create().created()
		c.record(0, "a")
		c.record(1, "b")
		c.expectAck(0)
		if d := time.Since(start); d != 50*time.Millisecond {
			t.Errorf("the ack came after %v", d)
		}
		c.expectAck(1)
		c.expectStatus(codes.Unavailable, "timeout")
		if d := time.Since(start); d != 5*time.Second {
			t.Errorf("the end came after %v", d)
		}

		c = dial(t, s).create()
		c.expectStatus(codes.DeadlineExceeded, "")
		if d := time.Since(start); d != 15*time.Second { // dial's own deadline
			t.Errorf("a silent server was given up after %v", d)
		}
		s.Close()
	})
}

func TestKillAfterAWaitLosesNothingThatWasSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(InMemory())
		s.Otherwise(Accept(On(0, Ack(0), Wait(time.Millisecond), Kill())))
		for range 50 {
			c := dial(t, s).create().created()
			c.record(0, "a")
			c.expectAck(0)
			c.expectStatus(codes.Unavailable, "")
			c.close()
		}
		s.Close()
	})
}

// What was to be acknowledged later is acknowledged before the stream ends.
func TestHalfCloseWaitsForSteps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(InMemory())
		s.Script(Accept(AckAllAfter(time.Second)))
		c := dial(t, s).create().created()
		c.record(0, "a")
		c.stream.CloseSend()
		c.expectAck(0)
		c.expectEnd()
		expectRecords(t, s.Records(table), "a")
		c.close()
		s.Close()
	})
}

func TestCloseEndsWhatRuns(t *testing.T) {
	s := New()
	s.Script(Silent(), Accept(On(0, Wait(time.Hour)), After(time.Hour)), Accept(On(0, StopReading())))
	clients := []*client{dial(t, s).create()}
	if _, err := s.WaitConnection(testContext(t), 0); err != nil { // the first one takes the first line of the script
		t.Fatal(err)
	}
	clients = append(clients, dial(t, s).create().created(), dial(t, s).create().created())
	clients[1].record(0, "a")
	clients[2].record(0, "a")
	if err := s.WaitFor(testContext(t), func() bool {
		_, ok := s.Connections()[0].Create()
		return ok && len(s.Connections()[1].Requests()) == 1 && len(s.Connections()[2].Requests()) == 1
	}); err != nil {
		t.Fatal(err)
	}
	s.Close()
	for _, c := range clients {
		c.expectStatus(codes.Unavailable, "")
	}
	for _, c := range s.Connections() {
		if done, err := c.Ended(); !done || err == nil {
			t.Errorf("connection %d: ended %v with %v", c.Number(), done, err)
		}
	}
}

func TestWaitingIsBounded(t *testing.T) {
	s := newServer(t)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := s.WaitRecords(ctx, table, 1); !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "0 durable") {
		t.Errorf("%v", err)
	}
	if _, err := s.WaitConnection(ctx, 0); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

func TestTokenEndpoint(t *testing.T) {
	for name, opts := range map[string][]Option{"sockets": nil, "memory": {InMemory()}, "TLS": {TLS()}} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, opts...)
			post := func(id, secret string) (int, string) {
				t.Helper()
				form := url.Values{"scope": {"all-apis"}}
				req, err := http.NewRequestWithContext(testContext(t), http.MethodPost, s.WorkspaceURL()+"/oidc/v1/token", strings.NewReader(form.Encode()))
				if err != nil {
					t.Fatal(err)
				}
				req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
				req.SetBasicAuth(id, secret)
				resp, err := s.HTTPClient().Do(req)
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				body, err := io.ReadAll(resp.Body)
				if err != nil {
					t.Fatal(err)
				}
				return resp.StatusCode, string(body)
			}
			code, first := post("anyone", "anything")
			if code != 200 || !strings.Contains(first, "access_token") {
				t.Errorf("%d %s", code, first)
			}
			if _, second := post("anyone", "anything"); second == first {
				t.Error("two tokens are the same")
			}
			s.AcceptOnly("id", "secret")
			if code, _ := post("id", "secret"); code != 200 {
				t.Errorf("%d", code)
			}
			if code, body := post("id", "wrong"); code != 401 || !strings.Contains(body, "invalid_client") {
				t.Errorf("%d %s", code, body)
			}
			s.RefuseTokens(503, "busy", "come back")
			if code, body := post("id", "secret"); code != 503 || !strings.Contains(body, "come back") {
				t.Errorf("%d %s", code, body)
			}
			s.HandleToken(nil)
			if code, _ := post("any", "any"); code != 200 {
				t.Errorf("%d", code)
			}
			requests := s.TokenRequests()
			if len(requests) != 6 || requests[3].ClientID != "id" || requests[3].ClientSecret != "wrong" ||
				requests[3].Form.Get("scope") != "all-apis" {
				t.Errorf("requests are %+v", requests)
			}
		})
	}
}
