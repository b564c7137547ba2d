package wal_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/zerobus-go/zerobus/server/internal/wal"
)

// Each caller waits until its entry is durable, as a stream does that has one batch outstanding.
func BenchmarkAppend(b *testing.B) {
	for _, size := range []int{1 << 10, 16 << 10, 1 << 20} {
		for _, callers := range []int{1, 64} {
			b.Run(fmt.Sprintf("size=%d/callers=%d", size, callers), func(b *testing.B) {
				l := open(b, wal.Options{Dir: b.TempDir(), MaxBytes: 1 << 30})
				payload := make([]byte, size)
				b.SetBytes(int64(size))
				b.ReportAllocs()
				before := l.Stats().Syncs
				b.ResetTimer()
				var wait sync.WaitGroup
				for c := range callers {
					n := b.N / callers
					if c < b.N%callers {
						n++
					}
					wait.Go(func() {
						ready := make(chan uint64, 1)
						done := func(seq uint64, err error) {
							if err != nil {
								b.Error(err)
							}
							ready <- seq
						}
						for range n {
							if err := l.Append(context.Background(), nil, table(1), payload, done); err != nil {
								b.Error(err)
								return
							}
							if seq := <-ready; seq%1024 == 0 {
								l.Trim(table(1), seq)
							}
						}
					})
				}
				wait.Wait()
				b.StopTimer()
				b.ReportMetric(float64(b.N)/float64(max(l.Stats().Syncs-before, 1)), "entries/sync")
			})
		}
	}
}

// One caller keeps 64 entries of 16 KiB, 1 MiB in all, outstanding and waits for them together.
func BenchmarkGroup(b *testing.B) {
	l := open(b, wal.Options{Dir: b.TempDir(), MaxBytes: 1 << 30})
	const entries, size = 64, 16 << 10
	payload := make([]byte, size)
	ready := make(chan uint64, entries)
	done := func(seq uint64, err error) {
		if err != nil {
			b.Error(err)
		}
		ready <- seq
	}
	b.SetBytes(entries * size)
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		for range entries {
			if err := l.Append(context.Background(), nil, table(1), payload, done); err != nil {
				b.Fatal(err)
			}
		}
		var last uint64
		for range entries {
			last = <-ready
		}
		l.Trim(table(1), last)
	}
}
