// Command json sends 100,000 JSON records to the table main.default.air_quality as fast as they are made, and waits once, at
// the end: the use for high rates.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/zerobus-go/zerobus"
	"github.com/zerobus-go/zerobus/examples/airquality"
)

const records = 100_000

func main() {
	if err := run(context.Background()); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) (err error) {
	env, err := airquality.FromEnv()
	if err != nil {
		return err
	}
	sdk, err := zerobus.New(env.ServerEndpoint, env.WorkspaceURL)
	if err != nil {
		return err
	}
	defer sdk.Close()
	stream, err := sdk.CreateStream(ctx, zerobus.Table(env.Table), env.Credentials,
		zerobus.WithMaxInflightRecords(50_000),
		zerobus.WithAckCallback(func(a zerobus.AckInfo) {
			if a.Err == nil {
				fmt.Printf("durable up to offset %d\n", a.Last)
			}
		}))
	if err != nil {
		return err
	}
	// Close flushes; its error counts like any other. When the stream is closed already, it returns nil.
	defer func() { err = errors.Join(err, stream.Close(ctx)) }()

	start := time.Now()
	for i := range records {
		// Ingest copies the record and returns; it waits only while too much is unacknowledged.
		if _, err := stream.Ingest(ctx, zerobus.JSON(map[string]any{
			"device_name": fmt.Sprintf("sensor-%d", i%10), "temp": 20 + i%15, "humidity": 50 + i%40,
		})); err != nil {
			return err
		}
	}
	if err := stream.Flush(ctx); err != nil {
		return err
	}
	took := time.Since(start)
	// Close waits for the callback as well, which may be behind Flush.
	if err := stream.Close(ctx); err != nil {
		return err
	}
	fmt.Printf("%d records in %s: %.0f records/s\n", records, took.Round(time.Millisecond), records/took.Seconds())
	return nil
}
