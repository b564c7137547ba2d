package main

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
)

// Distribution is how times are spread, in milliseconds, as zerobus bench tells it.
type Distribution struct {
	P50   float64      `json:"p50"`
	P99   float64      `json:"p99"`
	Max   float64      `json:"max"`
	Curve [][2]float64 `json:"curve"` // a part of all, and the time that it does not exceed
}

// Run is what zerobus bench tells of one measurement.
type Run struct {
	RecordBytes    int          `json:"record_bytes"`
	PerSecond      float64      `json:"records_per_second"`
	MB             float64      `json:"mb_per_second"`
	Behind         float64      `json:"behind_ms"`
	Ack            Distribution `json:"ack_ms"`
	Table          Distribution `json:"table_ms"`
	Sent           int64        `json:"sent"`
	TableSeconds   float64      `json:"table_seconds"`
	TablePerSecond float64      `json:"table_records_per_second"`
	Commits        int64        `json:"commits"`
	ServerCPU      float64      `json:"server_cpu_s_per_million"`
	ClientCPU      float64      `json:"client_cpu_s_per_million"`
	LogBytes       float64      `json:"log_bytes_per_million"`
	DataBytes      float64      `json:"data_bytes_per_million"`
	Resident       float64      `json:"resident_bytes"`
	Sync           Distribution `json:"disk_sync_ms"`
	Load           string       `json:"load_average"`
}

// Case is a measurement by zerobus bench, with the runs of its rounds.
type Case struct {
	Group    string
	Shape    string
	Encoding string
	Streams  int
	Args     []string // further ones
	Runs     []Run
}

func (c Case) args() []string {
	return append([]string{"--shape", c.Shape, "--encoding", c.Encoding, "--streams", fmt.Sprint(c.Streams)}, c.Args...)
}

// Decoding is a decoder and a case: a line of decodebench decode, or of a library.
type Decoding struct {
	Decoder  string    `json:"decoder"`
	Shape    string    `json:"shape"`
	Encoding string    `json:"encoding"`
	Bytes    int       `json:"record_bytes"`
	MB       []float64 `json:"mb_s"`
	Allocs   float64   `json:"allocs"`
}

// Receiving is a line of decodebench receive.
type Receiving struct {
	Shape    string    `json:"shape"`
	Encoding string    `json:"encoding"`
	Bytes    int       `json:"record_bytes"`
	Streams  int       `json:"streams"`
	Delay    float64   `json:"delay_ms"`
	MB       []float64 `json:"mb_s"`
}

// Growth is what server/internal/commits tells, as far as it is used. Times are nanoseconds.
type Growth struct {
	Commits []int64
	Files   int
}

// ByHand is Parquet files written without a server.
type ByHand struct {
	Shape string
	Rows  []float64 // a second, of each round, each file synced
	Bytes float64   // of a million rows
}

// Queued is records through a queue into Parquet files, without a server.
type Queued struct {
	Shape       string
	Always      bool // the queue syncs before each acknowledgement; otherwise every 2 minutes
	Packed      int  // bytes of a message of many records; 0 is a message for each
	RecordBytes int
	Runs        []QueueRun
}

// QueueRun is a round of a queue. Processor seconds and bytes are those of a million records.
type QueueRun struct {
	Records        int
	AckedPerSecond float64 // until the queue has acknowledged all
	FilesPerSecond float64 // until all are in durable files
	AckP50, AckP99 float64 // of messages, in milliseconds
	QueueCPU       float64
	ClientCPU      float64 // producer and sink
	StoreBytes     float64 // of the queue's files
	FileBytes      float64
}

// Report is everything that was measured.
type Report struct {
	Commands      []string
	Date, Machine string
	Rounds        int

	Decode  []Decoding  `json:",omitempty"`
	Receive []Receiving `json:",omitempty"`
	Cases   []Case      `json:",omitempty"`
	Growth  []Growth    `json:",omitempty"` // of each round
	ByHand  []ByHand    `json:",omitempty"`
	Queued  []Queued    `json:",omitempty"`
	Flights []Flight    `json:",omitempty"` // of each load
}

// of returns the cases of a group.
func (r Report) of(group string) (all []Case) {
	for _, c := range r.Cases {
		if c.Group == group {
			all = append(all, c)
		}
	}
	return all
}

// merge puts the groups of a report in the place of those in the server.json of a directory, if there is one.
func merge(dir string, r Report) (Report, error) {
	old, err := readReport(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return r, nil
	}
	if err != nil {
		return r, err
	}
	if old.Machine != r.Machine {
		return r, fmt.Errorf("%s has results of another machine; remove them first", dir)
	}
	fresh := map[string]bool{}
	for _, c := range r.Cases {
		fresh[c.Group] = true
	}
	kept := slices.DeleteFunc(old.Cases, func(c Case) bool { return fresh[c.Group] })
	r.Cases = append(kept, r.Cases...)
	r.Commands = append(old.Commands, r.Commands...)
	r.Decode, r.Receive = either(r.Decode, old.Decode), either(r.Receive, old.Receive)
	r.Growth, r.Flights = either(r.Growth, old.Growth), either(r.Flights, old.Flights)
	r.ByHand, r.Queued = either(r.ByHand, old.ByHand), either(r.Queued, old.Queued)
	return r, nil
}

// either is the new results, or the old ones when there are none.
func either[T any](fresh, old []T) []T {
	if len(fresh) > 0 {
		return fresh
	}
	return old
}
