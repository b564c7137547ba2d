package dial

import (
	"context"
	"net"
	"sync"
)

// Faults remembers why the TLS handshake with the server failed. gRPC makes a text of that, and some reasons will be met
// by every other try: the server's certificate is refused ([tls.CertificateVerificationError]), or it speaks no TLS
// ([tls.RecordHeaderError]). The zero value is ready, and may be used by any number of goroutines.
//
// It belongs to the options that it was given to, and to all channels made with them.
type Faults struct {
	mu   sync.Mutex
	last error // guarded by mu
}

// Last returns the error of the last attempt to connect, when that came as far as the handshake and failed in it. It is
// nil after a handshake that succeeded, and after an attempt that found no server, or none behind a proxy. Attempts go
// on in the background, so this may be about a later one than the one that a call's error is about.
func (f *Faults) Last() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.last
}

// record takes the result of a handshake. f may be nil.
func (f *Faults) record(err error) {
	if f == nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.last = err
}

// dialer returns next, such that a failure before the handshake takes the place of an older one in it. A connection does
// not: until its handshake has ended, nothing is known that is not in the older one.
func (f *Faults) dialer(next dialFunc) dialFunc {
	if f == nil {
		return next
	}
	return func(ctx context.Context, addr string) (net.Conn, error) {
		conn, err := next(ctx, addr)
		if err != nil {
			f.record(nil)
		}
		return conn, err
	}
}
