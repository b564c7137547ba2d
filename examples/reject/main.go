// Command reject sends 1,000 JSON records to the table main.default.air_quality, three of which the table does not take. With a
// reject handler the stream outlives them: the handler gets the three, the others arrive.
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

const records = 1000

func main() {
	if err := run(context.Background()); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	env, err := airquality.FromEnv()
	if err != nil {
		return err
	}
	sdk, err := zerobus.New(env.ServerEndpoint, env.WorkspaceURL)
	if err != nil {
		return err
	}
	defer sdk.Close()

	refused := 0
	stream, err := sdk.CreateStream(ctx, zerobus.Table(env.Table), env.Credentials,
		// The handler runs on a goroutine of the stream, one call at a time. A program would write the records to a
		// file or to another table, for somebody to look at.
		zerobus.WithRejectHandler(func(r zerobus.Rejected) {
			refused++
			fmt.Printf("refused: offset %d: %s\n  %v\n", r.Offset, r.Records[0].Bytes(), r.Err)
		}))
	if err != nil {
		return err
	}

	start := time.Now()
	for i := range records {
		reading := map[string]any{"device_name": fmt.Sprintf("sensor-%d", i%10), "temp": 20 + i%15, "humidity": 50 + i%40}
		switch i {
		case 250:
			reading["temp"] = "warm"
		case 500:
			reading["pressure"] = 1013
		case 750:
			reading["temp"] = int64(1) << 40
		}
		if _, err := stream.Ingest(ctx, zerobus.JSON(reading)); err != nil {
			return errors.Join(err, stream.Close(ctx))
		}
	}
	// Close waits until all is acknowledged or refused, and for the handler.
	if err := stream.Close(ctx); err != nil {
		return err
	}
	fmt.Printf("%d of %d records are durable, %d were refused, in %s\n",
		records-refused, records, refused, time.Since(start).Round(time.Millisecond))
	return nil
}
