package wire

import (
	"bytes"
	"errors"
	"math"
	"testing"
	"time"
)

func requestSeeds(f *testing.F) {
	for _, b := range [][]byte{
		nil, unknown,
		AppendCreateStream(nil, CreateStream{Table: "a.b.c", Descriptor: []byte("d"), Type: JSON, HasType: true}),
		single(0, Proto, "record"), single(-1, JSON, "{}"),
		batch(300, Proto, "one", "", "three"), batch(0, JSON),
		cat(batch(1, Proto, "x"), unknown, batch(2, Proto, "y"), single(3, JSON, "z"), batch(4, JSON, "a")),
		append(AppendFirstRecord(nil, 1<<40), batch(2, Proto, "x")...), AppendFirstRecord(single(0, JSON, "{}"), -1),
		wrap(requestBatch, wrap(ingestProto, cat(unknown, wrap(1, []byte("a")), unknown))),
	} {
		f.Add(b)
	}
}

func FuzzParseRequest(f *testing.F) {
	requestSeeds(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		input := bytes.Clone(b)
		got, err := ours(b)
		if !bytes.Equal(b, input) {
			t.Fatal("the input was changed")
		}
		want, wantErr := theirs(b)
		switch {
		case errors.Is(err, errWireType):
			return // stricter than the oracle, on purpose
		case err == nil && wantErr != nil && discards(b):
			return // laxer than the oracle about what counts for nothing
		case (err == nil) != (wantErr == nil):
			t.Fatalf("we say %v, the oracle says %v", err, wantErr)
		case err == nil && !got.equal(want):
			t.Fatalf("we read\n%+v\nthe oracle reads\n%+v", got, want)
		}
	})
}

func FuzzNextRecord(f *testing.F) {
	f.Add([]byte(nil))
	f.Add(unknown)
	f.Add(AppendRecord(AppendRecord(nil, []byte("one")), nil))
	f.Add(cat(unknown, wrap(1, bytes.Repeat([]byte("r"), 200)), unknown))
	f.Fuzz(func(t *testing.T, body []byte) {
		recs, err := walk(body)
		// As the body of a whole request, the oracle can read it.
		want, wantErr := theirs(append(AppendBatchPrefix(nil, 0, Proto, len(body)), body...))
		switch {
		case errors.Is(err, errWireType):
			return
		case (err == nil) != (wantErr == nil):
			t.Fatalf("we say %v, the oracle says %v", err, wantErr)
		case err == nil && !equalRecords(recs, want.records):
			t.Fatalf("we read %q, the oracle reads %q", recs, want.records)
		}
		for _, rec := range recs {
			if rec == nil {
				t.Fatal("a record is nil")
			}
		}
	})
}

func FuzzParseResponse(f *testing.F) {
	for _, r := range []Response{
		{Kind: ResponseCreated, StreamID: "id"},
		{Kind: ResponseAck, AckUpTo: 300, HasAck: true},
		{Kind: ResponseAck},
		{Kind: ResponseClose, CloseIn: 1500 * time.Millisecond, HasCloseIn: true},
		{Kind: ResponseClose, CloseIn: -1, HasCloseIn: true},
		{Kind: ResponseClose, CloseIn: math.MinInt64, HasCloseIn: true},
		{Kind: ResponseClose},
	} {
		b := AppendResponse(nil, r)
		f.Add(b)
		f.Add(cat(unknown, b, b, AppendResponse(nil, Response{Kind: ResponseAck, AckUpTo: 1, HasAck: true})))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := ParseResponse(b)
		want, wantErr := theirResponse(b)
		switch {
		case errors.Is(err, errWireType):
			return
		case (err == nil) != (wantErr == nil):
			t.Fatalf("we say %v, the oracle says %v", err, wantErr)
		case err != nil:
			return
		case got != want:
			t.Fatalf("we read %+v, the oracle reads %+v", got, want)
		}
		again, err := ParseResponse(AppendResponse(nil, got))
		if err != nil || again != got {
			t.Fatalf("%+v becomes %+v, %v when written and read", got, again, err)
		}
	})
}
