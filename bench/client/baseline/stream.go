package baseline

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	"github.com/zerobus-go/zerobus/bench/client/baseline/pb"
)

const method = "/databricks.zerobus.Zerobus/EphemeralStream"

// Config says what to open. All of it is required.
type Config struct {
	Table      string
	Type       pb.RecordType
	Descriptor []byte // for PROTO
	Header     metadata.MD

	MaxInflightRecords int
	MaxInflightBytes   int
}

// Record is one ingest call on its way, a record or a batch, and the future of its acknowledgement.
type Record struct {
	stream *Stream
	offset int64
	req    *pb.EphemeralStreamRequest
	count  int
	size   int
	done   chan struct{} // closed when it is durable, or never will be
}

// Stream is one open stream.
type Stream struct {
	cfg    Config
	stream grpc.ClientStream

	senderDone, receiverDone chan struct{}

	mu      sync.Mutex
	room    sync.Cond // somebody may ingest
	work    sync.Cond // the sender may go on
	waiting int       // producers that wait for room

	// The following are guarded by mu.
	next     int64
	inflight []*Record // inflight[head:sent] is sent and not acknowledged, inflight[sent:] is not sent
	head     int
	sent     int
	records  int
	bytes    int
	closed   bool // no more records
	err      error
}

// Open creates the stream and waits for the server's answer. ctx is the stream's life.
func Open(ctx context.Context, cc *grpc.ClientConn, cfg Config) (*Stream, error) {
	desc := grpc.StreamDesc{StreamName: "EphemeralStream", ClientStreams: true, ServerStreams: true}
	stream, err := cc.NewStream(metadata.NewOutgoingContext(ctx, cfg.Header), &desc, method)
	if err != nil {
		return nil, err
	}
	create := &pb.CreateIngestStreamRequest{
		TableName: proto.String(cfg.Table), RecordType: cfg.Type.Enum(), DescriptorProto: cfg.Descriptor,
	}
	err = stream.SendMsg(&pb.EphemeralStreamRequest{Payload: &pb.EphemeralStreamRequest_CreateStream{CreateStream: create}})
	if err != nil {
		return nil, err
	}
	var resp pb.EphemeralStreamResponse
	if err := stream.RecvMsg(&resp); err != nil {
		return nil, err
	}
	if resp.GetCreateStreamResponse().GetStreamId() == "" {
		return nil, fmt.Errorf("the server answered create_stream with %v", &resp)
	}
	s := &Stream{cfg: cfg, stream: stream, senderDone: make(chan struct{}), receiverDone: make(chan struct{})}
	s.room.L, s.work.L = &s.mu, &s.mu
	go s.send()
	go s.receive()
	return s, nil
}

// Ingest queues a copy of a record. It waits while the limits are reached.
func (s *Stream) Ingest(rec []byte) (*Record, error) {
	ingest := &pb.IngestRecordRequest{}
	if s.cfg.Type == pb.RecordType_JSON {
		ingest.Record = &pb.IngestRecordRequest_JsonRecord{JsonRecord: string(rec)}
	} else {
		ingest.Record = &pb.IngestRecordRequest_ProtoEncodedRecord{ProtoEncodedRecord: bytes.Clone(rec)}
	}
	req := &pb.EphemeralStreamRequest{Payload: &pb.EphemeralStreamRequest_IngestRecord{IngestRecord: ingest}}
	return s.add(&Record{stream: s, req: req, count: 1, size: len(rec), done: make(chan struct{})}, &ingest.OffsetId)
}

// IngestBatch queues copies of records as one message.
func (s *Stream) IngestBatch(recs [][]byte) (*Record, error) {
	ingest := &pb.IngestRecordBatchRequest{}
	if s.cfg.Type == pb.RecordType_JSON {
		texts := make([]string, len(recs))
		for i, rec := range recs {
			texts[i] = string(rec)
		}
		ingest.Batch = &pb.IngestRecordBatchRequest_JsonBatch{JsonBatch: &pb.JsonRecordBatch{Records: texts}}
	} else {
		copies := make([][]byte, len(recs))
		for i, rec := range recs {
			copies[i] = bytes.Clone(rec)
		}
		ingest.Batch = &pb.IngestRecordBatchRequest_ProtoEncodedBatch{ProtoEncodedBatch: &pb.ProtoEncodedRecordBatch{Records: copies}}
	}
	size := 0
	for _, rec := range recs {
		size += len(rec)
	}
	req := &pb.EphemeralStreamRequest{Payload: &pb.EphemeralStreamRequest_IngestRecordBatch{IngestRecordBatch: ingest}}
	return s.add(&Record{stream: s, req: req, count: len(recs), size: size, done: make(chan struct{})}, &ingest.OffsetId)
}

// add puts a call at the end of the queue, and its offset into its request.
func (s *Stream) add(r *Record, offset **int64) (*Record, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.err == nil && s.records > 0 && (s.records+r.count > s.cfg.MaxInflightRecords || s.bytes+r.size > s.cfg.MaxInflightBytes) {
		s.waiting++
		s.room.Wait()
		s.waiting--
	}
	switch {
	case s.err != nil:
		return nil, s.err
	case s.closed:
		return nil, errors.New("the stream is closed")
	}
	r.offset = s.next
	*offset = &r.offset
	s.next++
	s.records += r.count
	s.bytes += r.size
	s.inflight = append(s.inflight, r)
	s.work.Signal()
	return r, nil
}

// Wait waits until the call is durable.
func (r *Record) Wait(ctx context.Context) error {
	select {
	case <-r.done:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	r.stream.mu.Lock()
	defer r.stream.mu.Unlock()
	return r.stream.err
}

// Flush waits until everything that was ingested is durable.
func (s *Stream) Flush(ctx context.Context) error {
	s.mu.Lock()
	var last *Record
	if s.head < len(s.inflight) {
		last = s.inflight[len(s.inflight)-1]
	}
	err := s.err
	s.mu.Unlock()
	if last == nil {
		return err
	}
	return last.Wait(ctx)
}

// Close flushes and ends the stream.
func (s *Stream) Close(ctx context.Context) error {
	err := s.Flush(ctx)
	s.mu.Lock()
	s.closed = true
	s.work.Signal()
	s.mu.Unlock()
	<-s.senderDone
	<-s.receiverDone
	return err
}

// send sends what is queued, one message a record.
func (s *Stream) send() {
	defer close(s.senderDone)
	for {
		s.mu.Lock()
		for s.sent == len(s.inflight) && !s.closed && s.err == nil {
			s.work.Wait()
		}
		if s.sent == len(s.inflight) || s.err != nil {
			s.mu.Unlock()
			s.stream.CloseSend()
			return
		}
		r := s.inflight[s.sent]
		s.sent++
		s.mu.Unlock()
		if s.stream.SendMsg(r.req) != nil {
			return // the receiver has the reason
		}
	}
}

// receive settles acknowledgements until the stream ends.
func (s *Stream) receive() {
	defer close(s.receiverDone)
	for {
		var resp pb.EphemeralStreamResponse
		if err := s.stream.RecvMsg(&resp); err != nil {
			s.end(err)
			return
		}
		ack := resp.GetIngestRecordResponse()
		if ack == nil {
			continue
		}
		s.acknowledge(ack.GetDurabilityAckUpToOffset())
	}
}

func (s *Stream) acknowledge(upTo int64) {
	s.mu.Lock()
	for s.head < s.sent && s.inflight[s.head].offset <= upTo {
		r := s.inflight[s.head]
		s.inflight[s.head] = nil
		s.head++
		s.records -= r.count
		s.bytes -= r.size
		close(r.done)
	}
	if s.head > len(s.inflight)/2 {
		n := copy(s.inflight, s.inflight[s.head:])
		clear(s.inflight[n:])
		s.inflight, s.sent, s.head = s.inflight[:n], s.sent-s.head, 0
	}
	if s.waiting > 0 {
		s.room.Broadcast()
	}
	s.mu.Unlock()
}

// end is what comes after the last response.
func (s *Stream) end(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == io.EOF {
		err = nil
		if s.head < len(s.inflight) {
			err = errors.New("the server ended the stream before it had acknowledged everything")
		}
	}
	s.closed = true
	s.err = err
	for _, r := range s.inflight[s.head:] {
		close(r.done)
	}
	s.room.Broadcast()
	s.work.Broadcast()
}
