package zerobus_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/zerobus-go/zerobus"
	"github.com/zerobus-go/zerobus/schema"
)

// Go values are sent as protobuf, by the table's own columns: nobody writes or compiles a .proto file.
func ExampleSDK_DescribeTable() {
	ctx := context.Background()
	srv, sdk, done := connect()
	defer done()
	credentials := zerobus.ClientCredentials{ID: "client-id", Secret: "client-secret"}
	columns, err := schema.ParseCreateTable("CREATE TABLE t (device_name STRING NOT NULL, temp INT, humidity BIGINT)")
	if err != nil {
		log.Fatal(err)
	}
	srv.DescribeTable("main.default.air_quality", &columns.Columns)
	r := reading{Device: "sensor-1", Temp: 22, Humidity: 55}

	send := func() error {
		//snippet:describe-table
		table, err := sdk.DescribeTable(ctx, "main.default.air_quality", credentials)
		if err != nil {
			return err
		}
		stream, err := sdk.CreateStream(ctx, table, credentials)
		if err != nil {
			return err
		}
		if _, err := stream.Ingest(ctx, zerobus.JSON(r)); err != nil {
			return err // such as: field temp: value 3000000000 is out of range for INT
		}
		//snippet:end
		return stream.Close(ctx)
	}
	if err := send(); err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%q\n", srv.Records("main.default.air_quality"))
	// Output: ["\n\bsensor-1\x10\x16\x187"]
}

// The table's columns and the descriptor of the records are compared before the stream opens.
func ExampleWithSchemaCheck() {
	ctx := context.Background()
	srv, sdk, done := connect()
	defer done()
	credentials := zerobus.ClientCredentials{ID: "client-id", Secret: "client-secret"}
	columns, err := schema.ParseCreateTable("CREATE TABLE t (seconds INT NOT NULL, at TIMESTAMP NOT NULL)")
	if err != nil {
		log.Fatal(err)
	}
	srv.DescribeTable("main.default.durations", &columns.Columns)

	//snippet:schema-check
	_, err = sdk.CreateStream(ctx, zerobus.ProtoTable("main.default.durations", &durationpb.Duration{}), credentials,
		zerobus.WithSchemaCheck(true))
	var misfit *schema.MisfitError
	if errors.As(err, &misfit) {
		for _, f := range misfit.Findings {
			fmt.Println(f)
		}
	}
	//snippet:end
	// Output:
	// field nanos: the table has no such column: drop the field from the descriptor or add the column to the table
	// field at: the column is TIMESTAMP NOT NULL and the descriptor has no such field: add it, int64, microseconds since 1970-01-01 UTC
}
