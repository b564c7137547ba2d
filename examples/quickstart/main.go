//snippet:quickstart

// Command quickstart sends 100 readings as JSON records, and ends when all of them are durable.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"

	"github.com/zerobus-go/zerobus"
)

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
	sdk, err := zerobus.New(
		os.Getenv("ZEROBUS_SERVER_ENDPOINT"),  // https://<workspace id>.zerobus.<region>.cloud.databricks.com
		os.Getenv("DATABRICKS_WORKSPACE_URL")) // https://<instance>.cloud.databricks.com
	if err != nil {
		return err
	}
	defer sdk.Close()

	stream, err := sdk.CreateStream(ctx,
		zerobus.Table(os.Getenv("ZEROBUS_TABLE_NAME")),
		zerobus.ClientCredentials{ID: os.Getenv("DATABRICKS_CLIENT_ID"), Secret: os.Getenv("DATABRICKS_CLIENT_SECRET")})
	if err != nil {
		return err
	}
	// Close waits for what is not durable yet. Its error counts like any other.
	defer func() { err = errors.Join(err, stream.Close(ctx)) }()

	for i := range 100 {
		r := reading{Device: fmt.Sprintf("sensor-%d", i%10), Temp: 20 + i%15, Humidity: 50 + i%40}
		if _, err := stream.Ingest(ctx, zerobus.JSON(r)); err != nil {
			return err
		}
	}
	if err := stream.Flush(ctx); err != nil {
		return err
	}
	fmt.Println("100 records are durable")
	return nil
}

//snippet:end
