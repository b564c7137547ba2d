package zerobustest_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/zerobus-go/zerobus"
	"github.com/zerobus-go/zerobus/zerobustest"
)

// A test of code that ingests: the code gets the server's addresses, and the test looks at what arrived.
func Example() {
	srv := zerobustest.New()
	defer srv.Close()

	ctx := context.Background()
	sdk, err := zerobus.New(srv.Endpoint(), srv.WorkspaceURL())
	if err != nil {
		log.Fatal(err)
	}
	defer sdk.Close()
	stream, err := sdk.CreateStream(ctx, zerobus.Table("main.default.air_quality"), zerobus.ClientCredentials{ID: "id", Secret: "secret"})
	if err != nil {
		log.Fatal(err)
	}
	for i := range 3 {
		if _, err := stream.Ingest(ctx, zerobus.JSONString(fmt.Sprintf(`{"device_name":"sensor-%d"}`, i))); err != nil {
			log.Fatal(err)
		}
	}
	if err := stream.Close(ctx); err != nil {
		log.Fatal(err)
	}

	for _, rec := range srv.Records("main.default.air_quality") {
		fmt.Printf("%s\n", rec)
	}
	fmt.Println("client:", srv.TokenRequests()[0].ClientID)
	// Output:
	// {"device_name":"sensor-0"}
	// {"device_name":"sensor-1"}
	// {"device_name":"sensor-2"}
	// client: id
}

// The service goes away in the middle of a stream; what it had not acknowledged is sent again, and nothing is lost or
// there twice.
func ExampleServer_Script() {
	srv := zerobustest.New()
	defer srv.Close()
	srv.Script(
		zerobustest.Accept(
			zerobustest.On(1, zerobustest.Ack(1)),
			zerobustest.On(3, zerobustest.Fail(codes.Unavailable, "restarting")),
		),
	)

	ctx := context.Background()
	sdk, err := zerobus.New(srv.Endpoint(), srv.WorkspaceURL())
	if err != nil {
		log.Fatal(err)
	}
	defer sdk.Close()
	stream, err := sdk.CreateStream(ctx, zerobus.Table("main.default.events"), zerobus.ClientCredentials{ID: "id", Secret: "secret"},
		zerobus.WithMaxBatchRecords(1), // so that a record is a request, and has an offset of the script
		zerobus.WithRecoveryBackoff(time.Millisecond))
	if err != nil {
		log.Fatal(err)
	}
	for i := range 5 {
		if _, err := stream.Ingest(ctx, zerobus.JSONString(fmt.Sprintf(`{"n":%d}`, i))); err != nil {
			log.Fatal(err)
		}
	}
	if err := stream.Close(ctx); err != nil {
		log.Fatal(err)
	}

	fmt.Println("connections:", len(srv.Connections()))
	for _, rec := range srv.Records("main.default.events") {
		fmt.Printf("%s\n", rec)
	}
	// Output:
	// connections: 2
	// {"n":0}
	// {"n":1}
	// {"n":2}
	// {"n":3}
	// {"n":4}
}

// Credentials are checked as the service does it.
func ExampleAuthentic() {
	srv := zerobustest.New(zerobustest.Authentic())
	defer srv.Close()
	srv.AcceptOnly("id", "secret")

	ctx := context.Background()
	sdk, err := zerobus.New(srv.Endpoint(), srv.WorkspaceURL())
	if err != nil {
		log.Fatal(err)
	}
	defer sdk.Close()
	open := func(auth zerobus.Auth) error {
		stream, err := sdk.CreateStream(ctx, zerobus.Table("main.default.events"), auth)
		if err != nil {
			return err
		}
		return stream.Close(ctx)
	}
	fmt.Println("good:", open(zerobus.ClientCredentials{ID: "id", Secret: "secret"}))
	fmt.Println("wrong secret:", errors.Is(open(zerobus.ClientCredentials{ID: "id", Secret: "x"}), zerobus.ErrAuth))
	fmt.Println("made up:", errors.Is(open(zerobus.StaticHeaders{{Name: "authorization", Value: "Bearer x"}}), zerobus.ErrAuth))
	fmt.Println(srv.Log())
	// Output:
	// good: <nil>
	// wrong secret: true
	// made up: true
	// connection 0: table "main.default.events", JSON, requests: 0, records: 0, nothing acknowledged, half-closed, ended OK
	// connection 1: no stream created, ended Unauthenticated "Invalid token: it was not issued by this workspace"
}

// A record that the table does not take ends its stream. What came before it is durable.
func ExampleServer_Validate() {
	srv := zerobustest.New()
	defer srv.Close()
	srv.Validate("main.default.events", func(record []byte) error {
		if !json.Valid(record) {
			return errors.New("expected value at line 1 column 1")
		}
		return nil
	})

	ctx := context.Background()
	sdk, err := zerobus.New(srv.Endpoint(), srv.WorkspaceURL())
	if err != nil {
		log.Fatal(err)
	}
	defer sdk.Close()
	stream, err := sdk.CreateStream(ctx, zerobus.Table("main.default.events"), zerobus.ClientCredentials{ID: "id", Secret: "secret"},
		zerobus.WithMaxBatchRecords(1)) // so that only the bad record is refused, and none that shares its request
	if err != nil {
		log.Fatal(err)
	}
	for _, rec := range []string{`{"n":0}`, `{"n":1}`, `oops`, `{"n":3}`} {
		if _, err := stream.Ingest(ctx, zerobus.JSONString(rec)); err != nil {
			break // the stream may have ended already
		}
	}
	err = stream.Close(ctx)
	fmt.Println("retriable:", zerobus.IsRetriable(err))
	for _, rec := range srv.Records("main.default.events") {
		fmt.Printf("%s\n", rec)
	}
	// Output:
	// retriable: false
	// {"n":0}
	// {"n":1}
}
