package dial

import (
	"context"
	"crypto/tls"
	"errors"
	"math"
	"net"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/zerobus-go/zerobus/internal/wire"
)

const (
	// writeBuffer is how much gRPC gathers before it writes to a connection with TLS, and plainWriteBuffer to one without.
	// Batches are up to 1 MiB, and a plaintext write of that size goes to the kernel as it is: 20 % more records of 10 kB
	// than with half of it. TLS gains nothing from more, and copies what it encrypts.
	writeBuffer      = 512 << 10
	plainWriteBuffer = 1 << 20

	// window is the flow-control window for what the server sends, which is acknowledgements. A fixed one also turns
	// off the pings with which gRPC would measure the connection.
	window = 1 << 20

	// maxReceive bounds one message from the server. Acknowledgements have some ten bytes.
	maxReceive = 4 << 20

	// retryDelay is the channel's wait after a failed connection, connectTimeout the time for one: see the package
	// comment.
	retryDelay     = 100 * time.Millisecond
	connectTimeout = 10 * time.Second
)

// Settings are what a user may choose about connections. The zero value is good.
type Settings struct {
	// TLS is copied. Nil means the system's root certificates. Versions below 1.2 are refused.
	TLS *tls.Config

	// UserAgent is put before gRPC's own.
	UserAgent string

	// Proxies may put an HTTP proxy between us and the server. Nil means none: the environment is not consulted here.
	// An https proxy is verified with TLS, as the server is.
	Proxies *Proxies

	// Dialer replaces the TCP dialer, and with it Proxies.
	Dialer func(ctx context.Context, addr string) (net.Conn, error)

	// Faults, unless nil, is told how TLS handshakes end.
	Faults *Faults
}

// Options returns the options of a channel to ep. The channel's default codec is [wire.Codec].
func Options(ep Endpoint, s Settings) ([]grpc.DialOption, error) {
	creds, err := transportCredentials(ep, s.TLS, s.Faults)
	if err != nil {
		return nil, err
	}
	dialer := s.Dialer
	if dialer == nil {
		dialer = s.Proxies.Dialer(dialTCP, s.TLS, s.UserAgent)
	}
	write := writeBuffer
	if ep.Plaintext {
		write = plainWriteBuffer
	}
	opts := []grpc.DialOption{
		grpc.WithTransportCredentials(creds),
		// A dialer of ours also turns off gRPC's own proxies, which know HTTPS_PROXY and NO_PROXY only and never serve
		// loopback addresses (resolver_wrapper.go in gRPC).
		grpc.WithContextDialer(s.Faults.dialer(dialer)),
		grpc.WithDisableRetry(),         // a stream is not a call that can be repeated, and its messages must not be kept twice
		grpc.WithDisableServiceConfig(), // nothing in DNS decides how we behave
		grpc.WithDisableHealthCheck(),
		grpc.WithWriteBufferSize(write), // gRPC gives it up while a connection is idle
		grpc.WithInitialWindowSize(window),
		grpc.WithInitialConnWindowSize(window),
		grpc.WithDefaultCallOptions(
			grpc.ForceCodecV2(wire.Codec()),
			grpc.MaxCallSendMsgSize(math.MaxInt32), // what a client sends is bounded at ingest
			grpc.MaxCallRecvMsgSize(maxReceive),
		),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: retryDelay, Multiplier: 1, MaxDelay: retryDelay},
			MinConnectTimeout: connectTimeout,
		}),
	}
	if s.TLS == nil || s.TLS.ServerName == "" {
		// A server name in the TLS settings is the authority; gRPC refuses a second one.
		opts = append(opts, grpc.WithAuthority(ep.authority()))
	}
	if s.UserAgent != "" {
		opts = append(opts, grpc.WithUserAgent(s.UserAgent))
	}
	return opts, nil
}

// dialTCP has the keep-alive probes of Go, every 15 s, so that a connection through NAT is not forgotten while a stream
// has nothing to say. gRPC's own dialer leaves them to the system, which sends the first after two hours.
func dialTCP(ctx context.Context, addr string) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, "tcp", addr)
}

func transportCredentials(ep Endpoint, cfg *tls.Config, faults *Faults) (credentials.TransportCredentials, error) {
	if ep.Plaintext {
		if cfg != nil {
			return nil, errors.New("TLS settings are given for an http endpoint, which is plaintext; make it https")
		}
		return insecure.NewCredentials(), nil
	}
	if cfg == nil {
		cfg = &tls.Config{}
	} else {
		cfg = cfg.Clone()
	}
	switch {
	case cfg.MinVersion == 0:
		cfg.MinVersion = tls.VersionTLS12
	case cfg.MinVersion < tls.VersionTLS12:
		return nil, errors.New("the TLS settings allow versions below 1.2; leave MinVersion empty or raise it")
	}
	if cfg.MaxVersion != 0 && cfg.MaxVersion < cfg.MinVersion {
		return nil, errors.New("the TLS settings allow no version from 1.2 on; leave MaxVersion empty or raise it")
	}
	return coalescing{credentials.NewTLS(cfg), faults}, nil
}
