package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/parquet-go/parquet-go"
)

// What one would write without a server: rows of Go structs into Parquet files, each made durable when it is full. A row is safe
// once its file is, which is up to a file's rows later, and there is no table: no log, no statistics of files, nothing that keeps
// a row from being there twice. With a queue in front of a sink a row is safe before, and the rest is the same.

const (
	smallRows    = 5_000_000 // of a file
	kilobyteRows = 200_000
)

func otherwiseGroup(ctx context.Context, b *bencher, r *Report) error {
	words, err := words(ctx, b)
	if err != nil {
		return err
	}
	queued, measure, err := queueCases(ctx, b)
	if err != nil {
		return err
	}
	small, big := ByHand{Shape: "small"}, ByHand{Shape: "1k"}
	for round := range b.rounds {
		b.tell("otherwise, round %d of %d", round+1, b.rounds)
		if err := byHand(ctx, b, &small, max(1, int(smallRows*b.scale)), func(i int) smallRow {
			at := i * 17 % (len(words) - 16)
			return smallRow{words[at : at+16], int32(i % 50), int64(100_000_000 + i)}
		}); err != nil {
			return err
		}
		if err := byHand(ctx, b, &big, max(1, int(kilobyteRows*b.scale)), func(i int) kilobyteRow {
			at := i * 993 % (len(words) - 992)
			return kilobyteRow{int64(100_000_000 + i), words[at : at+992]}
		}); err != nil {
			return err
		}
		for i := range queued {
			q := &queued[i]
			run, err := measure[i](ctx)
			if err != nil {
				return err
			}
			q.Runs = append(q.Runs, run)
			b.tell("otherwise, round %d of %d: %s: %.0f records/s acknowledged, p50 %.3g ms, %.0f records/s in files", round+1, b.rounds, q.title(),
				run.AckedPerSecond, run.AckP50, run.FilesPerSecond)
		}
	}
	r.ByHand, r.Queued = []ByHand{small, big}, queued
	return nil
}

// words is the text that the records of zerobus bench have, so that it compresses alike.
func words(ctx context.Context, b *bencher) (string, error) {
	files, err := linesOf[corpus](ctx, b.decodebench, "corpus", "-dir", b.dir, "-records", "1024", "-shapes", "1k", "-encodings", "protobuf")
	if err != nil {
		return "", err
	}
	var c *columns
	for _, f := range files {
		md, err := resolve(f.Descriptor)
		if err != nil {
			return "", err
		}
		records, err := f.records()
		if err != nil {
			return "", err
		}
		c = newColumns(md)
		decode := wire(c)
		for _, r := range records {
			if err := decode(r); err != nil {
				return "", err
			}
		}
	}
	if c == nil || len(c.all[1].data) < 1<<19 {
		return "", errors.New("decodebench gave no texts")
	}
	return string(c.all[1].data), nil
}

// byHand writes one file of rows, and counts the time until it is durable.
func byHand[T any](ctx context.Context, b *bencher, h *ByHand, rows int, row func(i int) T) (err error) {
	f, err := os.Create(filepath.Join(b.dir, "by-hand.parquet"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close(), os.Remove(f.Name())) }()
	began := time.Now()
	w := parquet.NewGenericWriter[T](f, parquet.Compression(&parquet.Zstd))
	batch := make([]T, 0, 1024)
	for i := range rows {
		if batch = append(batch, row(i)); len(batch) < cap(batch) && i < rows-1 {
			continue
		}
		if _, err := w.Write(batch); err != nil {
			return fmt.Errorf("write Parquet by hand: %w", err)
		}
		if batch = batch[:0]; ctx.Err() != nil {
			return ctx.Err()
		}
	}
	if err := errors.Join(w.Close(), f.Sync()); err != nil {
		return fmt.Errorf("write Parquet by hand: %w", err)
	}
	h.Rows = append(h.Rows, float64(rows)/time.Since(began).Seconds())
	info, err := f.Stat()
	if err != nil {
		return err
	}
	h.Bytes = float64(info.Size()) / float64(rows) * 1e6
	return nil
}
