package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"github.com/zerobus-go/zerobus"
	"github.com/zerobus-go/zerobus/examples/airquality"
)

const tableName = "main.default.bench"

// oursClient is this project's SDK.
type oursClient struct {
	sdk     *zerobus.SDK
	samples *samples
	watch   *watch[zerobus.Ack]
	streams []*zerobus.Stream
	turns   []turn[zerobus.Record]
	batches []turn[[]zerobus.Record]
}

func openOurs(ctx context.Context, job Job, s *samples) (client, error) {
	scheme := "http"
	var opts []zerobus.Option
	if job.TLS {
		roots, err := roots(job)
		if err != nil {
			return nil, err
		}
		scheme = "https"
		opts = append(opts, zerobus.WithTLSConfig(&tls.Config{RootCAs: roots}))
	}
	sdk, err := zerobus.New(scheme+"://"+job.Addr, "", opts...)
	if err != nil {
		return nil, err
	}
	c := &oursClient{sdk: sdk, samples: s, watch: newWatch[zerobus.Ack](ctx, s)}
	table := zerobus.TableProperties{Name: tableName, RecordType: zerobus.RecordTypeJSON}
	if job.Form == formProto || job.Form == formMessage {
		table = zerobus.ProtoTable(tableName, &airquality.AirQuality{})
	}
	for range job.Streams {
		stream, err := sdk.CreateStream(ctx, table, zerobus.StaticHeaders{{Name: "authorization", Value: "Bearer benchmark"}},
			zerobus.WithMaxInflightRecords(job.Records), zerobus.WithMaxInflightBytes(job.Bytes), zerobus.WithBatchPause(job.Pause))
		if err != nil {
			return nil, err
		}
		c.streams = append(c.streams, stream)
	}
	c.turns = newTurns(job, func(i int) zerobus.Record { return record(job, i) })
	if job.Batch > 0 {
		c.batches = newTurns(job, func(i int) []zerobus.Record {
			batch := make([]zerobus.Record, job.Batch)
			for k := range batch {
				batch[k] = c.turns[0].records[(i+k)%len(c.turns[0].records)]
			}
			return batch
		})
	}
	return c, nil
}

func record(job Job, i int) zerobus.Record {
	switch job.Form {
	case formJSON:
		return zerobus.JSONBytes(encoded(job, i))
	case formMessage:
		return zerobus.Proto(newMessage(job.Size, i))
	case formValue:
		return zerobus.JSON(newReading(job.Size, i))
	}
	return zerobus.ProtoBytes(encoded(job, i))
}

func roots(job Job) (*x509.CertPool, error) {
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM([]byte(job.CA)) {
		return nil, errors.New("the sink's certificate is none")
	}
	return pool, nil
}

func (c *oursClient) send(ctx context.Context, producer, n int, sample bool) error {
	s := c.streams[producer%len(c.streams)]
	var began time.Time
	if sample {
		began = time.Now()
	}
	var first zerobus.Ack
	if c.batches != nil {
		t := &c.batches[producer]
		for i := range n {
			ack, err := s.IngestBatch(ctx, t.take())
			if err != nil {
				return err
			}
			if i == 0 {
				first = ack
			}
		}
	} else {
		t := &c.turns[producer]
		for i := range n {
			ack, err := s.Ingest(ctx, t.take())
			if err != nil {
				return err
			}
			if i == 0 {
				first = ack
			}
		}
	}
	if sample {
		c.watch.on(first, began)
	}
	return nil
}

func (c *oursClient) wait(ctx context.Context, producer int) error {
	began := time.Now()
	if _, err := c.streams[producer%len(c.streams)].IngestAndWait(ctx, c.turns[producer].take()); err != nil {
		return err
	}
	c.samples.add(time.Since(began))
	return nil
}

func (c *oursClient) flush(ctx context.Context) error {
	for i, s := range c.streams {
		if err := s.Flush(ctx); err != nil {
			return fmt.Errorf("stream %d: %w", i, err)
		}
	}
	return nil
}

func (c *oursClient) close(ctx context.Context) error {
	for _, s := range c.streams {
		if err := s.Close(ctx); err != nil {
			return err
		}
	}
	c.watch.close()
	return c.sdk.Close()
}
