package zerobus

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/zerobus-go/zerobus/internal/batch"
	"github.com/zerobus-go/zerobus/internal/wire"
)

// An Option sets something for all streams of an [SDK].
type Option func(*settings)

// settings are what Options fill.
type settings struct {
	tls       *tls.Config
	http      *http.Client
	log       *slog.Logger
	userAgent string
	dialer    func(ctx context.Context, addr string) (net.Conn, error)
	shared    bool
}

// WithTLSConfig sets the TLS settings of connections to the server, and of token requests unless [WithHTTPClient] is
// given; nil is the default: TLS 1.2 or later, and the system's root certificates. It is an error for an http endpoint,
// which is plaintext.
func WithTLSConfig(c *tls.Config) Option { return func(s *settings) { s.tls = c } }

// WithHTTPClient sets the client for token requests. Its redirect policy is not used: redirects are not followed.
func WithHTTPClient(c *http.Client) Option { return func(s *settings) { s.http = c } }

// WithLogger sets where the SDK logs to. Without it, or with nil, the SDK is silent. No secret and no record is logged.
func WithLogger(l *slog.Logger) Option { return func(s *settings) { s.log = l } }

// WithUserAgent puts an application's name, such as "myapp/1.2", before the SDK's own in what the server is told.
func WithUserAgent(name string) Option { return func(s *settings) { s.userAgent = name } }

// WithDialer replaces the TCP dialer, and with it the proxy of the environment. addr is host:port.
func WithDialer(dial func(ctx context.Context, addr string) (net.Conn, error)) Option {
	return func(s *settings) { s.dialer = dial }
}

// WithSharedConnection has all streams share one TCP connection. By default every stream has its own, which is faster
// for busy streams; sharing suits many quiet ones.
func WithSharedConnection() Option { return func(s *settings) { s.shared = true } }

// A StreamOption sets something for one stream.
type StreamOption func(*StreamSettings)

// StreamSettings are the settings of a stream. Options fill them; they can also be kept, printed and given as a whole
// with [WithStreamSettings].
type StreamSettings struct {
	// MaxInflightRecords and MaxInflightBytes bound what is ingested and not acknowledged: ingest calls wait for room.
	// Bytes count the encoded records and their framing. A call that is larger than a bound is admitted when nothing
	// is in flight. Memory can be up to twice the bytes, when records are large.
	// Defaults: 50,000 and 64 MiB. Both are at least 1.
	MaxInflightRecords int
	MaxInflightBytes   int

	// MaxBatchBytes and MaxBatchRecords bound the messages into which the SDK gathers records. They delay nothing: a
	// message takes what is there. What one IngestBatch call brought is never divided. With MaxBatchRecords 1 every
	// Ingest is a message of its own.
	// Defaults: 1 MiB, at most 10 MiB - 64 KiB; and 0, which is no bound on records.
	MaxBatchBytes   int
	MaxBatchRecords int

	// Recovery says whether the stream reconnects after a failure that may pass, and sends again what was not
	// acknowledged. The server may then have some records twice. Default: true.
	Recovery bool

	// RecoveryTimeout bounds one try to connect, token request included. Default: 15 s.
	RecoveryTimeout time.Duration

	// RecoveryBackoff is the wait between tries; up to a quarter is added at random. A connection that had worked is
	// replaced without a wait. Default: 2 s.
	RecoveryBackoff time.Duration

	// RecoveryRetries is how many failures in a row, without an acknowledgement in between, are followed by another
	// try. They count for the creation of a stream, too. Default: 3.
	RecoveryRetries int

	// FlushTimeout bounds Flush, and the flush in Close. Default: 300 s.
	FlushTimeout time.Duration

	// ServerAckTimeout is how long the server may acknowledge nothing of what was sent before the connection counts as
	// failed. Default: 60 s.
	ServerAckTimeout time.Duration

	// MaxPause bounds the pause after the server has announced that it will close the stream, in which acknowledgements
	// still come in and nothing is sent. The server's own time bounds it, too. Negative means the server's time alone.
	// Default: -1.
	MaxPause time.Duration

	// AckCallback is called for acknowledgements; see [WithAckCallback]. Default: nil.
	AckCallback func(AckInfo)

	// CallbackTimeout bounds how long Close waits for callbacks that are still to come. Default: 5 s.
	CallbackTimeout time.Duration
}

// DefaultStreamSettings returns the settings of a stream without options.
func DefaultStreamSettings() StreamSettings {
	return StreamSettings{
		MaxInflightRecords: 50_000,
		MaxInflightBytes:   64 << 20,
		MaxBatchBytes:      batch.ChunkSize,
		Recovery:           true,
		RecoveryTimeout:    15 * time.Second,
		RecoveryBackoff:    2 * time.Second,
		RecoveryRetries:    3,
		FlushTimeout:       300 * time.Second,
		ServerAckTimeout:   60 * time.Second,
		MaxPause:           -1,
		CallbackTimeout:    5 * time.Second,
	}
}

// Validate returns all that is wrong with the settings, as one ErrInvalidArgument, or nil.
func (s StreamSettings) Validate() error {
	var faults []error
	fault := func(bad bool, format string, args ...any) {
		if bad {
			faults = append(faults, fmt.Errorf(format, args...))
		}
	}
	fault(s.MaxInflightRecords < 1, "MaxInflightRecords is %d; with less than 1 nothing could be ingested", s.MaxInflightRecords)
	fault(s.MaxInflightBytes < 1, "MaxInflightBytes is %d; with less than 1 nothing could be ingested", s.MaxInflightBytes)
	fault(s.MaxBatchRecords < 0, "MaxBatchRecords is %d; it is 0 for no bound, or at least 1", s.MaxBatchRecords)
	fault(s.MaxBatchBytes < 1 || s.MaxBatchBytes > wire.MaxPayload,
		"MaxBatchBytes is %d; it is from 1 to %d, since servers refuse larger messages", s.MaxBatchBytes, wire.MaxPayload)
	fault(s.RecoveryTimeout <= 0, "RecoveryTimeout is %v; a try needs some time", s.RecoveryTimeout)
	fault(s.RecoveryBackoff < 0 || s.RecoveryBackoff > maxBackoff, "RecoveryBackoff is %v; it is from 0 to %v", s.RecoveryBackoff, maxBackoff)
	fault(s.RecoveryRetries < 0, "RecoveryRetries is %d; it cannot be negative", s.RecoveryRetries)
	fault(s.FlushTimeout <= 0, "FlushTimeout is %v; a flush needs some time", s.FlushTimeout)
	fault(s.ServerAckTimeout <= 0, "ServerAckTimeout is %v; a server needs some time", s.ServerAckTimeout)
	fault(s.CallbackTimeout < 0, "CallbackTimeout is %v; it cannot be negative", s.CallbackTimeout)
	if len(faults) == 0 {
		return nil
	}
	return newError("validate settings", "", ErrInvalidArgument, errors.Join(faults...))
}

// maxBackoff is far beyond what makes sense, and far below where adding a random part overflows.
const maxBackoff = 24 * time.Hour

// WithStreamSettings sets all settings at once. Options after it change single ones.
func WithStreamSettings(all StreamSettings) StreamOption {
	return func(s *StreamSettings) { *s = all }
}

// WithMaxInflightRecords bounds the records that are ingested and not acknowledged. Default: 50,000.
func WithMaxInflightRecords(n int) StreamOption {
	return func(s *StreamSettings) { s.MaxInflightRecords = n }
}

// WithMaxInflightBytes bounds the bytes that are ingested and not acknowledged. Default: 64 MiB.
func WithMaxInflightBytes(n int) StreamOption {
	return func(s *StreamSettings) { s.MaxInflightBytes = n }
}

// WithMaxBatchBytes bounds the messages into which records are gathered. Default: 1 MiB.
func WithMaxBatchBytes(n int) StreamOption {
	return func(s *StreamSettings) { s.MaxBatchBytes = n }
}

// WithMaxBatchRecords bounds the records of such a message. Default: no bound.
func WithMaxBatchRecords(n int) StreamOption {
	return func(s *StreamSettings) { s.MaxBatchRecords = n }
}

// WithRecovery switches recovery on or off. Default: on.
func WithRecovery(on bool) StreamOption {
	return func(s *StreamSettings) { s.Recovery = on }
}

// WithRecoveryTimeout bounds one try to connect. Default: 15 s.
func WithRecoveryTimeout(d time.Duration) StreamOption {
	return func(s *StreamSettings) { s.RecoveryTimeout = d }
}

// WithRecoveryBackoff sets the wait between tries. Default: 2 s.
func WithRecoveryBackoff(d time.Duration) StreamOption {
	return func(s *StreamSettings) { s.RecoveryBackoff = d }
}

// WithRecoveryRetries sets how many failures in a row are followed by another try. Default: 3.
func WithRecoveryRetries(n int) StreamOption {
	return func(s *StreamSettings) { s.RecoveryRetries = n }
}

// WithFlushTimeout bounds Flush and Close. Default: 300 s.
func WithFlushTimeout(d time.Duration) StreamOption {
	return func(s *StreamSettings) { s.FlushTimeout = d }
}

// WithServerAckTimeout sets how long the server may acknowledge nothing of what was sent. Default: 60 s.
func WithServerAckTimeout(d time.Duration) StreamOption {
	return func(s *StreamSettings) { s.ServerAckTimeout = d }
}

// WithMaxPause bounds the pause before the server closes the stream. Default: the server's own time, two minutes at most.
func WithMaxPause(d time.Duration) StreamOption {
	return func(s *StreamSettings) { s.MaxPause = d }
}

// WithAckCallback has f called when records become durable, and once with an error when the stream ends without the
// acknowledgement of the rest. Calls come in order, one at a time, on a goroutine of their own; each is about all
// offsets that were settled since the one before, and every offset is in exactly one call. f may take its time, which
// makes its ranges larger, and may call any method. A panic in f is contained and logged.
func WithAckCallback(f func(AckInfo)) StreamOption {
	return func(s *StreamSettings) { s.AckCallback = f }
}

// WithCallbackTimeout bounds how long Close waits for callbacks. Default: 5 s.
func WithCallbackTimeout(d time.Duration) StreamOption {
	return func(s *StreamSettings) { s.CallbackTimeout = d }
}
