package zerobus_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/zerobus-go/zerobus"
	"github.com/zerobus-go/zerobus/schema"
	"github.com/zerobus-go/zerobus/zerobustest"
)

// airQuality is the table of most tests.
const airQuality = `CREATE TABLE main.default.air_quality (
	device STRING NOT NULL, temp INT, at TIMESTAMP, price DECIMAL(10,2), tags ARRAY<STRING>, place STRUCT<zip: INT, city: STRING NOT NULL>)`

func columnsOf(t testing.TB, ddl string) *schema.Struct {
	t.Helper()
	c, err := schema.ParseCreateTable(ddl)
	if err != nil {
		t.Fatal(err)
	}
	return &c.Columns
}

// text is a record of a described table, as protobuf's own library reads it.
func text(t testing.TB, d *descriptorpb.DescriptorProto, record []byte) string {
	t.Helper()
	md, err := schema.Resolve(d)
	if err != nil {
		t.Fatal(err)
	}
	m := dynamicpb.NewMessage(md)
	if err := proto.Unmarshal(record, m); err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(prototext.MarshalOptions{}.Format(m), "  ", " ")
}

func TestDescribeTable(t *testing.T) {
	authentic(t, func(w *world) {
		w.srv.DescribeTable(table, columnsOf(w, airQuality))
		props, err := w.sdk.DescribeTable(w.Context(), table, credentials)
		w.must(err)
		if props.Name != table || props.RecordType != zerobus.RecordTypeProto || props.Descriptor.GetName() != "air_quality" || len(props.Columns.Fields) != 6 {
			w.Fatalf("%+v", props)
		}
		token := w.srv.TokenRequests()[0]
		if token.Form.Has("resource") || token.Form.Has("authorization_details") || token.Form.Get("scope") != "all-apis" {
			w.Errorf("the token request is %v", token.Form)
		}
		s, err := w.sdk.CreateStream(w.Context(), props, credentials)
		w.must(err)
		type place struct {
			Zip  int    `json:"zip"`
			City string `json:"city"`
		}
		type reading struct {
			Device string `json:"device"`
			At     int64  `json:"at"`
			Place  *place `json:"place,omitempty"`
		}
		for _, rec := range []zerobus.Record{
			zerobus.JSONString(`{"device":"a","temp":-3,"price":"12.50","tags":["x","y"]}`),
			zerobus.JSON(reading{"b", 1<<53 + 1, &place{12345, "Köln"}}),
			zerobus.JSON(map[string]any{"device": "c", "temp": nil}),
		} {
			_, err := s.Ingest(w.Context(), rec)
			w.must(err)
		}
		_, err = s.IngestBatch(w.Context(), []zerobus.Record{
			zerobus.JSONString(`{"device":"d"}`), zerobus.JSON(reading{Device: "e", At: 1}), zerobus.ProtoBytes([]byte("\n\x01f")),
		})
		w.must(err)
		w.must(s.Close(w.Context()))
		got := w.srv.Records(table)
		want := []string{
			`device:"a" temp:-3 price:"12.50" tags:"x" tags:"y"`,
			`device:"b" at:9007199254740993 place:{zip:12345 city:"Köln"}`,
			`device:"c"`, `device:"d"`, `device:"e" at:1`, `device:"f"`,
		}
		if len(got) != len(want) {
			w.Fatalf("%d records", len(got))
		}
		for i := range want {
			if line := text(w, props.Descriptor, got[i]); line != want[i] {
				w.Errorf("record %d is %s, want %s", i, line, want[i])
			}
		}
	})
}

// A JSON record that does not fit is refused by the call, with the field's path, and costs nothing that came before.
func TestDescribeTable_RecordsThatDoNotFit(t *testing.T) {
	inBubble(t, func(w *world) {
		props, err := zerobus.DescribedTable(table, columnsOf(w, airQuality))
		w.must(err)
		s, err := w.sdk.CreateStream(w.Context(), props, auth)
		w.must(err)
		for record, want := range map[string]string{
			`{"device":"a","place":{"zip":"x","city":"y"}}`: "place.zip",
			`{"device":"a","tags":["x",1]}`:                 "tags.element",
			`{"temp":1}`:                                    "device",
			`{"device":"a","temp":2147483648}`:              "temp",
			`{"device":"a","price":"1.234"}`:                "price",
			`{"device":"a","other":1}`:                      "other",
			`{"device":"a"`:                                 "EOF",
		} {
			_, err := s.Ingest(w.Context(), zerobus.JSONString(record))
			wantErr(w, err, zerobus.ErrInvalidArgument, want, "ingest", table)
			_, err = s.IngestBatch(w.Context(), []zerobus.Record{zerobus.JSONString(`{"device":"a"}`), zerobus.JSONString(record)})
			wantErr(w, err, zerobus.ErrInvalidArgument, want, "record 1 of the batch")
			_, err = s.Ingest(w.Context(), zerobus.JSONString(`{"device":"ok"}`))
			w.must(err)
		}
		_, err = s.Ingest(w.Context(), zerobus.JSON(func() {}))
		wantErr(w, err, zerobus.ErrInvalidArgument, "unsupported type")
		w.must(s.Close(w.Context()))
		if got := w.srv.Records(table); len(got) != 7 {
			w.Errorf("%d records", len(got))
		}
	})
}

func TestDescribeTable_Errors(t *testing.T) {
	authentic(t, func(w *world) {
		ctx := w.Context()
		_, err := w.sdk.DescribeTable(ctx, table, credentials)
		wantErr(w, err, zerobus.ErrTableNotFound, "describe table", table, "TABLE_NOT_FOUND")
		wantErr(w, err, zerobus.ErrNonRetriable)
		_, err = w.sdk.DescribeTable(ctx, table, auth)
		wantErr(w, err, zerobus.ErrAuth, "401", "UNAUTHENTICATED")
		_, err = w.sdk.DescribeTable(ctx, "a.b", credentials)
		wantErr(w, err, zerobus.ErrInvalidTableName)
		_, err = w.sdk.DescribeTable(ctx, table, nil)
		wantErr(w, err, zerobus.ErrInvalidArgument, "no Auth")
		var noContext context.Context
		_, err = w.sdk.DescribeTable(noContext, table, credentials)
		wantErr(w, err, zerobus.ErrInvalidArgument, "the context is nil")
		_, err = w.sdk.DescribeTable(ctx, table, zerobus.StaticHeaders{{Name: "authorization", Value: "Basic x"}})
		wantErr(w, err, zerobus.ErrInvalidArgument, "no bearer token")
		var none *zerobus.SDK
		_, err = none.DescribeTable(ctx, table, credentials)
		wantErr(w, err, zerobus.ErrInvalidState)

		w.srv.DescribeTable(table, columnsOf(w, "CREATE TABLE t (a ARRAY<ARRAY<INT>>)"))
		_, err = w.sdk.DescribeTable(ctx, table, credentials)
		wantErr(w, err, zerobus.ErrInvalidArgument, "describe table", "column a.element: protobuf has no array in an array")

		w.srv.RefuseTokens(401, "invalid_client", "Client authentication failed")
		_, err = w.sdk.DescribeTable(ctx, table, credentials)
		wantErr(w, err, zerobus.ErrAuth, "invalid_client")
		w.srv.RefuseTokens(503, "temporarily_unavailable", "try again")
		if _, err = w.sdk.DescribeTable(ctx, table, credentials); !zerobus.IsRetriable(err) || errors.Is(err, zerobus.ErrAuth) {
			w.Errorf("a workspace out of order: %v", err)
		}
		w.srv.HandleToken(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		start := time.Now()
		if _, err = w.sdk.DescribeTable(ctx, table, credentials); !zerobus.IsRetriable(err) || time.Since(start) != 30*time.Second {
			w.Errorf("a workspace that hangs: %v after %v", err, time.Since(start))
		}
		hangs := zerobus.HeadersProviderFunc(func(ctx context.Context) ([]zerobus.Header, error) { <-ctx.Done(); return nil, ctx.Err() })
		start = time.Now()
		if _, err = w.sdk.DescribeTable(ctx, table, hangs); err == nil || time.Since(start) != 30*time.Second {
			w.Errorf("a provider that hangs: %v after %v", err, time.Since(start))
		}
		short, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		start = time.Now()
		if _, err = w.sdk.DescribeTable(short, table, credentials); err == nil || time.Since(start) != time.Second {
			w.Errorf("a context that ends: %v after %v", err, time.Since(start))
		}
		sdk, err := zerobus.New(w.srv.Endpoint(), "")
		w.must(err)
		defer sdk.Close()
		_, err = sdk.DescribeTable(ctx, table, auth)
		wantErr(w, err, zerobus.ErrInvalidArgument, "New was given none")
	})
}

func TestDescribeTable_Certificates(t *testing.T) {
	srv := zerobustest.New(zerobustest.TLS())
	defer srv.Close()
	srv.DescribeTable(table, columnsOf(t, airQuality))
	for _, trusts := range []bool{false, true} {
		var opts []zerobus.Option
		if trusts {
			opts = append(opts, zerobus.WithTLSConfig(&tls.Config{RootCAs: srv.RootCAs()}))
		}
		sdk, err := zerobus.New(srv.Endpoint(), srv.WorkspaceURL(), opts...)
		if err != nil {
			t.Fatal(err)
		}
		defer sdk.Close()
		_, err = sdk.DescribeTable(t.Context(), table, credentials)
		if trusts && err != nil {
			t.Error(err)
		}
		if !trusts {
			wantErr(t, err, zerobus.ErrNonRetriable, "certificate", "give the server's certificate authority")
		}
	}
}

func TestDescribedTable_Errors(t *testing.T) {
	_, err := zerobus.DescribedTable("a.b", columnsOf(t, airQuality))
	wantErr(t, err, zerobus.ErrInvalidTableName)
	_, err = zerobus.DescribedTable(table, nil)
	wantErr(t, err, zerobus.ErrInvalidArgument, "the columns are nil")
	_, err = zerobus.DescribedTable(table, columnsOf(t, "CREATE TABLE t (a MAP<DOUBLE, INT>)"))
	wantErr(t, err, zerobus.ErrInvalidArgument, "column a.key")
	if props, err := zerobus.DescribedTable("a.b.1st", columnsOf(t, airQuality)); err != nil || props.Descriptor.GetName() != "_1st" {
		t.Error(props.Descriptor.GetName(), err)
	}
}

func TestSchemaCheck(t *testing.T) {
	authentic(t, func(w *world) {
		w.srv.DescribeTable(table, columnsOf(w, "CREATE TABLE t (device STRING NOT NULL, temp TINYINT)"))
		fits := columnsOf(w, "CREATE TABLE t (device STRING NOT NULL, temp INT)")
		other := columnsOf(w, "CREATE TABLE t (temp STRING)")
		create := func(columns *schema.Struct, known *schema.Struct) error {
			d, err := columns.Descriptor("M")
			w.must(err)
			s, err := w.sdk.CreateStream(w.Context(), zerobus.TableProperties{Name: table, Descriptor: d, Columns: known}, credentials, zerobus.WithSchemaCheck(true))
			if err != nil {
				return err
			}
			return s.Close(w.Context())
		}
		w.must(create(fits, nil))
		err := create(other, nil)
		wantErr(w, err, zerobus.ErrInvalidArgument, "create stream", "field temp: string does not fit TINYINT: make it int32", "field device: the column is STRING NOT NULL")
		var misfit *schema.MisfitError
		if !errors.As(err, &misfit) || len(misfit.Findings) != 2 {
			w.Errorf("%v", err)
		}
		before := len(w.srv.TokenRequests())
		w.must(create(other, other)) // columns that are known are not fetched
		w.wantTokenRequests(before)  // and the stream's token is kept
		w.srv.DescribeTable(table, nil)
		wantErr(w, create(fits, nil), zerobus.ErrTableNotFound, "create stream")
		s, err := w.sdk.CreateStream(w.Context(), zerobus.Table(table), credentials, zerobus.WithSchemaCheck(true))
		w.must(err) // a JSON stream has nothing to compare
		w.must(s.Close(w.Context()))
		if got := len(w.srv.Connections()); got != 3 {
			w.Errorf("%d connections", got)
		}
	})
}

// What a server may refuse later is a warning.
func TestSchemaCheck_Warns(t *testing.T) {
	inBubble(t, func(w *world) {
		d, err := columnsOf(w, "CREATE TABLE t (a BIGINT)").Descriptor("M")
		w.must(err)
		props := zerobus.TableProperties{Name: table, Descriptor: d, Columns: columnsOf(w, "CREATE TABLE t (a INT)")}
		s, err := w.sdk.CreateStream(w.Context(), props, auth, zerobus.WithSchemaCheck(true))
		w.must(err)
		w.must(s.Close(w.Context()))
		if log := w.log.String(); !strings.Contains(log, "level=WARN") || !strings.Contains(log, "int64 holds more than INT") {
			w.Errorf("the log says %s", log)
		}
	})
}

// A table that is not there is told alike by Unity Catalog and by the server.
func TestErrTableNotFound_OfTheServer(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(zerobustest.Refuse(codes.NotFound, "no such table"))
		_, err := w.create()
		wantErr(w, err, zerobus.ErrTableNotFound, "no such table")
	})
}

// What a described table was made of cannot be changed behind its encoder's back.
func TestDescribedTable_ChangedAfterwards(t *testing.T) {
	inBubble(t, func(w *world) {
		props, err := zerobus.DescribedTable(table, columnsOf(w, "CREATE TABLE t (x STRING, y STRING)"))
		w.must(err)
		swapped := props
		swapped.Descriptor = proto.CloneOf(props.Descriptor)
		swapped.Descriptor.Field[0].Number, swapped.Descriptor.Field[1].Number = proto.Int32(2), proto.Int32(1)
		_, err = w.sdk.CreateStream(w.Context(), swapped, auth)
		wantErr(w, err, zerobus.ErrInvalidArgument, "the descriptor is not the one that was made of the table's columns")
		props.Descriptor.Field[0].Number = proto.Int32(3)
		_, err = w.sdk.CreateStream(w.Context(), props, auth)
		wantErr(w, err, zerobus.ErrInvalidArgument, "the descriptor is not the one that was made of the table's columns")
	})
}

// A described table may also be given JSON records as they are.
func TestDescribedTable_AsJSON(t *testing.T) {
	inBubble(t, func(w *world) {
		props, err := zerobus.DescribedTable(table, columnsOf(w, "CREATE TABLE t (x INT)"))
		w.must(err)
		props.RecordType = zerobus.RecordTypeJSON
		s, err := w.sdk.CreateStream(w.Context(), props, auth)
		w.must(err)
		_, err = s.Ingest(w.Context(), zerobus.JSON(map[string]int{"x": 1}))
		w.must(err)
		_, err = s.IngestBatch(w.Context(), []zerobus.Record{zerobus.JSON(map[string]int{"x": 2}), zerobus.JSONString(`{"x":3}`)})
		w.must(err)
		_, err = s.Ingest(w.Context(), zerobus.ProtoBytes(nil))
		wantErr(w, err, zerobus.ErrInvalidArgument)
		w.must(s.Close(w.Context()))
		for i, got := range w.srv.Records(table) {
			if want := fmt.Sprintf(`{"x":%d}`, i+1); string(got) != want {
				w.Errorf("record %d is %q", i, got)
			}
		}
	})
}

// Messages are taken if their fields are those of the descriptor; others would be read as what they do not say.
func TestDescribedTable_Messages(t *testing.T) {
	inBubble(t, func(w *world) {
		props, err := zerobus.DescribedTable(table, columnsOf(w, "CREATE TABLE t (seconds BIGINT, nanos INT, s STRUCT<x: INT>)"))
		w.must(err)
		s, err := w.sdk.CreateStream(w.Context(), props, auth)
		w.must(err)
		_, err = s.Ingest(w.Context(), zerobus.Proto(durationpb.New(time.Second))) // seconds = 1, nanos = 2, as here
		w.must(err)
		_, err = s.IngestBatch(w.Context(), []zerobus.Record{zerobus.Proto(durationpb.New(time.Minute)), zerobus.JSONString(`{"nanos":7}`)})
		w.must(err)
		for _, other := range []proto.Message{
			wrapperspb.Int64(1), // another field
			messageOf(w, `message M {optional int64 seconds = 2;}`), messageOf(w, `message M {optional sint64 seconds = 1;}`),
			messageOf(w, `message M {optional S s = 3; message S {optional int32 x = 2;}}`),
		} {
			_, err = s.Ingest(w.Context(), zerobus.Proto(other))
			wantErr(w, err, zerobus.ErrInvalidArgument, "for a stream of air_quality")
			_, err = s.IngestBatch(w.Context(), []zerobus.Record{zerobus.Proto(other)})
			wantErr(w, err, zerobus.ErrInvalidArgument, "for a stream of air_quality")
		}
		_, err = s.Ingest(w.Context(), zerobus.Proto(messageOf(w, `message M {optional S s = 3; message S {optional int32 x = 1;}}`)))
		w.must(err)
		w.must(s.Close(w.Context()))
		if n := len(w.srv.Records(table)); n != 4 {
			w.Errorf("%d records", n)
		}
	})
}

// messageOf is an empty message of a type.
func messageOf(t testing.TB, text string) proto.Message {
	t.Helper()
	f, err := schema.ParseProto(text)
	if err != nil {
		t.Fatal(err)
	}
	md, err := schema.Resolve(f.GetMessageType()[0])
	if err != nil {
		t.Fatal(err)
	}
	return dynamicpb.NewMessage(md)
}

// Columns that cannot be are an error, wherever they come from.
func TestDescribedTable_ColumnsThatCannotBe(t *testing.T) {
	inBubble(t, func(w *world) {
		good := columnsOf(w, "CREATE TABLE t (x INT)")
		d, err := good.Descriptor("M")
		w.must(err)
		for _, typ := range []schema.Type{
			{},
			{Kind: schema.Array},
			{Kind: schema.Map},
			{Kind: 99},
			{Kind: schema.Decimal},
			{Kind: schema.String, Length: -1},
			{Kind: schema.Array, Elem: &schema.Type{Kind: 99}},
		} {
			columns := &schema.Struct{Fields: []schema.Field{{Name: "x", Type: typ}}}
			_, err := zerobus.DescribedTable(table, columns)
			wantErr(w, err, zerobus.ErrInvalidArgument, "column x")
			props := zerobus.TableProperties{Name: table, Descriptor: d, Columns: columns}
			_, err = w.sdk.CreateStream(w.Context(), props, auth, zerobus.WithSchemaCheck(true))
			wantErr(w, err, zerobus.ErrInvalidArgument, "column x")
			if err := schema.Check(d, columns).Err(); err == nil {
				w.Errorf("%v: no error", typ.Kind)
			}
		}
		for _, err := range []error{schema.Check(nil, good).Err(), schema.Check(d, nil).Err()} {
			if err == nil {
				w.Error("nothing was compared with nothing")
			}
		}
		if _, err := schema.NewEncoder(nil); err == nil {
			w.Error("an encoder of no table")
		}
	})
}

// A table of which no token can be had is not one that is missing.
func TestDescribeTable_NoTokenEndpoint(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.RefuseTokens(404, "", "no such page")
		_, err := w.sdk.DescribeTable(w.Context(), table, credentials)
		wantErr(w, err, zerobus.ErrInvalidArgument, "token request: refused with HTTP 404")
		if errors.Is(err, zerobus.ErrTableNotFound) {
			w.Errorf("%v: is taken for a missing table", err)
		}
	})
}

// A described table is compared with what the table is now.
func TestSchemaCheck_OfADescribedTableThatHasChanged(t *testing.T) {
	authentic(t, func(w *world) {
		w.srv.DescribeTable(table, columnsOf(w, "CREATE TABLE t (x INT)"))
		props, err := w.sdk.DescribeTable(w.Context(), table, &zerobus.ClientCredentials{ID: "a", Secret: "b"})
		w.must(err)
		w.srv.DescribeTable(table, columnsOf(w, "CREATE TABLE t (y STRING NOT NULL)"))
		_, err = w.sdk.CreateStream(w.Context(), props, credentials, zerobus.WithSchemaCheck(true))
		wantErr(w, err, zerobus.ErrInvalidArgument, "field x: the table has no such column", "field y")
	})
}
