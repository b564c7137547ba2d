package server_test

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/zerobus-go/zerobus"
	"github.com/zerobus-go/zerobus/server"
)

// A server in the process: a table, a principal that may write it, a record through the SDK.
func Example() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "zerobus-")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	srv, err := server.New(ctx, server.Config{DataDir: dir, GRPCListen: "127.0.0.1:0", HTTPListen: "127.0.0.1:0"})
	if err != nil {
		log.Fatal(err)
	}
	go srv.Serve()
	defer srv.Shutdown(ctx)

	id, secret, err := srv.CreatePrincipal(ctx, "sensors")
	if err != nil {
		log.Fatal(err)
	}
	err = srv.SQL(ctx, `
		CREATE TABLE main.default.air_quality (device_name STRING, temp INT, humidity BIGINT) USING DELTA;
		GRANT USE CATALOG ON CATALOG main TO sensors;
		GRANT USE SCHEMA ON SCHEMA main.default TO sensors;
		GRANT SELECT, MODIFY ON TABLE main.default.air_quality TO sensors`)
	if err != nil {
		log.Fatal(err)
	}

	sdk, err := zerobus.New(srv.GRPCEndpoint(), srv.WorkspaceURL())
	if err != nil {
		log.Fatal(err)
	}
	defer sdk.Close()
	stream, err := sdk.CreateStream(ctx, zerobus.Table("main.default.air_quality"), zerobus.ClientCredentials{ID: id, Secret: secret})
	if err != nil {
		log.Fatal(err)
	}
	ack, err := stream.Ingest(ctx, zerobus.JSONString(`{"device_name":"sensor-1","temp":22,"humidity":55}`))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("durable:", ack.Wait(ctx) == nil)
	if err := stream.Close(ctx); err != nil {
		log.Fatal(err)
	}
	// Output: durable: true
}
