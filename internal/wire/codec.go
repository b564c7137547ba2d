package wire

import (
	"google.golang.org/grpc/encoding"
	protocodec "google.golang.org/grpc/encoding/proto" // registers the codec that ours hands other messages to
	"google.golang.org/grpc/mem"
)

// Names of the one RPC.
const (
	Service = "databricks.zerobus.Zerobus"
	Method  = "/databricks.zerobus.Zerobus/EphemeralStream"
)

// Outgoing is a message to send, already encoded. SendMsg hands its buffers to the transport as they are and uses up one
// reference of each, also when it fails; the one exception is a client's SendMsg after CloseSend. The bytes must not
// change before the last reference is freed, which is some time after SendMsg has returned.
type Outgoing struct {
	Buffers mem.BufferSlice
}

// Incoming is a received message as one piece that the caller owns. Receiving into it again writes over Bytes and
// reuses its space, so a loop with one Incoming does not allocate.
type Incoming struct {
	Bytes []byte
}

// Frame is a received message as one piece in a pooled buffer. Large messages come to a server without a copy where the
// transport has them in one piece, and with one copy otherwise.
//
// A Frame is owned by one goroutine at a time, which calls Free once it needs neither Bytes nor views into it.
// Receiving into a Frame that was not freed forgets the older message: its buffer then goes to the garbage collector
// instead of the pool, and views into it stay good.
type Frame struct {
	buf mem.Buffer
}

// Bytes returns the message, good until Free.
func (f *Frame) Bytes() []byte {
	if f.buf == nil {
		return nil
	}
	return f.buf.ReadOnlyData()
}

// Free gives the buffer back. It may be called more than once.
func (f *Frame) Free() {
	if f.buf != nil {
		f.buf.Free()
		f.buf = nil
	}
}

// Codec returns the codec for both ends of the RPC. It handles *[Outgoing], *[Incoming] and *[Frame] as they are, and
// hands every other message to gRPC's protobuf codec, so that other services, health and reflection among them, can
// live on the same server.
//
// Its name is empty. The name is the content-subtype that a client announces, and the official clients announce none:
// their content-type is a plain application/grpc. So the codec cannot be registered; pass it with ForceCodecV2 or
// ForceServerCodecV2.
func Codec() encoding.CodecV2 {
	return codec{protobuf: encoding.GetCodecV2(protocodec.Name)}
}

type codec struct {
	protobuf encoding.CodecV2
}

func (codec) Name() string { return "" }

func (c codec) Marshal(v any) (mem.BufferSlice, error) {
	if m, ok := v.(*Outgoing); ok {
		return m.Buffers, nil
	}
	return c.protobuf.Marshal(v)
}

// Unmarshal may not keep data, which is freed when it returns, but for references of its own.
func (c codec) Unmarshal(data mem.BufferSlice, v any) error {
	switch m := v.(type) {
	case *Incoming:
		n := data.Len()
		if cap(m.Bytes) < n {
			m.Bytes = make([]byte, n)
		}
		m.Bytes = m.Bytes[:n]
		data.CopyTo(m.Bytes)
		return nil
	case *Frame:
		m.buf = data.MaterializeToBuffer(mem.DefaultBufferPool())
		return nil
	}
	return c.protobuf.Unmarshal(data, v)
}
