// Command batches sends 100,000 protobuf records to the table main.default.air_quality in batches of 1,000. A batch has one
// offset and one acknowledgement, and is in the table as a whole or not at all.
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

const (
	batches = 100
	size    = 1000
)

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
	var acks []zerobus.Ack
	batch := make([]zerobus.Record, size) // IngestBatch copies the records, so the next batch may have the same memory
	for b := range batches {
		for i := range batch {
			batch[i] = zerobus.Proto(&airquality.AirQuality{
				DeviceName: proto.String(fmt.Sprintf("sensor-%d", b%10)),
				Temp:       proto.Int32(int32(20 + i%15)),
				Humidity:   proto.Int64(int64(50 + i%40)),
			})
		}
		ack, err := stream.IngestBatch(ctx, batch)
		if err != nil {
			return err
		}
		acks = append(acks, ack)
	}
	// Flush would do here, too. Acks are for those who must know about each batch.
	if err := zerobus.WaitAll(ctx, acks...); err != nil {
		return err
	}
	fmt.Printf("%d batches of %d records in %s, the last one has offset %d\n",
		batches, size, time.Since(start).Round(time.Millisecond), acks[len(acks)-1].Offset())
	return nil
}
