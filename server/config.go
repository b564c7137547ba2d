package server

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/zerobus-go/zerobus/server/internal/gateway"
	"github.com/zerobus-go/zerobus/server/internal/localca"
	"github.com/zerobus-go/zerobus/server/internal/parquetfile"
	"github.com/zerobus-go/zerobus/server/internal/table"
)

// The values of Config.TLS beside a pair of files.
const (
	TLSOff  = "off"
	TLSAuto = "auto"
)

// The values of Config.Metrics.
const (
	MetricsOn  = "on"
	MetricsOff = "off"
)

// The values of Config.Compaction.
const (
	CompactionOn  = "on"
	CompactionOff = "off"
)

// Config is the settings of a Server. Zero values mean the defaults, which [DefaultConfig] has.
type Config struct {
	DataDir    string // required; made when it does not exist
	GRPCListen string // default 127.0.0.1:8980; port 0 takes a free one
	HTTPListen string // default 127.0.0.1:8981; likewise

	// ExternalRoots are directories below which CREATE TABLE … LOCATION may register tables that others made, or make some; the
	// server writes there. They need not be there when it starts. Default: none, and then a LOCATION is refused.
	ExternalRoots []string

	// TLS for both listeners: "off", "auto" (a certificate of an authority kept in the data directory) or "CERT,KEY" (two PEM
	// files). Default: off when both addresses are loopback, else auto.
	TLS string

	// Metrics says whether Prometheus may read /metrics: "on", the default, or "off". Whoever reaches the listener may read them.
	// They have totals only, and no names, unless MetricsTables is set.
	Metrics string

	// MetricsListen is an address of its own for /metrics, /healthz and /readyz, always without TLS; port 0 takes a free one. Then
	// the HTTP listener has no /metrics. Default: none, all three are on the HTTP listener.
	MetricsListen string

	// MetricsTables is for how many open tables the metrics have gauges, by name; with more tables, the first ones in the order of
	// their names. Default 0: for none.
	MetricsTables int64

	// StreamLifetime is the age at which a stream's client is asked to open another one, less up to a tenth at random so that
	// streams of one age do not end together. SDKs do so by themselves; a stream whose client stays is ended 10 s later. Tokens
	// and grants are checked when a stream opens: a principal whose grants were revoked writes for the rest of this time, and
	// those 10 s, at most. Default 15 min, at least 100 ms, negative: never.
	StreamLifetime time.Duration

	// ProducerRetention is how long the server remembers a producer for which nothing is written. Its client gets what it sends
	// again discarded for so long, and not after that. Default 7 days.
	ProducerRetention time.Duration

	CommitInterval time.Duration // from a durable row to its commit; default 1 s

	// CommitIntervalMax bounds that time for a table that gets few rows: fewer than 1,000, and less than 1 MiB, within it. The time
	// grows from CommitInterval on while such commits go on, and starts again after a pause as long as this. Default 10 s when
	// CommitInterval is its default; else the same as CommitInterval, which is then kept to.
	CommitIntervalMax time.Duration

	// Compression is that of data files, as far as their table does not have another one by its property
	// delta.parquet.compression.codec: zstd, the default, snappy, gzip or uncompressed.
	Compression string

	MemoryBytes int64 // budget for rows that are not committed yet; default 1 GiB, of which one table gets half at most
	LogBytes    int64 // bound of the write-ahead log on disk; default 8 GiB, at least 128 MiB
	MaxStreams  int64 // open streams at a time; default 10,000

	// Compaction says whether small files are rewritten into larger ones in the background: "on", the default, or "off". When
	// CompactionMinFiles files of a partition are smaller than CompactionSmallFile bytes, and a minute old, they are rewritten into
	// files of up to CompactionTarget bytes.
	Compaction          string
	CompactionSmallFile int64 // default 32 MiB
	CompactionTarget    int64 // default 128 MiB, at least CompactionSmallFile
	CompactionMinFiles  int64 // default 16, at least 2

	// MaxConnections is how many connections each of the two listeners may have open; further ones wait to be accepted. Default: a
	// third of the files that the process may open, at most 20,000. The last third is for log and tables.
	MaxConnections int64

	// Quotas; 0, the default, is no bound. A stream over a rate is not refused, but read more slowly; 10 MiB may come at once.
	PrincipalStreams int64 // open streams of one principal at a time
	PrincipalRate    int64 // bytes of records in a second from one principal
	TableRate        int64 // bytes of records in a second into one table

	Logger *slog.Logger // default: silent
}

// minLogBytes is two segments of the log: one that is written, and a spare one.
const minLogBytes = 128 << 20

// DefaultConfig is the defaults of all settings that have one. That of TLS depends on the addresses, that of CommitIntervalMax on
// CommitInterval.
func DefaultConfig() Config {
	return Config{
		GRPCListen:        "127.0.0.1:8980",
		HTTPListen:        "127.0.0.1:8981",
		Metrics:           MetricsOn,
		StreamLifetime:    15 * time.Minute,
		ProducerRetention: 7 * 24 * time.Hour,
		CommitInterval:    table.DefaultInterval,

		Compression:         parquetfile.DefaultCompression,
		Compaction:          CompactionOn,
		CompactionSmallFile: table.DefaultSmallFile,
		CompactionTarget:    table.DefaultTarget,
		CompactionMinFiles:  table.DefaultMinFiles,

		MemoryBytes: 1 << 30,
		LogBytes:    8 << 30,
		MaxStreams:  10_000,
	}
}

func (c Config) withDefaults() Config {
	d := DefaultConfig()
	c.GRPCListen = cmp.Or(c.GRPCListen, d.GRPCListen)
	c.HTTPListen = cmp.Or(c.HTTPListen, d.HTTPListen)
	c.Metrics = cmp.Or(c.Metrics, d.Metrics)
	c.Compression = cmp.Or(strings.ToLower(c.Compression), d.Compression)
	c.StreamLifetime = cmp.Or(c.StreamLifetime, d.StreamLifetime)
	c.ProducerRetention = cmp.Or(c.ProducerRetention, d.ProducerRetention)
	c.CommitInterval = cmp.Or(c.CommitInterval, d.CommitInterval)
	if c.CommitIntervalMax == 0 {
		c.CommitIntervalMax = c.CommitInterval
		if c.CommitInterval == d.CommitInterval {
			c.CommitIntervalMax = table.DefaultIntervalMax
		}
	}
	c.Compaction = cmp.Or(c.Compaction, d.Compaction)
	c.CompactionSmallFile = cmp.Or(c.CompactionSmallFile, d.CompactionSmallFile)
	c.CompactionTarget = cmp.Or(c.CompactionTarget, d.CompactionTarget)
	c.CompactionMinFiles = cmp.Or(c.CompactionMinFiles, d.CompactionMinFiles)
	c.MemoryBytes = cmp.Or(c.MemoryBytes, d.MemoryBytes)
	c.LogBytes = cmp.Or(c.LogBytes, d.LogBytes)
	c.MaxStreams = cmp.Or(c.MaxStreams, d.MaxStreams)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.TLS == "" {
		c.TLS = TLSAuto
		if loopback(c.GRPCListen) && loopback(c.HTTPListen) {
			c.TLS = TLSOff
		}
	}
	return c
}

// SettingError is a setting that cannot work.
type SettingError struct {
	Field string // of Config
	Msg   string // what is wrong, for people
}

// Error is Msg.
func (e *SettingError) Error() string { return e.Msg }

// Validate reports every setting that cannot work: the error joins a *SettingError for each of them.
func (c Config) Validate() error {
	c = c.withDefaults()
	var errs []error
	fault := func(field, format string, args ...any) {
		errs = append(errs, &SettingError{field, fmt.Sprintf(format, args...)})
	}
	if c.DataDir == "" {
		fault("DataDir", "the data directory is not named")
	}
	for _, root := range c.ExternalRoots {
		if rel, err := filepath.Rel(absolute(c.DataDir), absolute(root)); root == "" {
			fault("ExternalRoots", "an external root is not named")
		} else if err == nil && c.DataDir != "" && filepath.IsLocal(rel) {
			fault("ExternalRoots", "external root %q: it is in the data directory, where only the server's own tables are", root)
		}
	}
	c.checkAddresses(fault)
	if cert, key, pair := strings.Cut(c.TLS, ","); c.TLS != TLSOff && c.TLS != TLSAuto && (!pair || cert == "" || key == "") {
		fault("TLS", "TLS %q: expected off, auto or CERT,KEY", c.TLS)
	}
	if c.Metrics != MetricsOn && c.Metrics != MetricsOff {
		fault("Metrics", "metrics %q: expected on or off", c.Metrics)
	}
	if !slices.Contains(parquetfile.Compressions, c.Compression) {
		fault("Compression", "compression %q: expected one of %s", c.Compression, strings.Join(parquetfile.Compressions, ", "))
	}
	if c.Compaction != CompactionOn && c.Compaction != CompactionOff {
		fault("Compaction", "compaction %q: expected on or off", c.Compaction)
	}
	for _, n := range []struct {
		field, what string
		value       int64
	}{
		{"CommitInterval", "commit interval", int64(c.CommitInterval)},
		{"CommitIntervalMax", "longest commit interval", int64(c.CommitIntervalMax)},
		{"ProducerRetention", "producer retention", int64(c.ProducerRetention)},
		{"CompactionSmallFile", "size of a small file", c.CompactionSmallFile},
		{"CompactionTarget", "target size of compaction", c.CompactionTarget},
		{"CompactionMinFiles", "number of files of a compaction", c.CompactionMinFiles},
		{"MemoryBytes", "memory budget", c.MemoryBytes},
		{"LogBytes", "log bound", c.LogBytes},
		{"MaxStreams", "stream limit", c.MaxStreams},
		{"MaxConnections", "connection limit", c.MaxConnections},
		{"MetricsTables", "number of tables in the metrics", c.MetricsTables},
		{"PrincipalStreams", "stream limit of a principal", c.PrincipalStreams},
		{"PrincipalRate", "rate of a principal", c.PrincipalRate},
		{"TableRate", "rate of a table", c.TableRate},
	} {
		if n.value < 0 {
			fault(n.field, "the %s is negative", n.what)
		}
	}
	if c.CommitInterval > 0 && c.CommitIntervalMax > 0 && c.CommitIntervalMax < c.CommitInterval {
		fault("CommitIntervalMax", "the longest commit interval is %v, less than the commit interval of %v, from which it grows", c.CommitIntervalMax, c.CommitInterval)
	}
	if c.CompactionMinFiles == 1 {
		fault("CompactionMinFiles", "the number of files of a compaction is 1: one file alone is not rewritten")
	}
	if c.CompactionSmallFile > 0 && c.CompactionTarget > 0 && c.CompactionTarget < c.CompactionSmallFile {
		fault("CompactionTarget", "the target size of compaction is %d bytes, less than the %d from which on a file is not small: its files would be rewritten for ever",
			c.CompactionTarget, c.CompactionSmallFile)
	}
	if c.LogBytes > 0 && c.LogBytes < minLogBytes {
		fault("LogBytes", "the log bound is %d bytes, less than %d: it takes so much from the start", c.LogBytes, minLogBytes)
	}
	if c.StreamLifetime > 0 && c.StreamLifetime < gateway.MinLifetime {
		fault("StreamLifetime", "the stream lifetime is %v, less than %v: streams would spend it in their handshakes", c.StreamLifetime, gateway.MinLifetime)
	}
	return errors.Join(errs...)
}

// absolute is the path as it is where there is no working directory.
func absolute(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path
}

// checkAddresses looks for addresses that are none, and for one that is named twice.
func (c Config) checkAddresses(fault func(field, format string, args ...any)) {
	taken := map[string]string{}
	for _, a := range []struct{ field, what, addr string }{
		{"GRPCListen", "gRPC", c.GRPCListen}, {"HTTPListen", "HTTP", c.HTTPListen}, {"MetricsListen", "metrics", c.MetricsListen},
	} {
		if a.field == "MetricsListen" && a.addr == "" {
			continue
		}
		_, port, err := net.SplitHostPort(a.addr)
		switch other := taken[a.addr]; {
		case err != nil:
			fault(a.field, "%s listen address %q: expected HOST:PORT", a.what, a.addr)
		case other != "" && port != "0":
			fault(a.field, "%s listen address %q: it is the %s listen address too", a.what, a.addr, other)
		default:
			taken[a.addr] = a.what
		}
	}
}

func loopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// tlsConfig is nil without TLS; ca is the file that clients must trust, or empty.
func (c Config) tlsConfig(dir string) (cfg *tls.Config, ca string, err error) {
	switch c.TLS {
	case TLSOff:
		return nil, "", nil
	case TLSAuto:
		a, err := localca.Open(dir)
		if err != nil {
			return nil, "", err
		}
		var hosts []string
		for _, addr := range []string{c.GRPCListen, c.HTTPListen} {
			if host, _, err := net.SplitHostPort(addr); err == nil && host != "" {
				hosts = append(hosts, host)
			}
		}
		cfg, err := a.Config(hosts...)
		return cfg, a.File(), err
	}
	cert, key, _ := strings.Cut(c.TLS, ",")
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		return nil, "", fmt.Errorf("TLS certificate: %w", err)
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}}, "", nil
}
