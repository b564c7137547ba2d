// Package server is an open server for the Zerobus protocol: it takes streams of records over gRPC, makes them durable in a
// write-ahead log, acknowledges them, and commits them to Delta tables. Embed it in a program or a test:
//
//	srv, err := server.New(ctx, server.Config{DataDir: dir, GRPCListen: "127.0.0.1:0", HTTPListen: "127.0.0.1:0"})
//	if err != nil { … }
//	go srv.Serve()
//	defer srv.Shutdown(context.Background())
//	err = srv.SQL(ctx, "CREATE TABLE main.default.air_quality (device_name STRING, temp INT, humidity BIGINT) USING DELTA")
//
// The command zerobus serve is this package with flags.
//
// # Concurrency
//
// All methods of a Server may be called concurrently. It starts its own goroutines and ends them in Shutdown.
//
// # Failure
//
// New fails when a store cannot be opened or a port is taken; nothing stays behind. Once it serves, what cannot be written is
// refused and logged, and acknowledged records stay in the log until they are in the table.
package server
