package gateway

import (
	"errors"
	"io"
	"log/slog"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/zerobus-go/zerobus/internal/wire"
	"github.com/zerobus-go/zerobus/server/internal/admission"
	"github.com/zerobus-go/zerobus/server/internal/column"
	"github.com/zerobus-go/zerobus/server/internal/decode"
	"github.com/zerobus-go/zerobus/server/internal/table"
	"github.com/zerobus-go/zerobus/server/internal/token"
	"github.com/zerobus-go/zerobus/server/internal/wal"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

const tableHeader = "x-databricks-zerobus-table-name"

// stream is one gRPC stream.
type stream struct {
	g      *Gateway
	ss     grpc.ServerStream
	id     string
	claims token.Claims
	header string // the table in the metadata
	log    *slog.Logger

	// Set by the handshake.
	name    string
	table   *table.Table
	shape   *table.Shape // its columns when the stream was opened
	decoder decode.Decoder
	room    column.Room // of the last large request
	kind    wire.RecordType
	numbers numbers
	chain   wal.Chain
	flow    admission.Flow
	held    atomic.Bool // the receiver waits for its rate
	told    bool        // the server's log says that records were lost; belongs to the log's goroutine

	opened   bool // the handler's: the handshake is done
	progress *progress
	sending  atomic.Int64       // since when the sender is in the transport, as the gateway's clock has it; 0 when it is not
	created  chan error         // the handshake's result; capacity 1
	leave    chan time.Duration // from the gateway to the handler: the client is to leave so soon; capacity 1
	signal   chan time.Duration // from the handler to the sender: a close signal, once; capacity 1
}

// serve runs one stream. Its return value is the stream's status.
func (g *Gateway) serve(ss grpc.ServerStream) (err error) {
	var s *stream
	defer func() { g.counters.over(s != nil && s.opened, err) }()
	md, _ := metadata.FromIncomingContext(ss.Context())
	claims, err := g.gate.Authenticate(first(md, "authorization"))
	if err != nil {
		return denied(err)
	}
	leave, err := g.gate.Enter(claims.PrincipalID)
	if err != nil {
		return denied(err)
	}
	defer leave()
	id, err := uuid.NewRandom()
	if err != nil {
		return trouble(err, "")
	}
	s = &stream{
		g: g, ss: ss, id: id.String(), claims: claims, header: first(md, tableHeader),
		progress: newProgress(), created: make(chan error, 1),
		leave: make(chan time.Duration, 1), signal: make(chan time.Duration, 1),
	}
	s.log = g.opts.Logger.With("stream", s.id, "principal", claims.PrincipalName)
	if producer := first(md, producerHeader); validProducer(producer) {
		s.log = s.log.With("producer", producer)
	}
	if !g.add(s) {
		return errClosing
	}
	defer g.remove(s)
	start := time.Now()
	// The receiver ends when RecvMsg fails, at the latest when this handler returns and gRPC cancels the stream.
	go s.receive(md)
	opened, err := s.handle()
	if status.Code(err) == codes.Aborted { // nothing else ends so
		ss.SetTrailer(metadata.Pairs(takenHeader, "1"))
	}
	durable, _, _ := s.progress.look()
	s.log.Info("stream closed", "table", opened, "requests", durable, "took", time.Since(start), "code", status.Code(err).String(), "err", err)
	return err
}

func first(md metadata.MD, key string) string {
	if v := md.Get(key); len(v) > 0 {
		return v[0]
	}
	return ""
}

// handle is the handler: it waits for the handshake and then watches the stream. It returns the stream's status, and the table
// as far as the handshake has come: s.name belongs to the receiver until then.
func (s *stream) handle() (opened string, err error) {
	handshake := time.NewTimer(s.g.opts.HandshakeTimeout)
	defer handshake.Stop()
	select {
	case err := <-s.created:
		if err != nil {
			return s.name, err
		}
	case <-s.leave:
		return "", errClosing
	case <-handshake.C:
		return "", status.Errorf(codes.DeadlineExceeded, "no create_stream request came within %s.", s.g.opts.HandshakeTimeout)
	case <-s.ss.Context().Done():
		return "", status.FromContextError(s.ss.Context().Err()).Err()
	}
	s.opened = true
	s.g.counters.opened.Add(1)
	return s.name, s.live()
}

// maxSilence is how long the server says nothing, twice at most, while requests wait to be durable: the last acknowledgement is
// repeated then. Clients give a server up that is silent for a minute, and send everything again to one that is busy enough.
const maxSilence = 5 * time.Second

// acknowledge is the sender: it answers the handshake, sends acknowledgements as rows become durable, and the close signal when
// the handler says so. It returns how the stream ends.
func (s *stream) acknowledge() error {
	if err := s.send(wire.Response{Kind: wire.ResponseCreated, StreamID: s.id}); err != nil {
		return err
	}
	s.log.Info("stream opened", "table", s.name, "format", s.kind.String())

	silence := time.NewTicker(maxSilence)
	defer silence.Stop()
	acked, said := int64(0), false // said: something, since the last tick
	for {
		durable, over, verdict := s.progress.look()
		if durable > acked {
			if err := s.send(wire.Response{Kind: wire.ResponseAck, AckUpTo: durable - 1, HasAck: true}); err != nil {
				return err
			}
			acked, said = durable, true
		}
		if over {
			return verdict
		}
		select {
		case <-s.progress.changed:
		case grace := <-s.signal:
			if err := s.send(wire.Response{Kind: wire.ResponseClose, CloseIn: grace, HasCloseIn: true}); err != nil {
				return err
			}
			said = true
		case <-silence.C:
			if !said && acked > 0 && (s.held.Load() || s.progress.waits()) {
				if err := s.send(wire.Response{Kind: wire.ResponseAck, AckUpTo: acked - 1, HasAck: true}); err != nil {
					return err
				}
			}
			said = false
		case <-s.ss.Context().Done():
			return status.FromContextError(s.ss.Context().Err()).Err()
		}
	}
}

func (s *stream) send(r wire.Response) error {
	s.sending.Store(max(1, int64(s.g.clock())))
	defer s.sending.Store(0)
	return s.ss.SendMsg(&wire.Outgoing{Buffers: mem.BufferSlice{mem.SliceBuffer(wire.AppendResponse(nil, r))}})
}

// receive reads the stream until its end or its first fault.
func (s *stream) receive(md metadata.MD) {
	// A record that makes the decoder panic is a bug here, and must not take other streams with it.
	defer func() {
		if p := recover(); p != nil {
			s.log.Error("panic", "panic", p, "stack", string(debug.Stack()))
			err := status.Error(codes.Internal, "the server met a bug of its own: its log has the details.")
			select {
			case s.created <- err:
			default:
			}
			s.progress.end(err)
		}
	}()
	defer func() {
		if s.numbers.lease != nil {
			s.numbers.lease.Release()
		}
		s.flow.Release()
	}()
	err := s.greet(md)
	if err == nil {
		err = s.handshake()
	}
	s.created <- err
	if err != nil {
		return
	}
	s.progress.end(s.records())
}

// handshake reads the first request, which opens the table.
func (s *stream) handshake() error {
	var f wire.Frame
	if err := s.ss.RecvMsg(&f); err != nil {
		if errors.Is(err, io.EOF) {
			return status.Error(codes.InvalidArgument, "the stream was closed before its create_stream request.")
		}
		return err
	}
	defer f.Free()
	var req wire.Request
	if err := wire.ParseRequest(f.Bytes(), &req); err != nil {
		return status.Errorf(codes.InvalidArgument, "the first request cannot be read: %v.", err)
	}
	if req.Kind != wire.RequestCreate {
		return status.Errorf(codes.InvalidArgument, "the first request of a stream must be create_stream, got %s.", req.Kind)
	}
	c := req.Create
	s.kind = c.Type
	if !c.HasType {
		s.kind = wire.Proto
	}
	t, err := s.g.gate.Table(s.ss.Context(), s.claims, s.header, c.Table)
	if err != nil {
		s.logTrouble("table not opened", err)
		return denied(err)
	}
	if s.table != nil && s.table != t { // it was dropped and made anew since the headers
		return trouble(table.ErrDropped, s.name)
	}
	s.table, s.name = t, t.Info().Name.String()
	s.shape = t.Shape()
	s.flow = s.g.gate.Flow(s.claims.PrincipalID, s.name)
	switch s.kind {
	case wire.Proto:
		if len(c.Descriptor) == 0 {
			return status.Errorf(codes.InvalidArgument, "table %s: a stream of protobuf records needs descriptor_proto.", s.name)
		}
		s.decoder, err = decode.NewProto(s.shape.Schema(), c.Descriptor)
	case wire.JSON:
		s.decoder, err = decode.NewJSON(s.shape.Schema())
	case wire.Unspecified:
		return status.Errorf(codes.InvalidArgument, "table %s: Record type is not specified.", s.name)
	default:
		return status.Errorf(codes.InvalidArgument, "table %s: record type %s is not supported: use PROTO or JSON.", s.name, s.kind)
	}
	if err != nil {
		return status.Errorf(codes.InvalidArgument, "table %s: %v.", s.name, err)
	}
	s.decoder = withCheck(s.decoder, s.shape)
	return nil
}

// logTrouble logs what is neither the client's fault nor the end of its stream. A log that is full or has stopped says so by itself,
// once, and every stream meets it again and again.
func (s *stream) logTrouble(msg string, err error, more ...any) {
	var d *admission.Denial
	switch {
	case errors.As(err, &d), s.ss.Context().Err() != nil:
		return
	case errors.Is(err, wal.ErrFull), errors.Is(err, wal.ErrPoisoned), errors.Is(err, wal.ErrChain),
		errors.Is(err, table.ErrTaken), errors.Is(err, table.ErrClosed), errors.Is(err, table.ErrProducers):
		s.log.Debug(msg, append([]any{"table", s.name, "err", err}, more...)...)
		return
	}
	s.log.Error(msg, append([]any{"table", s.name, "err", err}, more...)...)
}

// records takes requests until the client's half-close (nil) or the first fault.
func (s *stream) records() error {
	var f wire.Frame
	var req wire.Request
	for offset := int64(0); ; offset++ {
		switch err := s.ss.RecvMsg(&f); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		err := s.take(f.Bytes(), &req, offset)
		f.Free()
		if err != nil {
			return err
		}
	}
}

// errEnded stops the receiver of a stream whose end is decided; it is nobody's verdict.
var errEnded = errors.New("the stream has ended")

// check reads one request, all but its records.
func (s *stream) check(b []byte, req *wire.Request, offset int64) error {
	if err := wire.ParseRequest(b, req); err != nil {
		return status.Errorf(codes.InvalidArgument, "table %s, offset %d: the request cannot be read: %v.", s.name, offset, err)
	}
	switch {
	case req.Kind != wire.RequestRecord && req.Kind != wire.RequestBatch:
		return status.Errorf(codes.InvalidArgument, "table %s, offset %d: expected ingest_record or ingest_record_batch, got %s.", s.name, offset, req.Kind)
	case !req.HasOffset:
		return coded(codes.InvalidArgument, codeOffset, 0, "Non-incremental offset: expected %d, actual none", offset)
	case req.Offset != offset:
		return coded(codes.InvalidArgument, codeOffset, 0, "Non-incremental offset: expected %d, actual %d", offset, req.Offset)
	case req.Type == wire.Unspecified:
		return status.Errorf(codes.InvalidArgument, "table %s, offset %d: the request has no records.", s.name, offset)
	case req.Type != s.kind:
		return status.Errorf(codes.InvalidArgument, "table %s, offset %d: a %s record came on a stream of %s records.", s.name, offset, req.Type, s.kind)
	case len(req.Body) > s.g.opts.MaxRequestBytes:
		if n := recordBytes(req); n > s.g.opts.MaxRequestBytes {
			return status.Errorf(codes.InvalidArgument, "table %s, offset %d: the request has %d bytes of records, more than the limit of %d.", s.name, offset, n, s.g.opts.MaxRequestBytes)
		}
	}
	return nil
}

// recordBytes is the size of a request's records. What frames them in a batch does not count towards the limit: clients measure
// records. Where a batch is damaged its rest is left out; decode refuses it.
func recordBytes(req *wire.Request) (n int) {
	if req.Kind == wire.RequestRecord {
		return len(req.Body)
	}
	for body := req.Body; ; {
		rec, rest, err := wire.NextRecord(body)
		if rec == nil || err != nil {
			return n
		}
		n += len(rec)
		body = rest
	}
}

// take checks one request, decodes its records and hands them to the table: all of them or none.
func (s *stream) take(b []byte, req *wire.Request, offset int64) error {
	counters, received := &s.g.counters, s.g.clock()
	if err := s.check(b, req, offset); err != nil {
		counters.refused[RefusedRequest].Add(1)
		return err
	}
	s.held.Store(true)
	err := s.flow.Wait(s.ss.Context(), len(req.Body))
	s.held.Store(false)
	if err != nil {
		return denied(err)
	}
	first, repeats, err := s.number(req, offset)
	if err != nil {
		counters.refused[RefusedRequest].Add(1)
		return err
	}
	c := s.shape.Chunk()
	s.room.Make(c, len(req.Body))
	skipped, err := s.decode(c, req, offset, repeats)
	if err != nil {
		counters.refused[RefusedRecord].Add(1)
		s.table.Recycle(c)
		return err
	}
	s.room.Note(c, len(req.Body))
	counters.taken(c.Rows, skipped, len(req.Body))
	if !s.progress.append() {
		s.table.Recycle(c)
		return errEnded
	}
	if err := s.append(c, first+skipped, offset, received); err != nil {
		counters.refuse(err)
		s.progress.undo()
		s.table.Recycle(c)
		s.logTrouble("records not taken", err, "offset", offset)
		return trouble(err, s.name)
	}
	return nil
}

// append hands the rows to the table. first is the number of the first one, if they are a producer's.
func (s *stream) append(c *column.Chunk, first, offset int64, received time.Duration) error {
	n := &s.numbers
	rows := c.Rows // the chunk is not ours when they are durable
	settled := func(err error) { s.settled(err, offset, rows, received) }
	if n.lease == nil {
		return s.table.Append(s.ss.Context(), &s.chain, c, settled)
	}
	if first > maxNumber-int64(c.Rows) {
		return status.Errorf(codes.InvalidArgument, "table %s, offset %d: the numbers of the records go beyond %d.", s.name, offset, int64(maxNumber))
	}
	n.next, n.begun = first+int64(c.Rows), true
	if c.Rows > 0 {
		return n.lease.Append(first, c, settled)
	}
	// All of it is durable already. So is whatever came before: numbers rise along a stream.
	s.table.Recycle(c)
	s.progress.settle(nil)
	return nil
}

// settled runs on the log's goroutine.
func (s *stream) settled(err error, offset int64, rows int, received time.Duration) {
	if err == nil {
		s.g.counters.durable.Add(int64(rows))
		s.g.counters.ackTime.Observe(s.g.clock() - received)
	} else {
		s.g.counters.refuse(err)
		if !s.told { // all that came after are lost, too
			s.told = true
			s.logTrouble("records not durable", err, "offset", offset)
		}
		err = trouble(err, s.name)
	}
	s.progress.settle(err)
}

// sizeCheck is a mask: the decoded size is looked at every 64 records.
const sizeCheck = 63

// decode lays the request's records into c, but for the first ones if they are repeats. It says how many it skipped.
func (s *stream) decode(c *column.Chunk, req *wire.Request, offset, repeats int64) (skipped int64, err error) {
	if req.Kind == wire.RequestRecord {
		if repeats > 0 {
			return 1, nil
		}
		if err := s.decoder.Decode(c, req.Body); err != nil {
			return 0, refused(err, s.name, offset, 0, false)
		}
		return 0, nil
	}
	body := req.Body
	for row := 0; ; row++ {
		rec, rest, err := wire.NextRecord(body)
		switch {
		case err != nil:
			return 0, status.Errorf(codes.InvalidArgument, "table %s, offset %d, record %d of the batch cannot be read: %v.", s.name, offset, row, err)
		case rec == nil && row == 0:
			return 0, status.Errorf(codes.InvalidArgument, "table %s, offset %d: the batch has no records.", s.name, offset)
		case rec == nil:
			return skipped, s.checkSize(c, offset)
		}
		body = rest
		if skipped < repeats {
			skipped++
			continue
		}
		if err := s.decoder.Decode(c, rec); err != nil {
			return 0, refused(err, s.name, offset, row, true)
		}
		if row&sizeCheck == sizeCheck {
			if err := s.checkSize(c, offset); err != nil {
				return 0, err
			}
		}
	}
}

// checkSize bounds what a request may become: few bytes on the wire can be many in columns, when a table is wide.
func (s *stream) checkSize(c *column.Chunk, offset int64) error {
	if columns := c.Leaves(); int64(c.Rows)*int64(columns) > column.MaxCells {
		return status.Errorf(codes.InvalidArgument, "table %s, offset %d: a batch of more than %d records is too large for a table of %d columns: send smaller batches.",
			s.name, offset, column.MaxCells/columns, columns)
	}
	if n := c.Bytes(); n > s.g.opts.MaxChunkBytes {
		return status.Errorf(codes.InvalidArgument, "table %s, offset %d: the batch takes %d bytes in columns after %d records, more than the limit of %d: send smaller batches.",
			s.name, offset, n, c.Rows, s.g.opts.MaxChunkBytes)
	}
	return nil
}
