package server

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"time"

	"github.com/zerobus-go/zerobus/server/internal/gateway"
	"github.com/zerobus-go/zerobus/server/internal/localca"
)

// The values of Config.TLS beside a pair of files.
const (
	TLSOff  = "off"
	TLSAuto = "auto"
)

// Config is the settings of a Server. Zero values mean the defaults.
type Config struct {
	DataDir    string // required; made when it does not exist
	GRPCListen string // default 127.0.0.1:8980; port 0 takes a free one
	HTTPListen string // default 127.0.0.1:8981; likewise

	// TLS for both listeners: "off", "auto" (a certificate of an authority kept in the data directory) or "CERT,KEY" (two PEM
	// files). Default: off when both addresses are loopback, else auto.
	TLS string

	// StreamLifetime is the age at which a stream's client is asked to open another one, less up to a tenth at random so that
	// streams of one age do not end together. SDKs do so by themselves; a stream whose client stays is ended 10 s later. Tokens
	// and grants are checked when a stream opens: a principal whose grants were revoked writes for the rest of this time, and
	// those 10 s, at most. Default 15 min, at least 100 ms, negative: never.
	StreamLifetime time.Duration

	// ProducerRetention is how long the server remembers a producer for which nothing is written. Its client gets what it sends
	// again discarded for so long, and not after that. Default 7 days.
	ProducerRetention time.Duration

	CommitInterval time.Duration // from a durable row to its commit; default 1 s
	MemoryBytes    int64         // budget for rows that are not committed yet; default 1 GiB
	LogBytes       int64         // bound of the write-ahead log on disk; default 8 GiB
	MaxStreams     int64         // open streams at a time; default 10,000
	Logger         *slog.Logger  // default: silent
}

func (c Config) withDefaults() Config {
	if c.GRPCListen == "" {
		c.GRPCListen = "127.0.0.1:8980"
	}
	if c.HTTPListen == "" {
		c.HTTPListen = "127.0.0.1:8981"
	}
	if c.TLS == "" {
		c.TLS = TLSAuto
		if loopback(c.GRPCListen) && loopback(c.HTTPListen) {
			c.TLS = TLSOff
		}
	}
	if c.MaxStreams == 0 {
		c.MaxStreams = 10_000
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// Validate reports every setting that cannot work.
func (c Config) Validate() error {
	c = c.withDefaults()
	var errs []error
	if c.DataDir == "" {
		errs = append(errs, errors.New("the data directory is not named"))
	}
	for _, a := range []struct{ what, addr string }{{"gRPC", c.GRPCListen}, {"HTTP", c.HTTPListen}} {
		if _, _, err := net.SplitHostPort(a.addr); err != nil {
			errs = append(errs, fmt.Errorf("%s listen address %q: expected HOST:PORT", a.what, a.addr))
		}
	}
	if _, _, pair := strings.Cut(c.TLS, ","); c.TLS != TLSOff && c.TLS != TLSAuto && !pair {
		errs = append(errs, fmt.Errorf("TLS %q: expected off, auto or CERT,KEY", c.TLS))
	}
	for _, n := range []struct {
		what  string
		value int64
	}{{"commit interval", int64(c.CommitInterval)}, {"producer retention", int64(c.ProducerRetention)}, {"memory budget", c.MemoryBytes}, {"log bound", c.LogBytes}, {"stream limit", c.MaxStreams}} {
		if n.value < 0 {
			errs = append(errs, fmt.Errorf("the %s is negative", n.what))
		}
	}
	if c.StreamLifetime > 0 && c.StreamLifetime < gateway.MinLifetime {
		errs = append(errs, fmt.Errorf("the stream lifetime is %v, less than %v: streams would spend it in their handshakes", c.StreamLifetime, gateway.MinLifetime))
	}
	return errors.Join(errs...)
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
