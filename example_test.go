package zerobus_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/zerobus-go/zerobus"
	"github.com/zerobus-go/zerobus/zerobustest"
)

type reading struct {
	Device   string `json:"device_name"`
	Temp     int    `json:"temp"`
	Humidity int    `json:"humidity"`
}

// Many records, then one Flush: the fastest way.
func Example() {
	ctx := context.Background()
	srv := zerobustest.New() // in production: the service's endpoint and the workspace's URL
	defer srv.Close()

	sdk, err := zerobus.New(srv.Endpoint(), srv.WorkspaceURL())
	if err != nil {
		log.Fatal(err)
	}
	defer sdk.Close()

	stream, err := sdk.CreateStream(ctx,
		zerobus.Table("main.default.air_quality"),
		zerobus.ClientCredentials{ID: "client-id", Secret: "client-secret"})
	if err != nil {
		log.Fatal(err)
	}
	defer stream.Close(ctx)

	for i := range 1000 {
		r := reading{Device: fmt.Sprintf("sensor-%d", i%10), Temp: 20 + i%15, Humidity: 50 + i%40}
		if _, err := stream.Ingest(ctx, zerobus.JSON(r)); err != nil {
			log.Fatal(err)
		}
	}
	if err := stream.Flush(ctx); err != nil {
		log.Fatal(err)
	}
	records := srv.Records("main.default.air_quality")
	fmt.Println(len(records), "records, the first:", string(records[0]))
	// Output: 1000 records, the first: {"device_name":"sensor-0","temp":20,"humidity":50}
}

// Waiting for each record is simple, and slow: every record takes a round trip.
func ExampleAck_Wait() {
	ctx := context.Background()
	srv := zerobustest.New()
	defer srv.Close()
	sdk, err := zerobus.New(srv.Endpoint(), srv.WorkspaceURL())
	if err != nil {
		log.Fatal(err)
	}
	defer sdk.Close()
	stream, err := sdk.CreateStream(ctx, zerobus.Table("main.default.air_quality"),
		zerobus.ClientCredentials{ID: "client-id", Secret: "client-secret"})
	if err != nil {
		log.Fatal(err)
	}
	defer stream.Close(ctx)

	for range 3 {
		ack, err := stream.Ingest(ctx, zerobus.JSONString(`{"device_name":"sensor-1"}`))
		if err != nil {
			log.Fatal(err)
		}
		if err := ack.Wait(ctx); err != nil {
			log.Fatal(err)
		}
		fmt.Println("durable:", ack.Offset())
	}
	// Output:
	// durable: 0
	// durable: 1
	// durable: 2
}

// A table that is given protobuf messages. The message's fields are matched with the table's columns by name.
func ExampleProtoTable() {
	ctx := context.Background()
	srv := zerobustest.New()
	defer srv.Close()
	sdk, err := zerobus.New(srv.Endpoint(), srv.WorkspaceURL())
	if err != nil {
		log.Fatal(err)
	}
	defer sdk.Close()

	stream, err := sdk.CreateStream(ctx,
		zerobus.ProtoTable("main.default.spans", &durationpb.Duration{}),
		zerobus.ClientCredentials{ID: "client-id", Secret: "client-secret"})
	if err != nil {
		log.Fatal(err)
	}
	ack, err := stream.Ingest(ctx, zerobus.Proto(durationpb.New(1500*time.Millisecond)))
	if err != nil {
		log.Fatal(err)
	}
	if err := stream.Close(ctx); err != nil {
		log.Fatal(err)
	}
	fmt.Println("durable:", ack.IsDone(), ack.Err())
	// Output: durable: true <nil>
}

// A callback tells of all acknowledgements, in ranges.
func ExampleWithAckCallback() {
	ctx := context.Background()
	srv := zerobustest.New()
	defer srv.Close()
	sdk, err := zerobus.New(srv.Endpoint(), srv.WorkspaceURL())
	if err != nil {
		log.Fatal(err)
	}
	defer sdk.Close()

	durable := int64(-1)
	stream, err := sdk.CreateStream(ctx, zerobus.Table("main.default.air_quality"),
		zerobus.ClientCredentials{ID: "client-id", Secret: "client-secret"},
		zerobus.WithMaxInflightRecords(10_000),
		zerobus.WithRecoveryTimeout(20*time.Second),
		zerobus.WithAckCallback(func(info zerobus.AckInfo) {
			if info.Err != nil {
				log.Printf("records %d to %d: %v", info.First, info.Last, info.Err)
				return
			}
			durable = info.Last
		}))
	if err != nil {
		log.Fatal(err)
	}
	for i := range 100 {
		if _, err := stream.Ingest(ctx, zerobus.JSONString(fmt.Sprintf(`{"temp":%d}`, i))); err != nil {
			log.Fatal(err)
		}
	}
	if err := stream.Close(ctx); err != nil { // waits for callbacks, too
		log.Fatal(err)
	}
	fmt.Println("durable up to", durable)
	// Output: durable up to 99
}

// Tokens may come from elsewhere. The provider is called for every connection, so it can renew them.
func ExampleHeadersProviderFunc() {
	ctx := context.Background()
	srv := zerobustest.New()
	defer srv.Close()
	sdk, err := zerobus.New(srv.Endpoint(), "")
	if err != nil {
		log.Fatal(err)
	}
	defer sdk.Close()

	provider := zerobus.HeadersProviderFunc(func(ctx context.Context) ([]zerobus.Header, error) {
		target, _ := zerobus.TargetFrom(ctx)
		fmt.Println("a token for", target.Table)
		return []zerobus.Header{
			{Name: "authorization", Value: "Bearer my-token"},
			{Name: "x-route", Value: "blue"},
		}, nil
	})
	stream, err := sdk.CreateStream(ctx, zerobus.Table("main.default.air_quality"), provider)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(stream.State(), stream.Close(ctx))
	// Output:
	// a token for main.default.air_quality
	// OPENED <nil>
}

// What a stream could not deliver goes into the next one.
func ExampleStream_Unacked() {
	ctx := context.Background()
	srv := zerobustest.New()
	defer srv.Close()
	srv.Script(zerobustest.Accept(zerobustest.On(0, zerobustest.Fail(codes.Unavailable, "maintenance"))))
	sdk, err := zerobus.New(srv.Endpoint(), srv.WorkspaceURL())
	if err != nil {
		log.Fatal(err)
	}
	defer sdk.Close()
	open := func() *zerobus.Stream {
		stream, err := sdk.CreateStream(ctx, zerobus.Table("main.default.air_quality"),
			zerobus.ClientCredentials{ID: "client-id", Secret: "client-secret"},
			zerobus.WithRecovery(false)) // as if all tries had failed
		if err != nil {
			log.Fatal(err)
		}
		return stream
	}

	stream := open()
	if _, err := stream.Ingest(ctx, zerobus.JSONString(`{"temp":21}`)); err != nil {
		log.Fatal(err)
	}
	err = stream.Close(ctx)
	fmt.Println("failed:", errors.Is(err, zerobus.ErrStreamFailed), "retriable:", zerobus.IsRetriable(err))

	left, err := stream.UnackedBatches()
	if err != nil {
		log.Fatal(err)
	}
	next := open()
	for _, call := range left {
		if _, err := next.IngestBatch(ctx, call); err != nil {
			log.Fatal(err)
		}
	}
	if err := next.Close(ctx); err != nil {
		log.Fatal(err)
	}
	fmt.Println("delivered:", len(srv.Records("main.default.air_quality")))
	// Output:
	// failed: true retriable: true
	// delivered: 1
}

// connect is what every example below begins with; the package's first example has it in full.
func connect(opts ...zerobus.Option) (srv *zerobustest.Server, sdk *zerobus.SDK, done func()) {
	srv = zerobustest.New()
	sdk, err := zerobus.New(srv.Endpoint(), srv.WorkspaceURL(), opts...)
	if err != nil {
		log.Fatal(err)
	}
	return srv, sdk, func() {
		sdk.Close()
		srv.Close()
	}
}

// For few records: each call returns when its record is durable.
func ExampleStream_IngestAndWait() {
	ctx := context.Background()
	_, sdk, done := connect()
	defer done()
	stream, err := sdk.CreateStream(ctx, zerobus.Table("main.default.air_quality"),
		zerobus.ClientCredentials{ID: "client-id", Secret: "client-secret"})
	if err != nil {
		log.Fatal(err)
	}
	defer stream.Close(ctx)

	for i := range 3 {
		offset, err := stream.IngestAndWait(ctx, zerobus.JSON(reading{Device: "sensor-1", Temp: 20 + i}))
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println("durable:", offset)
	}
	// Output:
	// durable: 0
	// durable: 1
	// durable: 2
}

// A producer that must not wait drops the record, or keeps it elsewhere, when there is no room.
func ExampleStream_TryIngest() {
	ctx := context.Background()
	srv, sdk, done := connect()
	defer done()
	srv.Script(zerobustest.Accept()) // acknowledges nothing
	stream, err := sdk.CreateStream(ctx, zerobus.Table("main.default.air_quality"),
		zerobus.ClientCredentials{ID: "client-id", Secret: "client-secret"},
		zerobus.WithMaxInflightRecords(2))
	if err != nil {
		log.Fatal(err)
	}

	for i := range 3 {
		_, err := stream.TryIngest(zerobus.JSON(reading{Device: "sensor-1", Temp: 20 + i}))
		switch {
		case errors.Is(err, zerobus.ErrWouldBlock):
			fmt.Println("no room for record", i)
		case err != nil:
			log.Fatal(err)
		}
	}
	// Output: no room for record 2
}

// A batch is one message, with one offset and one acknowledgement.
func ExampleStream_IngestBatch() {
	ctx := context.Background()
	srv, sdk, done := connect()
	defer done()
	stream, err := sdk.CreateStream(ctx, zerobus.Table("main.default.air_quality"),
		zerobus.ClientCredentials{ID: "client-id", Secret: "client-secret"})
	if err != nil {
		log.Fatal(err)
	}
	defer stream.Close(ctx)

	batch := []zerobus.Record{
		zerobus.JSONString(`{"device_name":"sensor-1","temp":21}`),
		zerobus.JSONString(`{"device_name":"sensor-2","temp":22}`),
		zerobus.JSONString(`{"device_name":"sensor-3","temp":23}`),
	}
	for range 2 {
		ack, err := stream.IngestBatch(ctx, batch)
		if err != nil {
			log.Fatal(err)
		}
		if err := ack.Wait(ctx); err != nil {
			log.Fatal(err)
		}
		fmt.Println("durable: batch", ack.Offset())
	}
	fmt.Println(len(srv.Records("main.default.air_quality")), "records")
	// Output:
	// durable: batch 0
	// durable: batch 1
	// 6 records
}

// A function for a single record. It is called on a goroutine of the stream, and Close waits for it.
func ExampleAck_OnDone() {
	ctx := context.Background()
	_, sdk, done := connect()
	defer done()
	stream, err := sdk.CreateStream(ctx, zerobus.Table("main.default.air_quality"),
		zerobus.ClientCredentials{ID: "client-id", Secret: "client-secret"})
	if err != nil {
		log.Fatal(err)
	}

	for _, device := range []string{"sensor-1", "sensor-2"} {
		ack, err := stream.Ingest(ctx, zerobus.JSON(reading{Device: device}))
		if err != nil {
			log.Fatal(err)
		}
		ack.OnDone(func(offset int64, err error) {
			fmt.Printf("%s: offset %d, error %v\n", device, offset, err)
		})
	}
	if err := stream.Close(ctx); err != nil {
		log.Fatal(err)
	}
	// Output:
	// sensor-1: offset 0, error <nil>
	// sensor-2: offset 1, error <nil>
}

// Acks of several streams can be waited for together.
func ExampleWaitAll() {
	ctx := context.Background()
	srv, sdk, done := connect()
	defer done()

	var acks []zerobus.Ack
	for _, table := range []string{"main.default.air_quality", "main.default.water_quality"} {
		stream, err := sdk.CreateStream(ctx, zerobus.Table(table),
			zerobus.ClientCredentials{ID: "client-id", Secret: "client-secret"})
		if err != nil {
			log.Fatal(err)
		}
		defer stream.Close(ctx)
		for range 10 {
			ack, err := stream.Ingest(ctx, zerobus.JSONString(`{"device_name":"sensor-1"}`))
			if err != nil {
				log.Fatal(err)
			}
			acks = append(acks, ack)
		}
	}
	if err := zerobus.WaitAll(ctx, acks...); err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(srv.Records("main.default.air_quality")), len(srv.Records("main.default.water_quality")))
	// Output: 10 10
}

// A stream that failed, although another try may help, is made anew with what it had left.
func ExampleSDK_RecreateStream() {
	ctx := context.Background()
	srv, sdk, done := connect()
	defer done()
	srv.Script(zerobustest.Accept(zerobustest.On(0, zerobustest.Fail(codes.Unavailable, "maintenance"))))
	stream, err := sdk.CreateStream(ctx, zerobus.Table("main.default.air_quality"),
		zerobus.ClientCredentials{ID: "client-id", Secret: "client-secret"},
		zerobus.WithRecovery(false)) // as if all tries had failed
	if err != nil {
		log.Fatal(err)
	}
	if _, err := stream.Ingest(ctx, zerobus.JSONString(`{"device_name":"sensor-1"}`)); err != nil {
		log.Fatal(err)
	}

	err = stream.Close(ctx)
	fmt.Println("closed, retriable:", zerobus.IsRetriable(err))
	if zerobus.IsRetriable(err) {
		if stream, err = sdk.RecreateStream(ctx, stream, zerobus.WithRecovery(true)); err != nil {
			log.Fatal(err)
		}
		err = stream.Close(ctx)
	}
	fmt.Println("closed:", err, len(srv.Records("main.default.air_quality")), "record")
	// Output:
	// closed, retriable: true
	// closed: <nil> 1 record
}

// The offsets tell which calls are left, for a program that knows its records by them.
func ExampleStream_EachUnacked() {
	ctx := context.Background()
	srv, sdk, done := connect()
	defer done()
	srv.Script(zerobustest.Accept(zerobustest.On(3, zerobustest.Ack(1), zerobustest.Fail(codes.NotFound, "the table is gone"))))
	stream, err := sdk.CreateStream(ctx, zerobus.Table("main.default.air_quality"),
		zerobus.ClientCredentials{ID: "client-id", Secret: "client-secret"},
		zerobus.WithMaxBatchRecords(1)) // so that the script counts records
	if err != nil {
		log.Fatal(err)
	}
	for i := range 4 {
		if _, err := stream.Ingest(ctx, zerobus.JSONString(fmt.Sprintf(`{"temp":%d}`, 20+i))); err != nil {
			log.Fatal(err)
		}
	}

	if err := stream.Close(ctx); err == nil {
		log.Fatal("the stream should have failed")
	}
	left, err := stream.EachUnacked()
	if err != nil {
		log.Fatal(err)
	}
	for offset, records := range left {
		fmt.Printf("offset %d: %s\n", offset, records[0].Bytes())
	}
	// Output:
	// offset 2: {"temp":22}
	// offset 3: {"temp":23}
}

// A loop over the states of a stream. It ends with the stream, if not before.
func ExampleStream_StateChanges() {
	ctx := context.Background()
	srv, sdk, done := connect()
	defer done()
	stream, err := sdk.CreateStream(ctx, zerobus.Table("main.default.air_quality"),
		zerobus.ClientCredentials{ID: "client-id", Secret: "client-secret"},
		zerobus.WithRecoveryBackoff(time.Millisecond))
	if err != nil {
		log.Fatal(err)
	}
	defer stream.Close(ctx)

	broken := false
	for state := range stream.StateChanges(ctx) {
		fmt.Println(state)
		switch {
		case state == zerobus.StateOpened && !broken:
			broken = true
			srv.Connections()[0].Fail(codes.Unavailable, "restarting")
		case state == zerobus.StateOpened:
			return // it has recovered
		}
	}
	// Output:
	// OPENED
	// RECOVERING
	// OPENED
}

// With a reject handler a record that the table does not take is put aside, and the others arrive.
func ExampleWithRejectHandler() {
	ctx := context.Background()
	srv, sdk, done := connect()
	defer done()
	srv.Validate("main.default.air_quality", func(record []byte) error {
		return json.Unmarshal(record, new(reading))
	})

	stream, err := sdk.CreateStream(ctx, zerobus.Table("main.default.air_quality"),
		zerobus.ClientCredentials{ID: "client-id", Secret: "client-secret"},
		zerobus.WithRejectHandler(func(r zerobus.Rejected) {
			fmt.Printf("refused: offset %d: %s\n", r.Offset, r.Records[0].Bytes())
		}))
	if err != nil {
		log.Fatal(err)
	}
	for _, temp := range []string{"20", "21", `"warm"`, "23"} {
		if _, err := stream.Ingest(ctx, zerobus.JSONString(`{"device_name":"sensor-1","temp":`+temp+`}`)); err != nil {
			log.Fatal(err)
		}
	}
	if err := stream.Close(ctx); err != nil { // waits for the handler, too
		log.Fatal(err)
	}
	fmt.Println("durable:", len(srv.Records("main.default.air_quality")))
	// Output:
	// refused: offset 2: {"device_name":"sensor-1","temp":"warm"}
	// durable: 3
}

// traffic is a Hook. It implements those interfaces that it needs.
type traffic struct {
	connections, sent, durable atomic.Int64
}

func (t *traffic) OnConnect(zerobus.ConnectEvent) { t.connections.Add(1) }
func (t *traffic) OnSend(e zerobus.SendEvent)     { t.sent.Add(int64(e.Records)) }
func (t *traffic) OnAck(e zerobus.AckEvent)       { t.durable.Add(int64(e.Records)) }

// Counters of all streams. The program examples/metrics does this with package expvar.
func ExampleWithHooks() {
	ctx := context.Background()
	var t traffic
	_, sdk, done := connect(zerobus.WithHooks(&t))
	defer done()
	stream, err := sdk.CreateStream(ctx, zerobus.Table("main.default.air_quality"),
		zerobus.ClientCredentials{ID: "client-id", Secret: "client-secret"})
	if err != nil {
		log.Fatal(err)
	}
	for range 100 {
		if _, err := stream.Ingest(ctx, zerobus.JSONString(`{"device_name":"sensor-1"}`)); err != nil {
			log.Fatal(err)
		}
	}
	if err := stream.Close(ctx); err != nil {
		log.Fatal(err)
	}
	fmt.Println("connections:", t.connections.Load(), "sent:", t.sent.Load(), "durable:", t.durable.Load())
	// Output: connections: 1 sent: 100 durable: 100
}

// oauth2Token and tokenSource stand for Token and a TokenSource of package golang.org/x/oauth2.
type oauth2Token struct{ AccessToken string }

type tokenSource struct{}

func (tokenSource) Token() (*oauth2Token, error) { return &oauth2Token{"token-of-the-source"}, nil }

// Tokens of an oauth2.TokenSource, which keeps one until it expires.
func ExampleBearerTokens() {
	ctx := context.Background()
	srv, sdk, done := connect()
	defer done()
	var tokens tokenSource

	//snippet:bearer-tokens
	auth := zerobus.BearerTokens(func(context.Context) (string, error) {
		token, err := tokens.Token() // tokens is an oauth2.TokenSource: it keeps a token until that expires
		if err != nil {
			return "", err
		}
		return token.AccessToken, nil
	})
	stream, err := sdk.CreateStream(ctx, zerobus.Table("main.default.air_quality"), auth)
	//snippet:end
	if err != nil {
		log.Fatal(err)
	}
	defer stream.Close(ctx)
	fmt.Println(srv.Connections()[0].Metadata().Get("authorization"))
	// Output: [Bearer token-of-the-source]
}

// On AWS the region is not in the URL.
func ExampleParseWorkspaceURL() {
	//snippet:workspace-aws
	w, err := zerobus.ParseWorkspaceURL("https://dbc-a1b2c3d4-e5f6.cloud.databricks.com/o=1234567890123456")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(w.URL)                         // https://dbc-a1b2c3d4-e5f6.cloud.databricks.com
	fmt.Println(w.ID)                          // 1234567890123456
	fmt.Println(w.ServerEndpoint("us-west-2")) // https://1234567890123456.zerobus.us-west-2.cloud.databricks.com

	sdk, err := zerobus.New(w.ServerEndpoint("us-west-2"), w.URL)
	//snippet:end
	if err != nil {
		log.Fatal(err)
	}
	sdk.Close()
	// Output:
	// https://dbc-a1b2c3d4-e5f6.cloud.databricks.com
	// 1234567890123456
	// https://1234567890123456.zerobus.us-west-2.cloud.databricks.com
}

// On Azure the id is in the host's name, too.
func ExampleParseWorkspaceURL_azure() {
	//snippet:workspace-azure
	w, err := zerobus.ParseWorkspaceURL("https://adb-1234567890123456.12.azuredatabricks.net/o=1234567890123456")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(w.URL)                       // https://adb-1234567890123456.12.azuredatabricks.net
	fmt.Println(w.ServerEndpoint("eastus2")) // https://1234567890123456.zerobus.eastus2.azuredatabricks.net
	//snippet:end
	// Output:
	// https://adb-1234567890123456.12.azuredatabricks.net
	// https://1234567890123456.zerobus.eastus2.azuredatabricks.net
}

// A provider whose workspace is not that of the SDK. What is not given, the table and the id here, is that of the stream.
func ExampleNewOAuthHeadersProvider() {
	ctx := context.Background()
	srv := zerobustest.New()
	defer srv.Close()
	sdk, err := zerobus.New(srv.Endpoint(), "") // no workspace URL
	if err != nil {
		log.Fatal(err)
	}
	defer sdk.Close()

	provider := zerobus.NewOAuthHeadersProvider(zerobus.OAuthConfig{
		WorkspaceURL: srv.WorkspaceURL(),
		Credentials:  zerobus.ClientCredentials{ID: "client-id", Secret: "client-secret"},
	})
	for range 2 {
		stream, err := sdk.CreateStream(ctx, zerobus.Table("main.default.air_quality"), provider)
		if err != nil {
			log.Fatal(err)
		}
		defer stream.Close(ctx)
	}
	fmt.Println("streams:", len(srv.Connections()), "token requests:", len(srv.TokenRequests()))
	// Output: streams: 2 token requests: 1
}

// A token for use elsewhere. A printed token does not show itself.
func ExampleFetchToken() {
	ctx := context.Background()
	srv := zerobustest.New()
	defer srv.Close()

	token, err := zerobus.FetchToken(ctx, zerobus.OAuthConfig{
		WorkspaceURL: srv.WorkspaceURL(), // https://<instance>.cloud.databricks.com
		WorkspaceID:  "1234567890123456",
		Table:        "main.default.air_quality",
		Credentials:  zerobus.ClientCredentials{ID: "client-id", Secret: "client-secret"},
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(token)
	// Output: token (hidden), expires in 1h0m0s
}
