package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/zerobus-go/zerobus"
	"golang.org/x/sync/errgroup"
)

// sender has what the cases share.
type sender struct {
	sdk    *zerobus.SDK
	auth   zerobus.Auth
	commit func(ctx context.Context, table string) error // of all that is durable
}

// send sends the rows of a case. Everything that is not as planned is an error: a refused row, and a bad one that is not refused.
func (s *sender) send(ctx context.Context, p *plan) error {
	g, ctx := errgroup.WithContext(ctx)
	if !p.together {
		g.SetLimit(1)
	}
	for i, st := range p.streams {
		g.Go(func() error {
			if ctx.Err() != nil {
				return nil
			}
			if err := s.stream(ctx, p, st); err != nil {
				return fmt.Errorf("stream %d (%s): %w", i, st.form, err)
			}
			if !st.flush {
				return nil
			}
			return s.commit(ctx, p.name)
		})
	}
	return g.Wait()
}

// stream sends the rows of one stream.
func (s *sender) stream(ctx context.Context, p *plan, st *stream) (err error) {
	t, err := p.properties(st.form)
	if err != nil {
		return err
	}
	var rejected rejections
	options := []zerobus.StreamOption{zerobus.WithRecoveryBackoff(10 * time.Millisecond), zerobus.WithProducerID(st.producer)}
	if st.reject {
		options = append(options, zerobus.WithRejectHandler(rejected.add))
	}
	open, err := s.sdk.CreateStream(ctx, t, s.auth, options...)
	if err != nil {
		return err
	}
	closed := false
	defer func() {
		if !closed {
			err = errors.Join(err, open.Close(ctx))
		}
	}()

	record := func(r row) zerobus.Record {
		if st.form == asProto {
			return zerobus.ProtoBytes(r.record)
		}
		return zerobus.JSONBytes(r.record)
	}
	var want []int64 // the offsets that must be refused
	for rows := st.rows; len(rows) > 0; {
		n := 1
		for n < min(st.batch, len(rows)) && !rows[n].bad {
			n++
		}
		part := rows[:n]
		rows = rows[n:]
		if part[0].bad && !st.reject {
			closed = true
			return last(ctx, open, record(part[0]), st.form)
		}
		records := make([]zerobus.Record, n)
		for i := range part {
			records[i] = record(part[i])
		}
		var ack zerobus.Ack
		if n == 1 {
			ack, err = open.Ingest(ctx, records[0])
		} else {
			ack, err = open.IngestBatch(ctx, records)
		}
		switch {
		case part[0].bad && st.form == asDescribed && errors.Is(err, zerobus.ErrInvalidArgument):
			continue // the SDK has found it
		case err != nil:
			return fmt.Errorf("ingest: %w: %.300q", err, part[0].record)
		case part[0].bad:
			want = append(want, ack.Offset())
		}
	}
	closed = true
	if err := open.Close(ctx); err != nil {
		return fmt.Errorf("close: %w", err)
	}
	return rejected.check(want, st)
}

// last ingests the record that ends a stream: what came before must be acknowledged, and this one given back.
func last(ctx context.Context, open *zerobus.Stream, r zerobus.Record, form form) error {
	if err := open.Flush(ctx); err != nil {
		return errors.Join(fmt.Errorf("flush before the record that must be refused: %w", err), open.Close(ctx))
	}
	_, err := open.Ingest(ctx, r)
	if form == asDescribed && errors.Is(err, zerobus.ErrInvalidArgument) {
		return open.Close(ctx) // the SDK has found it, and the stream goes on
	}
	if err == nil {
		err = open.Flush(ctx)
	}
	closed := open.Close(ctx)
	switch {
	case err == nil:
		return fmt.Errorf("a record that must be refused was acknowledged: %.300q", r.Bytes())
	case !errors.Is(err, zerobus.ErrInvalidArgument):
		return fmt.Errorf("a record that must be refused ended the stream otherwise: %w: %.300q", err, r.Bytes())
	case closed == nil:
		return fmt.Errorf("the stream was closed without an error after %w", err)
	}
	left, err := open.Unacked()
	switch {
	case err != nil:
		return err
	case len(left) != 1 || form != asDescribed && !bytes.Equal(left[0].Bytes(), r.Bytes()):
		return fmt.Errorf("%d records are not acknowledged, expected the refused one alone: %.300q", len(left), r.Bytes())
	}
	return nil
}

// rejections are what a reject handler was told.
type rejections struct {
	mu   sync.Mutex
	told []zerobus.Rejected
}

func (r *rejections) add(x zerobus.Rejected) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.told = append(r.told, x)
}

// check compares them with the offsets that had to be refused.
func (r *rejections) check(want []int64, st *stream) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	var got []int64
	for _, x := range r.told {
		got = append(got, x.Offset)
	}
	if slices.Equal(got, want) {
		return nil
	}
	err := fmt.Errorf("the offsets %v were refused, expected %v", got, want)
	for _, x := range r.told {
		if !slices.Contains(want, x.Offset) {
			return errors.Join(err, x.Err, fmt.Errorf("%.300q", x.Records[0].Bytes()))
		}
	}
	for _, row := range st.rows {
		if row.bad {
			err = errors.Join(err, fmt.Errorf("to be refused: %.300q", row.record))
		}
	}
	return err
}
