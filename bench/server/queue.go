package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/parquet-go/parquet-go"

	"github.com/zerobus-go/zerobus/bench/internal/report"
)

// A queue with a sink is what many take in place of a server: NATS with JetStream, one node, its files on the disk of -dir, and a
// sink that takes its messages and writes them into Parquet files. Producer and sink are in this process, with a connection each over
// loopback; the queue is a process of its own.

const (
	queueStream  = "records"
	queueSubject = "records"

	// packedBytes is the most of a message that holds many records: half of the 1 MiB that a queue takes unless it is told otherwise.
	// Larger ones were no faster in files.
	packedBytes = 512 << 10
)

// queueShape is records of zerobus bench and the sink that knows them.
type queueShape struct {
	name    string
	records int // of the file from decodebench, as many as have texts of their own
	idAt    int // where the id is, from a record's end if below 0
	sink    func(dir string, packed bool) runner
}

// runner takes a number of records from a queue. See [sink].
type runner interface {
	run(ctx context.Context, from jetstream.Consumer, n int) error
}

var queueShapes = []queueShape{
	{"small", 1 << 16, -idBytes, func(dir string, packed bool) runner {
		return &sink[smallRow]{dir: dir, packed: packed, decode: decodeSmall}
	}},
	{"1k", 1 << 10, 1, func(dir string, packed bool) runner {
		return &sink[kilobyteRow]{dir: dir, packed: packed, decode: decodeKilobyte}
	}},
}

// queueSetup is how a queue is used. Windows are in messages, the best of those tried, from 16 to 16,000.
type queueSetup struct {
	always bool // a sync before each acknowledgement
	packed int  // bytes of a message of many records; 0 is a message for each
	window int
	counts map[string]int // of records, by shape: some seconds
}

var queueSetups = []queueSetup{
	{always: true, window: 256, counts: map[string]int{"small": 10_000, "1k": 5_000}},
	{always: true, packed: packedBytes, window: 64, counts: map[string]int{"small": 20_000_000, "1k": 400_000}},
	{window: 4000, counts: map[string]int{"small": 300_000, "1k": 150_000}},
	{packed: packedBytes, window: 64, counts: map[string]int{"small": 20_000_000, "1k": 400_000}},
}

// queueCases are all cases, each with what measures a round of it.
func queueCases(ctx context.Context, b *bencher) (all []Queued, measure []func(context.Context) (QueueRun, error), err error) {
	for _, shape := range queueShapes {
		files, err := linesOf[corpus](ctx, b.decodebench, "corpus", "-dir", b.dir, "-records", fmt.Sprint(shape.records), "-shapes", shape.name, "-encodings", "protobuf")
		if err != nil {
			return nil, nil, err
		}
		if len(files) != 1 {
			return nil, nil, fmt.Errorf("decodebench made %d files of records of the shape %s", len(files), shape.name)
		}
		records, err := files[0].records()
		if err != nil {
			return nil, nil, err
		}
		maker, err := newRecordMaker(records, shape.idAt)
		if err != nil {
			return nil, nil, err
		}
		for _, setup := range queueSetups {
			n := max(1, int(float64(setup.counts[shape.name])*b.scale))
			all = append(all, Queued{Shape: shape.name, Always: setup.always, Packed: setup.packed, RecordBytes: maker.size()})
			measure = append(measure, func(ctx context.Context) (QueueRun, error) { return measureQueue(ctx, b.dir, shape, setup, maker, n) })
		}
	}
	return all, measure, nil
}

// measureQueue publishes n records to a new queue, with a sink behind it, until all are in durable files.
func measureQueue(ctx context.Context, below string, shape queueShape, setup queueSetup, maker *recordMaker, n int) (run QueueRun, err error) {
	dir, err := os.MkdirTemp(below, "queue-")
	if err != nil {
		return run, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	maker.made = 0 // every queue has the same records, and ids do not run out
	store, files := filepath.Join(dir, "store"), filepath.Join(dir, "files")
	if err := os.Mkdir(files, 0o755); err != nil {
		return run, err
	}
	q, err := startQueue(ctx, store, setup.always)
	if err != nil {
		return run, err
	}
	run, err = setup.measure(ctx, q, shape.sink(files, setup.packed > 0), maker, n)
	if err = errors.Join(err, q.stop()); err != nil {
		return run, fmt.Errorf("queue with a sink, %s: %w", shape.name, err)
	}
	perMillion := 1e6 / float64(n)
	if run.StoreBytes, err = bytesBelow(store); err != nil {
		return run, err
	}
	if run.FileBytes, err = bytesBelow(files); err != nil {
		return run, err
	}
	run.StoreBytes, run.FileBytes = run.StoreBytes*perMillion, run.FileBytes*perMillion
	if rows, err := rowsBelow(files); err != nil || rows != int64(n) {
		return run, errors.Join(err, fmt.Errorf("queue with a sink, %s: %d of %d records are in its files", shape.name, rows, n))
	}
	return run, nil
}

// measure lets producer and sink run.
func (setup queueSetup) measure(ctx context.Context, q *queueProcess, to runner, maker *recordMaker, n int) (run QueueRun, err error) {
	var js [2]jetstream.JetStream // of the producer and of the sink
	for i := range js {
		conn, err := nats.Connect(q.url)
		if err != nil {
			return run, err
		}
		defer conn.Close()
		// The window counts what is in its channel. One message more is before it, and one behind.
		if js[i], err = jetstream.New(conn, jetstream.WithPublishAsyncMaxPending(setup.window+2)); err != nil {
			return run, err
		}
	}
	if _, err := js[0].CreateStream(ctx, jetstream.StreamConfig{Name: queueStream, Subjects: []string{queueSubject}, Storage: jetstream.FileStorage}); err != nil {
		return run, fmt.Errorf("create the stream: %w", err)
	}
	// One acknowledgement stands for all messages before it: the sink needs one a file.
	consumer, err := js[1].CreateConsumer(ctx, queueStream, jetstream.ConsumerConfig{
		Durable: "sink", AckPolicy: jetstream.AckAllPolicy, MaxAckPending: -1, AckWait: time.Minute,
	})
	if err != nil {
		return run, fmt.Errorf("create the consumer: %w", err)
	}
	queueBefore, err := q.processorTime()
	if err != nil {
		return run, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	before, began := report.ProcessorTime(), time.Now()
	drained := make(chan error, 1)
	var inFiles time.Duration
	go func() {
		err := to.run(ctx, consumer, n)
		inFiles = time.Since(began)
		if err != nil {
			cancel(err)
		}
		drained <- err
	}()
	p := &queueProducer{js: js[0], maker: maker, packed: setup.packed, window: setup.window}
	err = p.run(ctx, n)
	acked := time.Since(began)
	if err != nil {
		cancel(err)
	}
	if err := errors.Join(err, <-drained); err != nil {
		return run, err
	}
	after := report.ProcessorTime()
	queueAfter, err := q.processorTime()
	if err != nil {
		return run, err
	}
	perMillion := 1e6 / float64(n)
	slices.Sort(p.took)
	quantile := func(part int) float64 { return float64(p.took[(len(p.took)-1)*part/100]) / 1e6 }
	return QueueRun{
		Records: n, AckedPerSecond: float64(n) / acked.Seconds(), FilesPerSecond: float64(n) / inFiles.Seconds(), AckP50: quantile(50), AckP99: quantile(99),
		QueueCPU: (queueAfter - queueBefore).Seconds() * perMillion, ClientCPU: (after - before).Seconds() * perMillion,
	}, nil
}

// bytesBelow is the size of all files below a directory.
func bytesBelow(dir string) (n float64, err error) {
	err = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		n += float64(info.Size())
		return nil
	})
	return n, err
}

// rowsBelow is how many rows the footers of a directory's Parquet files tell.
func rowsBelow(dir string) (n int64, err error) {
	names, err := filepath.Glob(filepath.Join(dir, "*.parquet"))
	if err != nil {
		return 0, err
	}
	for _, name := range names {
		f, err := os.Open(name)
		if err != nil {
			return n, err
		}
		rows, err := rowsOf(f)
		if err := errors.Join(err, f.Close()); err != nil {
			return n, fmt.Errorf("%s: %w", name, err)
		}
		n += rows
	}
	return n, nil
}

func rowsOf(f *os.File) (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	p, err := parquet.OpenFile(f, info.Size())
	if err != nil {
		return 0, err
	}
	return p.NumRows(), nil
}
