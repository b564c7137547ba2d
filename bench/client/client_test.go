package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/zerobus-go/zerobus/bench/client/sink"
)

// Both clients send what they say: a sink that looks into every message counts the same records.
func TestClientsSendEveryRecord(t *testing.T) {
	for _, name := range clients {
		for _, c := range []Case{
			{Form: formProto, Size: 20},
			{Form: formJSON, Size: 220, Producers: 3},
			{Form: formMessage, Size: 100, Streams: 2, Producers: 4},
			{Form: formValue, Size: 100},
			{Form: formProto, Size: 20, Batch: 7},
			{Form: formJSON, Size: 40, Batch: 100, TLS: true},
			{Form: formProto, Size: 10_000, TLS: true, Records: 10},
			{Form: formProto, Size: 220, Wait: true},
			{Form: formProto, Size: 220, Gap: time.Millisecond},
			{Form: formProto, Size: 220, Gap: 10 * time.Microsecond, AckDelay: 5 * time.Millisecond},
		} {
			c.Producers, c.Streams = max(1, c.Producers), max(1, c.Streams)
			if c.Records == 0 {
				c.Records = 1000
			}
			c.Bytes = 1 << 20
			t.Run(fmt.Sprintf("%s, %v", name, c), func(t *testing.T) {
				cfg := sink.Config{Check: true, AckDelay: c.AckDelay}
				job := Job{Case: c, Client: name, Warm: 10 * time.Millisecond, Measure: 30 * time.Millisecond}
				if c.TLS {
					server, ca, err := sink.SelfSigned()
					if err != nil {
						t.Fatal(err)
					}
					cfg.TLS, job.CA = server, string(ca)
				}
				s, err := sink.Listen("127.0.0.1:0", cfg)
				if err != nil {
					t.Fatal(err)
				}
				defer s.Close()
				job.Addr = s.Addr()

				in, err := json.Marshal(job)
				if err != nil {
					t.Fatal(err)
				}
				var out bytes.Buffer
				if err := work(bytes.NewReader(in), &out); err != nil {
					t.Fatal(err)
				}
				var r Result
				if err := json.Unmarshal(out.Bytes(), &r); err != nil {
					t.Fatal(err)
				}
				if err := s.Err(); err != nil {
					t.Error(err)
				}
				stats := s.Stats()
				if r.Records < 1 || stats.Records != r.Records+r.Warm {
					t.Errorf("%d records were sent, and %d before; %d have arrived", r.Records, r.Warm, stats.Records)
				}
				if c.Form == formProto && stats.Bytes < stats.Records*int64(c.Size) {
					t.Errorf("%d bytes for %d records of %d B", stats.Bytes, stats.Records, c.Size)
				}
				if r.Samples == 0 || r.P50 <= 0 || r.P50 > r.P99 || r.P99 > r.P999 {
					t.Errorf("latencies %v, %v, %v of %d records", r.P50, r.P99, r.P999, r.Samples)
				}
				if c.AckDelay > 0 && r.P50 < float64(c.AckDelay.Microseconds()) {
					t.Errorf("p50 is %v µs; acknowledgements take %v", r.P50, c.AckDelay)
				}
			})
		}
	}
}

func TestCasesAreDistinct(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range all() {
		name := c.Group + ": " + c.String()
		if seen[name] {
			t.Errorf("two cases are %q", name)
		}
		seen[name] = true
	}
}

func TestRecordsHaveTheirSize(t *testing.T) {
	for _, size := range []int{20, 220, 10_000} {
		for i := range 300 {
			for _, form := range []string{formProto, formJSON} {
				b := encoded(Job{Case: Case{Form: form, Size: size}}, i)
				if len(b) != size || form == formJSON && !json.Valid(b) {
					t.Fatalf("%s record %d of %d B has %d: %.40s", form, i, size, len(b), b)
				}
			}
		}
	}
}
