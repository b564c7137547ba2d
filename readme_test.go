package zerobus_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"expvar"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"github.com/zerobus-go/zerobus"
	"github.com/zerobus-go/zerobus/examples/airquality"
	"github.com/zerobus-go/zerobus/zerobustest"
)

// What README.md shows, see snippets_test.go, and the examples that run it.

const readmeTable = "main.default.air_quality"

var readmeCredentials = zerobus.ClientCredentials{ID: "client-id", Secret: "client-secret"}

// open opens a stream to the README's table.
func open(ctx context.Context, sdk *zerobus.SDK, opts ...zerobus.StreamOption) *zerobus.Stream {
	stream, err := sdk.CreateStream(ctx, zerobus.Table(readmeTable), readmeCredentials, opts...)
	if err != nil {
		log.Fatal(err)
	}
	return stream
}

//snippet:one-by-one

// oneByOne waits for each record. When it returns nil, all of them are durable.
func oneByOne(ctx context.Context, stream *zerobus.Stream) error {
	for i := range 1000 {
		r := reading{Device: fmt.Sprintf("sensor-%d", i%10), Temp: 20 + i%15, Humidity: 50 + i%40}
		if _, err := stream.IngestAndWait(ctx, zerobus.JSON(r)); err != nil {
			return err
		}
	}
	return nil
}

//snippet:end

// One by one, with JSON records.
func Example_oneByOne() {
	ctx := context.Background()
	srv, sdk, done := connect()
	defer done()
	stream := open(ctx, sdk)
	defer stream.Close(ctx)

	fmt.Println(oneByOne(ctx, stream), len(srv.Records(readmeTable)))
	// Output: <nil> 1000
}

//snippet:pipelined

// pipelined sends as fast as it can, and waits once.
func pipelined(ctx context.Context, stream *zerobus.Stream) error {
	for i := range 100_000 {
		r := reading{Device: fmt.Sprintf("sensor-%d", i%10), Temp: 20 + i%15, Humidity: 50 + i%40}
		if _, err := stream.Ingest(ctx, zerobus.JSON(r)); err != nil {
			return err
		}
	}
	return stream.Flush(ctx)
}

//snippet:end

// Pipelined, with JSON records and an ack callback.
func Example_pipelined() {
	ctx := context.Background()
	srv, sdk, done := connect()
	defer done()
	table, credentials := zerobus.Table(readmeTable), readmeCredentials

	//snippet:ack-callback
	stream, err := sdk.CreateStream(ctx, table, credentials,
		zerobus.WithMaxInflightRecords(50_000),
		zerobus.WithAckCallback(func(a zerobus.AckInfo) {
			if a.Err != nil {
				log.Printf("offsets %d to %d: %v", a.First, a.Last, a.Err)
				return
			}
			log.Printf("durable up to offset %d", a.Last)
		}))
	//snippet:end
	if err != nil {
		log.Fatal(err)
	}
	defer stream.Close(ctx)

	log.SetOutput(io.Discard)
	defer log.SetOutput(os.Stderr)
	fmt.Println(pipelined(ctx, stream), len(srv.Records(readmeTable)))
	// Output: <nil> 100000
}

// Protobuf records: the table and the record differ, all else is the same.
func Example_proto() {
	ctx := context.Background()
	srv, sdk, done := connect()
	defer done()
	credentials := readmeCredentials

	//snippet:proto-table
	stream, err := sdk.CreateStream(ctx,
		zerobus.ProtoTable("main.default.air_quality", &airquality.AirQuality{}), credentials)
	//snippet:end
	if err != nil {
		log.Fatal(err)
	}
	defer stream.Close(ctx)
	run := func() error {
		//snippet:proto-record
		r := &airquality.AirQuality{
			DeviceName: proto.String("sensor-1"),
			Temp:       proto.Int32(22),
			Humidity:   proto.Int64(55),
		}
		if _, err := stream.Ingest(ctx, zerobus.Proto(r)); err != nil {
			return err
		}
		//snippet:end
		return stream.Flush(ctx)
	}
	fmt.Println(run(), len(srv.Records(readmeTable)))

	offset, err := stream.IngestAndWait(ctx, zerobus.Proto(&airquality.AirQuality{DeviceName: proto.String("sensor-2")}))
	fmt.Println(offset, err)
	// Output:
	// <nil> 1
	// 1 <nil>
}

// The same record in both formats.
func Example_formats() {
	text, err := json.Marshal(reading{Device: "sensor-1", Temp: 22, Humidity: 55})
	if err != nil {
		log.Fatal(err)
	}
	message, err := proto.Marshal(&airquality.AirQuality{
		DeviceName: proto.String("sensor-1"), Temp: proto.Int32(22), Humidity: proto.Int64(55),
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("JSON:", len(text), "bytes, protobuf:", len(message), "bytes")
	// Output: JSON: 50 bytes, protobuf: 14 bytes
}

//snippet:batches

// batches sends records that belong together, a hundred at a time.
func batches(ctx context.Context, stream *zerobus.Stream, records []zerobus.Record) error {
	for len(records) > 0 {
		n := min(100, len(records))
		if _, err := stream.IngestBatch(ctx, records[:n]); err != nil {
			return err
		}
		records = records[n:]
	}
	return stream.Flush(ctx)
}

//snippet:end

// Batches.
func Example_batches() {
	ctx := context.Background()
	srv, sdk, done := connect()
	defer done()
	stream := open(ctx, sdk)
	defer stream.Close(ctx)

	records := make([]zerobus.Record, 250)
	for i := range records {
		records[i] = zerobus.JSON(reading{Device: "sensor-1", Temp: i})
	}
	fmt.Println(batches(ctx, stream, records), len(srv.Records(readmeTable)))
	ack, err := stream.IngestBatch(ctx, nil)
	fmt.Println(ack.Offset(), ack.IsDone(), err)
	// Output:
	// <nil> 250
	// -1 true <nil>
}

// What can be done with an Ack.
func Example_acks() {
	ctx := context.Background()
	_, sdk, done := connect()
	defer done()
	stream := open(ctx, sdk)
	record := zerobus.JSON(reading{Device: "sensor-1"})
	quit := make(chan bool)
	var told strings.Builder
	log.SetOutput(&told)
	log.SetFlags(0)
	defer log.SetFlags(log.LstdFlags)
	defer log.SetOutput(os.Stderr)

	run := func() error {
		//snippet:acks
		ack, err := stream.Ingest(ctx, record)
		if err != nil {
			return err
		}
		log.Printf("ingested: offset %d", ack.Offset()) // known at once: 0, 1, 2, …

		if err := ack.Wait(ctx); err != nil { // when ctx ends first, the record is still on its way
			return err
		}
		select { // the same beside other channels
		case <-ack.Done():
			err = ack.Err()
		case <-quit:
		}
		ack.OnDone(func(offset int64, err error) { // the same as a call, on success and on failure
			log.Printf("done: offset %d, error %v", offset, err)
		})
		//snippet:end
		return errors.Join(err, stream.Close(ctx))
	}
	fmt.Println(run())
	fmt.Print(told.String())
	// Output:
	// <nil>
	// ingested: offset 0
	// done: offset 0, error <nil>
}

// send is what a program does with a stream, and how it closes it.
func send(ctx context.Context, sdk *zerobus.SDK) (err error) {
	stream := open(ctx, sdk)
	//snippet:close
	defer func() {
		// ctx may have ended by now. Close gets a context that has not, and half a minute for what is unacknowledged.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
		defer cancel()
		err = errors.Join(err, stream.Close(ctx))
	}()
	//snippet:end
	for i := range 100 {
		if _, err := stream.Ingest(ctx, zerobus.JSON(reading{Device: "sensor-1", Temp: i})); err != nil {
			return err
		}
	}
	return nil
}

// A Close that works although the context of the work has ended.
func Example_close() {
	ctx, cancel := context.WithCancel(context.Background())
	srv, sdk, done := connect()
	defer done()
	interrupt := zerobustest.Do(func(*zerobustest.Connection) { cancel() })
	late := 10 * time.Millisecond
	srv.Script(zerobustest.Accept(
		zerobustest.On(0, interrupt, zerobustest.Wait(late), zerobustest.Ack(0)),
		zerobustest.AckAllAfter(late),
	))
	fmt.Println(send(ctx, sdk), ctx.Err(), len(srv.Records(readmeTable)))
	// Output: <nil> context canceled 100
}

// The headers of a stream, from a function.
func Example_headers() {
	ctx := context.Background()
	srv, sdk, done := connect()
	defer done()
	table := zerobus.Table(readmeTable)
	requestID := func() string { return "request-1" }
	manager := tokenManager{}

	//snippet:headers-func
	provider := zerobus.HeadersProviderFunc(func(ctx context.Context) ([]zerobus.Header, error) {
		target, _ := zerobus.TargetFrom(ctx) // which table, which workspace
		token, err := manager.Token(ctx, target.Table)
		if err != nil {
			return nil, err // tried again like a failed connection, unless it wraps zerobus.ErrNonRetriable
		}
		return []zerobus.Header{
			{Name: "authorization", Value: "Bearer " + token}, // required
			{Name: "x-request-id", Value: requestID()},        // tracking: found again in the logs of a gateway
			{Name: "x-route", Value: "blue"},                  // routing: read by a service mesh
			// x-databricks-zerobus-table-name is filled in when it is missing.
		}, nil
	})
	stream, err := sdk.CreateStream(ctx, table, provider)
	//snippet:end
	if err != nil {
		log.Fatal(err)
	}
	defer stream.Close(ctx)

	//snippet:headers-static
	static := zerobus.StaticHeaders{{Name: "authorization", Value: "Bearer " + os.Getenv("TOKEN")}}
	//snippet:end
	other, err := sdk.CreateStream(ctx, table, static)
	if err != nil {
		log.Fatal(err)
	}
	defer other.Close(ctx)
	for _, c := range srv.Connections() {
		md := c.Metadata()
		fmt.Println(md.Get("x-databricks-zerobus-table-name"), md.Get("x-request-id"), md.Get("x-route"))
	}
	// Output:
	// [main.default.air_quality] [request-1] [blue]
	// [main.default.air_quality] [] []
}

type tokenManager struct{}

func (tokenManager) Token(context.Context, string) (string, error) { return "t", nil }

// Options of a stream, one by one and as a whole.
func Example_options() {
	ctx := context.Background()
	_, sdk, done := connect()
	defer done()
	table, credentials := zerobus.Table(readmeTable), readmeCredentials

	//snippet:options
	stream, err := sdk.CreateStream(ctx, table, credentials,
		zerobus.WithMaxInflightRecords(10_000),
		zerobus.WithRecovery(true),
		zerobus.WithRecoveryTimeout(20*time.Second),
		zerobus.WithAckCallback(func(a zerobus.AckInfo) { log.Printf("durable up to offset %d", a.Last) }))
	//snippet:end
	if err != nil {
		log.Fatal(err)
	}
	defer stream.Close(ctx)

	//snippet:settings
	settings := zerobus.DefaultStreamSettings()
	if err := json.Unmarshal([]byte(`{"MaxInflightRecords": 10000, "RecoveryRetries": 10}`), &settings); err != nil {
		log.Fatal(err)
	}
	stream, err = sdk.CreateStream(ctx, table, credentials, zerobus.WithStreamSettings(settings))
	//snippet:end
	if err != nil {
		log.Fatal(err)
	}
	defer stream.Close(ctx)
	fmt.Println(stream.Settings().MaxInflightRecords, stream.Settings().RecoveryRetries, stream.Settings().RecoveryTimeout)
	// Output: 10000 10 15s
}

//snippet:errors

// finish closes a stream. What it could not deliver goes into a new one, where that may help.
func finish(ctx context.Context, sdk *zerobus.SDK, stream *zerobus.Stream) error {
	err := stream.Close(ctx)
	switch {
	case err == nil:
		return nil // everything is durable
	case errors.Is(err, zerobus.ErrNonRetriable):
		return err // the table, the credentials or a record is wrong: fix that first
	}
	// The network or the server, for longer than the stream has tried. The new stream gets what is unacknowledged.
	next, err := sdk.RecreateStream(ctx, stream)
	if err != nil {
		return err
	}
	return next.Close(ctx)
}

//snippet:end

// The ladder of errors.
func Example_errors() {
	ctx := context.Background()
	srv, sdk, done := connect()
	defer done()
	record := zerobus.JSON(reading{Device: "sensor-1"})

	srv.Script(zerobustest.Accept(zerobustest.On(0, zerobustest.Fail(codes.Unavailable, "maintenance"))))
	stream := open(ctx, sdk, zerobus.WithRecovery(false)) // as if all its tries had failed
	if _, err := stream.Ingest(ctx, record); err != nil {
		log.Fatal(err)
	}
	fmt.Println(finish(ctx, sdk, stream), len(srv.Records(readmeTable)))

	srv.Script(zerobustest.Accept(zerobustest.On(0, zerobustest.Fail(codes.InvalidArgument, "no such column"))))
	stream = open(ctx, sdk)
	if _, err := stream.Ingest(ctx, record); err != nil {
		log.Fatal(err)
	}
	var told strings.Builder
	log.SetOutput(&told)
	defer log.SetOutput(os.Stderr)
	log.SetFlags(0)
	defer log.SetFlags(log.LstdFlags)
	err := finish(ctx, sdk, stream)

	//snippet:error-details
	switch e, ok := errors.AsType[*zerobus.Error](err); {
	case !ok: // nil
	case errors.Is(err, zerobus.ErrAuth):
		log.Printf("%s: look at the credentials and the grants: %v", e.Table, err)
	case errors.Is(err, zerobus.ErrInvalidArgument):
		log.Printf("%s: a record does not fit the table, or an argument is wrong: %v", e.Table, err)
	default:
		log.Printf("%s: %v, worth another try: %t: %v", e.Table, e.Code, e.Retriable, err)
	}
	//snippet:end
	fmt.Println(strings.HasPrefix(told.String(), "main.default.air_quality: a record does not fit"))
	// Output:
	// <nil> 1
	// true
}

// A reject handler that keeps refused records.
func Example_reject() {
	ctx := context.Background()
	srv, sdk, done := connect()
	defer done()
	srv.Validate(readmeTable, func(record []byte) error { return json.Unmarshal(record, new(reading)) })
	table, credentials := zerobus.Table(readmeTable), readmeCredentials
	var deadLetters strings.Builder
	log.SetOutput(io.Discard)
	defer log.SetOutput(os.Stderr)

	//snippet:reject
	stream, err := sdk.CreateStream(ctx, table, credentials,
		zerobus.WithRejectHandler(func(r zerobus.Rejected) {
			log.Printf("offset %d was refused: %v", r.Offset, r.Err)
			for _, record := range r.Records {
				fmt.Fprintf(&deadLetters, "%s\n", record.Bytes())
			}
		}))
	//snippet:end
	if err != nil {
		log.Fatal(err)
	}
	for _, text := range []string{`{"temp":20}`, `{"temp":"warm"}`, `{"temp":22}`} {
		if _, err := stream.Ingest(ctx, zerobus.JSONString(text)); err != nil {
			log.Fatal(err)
		}
	}
	fmt.Println(stream.Close(ctx), len(srv.Records(readmeTable)), strings.TrimSpace(deadLetters.String()))
	// Output: <nil> 2 {"temp":"warm"}
}

//snippet:resume

// sendLines sends the lines of a source, each of them once, however often the program is started.
func sendLines(ctx context.Context, sdk *zerobus.SDK, producerID string, source io.Reader) (err error) {
	stream, position, err := sdk.Resume(ctx, producerID, zerobus.Table("main.default.air_quality"), credentials)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stream.Close(ctx)) }()
	lines := bufio.NewScanner(source)
	for range position.Records {
		lines.Scan() // durable already
	}
	for lines.Scan() {
		if _, err := stream.Ingest(ctx, zerobus.JSONBytes(lines.Bytes())); err != nil {
			return err
		}
	}
	return lines.Err()
}

//snippet:end

// A program that starts again goes on where it was.
func ExampleSDK_Resume() {
	srv, sdk, done := connect()
	defer done()

	// The first life is cut off: three records are durable, and the program knows of none.
	srv.Script(zerobustest.Accept(zerobustest.On(0, zerobustest.Commit(0), zerobustest.Fail(codes.PermissionDenied, "the program has crashed"))))
	const file = `{"temp":20}` + "\n" + `{"temp":21}` + "\n" + `{"temp":22}` + "\n"
	stream, position, err := sdk.Resume(context.Background(), "sensors", zerobus.Table(readmeTable), credentials)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(position)
	if _, err := stream.IngestBatch(context.Background(), []zerobus.Record{
		zerobus.JSONString(`{"temp":20}`), zerobus.JSONString(`{"temp":21}`), zerobus.JSONString(`{"temp":22}`),
	}); err != nil {
		log.Fatal(err)
	}
	_ = stream.Close(context.Background())

	// The second one has more to send.
	if err := sendLines(context.Background(), sdk, "sensors", strings.NewReader(file+`{"temp":23}`+"\n")); err != nil {
		log.Fatal(err)
	}
	for _, record := range srv.Records(readmeTable) {
		fmt.Printf("%s\n", record)
	}
	// Output:
	// exactly once, from record 0 on
	// {"temp":20}
	// {"temp":21}
	// {"temp":22}
	// {"temp":23}
}

//snippet:hook

// durable counts what has become durable. expvar shows it at /debug/vars.
var durable = expvar.NewInt("zerobus_durable_records")

type counter struct{}

func (counter) OnAck(e zerobus.AckEvent) { durable.Add(int64(e.Records)) }

//snippet:end

// Ways to see what a stream does.
func Example_observe() {
	ctx := context.Background()
	srv := zerobustest.New()
	defer srv.Close()
	serverEndpoint, workspaceURL := srv.Endpoint(), srv.WorkspaceURL()
	log.SetOutput(io.Discard)
	defer log.SetOutput(os.Stderr)

	//snippet:observe
	sdk, err := zerobus.New(serverEndpoint, workspaceURL,
		zerobus.WithLogger(slog.Default()),
		zerobus.WithHooks(counter{}))
	//snippet:end
	if err != nil {
		log.Fatal(err)
	}
	defer sdk.Close()
	stream := open(ctx, sdk)
	watched := make(chan bool)
	go func() {
		defer close(watched)
		//snippet:states
		for state := range stream.StateChanges(ctx) {
			log.Printf("stream %s is %v", stream.ID(), state)
		}
		//snippet:end
	}()
	if err := oneByOne(ctx, stream); err != nil {
		log.Fatal(err)
	}
	fmt.Println(stream.State(), stream.Close(ctx), stream.State(), durable)
	<-watched
	// Output: OPENED <nil> CLOSED 1000
}

// A server with a certificate of its own authority, and a proxy that the environment does not name.
func Example_tls() {
	ctx := context.Background()
	srv := zerobustest.New(zerobustest.TLS())
	defer srv.Close()
	dir, err := os.MkdirTemp("", "zerobus-")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "ca.pem")
	if err := os.WriteFile(file, certificate(srv), 0o600); err != nil {
		log.Fatal(err)
	}
	serverEndpoint, workspaceURL := srv.Endpoint(), srv.WorkspaceURL()

	//snippet:tls
	pem, err := os.ReadFile(file)
	if err != nil {
		log.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		log.Fatalf("%s has no certificate", file)
	}
	sdk, err := zerobus.New(serverEndpoint, workspaceURL, zerobus.WithTLSConfig(&tls.Config{RootCAs: pool}))
	//snippet:end
	if err != nil {
		log.Fatal(err)
	}
	defer sdk.Close()
	stream := open(ctx, sdk)
	fmt.Println(stream.State(), stream.Close(ctx))

	//snippet:proxy
	proxy := &url.URL{Scheme: "http", Host: "proxy.example.com:3128", User: url.UserPassword("user", os.Getenv("PROXY_PASSWORD"))}
	sdk, err = zerobus.New(serverEndpoint, workspaceURL, zerobus.WithProxy(proxy))
	//snippet:end
	fmt.Println(err, sdk.Close())
	// Output:
	// OPENED <nil>
	// <nil> <nil>
}

// certificate is that of a server, as a file has it.
func certificate(srv *zerobustest.Server) []byte {
	conn, err := tls.Dial("tcp", strings.TrimPrefix(srv.Endpoint(), "https://"), &tls.Config{RootCAs: srv.RootCAs(), ServerName: "127.0.0.1", NextProtos: []string{"h2"}})
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: conn.ConnectionState().PeerCertificates[0].Raw})
}

//snippet:test

func TestSend_SurvivesARestart(t *testing.T) {
	srv := zerobustest.New()
	defer srv.Close()
	// The first connection acknowledges the first message, and then the server goes away.
	srv.Script(zerobustest.Accept(
		zerobustest.On(0, zerobustest.Ack(0), zerobustest.Fail(codes.Unavailable, "restarting")),
	))
	sdk, err := zerobus.New(srv.Endpoint(), srv.WorkspaceURL())
	if err != nil {
		t.Fatal(err)
	}
	defer sdk.Close()

	if err := send(t.Context(), sdk); err != nil { // the function under test sends 100 records
		t.Fatal(err)
	}
	if n := len(srv.Records("main.default.air_quality")); n != 100 {
		t.Errorf("%d records arrived\n%s", n, srv.Log())
	}
}

//snippet:end
