package server_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/zerobus-go/zerobus"
)

// A column that is added is there for streams that are opened then, without a restart; those that are open go on.
func TestAlterTable_UnderLiveStreams(t *testing.T) {
	h := start(t)
	h.sql("CREATE TABLE main.default.growing (id BIGINT)")
	id, secret := h.principal("grower", "main.default.growing")
	credentials := zerobus.ClientCredentials{ID: id, Secret: secret}
	open := func() *zerobus.Stream {
		s, err := h.sdk().CreateStream(t.Context(), zerobus.Table("main.default.growing"), credentials)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	send := func(s *zerobus.Stream, record string) error {
		if _, err := s.Ingest(t.Context(), zerobus.JSONString(record)); err != nil {
			return err
		}
		return s.Flush(t.Context())
	}
	old := open()
	if err := send(old, `{"id":1}`); err != nil {
		t.Fatal(err)
	}
	h.sql("ALTER TABLE main.default.growing ADD COLUMNS (name STRING, parts ARRAY<STRUCT<n: INT>>)")
	for _, s := range []struct {
		stream *zerobus.Stream
		record string
	}{{old, `{"id":2}`}, {open(), `{"id":3,"name":"three","parts":[{"n":1},{}]}`}} {
		if err := send(s.stream, s.record); err != nil {
			t.Fatal(err)
		}
		if s.stream == old {
			continue
		}
		if err := s.stream.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if err := send(old, `{"id":4,"name":"four"}`); err == nil || !strings.Contains(err.Error(), "unrecognized field name 'name'") {
		t.Errorf("a stream that was open before takes the new column: %v", err)
	}
	_ = old.Close(t.Context()) // it has failed
	var rows []string
	for _, r := range h.head("main.default.growing") {
		rows = append(rows, fmt.Sprint(r))
	}
	slices.Sort(rows)
	if want := []string{"[1 <nil> <nil>]", "[2 <nil> <nil>]", `[3 three [{"n":1},{"n":null}]]`}; !slices.Equal(rows, want) {
		t.Errorf("the table has %q, want %q", rows, want)
	}
}
