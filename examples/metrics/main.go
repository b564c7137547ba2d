// Command metrics sends 10,000 JSON records to the table main.default.air_quality and counts what happens with package expvar.
// A program that serves HTTP shows the counters at /debug/vars; this one prints them. Other metrics work the same way.
package main

import (
	"context"
	"errors"
	"expvar"
	"fmt"
	"log"
	"time"

	"github.com/zerobus-go/zerobus"
	"github.com/zerobus-go/zerobus/examples/airquality"
)

const records = 10_000

func main() {
	if err := run(context.Background()); err != nil {
		log.Fatal(err)
	}
}

// metrics is a Hook. Its methods are called on goroutines of the SDK, and return at once.
type metrics struct {
	connects, disconnects, failures     *expvar.Map // by table, and by the reason
	sentRecords, sentBytes, sentAgain   *expvar.Int
	ackedRecords, ackedBytes, ackMillis *expvar.Int
}

func newMetrics() metrics {
	return metrics{
		connects:     expvar.NewMap("zerobus_connects"),
		disconnects:  expvar.NewMap("zerobus_disconnects"),
		failures:     expvar.NewMap("zerobus_failed_tries"),
		sentRecords:  expvar.NewInt("zerobus_sent_records"),
		sentBytes:    expvar.NewInt("zerobus_sent_bytes"),
		sentAgain:    expvar.NewInt("zerobus_sent_again_records"),
		ackedRecords: expvar.NewInt("zerobus_acked_records"),
		ackedBytes:   expvar.NewInt("zerobus_acked_bytes"),
		ackMillis:    expvar.NewInt("zerobus_last_ack_latency_ms"),
	}
}

func (m metrics) OnConnect(e zerobus.ConnectEvent) { m.connects.Add(e.Table, 1) }

func (m metrics) OnDisconnect(e zerobus.DisconnectEvent) {
	if e.StreamID == "" {
		m.failures.Add(e.Reason, 1)
		return
	}
	m.disconnects.Add(e.Reason, 1)
}

func (m metrics) OnSend(e zerobus.SendEvent) {
	m.sentRecords.Add(int64(e.Records))
	m.sentBytes.Add(int64(e.Bytes))
	if e.Resend {
		m.sentAgain.Add(int64(e.Records))
	}
}

func (m metrics) OnAck(e zerobus.AckEvent) {
	m.ackedRecords.Add(int64(e.Records))
	m.ackedBytes.Add(int64(e.Bytes))
	m.ackMillis.Set(e.Latency.Milliseconds())
}

func run(ctx context.Context) (err error) {
	env, err := airquality.FromEnv()
	if err != nil {
		return err
	}
	m := newMetrics()
	sdk, err := zerobus.New(env.ServerEndpoint, env.WorkspaceURL, zerobus.WithHooks(m))
	if err != nil {
		return err
	}
	defer sdk.Close()

	start := time.Now()
	if err := send(ctx, sdk, env); err != nil {
		return err
	}
	expvar.Do(func(v expvar.KeyValue) {
		if v.Key != "cmdline" && v.Key != "memstats" { // expvar's own
			fmt.Println(v.Key, v.Value)
		}
	})
	fmt.Printf("%d of %d records are durable, in %s\n", m.ackedRecords.Value(), records, time.Since(start).Round(time.Millisecond))
	return nil
}

func send(ctx context.Context, sdk *zerobus.SDK, env airquality.Env) (err error) {
	stream, err := sdk.CreateStream(ctx, zerobus.Table(env.Table), env.Credentials)
	if err != nil {
		return err
	}
	// Close flushes; its error counts like any other.
	defer func() { err = errors.Join(err, stream.Close(ctx)) }()
	for i := range records {
		if _, err := stream.Ingest(ctx, zerobus.JSON(map[string]any{
			"device_name": fmt.Sprintf("sensor-%d", i%10), "temp": 20 + i%15, "humidity": 50 + i%40,
		})); err != nil {
			return err
		}
	}
	return nil
}
