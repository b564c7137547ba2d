package zerobus

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"time"

	"google.golang.org/grpc/keepalive"

	"github.com/zerobus-go/zerobus/internal/batch"
	"github.com/zerobus-go/zerobus/internal/dial"
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
	proxy     *url.URL
	direct    bool // no proxy
	proxied   bool // proxy is given, if only as nil
	shared    bool
	keepalive keepalive.ClientParameters
	hooks     []Hook
}

// validate returns what is wrong with the settings that stand for themselves.
func (s *settings) validate() error {
	switch {
	case s.keepalive.Time < 0 || s.keepalive.Timeout < 0:
		return fmt.Errorf("the keepalive of %v and %v is negative", s.keepalive.Time, s.keepalive.Timeout)
	case s.proxied && s.proxy == nil:
		return errors.New("the proxy's URL is nil; WithoutProxy is for no proxy")
	}
	for i := range len(s.userAgent) {
		if c := s.userAgent[i]; c < ' ' || c > '~' {
			return errors.New("the user agent has characters that a header cannot carry")
		}
	}
	return nil
}

// proxies returns the proxies that connections and token requests go through.
func (s *settings) proxies() (*dial.Proxies, error) {
	switch {
	case s.direct:
		return nil, nil
	case s.proxied:
		return dial.FixedProxy(s.proxy)
	}
	return dial.ProxyFromEnvironment(os.Getenv)
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

// WithProxy has connections to the server, and token requests unless [WithHTTPClient] is given, go through the HTTP proxy
// u, such as http://user:password@proxy:3128, whatever the environment says. The server is reached with CONNECT, and TLS
// goes end to end.
//
// Without an option the proxy is that of the environment, read by [New]: the first of grpc_proxy, GRPC_PROXY, https_proxy,
// HTTPS_PROXY, http_proxy and HTTP_PROXY, but not for the hosts in the first of no_grpc_proxy, NO_GRPC_PROXY, no_proxy and
// NO_PROXY, where an entry is "*", a host with all below it, an address or a block of addresses. Token requests look at
// the variables without grpc in their name, as the scheme of the workspace's URL has it. Loopback addresses are no
// exception unless the list names them.
func WithProxy(u *url.URL) Option {
	return func(s *settings) { s.proxy, s.proxied, s.direct = u, true, false }
}

// WithoutProxy has everything connect directly, whatever the environment says.
func WithoutProxy() Option {
	return func(s *settings) { s.proxy, s.proxied, s.direct = nil, false, true }
}

// WithKeepalive has HTTP/2 pings sent on a connection that was silent for interval, at least 10 s, and gives it up when
// none is answered within timeout, or 20 s when that is 0. Without it there are none: dead connections are found by the
// ack timeout. Servers may end connections that ping more often than they allow, which is every 5 minutes for many.
func WithKeepalive(interval, timeout time.Duration) Option {
	return func(s *settings) { s.keepalive = keepalive.ClientParameters{Time: interval, Timeout: timeout} }
}

// WithHooks adds observers for metrics and traces, see [Hook].
func WithHooks(hooks ...Hook) Option {
	return func(s *settings) { s.hooks = append(s.hooks, hooks...) }
}

// WithDialer replaces the TCP dialer, and with it any proxy of connections to the server. addr is host:port.
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
	// Bytes count the encoded records, their framing, and what large records leave unused of the memory that they are
	// in, so they bound the stream's memory but for one message or two. A call that is larger than a bound is admitted when
	// nothing is in flight.
	// Defaults: 50,000 and 64 MiB. Both are at least 1.
	MaxInflightRecords int
	MaxInflightBytes   int

	// MaxBatchBytes and MaxBatchRecords bound the messages into which the SDK gathers records. They delay nothing: a
	// message takes what is there. What one IngestBatch call brought is never divided. With MaxBatchRecords 1 every
	// Ingest is a message of its own.
	// Defaults: 1 MiB, at most 10 MiB - 64 KiB; and 0, which is no bound on records.
	MaxBatchBytes   int
	MaxBatchRecords int

	// BatchPause lets messages grow before they leave: after a message of several ingest calls the next one waits so
	// long, once, unless it has 16 KiB already. So under a load that does not fill the connection there are fewer and
	// larger messages, which cost both ends less. Calls that come one at a time are not delayed, but for the first one
	// within ten pauses of such a message; Flush, Close and a call that waits for room end the wait. It is short, such
	// as 50 µs, and at most 100 ms; timers make 50 µs some 100 µs to 1 ms. Default: 0, and nothing ever waits.
	BatchPause time.Duration

	// Recovery says whether the stream reconnects after a failure that may pass, and sends again what was not
	// acknowledged. The server may then have some records twice, unless there is a ProducerID. Default: true.
	Recovery bool

	// RecoveryTimeout bounds one try to connect, token request included. Default: 15 s.
	RecoveryTimeout time.Duration

	// RecoveryBackoff is the wait before the first retry. It doubles with every further failure in a row, up to 30 s, and
	// up to a quarter is added at random. A connection that had worked is replaced without a wait. Default: 2 s.
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

	// SchemaCheck compares the descriptor of protobuf records with the table's columns before the stream is created: what the
	// server would refuse is an error that lists every such field, with the reason; what it may refuse, such as a field whose
	// values may be out of the column's range, is logged as a warning. Columns that are not known are fetched, with one
	// try, see [SDK.DescribeTable]; so are those of a described table, which may have changed. Default: false.
	SchemaCheck bool

	// ProducerID names the source of the stream's records, so that a server that knows producers takes none of them twice; see
	// [WithProducerID]. Default: "", and delivery is at least once.
	ProducerID string

	// AckCallback is called for acknowledgements; see [WithAckCallback]. Default: nil.
	AckCallback func(AckInfo) `json:"-"`

	// AckHandler is called for every single offset; see [WithAckHandler]. Default: none.
	AckHandler AckHandler `json:"-"`

	// RejectHandler is given records that the server refuses; see [WithRejectHandler]. Default: nil, and a refused record
	// ends the stream.
	RejectHandler func(Rejected) `json:"-"`

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
	if err := s.faults(); err != nil {
		return newError("validate settings", "", ErrInvalidArgument, err)
	}
	return nil
}

// faults returns all that is wrong.
func (s StreamSettings) faults() error {
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
	fault(s.BatchPause < 0 || s.BatchPause > maxBatchPause, "BatchPause is %v; it is from 0 to %v", s.BatchPause, maxBatchPause)
	fault(s.RecoveryTimeout <= 0, "RecoveryTimeout is %v; a try needs some time", s.RecoveryTimeout)
	fault(s.RecoveryBackoff < 0 || s.RecoveryBackoff > maxBackoff, "RecoveryBackoff is %v; it is from 0 to %v", s.RecoveryBackoff, maxBackoff)
	fault(s.RecoveryRetries < 0, "RecoveryRetries is %d; it cannot be negative", s.RecoveryRetries)
	fault(s.FlushTimeout <= 0, "FlushTimeout is %v; a flush needs some time", s.FlushTimeout)
	fault(s.ServerAckTimeout <= 0, "ServerAckTimeout is %v; a server needs some time", s.ServerAckTimeout)
	fault(s.CallbackTimeout < 0, "CallbackTimeout is %v; it cannot be negative", s.CallbackTimeout)
	fault(!validProducerID(s.ProducerID), "ProducerID is %q; it is at most %d characters of A-Z a-z 0-9 . _ : / @ -, which servers can keep",
		s.ProducerID, maxProducerID)
	fault(s.RejectHandler != nil && !s.Recovery, "there is a RejectHandler and Recovery is off; finding a refused record takes connections")
	return errors.Join(faults...)
}

// maxBackoff is far beyond what makes sense, and far below where adding a random part overflows.
const maxBackoff = 24 * time.Hour

// maxBatchPause keeps a pause from being mistaken for a way to send now and then.
const maxBatchPause = 100 * time.Millisecond

// WithStreamSettings sets all settings at once. Options after it change single ones.
func WithStreamSettings(all StreamSettings) StreamOption {
	return func(s *StreamSettings) { *s = all }
}

// WithMaxInflightRecords bounds the records that are ingested and not acknowledged. Default: 50,000.
func WithMaxInflightRecords(n int) StreamOption {
	return func(s *StreamSettings) { s.MaxInflightRecords = n }
}

// WithMaxInflightBytes bounds the memory of what is ingested and not acknowledged; see [StreamSettings]. Default: 64 MiB.
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

// WithBatchPause lets messages grow for so long before they leave, while records come faster than one at a time; see
// [StreamSettings].BatchPause. Default: 0.
func WithBatchPause(d time.Duration) StreamOption {
	return func(s *StreamSettings) { s.BatchPause = d }
}

// WithRecovery switches recovery on or off. Default: on.
func WithRecovery(on bool) StreamOption {
	return func(s *StreamSettings) { s.Recovery = on }
}

// WithRecoveryTimeout bounds one try to connect. Default: 15 s.
func WithRecoveryTimeout(d time.Duration) StreamOption {
	return func(s *StreamSettings) { s.RecoveryTimeout = d }
}

// WithRecoveryBackoff sets the wait before the first retry, which doubles with every further failure in a row. Default: 2 s.
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

// WithSchemaCheck compares the descriptor of protobuf records with the table's columns before the stream is created; see
// [StreamSettings].SchemaCheck. Default: off.
func WithSchemaCheck(on bool) StreamOption {
	return func(s *StreamSettings) { s.SchemaCheck = on }
}

// WithProducerID names the source of the stream's records, which then arrive exactly once on a server that keeps the position
// of every producer, as zerobus serve does: whatever happens to connections, and whoever sends what the server has already.
// id is 1 to 128 characters of A-Z a-z 0-9 . _ : / @ -, such as "ingest-7:/var/log/app.log". Default: none.
//
// A producer is one ordered source of records for one table: a file, a partition of a topic, a counter. Its records are numbered
// 0, 1, 2, … over all streams that ever write as it. Records count, not calls: a batch of n takes n numbers. Each takes the next
// number when it is ingested, and keeps it when it is refused. The position of the producer is the number after the last
// durable record; so a program that starts again may meet those once more that were refused after that.
//
// A program that starts again asks for the position, with [SDK.Resume] or with [Stream.Position] of a new stream, and goes on
// with that record. Three things are up to the program: the source has the same records in the same order in each life; all
// records before the position are left out; and one stream at a time writes as the producer. A second one takes over, and the
// first fails with [ErrProducerTaken].
//
// The server forgets a producer that nothing was written for, for 7 days unless it is set otherwise: its position is 0 then, and
// a program that starts again would send everything again. A stream that is open knows its own numbers, and goes on.
//
// A server that does not know producers, as Databricks' service does not, ignores the id. The stream then works like one without
// it, logs one warning, and its Position has ExactlyOnce false.
func WithProducerID(id string) StreamOption {
	return func(s *StreamSettings) { s.ProducerID = id }
}

// WithAckCallback has f called when records become durable, and once with an error when the stream ends without the
// acknowledgement of the rest; with a reject handler also for each call that was refused. Calls come in order, one at a
// time, on a goroutine of their own; each is about all offsets that were settled since the one before, and every offset
// is in exactly one call. f may take its time, which makes its ranges larger, and may call any method. A panic in f is
// contained and logged.
func WithAckCallback(f func(AckInfo)) StreamOption {
	return func(s *StreamSettings) { s.AckCallback = f }
}

// WithAckHandler is [WithAckCallback] with a call for every offset, for those who come from other SDKs. It costs more
// than sending does at high rates. Either function may be nil.
func WithAckHandler(h AckHandler) StreamOption {
	return func(s *StreamSettings) { s.AckHandler = h }
}

// WithRejectHandler has the stream outlive records that the server refuses (INVALID_ARGUMENT or OUT_OF_RANGE). Without
// it a refused record ends the stream, as in every other SDK: what came before it is acknowledged, the rest is in
// [Stream.Unacked].
//
// With it the stream connects again and looks for the refused call: messages are sent one at a time, and one that is
// refused is halved, until a single call is left. That one is given to f, with its offset and the server's reason, and
// counts as settled: its Ack has an ErrRejected, Flush does not wait for it, Unacked does not have it. Its neighbours are
// acknowledged. What an IngestBatch call brought stays together, and is refused as a whole.
//
// A refused call costs as many connections as its message can be halved, and two more: 12 for a message of 1,000 records.
// The first 64 are made at once, more of them at a pace of ten a second.
//
// f is called like an ack callback, in order with those. Refused records keep their room in flight until f has returned.
// It needs Recovery.
func WithRejectHandler(f func(Rejected)) StreamOption {
	return func(s *StreamSettings) { s.RejectHandler = f }
}

// WithCallbackTimeout bounds how long Close waits for callbacks. Default: 5 s.
func WithCallbackTimeout(d time.Duration) StreamOption {
	return func(s *StreamSettings) { s.CallbackTimeout = d }
}
