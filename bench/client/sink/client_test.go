package sink

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/mem"

	"github.com/zerobus-go/zerobus/internal/wire"
)

// patience bounds how long a test waits for what has to happen. It is no measure of speed.
const patience = 60 * time.Second

// start runs a sink until the end of the test. With secure, it serves TLS, and the result is what a client trusts.
func start(t testing.TB, secure bool, cfg Config) (*Sink, *tls.Config) {
	t.Helper()
	var client *tls.Config
	if secure {
		server, ca, err := SelfSigned()
		if err != nil {
			t.Fatal(err)
		}
		cfg.TLS = server
		client = &tls.Config{RootCAs: x509.NewCertPool()}
		if !client.RootCAs.AppendCertsFromPEM(ca) {
			t.Fatal("the authority's certificate cannot be used")
		}
	}
	s, err := Listen("127.0.0.1:0", cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s, client
}

// faultless fails the test if the sink has met a fault.
func faultless(t testing.TB, s *Sink) {
	t.Helper()
	if err := s.Err(); err != nil {
		t.Errorf("the sink met a fault: %v", err)
	}
}

func dial(t testing.TB, s *Sink, client *tls.Config) *grpc.ClientConn {
	t.Helper()
	creds := insecure.NewCredentials()
	if client != nil {
		creds = credentials.NewTLS(client)
	}
	cc, err := grpc.NewClient("passthrough:///"+s.Addr(), grpc.WithTransportCredentials(creds))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cc.Close() })
	return cc
}

// rpc is a stream of grpc-go that sends and receives messages as bytes.
type rpc struct {
	t      testing.TB
	stream grpc.ClientStream
	in     wire.Incoming
}

// call opens an RPC without a message.
func call(t testing.TB, cc *grpc.ClientConn, method string) *rpc {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	stream, err := cc.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, method,
		grpc.ForceCodecV2(wire.Codec()))
	if err != nil {
		t.Fatal(err)
	}
	return &rpc{t: t, stream: stream}
}

// create opens an RPC and the stream of records on it.
func create(t testing.TB, cc *grpc.ClientConn) *rpc {
	t.Helper()
	r := call(t, cc, wire.Method)
	r.send(createStream())
	if got := r.receive(); got.Kind != wire.ResponseCreated || got.StreamID != streamID {
		t.Fatalf("create_stream was answered by %+v", got)
	}
	return r
}

func (r *rpc) send(msg []byte) {
	r.t.Helper()
	if err := r.stream.SendMsg(&wire.Outgoing{Buffers: mem.BufferSlice{mem.SliceBuffer(msg)}}); err != nil {
		r.t.Fatalf("send: %v", err)
	}
}

func (r *rpc) receive() wire.Response {
	r.t.Helper()
	if err := r.stream.RecvMsg(&r.in); err != nil {
		r.t.Fatalf("receive: %v", err)
	}
	resp, err := wire.ParseResponse(r.in.Bytes)
	if err != nil {
		r.t.Fatal(err)
	}
	return resp
}

// ack receives an acknowledgement and returns its offset.
func (r *rpc) ack() int64 {
	r.t.Helper()
	resp := r.receive()
	if resp.Kind != wire.ResponseAck || !resp.HasAck {
		r.t.Fatalf("received %+v; want an acknowledgement", resp)
	}
	return resp.AckUpTo
}

// ackedUpTo receives acknowledgements, which have to rise, until one is up to want.
func (r *rpc) ackedUpTo(want int64) {
	r.t.Helper()
	for last := int64(-1); last < want; {
		got := r.ack()
		if got <= last || got > want {
			r.t.Fatalf("acknowledged up to %d, then up to %d, of %d", last, got, want)
		}
		last = got
	}
}

// closeOK ends the client's side and expects the server to end its own without an error.
func (r *rpc) closeOK() {
	r.t.Helper()
	if err := r.stream.CloseSend(); err != nil {
		r.t.Fatal(err)
	}
	if err := r.stream.RecvMsg(&r.in); err != io.EOF {
		r.t.Fatalf("the stream ended with %v", err)
	}
}

func createStream() []byte {
	return wire.AppendCreateStream(nil, wire.CreateStream{Table: "main.default.bench", Type: wire.JSON, HasType: true})
}

// single is a request with one record of size bytes.
func single(offset int64, size int) []byte {
	return append(wire.AppendSinglePrefix(nil, offset, wire.Proto, size), make([]byte, size)...)
}

// batch is a request with n records of size bytes.
func batch(offset int64, n, size int) []byte {
	var body []byte
	for range n {
		body = wire.AppendRecord(body, make([]byte, size))
	}
	return append(wire.AppendBatchPrefix(nil, offset, wire.Proto, len(body)), body...)
}
