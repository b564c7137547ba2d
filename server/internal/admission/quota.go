package admission

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
)

// Quotas bound what one principal, or all streams to one table, may do. Zero is no bound.
type Quotas struct {
	PrincipalStreams int64 // open at a time
	PrincipalBytes   int64 // of records, in a second
	TableBytes       int64 // of records, in a second, from all principals together
}

// maxBurst is what may come at once whatever the rate: the largest request.
const maxBurst = 10 << 20

// forgetAfter is how long a rate is remembered that nobody used: by then its burst is full again.
const forgetAfter = time.Minute

// forgetAbove is how many rates there are before the old ones are looked for.
const forgetAbove = 1024

// limits counts streams and keeps the rates. The zero value is ready for use.
type limits struct {
	held atomic.Int64 // nanoseconds

	mu      sync.Mutex // guards the following
	streams map[string]int64
	rates   map[rateKey]*kept
}

// rateKey is a principal or a table.
type rateKey struct{ principal, table string }

type kept struct {
	limiter *rate.Limiter
	used    time.Time // when a stream last took it
	streams int       // that have it
}

// enter counts a stream of a principal, unless there are limit already.
func (l *limits) enter(principal string, limit int64) bool {
	if limit <= 0 {
		return true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.streams[principal] >= limit {
		return false
	}
	if l.streams == nil {
		l.streams = map[string]int64{}
	}
	l.streams[principal]++
	return true
}

func (l *limits) leave(principal string, limit int64) {
	if limit <= 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.streams[principal]--; l.streams[principal] == 0 {
		delete(l.streams, principal)
	}
}

// rate is the one of a key, made when it is not there.
func (l *limits) rate(key rateKey, perSecond int64) *kept {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if len(l.rates) > forgetAbove {
		for k, r := range l.rates {
			if r.streams == 0 && now.Sub(r.used) > forgetAfter {
				delete(l.rates, k)
			}
		}
	}
	r := l.rates[key]
	if r == nil {
		if l.rates == nil {
			l.rates = map[rateKey]*kept{}
		}
		r = &kept{limiter: rate.NewLimiter(rate.Limit(perSecond), int(max(perSecond, maxBurst)))}
		l.rates[key] = r
	}
	r.used = now
	r.streams++
	return r
}

func (l *limits) release(r *kept) {
	l.mu.Lock()
	defer l.mu.Unlock()
	r.used = time.Now()
	r.streams--
}

// Flow is the rates that a stream must keep to. The zero value is without bounds.
type Flow struct {
	limits *limits
	rates  []*kept
}

// Flow gives the rates of a stream. It is released with [Flow.Release].
func (g *Gate) Flow(principal, table string) Flow {
	f := Flow{limits: &g.limits}
	if n := g.Quotas.PrincipalBytes; n > 0 {
		f.rates = append(f.rates, g.limits.rate(rateKey{principal: principal}, n))
	}
	if n := g.Quotas.TableBytes; n > 0 {
		f.rates = append(f.rates, g.limits.rate(rateKey{table: table}, n))
	}
	return f
}

// Wait waits until so many bytes of records may be taken, or ctx ends. Denials: TooMany, when ctx would end first. Meanwhile the
// stream reads nothing, so that its client is held back by HTTP/2's flow control.
func (f *Flow) Wait(ctx context.Context, bytes int) error {
	if len(f.rates) == 0 {
		return nil
	}
	start := time.Now()
	defer func() { f.limits.held.Add(int64(time.Since(start))) }()
	for _, r := range f.rates {
		if err := r.limiter.WaitN(ctx, min(bytes, maxBurst)); err != nil {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return &Denial{Reason: TooMany, Msg: "the stream's rate does not let it send so much before its deadline: send less, or set no deadline"}
		}
	}
	return nil
}

// Release gives the rates back.
func (f *Flow) Release() {
	for _, r := range f.rates {
		f.limits.release(r)
	}
	f.rates = nil
}
