package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/encoding/protowire"
)

// queueProducer publishes records as fast as it goes.
type queueProducer struct {
	js     jetstream.JetStream
	maker  *recordMaker
	packed int // bytes of a message of many records; 0 is a message for each
	window int // messages that wait for their acknowledgement

	took []time.Duration // of each message, from publishing to its acknowledgement
}

// published is a message on its way.
type published struct {
	at  time.Time
	ack jetstream.PubAckFuture
}

// run publishes n records and returns when the last of them is acknowledged. A stream acknowledges messages in their order, so they
// are waited for in it.
func (p *queueProducer) run(ctx context.Context, n int) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	window, over := make(chan published, p.window), make(chan struct{})
	go func() {
		defer close(over)
		for m := range window {
			select {
			case <-m.ack.Ok():
				p.took = append(p.took, time.Since(m.at))
			case err := <-m.ack.Err():
				cancel(fmt.Errorf("publish: %w", err))
			case <-ctx.Done():
			}
		}
	}()
	for n > 0 && ctx.Err() == nil {
		var message []byte
		message, n = p.next(n)
		at := time.Now()
		ack, err := p.js.PublishAsync(queueSubject, message)
		if err != nil {
			cancel(fmt.Errorf("publish: %w", err))
			break
		}
		window <- published{at, ack}
	}
	close(window)
	<-over
	return context.Cause(ctx)
}

// next makes a message of at least one of the records that are left, and returns how many are left then. In a message of many,
// every record stands behind its length, a varint.
func (p *queueProducer) next(left int) ([]byte, int) {
	if p.packed == 0 {
		return slices.Clone(p.maker.next()), left - 1
	}
	size := p.maker.size()
	n := min(left, max(1, p.packed/(protowire.SizeVarint(uint64(size))+size)))
	message := make([]byte, 0, p.packed)
	for range n {
		message = protowire.AppendBytes(message, p.maker.next())
	}
	return message, left - n
}

// Ids of zerobus bench's records have 9 digits and are varints of 4 bytes.
const (
	firstID = 100_000_000
	idBytes = 4
)

// recordMaker makes the records of zerobus bench: those of a file in turn, each time with another id.
type recordMaker struct {
	records [][]byte // of one size
	idAt    int
	made    int
}

// newRecordMaker takes records with the place of the id, from the end if it is below 0. It writes into them.
func newRecordMaker(records [][]byte, idAt int) (*recordMaker, error) {
	if len(records) == 0 {
		return nil, errors.New("no records")
	}
	size := len(records[0])
	if idAt < 0 {
		idAt += size
	}
	for _, r := range records {
		if len(r) != size || idAt < 0 || idAt+idBytes > size {
			return nil, fmt.Errorf("a record has %d bytes, and the first %d", len(r), size)
		}
		if id, n := protowire.ConsumeVarint(r[idAt:]); n != idBytes || id < firstID {
			return nil, fmt.Errorf("a record has no id at byte %d", idAt)
		}
	}
	return &recordMaker{records: records, idAt: idAt}, nil
}

func (m *recordMaker) size() int { return len(m.records[0]) }

// next returns a record that is valid until the next turn.
func (m *recordMaker) next() []byte {
	r := m.records[m.made%len(m.records)]
	binary.PutUvarint(r[m.idAt:m.idAt+idBytes], uint64(firstID+m.made))
	m.made++
	return r
}
