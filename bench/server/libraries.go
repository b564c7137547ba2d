package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"runtime"
	"time"
	"unicode/utf8"

	"buf.build/go/hyperpb"
	"github.com/go-faster/jx"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// corpus is a file of records, as decodebench corpus tells it.
type corpus struct {
	Shape      string `json:"shape"`
	Encoding   string `json:"encoding"`
	File       string `json:"file"`
	Descriptor []byte `json:"descriptor"`
}

// records reads the file.
func (c corpus) records() (all [][]byte, err error) {
	b, err := os.ReadFile(c.File)
	if err != nil {
		return nil, err
	}
	for len(b) > 0 {
		if len(b) < 4 || uint64(len(b)-4) < uint64(binary.LittleEndian.Uint32(b)) {
			return nil, fmt.Errorf("%s ends within a record", c.File)
		}
		n := 4 + int(binary.LittleEndian.Uint32(b))
		all, b = append(all, b[4:n:n]), b[n:]
	}
	return all, nil
}

// library is a decoder of others that lays records into columns.
type library struct {
	name, encoding string
	decode         func(c *columns) func(record []byte) error
}

// corpusRecords make a turn, as in decodebench.
const corpusRecords = 1024

// libraries measures the decoders of others with the records that decodebench measures ours with, on one core.
func libraries(ctx context.Context, b *bencher, length time.Duration) (results []Decoding, err error) {
	files, err := linesOf[corpus](ctx, b.decodebench, "corpus", "-dir", b.dir, "-records", fmt.Sprint(corpusRecords))
	if err != nil {
		return nil, err
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	descriptors := map[string]protoreflect.MessageDescriptor{}
	for _, f := range files {
		if f.Descriptor != nil {
			if descriptors[f.Shape], err = resolve(f.Descriptor); err != nil {
				return nil, err
			}
		}
	}
	for _, f := range files {
		records, err := f.records()
		if err != nil {
			return nil, err
		}
		for _, lib := range allLibraries(descriptors[f.Shape]) {
			if lib.encoding != f.Encoding {
				continue
			}
			d := Decoding{Decoder: lib.name, Shape: f.Shape, Encoding: f.Encoding, Bytes: len(records[0])}
			c := newColumns(descriptors[f.Shape])
			decode := lib.decode(c)
			for range b.rounds {
				if err := d.measure(ctx, c, decode, records, length); err != nil {
					return nil, fmt.Errorf("%s of %s: %w", lib.name, f.Shape, err)
				}
			}
			d.Allocs /= float64(b.rounds)
			results = append(results, d)
		}
	}
	return results, nil
}

// measure repeats turns for a time, and checks that every record is a row.
func (d *Decoding) measure(ctx context.Context, c *columns, decode func([]byte) error, records [][]byte, length time.Duration) error {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	turns, size := 0, 0
	for _, r := range records {
		size += len(r)
	}
	began := time.Now()
	for time.Since(began) < length || turns == 0 {
		c.reset()
		for _, r := range records {
			if err := decode(r); err != nil {
				return err
			}
		}
		if turns++; ctx.Err() != nil {
			return ctx.Err()
		}
	}
	took := time.Since(began)
	runtime.ReadMemStats(&after)
	d.MB = append(d.MB, float64(turns)*float64(size)/took.Seconds()/1e6)
	d.Allocs += float64(after.Mallocs-before.Mallocs) / float64(turns*len(records))
	switch rows, err := c.rows(); {
	case err != nil:
		return err
	case rows != len(records):
		return fmt.Errorf("%d records became %d rows", len(records), rows)
	}
	return nil
}

func allLibraries(md protoreflect.MessageDescriptor) []library {
	return []library{
		{"hyperpb", "protobuf", func(c *columns) func([]byte) error { return hyper(c, md) }},
		{"protowire", "protobuf", wire},
		{"jx", "json", jxObject},
	}
}

// hyper parses with hyperpb and reads by reflection, which is the only way that it has.
func hyper(c *columns, md protoreflect.MessageDescriptor) func([]byte) error {
	t := hyperpb.CompileMessageDescriptor(md)
	fields := t.Descriptor().Fields()
	shared := new(hyperpb.Shared)
	return func(record []byte) error {
		m := shared.NewMessage(t)
		defer shared.Free()
		if err := m.Unmarshal(record); err != nil {
			return err
		}
		for i := range c.all {
			v, value := &c.all[i], m.Get(fields.Get(i))
			switch c.kinds[i] {
			case protoreflect.StringKind:
				v.text(value.String())
			case protoreflect.BytesKind:
				v.bytes(value.Bytes())
			case protoreflect.DoubleKind, protoreflect.FloatKind:
				v.floats = append(v.floats, value.Float())
			case protoreflect.BoolKind:
				v.bools = append(v.bools, value.Bool())
			default:
				v.ints = append(v.ints, value.Int())
			}
		}
		return nil
	}
}

var (
	errWire = errors.New("the record is no message of this type")
	errUTF8 = errors.New("a text is not UTF-8")
)

// wire is a loop over the fields with protobuf's own protowire, as one writes it by hand for a known kind of messages. It checks
// UTF-8, and neither ranges nor repeats.
func wire(c *columns) func([]byte) error {
	return func(b []byte) error {
		for len(b) > 0 {
			number, kind, n := protowire.ConsumeTag(b)
			if n < 0 || int(number) > len(c.all) {
				return errWire
			}
			b = b[n:]
			v, of := &c.all[number-1], c.kinds[number-1]
			switch kind {
			case protowire.VarintType:
				x, k := protowire.ConsumeVarint(b)
				if n = k; of == protoreflect.BoolKind {
					v.bools = append(v.bools, x != 0)
				} else {
					v.ints = append(v.ints, int64(x))
				}
			case protowire.Fixed64Type:
				x, k := protowire.ConsumeFixed64(b)
				n, v.floats = k, append(v.floats, math.Float64frombits(x))
			case protowire.Fixed32Type:
				x, k := protowire.ConsumeFixed32(b)
				n, v.floats = k, append(v.floats, float64(math.Float32frombits(x)))
			default:
				x, k := protowire.ConsumeBytes(b)
				if n = k; of == protoreflect.StringKind && !utf8.Valid(x) {
					return errUTF8
				}
				v.bytes(x)
			}
			if n < 0 {
				return errWire
			}
			b = b[n:]
		}
		return nil
	}
}

// jxObject reads with jx, key by key.
func jxObject(c *columns) func([]byte) error {
	var d jx.Decoder
	return func(record []byte) error {
		d.ResetBytes(record)
		return d.ObjBytes(func(d *jx.Decoder, key []byte) (err error) {
			i, known := c.names[string(key)]
			if !known {
				return fmt.Errorf("key %q is no column", key)
			}
			v := &c.all[i]
			switch c.kinds[i] {
			case protoreflect.StringKind:
				v.data, err = d.StrAppend(v.data)
				v.ends = append(v.ends, len(v.data))
			case protoreflect.BytesKind:
				v.data, err = d.Base64Append(v.data)
				v.ends = append(v.ends, len(v.data))
			case protoreflect.DoubleKind, protoreflect.FloatKind:
				var x float64
				x, err = d.Float64()
				v.floats = append(v.floats, x)
			case protoreflect.BoolKind:
				var x bool
				x, err = d.Bool()
				v.bools = append(v.bools, x)
			default:
				var x int64
				x, err = d.Int64()
				v.ints = append(v.ints, x)
			}
			return err
		})
	}
}
