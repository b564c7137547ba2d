package main

import (
	"math/bits"
	"time"
)

// latencies counts times in buckets that are at most 1/64 of their value wide, from 1 µs on. The zero value is empty. It belongs
// to one goroutine.
type latencies struct {
	counts [64 * 40]int64
	n      int64
	max    time.Duration
}

// bucketOf is the bucket of a time in µs: below 128 each its own, above that 64 for every power of two.
func bucketOf(us uint64) int {
	shift := max(0, bits.Len64(us)-7)
	return min(shift*64+int(us>>shift), len(latencies{}.counts)-1)
}

// boundOf is the first time, in µs, above a bucket.
func boundOf(bucket int) uint64 {
	if bucket < 128 {
		return uint64(bucket) + 1
	}
	shift := bucket/64 - 1
	return (uint64(bucket%64) + 65) << shift
}

// add counts a time for so many records.
func (l *latencies) add(d time.Duration, records int64) {
	l.counts[bucketOf(uint64(max(0, d.Microseconds())))] += records
	l.n += records
	l.max = max(l.max, d)
}

func (l *latencies) join(o *latencies) {
	for i, c := range o.counts {
		l.counts[i] += c
	}
	l.n += o.n
	l.max = max(l.max, o.max)
}

// quantile is the time that a part of all, from 0 to 1, does not exceed: the upper end of its bucket, in milliseconds.
func (l *latencies) quantile(part float64) float64 {
	rank, seen := int64(part*float64(l.n-1)), int64(0)
	for i, c := range l.counts {
		if seen += c; c > 0 && seen > rank {
			return min(float64(boundOf(i))/1000, milliseconds(l.max))
		}
	}
	return 0
}

// distribution is how times are spread, in milliseconds.
type distribution struct {
	Records int64       `json:"records"`
	P50     float64     `json:"p50"`
	P90     float64     `json:"p90"`
	P99     float64     `json:"p99"`
	P999    float64     `json:"p99_9"`
	Max     float64     `json:"max"`
	Curve   [][]float64 `json:"curve"` // pairs of a part of all records and the time that it does not exceed
}

// curve has the parts of a distribution that are told.
var curveParts = []float64{0, 0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999, 0.9999, 1}

func (l *latencies) distribution() *distribution {
	if l.n == 0 {
		return nil
	}
	d := &distribution{
		Records: l.n, P50: l.quantile(0.5), P90: l.quantile(0.9), P99: l.quantile(0.99), P999: l.quantile(0.999), Max: milliseconds(l.max),
	}
	for _, part := range curveParts {
		d.Curve = append(d.Curve, []float64{part, l.quantile(part)})
	}
	return d
}

func milliseconds(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e6 }
