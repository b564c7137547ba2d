package delta

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Properties of a table that its log is kept by (PROTOCOL.md and Spark's DeltaConfigs have names and defaults).
const (
	checkpointInterval   = "delta.checkpointInterval"
	expiredLogCleanup    = "delta.enableExpiredLogCleanup"
	logRetention         = "delta.logRetentionDuration"
	deletedFileRetention = "delta.deletedFileRetentionDuration"
	txnRetention         = "delta.setTransactionRetentionDuration"
	statsAsJSON          = "delta.checkpoint.writeStatsAsJson"
	statsAsStruct        = "delta.checkpoint.writeStatsAsStruct"
	autoCompact          = "delta.autoOptimize.autoCompact"
)

var retentions = map[string]time.Duration{
	logRetention:         30 * 24 * time.Hour,
	deletedFileRetention: 7 * 24 * time.Hour,
}

// property returns the value of one of the table's properties. Their names have no case.
func (s *Snapshot) property(name string) (string, bool) {
	if v, ok := s.Metadata.Configuration[name]; ok {
		return v, true
	}
	for k, v := range s.Metadata.Configuration {
		if strings.EqualFold(k, name) {
			return v, true
		}
	}
	return "", false
}

// CheckpointInterval is how many commits the table wants between checkpoints; 0 when it does not say.
func (s *Snapshot) CheckpointInterval() int64 {
	v, _ := s.property(checkpointInterval)
	n, err := strconv.ParseInt(strings.TrimSpace(v), 10, 32)
	if err != nil || n < 1 {
		return 0
	}
	return n
}

// AutoCompact tells whether the table wants its small files compacted without being asked; other is the answer of a table that does
// not say. Spark writes true, auto, legacy or false (its DeltaConfigs.AUTO_COMPACT).
func (s *Snapshot) AutoCompact(other bool) bool {
	v, _ := s.property(autoCompact)
	switch strings.ToLower(strings.TrimSpace(v)) {
	case "true", "auto", "legacy":
		return true
	case "false":
		return false
	}
	return other
}

// retention returns a property that is a time. The error is about its text.
func (s *Snapshot) retention(name string) (time.Duration, error) {
	v, ok := s.property(name)
	if !ok {
		return retentions[name], nil
	}
	d, err := parseInterval(v)
	if err != nil {
		return 0, fmt.Errorf("property %s: %w", name, err)
	}
	return d, nil
}

var units = map[string]time.Duration{
	"week": 7 * 24 * time.Hour, "day": 24 * time.Hour, "hour": time.Hour, "minute": time.Minute, "second": time.Second,
	"millisecond": time.Millisecond, "microsecond": time.Microsecond,
}

// parseInterval reads Spark's text of a time span, such as "interval 1 week 2 days". Months and years, whose length differs, are
// no retention in Spark either.
func parseInterval(text string) (time.Duration, error) {
	words := strings.Fields(strings.ToLower(text))
	if len(words) > 0 && words[0] == "interval" {
		words = words[1:]
	}
	if len(words) == 0 || len(words)%2 != 0 {
		return 0, fmt.Errorf("%q is no interval, such as interval 7 days", text)
	}
	var total time.Duration
	for i := 0; i < len(words); i += 2 {
		n, err := strconv.ParseInt(words[i], 10, 64)
		unit := units[strings.TrimSuffix(words[i+1], "s")]
		if err != nil || unit == 0 || n < 0 {
			return 0, fmt.Errorf("%q is no interval, such as interval 7 days", text)
		}
		if n > int64((math.MaxInt64-total)/unit) {
			return math.MaxInt64, nil // longer than any table is old
		}
		total += time.Duration(n) * unit
	}
	return total, nil
}
