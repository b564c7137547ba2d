package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"

	"github.com/zerobus-go/zerobus/bench/client/baseline"
	"github.com/zerobus-go/zerobus/bench/client/baseline/pb"
	"github.com/zerobus-go/zerobus/examples/airquality"
)

// baseClient is the client of package baseline, with a channel for each stream.
type baseClient struct {
	samples *samples
	watch   *watch[*baseline.Record]
	conns   []*grpc.ClientConn
	streams []*baseline.Stream
	turns   []turn[func() []byte] // each encodes its record, if it must
	batches []turn[[][]byte]
}

func openBaseline(ctx context.Context, job Job, s *samples) (client, error) {
	creds := insecure.NewCredentials()
	if job.TLS {
		roots, err := roots(job)
		if err != nil {
			return nil, err
		}
		creds = credentials.NewTLS(&tls.Config{RootCAs: roots})
	}
	descriptor := must(proto.Marshal(protodesc.ToDescriptorProto((&airquality.AirQuality{}).ProtoReflect().Descriptor())))
	c := &baseClient{samples: s, watch: newWatch[*baseline.Record](ctx, s)}
	for range job.Streams {
		cc, err := grpc.NewClient("passthrough:///"+job.Addr, grpc.WithTransportCredentials(creds))
		if err != nil {
			return nil, err
		}
		cfg := baseline.Config{
			Table: tableName, Type: pb.RecordType_PROTO, Descriptor: descriptor,
			Header: metadata.Pairs("authorization", "Bearer benchmark", "x-databricks-zerobus-table-name", tableName),

			MaxInflightRecords: job.Records, MaxInflightBytes: job.Bytes,
		}
		if job.Form == formJSON || job.Form == formValue {
			cfg.Type, cfg.Descriptor = pb.RecordType_JSON, nil
		}
		stream, err := baseline.Open(ctx, cc, cfg)
		if err != nil {
			return nil, err
		}
		c.conns, c.streams = append(c.conns, cc), append(c.streams, stream)
	}
	c.turns = newTurns(job, func(i int) func() []byte { return encoder(job, i) })
	if job.Batch > 0 {
		c.batches = newTurns(job, func(i int) [][]byte {
			batch := make([][]byte, job.Batch)
			for k := range batch {
				batch[k] = c.turns[0].records[(i+k)%len(c.turns[0].records)]()
			}
			return batch
		})
	}
	return c, nil
}

// encoder returns what a program does for a record before it hands it over.
func encoder(job Job, i int) func() []byte {
	switch job.Form {
	case formMessage:
		m := newMessage(job.Size, i)
		return func() []byte { return must(proto.Marshal(m)) }
	case formValue:
		v := newReading(job.Size, i)
		return func() []byte { return must(json.Marshal(v)) }
	}
	b := encoded(job, i)
	return func() []byte { return b }
}

func (c *baseClient) send(_ context.Context, producer, n int, sample bool) error {
	s := c.streams[producer%len(c.streams)]
	var began time.Time
	if sample {
		began = time.Now()
	}
	var first *baseline.Record
	for i := range n {
		var r *baseline.Record
		var err error
		if c.batches != nil {
			r, err = s.IngestBatch(c.batches[producer].take())
		} else {
			r, err = s.Ingest(c.turns[producer].take()())
		}
		if err != nil {
			return err
		}
		if i == 0 {
			first = r
		}
	}
	if sample {
		c.watch.on(first, began)
	}
	return nil
}

func (c *baseClient) wait(ctx context.Context, producer int) error {
	began := time.Now()
	r, err := c.streams[producer%len(c.streams)].Ingest(c.turns[producer].take()())
	if err != nil {
		return err
	}
	if err := r.Wait(ctx); err != nil {
		return err
	}
	c.samples.add(time.Since(began))
	return nil
}

func (c *baseClient) flush(ctx context.Context) error {
	for _, s := range c.streams {
		if err := s.Flush(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (c *baseClient) close(ctx context.Context) error {
	for i, s := range c.streams {
		if err := s.Close(ctx); err != nil {
			return err
		}
		if err := c.conns[i].Close(); err != nil {
			return err
		}
	}
	c.watch.close()
	return nil
}
