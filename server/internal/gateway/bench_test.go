package gateway

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/zerobus-go/zerobus/internal/wire"
	"github.com/zerobus-go/zerobus/server/internal/admission"
	"github.com/zerobus-go/zerobus/server/internal/catalog"
	"github.com/zerobus-go/zerobus/server/internal/decode"
	"github.com/zerobus-go/zerobus/server/internal/lake"
	"github.com/zerobus-go/zerobus/server/internal/ledger"
	"github.com/zerobus-go/zerobus/server/internal/table"
	"github.com/zerobus-go/zerobus/server/internal/wal"
	"google.golang.org/grpc"
)

// instantLog makes everything durable at once, and keeps nothing.
type instantLog struct {
	wal.Log
	seq uint64
}

func (l *instantLog) ID() string               { return "instant" }
func (l *instantLog) Next() uint64             { return l.seq + 1 }
func (l *instantLog) Trim(wal.TableID, uint64) {}
func (l *instantLog) Append(_ context.Context, _ *wal.Chain, _ wal.TableID, _ []byte, done func(uint64, error)) error {
	l.seq++
	done(l.seq, nil)
	return nil
}

type noTransport struct {
	grpc.ServerStream
	ctx context.Context
}

func (t noTransport) Context() context.Context { return t.ctx }

// BenchmarkTake is the way of one request from its bytes through decoding, the table and a log that costs nothing, back to the
// stream's progress: what gateway and table cost themselves.
func BenchmarkTake(b *testing.B) {
	for _, records := range []int{1, 100, 1000} {
		b.Run(fmt.Sprintf("records=%d", records), func(b *testing.B) {
			dir := b.TempDir()
			cat, err := catalog.Open(dir+"/catalog.db", catalog.Options{})
			if err != nil {
				b.Fatal(err)
			}
			defer cat.Close()
			positions, err := ledger.Open(dir + "/ledger.db")
			if err != nil {
				b.Fatal(err)
			}
			defer positions.Close()
			lakeTables := table.NewTables(lake.NewMemory(), "bench", time.Now)
			tables := table.NewSet(&instantLog{}, positions, cat, lakeTables, table.Options{Logger: slog.New(slog.DiscardHandler), CommitInterval: time.Hour})
			defer func() {
				if err := tables.Close(context.Background()); err != nil {
					b.Error(err)
				}
			}()
			if _, err := catalog.NewEngine(cat, lakeTables).Exec(b.Context(), "CREATE TABLE main.default.t (id BIGINT)"); err != nil {
				b.Fatal(err)
			}
			name, err := catalog.ParseTableName("main.default.t")
			if err != nil {
				b.Fatal(err)
			}
			t, err := tables.Open(b.Context(), name)
			if err != nil {
				b.Fatal(err)
			}
			s := &stream{
				g: New(&admission.Gate{}, Options{}), ss: noTransport{ctx: b.Context()}, log: slog.New(slog.DiscardHandler),
				name: "main.default.t", table: t, shape: t.Shape(), kind: wire.JSON, progress: newProgress(),
			}
			if s.decoder, err = decode.NewJSON(t.Shape().Schema()); err != nil {
				b.Fatal(err)
			}
			var body, msg []byte
			for range records {
				body = wire.AppendRecord(body, []byte(good))
			}
			var req wire.Request
			b.ReportAllocs()
			b.ResetTimer()
			for offset := int64(0); b.Loop(); offset++ {
				msg = append(wire.AppendBatchPrefix(msg[:0], offset, wire.JSON, len(body)), body...)
				if err := s.take(msg, &req, offset); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*records), "ns/record")
		})
	}
}
