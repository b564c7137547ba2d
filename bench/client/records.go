package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/zerobus-go/zerobus/examples/airquality"
)

// spread is the memory of a producer's records together: they are distinct, and in the processor's caches.
const spread = 256 << 10

// turn is one producer's records, which it sends over and over.
type turn[T any] struct {
	records []T
	next    int
	_       [64]byte // a producer's position is not its neighbour's
}

func newTurns[T any](job Job, record func(i int) T) []turn[T] {
	turns := make([]turn[T], job.Producers)
	for p := range turns {
		for i := range max(8, min(4096, spread/job.Size)) {
			turns[p].records = append(turns[p].records, record(i))
		}
	}
	return turns
}

// take returns the next record.
func (t *turn[T]) take() T {
	r := t.records[t.next]
	if t.next++; t.next == len(t.records) {
		t.next = 0
	}
	return r
}

// reading is a record for encoding/json.
type reading struct {
	Device   string `json:"device_name"`
	Temp     int32  `json:"temp"`
	Humidity int64  `json:"humidity"`
}

// fill makes a record of size bytes out of one that has its text grown until it fits.
func fill[T any](size int, with func(text string) T, encode func(T) []byte) T {
	for n := size; n >= 0; n-- {
		v := with(strings.Repeat("x", n))
		if len(encode(v)) <= size {
			return v
		}
	}
	return with("")
}

func newReading(size, i int) *reading {
	with := func(text string) *reading { return &reading{text, int32(i % 50), int64(i % 100)} }
	return fill(size, with, func(r *reading) []byte { return must(json.Marshal(r)) })
}

func newMessage(size, i int) *airquality.AirQuality {
	with := func(text string) *airquality.AirQuality {
		return &airquality.AirQuality{
			DeviceName: &text, Temp: proto.Int32(int32(i % 50)), Humidity: proto.Int64(int64(i % 100)),
		}
	}
	return fill(size, with, func(m *airquality.AirQuality) []byte { return must(proto.Marshal(m)) })
}

// encoded returns a record of size bytes, as bytes. The content of the small ones is not an airquality record: no sink
// looks at it.
func encoded(job Job, i int) []byte {
	if job.Form == formJSON {
		number := fmt.Sprint(i % 1000)
		text := fmt.Sprintf(`{"v":%s,"t":""}`, number)
		return []byte(fmt.Sprintf(`{"v":%s,"t":"%s"}`, number, strings.Repeat("x", max(0, job.Size-len(text)))))
	}
	return bytes.Repeat([]byte{byte(i)}, job.Size)
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err) // of our own record
	}
	return v
}
