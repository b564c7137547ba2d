// Command described sends 1,000 Go values to the table main.default.air_quality as protobuf records, without a .proto file: it
// asks Unity Catalog for the table's columns and has the records encoded by them.
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

const records = 1_000

type reading struct {
	Device   string `json:"device_name"`
	Temp     int    `json:"temp"`
	Humidity int    `json:"humidity"`
}

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

	table, err := sdk.DescribeTable(ctx, env.Table, env.Credentials)
	if err != nil {
		return err
	}
	for _, column := range table.Columns.Fields {
		fmt.Println(column.DDL())
	}
	stream, err := sdk.CreateStream(ctx, table, env.Credentials)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stream.Close(ctx)) }()

	start := time.Now()
	for i := range records {
		r := reading{Device: fmt.Sprintf("sensor-%d", i%10), Temp: 20 + i%15, Humidity: 50 + i%40}
		if _, err := stream.Ingest(ctx, zerobus.JSON(r)); err != nil {
			return err // the record does not fit the table, and the error says where
		}
	}
	if err := stream.Flush(ctx); err != nil {
		return err
	}
	fmt.Printf("%d records in %v\n", records, time.Since(start).Round(time.Millisecond))
	return nil
}
