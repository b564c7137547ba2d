package sink

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/zerobus-go/zerobus"
	"github.com/zerobus-go/zerobus/internal/wire"
)

// both runs a test in plaintext and under TLS.
func both(t *testing.T, test func(t *testing.T, secure bool)) {
	for _, secure := range []bool{false, true} {
		t.Run(fmt.Sprintf("tls=%t", secure), func(t *testing.T) { test(t, secure) })
	}
}

func TestEachMessageIsAcknowledgedBeforeTheNext(t *testing.T) {
	both(t, func(t *testing.T, secure bool) {
		s, client := start(t, secure, Config{})
		r := create(t, dial(t, s, client))
		for i := range int64(200) {
			r.send(single(i, 20))
			if got := r.ack(); got != i {
				t.Fatalf("message %d was acknowledged up to %d", i, got)
			}
			if got := s.Stats().Messages; got != i+1 {
				t.Fatalf("%d messages are counted after the acknowledgement of message %d", got, i)
			}
		}
		r.closeOK()
		want := Stats{Connections: 1, Messages: 200}
		for i := range int64(200) {
			want.Bytes += int64(len(single(i, 20)))
		}
		if got := s.Stats(); got != want {
			t.Errorf("counted %+v; want %+v", got, want)
		}
		faultless(t, s)
	})
}

func TestMessagesOfEverySizeAreCounted(t *testing.T) {
	both(t, func(t *testing.T, secure bool) {
		s, client := start(t, secure, Config{Check: true})
		r := create(t, dial(t, s, client))
		var want Stats
		send := func(msg []byte, records int) {
			r.send(msg)
			want.Messages++
			want.Bytes += int64(len(msg))
			want.Records += int64(records)
		}
		want.Connections = 1
		sizes := []int{0, 1, 20, 1000, maxFrame - 20, maxFrame, maxFrame + 1, readSize + 1}
		received := make(chan struct{})
		go func() {
			defer close(received)
			r.ackedUpTo(int64(len(sizes)+8+3000) - 1)
		}()
		for _, size := range sizes {
			send(single(want.Messages, size), 1)
		}
		for range 8 { // batches of 1 MiB
			send(batch(want.Messages, 4096, 253), 4096)
		}
		for range 3000 {
			send(single(want.Messages, 25), 1)
		}
		<-received
		r.closeOK()
		if got := s.Stats(); got != want {
			t.Errorf("counted %+v; want %+v", got, want)
		}
		faultless(t, s)
	})
}

func TestTheSDKIsServed(t *testing.T) {
	const records = 20_000
	both(t, func(t *testing.T, secure bool) {
		s, client := start(t, secure, Config{Check: true})
		endpoint, opts := "http://"+s.Addr(), []zerobus.Option(nil)
		if secure {
			endpoint, opts = "https://"+s.Addr(), []zerobus.Option{zerobus.WithTLSConfig(client)}
		}
		sdk, err := zerobus.New(endpoint, "", opts...)
		if err != nil {
			t.Fatal(err)
		}
		defer sdk.Close()
		stream, err := sdk.CreateStream(t.Context(), zerobus.ProtoTable("main.default.bench", (*emptypb.Empty)(nil)),
			zerobus.StaticHeaders{{Name: "authorization", Value: "Bearer t"}})
		if err != nil {
			t.Fatal(err)
		}
		rec := zerobus.ProtoBytes(make([]byte, 220))
		for range records {
			if _, err := stream.Ingest(t.Context(), rec); err != nil {
				t.Fatal(err)
			}
		}
		if err := stream.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := s.Stats().Records; got != records {
			t.Errorf("%d records arrived; want %d", got, records)
		}
		faultless(t, s)
	})
}

func TestDelayedAcknowledgementsAreNotEarly(t *testing.T) {
	const delay, messages = 20 * time.Millisecond, 2000
	both(t, func(t *testing.T, secure bool) {
		s, client := start(t, secure, Config{AckDelay: delay, Check: true})
		r := create(t, dial(t, s, client))
		var mu sync.Mutex
		sent := make([]time.Time, 0, messages) // when each message was about to be sent
		received := make(chan struct{})
		go func() {
			defer close(received)
			for last := int64(-1); last < messages-1; {
				got := r.ack()
				mu.Lock()
				early := delay - time.Since(sent[got])
				mu.Unlock()
				if got <= last || early > 0 {
					t.Errorf("acknowledged up to %d after %d, %v early", got, last, early)
				}
				last = got
			}
		}()
		for i := range int64(messages) {
			mu.Lock()
			sent = append(sent, time.Now())
			mu.Unlock()
			r.send(single(i, 100))
		}
		<-received
		// The second time after the sink has fallen idle, and with the client's end right behind the message.
		at := time.Now()
		r.send(single(messages, 100))
		if err := r.stream.CloseSend(); err != nil {
			t.Fatal(err)
		}
		if got := r.ack(); got != messages {
			t.Errorf("acknowledged up to %d; want %d", got, messages)
		}
		if early := delay - time.Since(at); early > 0 {
			t.Errorf("the last acknowledgement is %v early", early)
		}
		if err := r.stream.RecvMsg(&r.in); err != io.EOF {
			t.Errorf("the stream ended with %v", err)
		}
		faultless(t, s)
	})
}

func TestStreamsShareAConnection(t *testing.T) {
	for _, delay := range []time.Duration{0, 3 * time.Millisecond} {
		t.Run(fmt.Sprintf("delay=%v", delay), func(t *testing.T) {
			const messages = 1000
			s, client := start(t, false, Config{AckDelay: delay, Check: true})
			cc := dial(t, s, client)
			a, b := create(t, cc), create(t, cc)
			var work sync.WaitGroup
			for _, r := range []*rpc{a, b} {
				work.Go(func() {
					for i := range int64(messages) {
						r.send(batch(i, 10, 50))
					}
				})
				work.Go(func() { r.ackedUpTo(messages - 1) })
			}
			work.Wait()
			a.closeOK()
			b.send(single(messages, 5))
			b.ackedUpTo(messages)
			b.closeOK()
			got := s.Stats()
			if got.Connections != 1 || got.Messages != 2*messages+1 || got.Records != 2*messages*10+1 {
				t.Errorf("counted %+v", got)
			}
			faultless(t, s)
		})
	}
}

func TestAFaultEndsItsStreamOnly(t *testing.T) {
	tests := []struct {
		name string
		send [][]byte
		want string
	}{
		{"gap", [][]byte{createStream(), single(0, 5), single(2, 5)}, "message 2: the offset is 2; it must be 1"},
		{"no create_stream", [][]byte{single(0, 5)}, "message 0: the first message is ingest_record; it must be create_stream"},
		{"second create_stream", [][]byte{createStream(), createStream()}, "message 1: the message is create_stream; it must"},
		{"no offset", [][]byte{createStream(), {0x12, 3, 0x12, 1, 'x'}}, "message 1: the message has no offset; it must be 0"},
		{"no payload", [][]byte{createStream(), {0x12, 2, 0x08, 0}}, "message 1: the message has no payload"},
		{"not protobuf", [][]byte{createStream(), {0xff}}, "message 1: "},
		{"broken batch", [][]byte{createStream(), append(wire.AppendBatchPrefix(nil, 0, wire.JSON, 2), 0x0a, 9)}, "message 1: "},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s, client := start(t, false, Config{Check: true})
			cc := dial(t, s, client)
			other := create(t, cc)
			r := call(t, cc, wire.Method)
			for _, msg := range test.send {
				r.send(msg)
			}
			var err error
			for err == nil {
				err = r.stream.RecvMsg(&r.in)
			}
			if status.Code(err) != codes.InvalidArgument {
				t.Errorf("the stream ended with %v; want InvalidArgument", err)
			}
			if err := s.Err(); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("the fault is %v; want %q", err, test.want)
			}
			other.send(single(0, 5))
			other.ackedUpTo(0)
			other.closeOK()
		})
	}
}

func TestAnUnknownMethodIsUnimplemented(t *testing.T) {
	s, client := start(t, false, Config{})
	r := call(t, dial(t, s, client), "/grpc.health.v1.Health/Check")
	if err := r.stream.RecvMsg(&r.in); status.Code(err) != codes.Unimplemented {
		t.Errorf("the stream ended with %v", err)
	}
	faultless(t, s)
}

func TestCloseEndsLiveConnections(t *testing.T) {
	both(t, func(t *testing.T, secure bool) {
		s, client := start(t, secure, Config{AckDelay: time.Hour})
		var streams []*rpc
		for range 3 {
			streams = append(streams, create(t, dial(t, s, client)))
		}
		silent, err := net.Dial("tcp", s.Addr())
		if err != nil {
			t.Fatal(err)
		}
		defer silent.Close()
		for _, r := range streams {
			r.send(single(0, 5)) // not due within the test
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		for _, r := range streams {
			if err := r.stream.RecvMsg(&r.in); status.Code(err) != codes.Unavailable {
				t.Errorf("the stream ended with %v; want Unavailable", err)
			}
		}
		if err := s.Close(); err != nil {
			t.Errorf("the second Close: %v", err)
		}
		if c, err := net.Dial("tcp", s.Addr()); err == nil {
			c.Close()
			t.Error("a closed sink takes connections")
		}
		faultless(t, s)
	})
}

func TestAFailedHandshakeIsAFault(t *testing.T) {
	s, client := start(t, true, Config{})
	d := tls.Dialer{Config: client}
	client.NextProtos = nil // not h2
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c, err := d.DialContext(ctx, "tcp", s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetReadDeadline(time.Now().Add(patience))
	if _, err := c.Read(make([]byte, 1)); err == nil {
		t.Error("a client without h2 is served")
	}
	if err := s.Err(); err == nil || !strings.Contains(err.Error(), "it must be h2") {
		t.Errorf("the fault is %v", err)
	}
}

func TestListenRefusesWhatItCannotDo(t *testing.T) {
	if s, err := Listen("127.0.0.1:0", Config{AckDelay: -1}); err == nil {
		s.Close()
		t.Error("a negative delay is taken")
	}
	if s, err := Listen("nowhere", Config{}); err == nil {
		s.Close()
		t.Error("an address without a port is taken")
	}
}
