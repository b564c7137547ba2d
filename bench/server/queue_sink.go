package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/parquet-go/parquet-go"
	"google.golang.org/protobuf/encoding/protowire"
)

const (
	// sinkFile is how long a sink writes to a file.
	sinkFile = time.Second
	// sinkAhead is what a sink asks for before it needs it, in bytes.
	sinkAhead = 16 << 20
)

// sink takes messages from a queue and writes their records into Parquet files, one a second. It acknowledges messages when their
// file is durable; when it ends between the two, they come again. It has one goroutine.
type sink[T any] struct {
	dir    string
	packed bool // messages hold many records, as queueProducer packs them
	decode func(record []byte, row *T) error

	batch []T // for the file
	rows  int // taken so far
	made  int // files
	file  *os.File
	out   *parquet.GenericWriter[T]
	last  jetstream.Msg // that is not acknowledged
}

// run returns when n rows are in durable files and their messages acknowledged.
func (s *sink[T]) run(ctx context.Context, from jetstream.Consumer, n int) (err error) {
	defer func() {
		if s.file != nil {
			err = errors.Join(err, s.file.Close())
		}
		if err != nil {
			err = fmt.Errorf("sink: %w", err)
		}
	}()
	messages, failed, over := make(chan jetstream.Msg, 256), make(chan error, 1), make(chan struct{})
	consuming, err := from.Consume(func(m jetstream.Msg) {
		select {
		case messages <- m:
		case <-over:
		}
	}, jetstream.PullMaxBytes(sinkAhead), jetstream.ConsumeErrHandler(func(_ jetstream.ConsumeContext, err error) {
		select {
		case failed <- err:
		default: // the first one ends it
		}
	}))
	if err != nil {
		return err
	}
	defer func() {
		close(over)
		consuming.Stop()
		<-consuming.Closed()
	}()
	second := time.NewTicker(sinkFile)
	defer second.Stop()
	for s.rows < n {
		select {
		case m := <-messages:
			err = s.take(m)
		case <-second.C:
			err = s.finish(ctx)
		case err = <-failed:
		case <-ctx.Done():
			err = context.Cause(ctx)
		}
		if err != nil {
			return err
		}
	}
	return s.finish(ctx)
}

// take adds the records of a message.
func (s *sink[T]) take(m jetstream.Msg) error {
	s.last = m
	if !s.packed {
		return s.add(m.Data())
	}
	for data := m.Data(); len(data) > 0; {
		record, n := protowire.ConsumeBytes(data)
		if n < 0 {
			return fmt.Errorf("a message ends within a record: %w", protowire.ParseError(n))
		}
		if err := s.add(record); err != nil {
			return err
		}
		data = data[n:]
	}
	return nil
}

func (s *sink[T]) add(record []byte) error {
	if s.batch == nil {
		s.batch = make([]T, 0, 1024)
	}
	var row T
	if err := s.decode(record, &row); err != nil {
		return err
	}
	s.rows++
	if s.batch = append(s.batch, row); len(s.batch) < cap(s.batch) {
		return nil
	}
	return s.write()
}

// write gives the batch to the file, and makes one if there is none.
func (s *sink[T]) write() (err error) {
	if s.file == nil {
		if s.file, err = os.Create(filepath.Join(s.dir, fmt.Sprintf("%06d.parquet", s.made))); err != nil {
			return err
		}
		s.made++
		if s.out == nil {
			s.out = parquet.NewGenericWriter[T](s.file, parquet.Compression(&parquet.Zstd))
		} else {
			s.out.Reset(s.file)
		}
	}
	_, err = s.out.Write(s.batch)
	s.batch = s.batch[:0]
	return err
}

// finish makes the file durable, and then acknowledges the last message and so all before it.
func (s *sink[T]) finish(ctx context.Context) error {
	if s.last == nil {
		return nil
	}
	if err := s.write(); err != nil {
		return err
	}
	file := s.file
	s.file = nil
	if err := errors.Join(s.out.Close(), file.Sync(), file.Close(), syncDir(s.dir)); err != nil {
		return fmt.Errorf("%s: %w", file.Name(), err)
	}
	last := s.last
	s.last = nil
	if err := last.DoubleAck(ctx); err != nil {
		return fmt.Errorf("acknowledge the messages of %s: %w", file.Name(), err)
	}
	return nil
}

// syncDir makes the names of new files durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
