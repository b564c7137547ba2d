package zerobus

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// kept returns the records in a stream's window, and how many records and bytes are counted there.
func (n *nullTransport) kept() (recs []string, records, bytes int) {
	n.p.mu.Lock()
	defer n.p.mu.Unlock()
	records, bytes = n.p.win.Kept()
	for r := range n.p.win.All() {
		for call := range r.Calls() {
			for _, rec := range call {
				recs = append(recs, string(rec))
			}
		}
	}
	return recs, records, bytes
}

// newIdle is a stream that sends nothing.
func newIdle(t *testing.T, typ RecordType) (*Stream, *nullTransport) {
	s, n := newNullTransport(t, typ)
	close(n.stop)
	<-n.done
	n.stop = make(chan struct{}) // for the cleanup
	return s, n
}

// A message is the same in the batch whether it was encoded there, or beside it while the lock was taken, or because it is
// large.
func TestEncode_MessagesEveryWay(t *testing.T) {
	s, n := newIdle(t, RecordTypeProto)
	small, large := wrapperspb.Bytes([]byte("small")), wrapperspb.Bytes(make([]byte, maxUnderLock))
	if _, err := s.Ingest(t.Context(), Proto(small)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Ingest(t.Context(), Proto(large)); err != nil {
		t.Fatal(err)
	}
	n.p.mu.Lock()
	done := make(chan error)
	go func() {
		_, err := s.Ingest(context.Background(), Proto(small))
		done <- err
	}()
	linger(100_000) // most likely it finds the lock taken; the result is the same
	n.p.mu.Unlock()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	encoded := func(m proto.Message) string {
		b, err := proto.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	want := []string{encoded(small), encoded(large), encoded(small)}
	recs, records, _ := n.kept()
	if strings.Join(recs, "|") != strings.Join(want, "|") || records != 3 {
		t.Errorf("%d records, kept %.200q", records, recs)
	}
}

// A message that cannot be encoded leaves nothing behind, also when it was encoded in the batch itself.
func TestEncode_RefusedMessageLeavesNothing(t *testing.T) {
	s, n := newIdle(t, RecordTypeProto)
	n.p.table.message = nil
	bad := wrapperspb.String("not UTF-8: \xff")
	for range 2 {
		if _, err := s.Ingest(t.Context(), Proto(bad)); !errors.Is(err, ErrInvalidArgument) || !strings.Contains(err.Error(), "UTF-8") {
			t.Fatalf("error %v", err)
		}
		if _, err := s.IngestBatch(t.Context(), []Record{ProtoBytes([]byte("a")), Proto(bad)}); !errors.Is(err, ErrInvalidArgument) || !strings.Contains(err.Error(), "record 1 of the batch") {
			t.Fatalf("error %v", err)
		}
	}
	if _, records, bytes := n.kept(); records != 0 || bytes != 0 {
		t.Errorf("%d records, %d bytes are counted", records, bytes)
	}
	ack, err := s.Ingest(t.Context(), ProtoBytes([]byte("good")))
	if err != nil || ack.Offset() != 0 {
		t.Fatalf("offset %d, error %v", ack.Offset(), err)
	}
	if recs, _, _ := n.kept(); len(recs) != 1 || recs[0] != "good" {
		t.Errorf("kept %q", recs)
	}
}

// selfish is a message whose Marshal method uses the stream that it is ingested into.
type selfish struct {
	*wrapperspb.BytesValue
	marshal func()
}

func (m selfish) Marshal() ([]byte, error) {
	m.marshal()
	return []byte("by itself"), nil
}

func (m selfish) ProtoReflect() protoreflect.Message { return m.BytesValue.ProtoReflect() }

func TestEncode_OwnMarshalersRunOutsideTheLock(t *testing.T) {
	if encodesAtOnce(selfish{BytesValue: wrapperspb.Bytes(nil)}) {
		t.Error("a message with a Marshal method would be encoded under the lock")
	}
	if !encodesAtOnce(wrapperspb.Bytes(nil)) {
		t.Error("a generated message would not be encoded under the lock")
	}
	s, n := newIdle(t, RecordTypeJSON)
	value := marshalerFunc(func() ([]byte, error) {
		_, err := s.Ingest(t.Context(), JSONString(`{"inner":1}`))
		return []byte(`{"outer":1}`), err
	})
	if _, err := s.Ingest(t.Context(), JSON(value)); err != nil {
		t.Fatal(err)
	}
	if recs, _, _ := n.kept(); strings.Join(recs, " ") != `{"inner":1} {"outer":1}` {
		t.Errorf("kept %q", recs)
	}
}

type marshalerFunc func() ([]byte, error)

func (f marshalerFunc) MarshalJSON() ([]byte, error) { return f() }

// The encoder of encoding/json writes a text at once, which its documentation does not promise.
func TestEncode_TextInParts(t *testing.T) {
	s, n := newIdle(t, RecordTypeJSON)
	e := valueEncoders.New().(*valueEncoder)
	e.take = (*valueEncoder).takeAlone
	e.p, e.ctx = s.p, t.Context()
	for _, part := range []string{`{"a`, "", `":1}`, "\n", `{"b":2}` + "\n", `{"c":`, "3}\n"} {
		if k, err := e.Write([]byte(part)); k != len(part) || err != nil {
			t.Fatalf("%d, %v", k, err)
		}
	}
	if recs, _, _ := n.kept(); strings.Join(recs, " ") != `{"a":1} {"b":2} {"c":3}` {
		t.Errorf("kept %q", recs)
	}
}

func TestEncode_ValuesAfterFailures(t *testing.T) {
	s, n := newIdle(t, RecordTypeJSON)
	for name, bad := range map[string]any{
		"a channel":           make(chan int),
		"a failing marshaler": marshalerFunc(func() ([]byte, error) { return nil, errors.New("no") }),
		"a panic":             marshalerFunc(func() ([]byte, error) { panic("no") }),
		"not UTF-8":           map[string]any{"a": json.RawMessage("\"\xff\"")},
	} {
		if _, err := s.Ingest(t.Context(), JSON(bad)); !errors.Is(err, ErrInvalidArgument) {
			t.Errorf("%s: error %v", name, err)
		}
		if _, err := s.IngestBatch(t.Context(), []Record{JSON(1), JSON(bad)}); !errors.Is(err, ErrInvalidArgument) {
			t.Errorf("%s in a batch: error %v", name, err)
		}
		if _, err := s.Ingest(t.Context(), JSON(map[string]int{"a": 1})); err != nil {
			t.Errorf("after %s: %v", name, err)
		}
	}
	recs, records, _ := n.kept()
	if records != 4 || strings.Join(recs, "") != strings.Repeat(`{"a":1}`, 4) {
		t.Errorf("kept %q", recs)
	}
}

// A producer that finds the lock taken for long is parked in the end, and gets it.
func TestLock_TakenForLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p pipeline
		p.mu.Lock()
		got := make(chan bool)
		go func() {
			p.lock()
			p.mu.Unlock()
			got <- true
		}()
		for range 10 * rounds {
			linger(firstWait << (2 * waits))
		}
		p.mu.Unlock()
		<-got
	})
}
