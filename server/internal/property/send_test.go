package main

import (
	"context"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/zerobus-go/zerobus/schema"
)

// smallPlan is a case whose streams have rows that fit, and by number those that must be refused.
func smallPlan(t *testing.T, name string, form form, records []string, bad func(i int) bool, reject bool) *plan {
	t.Helper()
	ct, err := schema.ParseCreateTable("CREATE TABLE " + name + " (a INT, b STRING NOT NULL)")
	if err != nil {
		t.Fatal(err)
	}
	p := &plan{name: name, table: ct, said: &ct.Columns}
	if p.descriptor, err = ct.Columns.Descriptor(messageName); err != nil {
		t.Fatal(err)
	}
	if p.message, err = schema.Resolve(p.descriptor); err != nil {
		t.Fatal(err)
	}
	s := &stream{form: form, batch: 1, reject: reject}
	for i, r := range records {
		record := []byte(r)
		if form == asProto && r == good {
			m := dynamicpb.NewMessage(p.message)
			record, err = (&protoWriter{dice: newDice(1)}).encode(m.Descriptor(), &ct.Columns, members{int64(1), "x"})
			if err != nil {
				t.Fatal(err)
			}
		}
		s.rows = append(s.rows, row{record: record, bad: bad(i)})
	}
	p.streams = []*stream{s}
	return p
}

const (
	good  = `{"a":1,"b":"x"}`
	wrong = `{"a":1}`
)

// The sender must notice each row that has another fate than planned.
func TestSend_Notices(t *testing.T) {
	s, stop, err := start(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
	}()
	never, second := func(int) bool { return false }, func(i int) bool { return i == 1 }
	for i, tt := range []struct {
		name    string
		records []string
		bad     func(int) bool
		reject  bool
		fault   string // empty for none
	}{
		{"all is well", []string{good, good}, never, true, ""},
		{"the wrong one is refused", []string{good, wrong, good}, second, true, ""},
		{"the wrong one ends the stream", []string{good, wrong}, second, false, ""},
		{"a good one is not refused", []string{good, good, good}, second, true, "were refused, expected [1]"},
		{"a good one does not end the stream", []string{good, good}, second, false, "must be refused was acknowledged"},
		{"a wrong one is refused, with a handler", []string{good, wrong, good}, never, true, "were refused, expected []"},
		{"a wrong one ends the stream, without", []string{good, wrong}, never, false, "close: "},
	} {
		for _, form := range []form{asJSON, asProto, asDescribed} {
			name := namespace + "." + form.String() + string(rune('a'+i))
			p := smallPlan(t, name, form, tt.records, tt.bad, tt.reject)
			if err := s.server.SQL(t.Context(), p.table.DDL()); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			err := s.send(ctx, p)
			cancel()
			fault := tt.fault
			if form == asDescribed && fault != "" && strings.Contains(strings.Join(tt.records, ""), wrong) {
				fault = "ingest: " // the SDK finds it
			}
			if (err == nil) != (fault == "") || err != nil && !strings.Contains(err.Error(), fault) {
				t.Errorf("%s, %s: %v, expected %q", tt.name, form, err, fault)
			}
		}
	}
}
