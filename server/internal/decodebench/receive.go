package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/zerobus-go/zerobus"
	"github.com/zerobus-go/zerobus/internal/wire"
	"github.com/zerobus-go/zerobus/schema"
	"github.com/zerobus-go/zerobus/server/internal/admission"
	"github.com/zerobus-go/zerobus/server/internal/gateway"
	"github.com/zerobus-go/zerobus/server/internal/loadgen"
)

// received is a line of the output of receive.
type received struct {
	Shape    string           `json:"shape"`
	Encoding loadgen.Encoding `json:"encoding"`
	Bytes    int              `json:"record_bytes"`
	Streams  int              `json:"streams"`
	Delay    float64          `json:"delay_ms"` // of the network, each way
	MB       []float64        `json:"mb_s"`     // of each round
}

// receiveAll is the command.
func receiveAll(ctx context.Context, c config, out io.Writer) error {
	enc := json.NewEncoder(out)
	for _, s := range c.shapes {
		for _, e := range c.encodings {
			r := received{Shape: s.Name, Encoding: e, Bytes: s.Size(e), Streams: c.streams, Delay: float64(c.delay) / 1e6}
			for range c.rounds {
				rate, err := receive(ctx, s, e, c)
				if err != nil {
					return fmt.Errorf("receive %s, %s: %w", s.Name, e, err)
				}
				r.MB = append(r.MB, rate*float64(r.Bytes)/1e6)
			}
			if err := enc.Encode(r); err != nil {
				return err
			}
		}
	}
	return nil
}

// receive sends records for a time to a server that decodes them, and returns how many were acknowledged in a second.
func receive(ctx context.Context, s *loadgen.Shape, e loadgen.Encoding, c config) (rate float64, err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	srv := grpc.NewServer(gateway.New(&admission.Gate{}, gateway.Options{}).ServerOptions()...)
	srv.RegisterService(&grpc.ServiceDesc{
		ServiceName: wire.Service, HandlerType: (*any)(nil),
		Streams: []grpc.StreamDesc{{
			StreamName: "EphemeralStream", ServerStreams: true, ClientStreams: true,
			Handler: func(_ any, ss grpc.ServerStream) error { return newSink(ss, s, e).serve() },
		}},
	}, nil)
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()
	defer func() {
		srv.Stop()
		err = errors.Join(err, <-served)
	}()
	endpoint := "http://" + l.Addr().String()
	if c.delay > 0 {
		k, linkErr := newLink(l.Addr().String(), c.delay)
		if linkErr != nil {
			return 0, linkErr
		}
		defer func() { err = errors.Join(err, k.close()) }()
		endpoint = "http://" + k.Addr().String()
	}
	sdk, err := zerobus.New(endpoint, endpoint, zerobus.WithoutProxy())
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, sdk.Close()) }()
	return send(ctx, sdk, s, e, c.streams, c.length)
}

// properties are the table as the client names it.
func properties(s *loadgen.Shape, e loadgen.Encoding) (zerobus.TableProperties, error) {
	const name = "main.default.bench"
	if e == loadgen.JSON {
		return zerobus.Table(name), nil
	}
	md, err := schema.Resolve(s.Descriptor())
	if err != nil {
		return zerobus.TableProperties{}, err
	}
	return zerobus.ProtoTable(name, dynamicpb.NewMessage(md)), nil
}

func send(ctx context.Context, sdk *zerobus.SDK, s *loadgen.Shape, e loadgen.Encoding, streams int, d time.Duration) (rate float64, err error) {
	table, err := properties(s, e)
	if err != nil {
		return 0, err
	}
	var acked atomic.Int64
	anybody := zerobus.BearerTokens(func(context.Context) (string, error) { return "bench", nil })
	open := make([]*zerobus.Stream, streams)
	for i := range open {
		if open[i], err = sdk.CreateStream(ctx, table, anybody, zerobus.WithAckCallback(func(a zerobus.AckInfo) {
			if a.Err == nil {
				acked.Add(a.Last - a.First + 1)
			}
		})); err != nil {
			return 0, err
		}
		defer func() { err = errors.Join(err, open[i].Close(ctx)) }() // again, unless something failed
	}
	failed := make([]error, streams)
	var wait sync.WaitGroup
	began := time.Now()
	for i, stream := range open {
		wait.Go(func() {
			m := loadgen.NewMaker(s, e, i, streams)
			for n := 0; failed[i] == nil && (n == 0 || n&63 > 0 || time.Since(began) < d); n++ {
				if failed[i] = one(ctx, stream, m, e); errors.Is(failed[i], loadgen.ErrUsedUp) {
					m, failed[i] = loadgen.NewMaker(s, e, i, streams), nil // the sink keeps nothing: an id may come twice
				}
			}
			failed[i] = errors.Join(failed[i], stream.Close(ctx))
		})
	}
	wait.Wait()
	took := time.Since(began)
	return float64(acked.Load()) / took.Seconds(), errors.Join(failed...)
}

func one(ctx context.Context, stream *zerobus.Stream, m *loadgen.Maker, e loadgen.Encoding) error {
	b, err := m.Next()
	if err != nil {
		return err
	}
	rec := zerobus.ProtoBytes(b)
	if e == loadgen.JSON {
		rec = zerobus.JSONBytes(b)
	}
	_, err = stream.Ingest(ctx, rec)
	return err
}

// sink is the server's end of a stream: it decodes, and keeps nothing.
type sink struct {
	ss       grpc.ServerStream
	shape    *loadgen.Shape
	encoding loadgen.Encoding
}

func newSink(ss grpc.ServerStream, s *loadgen.Shape, e loadgen.Encoding) *sink {
	return &sink{ss, s, e}
}

func (s *sink) serve() error {
	d, c, err := decoder(s.shape, s.encoding)
	if err != nil {
		return err
	}
	var req wire.Request
	for {
		var frame wire.Frame
		if err := s.ss.RecvMsg(&frame); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		answer := wire.Response{Kind: wire.ResponseCreated, StreamID: "bench"}
		if err := wire.ParseRequest(frame.Bytes(), &req); err != nil {
			return err
		}
		if req.Kind != wire.RequestCreate {
			c.Reset()
			for rec, rest, err := next(&req); rec != nil || err != nil; rec, rest, err = wire.NextRecord(rest) {
				if err != nil {
					return err
				}
				if err := d.Decode(c, rec); err != nil {
					return err
				}
			}
			answer = wire.Response{Kind: wire.ResponseAck, AckUpTo: req.Offset, HasAck: true}
		}
		frame.Free()
		if err := s.answer(answer); err != nil {
			return err
		}
	}
}

// next is the first record of a request, which may have one alone.
func next(r *wire.Request) (rec, rest []byte, err error) {
	if r.Kind == wire.RequestRecord {
		return r.Body, nil, nil
	}
	return wire.NextRecord(r.Body)
}

func (s *sink) answer(r wire.Response) error {
	return s.ss.SendMsg(&wire.Outgoing{Buffers: mem.BufferSlice{mem.SliceBuffer(wire.AppendResponse(nil, r))}})
}
