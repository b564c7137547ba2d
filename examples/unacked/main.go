// Command unacked sends 20 JSON records to the table main.default.air_quality, two of which the table does not take. A refused
// record ends its stream. The program takes what the stream left unacknowledged, mends or drops the record that was
// refused, and sends the rest on a new stream.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"os"
	"strconv"
	"time"

	"github.com/zerobus-go/zerobus"
	"github.com/zerobus-go/zerobus/examples/airquality"
)

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
	logger := slog.New(slog.NewTextHandler(os.Stderr, nil))
	sdk, err := zerobus.New(env.ServerEndpoint, env.WorkspaceURL, zerobus.WithLogger(logger))
	if err != nil {
		return err
	}
	defer sdk.Close()

	start := time.Now()
	records := readings()
	total, streams, mended, dropped := len(records), 0, 0, 0
	for len(records) > 0 {
		streams++
		left, err := send(ctx, sdk, env, records)
		switch {
		case err == nil:
		case len(left) == 0 || !errors.Is(err, zerobus.ErrStreamFailed) || !errors.Is(err, zerobus.ErrInvalidArgument):
			return err // not a refused record; had it been the network, sdk.RecreateStream would send the rest
		default:
			// All that came before the refused message is acknowledged. It is a message of one record, see send, so
			// the refused record is the first that is left.
			if rec, ok := mend(left[0]); ok {
				left[0] = rec
				mended++
			} else {
				fmt.Printf("dropped: %s\n", left[0].Bytes())
				left = left[1:]
				dropped++
			}
		}
		records = left
	}
	fmt.Printf("%d of %d records are durable, %d mended, %d dropped, on %d streams in %s\n",
		total-dropped, total, mended, dropped, streams, time.Since(start).Round(time.Millisecond))
	return nil
}

// send sends records on a stream of their own, and returns those that are not durable, with the reason.
func send(ctx context.Context, sdk *zerobus.SDK, env airquality.Env, records []zerobus.Record) ([]zerobus.Record, error) {
	stream, err := sdk.CreateStream(ctx, zerobus.Table(env.Table), env.Credentials, zerobus.WithMaxBatchRecords(1))
	if err != nil {
		return records, err
	}
	sent := 0
	for _, rec := range records {
		if _, err := stream.Ingest(ctx, rec); err != nil {
			break // the stream has failed meanwhile; Close tells why
		}
		sent++
	}
	failure := stream.Close(ctx)
	unacked, err := stream.Unacked()
	if err != nil {
		return nil, errors.Join(failure, err)
	}
	return append(unacked, records[sent:]...), failure
}

// readings are 20 records: of one the temperature is text, of another one the key is wrong.
func readings() []zerobus.Record {
	var records []zerobus.Record
	for i := range 20 {
		text := fmt.Sprintf(`{"device_name":"sensor-%d","temp":%d,"humidity":%d}`, i%10, 20+i%15, 50+i%40)
		switch i {
		case 7:
			text = `{"device_name":"sensor-7","temp":"27","humidity":57}`
		case 13:
			text = `{"sensor":"sensor-3","temp":33,"humidity":63}`
		}
		records = append(records, zerobus.JSONString(text))
	}
	return records
}

// mend makes a number of a temperature that is text.
func mend(rec zerobus.Record) (zerobus.Record, bool) {
	var fields map[string]any
	if err := json.Unmarshal(rec.Bytes(), &fields); err != nil {
		return rec, false
	}
	text, ok := fields["temp"].(string)
	if !ok {
		return rec, false
	}
	temp, err := strconv.Atoi(text)
	if err != nil {
		return rec, false
	}
	fields["temp"] = temp
	return zerobus.JSON(fields), true
}
