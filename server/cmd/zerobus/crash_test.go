package main

import (
	"context"
	"fmt"
	"math"
	"sync/atomic"
	"testing"
	"time"

	"github.com/zerobus-go/zerobus"
	"github.com/zerobus-go/zerobus/server"
	"github.com/zerobus-go/zerobus/server/internal/catalog"
	"github.com/zerobus-go/zerobus/server/internal/datadir"
	"github.com/zerobus-go/zerobus/server/internal/delta"
	"github.com/zerobus-go/zerobus/server/internal/lake"
	"github.com/zerobus-go/zerobus/server/internal/table"
)

// A server that is killed with kill -9 in the middle of an ingest, again and again, loses nothing that it acknowledged and
// writes nothing twice: a record that the client saw acknowledged is in the table exactly once. Records that were on their way
// when the server died are sent again by the client, which cannot know whether they arrived; only these may be there twice.
func TestServe_KillNineInTheMiddleOfAnIngest(t *testing.T) {
	const (
		name  = "main.default.events"
		kills = 3 // one less than lives
	)
	data := t.TempDir()
	grpc, http := freePorts(t)
	// Lives that leave everything in the log, lives that leave nearly nothing there, and what is between.
	intervals := []string{"1h", "20ms", "1s", "100ms"}
	start := func(life int) *process {
		return serveProcess(t, data, "--grpc-listen", grpc, "--http-listen", http, "--commit-interval", intervals[life])
	}
	p := start(0)
	mustTool(t, "sql", "--data", data, "CREATE TABLE "+name+" (id BIGINT NOT NULL, text STRING) USING DELTA")
	id, secret := writer(t, data, name)

	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	sdk, err := zerobus.New(p.grpc, p.http)
	if err != nil {
		t.Fatal(err)
	}
	defer sdk.Close()
	var acked atomic.Int64 // offsets below are acknowledged
	progress := make(chan struct{}, 1)
	stream, err := sdk.CreateStream(ctx, zerobus.Table(name), zerobus.ClientCredentials{ID: id, Secret: secret},
		zerobus.WithRecoveryBackoff(50*time.Millisecond), zerobus.WithRecoveryRetries(1000),
		zerobus.WithMaxInflightRecords(5_000), zerobus.WithMaxBatchRecords(500),
		zerobus.WithAckCallback(func(a zerobus.AckInfo) {
			if a.Err == nil {
				acked.Store(a.Last + 1)
			}
			select {
			case progress <- struct{}{}:
			default:
			}
		}))
	if err != nil {
		t.Fatal(err)
	}

	var sent atomic.Int64
	var enough atomic.Bool
	ingested := make(chan error, 1)
	go func() {
		for i := int64(0); !enough.Load(); i++ {
			if _, err := stream.Ingest(ctx, zerobus.JSONString(fmt.Sprintf(`{"id":%d,"text":"event %[1]d"}`, i))); err != nil {
				ingested <- err
				return
			}
			sent.Store(i + 1)
		}
		ingested <- nil
	}()
	waitAcked := func(n int64) {
		for acked.Load() < n {
			select {
			case <-progress:
			case err := <-ingested:
				t.Fatalf("ingest ended: %v\n%s", err, p.log)
			case <-ctx.Done():
				t.Fatalf("only %d records acknowledged\n%s", acked.Load(), p.log)
			}
		}
	}
	type span struct{ from, to int64 }
	var unsure []span // ids that the client may have had to send again
	for life := range kills {
		waitAcked(acked.Load() + 20_000)
		from := acked.Load()
		p.kill()
		unsure = append(unsure, span{from, sent.Load() + 1}) // one may have been on its way into the stream
		p = start(life + 1)
	}
	waitAcked(acked.Load() + 20_000)
	enough.Store(true)
	if err := <-ingested; err != nil {
		t.Fatal(err)
	}
	if err := stream.Flush(ctx); err != nil {
		t.Fatalf("flush: %v\n%s", err, p.log)
	}
	if err := stream.Close(ctx); err != nil {
		t.Fatal(err)
	}
	p.terminate()

	times := make([]int, sent.Load())
	for _, id := range readIDs(t, data, name) {
		if id < 0 || id >= int64(len(times)) {
			t.Fatalf("id %d was never sent", id)
		}
		times[id]++
	}
	lost, twice, again := 0, 0, 0
	for id, n := range times {
		if n == 0 {
			lost++
		}
		if n > 1 {
			again++
			excused := false
			for _, s := range unsure {
				excused = excused || int64(id) >= s.from && int64(id) < s.to
			}
			if !excused {
				twice++
			}
		}
	}
	t.Logf("%d records, %d kills, %d records sent again by the client are there twice", len(times), kills, again)
	if lost > 0 || twice > 0 {
		t.Errorf("%d acknowledged records are lost, %d that were acknowledged before a kill are there twice", lost, twice)
	}
}

// readIDs reads the first column of all rows, without a server.
func readIDs(t *testing.T, data, name string) (ids []int64) {
	t.Helper()
	dir, err := datadir.Open(data)
	if err != nil {
		t.Fatal(err)
	}
	cat, err := catalog.Open(dir.Catalog(), catalog.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer cat.Close()
	store, err := lake.NewLocal(dir.Tables())
	if err != nil {
		t.Fatal(err)
	}
	n, err := catalog.ParseTableName(name)
	if err != nil {
		t.Fatal(err)
	}
	info, err := cat.Table(n)
	if err != nil {
		t.Fatal(err)
	}
	problems, err := delta.Lint(t.Context(), store.Sub(info.Location), delta.LintOptions{Files: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("delta log: %v", p)
	}
	err = table.NewTables(store, server.Engine, time.Now).Head(t.Context(), info, math.MaxInt, func(values []any) error {
		ids = append(ids, values[0].(int64))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return ids
}
