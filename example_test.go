package zerobus_test

import (
	"context"
	"errors"
	"fmt"
	"log"
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
