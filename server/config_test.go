package server

import (
	"strings"
	"testing"
	"time"
)

// An interval that was set is kept to, unless the longest one was set, too.
func TestConfig_CommitIntervalMax(t *testing.T) {
	for _, c := range []struct{ interval, longest, want time.Duration }{
		{0, 0, 10 * time.Second},
		{time.Second, 0, 10 * time.Second}, // the default, said aloud
		{200 * time.Millisecond, 0, 200 * time.Millisecond},
		{time.Minute, 0, time.Minute},
		{200 * time.Millisecond, 5 * time.Second, 5 * time.Second},
		{0, time.Second, time.Second},
	} {
		got := Config{CommitInterval: c.interval, CommitIntervalMax: c.longest}.withDefaults()
		if got.CommitIntervalMax != c.want {
			t.Errorf("interval %v, longest %v: %v, want %v", c.interval, c.longest, got.CommitIntervalMax, c.want)
		}
		if err := (Config{DataDir: "d", CommitInterval: c.interval, CommitIntervalMax: c.longest}).Validate(); err != nil {
			t.Errorf("interval %v, longest %v: %v", c.interval, c.longest, err)
		}
	}
	for want, c := range map[string]Config{
		"the longest commit interval is 1s, less than the commit interval of 2s": {DataDir: "d", CommitInterval: 2 * time.Second, CommitIntervalMax: time.Second},
		"the longest commit interval is negative":                                {DataDir: "d", CommitIntervalMax: -1},
	} {
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
