package zerobus_test

import (
	"fmt"
	"net"
	"sync"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/zerobus-go/zerobus"
	"github.com/zerobus-go/zerobus/internal/wire"
)

// sink is a server that counts records and acknowledges every message, and keeps nothing.
type sink struct {
	grpc *grpc.Server
	addr string

	mu      sync.Mutex
	records int
}

func newSink(tb testing.TB) *sink {
	tb.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	s := &sink{addr: lis.Addr().String()}
	s.grpc = grpc.NewServer(grpc.ForceServerCodecV2(wire.Codec()), grpc.UnknownServiceHandler(s.handle),
		grpc.MaxRecvMsgSize(16<<20), grpc.InitialWindowSize(16<<20), grpc.InitialConnWindowSize(16<<20))
	done := make(chan struct{})
	go func() { s.grpc.Serve(lis); close(done) }()
	tb.Cleanup(func() { s.grpc.Stop(); <-done })
	return s
}

func (s *sink) handle(_ any, stream grpc.ServerStream) error {
	var in wire.Frame
	var req wire.Request
	for {
		if err := stream.RecvMsg(&in); err != nil {
			return nil
		}
		if err := wire.ParseRequest(in.Bytes(), &req); err != nil {
			return err
		}
		resp := wire.Response{Kind: wire.ResponseAck, AckUpTo: req.Offset, HasAck: true}
		n := 1
		switch req.Kind {
		case wire.RequestCreate:
			resp, n = wire.Response{Kind: wire.ResponseCreated, StreamID: "sink"}, 0
		case wire.RequestBatch:
			n = 0
			for body := req.Body; len(body) > 0; n++ {
				var err error
				if _, body, err = wire.NextRecord(body); err != nil {
					return err
				}
			}
		}
		in.Free()
		s.mu.Lock()
		s.records += n
		s.mu.Unlock()
		out := wire.Outgoing{}
		out.Buffers = append(out.Buffers, mem.SliceBuffer(wire.AppendResponse(nil, resp)))
		if err := stream.SendMsg(&out); err != nil {
			return err
		}
	}
}

// The whole way over a socket, in plaintext, to a server in the same program: client and server share the CPU.
func BenchmarkLoopback(b *testing.B) {
	for _, size := range []int{20, 220, 750, 10_000} {
		b.Run(fmt.Sprintf("proto=%d", size), func(b *testing.B) {
			srv := newSink(b)
			sdk, err := zerobus.New("http://"+srv.addr, "")
			if err != nil {
				b.Fatal(err)
			}
			defer sdk.Close()
			t := zerobus.ProtoTable(table, (*emptypb.Empty)(nil))
			s, err := sdk.CreateStream(b.Context(), t, auth, zerobus.WithMaxInflightRecords(1_000_000))
			if err != nil {
				b.Fatal(err)
			}
			rec := zerobus.ProtoBytes(make([]byte, size))
			b.SetBytes(int64(size))
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				if _, err := s.Ingest(b.Context(), rec); err != nil {
					b.Fatal(err)
				}
				n++
			}
			if err := s.Close(b.Context()); err != nil {
				b.Fatal(err)
			}
			if srv.records != n {
				b.Fatalf("%d records arrived; want %d", srv.records, n)
			}
			b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "rec/s")
		})
	}
}
