package table

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/zerobus-go/zerobus/server/internal/catalog"
	"github.com/zerobus-go/zerobus/server/internal/lake"
)

// A table whose store hangs takes half of the memory and no more: the rows of others become durable and are committed as if it were not there.
func TestTable_AHangingOneDelaysNoOther(t *testing.T) {
	h := newHouse(t)
	other := catalog.Name{Catalog: "main", Schema: "default", Table: "other"}
	var hung atomic.Bool
	h.store = lake.Faulty(h.lake, func(op lake.Op) (error, error) {
		if op.Name == "create" && strings.HasPrefix(op.Path, "main/default/t/part-") && hung.CompareAndSwap(false, true) {
			time.Sleep(time.Hour)
		}
		return nil, nil
	})
	const rounds = 100
	sent := int64(0)
	h.bubble(func() {
		l := h.start(Options{CommitInterval: sec, Parquet: plain, MemoryBytes: 1 << 20})
		l.sql("CREATE TABLE main.default.t (id BIGINT); CREATE TABLE main.default.other (id BIGINT)")
		stuck, table := l.open(tName), l.open(other)
		ctx, stop := context.WithCancel(h.t.Context())
		full := make(chan error, 1)
		go func() {
			for {
				if err := stuck.Append(ctx, nil, ids(stuck, sent, 1000), func(error) {}); err != nil {
					full <- err
					return
				}
				sent += 1000
			}
		}()
		time.Sleep(10 * sec)
		for i := range int64(rounds) {
			began := time.Now()
			l.durable(table, i*1000, 1000)
			if d := time.Since(began); d != 0 {
				h.t.Fatalf("round %d: durable after %v", i, d)
			}
			l.flush(table)
			if d := time.Since(began); d != 0 {
				h.t.Fatalf("round %d: committed after %v", i, d)
			}
		}
		select {
		case err := <-full:
			h.t.Fatalf("the hanging table takes no rows: %v", err)
		default:
		}
		stop() // it waits for memory
		if err := <-full; !errors.Is(err, context.Canceled) {
			h.t.Errorf("the hanging table's rows waited and got %v", err)
		}
		if sent < 10_000 {
			h.t.Errorf("it took %d rows before it waited", sent)
		}
		time.Sleep(time.Hour)
		l.stop()
	})
	h.want(other, rounds*1000)
	h.want(tName, sent)
}
