package server_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/zerobus-go/zerobus"
	"github.com/zerobus-go/zerobus/internal/wire"
	"github.com/zerobus-go/zerobus/server"
	"github.com/zerobus-go/zerobus/server/internal/admin"
	"github.com/zerobus-go/zerobus/server/internal/datadir"
	"github.com/zerobus-go/zerobus/server/internal/rest"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
)

func (h *harness) sdk(opts ...zerobus.Option) *zerobus.SDK {
	h.t.Helper()
	sdk, err := zerobus.New(h.GRPCEndpoint(), h.WorkspaceURL(), opts...)
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { sdk.Close() })
	return sdk
}

func (h *harness) credentials() zerobus.ClientCredentials {
	return zerobus.ClientCredentials{ID: h.id, Secret: h.secret}
}

// rows counts the rows that zerobus table head would show.
func (h *harness) rows(table string) int { return len(h.head(table)) }

// head returns the rows that zerobus table head would show.
func (h *harness) head(table string) []any {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := h.Flush(ctx, table); err != nil {
		h.t.Fatal(err)
	}
	token, err := os.ReadFile(filepath.Join(h.DataDir(), "admin.token"))
	if err != nil {
		h.t.Fatal(err)
	}
	req, err := http.NewRequest(http.MethodPost, h.WorkspaceURL()+"/api/zerobus/v1/admin/table/head", strings.NewReader(fmt.Sprintf(`{"table":%q,"limit":10000}`, table)))
	if err != nil {
		h.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	code, body := h.do(req)
	if code != http.StatusOK {
		h.t.Fatalf("table head: %d %v", code, body)
	}
	rows, _ := body["rows"].([]any)
	return rows
}

func TestServer_RecordsOfTheSDKArriveInTheTable(t *testing.T) {
	h := start(t)
	ctx := t.Context()
	stream, err := h.sdk().CreateStream(ctx, zerobus.Table(airQuality), h.credentials())
	if err != nil {
		t.Fatal(err)
	}
	for i := range 100 {
		ack, err := stream.Ingest(ctx, zerobus.JSON(map[string]any{"device_name": fmt.Sprintf("sensor-%d", i%10), "temp": 20 + i%15, "humidity": 50 + i%40}))
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			if err := ack.Wait(ctx); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := stream.IngestBatch(ctx, []zerobus.Record{zerobus.JSONString(`{}`), zerobus.JSONString(good)}); err != nil {
		t.Fatal(err)
	}
	if err := stream.Close(ctx); err != nil {
		t.Fatal(err)
	}
	if n := h.rows(airQuality); n != 102 {
		t.Errorf("the table has %d rows, want 102", n)
	}
}

// A descriptor by hand: field numbers and order are not those of the columns, names count.
func airQualityMessage(t *testing.T) *dynamicpb.Message {
	t.Helper()
	field := func(name string, number int32, kind descriptorpb.FieldDescriptorProto_Type) *descriptorpb.FieldDescriptorProto {
		return &descriptorpb.FieldDescriptorProto{
			Name: proto.String(name), Number: proto.Int32(number), Type: kind.Enum(), Label: descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum(),
		}
	}
	file, err := protodesc.NewFile(&descriptorpb.FileDescriptorProto{
		Name: proto.String("air.proto"), Package: proto.String("sensors"), Syntax: proto.String("proto2"),
		MessageType: []*descriptorpb.DescriptorProto{{Name: proto.String("AirQuality"), Field: []*descriptorpb.FieldDescriptorProto{
			field("humidity", 7, descriptorpb.FieldDescriptorProto_TYPE_INT64),
			field("device_name", 3, descriptorpb.FieldDescriptorProto_TYPE_STRING),
			field("temp", 12, descriptorpb.FieldDescriptorProto_TYPE_INT32),
		}}},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return dynamicpb.NewMessage(file.Messages().Get(0))
}

func TestServer_ProtobufRecords(t *testing.T) {
	h := start(t)
	ctx := t.Context()
	m := airQualityMessage(t)
	stream, err := h.sdk().CreateStream(ctx, zerobus.ProtoTable(airQuality, m), h.credentials())
	if err != nil {
		t.Fatal(err)
	}
	for range 50 {
		if _, err := stream.Ingest(ctx, zerobus.Proto(m)); err != nil {
			t.Fatal(err)
		}
	}
	if err := stream.Close(ctx); err != nil {
		t.Fatal(err)
	}
	if n := h.rows(airQuality); n != 50 {
		t.Errorf("the table has %d rows, want 50", n)
	}
}

func TestServer_ARestartKeepsEverything(t *testing.T) {
	dir := t.TempDir()
	keep := func(c *server.Config) { c.DataDir = dir; c.CommitInterval = time.Hour }
	h := start(t, keep)
	r := h.stream(airQuality)
	for i := range int64(10) {
		r.record(i, good)
	}
	for acked := int64(-1); acked < 9; {
		acked = r.must().AckUpTo
	}
	h.stop()

	h = &harness{t: t, id: h.id, secret: h.secret, served: make(chan error, 1)}
	cfg := server.Config{GRPCListen: "127.0.0.1:0", HTTPListen: "127.0.0.1:0"}
	keep(&cfg)
	srv, err := server.New(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	h.Server = srv
	go func() { h.served <- srv.Serve() }()
	t.Cleanup(h.stop)
	h.stream(airQuality).record(0, good) // the principal and its grants are still there
	if n := h.rows(airQuality); n < 10 {
		t.Errorf("the table has %d rows, want 10 or, with the one just sent, 11", n)
	}
}

func TestServer_TLSOfItsOwnAuthority(t *testing.T) {
	h := start(t, func(c *server.Config) { c.TLS = server.TLSAuto })
	if !strings.HasPrefix(h.GRPCEndpoint(), "https://127.0.0.1:") || !strings.HasPrefix(h.WorkspaceURL(), "https://") {
		t.Fatalf("endpoints are %s and %s", h.GRPCEndpoint(), h.WorkspaceURL())
	}
	pem, err := os.ReadFile(h.CAFile())
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		t.Fatalf("%s holds no certificate", h.CAFile())
	}
	if key, err := os.Stat(filepath.Join(filepath.Dir(h.CAFile()), "ca-key.pem")); err != nil || key.Mode().Perm()&0o077 != 0 {
		t.Errorf("the authority's key: %v %v", key.Mode(), err)
	}
	cfg := &tls.Config{RootCAs: pool}
	tr := &http.Transport{TLSClientConfig: cfg, DisableKeepAlives: true}
	sdk := h.sdk(zerobus.WithTLSConfig(cfg), zerobus.WithHTTPClient(&http.Client{Transport: tr}))
	stream, err := sdk.CreateStream(t.Context(), zerobus.Table(airQuality), h.credentials())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Ingest(t.Context(), zerobus.JSONString(good)); err != nil {
		t.Fatal(err)
	}
	if err := stream.Close(t.Context()); err != nil {
		t.Fatal(err)
	}

	stranger, err := zerobus.New(h.GRPCEndpoint(), h.WorkspaceURL())
	if err != nil {
		t.Fatal(err)
	}
	defer stranger.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	_, err = stranger.CreateStream(ctx, zerobus.Table(airQuality), h.credentials(), zerobus.WithRecovery(false))
	var unknown x509.UnknownAuthorityError
	if err == nil || !errors.As(err, &unknown) && !strings.Contains(err.Error(), "certificate") {
		t.Errorf("a client that does not trust the authority got %v", err)
	}
}

// The HTTP listener has no HTTP/2, whose faults would be ours; gRPC brings an implementation of its own.
func TestServer_TLSOfHTTPIsHTTP1Alone(t *testing.T) {
	h := start(t, func(c *server.Config) { c.TLS = server.TLSAuto })
	conn, err := tls.Dial("tcp", strings.TrimPrefix(h.WorkspaceURL(), "https://"), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2", "http/1.1"}})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if p := conn.ConnectionState().NegotiatedProtocol; p != "http/1.1" {
		t.Errorf("the protocol is %q", p)
	}
}

func TestServer_ManyStreamsOnOneConnection(t *testing.T) {
	h := start(t)
	sdk := h.sdk(zerobus.WithSharedConnection())
	const streams, each = 20, 200
	var wg sync.WaitGroup
	for range streams {
		wg.Go(func() {
			stream, err := sdk.CreateStream(t.Context(), zerobus.Table(airQuality), h.credentials())
			if err != nil {
				t.Error(err)
				return
			}
			for range each {
				if _, err := stream.Ingest(t.Context(), zerobus.JSONString(good)); err != nil {
					t.Error(err)
					return
				}
			}
			if err := stream.Close(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := h.rows(airQuality); n != streams*each {
		t.Errorf("the table has %d rows, want %d", n, streams*each)
	}
}

// Shutdown sends the close signal, acknowledges what was sent, and the client's half-close ends the stream well.
func TestServer_ShutdownAsksClientsToLeave(t *testing.T) {
	h := start(t, func(c *server.Config) { c.CommitInterval = time.Hour })
	r := h.stream(airQuality)
	r.record(0, good)
	if resp := r.must(); resp.AckUpTo != 0 {
		t.Fatalf("got %+v", resp)
	}
	ended := make(chan struct{})
	go func() { defer close(ended); h.stop() }()
	if resp := r.must(); !resp.HasCloseIn || resp.CloseIn <= 0 {
		t.Fatalf("got %+v, want a close signal", resp)
	}
	r.record(1, good)
	if resp := r.must(); resp.AckUpTo != 1 {
		t.Fatalf("got %+v, want the acknowledgement of what came within the grace", resp)
	}
	if err := r.CloseSend(); err != nil {
		t.Fatal(err)
	}
	if _, err := r.end(); err != io.EOF {
		t.Errorf("the stream ended with %v", err)
	}
	<-ended
}

func TestServer_ShutdownEndsClientsThatStay(t *testing.T) {
	h := start(t)
	r := h.stream(airQuality)
	h.stop()
	_, err := r.end()
	if status.Code(err) != codes.Unavailable || !strings.Contains(err.Error(), "the server is shutting down") {
		t.Errorf("the stream ended with %v", err)
	}
}

func TestServer_StreamsAreLimited(t *testing.T) {
	h := start(t, func(c *server.Config) { c.MaxStreams = 1 })
	one := h.stream(airQuality)
	two := h.open("authorization", "Bearer "+h.token(airQuality))
	if _, err := two.recv(); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("the second stream ended with %v", err)
	}
	if err := one.CloseSend(); err != nil {
		t.Fatal(err)
	}
	if _, err := one.end(); err != io.EOF {
		t.Errorf("the first stream ended with %v", err)
	}
	h.stream(airQuality) // its place is free again
}

func TestServer_TableMetadata(t *testing.T) {
	h := start(t)
	h.sql("CREATE TABLE main.default.wide (id BIGINT NOT NULL COMMENT 'key', price DECIMAL(10,2), at TIMESTAMP_NTZ, day DATE)")
	h.sql("GRANT SELECT ON TABLE main.default.wide TO `writer`")
	get := func(table, token string) (int, map[string]any) {
		req, err := http.NewRequest(http.MethodGet, h.WorkspaceURL()+"/api/2.1/unity-catalog/tables/"+table, nil)
		if err != nil {
			t.Fatal(err)
		}
		if token != "" {
			req.Header.Set("Authorization", "Bearer "+token)
		}
		return h.do(req)
	}
	token := h.token("") // for reading metadata clients ask for no privileges
	code, body := get("main.default.wide", token)
	if code != http.StatusOK || body["name"] != "wide" || body["catalog_name"] != "main" || body["table_type"] != "MANAGED" || body["table_id"] == "" {
		t.Fatalf("got %d %v", code, body)
	}
	var texts []string
	for i, c := range body["columns"].([]any) {
		c := c.(map[string]any)
		texts = append(texts, fmt.Sprint(c["name"], " ", c["type_text"], " ", c["type_name"], " ", c["nullable"]))
		if c["position"] != float64(i) {
			t.Errorf("column %d has position %v", i, c["position"])
		}
	}
	if got := strings.Join(texts, "; "); got != "id bigint LONG false; price decimal(10,2) DECIMAL true; at timestamp_ntz TIMESTAMP_NTZ true; day date DATE true" {
		t.Errorf("columns are %s", got)
	}
	for _, c := range []struct {
		table, token string
		code         int
		want         string
	}{
		{"main.default.wide", "", http.StatusUnauthorized, "UNAUTHENTICATED"},
		{"main.default.wide", "abc", http.StatusUnauthorized, "UNAUTHENTICATED"},
		{"main.default.nothing", token, http.StatusNotFound, "TABLE_NOT_FOUND"},
		{"wide", token, http.StatusBadRequest, "INVALID_PARAMETER_VALUE"},
	} {
		if code, body := get(c.table, c.token); code != c.code || body["error_code"] != c.want {
			t.Errorf("%s: got %d %v, want %d %s", c.table, code, body, c.code, c.want)
		}
	}
	if code, _ := get("main.default.secret", token); code != http.StatusNotFound {
		t.Errorf("a table without a grant: %d", code)
	}
}

func TestServer_AdministrationNeedsItsToken(t *testing.T) {
	h := start(t)
	for _, token := range []string{"", h.token(airQuality)} {
		req, err := http.NewRequest(http.MethodPost, h.WorkspaceURL()+"/api/zerobus/v1/admin/sql", strings.NewReader(`{"script":"SHOW CATALOGS"}`))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+token)
		if code, body := h.do(req); code != http.StatusUnauthorized {
			t.Errorf("got %d %v", code, body)
		}
	}
}

func TestNew_FailsCleanly(t *testing.T) {
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	dir := t.TempDir()
	for _, c := range []struct {
		name string
		cfg  server.Config
		want string
	}{
		{"no directory", server.Config{}, "data directory is not named"},
		{"bad addresses", server.Config{DataDir: dir, GRPCListen: "x", HTTPListen: "y"}, `HTTP listen address "y"`},
		{"negative", server.Config{DataDir: dir, MaxStreams: -1}, "stream limit is negative"},
		{"port taken", server.Config{DataDir: dir, GRPCListen: "127.0.0.1:0", HTTPListen: busy.Addr().String()}, "HTTP listener"},
		{"no certificate", server.Config{DataDir: dir, GRPCListen: "127.0.0.1:0", HTTPListen: "127.0.0.1:0", TLS: "a,b"}, "TLS certificate"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := server.New(t.Context(), c.cfg); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
	// Nothing that failed has kept the directory: a server can open it, and a second one cannot.
	h := start(t, func(c *server.Config) { c.DataDir = dir })
	_, err = server.New(t.Context(), server.Config{DataDir: h.DataDir(), GRPCListen: "127.0.0.1:0", HTTPListen: "127.0.0.1:0"})
	if err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("a second server on one directory: %v", err)
	}
}

// A handshake that does not come must not hold up the end of the server, nor the commits that come with it.
func TestServer_ShutdownWithAnOpenHandshake(t *testing.T) {
	h := start(t)
	r := h.open("authorization", "Bearer "+h.token(airQuality))
	if _, err := r.Header(); err != nil {
		t.Fatal(err)
	}
	h.stop()
	if _, err := r.end(); status.Code(err) != codes.Unavailable {
		t.Errorf("the stream ended with %v", err)
	}
}

// The handler and the receiver of a stream that is cancelled in the middle of its handshake share nothing unguarded; the race
// detector looks on.
func TestServer_CancelInTheHandshake(t *testing.T) {
	h := start(t)
	token := h.token(airQuality)
	for range 50 {
		r := h.open("authorization", "Bearer "+token)
		r.send(wire.AppendCreateStream(nil, wire.CreateStream{Table: airQuality, Type: wire.JSON, HasType: true}))
		r.cancel()
	}
	h.stream(airQuality).record(0, good)
	if n := h.rows(airQuality); n > 1 {
		t.Errorf("the table has %d rows", n)
	}
}

// Few bytes on the wire must not become many in memory: a column gets its first value after very many records without one.
func TestServer_LateColumnsAreBounded(t *testing.T) {
	h := start(t)
	var columns, values []string
	for i := range 100 {
		columns = append(columns, fmt.Sprintf("c%d BIGINT", i))
		values = append(values, fmt.Sprintf(`"c%d":1`, i))
	}
	h.sql("CREATE TABLE main.default.wide (" + strings.Join(columns, ",") + ")")
	h.sql("GRANT SELECT, MODIFY ON TABLE main.default.wide TO `writer`")
	r := h.stream("main.default.wide")
	records := make([]string, 100_001)
	for i := range records {
		records[i] = "{}"
	}
	records[len(records)-1] = "{" + strings.Join(values, ",") + "}"
	r.batch(0, records...)
	_, err := r.end()
	if status.Code(err) != codes.InvalidArgument || !strings.Contains(err.Error(), "record 100000 of the batch") || !strings.Contains(err.Error(), "send smaller batches") {
		t.Errorf("the stream ended with %v", err)
	}
}

// What an old server left in server.json is not trusted with the admin token.
func TestServer_TheToolAsksNobodyElse(t *testing.T) {
	h := start(t)
	dir := h.DataDir()
	left, err := os.ReadFile(filepath.Join(dir, "server.json"))
	if err != nil {
		t.Fatal(err)
	}
	h.stop()
	if _, err := os.Stat(filepath.Join(dir, "server.json")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("server.json is still there: %v", err)
	}
	stranger := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t.Errorf("a stranger was asked for %s with %q", r.URL, r.Header.Get("Authorization"))
	}))
	defer stranger.Close()
	forged := strings.ReplaceAll(string(left), h.WorkspaceURL(), stranger.URL)
	if err := os.WriteFile(filepath.Join(dir, "server.json"), []byte(forged), 0o600); err != nil {
		t.Fatal(err)
	}
	d, err := datadir.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	api, release, err := admin.Connect(t.Context(), d, rest.AdminPath, server.Engine)
	if err != nil {
		t.Fatal(err)
	}
	if ts, err := api.Tables(t.Context()); err != nil || len(ts) != 1 {
		t.Errorf("tables are %v, %v", ts, err)
	}
	if err := release(); err != nil {
		t.Error(err)
	}
}
