package server_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/zerobus-go/zerobus/internal/dial"
	"github.com/zerobus-go/zerobus/internal/wire"
	"github.com/zerobus-go/zerobus/server"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const airQuality = "main.default.air_quality"

// start runs a server on free ports with the README's table and a principal that may write it.
func start(t *testing.T, change ...func(*server.Config)) *harness {
	t.Helper()
	cfg := server.Config{
		DataDir: t.TempDir(), GRPCListen: "127.0.0.1:0", HTTPListen: "127.0.0.1:0", CommitInterval: 20 * time.Millisecond,
	}
	for _, f := range change {
		f(&cfg)
	}
	srv, err := server.New(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	h := &harness{Server: srv, t: t, served: make(chan error, 1)}
	go func() { h.served <- srv.Serve() }()
	t.Cleanup(h.stop)
	h.sql("CREATE TABLE IF NOT EXISTS " + airQuality + " (device_name STRING, temp INT, humidity BIGINT) USING DELTA;")
	h.id, h.secret = h.principal("writer", airQuality)
	return h
}

type harness struct {
	*server.Server
	t          *testing.T
	served     chan error
	id, secret string
	stopped    bool
}

// stop shuts the server down in order; nothing may go wrong.
func (h *harness) stop() {
	if h.stopped {
		return
	}
	h.stopped = true
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := h.Shutdown(ctx); err != nil {
		h.t.Errorf("shutdown: %v", err)
	}
	if err := <-h.served; err != nil {
		h.t.Errorf("serve: %v", err)
	}
}

func (h *harness) sql(script string) {
	h.t.Helper()
	if err := h.SQL(context.Background(), script); err != nil {
		h.t.Fatal(err)
	}
}

// principal makes a principal that may write a table.
func (h *harness) principal(name, table string) (id, secret string) {
	h.t.Helper()
	id, secret, err := h.CreatePrincipal(context.Background(), name)
	if err != nil {
		h.t.Fatal(err)
	}
	h.sql(fmt.Sprintf("GRANT USE CATALOG ON CATALOG main TO `%[1]s`; GRANT USE SCHEMA ON SCHEMA main.default TO `%[1]s`; GRANT SELECT, MODIFY ON TABLE %[2]s TO `%[1]s`;", id, table))
	return id, secret
}

// details are the authorization_details that every SDK asks for.
func details(table string) string {
	p := strings.Split(table, ".")
	type detail struct {
		Type       string   `json:"type"`
		Privileges []string `json:"privileges"`
		ObjectType string   `json:"object_type"`
		Path       string   `json:"object_full_path"`
	}
	const kind = "unity_catalog_privileges"
	b, _ := json.Marshal([]detail{
		{kind, []string{"USE CATALOG"}, "CATALOG", p[0]},
		{kind, []string{"USE SCHEMA"}, "SCHEMA", p[0] + "." + p[1]},
		{kind, []string{"SELECT", "MODIFY"}, "TABLE", table},
	})
	return string(b)
}

// tokenAnswer asks the token endpoint.
func (h *harness) tokenAnswer(id, secret, table string) (status int, body map[string]any) {
	h.t.Helper()
	form := url.Values{"grant_type": {"client_credentials"}, "scope": {"all-apis"}}
	if table != "" {
		form.Set("resource", "api://databricks/workspaces/127/zerobusDirectWriteApi")
		form.Set("authorization_details", details(table))
	}
	req, err := http.NewRequest(http.MethodPost, h.WorkspaceURL()+"/oidc/v1/token", strings.NewReader(form.Encode()))
	if err != nil {
		h.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth(id, secret)
	return h.do(req)
}

func (h *harness) do(req *http.Request) (status int, body map[string]any) {
	h.t.Helper()
	tr := &http.Transport{DisableKeepAlives: true}
	resp, err := (&http.Client{Transport: tr}).Do(req)
	if err != nil {
		h.t.Fatal(err)
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&body); err != nil {
		h.t.Fatal(err)
	}
	return resp.StatusCode, body
}

func (h *harness) token(table string) string {
	h.t.Helper()
	status, body := h.tokenAnswer(h.id, h.secret, table)
	tok, _ := body["access_token"].(string)
	if status != http.StatusOK || tok == "" {
		h.t.Fatalf("token endpoint: %d %v", status, body)
	}
	return tok
}

// raw is a client that says what it likes on the wire.
type raw struct {
	t    *testing.T
	conn *grpc.ClientConn
	grpc.ClientStream
	cancel context.CancelFunc
}

// open begins a stream with the given metadata; it sends nothing.
func (h *harness) open(md ...string) *raw {
	h.t.Helper()
	ep, err := dial.ParseEndpoint(h.GRPCEndpoint())
	if err != nil {
		h.t.Fatal(err)
	}
	opts, err := dial.Options(ep, dial.Settings{})
	if err != nil {
		h.t.Fatal(err)
	}
	conn, err := grpc.NewClient(ep.Target(), opts...)
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { conn.Close() })
	ctx, cancel := context.WithTimeout(metadata.NewOutgoingContext(context.Background(), metadata.Pairs(md...)), time.Minute)
	h.t.Cleanup(cancel)
	st, err := conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, wire.Method)
	if err != nil {
		h.t.Fatal(err)
	}
	return &raw{h.t, conn, st, cancel}
}

// stream opens a stream of JSON records to a table and passes the handshake.
func (h *harness) stream(table string) *raw {
	h.t.Helper()
	r := h.open("authorization", "Bearer "+h.token(table), "x-databricks-zerobus-table-name", table)
	r.send(wire.AppendCreateStream(nil, wire.CreateStream{Table: table, Type: wire.JSON, HasType: true}))
	if resp := r.must(); resp.Kind != wire.ResponseCreated || resp.StreamID == "" {
		h.t.Fatalf("the first response is %+v", resp)
	}
	return r
}

func (r *raw) send(b []byte) {
	r.t.Helper()
	if err := r.SendMsg(&wire.Outgoing{Buffers: mem.BufferSlice{mem.SliceBuffer(b)}}); err != nil {
		r.t.Logf("send: %v", err)
	}
}

// record sends one JSON record.
func (r *raw) record(offset int64, json string) {
	r.t.Helper()
	r.send(append(wire.AppendSinglePrefix(nil, offset, wire.JSON, len(json)), json...))
}

// batch sends JSON records as one request.
func (r *raw) batch(offset int64, records ...string) {
	r.t.Helper()
	var body []byte
	for _, rec := range records {
		body = wire.AppendRecord(body, []byte(rec))
	}
	r.send(append(wire.AppendBatchPrefix(nil, offset, wire.JSON, len(body)), body...))
}

func (r *raw) recv() (wire.Response, error) {
	var in wire.Incoming
	if err := r.RecvMsg(&in); err != nil {
		return wire.Response{}, err
	}
	return wire.ParseResponse(in.Bytes)
}

func (r *raw) must() wire.Response {
	r.t.Helper()
	resp, err := r.recv()
	if err != nil {
		r.t.Fatal(err)
	}
	return resp
}

// end reads acknowledgements until the stream's end and returns the last one, -1 for none, and the status.
func (r *raw) end() (acked int64, err error) {
	r.t.Helper()
	acked = -1
	for {
		resp, err := r.recv()
		if err != nil {
			return acked, err
		}
		if resp.Kind == wire.ResponseAck {
			if resp.AckUpTo <= acked {
				r.t.Errorf("acknowledgement of %d after %d", resp.AckUpTo, acked)
			}
			acked = resp.AckUpTo
		}
	}
}
