package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/pflag"
	"github.com/zerobus-go/zerobus/server"
	"github.com/zerobus-go/zerobus/server/internal/datadir"
)

// settings is everything that can be set about zerobus serve, by flags and in its configuration file.
type settings struct {
	server.Config
	LogLevel  string // debug, info, warn or error
	LogFormat string // text or json
}

// defaultSettings are the settings without flags and without a file.
func defaultSettings() *settings {
	s := &settings{Config: server.DefaultConfig(), LogLevel: "info", LogFormat: "text"}
	s.DataDir = "./" + datadir.Default
	return s
}

// setting is one of the settings. Its flag is the key with dashes.
type setting struct {
	key   string
	field string // of server.Config or settings
	doc   string // sentences; the first one is the flag's help
	value pflag.Value
}

func (s setting) flag() string { return strings.ReplaceAll(s.key, "_", "-") }

// usage is the first sentence, as the help of a flag is written.
func (s setting) usage() string {
	first, _, _ := strings.Cut(strings.TrimSuffix(s.doc, "."), ". ")
	return strings.ToLower(first[:1]) + first[1:]
}

// list is all settings, in the order in which they are printed. This is the one place that knows them: flags, file,
// --print-config and the table in docs/operations.md are made of it.
func (s *settings) list() []setting {
	return []setting{
		{"data", "DataDir", "Data directory. " +
			"It has log, tables, catalog and keys, and is made when it does not exist. A relative path begins at the working directory.", textValue(&s.DataDir, "path")},
		{"external_root", "ExternalRoots", "Directory below which LOCATION may register tables that others made; again for more (default: none). " +
			"The server reads and writes there. In the file several are a list.", listValue(&s.ExternalRoots, "path")},
		{"grpc_listen", "GRPCListen", "Address for streams. " +
			"Port 0 takes a free one.", textValue(&s.GRPCListen, "host:port")},
		{"http_listen", "HTTPListen", "Address for tokens, table metadata, administration, probes and metrics. " +
			"Port 0 takes a free one.", textValue(&s.HTTPListen, "host:port")},
		{"tls", "TLS", "Off, auto or CERT,KEY (default: off on loopback, else auto). " +
			"With auto the server has a certificate of its own authority, which is in the data directory; CERT and KEY are PEM files.", textValue(&s.TLS, "mode")},
		{"metrics", "Metrics", "Whether Prometheus may read /metrics: on or off. " +
			"Whoever reaches the listener may read them.", toggleValue(&s.Metrics)},
		{"metrics_listen", "MetricsListen", "Address of its own for /metrics, /healthz and /readyz, without TLS (default: the HTTP listener has them). " +
			"Then the HTTP listener has no /metrics.", textValue(&s.MetricsListen, "host:port")},
		{"metrics_tables", "MetricsTables", "Number of open tables that have metrics of their own. " +
			"They show the tables' names to whoever may read metrics. With more tables, the first ones by name have them.", numberValue(&s.MetricsTables, 0)},
		{"commit_interval", "CommitInterval", "Time from a durable row to its commit. " +
			"A shorter one makes more and smaller files.", durationValue(&s.CommitInterval, false)},
		{"commit_interval_max", "CommitIntervalMax", "Up to which commit_interval grows for a table that gets few rows (default: 10s if that is 1s, else the same as that). " +
			"Few are fewer than 1,000 and less than 1MiB in a commit. After a pause as long as this the first row waits for commit_interval again.", dependentDuration(&s.CommitIntervalMax)},
		{"compression", "Compression", "Compression of data files: zstd, snappy, gzip or uncompressed. " +
			"A table's property delta.parquet.compression.codec goes before it.", textValue(&s.Compression, "codec")},
		{"compaction", "Compaction", "Whether small files are rewritten into larger ones: on or off. " +
			"It is done in the background, one table at a time, and gives way to other writers.", toggleValue(&s.Compaction)},
		{"compaction_small_file", "CompactionSmallFile", "Size below which a file is small.", sizeValue(&s.CompactionSmallFile)},
		{"compaction_target", "CompactionTarget", "Size up to which files are rewritten into one.", sizeValue(&s.CompactionTarget)},
		{"compaction_min_files", "CompactionMinFiles", "Number of small files of a partition that are rewritten at least. " +
			"Files wait a minute before it. One that is larger than others is rewritten with them only when they come to four times its size.", numberValue(&s.CompactionMinFiles, 2)},
		{"memory_limit", "MemoryBytes", "Memory for rows that are not in a table yet. " +
			"One table gets half of it at most. Requests for which there is none wait, and their clients with them.", sizeValue(&s.MemoryBytes)},
		{"wal_limit", "LogBytes", "Bound of the write-ahead log on disk. " +
			"It takes 128MiB from the start, and more only while tables cannot be committed.", sizeValue(&s.LogBytes)},
		{"max_streams", "MaxStreams", "Streams that may be open at a time.", numberValue(&s.MaxStreams, 1)},
		{"max_connections", "MaxConnections", "Connections that each listener may have open; 0: a third of the files that the process may open, at most 20000. " +
			"Further ones wait to be accepted.", numberValue(&s.MaxConnections, 0)},
		{"principal_streams", "PrincipalStreams", "Streams that one principal may have open at a time; 0: as many as there may be.", numberValue(&s.PrincipalStreams, 0)},
		{"principal_rate", "PrincipalRate", "Bytes of records that one principal may send in a second, or unlimited. " +
			"Its streams are not refused beyond that, but read more slowly; 10MiB may come at once.", rateValue(&s.PrincipalRate)},
		{"table_rate", "TableRate", "Bytes of records that may be sent to one table in a second, or unlimited. " +
			"Likewise.", rateValue(&s.TableRate)},
		{"stream_lifetime", "StreamLifetime", "Age at which a client is asked to open another stream, or never. " +
			"A principal whose grants were revoked writes for so long at most, and never longer than its token, an hour.", durationValue(&s.StreamLifetime, true)},
		{"producer_retention", "ProducerRetention", "How long an idle producer's position is kept. " +
			"What it sends again is discarded for so long, and not after that.", durationValue(&s.ProducerRetention, false)},
		{"log_level", "LogLevel", "Least level of log lines: debug, info, warn or error.", textValue(&s.LogLevel, "level")},
		{"log_format", "LogFormat", "Form of log lines: text or json.", textValue(&s.LogFormat, "format")},
	}
}

// fault is what is wrong with a setting.
type fault struct {
	line int    // of the file; 0: not of the file
	key  string // may be empty
	msg  string
}

// validate reports all settings that cannot work.
func (s *settings) validate() (faults []fault) {
	keys := map[string]string{}
	for _, one := range s.list() {
		keys[one.field] = one.key
	}
	if err := s.Validate(); err != nil {
		all := []error{err}
		if joined, ok := err.(interface{ Unwrap() []error }); ok {
			all = joined.Unwrap()
		}
		for _, err := range all {
			var key string
			if wrong, ok := errors.AsType[*server.SettingError](err); ok {
				key = keys[wrong.Field]
			}
			faults = append(faults, fault{key: key, msg: err.Error()})
		}
	}
	if _, err := logLevel(s.LogLevel); err != nil {
		faults = append(faults, fault{key: "log_level", msg: err.Error()})
	}
	if f := strings.ToLower(s.LogFormat); f != "text" && f != "json" {
		faults = append(faults, fault{key: "log_format", msg: fmt.Sprintf("log format %q: expected text or json", s.LogFormat)})
	}
	return faults
}
