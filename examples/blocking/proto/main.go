// Command proto sends 100 protobuf records to the table main.default.air_quality and waits for the acknowledgement of each before
// the next: the simplest use, for low rates.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/zerobus-go/zerobus"
	"github.com/zerobus-go/zerobus/examples/airquality"
)

const records = 100

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
	stream, err := sdk.CreateStream(ctx, zerobus.ProtoTable(env.Table, &airquality.AirQuality{}), env.Credentials)
	if err != nil {
		return err
	}
	// Close flushes; its error counts like any other.
	defer func() { err = errors.Join(err, stream.Close(ctx)) }()

	start := time.Now()
	for i := range records {
		ack, err := stream.Ingest(ctx, zerobus.Proto(&airquality.AirQuality{
			DeviceName: proto.String(fmt.Sprintf("sensor-%d", i%10)),
			Temp:       proto.Int32(int32(20 + i%15)),
			Humidity:   proto.Int64(int64(50 + i%40)),
		}))
		if err != nil {
			return err
		}
		if err := ack.Wait(ctx); err != nil {
			return err
		}
		if (i+1)%10 == 0 {
			fmt.Printf("%d of %d records are durable\n", i+1, records)
		}
	}
	fmt.Printf("%d records in %s\n", records, time.Since(start).Round(time.Millisecond))
	return nil
}
