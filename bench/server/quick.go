package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/zerobus-go/zerobus/bench/internal/report"
)

// Line is what -quick prints. Rates are medians of rounds; MB are 10^6 bytes of records.
type Line struct {
	Proto25   float64 `json:"decode_proto_25_mb_s"`
	Proto265  float64 `json:"decode_proto_265_mb_s"`
	JSON61    float64 `json:"decode_json_61_mb_s"`
	JSON460   float64 `json:"decode_json_460_mb_s"`
	Allocs    float64 `json:"decode_allocs"`           // of a record, the most of these cases
	Dynamicpb float64 `json:"decode_265_vs_dynamicpb"` // how many times as fast
	Ack1k     float64 `json:"ack_1k_mb_s"`
	Ack25     float64 `json:"ack_25_rec_s"`
	AckP50    float64 `json:"ack_p50_ms"` // this and the following at 10,000 records/s over 8 streams
	AckP99    float64 `json:"ack_p99_ms"`
	TableP50  float64 `json:"table_p50_ms"`
	TableP99  float64 `json:"table_p99_ms"`
	Behind    float64 `json:"behind_ms"` // the most that a stream was behind its rate: above some ms, the machine is busy
	SyncP50   float64 `json:"disk_sync_p50_ms"`
	Resident  float64 `json:"resident_mb"` // of the server under the load of ack_1k
	Load      string  `json:"load_average"`
}

// quickSecond is how long the first round may take for a second one: the whole is to stay below a minute.
const quickSecond = 25 * time.Second

// quick measures some 40 seconds.
func (b *bencher) quick(ctx context.Context) (line Line, err error) {
	began := time.Now()
	decoded, err := linesOf[Decoding](ctx, b.decodebench, "decode", "-shapes", "small,wide", "-rounds", "3", "-for", "150ms")
	if err != nil {
		return line, err
	}
	if err := line.decoded(decoded); err != nil {
		return line, err
	}
	short := []string{"--for", "2s", "--warm", "1s"}
	var big, small []Run
	for round := 0; round < 2 && (round == 0 || time.Since(began) < quickSecond); round++ {
		for shape, to := range map[string]*[]Run{"1k": &big, "small": &small} {
			run, err := b.bench(ctx, append([]string{"--shape", shape}, short...)...)
			if err != nil {
				return line, err
			}
			*to = append(*to, run)
		}
	}
	line.Ack1k = report.StatOf(big, func(r Run) float64 { return r.MB }).Median
	line.Ack25 = report.StatOf(small, func(r Run) float64 { return r.PerSecond }).Median
	line.Resident = report.StatOf(big, func(r Run) float64 { return r.Resident / 1e6 }).Max
	run, err := b.bench(ctx, "--shape", "small", "--rate", "10000", "--streams", "8", "--for", "6s")
	if err != nil {
		return line, err
	}
	line.AckP50, line.AckP99, line.TableP50, line.TableP99 = run.Ack.P50, run.Ack.P99, run.Table.P50, run.Table.P99
	line.Behind, line.SyncP50, line.Load = run.Behind, run.Sync.P50, run.Load
	line.round()
	return line, nil
}

// round leaves four digits of each figure: there is no more in them.
func (l *Line) round() {
	for _, v := range []*float64{
		&l.Proto25, &l.Proto265, &l.JSON61, &l.JSON460, &l.Allocs, &l.Dynamicpb, &l.Ack1k, &l.Ack25, &l.AckP50, &l.AckP99, &l.TableP50, &l.TableP99,
		&l.Behind, &l.SyncP50, &l.Resident,
	} {
		if *v > 0 {
			*v, _ = strconv.ParseFloat(strconv.FormatFloat(*v, 'g', 4, 64), 64) // of text that was just written
		}
	}
}

// decoded fills in what decodebench told.
func (l *Line) decoded(all []Decoding) error {
	found := map[string]float64{}
	for _, d := range all {
		found[d.Decoder+" "+d.Encoding+" "+d.Shape] = report.StatOf(d.MB, func(v float64) float64 { return v }).Median
		if d.Decoder == "zerobus" {
			l.Allocs = max(l.Allocs, d.Allocs)
		}
	}
	for name, to := range map[string]*float64{
		"zerobus protobuf small": &l.Proto25, "zerobus protobuf wide": &l.Proto265, "zerobus json small": &l.JSON61, "zerobus json wide": &l.JSON460,
		"dynamicpb protobuf wide": &l.Dynamicpb,
	} {
		if *to = found[name]; *to == 0 {
			return fmt.Errorf("decodebench told nothing of %s", name)
		}
	}
	l.Dynamicpb = l.Proto265 / l.Dynamicpb
	return nil
}
