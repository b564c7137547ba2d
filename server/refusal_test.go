package server_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/zerobus-go/zerobus/internal/wire"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const good = `{"device_name":"sensor-1","temp":21,"humidity":50}`

// What cannot be taken ends its stream with the status and text of the service, after all that came before was acknowledged;
// the server and other streams go on.
func TestRefusal_OfRecords(t *testing.T) {
	h := start(t)
	h.sql("CREATE TABLE main.default.strict (id BIGINT NOT NULL, note STRING, small TINYINT)")
	h.sql("GRANT SELECT, MODIFY ON TABLE main.default.strict TO `writer`")
	other := h.stream(airQuality)
	other.record(0, good)
	if resp := other.must(); resp.AckUpTo != 0 {
		t.Fatalf("the other stream got %+v", resp)
	}

	const strict = "main.default.strict"
	for _, c := range []struct {
		name, table, before string
		send                func(r *raw)
		want                []string
	}{
		{
			"unknown key", airQuality, good, func(r *raw) { r.record(1, `{"device_name":"a","ip":"10.0.0.1"}`) },
			[]string{"Record decoder/encoder error: unrecognized field name 'ip' at line 1 column", airQuality, "offset 1", "Error Code: 4044, Error State: 3."},
		},
		{"wrong type", airQuality, good, func(r *raw) { r.record(1, `{"temp":"warm"}`) }, []string{"temp", airQuality, "offset 1", "4044"}},
		{"fraction for an integer", airQuality, good, func(r *raw) { r.record(1, `{"temp":21.5}`) }, []string{"temp", "4044"}},
		{"out of range", strict, `{"id":1}`, func(r *raw) { r.record(1, `{"id":2,"small":128}`) }, []string{"small", "128", strict, "4044"}},
		{"missing NOT NULL column", strict, `{"id":1}`, func(r *raw) { r.record(1, `{"note":"x"}`) }, []string{"id", "NOT NULL", strict, "offset 1", "4044"}},
		{"null for NOT NULL", strict, `{"id":1}`, func(r *raw) { r.record(1, `{"id":null}`) }, []string{"id", "4044"}},
		{"invalid UTF-8", airQuality, good, func(r *raw) { r.record(1, "{\"device_name\":\"\xff\"}") }, []string{"UTF-8", "device_name", "offset 1", "4044"}},
		{"not JSON", airQuality, good, func(r *raw) { r.record(1, "hello") }, []string{"line 1 column 1", "offset 1", "4044"}},
		{"in a batch", airQuality, good, func(r *raw) { r.batch(1, good, good, `{"temp":true}`, good) }, []string{"temp", "offset 1, record 2 of the batch", "4044"}},
		{"oversized record", airQuality, good, func(r *raw) { r.record(1, `{"device_name":"`+strings.Repeat("x", 10<<20)+`"}`) }, []string{airQuality, "offset 1", "limit of 10485760"}},
		{"oversized request", airQuality, good, func(r *raw) { r.record(1, strings.Repeat("x", 10<<20+512<<10)) }, []string{airQuality, "offset 1", "limit of 10485760"}},
		{"gap in the offsets", airQuality, good, func(r *raw) { r.record(2, good) }, []string{"Non-incremental offset: expected 1, actual 2", "4002"}},
		{"offset again", airQuality, good, func(r *raw) { r.record(0, good) }, []string{"Non-incremental offset: expected 1, actual 0", "4002"}},
		{"second create", airQuality, good, func(r *raw) {
			r.send(wire.AppendCreateStream(nil, wire.CreateStream{Table: airQuality, Type: wire.JSON, HasType: true}))
		}, []string{"offset 1", "create_stream"}},
		{"other encoding", airQuality, good, func(r *raw) { r.send(append(wire.AppendSinglePrefix(nil, 1, wire.Proto, 2), 8, 1)) }, []string{"PROTO", "JSON", "offset 1"}},
		{"empty batch", airQuality, good, func(r *raw) { r.batch(1) }, []string{"offset 1", "no records"}},
		{"garbage", airQuality, good, func(r *raw) { r.send([]byte{0xff, 0xff, 0xff}) }, []string{"offset 1", "cannot be read"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := h.stream(c.table)
			r.record(0, c.before)
			c.send(r)
			r.record(2, c.before) // behind the fault: never taken
			acked, err := r.end()
			if acked != 0 {
				t.Errorf("acknowledged up to %d, want 0", acked)
			}
			if status.Code(err) != codes.InvalidArgument {
				t.Errorf("the status is %v, want INVALID_ARGUMENT", err)
			}
			for _, w := range c.want {
				if !strings.Contains(status.Convert(err).Message(), w) {
					t.Errorf("the status does not say %q: %v", w, err)
				}
			}
		})
	}

	other.record(1, good)
	if resp := other.must(); resp.AckUpTo != 1 {
		t.Errorf("the other stream got %+v", resp)
	}
	if err := other.CloseSend(); err != nil {
		t.Fatal(err)
	}
	if _, err := other.end(); err != io.EOF {
		t.Errorf("the other stream ended with %v", err)
	}
}

func TestRefusal_OfStreams(t *testing.T) {
	h := start(t)
	h.sql("CREATE TABLE main.default.other (id BIGINT)")
	h.sql("CREATE TABLE main.default.gone (id BIGINT)")
	h.sql("GRANT SELECT, MODIFY ON TABLE main.default.gone TO `writer`")
	tok := h.token(airQuality)
	gone := h.token("main.default.gone")
	h.sql("DROP TABLE main.default.gone")
	create := func(table string) []byte {
		return wire.AppendCreateStream(nil, wire.CreateStream{Table: table, Type: wire.JSON, HasType: true})
	}
	for _, c := range []struct {
		name   string
		md     []string
		first  []byte
		code   codes.Code
		want   []string
		header bool
	}{
		{"no token", nil, create(airQuality), codes.Unauthenticated, []string{"bearer token"}, false},
		{"made-up token", []string{"authorization", "Bearer abc.def.ghi"}, create(airQuality), codes.Unauthenticated, []string{"not valid"}, false},
		{
			"token for another table",
			[]string{"authorization", "Bearer " + tok},
			create("main.default.other"), codes.PermissionDenied,
			[]string{"Authorization token is missing MODIFY privilege for a table main.default.other", "Error Code: 3, Error State: 0."},
			true,
		},
		{"table that is gone", []string{"authorization", "Bearer " + gone}, create("main.default.gone"), codes.NotFound, []string{`Table "main.default.gone" cannot be found`}, true},
		{"bad name", []string{"authorization", "Bearer " + tok}, create("air_quality"), codes.InvalidArgument, []string{"air_quality"}, true},
		{
			"header of a table that it may not write",
			[]string{"authorization", "Bearer " + tok, "x-databricks-zerobus-table-name", "main.default.other"},
			create(airQuality),
			codes.PermissionDenied,
			[]string{"Authorization token is missing MODIFY privilege for a table main.default.other"},
			false, // nothing is read from it
		},
		{
			"no record type",
			[]string{"authorization", "Bearer " + tok},
			wire.AppendCreateStream(nil, wire.CreateStream{Table: airQuality, HasType: true}),
			codes.InvalidArgument,
			[]string{"Record type is not specified"},
			true,
		},
		{
			"unknown record type",
			[]string{"authorization", "Bearer " + tok},
			wire.AppendCreateStream(nil, wire.CreateStream{Table: airQuality, Type: 4, HasType: true}),
			codes.InvalidArgument,
			[]string{"record type RecordType(4)"},
			true,
		},
		{
			"protobuf without a descriptor",
			[]string{"authorization", "Bearer " + tok},
			wire.AppendCreateStream(nil, wire.CreateStream{Table: airQuality}),
			codes.InvalidArgument,
			[]string{"descriptor_proto", airQuality},
			true,
		},
		{
			"bad descriptor",
			[]string{"authorization", "Bearer " + tok},
			wire.AppendCreateStream(nil, wire.CreateStream{Table: airQuality, Descriptor: []byte{0xff}}),
			codes.InvalidArgument,
			[]string{"descriptor", airQuality},
			true,
		},
		{
			"record first",
			[]string{"authorization", "Bearer " + tok},
			append(wire.AppendSinglePrefix(nil, 0, wire.JSON, 2), "{}"...),
			codes.InvalidArgument,
			[]string{"create_stream"},
			true,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := h.open(c.md...)
			if c.header { // clients wait for headers before they send
				if _, err := r.Header(); err != nil {
					t.Fatal(err)
				}
			}
			r.send(c.first)
			_, err := r.recv()
			if status.Code(err) != c.code {
				t.Errorf("the status is %v, want %v", err, c.code)
			}
			for _, w := range c.want {
				if !strings.Contains(status.Convert(err).Message(), w) {
					t.Errorf("the status does not say %q: %v", w, err)
				}
			}
		})
	}
}

func TestRefusal_OfTokens(t *testing.T) {
	h := start(t)
	h.sql("CREATE TABLE main.default.other (id BIGINT)")
	for _, c := range []struct {
		name, id, secret, table string
		want                    string
	}{
		{"wrong secret", h.id, "wrong", airQuality, "invalid_client"},
		{"unknown client", "nobody", h.secret, airQuality, "invalid_client"},
		{"no grant", h.id, h.secret, "main.default.other", "invalid_authorization_details"},
		{"no table", h.id, h.secret, "main.default.nothing", "invalid_authorization_details"},
	} {
		t.Run(c.name, func(t *testing.T) {
			code, body := h.tokenAnswer(c.id, c.secret, c.table)
			if code != http.StatusUnauthorized || body["error"] != c.want || body["error_id"] == "" || body["error_description"] == "" {
				t.Errorf("the answer is %d %v, want 401 %s", code, body, c.want)
			}
			if text := fmt.Sprint(body); strings.Contains(text, h.secret) {
				t.Error("the answer has the secret in it")
			}
		})
	}
	// A grant that is taken back ends what a token that was issued before can do.
	tok := h.token(airQuality)
	h.sql("REVOKE MODIFY ON TABLE " + airQuality + " FROM `writer`")
	r := h.open("authorization", "Bearer "+tok)
	r.send(wire.AppendCreateStream(nil, wire.CreateStream{Table: airQuality, Type: wire.JSON, HasType: true}))
	if _, err := r.recv(); status.Code(err) != codes.PermissionDenied || !strings.Contains(err.Error(), "GRANT MODIFY ON TABLE "+airQuality) {
		t.Errorf("after REVOKE the stream ends with %v", err)
	}
}
