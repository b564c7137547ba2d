package zerobus

import (
	"context"
	"fmt"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"

	"github.com/zerobus-go/zerobus/internal/wire"
)

// This is the way of a record into the window: it is checked, room is reserved for it, and it is written into the open
// range in its wire form. Bytes are copied there, once. A message is encoded there. What encoding/json makes of a value is
// copied there from where encoding/json has made it.

const (
	opIngest = "ingest"
	opBatch  = "ingest batch"
)

// ingest is Ingest and TryIngest.
func (p *pipeline) ingest(ctx context.Context, rec *Record, block bool) (Ack, error) {
	if rec.kind == kind(p.typ) && (p.typ == RecordTypeProto || utf8.Valid(rec.data)) {
		return p.add(ctx, rec.data, block)
	}
	switch {
	case rec.kind.typ() != p.typ && !p.transcodes(rec):
		return Ack{}, p.invalid(opIngest, rec.wrongType(p.typ))
	case rec.kind.lazy():
		return p.addLazy(ctx, rec, block)
	case rec.kind.typ() != p.typ:
		return p.addTranscoded(ctx, rec.data, block)
	}
	return Ack{}, p.invalid(opIngest, errInvalidUTF8)
}

// transcodes reports whether rec is a JSON record that the stream sends as protobuf.
func (p *pipeline) transcodes(rec *Record) bool {
	return p.table.described != nil && rec.kind.typ() == RecordTypeJSON
}

// addTranscoded encodes a JSON record as protobuf, outside the lock, and copies it into the window.
func (p *pipeline) addTranscoded(ctx context.Context, text []byte, block bool) (Ack, error) {
	s := spaces.Get().(*space)
	defer s.free()
	var err error
	if s.buf, err = p.table.described.encoder.AppendJSON(s.buf[:0], text); err != nil {
		return Ack{}, p.invalid(opIngest, err)
	}
	return p.add(ctx, s.buf, block)
}

// addLazy encodes the record, and adds it.
func (p *pipeline) addLazy(ctx context.Context, rec *Record, block bool) (Ack, error) {
	if rec.kind.typ() == RecordTypeJSON {
		return p.addValue(ctx, rec.value, block)
	}
	m, err := rec.message(&p.table)
	if err != nil {
		return Ack{}, p.invalid(opIngest, err)
	}
	return p.addMessage(ctx, m, block)
}

// add copies one encoded record into the window.
func (p *pipeline) add(ctx context.Context, data []byte, block bool) (Ack, error) {
	size := wire.RecordSize(len(data))
	if size > wire.MaxPayload {
		return Ack{}, p.invalid(opIngest, tooLarge(size))
	}
	p.mu.Lock()
	if p.shut || !p.room.empty() || !p.win.Reserve(1, size) {
		if err := p.reserve(ctx, opIngest, 1, size, block); err != nil {
			return Ack{}, err
		}
	}
	wire.AppendRecord(p.win.Space(size, 1), data) // within the capacity: nothing is allocated
	return p.commit(size, 1), nil
}

// commit keeps what was written into the window, and releases the lock.
func (p *pipeline) commit(size, records int) Ack {
	offset := p.win.Commit(size, records)
	if p.idle {
		p.wakeSender()
	} else {
		p.mu.Unlock()
	}
	return Ack{p: p, n: offset + 1}
}

// addMessage encodes one message: into the window, under the lock, if nobody else wants that and there is room. Otherwise
// it is encoded beside it meanwhile, and copied. That is also where a message that cannot be encoded gets its error.
func (p *pipeline) addMessage(ctx context.Context, m proto.Message, block bool) (Ack, error) {
	if encodesAtOnce(m) {
		if ack, ok := p.addInPlace(m); ok {
			return ack, nil
		}
	}
	return p.addEncoded(ctx, m, block)
}

// addInPlace encodes a message into the window, if that can be done at once.
func (p *pipeline) addInPlace(m proto.Message) (ack Ack, ok bool) {
	size, reserved := 0, false
	defer func() {
		if ok {
			return
		}
		_ = recover() // of a message of an old kind inside this one; addEncoded will meet it again
		if reserved {
			p.win.Abandon(1, size)
			p.mu.Unlock()
		}
	}()
	length := proto.Size(m)
	size = wire.RecordSize(length)
	if length > maxUnderLock || !p.mu.TryLock() {
		return Ack{}, false
	}
	if p.shut || !p.room.empty() || !p.win.Reserve(1, size) {
		p.mu.Unlock()
		return Ack{}, false
	}
	reserved = true
	if !marshalInto(p.win.Space(size, 1), m, length) {
		return Ack{}, false
	}
	ok = true
	return p.commit(size, 1), true
}

// addEncoded encodes one message outside the lock, and copies it into the window.
func (p *pipeline) addEncoded(ctx context.Context, m proto.Message, block bool) (Ack, error) {
	s := spaces.Get().(*space)
	defer s.free()
	var err error
	if s.buf, err = marshalAppend(s.buf[:0], m); err != nil {
		return Ack{}, p.invalid(opIngest, err)
	}
	return p.add(ctx, s.buf, block)
}

// addValue has encoding/json encode one value, and copies it into the window.
func (p *pipeline) addValue(ctx context.Context, value any, block bool) (Ack, error) {
	e := valueEncoders.Get().(*valueEncoder)
	e.take = (*valueEncoder).takeAlone
	e.p, e.ctx, e.block = p, ctx, block
	if err := e.encode(value); err != nil {
		return Ack{}, p.invalid(opIngest, err)
	}
	ack, err := e.ack, e.err
	e.free()
	return ack, err
}

// ingestBatch is Stream.IngestBatch.
func (p *pipeline) ingestBatch(ctx context.Context, recs []Record) (Ack, error) {
	if len(recs) == 0 {
		return Ack{}, p.accepting(opBatch)
	}
	size := 0
	for i := range recs {
		rec := &recs[i]
		switch {
		case rec.kind.lazy(), p.transcodes(rec):
			return p.addFramed(ctx, recs)
		case rec.kind.typ() != p.typ:
			return Ack{}, p.invalidOf(i, rec.wrongType(p.typ))
		}
		if err := rec.check(); err != nil {
			return Ack{}, p.invalidOf(i, err)
		}
		if size += wire.RecordSize(len(rec.data)); size > wire.MaxPayload {
			return Ack{}, p.invalid(opBatch, tooLarge(size))
		}
	}
	p.mu.Lock()
	if err := p.reserve(ctx, opBatch, len(recs), size, true); err != nil {
		return Ack{}, err
	}
	space := p.win.Space(size, len(recs))
	for i := range recs {
		space = wire.AppendRecord(space, recs[i].data)
	}
	return p.commit(size, len(recs)), nil
}

// addFramed encodes the records of a batch outside the lock, already framed, and copies them all at once.
func (p *pipeline) addFramed(ctx context.Context, recs []Record) (Ack, error) {
	s := spaces.Get().(*space)
	defer s.free()
	body := s.buf[:0]
	for i := range recs {
		rec := &recs[i]
		if rec.kind.typ() != p.typ && !p.transcodes(rec) {
			return Ack{}, p.invalidOf(i, rec.wrongType(p.typ))
		}
		var err error
		if body, err = rec.appendFramed(body, &p.table); err != nil {
			return Ack{}, p.invalidOf(i, err)
		}
		if len(body) > wire.MaxPayload {
			return Ack{}, p.invalid(opBatch, tooLarge(len(body)))
		}
		s.buf = body
	}
	p.mu.Lock()
	if err := p.reserve(ctx, opBatch, len(recs), len(body), true); err != nil {
		return Ack{}, err
	}
	copy(p.win.Space(len(body), len(recs))[:len(body)], body)
	return p.commit(len(body), len(recs)), nil
}

// invalid is the error of a record that cannot be sent.
func (p *pipeline) invalid(op string, err error) error {
	return newError(op, p.table.Name, ErrInvalidArgument, err)
}

// invalidOf is invalid for a record of a batch.
func (p *pipeline) invalidOf(i int, err error) error {
	return p.invalid(opBatch, fmt.Errorf("record %d of the batch: %w", i, err))
}

func tooLarge(size int) error {
	return fmt.Errorf("a message of %d bytes or more would be refused by the server; at most %d go into one", size, wire.MaxPayload)
}
