package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/parquet-go/parquet-go"
	"google.golang.org/protobuf/encoding/protowire"
)

// smallRecord is a record of the shape small, as zerobus bench makes it.
func smallRecord(device string, temp, humidity uint64) []byte {
	r := protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), device)
	r = protowire.AppendVarint(protowire.AppendTag(r, 2, protowire.VarintType), temp)
	return protowire.AppendVarint(protowire.AppendTag(r, 3, protowire.VarintType), humidity)
}

// message is one that notes its acknowledgement.
type message struct {
	jetstream.Msg // no method but those below is called
	data          []byte
	acked         func() error
}

func (m message) Data() []byte                    { return m.data }
func (m message) DoubleAck(context.Context) error { return m.acked() }

func TestQueue_RowsAreTheRecords(t *testing.T) {
	const n = 5000
	for name, packed := range map[string]int{"a message for each": 0, "packed": 1000, "packed, a record is larger than that": 10} {
		t.Run(name, func(t *testing.T) {
			maker, err := newRecordMaker([][]byte{smallRecord("0123456789abcdef", 7, firstID), smallRecord("fedcba9876543210", 8, firstID)}, -idBytes)
			if err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			p := &queueProducer{maker: maker, packed: packed}
			s := &sink[smallRow]{dir: dir, packed: packed > 0, decode: decodeSmall}
			acks := 0
			for left, sent := n, 0; left > 0; sent++ {
				var data []byte
				data, left = p.next(left)
				if packed >= 1000 && len(data) > packed {
					t.Errorf("a message has %d bytes", len(data))
				}
				acked := func() error {
					acks++
					if rows, err := rowsBelow(dir); err != nil || rows != int64(s.rows) {
						t.Errorf("acknowledged with %d of %d rows in files, %v", rows, s.rows, err)
					}
					return nil
				}
				if err := s.take(message{data: data, acked: acked}); err != nil {
					t.Fatal(err)
				}
				if sent == 2 { // and a second file
					if err := s.finish(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
			}
			for range 2 { // with nothing to do the second time
				if err := s.finish(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			names, err := filepath.Glob(filepath.Join(dir, "*.parquet"))
			if err != nil || len(names) != 2 || acks != 2 {
				t.Fatalf("%d files and %d acknowledgements, want 2 of both, %v", len(names), acks, err)
			}
			var rows []smallRow
			for _, name := range names {
				more, err := parquet.ReadFile[smallRow](name)
				if err != nil {
					t.Fatal(err)
				}
				rows = append(rows, more...)
			}
			if len(rows) != n {
				t.Fatalf("%d rows", len(rows))
			}
			for i, row := range rows {
				want := smallRow{[]string{"0123456789abcdef", "fedcba9876543210"}[i%2], int32(7 + i%2), int64(firstID + i)}
				if row != want {
					t.Fatalf("row %d is %+v, want %+v", i, row, want)
				}
			}
		})
	}
}

func TestSink_Faults(t *testing.T) {
	record := smallRecord("0123456789abcdef", 7, firstID)
	for name, data := range map[string][]byte{
		"a message ends within a record":  protowire.AppendBytes(nil, record)[:10],
		"a record ends within a field":    protowire.AppendBytes(nil, record[:5]),
		"a field is neither int nor text": protowire.AppendBytes(nil, protowire.AppendFixed32(protowire.AppendTag(nil, 1, protowire.Fixed32Type), 1)),
	} {
		s := &sink[smallRow]{dir: t.TempDir(), packed: true, decode: decodeSmall}
		if err := s.take(message{data: data}); err == nil {
			t.Errorf("%s: no error", name)
		}
	}

	lost := errors.New("lost")
	s := &sink[smallRow]{dir: t.TempDir(), decode: decodeSmall}
	if err := s.take(message{data: record, acked: func() error { return lost }}); err != nil {
		t.Fatal(err)
	}
	if err := s.finish(t.Context()); !errors.Is(err, lost) {
		t.Errorf("an acknowledgement is lost: %v", err)
	}
	s = &sink[smallRow]{dir: filepath.Join(t.TempDir(), "not", "there"), decode: decodeSmall}
	acked := func() error {
		t.Error("acknowledged without a file")
		return nil
	}
	if err := s.take(message{data: record, acked: acked}); err != nil {
		t.Fatal(err)
	}
	if err := s.finish(t.Context()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("without a directory: %v", err)
	}
}

func TestDecodeKilobyte(t *testing.T) {
	r := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), firstID)
	r = protowire.AppendString(protowire.AppendTag(r, 2, protowire.BytesType), "text")
	var row kilobyteRow
	if err := decodeKilobyte(r, &row); err != nil || row != (kilobyteRow{firstID, "text"}) {
		t.Errorf("%+v, %v", row, err)
	}
}

func TestRecordMaker_Refuses(t *testing.T) {
	record := smallRecord("0123456789abcdef", 7, firstID)
	for name, c := range map[string]struct {
		records [][]byte
		idAt    int
	}{
		"no records": {nil, 1}, "two sizes": {[][]byte{record, record[1:]}, 1}, "no id there": {[][]byte{record}, 3}, "behind the end": {[][]byte{record}, len(record) - 1},
		"before the beginning": {[][]byte{record}, -1 - len(record)},
	} {
		if _, err := newRecordMaker(slices.Clone(c.records), c.idAt); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestQueue_CannotStart(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if q, err := startQueue(t.Context(), filepath.Join(file, "below"), true); err == nil {
		t.Errorf("a queue starts below a file: %v", q.stop())
	} else if !strings.Contains(err.Error(), "the queue's process: exit status 1\nbench/server: ") {
		t.Errorf("the error does not tell what the process said: %v", err)
	}
}
