package main

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/zerobus-go/zerobus/bench/internal/report"
)

// group is a part of the measurements that can be run alone.
type group struct {
	name    string
	measure func(ctx context.Context, b *bencher, r *Report) error
}

var allGroups = []group{
	{"decode", decodeGroup},
	{"receive", receiveGroup},
	{"ack", cases(ackCases)},
	{"latency", cases(latencyCases)},
	{"table", cases(tableCases)},
	{"compression", cases(compressionCases)},
	{"memory", cases(memoryCases)},
	{"behind", cases(behindCases)},
	{"growth", growthGroup},
	{"flights", flightsGroup},
	{"otherwise", otherwiseGroup},
}

// streams of the cases as fast as it goes, and of receiving.
var streams = []int{1, 8, 64, 1000}

// cases is a group of zerobus bench.
func cases(of func(b *bencher) []Case) func(context.Context, *bencher, *Report) error {
	return func(ctx context.Context, b *bencher, r *Report) error {
		all := of(b)
		for round := range b.rounds {
			for i := range all {
				c := &all[i]
				run, err := b.bench(ctx, c.args()...)
				if err != nil {
					return err
				}
				c.Runs = append(c.Runs, run)
				b.tell("%s, round %d of %d: %s: %.0f records/s, %.1f MB/s, ack p50 %.3g ms, table p50 %.3g ms, load %s", c.Group, round+1, b.rounds,
					strings.Join(c.args(), " "), run.PerSecond, run.MB, run.Ack.P50, run.Table.P50, run.Load)
			}
		}
		r.Cases = append(r.Cases, all...)
		return nil
	}
}

// timed are the flags of a case that has a length.
func (b *bencher) timed(more ...string) []string {
	return append([]string{"--for", b.length.String(), "--warm", min(time.Second, b.length).String()}, more...)
}

func (b *bencher) count(n int) string { return strconv.Itoa(max(1, int(float64(n)*b.scale))) }

func ackCases(b *bencher) (all []Case) {
	for _, shape := range []string{"small", "wide", "1k", "1k-100"} {
		for _, n := range streams {
			all = append(all, Case{Group: "ack", Shape: shape, Encoding: "protobuf", Streams: n, Args: b.timed()})
		}
	}
	for _, shape := range []string{"small", "wide"} {
		for _, n := range []int{1, 8} {
			all = append(all, Case{Group: "ack", Shape: shape, Encoding: "json", Streams: n, Args: b.timed()})
		}
	}
	return all
}

func latencyCases(b *bencher) (all []Case) {
	for _, shape := range []string{"small", "1k"} {
		all = append(all, Case{Group: "latency", Shape: shape, Encoding: "protobuf", Streams: 8, Args: []string{
			"--rate", "10000", "--for", (4 * b.length).String(), "--warm", min(2*time.Second, b.length).String(),
		}})
	}
	return all
}

func tableCases(b *bencher) (all []Case) {
	for _, one := range []struct {
		shape, encoding string
		records         int
	}{{"small", "protobuf", 20_000_000}, {"wide", "protobuf", 3_000_000}, {"1k", "protobuf", 2_000_000}, {"1k-100", "protobuf", 500_000}, {"small", "json", 10_000_000}} {
		all = append(all, Case{Group: "table", Shape: one.shape, Encoding: one.encoding, Streams: 1, Args: []string{"--records", b.count(one.records)}})
	}
	return all
}

// compressions of data files, the default first.
var compressions = []string{"zstd", "snappy", "gzip", "uncompressed"}

func compressionCases(b *bencher) (all []Case) {
	for _, shape := range []string{"small", "wide", "1k"} {
		for _, codec := range compressions {
			all = append(all, Case{Group: "compression", Shape: shape, Encoding: "protobuf", Streams: 1, Args: b.timed("--", "--compression", codec)})
		}
	}
	return all
}

func memoryCases(b *bencher) (all []Case) {
	for _, idle := range []string{"0", "1000"} {
		all = append(all, Case{Group: "memory", Shape: "1k", Encoding: "protobuf", Streams: 64, Args: b.timed("--idle", idle)})
	}
	return all
}

// commitsBehind is what the table of a case of the group behind has.
const commitsBehind = 5000

func behindCases(b *bencher) (all []Case) {
	for _, commits := range []string{"0", b.count(commitsBehind)} {
		all = append(all, Case{Group: "behind", Shape: "1k", Encoding: "protobuf", Streams: 1, Args: b.timed("--commits", commits)})
	}
	return all
}

func decodeGroup(ctx context.Context, b *bencher, r *Report) error {
	b.tell("decode: our decoder, dynamicpb and encoding/json")
	length := min(b.length, 500*time.Millisecond)
	all, err := linesOf[Decoding](ctx, b.decodebench, "decode", "-rounds", strconv.Itoa(b.rounds), "-for", length.String())
	if err != nil {
		return err
	}
	b.tell("decode: hyperpb and jx")
	others, err := libraries(ctx, b, length)
	if err != nil {
		return err
	}
	r.Decode = append(all, others...)
	return nil
}

func receiveGroup(ctx context.Context, b *bencher, r *Report) error {
	for _, n := range streams[:3] {
		b.tell("receive: %s", report.Plural(n, "stream"))
		all, err := linesOf[Receiving](ctx, b.decodebench, "receive", "-rounds", strconv.Itoa(b.rounds), "-for", b.length.String(), "-streams", strconv.Itoa(n))
		if err != nil {
			return err
		}
		r.Receive = append(r.Receive, all...)
	}
	b.tell("receive: over a network of 50 ms")
	far, err := linesOf[Receiving](ctx, b.decodebench, "receive", "-rounds", strconv.Itoa(b.rounds), "-for", b.length.String(),
		"-delay", "25ms", "-encodings", "protobuf", "-shapes", "small,1k")
	if err != nil {
		return err
	}
	r.Receive = append(r.Receive, far...)
	return nil
}

// filesGrown is how many files the table of the group growth gets, of a commit each.
const filesGrown = 10_000

func growthGroup(ctx context.Context, b *bencher, r *Report) error {
	for round := range b.rounds {
		b.tell("growth, round %d of %d", round+1, b.rounds)
		all, err := linesOf[Growth](ctx, b.commits, "-dir", b.dir, "-commits", b.count(filesGrown), "-rows", "10", "-young", "0", "-opens", "1")
		if err != nil {
			return err
		}
		r.Growth = append(r.Growth, all...)
	}
	return nil
}
