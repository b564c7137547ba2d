package loadgen

import (
	"encoding/json"
	"errors"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/zerobus-go/zerobus/schema"
)

// idOf reads a record by other software, and returns its id and how many fields it has.
func idOf(t *testing.T, s *Shape, e Encoding, record []byte) (id int64, fields int) {
	t.Helper()
	if e == JSON {
		var m map[string]any
		if err := json.Unmarshal(record, &m); err != nil {
			t.Fatalf("%s: %v", record, err)
		}
		return int64(m[s.IDColumn()].(float64)), len(m)
	}
	md, err := schema.Resolve(s.Descriptor())
	if err != nil {
		t.Fatal(err)
	}
	m := dynamicpb.NewMessage(md)
	if err := proto.Unmarshal(record, m); err != nil {
		t.Fatal(err)
	}
	if len(m.GetUnknown()) > 0 {
		t.Errorf("%d bytes that no field has", len(m.GetUnknown()))
	}
	m.Range(func(protoreflect.FieldDescriptor, protoreflect.Value) bool { fields++; return true })
	return m.Get(md.Fields().ByName(protoreflect.Name(s.IDColumn()))).Int(), fields
}

func TestMaker_RecordsAreTheSizeAndTellTheirOrigin(t *testing.T) {
	const streams = 3
	for _, s := range Shapes {
		if found := schema.Check(s.Descriptor(), s.Table()); len(found) > 0 {
			t.Errorf("%s: the descriptor does not fit the table: %v", s.Name, found)
		}
		for _, e := range Encodings {
			for stream := range streams {
				m := NewMaker(s, e, stream, streams)
				for n := range int64(2*len(m.round) + 1) {
					r, err := m.Next()
					if err != nil {
						t.Fatal(err)
					}
					if len(r) != s.Size(e) {
						t.Fatalf("%s, %s: record %d has %d bytes, want %d", s.Name, e, n, len(r), s.Size(e))
					}
					if n%97 > 0 && n < 2000 {
						continue
					}
					id, fields := idOf(t, s, e, r)
					if from, k, ok := Origin(id, streams); from != stream || k != n || !ok || fields != len(s.columns) {
						t.Fatalf("%s, %s: record %d of stream %d says %d of %d, with %d fields", s.Name, e, n, stream, k, from, fields)
					}
				}
			}
		}
	}
}

func TestMaker_TextsAndRecordsDiffer(t *testing.T) {
	s, err := ShapeNamed("1k")
	if err != nil {
		t.Fatal(err)
	}
	all, err := Records(s, Proto, 300)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, r := range all {
		seen[string(r[len(r)-500:])] = true
	}
	if len(seen) != len(all) {
		t.Errorf("%d texts in %d records", len(seen), len(all))
	}
}

func TestMaker_EndsWithItsIDs(t *testing.T) {
	m := NewMaker(Shapes[0], Proto, 0, 1)
	m.id = endID - 1
	r, err := m.Next()
	if err != nil {
		t.Fatal(err)
	}
	if id, _ := idOf(t, Shapes[0], Proto, r); id != endID-1 {
		t.Errorf("the last id is %d", id)
	}
	if _, err := m.Next(); !errors.Is(err, ErrUsedUp) {
		t.Errorf("behind the last id: %v", err)
	}
}

func TestOrigin_OfOtherNumbers(t *testing.T) {
	for _, id := range []int64{-1, 0, firstID - 1, endID} {
		if _, _, ok := Origin(id, 2); ok {
			t.Errorf("%d is an id", id)
		}
	}
}

func TestNames(t *testing.T) {
	if _, err := ShapeNamed("huge"); err == nil {
		t.Error("no error for an unknown shape")
	}
	if _, err := EncodingNamed("avro"); err == nil {
		t.Error("no error for an unknown encoding")
	}
	if e, err := EncodingNamed("json"); e != JSON || err != nil {
		t.Error(e, err)
	}
}

func TestMaker_DoesNotAllocate(t *testing.T) {
	for _, e := range Encodings {
		m := NewMaker(Shapes[1], e, 0, 1)
		if n := testing.AllocsPerRun(100, func() { _, _ = m.Next() }); n != 0 {
			t.Errorf("%s: %v allocations", e, n)
		}
	}
}
