package zerobus

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/runtime/protoiface"
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
func newIdle(t *testing.T, typ RecordType, change ...func(*StreamSettings)) (*Stream, *nullTransport) {
	s, n := newNullTransport(t, typ, change...)
	close(n.stop)
	<-n.done
	n.stop = make(chan struct{}) // for the cleanup
	return s, n
}

// A message that cannot be encoded changes nothing about the messages of the stream.
func TestEncode_RefusedMessageKeepsTheLimits(t *testing.T) {
	bad := wrapperspb.String("\xff" + strings.Repeat("x", 1000))
	for name, limit := range map[string]func(*StreamSettings){
		"records": func(s *StreamSettings) { s.MaxBatchRecords = 4 },
		"bytes":   func(s *StreamSettings) { s.MaxBatchBytes = 20 },
	} {
		s, n := newIdle(t, RecordTypeProto, limit)
		n.p.table.message = nil
		if _, err := s.Ingest(t.Context(), Proto(bad)); !errors.Is(err, ErrInvalidArgument) {
			t.Fatal(err)
		}
		for range 100 {
			if _, err := s.Ingest(t.Context(), ProtoBytes([]byte("abc"))); err != nil {
				t.Fatal(err)
			}
		}
		for r := range n.p.win.All() {
			if r.Records() != 4 {
				t.Errorf("limit of %s: a message of %d records, %d bytes", name, r.Records(), r.Len())
			}
		}
	}
}

// What a record is made of makes no difference for what a full stream says.
func TestEncode_FullStream(t *testing.T) {
	s, n := newIdle(t, RecordTypeProto, func(s *StreamSettings) { s.MaxInflightRecords = 1 })
	n.p.table.message = nil
	if _, err := s.TryIngest(Proto(wrapperspb.Bytes([]byte("a")))); err != nil {
		t.Fatal(err)
	}
	if _, err := s.TryIngest(Proto(wrapperspb.Bytes([]byte("b")))); !errors.Is(err, ErrWouldBlock) {
		t.Errorf("a good message: %v", err)
	}
	if _, err := s.TryIngest(Proto(wrapperspb.String("\xff"))); !errors.Is(err, ErrInvalidArgument) {
		t.Errorf("a bad message: %v", err)
	}
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
	if _, err := s.p.addEncoded(t.Context(), small, true); err != nil { // as with the lock taken
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

// oldMessage is a message of an old kind, which encodes itself.
type oldMessage struct {
	A       string `protobuf:"bytes,1,opt,name=a"`
	marshal func() ([]byte, error)
}

func (*oldMessage) Reset()                     {}
func (*oldMessage) String() string             { return "" }
func (*oldMessage) ProtoMessage()              {}
func (m *oldMessage) Marshal() ([]byte, error) { return m.marshal() }
func (*oldMessage) Unmarshal([]byte) error     { return nil }

// ownMethods is a message whose encoding is somebody else's, as those of other protobuf runtimes are.
type ownMethods struct {
	protoreflect.Message
	methods protoiface.Methods
}

func (m *ownMethods) ProtoReflect() protoreflect.Message { return m }

func (m *ownMethods) ProtoMethods() *protoiface.Methods { return &m.methods }

func TestEncode_OwnMarshalersRunOutsideTheLock(t *testing.T) {
	s, n := newIdle(t, RecordTypeProto)
	n.p.table.message = nil
	curious := protoadapt.MessageV2Of(&oldMessage{marshal: func() ([]byte, error) {
		_, err := s.Ingest(t.Context(), ProtoBytes([]byte("inner")))
		return []byte{1<<3 | 2, 1, 'x'}, err
	}})
	if _, err := s.Ingest(t.Context(), Proto(curious)); err != nil {
		t.Fatal(err)
	}
	broken := protoadapt.MessageV2Of(&oldMessage{marshal: func() ([]byte, error) { panic("no") }})
	if _, err := s.Ingest(t.Context(), Proto(broken)); !errors.Is(err, ErrInvalidArgument) {
		t.Errorf("error %v", err)
	}
	foreign := &ownMethods{Message: wrapperspb.Bytes(nil).ProtoReflect()}
	foreign.methods.Size = func(protoiface.SizeInput) protoiface.SizeOutput { return protoiface.SizeOutput{Size: 7} }
	foreign.methods.Marshal = func(in protoiface.MarshalInput) (protoiface.MarshalOutput, error) {
		return protoiface.MarshalOutput{Buf: append(bytes.Clone(in.Buf), "foreign"...)}, nil
	}
	if _, err := s.Ingest(t.Context(), Proto(foreign)); err != nil {
		t.Fatal(err)
	}
	recs, _, _ := n.kept()
	if last := len(recs) - 1; last < 1 || recs[last] != "foreign" || recs[last-1] != "\x0a\x01x" || recs[0] != "inner" {
		t.Errorf("kept %q", recs)
	}
	for name, m := range map[string]proto.Message{"old": curious, "foreign": foreign} {
		if encodesAtOnce(m) {
			t.Errorf("a message of the %s kind would be encoded under the lock", name)
		}
	}
	if !encodesAtOnce(wrapperspb.Bytes(nil)) {
		t.Error("a generated message would not be encoded under the lock")
	}

	s, n = newIdle(t, RecordTypeJSON)
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
