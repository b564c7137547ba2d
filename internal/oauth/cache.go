package oauth

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/pprof"
	"sync"
	"time"

	"github.com/zerobus-go/zerobus/internal/rest"
)

const (
	// maxTokens bounds the tokens that a Cache keeps. At 3 kB each they take 3 MB.
	maxTokens = 1000

	// A token is renewed when it has refreshMargin left, so that the endpoint may be away for some minutes and nobody
	// notices; but only in the last part of refreshShare, or one that lives for minutes would be renewed all the time.
	refreshMargin = 5 * time.Minute
	refreshShare  = 5 // the last fifth: the rule for lifetimes under 25 minutes

	// refreshPause is for how long the old token is served without another try to renew it, after one that failed. An
	// endpoint that hangs costs time at one connection, and not at each.
	refreshPause = 30 * time.Second
)

// A Cache keeps access tokens while they are valid, and shares requests for the same one. The zero value is ready; it
// must not be copied. Its methods may be called concurrently.
//
// A token is for one [Config]: for its workspace, table, client id, client secret and HTTP client. Principals never
// share one, nor do two secrets of one principal. The cache keeps a hash of the secret, not the secret.
//
// A token's lifetime counts from before its request was sent, on the monotonic clock. That clock may stand still while
// the machine sleeps; the server refuses the token then, and [Grant.Reject] is the remedy. At most 1,000 tokens are
// kept: for one more, the expired ones go, and if there are none, the one that expires first.
//
// Invariants:
//   - There is at most one flight of a key in flights, and only that one stores the key's token. Tokens and flights are
//     two maps so that making room for a token cannot drop a flight, and with it the promise of one request.
//   - A flight is in flights while its request runs and somebody waits for it. Each has waiters, so there is no other bound
//     on them than the callers' number.
//   - mu is held for map operations only: nothing blocks and no user's code runs under it.
type Cache struct {
	mu sync.Mutex
	// mu guards the following, and what is said to be guarded in lease and flight.
	tokens  map[key]*lease
	flights map[key]*flight
}

// key is everything that makes the answer differ.
type key struct {
	endpoint    string
	workspaceID string
	table       string
	clientID    string
	secret      [sha256.Size]byte // a hash: the secret itself is kept by nobody but its request
	client      *http.Client
}

func (c Config) key(endpoint string) key {
	return key{endpoint, c.WorkspaceID, c.Table, c.ClientID, sha256.Sum256([]byte(c.ClientSecret)), c.Client}
}

// lease is one token that a workspace gave: a generation of its key. All grants of it point to it.
type lease struct {
	cache    *Cache
	key      key
	access   func() string // returns the token; package fmt looks through pointers, for %s, but not into a func
	sent     time.Time     // before the request was
	lifetime time.Duration

	// Guarded by cache.mu.
	quiet    time.Duration // the age from which on Get tries to renew it
	rejected bool
}

// left is how much longer the token is valid. Ages are subtracted and never added to a time: the longest lifetime would
// overflow the monotonic clock.
func (l *lease) left(now time.Time) time.Duration { return l.lifetime - now.Sub(l.sent) }

// usable reports whether the token may be given out. The caller holds the cache's mu.
func (l *lease) usable(now time.Time) bool { return l != nil && !l.rejected && l.left(now) > 0 }

// postpone makes the next try to renew wait. The caller holds the cache's mu.
func (l *lease) postpone(now time.Time) { l.quiet = now.Sub(l.sent) + refreshPause }

// flight is one request under way. Its goroutine ends with the request, and the request when nobody waits for it.
type flight struct {
	waiters int           // guarded by Cache.mu
	cancel  func()        // ends the request
	landed  chan struct{} // closed after the following are set, which do not change then
	lease   *lease        // nil after a failure
	err     error
}

// Get returns a token for cfg: one that is kept, or one that is requested with [Fetch] now. Concurrent calls for the same
// token share a request. It goes on while any of them waits, whichever of them began it; the values of that one's ctx
// are the request's. It is not repeated: if it fails, all of these calls fail with its error, and the next call makes
// another one. A token that has no lifetime is for the calls that shared its request, and is not kept.
//
// From 5 minutes before its end on, and for a lifetime of less than 25 minutes in its last fifth, a kept token is renewed.
// As long as it is valid, that cannot make Get fail: when the request fails, the old token is given, and for 30 seconds no
// other try is made. This is so after failures of every kind: also when the workspace refuses the principal now, it is up
// to the server whether the token that it gave before is still good. And when ctx has a deadline, the request gets no more
// than half of the time until it, unless the old token does not last that long.
//
// Get waits no longer than ctx, and like [Fetch] not longer than [DefaultTimeout] for a request. Errors are of type
// [*Error]; when ctx ends, a retriable one that wraps its cause. A token that is there is given without a look at ctx.
func (c *Cache) Get(ctx context.Context, cfg Config) (Grant, error) {
	endpoint, err := TokenURL(cfg.WorkspaceURL)
	if err != nil {
		return Grant{}, &Error{Op: op, Err: err}
	}
	k := cfg.key(endpoint)
	now, ended := time.Now(), ctx.Err() != nil
	deadline, bounded := ctx.Deadline()

	c.mu.Lock()
	old := c.tokens[k]
	if !old.usable(now) {
		old = nil
	} else if ended || now.Sub(old.sent) < old.quiet {
		c.mu.Unlock()
		return Grant{lease: old}, nil
	}
	if ended {
		c.mu.Unlock()
		return Grant{}, waitError(ctx, endpoint)
	}
	f := c.flights[k]
	mine := f == nil
	if mine {
		f = c.start(ctx, k, cfg)
	}
	f.waiters++
	c.mu.Unlock()
	defer c.leave(k, f)

	var patience <-chan time.Time
	if old != nil && bounded {
		t := time.NewTimer(deadline.Sub(now) / 2)
		defer t.Stop()
		patience = t.C
	}
	for {
		select {
		case <-f.landed:
			if f.lease != nil {
				return Grant{lease: f.lease, minted: mine}, nil
			}
			err = f.err
		case <-patience:
			// If the old token has expired or was rejected since, there is nothing to give, and the wait goes on.
			if !c.giveUp(old) {
				continue
			}
		case <-ctx.Done():
			err = waitError(ctx, endpoint)
		}
		if c.usable(old) {
			return Grant{lease: old}, nil
		}
		if err != nil {
			return Grant{}, err
		}
	}
}

// waitError is what [Fetch] returns when ctx ends. The cause is the caller's, so unlike the request's own error it is
// not asked whether it is one of the network.
func waitError(ctx context.Context, endpoint string) *Error {
	return &Error{Op: op, Retriable: true, Err: fmt.Errorf("post to %s: %w", endpoint, context.Cause(ctx))}
}

func (c *Cache) usable(l *lease) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return l.usable(time.Now())
}

// giveUp reports whether l will do instead of a newer token. If so, nobody else tries to renew it for a while.
func (c *Cache) giveUp(l *lease) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	if !l.usable(now) {
		return false
	}
	l.postpone(now)
	return true
}

// start begins the request for k. The caller holds mu and becomes a waiter before letting go of it.
//
// The goroutine and the channel are made here, and none is kept: in a test's bubble they belong to the bubble.
func (c *Cache) start(ctx context.Context, k key, cfg Config) *flight {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	f := &flight{cancel: cancel, landed: make(chan struct{})}
	if c.flights == nil {
		c.flights, c.tokens = map[key]*flight{}, map[key]*lease{}
	}
	c.flights[k] = f
	go pprof.Do(ctx, pprof.Labels("zerobus", "token request", "table", cfg.Table), func(ctx context.Context) {
		defer cancel()
		c.fly(ctx, k, f, cfg)
	})
	return f
}

// fly makes the request. It lands whatever happens: this is not the goroutine of a caller, who could catch the panic of
// a transport of his, and a transport may also end the goroutine, as a test's Fatal does.
func (c *Cache) fly(ctx context.Context, k key, f *flight, cfg Config) {
	sent := time.Now()
	var token Token
	err := error(&Error{Op: op, Err: errors.New("the HTTP client ended the request's goroutine")})
	defer func() {
		if p := recover(); p != nil {
			err = &Error{Op: op, Err: errors.New("the HTTP client panicked: " + rest.Clean(fmt.Sprint(p), cfg.secrets()...))}
		}
		c.land(k, f, sent, token, err)
	}()
	token, err = Fetch(ctx, cfg)
}

// land ends the flight. One that all have left changes nothing: another may have begun since.
func (c *Cache) land(k key, f *flight, sent time.Time, token Token, err error) {
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil {
		access := func() string { return token.Access }
		f.lease = &lease{cache: c, key: k, access: access, sent: sent, lifetime: token.ExpiresIn}
		f.lease.quiet = token.ExpiresIn - min(refreshMargin, token.ExpiresIn/refreshShare)
	}
	f.err = err
	if c.flights[k] == f {
		delete(c.flights, k)
		if f.lease.usable(now) {
			c.keep(f.lease, now)
		} else if old := c.tokens[k]; err != nil && old != nil {
			old.postpone(now)
		}
	}
	close(f.landed)
}

// keep stores a token, if need be in the place of another one. The caller holds mu.
func (c *Cache) keep(l *lease, now time.Time) {
	if c.tokens[l.key] == nil && len(c.tokens) >= maxTokens {
		var first *lease
		for k, other := range c.tokens {
			if !other.usable(now) {
				delete(c.tokens, k)
			} else if first == nil || other.left(now) < first.left(now) {
				first = other
			}
		}
		if len(c.tokens) >= maxTokens {
			delete(c.tokens, first.key)
		}
	}
	c.tokens[l.key] = l
}

// leave ends a caller's wait. The last one to leave before the request has ended cancels it, and makes way for the next.
func (c *Cache) leave(k key, f *flight) {
	c.mu.Lock()
	f.waiters--
	abandoned := f.waiters == 0 && c.flights[k] == f
	if abandoned {
		delete(c.flights, k)
	}
	c.mu.Unlock()
	if abandoned {
		f.cancel()
	}
}

// String tells the number of tokens only.
func (c *Cache) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return fmt.Sprintf("%d tokens (hidden)", len(c.tokens))
}

// Format tells what String tells, whatever the verb. It takes the lock, which package fmt would not.
func (c *Cache) Format(f fmt.State, _ rune) { fmt.Fprint(f, c.String()) }

// LogValue tells what String tells.
func (c *Cache) LogValue() slog.Value { return slog.StringValue(c.String()) }

// A Grant is a token that [Cache.Get] gave to one caller. It prints without the token itself, also as an unexported field
// of what is printed. The zero Grant has none.
type Grant struct {
	lease  *lease
	minted bool
}

// Access returns the bearer token. It is printable ASCII, so fit for a header.
func (g Grant) Access() string {
	if g.lease == nil {
		return ""
	}
	return g.lease.access()
}

// Minted reports whether the token was requested for this very call, and taken neither from the cache nor from a request
// that another caller began. If the server refuses such a token, asking for another one is no help.
func (g Grant) Minted() bool { return g.minted }

// Reject says that the server refused the token: no call of [Cache.Get] that begins later gives it. A newer token, also one
// that is being requested, stays: only the one that was refused goes, however late and by however many that is said.
func (g Grant) Reject() {
	l := g.lease
	if l == nil {
		return
	}
	l.cache.mu.Lock()
	defer l.cache.mu.Unlock()
	l.rejected = true
	if l.cache.tokens[l.key] == l {
		delete(l.cache.tokens, l.key)
	}
}

// String tells everything but the token.
func (g Grant) String() string {
	if g.lease == nil {
		return "no token"
	}
	text := Token{ExpiresIn: g.lease.lifetime}.String() + " from its request"
	if !g.minted {
		text += ", shared"
	}
	return text
}

// GoString tells what String tells.
func (g Grant) GoString() string { return g.String() }

// Format tells what String tells, whatever the verb.
func (g Grant) Format(f fmt.State, _ rune) { fmt.Fprint(f, g.String()) }

// LogValue tells what String tells.
func (g Grant) LogValue() slog.Value { return slog.StringValue(g.String()) }
