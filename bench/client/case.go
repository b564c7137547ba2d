package main

import (
	"fmt"
	"strings"
	"time"
)

// The clients.
const (
	ours     = "zerobus"
	baseLine = "baseline"
)

// The forms of records.
const (
	formProto   = "proto"   // encoded protobuf
	formJSON    = "json"    // encoded JSON
	formMessage = "message" // a proto.Message, encoded by the client's Ingest, or before the baseline's
	formValue   = "value"   // a struct for encoding/json, likewise
)

// Case is one thing to measure, without the client.
type Case struct {
	Group     string
	Size      int    // of an encoded record, in bytes
	Form      string // see the forms
	Batch     int    `json:",omitempty"` // records of one batch call; 0 for the record API
	Producers int
	Streams   int
	TLS       bool          `json:",omitempty"`
	AckDelay  time.Duration `json:",omitempty"`
	Gap       time.Duration `json:",omitempty"` // between the records of a producer; 0 for as fast as possible
	Wait      bool          `json:",omitempty"` // for the acknowledgement of every record: one is outstanding
	Records   int           // limit in flight
	Bytes     int           // limit in flight
	Pause     time.Duration `json:",omitempty"` // the SDK's batch pause
	Only      string        `json:",omitempty"` // measure this client only
	Seconds   float64       `json:",omitempty"` // instead of the general time
}

// String names the case within its group, as tables do.
func (c Case) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %d B", c.Form, c.Size)
	if c.Batch > 0 {
		fmt.Fprintf(&b, ", batches of %d", c.Batch)
	}
	if c.Producers > 1 {
		fmt.Fprintf(&b, ", %d producers", c.Producers)
	}
	if c.Streams > 1 {
		fmt.Fprintf(&b, ", %d streams", c.Streams)
	}
	if c.TLS {
		b.WriteString(", TLS")
	}
	if c.AckDelay > 0 {
		fmt.Fprintf(&b, ", acks after %v", c.AckDelay)
	}
	if c.Gap > 0 {
		fmt.Fprintf(&b, ", a record every %v", c.Gap)
	}
	if c.Wait {
		b.WriteString(", one outstanding")
	}
	if c.Records != normal.Records {
		fmt.Fprintf(&b, ", limit %s records", count(c.Records))
	}
	if c.Bytes != normal.Bytes {
		fmt.Fprintf(&b, ", limit %d MiB", c.Bytes>>20)
	}
	if c.Pause > 0 {
		fmt.Fprintf(&b, ", pause %v", c.Pause)
	}
	return b.String()
}

// clients returns who is measured.
func (c Case) clients() []string {
	if c.Only != "" {
		return []string{c.Only}
	}
	return []string{ours, baseLine}
}

var sizes = []int{20, 220, 750, 10_000}

// normal is what a case has that says nothing else: one producer of encoded protobuf records, and limits that are not
// what is measured.
var normal = Case{Form: formProto, Size: 220, Producers: 1, Streams: 1, Records: 1_000_000, Bytes: 256 << 20}

// quick are the cases of -quick.
func quick() (cases []Case) {
	for _, size := range sizes {
		c := normal
		c.Group, c.Size = "plaintext", size
		cases = append(cases, c)
	}
	return cases
}

// all are the cases of a full run.
func all() (cases []Case) {
	group := ""
	add := func(change func(*Case)) {
		c := normal
		c.Group = group
		change(&c)
		cases = append(cases, c)
	}

	group = "plaintext"
	for _, size := range sizes {
		add(func(c *Case) { c.Size = size })
	}
	group = "tls"
	for _, size := range sizes {
		add(func(c *Case) { c.Size, c.TLS = size, true })
	}
	group = "json"
	for _, size := range sizes {
		add(func(c *Case) { c.Size, c.Form = size, formJSON })
	}
	group = "defaults"
	for _, size := range sizes {
		add(func(c *Case) { c.Size, c.Records, c.Bytes = size, 50_000, 64<<20 })
	}
	group = "typed"
	for _, form := range []string{formMessage, formValue} {
		for _, producers := range []int{1, 16} {
			add(func(c *Case) { c.Form, c.Producers = form, producers })
		}
	}
	group = "producers"
	for _, size := range sizes {
		for _, producers := range []int{1, 4, 16} {
			add(func(c *Case) { c.Size, c.Producers = size, producers })
		}
	}
	group = "batches"
	for _, size := range []int{20, 220} {
		for _, batch := range []int{0, 10, 100, 1000} {
			add(func(c *Case) { c.Size, c.Batch = size, batch })
		}
	}
	group = "latency"
	for _, tls := range []bool{false, true} {
		add(func(c *Case) { c.Wait, c.TLS, c.Seconds = true, tls, 2 })
	}
	for _, tls := range []bool{false, true} {
		add(func(c *Case) { c.Gap, c.TLS = 2*time.Millisecond, tls })
	}
	group = "paced"
	for _, gap := range []time.Duration{300, 1000, 3000} {
		add(func(c *Case) { c.Gap = gap })
		add(func(c *Case) { c.Gap, c.Pause, c.Only = gap, 50*time.Microsecond, ours })
	}
	group = "acks"
	for _, delay := range []time.Duration{20 * time.Millisecond, 150 * time.Millisecond} {
		for _, limit := range []int{50_000, 1_000_000, 10_000_000} {
			add(func(c *Case) { c.AckDelay, c.Records, c.Seconds = delay, limit, 5 })
		}
	}
	group = "streams"
	for _, size := range []int{20, 750} {
		for _, streams := range []int{1, 2, 4, 8} {
			add(func(c *Case) { c.Size, c.Streams, c.Producers, c.Bytes = size, streams, streams, 32<<20 })
		}
	}
	group = "memory"
	for _, size := range sizes {
		for _, limit := range []int{64 << 20, 256 << 20} {
			add(func(c *Case) {
				c.Size, c.AckDelay, c.Bytes, c.Records, c.Only = size, 150*time.Millisecond, limit, 100_000_000, ours
			})
		}
	}
	for _, size := range []int{300_000, 600_000, 1_500_000} { // of which few fit into a chunk of the arena, or none
		add(func(c *Case) { c.Size, c.AckDelay, c.Bytes, c.Only = size, 150*time.Millisecond, 64<<20, ours })
	}
	return cases
}

// count writes a number for people.
func count(n int) string {
	switch {
	case n >= 1_000_000 && n%1_000_000 == 0:
		return fmt.Sprintf("%d M", n/1_000_000)
	case n >= 1_000 && n%1_000 == 0:
		return fmt.Sprintf("%d k", n/1_000)
	}
	return fmt.Sprint(n)
}
