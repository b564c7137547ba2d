package metrics

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/zerobus-go/zerobus/server/internal/admission"
	"github.com/zerobus-go/zerobus/server/internal/gateway"
	"github.com/zerobus-go/zerobus/server/internal/histogram"
	"github.com/zerobus-go/zerobus/server/internal/rest"
	"github.com/zerobus-go/zerobus/server/internal/table"
	"google.golang.org/grpc/codes"
)

// list is all metrics. docs/operations.md shows it; go test ./server/internal/metrics -update rewrites that.
var list = []Metric{
	buildInfo(),
	gauge("zerobus_ready", "1 when the server takes streams, as /readyz says.",
		func(s *snapshot) float64 { return truth(s.ready) }),

	gauge("zerobus_streams_open", "Streams that are open.",
		func(s *snapshot) float64 { return float64(s.gateway.Open) }),
	gauge("zerobus_streams_limit", "Streams that may be open, those in their handshake included.",
		func(s *snapshot) float64 { return float64(s.gateway.Limit) }),
	counter("zerobus_streams_opened_total", "Streams that were opened.",
		func(s *snapshot) float64 { return float64(s.gateway.Opened) }),
	counters("zerobus_streams_ended_total", "Streams that were opened and have ended, by gRPC status code.", "code", codeNames(),
		func(s *snapshot, i int) int64 { return s.gateway.Ended[i] }),
	counters("zerobus_streams_refused_total", "Streams that were not opened, by gRPC status code.", "code", codeNames(),
		func(s *snapshot, i int) int64 { return s.gateway.Turned[i] }),
	counters("zerobus_streams_limited_total", "Of these, streams that came when a limit was reached: of all streams, or of the principal's.", "limit", limits[:],
		func(s *snapshot, i int) int64 { return s.gateway.Limits.Refused[i] }),
	counter("zerobus_rate_wait_seconds_total", "Time that streams have waited for the rates of their principal or table, all together.",
		func(s *snapshot) float64 { return seconds(s.gateway.Limits.Held) }),

	counter("zerobus_requests_received_total", "Requests whose records fit their table.",
		func(s *snapshot) float64 { return float64(s.gateway.Requests) }),
	counter("zerobus_records_received_total", "Records in these requests, repeats included.",
		func(s *snapshot) float64 { return float64(s.gateway.Records) }),
	counter("zerobus_received_bytes_total", "Payload bytes of these requests.",
		func(s *snapshot) float64 { return float64(s.gateway.Bytes) }),
	counter("zerobus_records_durable_total", "Records that are in the log, and acknowledged if the client still listens.",
		func(s *snapshot) float64 { return float64(s.gateway.Durable) }),
	counter("zerobus_records_repeated_total", "Records of producers that were durable already and were discarded.",
		func(s *snapshot) float64 { return float64(s.gateway.Repeats) }),
	counters("zerobus_requests_refused_total", "Requests that were not taken, by reason.", "reason", refusals[:],
		func(s *snapshot, i int) int64 { return s.gateway.Refused[i] }),
	durations("zerobus_ack_duration_seconds", "Time from the receipt of a request until its records are durable and may be acknowledged.",
		func(s *snapshot) histogram.Snapshot { return s.gateway.AckTime }),

	counter("zerobus_wal_entries_total", "Entries made durable in the write-ahead log.",
		func(s *snapshot) float64 { return float64(s.log.Entries) }),
	counter("zerobus_wal_syncs_total", "Syncs of the log; entries per sync is what group commit is worth.",
		func(s *snapshot) float64 { return float64(s.log.Syncs) }),
	counter("zerobus_wal_written_bytes_total", "Bytes of these entries.",
		func(s *snapshot) float64 { return float64(s.log.Written) }),
	durations("zerobus_wal_sync_duration_seconds", "Time that a sync of the log took.",
		func(s *snapshot) histogram.Snapshot { return s.log.SyncTime }),
	gauge("zerobus_wal_size_bytes", "Size of the log on disk, spare segments included.",
		func(s *snapshot) float64 { return float64(s.log.Bytes) }),
	gauge("zerobus_wal_limit_bytes", "Bound of this size.",
		func(s *snapshot) float64 { return float64(s.log.Limit) }),
	gauge("zerobus_wal_segments", "Segments of the log that hold entries, or will next.",
		func(s *snapshot) float64 { return float64(s.log.Segments) }),
	gauge("zerobus_wal_spare_segments", "Segments that are ready for use.",
		func(s *snapshot) float64 { return float64(s.log.Spares) }),
	gauge("zerobus_wal_full", "1 while the log refuses entries for lack of room.",
		func(s *snapshot) float64 { return truth(s.log.Full) }),
	gauge("zerobus_wal_stopped", "1 when the log refuses entries after a disk error, until a restart.",
		func(s *snapshot) float64 { return truth(s.log.Stopped) }),

	gauge("zerobus_memory_used_bytes", "Memory taken by rows that are not in a table yet.",
		func(s *snapshot) float64 { return float64(s.tables.MemoryUsed) }),
	gauge("zerobus_memory_limit_bytes", "Budget for this memory; one table gets half of it at most.",
		func(s *snapshot) float64 { return float64(s.tables.MemoryLimit) }),
	gauge("zerobus_memory_waiting_requests", "Requests that wait for memory.",
		func(s *snapshot) float64 { return float64(s.tables.Waiting) }),

	gauge("zerobus_tables_open", "Tables that are open.",
		func(s *snapshot) float64 { return float64(s.tables.Open) }),
	gauge("zerobus_tables_refused", "Tables that take no rows until an operator has looked at them.",
		func(s *snapshot) float64 { return float64(s.tables.Refused) }),
	gauge("zerobus_pending_rows", "Rows that are durable in the log and not in a table yet.",
		func(s *snapshot) float64 { return float64(s.tables.Rows) }),
	gauge("zerobus_pending_age_seconds", "Age of the oldest of these rows; 0 without one.",
		func(s *snapshot) float64 { return seconds(s.tables.Oldest) }),
	counter("zerobus_commits_total", "Commits to tables.",
		func(s *snapshot) float64 { return float64(s.tables.Commits) }),
	counter("zerobus_commit_failures_total", "Tries to commit that failed.",
		func(s *snapshot) float64 { return float64(s.tables.CommitFailures) }),
	durations("zerobus_commit_duration_seconds", "Time that a commit took, from writing the data file on.",
		func(s *snapshot) histogram.Snapshot { return s.tables.CommitTime }),
	counter("zerobus_committed_rows_total", "Rows in these commits.",
		func(s *snapshot) float64 { return float64(s.tables.CommittedRows) }),
	counter("zerobus_committed_bytes_total", "Bytes of their data files.",
		func(s *snapshot) float64 { return float64(s.tables.CommittedBytes) }),
	counter("zerobus_committed_files_total", "Their data files.",
		func(s *snapshot) float64 { return float64(s.tables.CommittedFiles) }),
	counter("zerobus_compactions_total", "Groups of small files that were rewritten into one file.",
		func(s *snapshot) float64 { return float64(s.tables.Compactions) }),
	counter("zerobus_compaction_failures_total", "Compactions in the background that failed; each is tried again.",
		func(s *snapshot) float64 { return float64(s.tables.CompactionFailures) }),
	counter("zerobus_compaction_conflicts_total", "Rewrites that gave way to another writer of the same files.",
		func(s *snapshot) float64 { return float64(s.tables.CompactionConflicts) }),
	counter("zerobus_compacted_files_total", "Small files that were rewritten.",
		func(s *snapshot) float64 { return float64(s.tables.CompactedFiles) }),
	counter("zerobus_compacted_bytes_total", "Bytes of these files.",
		func(s *snapshot) float64 { return float64(s.tables.CompactedBytes) }),
	counter("zerobus_compaction_written_files_total", "Files that took their place.",
		func(s *snapshot) float64 { return float64(s.tables.CompactionFiles) }),
	counter("zerobus_compaction_written_bytes_total", "Bytes of these files.",
		func(s *snapshot) float64 { return float64(s.tables.CompactionBytes) }),
	counter("zerobus_orphans_deleted_total", "Data files without a commit that were deleted.",
		func(s *snapshot) float64 { return float64(s.tables.OrphansDeleted) }),

	gauge("zerobus_producers_known", "Producers whose position is remembered, in the open tables.",
		func(s *snapshot) float64 { return float64(s.tables.Producers) }),
	counter("zerobus_producer_takeovers_total", "Streams that took a producer over from one that was still open.",
		func(s *snapshot) float64 { return float64(s.tables.Takeovers) }),

	counters("zerobus_token_requests_total", "Token requests, by HTTP status code: 200 is a token issued, 401 a login or a privilege refused.", "code", tokenCodes(),
		func(s *snapshot, i int) int64 { return s.tokens[i] }),

	perTable("zerobus_table_pending_rows", "Rows of one table that are durable and not in the table yet.",
		func(t *table.TableStats) float64 { return float64(t.Rows) }),
	perTable("zerobus_table_pending_age_seconds", "Age of the oldest of these rows; 0 without one.",
		func(t *table.TableStats) float64 { return seconds(t.Oldest) }),
	perTable("zerobus_table_commit_interval_seconds", "Time for which rows of one table wait for their commit at present.",
		func(t *table.TableStats) float64 { return seconds(t.Interval) }),
	perTable("zerobus_table_failing", "1 while the last try to commit to the table failed, or the table is refused.",
		func(t *table.TableStats) float64 { return truth(t.Failing) }),
}

// refusals are the values of the label reason.
var refusals = [gateway.Refusals]string{
	gateway.RefusedRequest:  "request",
	gateway.RefusedRecord:   "record",
	gateway.RefusedFull:     "wal_full",
	gateway.RefusedStopped:  "wal_stopped",
	gateway.RefusedBehind:   "behind_refused",
	gateway.RefusedTable:    "table",
	gateway.RefusedProducer: "producer",
	gateway.RefusedClosing:  "shutting_down",
	gateway.RefusedOther:    "other",
}

// limits are the values of the label limit.
var limits = [admission.Limits]string{admission.LimitServer: "streams", admission.LimitPrincipal: "principal_streams"}

// codeNames are gRPC's names of its codes, as its documentation writes them.
func codeNames() []string {
	names := make([]string, gateway.Codes)
	for i := range names {
		names[i] = codes.Code(i).String()
	}
	return names
}

func tokenCodes() []string {
	names := make([]string, len(rest.TokenCodes))
	for i, code := range rest.TokenCodes {
		names[i] = strconv.Itoa(code)
	}
	return names
}

func durations(name, help string, value func(*snapshot) histogram.Snapshot) Metric {
	return Metric{
		Name: name, Type: "histogram", Help: help, desc: prometheus.NewDesc(name, help, nil, nil),
		emit: func(d *prometheus.Desc, s *snapshot, ch chan<- prometheus.Metric) {
			h := value(s)
			buckets := make(map[float64]uint64, len(h.UpTo))
			for i, n := range h.UpTo {
				buckets[seconds(histogram.Bounds[i])] = n
			}
			ch <- prometheus.MustNewConstHistogram(d, h.Count, seconds(h.Sum), buckets)
		},
	}
}
