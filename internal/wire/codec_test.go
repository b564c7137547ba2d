package wire

import (
	"bytes"
	"context"
	"io"
	"net"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
)

// serve starts a server with the codec, and gives a connection to it.
func serve(t *testing.T, handler grpc.StreamHandler, dialOptions ...grpc.DialOption) *grpc.ClientConn {
	t.Helper()
	listener := bufconn.Listen(1 << 20)
	server := grpc.NewServer(grpc.ForceServerCodecV2(Codec()), grpc.MaxRecvMsgSize(64<<20), grpc.WaitForHandlers(true))
	server.RegisterService(&grpc.ServiceDesc{
		ServiceName: Service,
		Streams:     []grpc.StreamDesc{{StreamName: "EphemeralStream", ServerStreams: true, ClientStreams: true, Handler: handler}},
	}, nil)
	grpc_health_v1.RegisterHealthServer(server, health.NewServer())
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	conn, err := grpc.NewClient("passthrough:///codec", append(dialOptions,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		conn.Close()
		server.Stop()
		if err := <-done; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return conn
}

func open(t *testing.T, conn *grpc.ClientConn) grpc.ClientStream {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	t.Cleanup(cancel)
	stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, Method, grpc.ForceCodecV2(Codec()))
	if err != nil {
		t.Fatal(err)
	}
	return stream
}

// countingPool counts how often a buffer comes back.
type countingPool struct{ puts atomic.Int64 }

func (p *countingPool) Get(n int) *[]byte { b := make([]byte, n); return &b }
func (p *countingPool) Put(*[]byte)       { p.puts.Add(1) }

// A message of every size arrives as it was sent, in several pieces and in one, and every buffer is freed once.
func TestCodecCarriesMessagesOverARealConnection(t *testing.T) {
	contentTypes := make(chan []string, 1)
	conn := serve(t, func(_ any, stream grpc.ServerStream) error {
		md, _ := metadata.FromIncomingContext(stream.Context())
		contentTypes <- md.Get("content-type")
		for {
			var frame Frame
			err := stream.RecvMsg(&frame)
			if err == io.EOF {
				return nil
			}
			if err != nil {
				return err
			}
			echo := Outgoing{Buffers: mem.BufferSlice{mem.SliceBuffer(bytes.Clone(frame.Bytes()))}}
			frame.Free()
			frame.Free() // is allowed
			if frame.Bytes() != nil {
				return status.Error(codes.Internal, "a freed frame has bytes")
			}
			if err := stream.SendMsg(&echo); err != nil {
				return err
			}
		}
	}, grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(64<<20)))
	stream := open(t, conn)

	pool := &countingPool{}
	var in Incoming
	sizes := []int{0, 1, 1 << 10, 20_000, 1 << 20, 12 << 20, 5}
	for _, size := range sizes {
		message := bytes.Repeat([]byte{byte(size % 251)}, size)
		buf := make([]byte, 4<<10) // above grpc's threshold for pooling, so that the pool sees its end
		prefix := mem.NewBuffer(&buf, pool)
		n := copy(buf, message)
		out := Outgoing{Buffers: mem.BufferSlice{mem.SliceBuffer(nil), prefix, mem.SliceBuffer(message[n:])}}
		if err := stream.SendMsg(&out); err != nil {
			t.Fatalf("send %d: %v", size, err)
		}
		if err := stream.RecvMsg(&in); err != nil {
			t.Fatalf("receive %d: %v", size, err)
		}
		want := append(bytes.Clone(message[:n]), buf[n:]...) // the whole prefix buffer was sent
		want = append(want, message[n:]...)
		if !bytes.Equal(in.Bytes, want) {
			t.Errorf("message of %d bytes came back as %d bytes", len(want), len(in.Bytes))
		}
	}
	if err := stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	if err := stream.RecvMsg(&in); err != io.EOF {
		t.Fatalf("at the end: %v", err)
	}
	deadline := time.Now().Add(5 * time.Second)
	for pool.puts.Load() != int64(len(sizes)) {
		if time.Now().After(deadline) {
			t.Fatalf("%d of %d buffers were freed", pool.puts.Load(), len(sizes))
		}
		runtime.Gosched()
	}

	// The official clients announce no subtype.
	if got := <-contentTypes; len(got) != 1 || got[0] != "application/grpc" {
		t.Errorf("content-type is %q", got)
	}
	header, err := stream.Header()
	if err != nil {
		t.Fatal(err)
	}
	if got := header.Get("content-type"); len(got) != 1 || got[0] != "application/grpc" {
		t.Errorf("content-type of the response is %q", got)
	}
}

// Another service on the same server, with generated messages, and on a channel with the codec as its default.
func TestCodecCarriesProtobufMessages(t *testing.T) {
	nothing := func(any, grpc.ServerStream) error { return nil }
	for name, options := range map[string][]grpc.DialOption{
		"plain client":      nil,
		"client with codec": {grpc.WithDefaultCallOptions(grpc.ForceCodecV2(Codec()))},
	} {
		t.Run(name, func(t *testing.T) {
			conn := serve(t, nothing, options...)
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			defer cancel()
			resp, err := grpc_health_v1.NewHealthClient(conn).Check(ctx, &grpc_health_v1.HealthCheckRequest{})
			if err != nil || resp.GetStatus() != grpc_health_v1.HealthCheckResponse_SERVING {
				t.Errorf("health is %v, %v", resp, err)
			}
		})
	}
}

func TestCodecRefusesOtherTypes(t *testing.T) {
	if _, err := Codec().Marshal("a string"); err == nil || !strings.Contains(err.Error(), "string") {
		t.Errorf("marshal: %v", err)
	}
	if err := Codec().Unmarshal(nil, new(int)); err == nil {
		t.Error("unmarshal into an int is no error")
	}
}

// Receiving again reuses the space, so a receiver of acknowledgements does not allocate for them.
func TestIncomingReusesItsSpace(t *testing.T) {
	codec := Codec()
	var in Incoming
	data := mem.BufferSlice{mem.SliceBuffer("0123456789"), mem.SliceBuffer("abc")}
	if err := codec.Unmarshal(data, &in); err != nil || string(in.Bytes) != "0123456789abc" {
		t.Fatalf("%q, %v", in.Bytes, err)
	}
	short := mem.BufferSlice{mem.SliceBuffer("xyz")}
	if allocs := testing.AllocsPerRun(100, func() { codec.Unmarshal(short, &in) }); allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
	if string(in.Bytes) != "xyz" {
		t.Errorf("%q", in.Bytes)
	}
}

// A frame must stay good when the transport has let go of the data that it came in.
func TestFrameOutlivesTheTransportsBuffers(t *testing.T) {
	for _, pieces := range []int{1, 3} {
		pool := &countingPool{}
		var data mem.BufferSlice
		var want []byte
		for i := range pieces {
			b := bytes.Repeat([]byte{byte('a' + i)}, 4<<10)
			want = append(want, b...)
			data = append(data, mem.NewBuffer(&b, pool))
		}
		var frame Frame
		if err := Codec().Unmarshal(data, &frame); err != nil {
			t.Fatal(err)
		}
		data.Free() // what gRPC does next
		if pieces == 1 && pool.puts.Load() != 0 {
			t.Error("the buffer went back while a frame refers to it")
		}
		if !bytes.Equal(frame.Bytes(), want) {
			t.Errorf("a frame of %d pieces has other bytes", pieces)
		}
		frame.Free()
		if got := pool.puts.Load(); got != int64(pieces) {
			t.Errorf("%d of %d buffers went back", got, pieces)
		}
	}
}
