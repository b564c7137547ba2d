package oauth

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// workspace is a token endpoint without a network. Its n-th request, from 1 on, gets the n-th token, see access.
type workspace struct {
	lifetime time.Duration // of the tokens; 0 for an answer that does not say
	delay    time.Duration // of the answer
	status   int           // of the answer; 0 for a token
	broken   error         // instead of an answer
	hook     func(n int)
	client   *http.Client // of its config

	calls     atomic.Int32
	cancelled atomic.Int32 // calls whose context ended before the answer
}

func access(n int) string { return fmt.Sprintf("%s-%d", token, n) }

func (w *workspace) RoundTrip(r *http.Request) (*http.Response, error) {
	n := int(w.calls.Add(1))
	lifetime, status, broken := w.lifetime, w.status, w.broken
	if w.hook != nil {
		w.hook(n)
	}
	if w.delay > 0 {
		t := time.NewTimer(w.delay)
		defer t.Stop()
		select {
		case <-t.C:
		case <-r.Context().Done():
			w.cancelled.Add(1)
			return nil, context.Cause(r.Context())
		}
	}
	switch {
	case broken != nil:
		return nil, broken
	case status != 0:
		return reply(r, status, `{"error":"refused"}`), nil
	case lifetime == 0:
		return reply(r, 200, fmt.Sprintf(`{"access_token":%q}`, access(n))), nil
	}
	return reply(r, 200, fmt.Sprintf(`{"access_token":%q,"expires_in":%v}`, access(n), lifetime.Seconds())), nil
}

func reply(r *http.Request, status int, body string) *http.Response {
	return &http.Response{StatusCode: status, Body: io.NopCloser(strings.NewReader(body)), Request: r}
}

func (w *workspace) config() Config {
	if w.client == nil {
		w.client = &http.Client{Transport: w}
	}
	c := config("https://workspace")
	c.Client = w.client
	return c
}

func (w *workspace) wantCalls(t *testing.T, want int32) {
	t.Helper()
	if got := w.calls.Load(); got != want {
		t.Errorf("%d requests, want %d", got, want)
	}
}

// mustGet wants the n-th token, and that it is new when minted is set.
func mustGet(t *testing.T, ctx context.Context, c *Cache, cfg Config, n int, minted bool) Grant {
	t.Helper()
	g, err := c.Get(ctx, cfg)
	if err != nil {
		t.Fatalf("got %v, want token %d", err, n)
	}
	if g.Access() != access(n) || g.Minted() != minted {
		t.Fatalf("got %q, minted %v, want token %d, minted %v", strings.TrimPrefix(g.Access(), token), g.Minted(), n, minted)
	}
	return g
}

// mustNotGet returns the error, of which it checks what holds for all.
func mustNotGet(t *testing.T, ctx context.Context, c *Cache, cfg Config) *Error {
	t.Helper()
	g, err := c.Get(ctx, cfg)
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("got %v, %v, want an *Error", g, err)
	}
	if g != (Grant{}) || g.Access() != "" {
		t.Errorf("a token comes with the error %v", err)
	}
	for _, verb := range []string{"%v", "%+v", "%#v"} {
		noSecrets(t, fmt.Sprintf(verb, err))
		noSecrets(t, fmt.Sprintf(verb, *e))
	}
	return e
}

// answer is what a Get in the background returned, and how long it took.
type answer struct {
	Grant
	err  error
	took time.Duration
}

func getLater(ctx context.Context, c *Cache, cfg Config) <-chan answer {
	ch := make(chan answer, 1)
	go func() {
		start := time.Now()
		g, err := c.Get(ctx, cfg)
		ch <- answer{g, err, time.Since(start)}
	}()
	return ch
}

func TestCache_GivesAKeptToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &workspace{lifetime: time.Hour}
		var c Cache
		mustGet(t, t.Context(), &c, w.config(), 1, true)
		time.Sleep(time.Minute)
		mustGet(t, t.Context(), &c, w.config(), 1, false)
		w.wantCalls(t, 1)
		time.Sleep(time.Hour)
		mustGet(t, t.Context(), &c, w.config(), 2, true)
		w.wantCalls(t, 2)
	})
}

func TestCache_KeyIsAllThatMakesTheAnswerDiffer(t *testing.T) {
	w := &workspace{lifetime: time.Hour}
	base := w.config()
	var c Cache
	mustGet(t, t.Context(), &c, base, 1, true)
	n := 1
	for name, change := range map[string]func(*Config){
		"workspace":    func(c *Config) { c.WorkspaceURL = "https://other" },
		"workspace id": func(c *Config) { c.WorkspaceID = "2" },
		"table":        func(c *Config) { c.Table = "main.default.water_quality" },
		"client id":    func(c *Config) { c.ClientID = "other" },
		"secret":       func(c *Config) { c.ClientSecret += "x" },
		"HTTP client":  func(c *Config) { c.Client = &http.Client{Transport: w} },
	} {
		t.Run(name, func(t *testing.T) {
			cfg := base
			change(&cfg)
			n++
			mustGet(t, t.Context(), &c, cfg, n, true)
			mustGet(t, t.Context(), &c, cfg, n, false)
		})
	}
	mustGet(t, t.Context(), &c, base, 1, false)
	w.wantCalls(t, 7)

	same := base
	same.WorkspaceURL = "workspace/" // another spelling of it
	mustGet(t, t.Context(), &c, same, 1, false)
}

// Pitfall 57.
func TestCache_ConcurrentCallersShareARequest(t *testing.T) {
	for name, status := range map[string]int{"granted": 0, "refused": 401, "away": 503} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := &workspace{lifetime: time.Hour, delay: time.Second, status: status}
				cfg := w.config()
				var c Cache
				var callers []<-chan answer
				for range 50 {
					callers = append(callers, getLater(t.Context(), &c, cfg))
				}
				minted := 0
				for _, ch := range callers {
					a := <-ch
					var e *Error
					if status == 0 && (a.err != nil || a.Access() != access(1)) || status != 0 && (!errors.As(a.err, &e) || e.Status != status) {
						t.Errorf("%v, %v", a.Grant, a.err)
					}
					if a.Minted() {
						minted++
					}
					if a.took != time.Second {
						t.Errorf("took %v", a.took)
					}
				}
				w.wantCalls(t, 1)
				if status == 0 {
					if minted != 1 {
						t.Errorf("minted for %d callers", minted)
					}
					return
				}
				w.status = 0
				mustGet(t, t.Context(), &c, cfg, 2, true) // a failure is not kept
			})
		})
	}
}

func TestCache_RequestOutlivesItsFirstCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &workspace{lifetime: time.Hour, delay: 10 * time.Second}
		cfg := w.config()
		var c Cache
		ctx, cancel := context.WithCancelCause(t.Context())
		first := getLater(ctx, &c, cfg)
		synctest.Wait()
		second, third := getLater(t.Context(), &c, cfg), getLater(t.Context(), &c, cfg)
		time.Sleep(time.Second)
		cause := errors.New("the stream was closed")
		cancel(cause)
		a := <-first
		var e *Error
		if !errors.As(a.err, &e) || !e.Retriable || e.Status != 0 || !errors.Is(e, cause) || a.took != time.Second {
			t.Errorf("%v, %v after %v", a.Grant, a.err, a.took)
		}
		for _, ch := range []<-chan answer{second, third} {
			if a := <-ch; a.err != nil || a.Access() != access(1) || a.Minted() || a.took != 10*time.Second {
				t.Errorf("%v, %v after %v", a.Grant, a.err, a.took)
			}
		}
		w.wantCalls(t, 1)
		mustGet(t, t.Context(), &c, cfg, 1, false)
	})
}

func TestCache_RequestEndsWithItsLastCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &workspace{lifetime: time.Hour, delay: 10 * time.Second}
		cfg := w.config()
		var c Cache
		var callers []<-chan answer
		for i := range 3 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i+1)*time.Second)
			defer cancel()
			callers = append(callers, getLater(ctx, &c, cfg))
		}
		for i, ch := range callers {
			if w.cancelled.Load() != 0 {
				t.Errorf("cancelled while %d wait", 3-i)
			}
			if a := <-ch; !errors.Is(a.err, context.DeadlineExceeded) || a.took != time.Duration(i+1)*time.Second {
				t.Errorf("%v, %v after %v", a.Grant, a.err, a.took)
			}
		}
		synctest.Wait()
		if w.cancelled.Load() != 1 {
			t.Error("the request goes on without anybody who waits")
		}
		w.wantCalls(t, 1)
		mustGet(t, t.Context(), &c, cfg, 2, true)
	})
}

// A transport that does not heed its context holds up nobody, and what it brings at last changes nothing.
func TestCache_AbandonedRequestMakesWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &workspace{lifetime: time.Hour}
		release := make(chan struct{})
		w.hook = func(n int) {
			if n == 1 {
				<-release
			}
		}
		cfg := w.config()
		var c Cache
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		mustNotGet(t, ctx, &c, cfg)
		mustGet(t, t.Context(), &c, cfg, 2, true)
		close(release)
		synctest.Wait()
		mustGet(t, t.Context(), &c, cfg, 2, false)
		w.wantCalls(t, 2)
	})
}

func TestCache_EndedContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &workspace{lifetime: time.Hour, delay: time.Second}
		cfg := w.config()
		var c Cache
		cause := errors.New("the stream was closed")
		ended, cancel := context.WithCancelCause(t.Context())
		cancel(cause)
		if e := mustNotGet(t, ended, &c, cfg); !e.Retriable || !errors.Is(e, cause) {
			t.Errorf("%v: retriable %v", e, e.Retriable)
		}
		w.wantCalls(t, 0)
		mustGet(t, t.Context(), &c, cfg, 1, true)
		mustGet(t, ended, &c, cfg, 1, false)
		time.Sleep(57 * time.Minute)
		mustGet(t, ended, &c, cfg, 1, false)
		w.wantCalls(t, 1)
		ctx, leave := context.WithCancel(t.Context())
		renewal := getLater(ctx, &c, cfg)
		synctest.Wait()
		leave()
		if a := <-renewal; a.err != nil || a.Access() != access(1) || a.took != 0 {
			t.Errorf("%v, %v after %v", a.Grant, a.err, a.took)
		}
		mustGet(t, t.Context(), &c, cfg, 3, true) // those were no failures, so there is no pause after them
	})
}

func TestCache_SharedRequestIsBoundedByTheDefault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &workspace{lifetime: time.Hour, delay: time.Hour}
		cfg := w.config()
		var c Cache
		first := getLater(t.Context(), &c, cfg)
		time.Sleep(10 * time.Second)
		second := getLater(t.Context(), &c, cfg)
		for i, ch := range []<-chan answer{first, second} {
			a := <-ch
			var e *Error
			if !errors.As(a.err, &e) || !e.Retriable || !errors.Is(e, context.DeadlineExceeded) ||
				a.took != DefaultTimeout-time.Duration(i)*10*time.Second {
				t.Errorf("%v, %v after %v", a.Grant, a.err, a.took)
			}
		}
		w.wantCalls(t, 1)
	})
}

func TestCache_IsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &workspace{lifetime: time.Hour}
		table := func(i int) Config {
			cfg := w.config()
			cfg.Table = fmt.Sprintf("main.default.t%d", i)
			return cfg
		}
		var c Cache
		kept := func(want int) {
			t.Helper()
			if len(c.tokens) != want {
				t.Errorf("keeps %d tokens, want %d", len(c.tokens), want)
			}
		}
		get := func(i int, cached bool) {
			t.Helper()
			before := w.calls.Load()
			if _, err := c.Get(t.Context(), table(i)); err != nil {
				t.Fatal(err)
			}
			if got := w.calls.Load() == before; got != cached {
				t.Errorf("table %d from the cache: %v, want %v", i, got, cached)
			}
		}
		for i := range maxTokens {
			w.lifetime = time.Hour
			if i == 500 {
				w.lifetime = time.Minute
			}
			get(i, false)
			time.Sleep(time.Millisecond)
		}
		kept(maxTokens)
		w.lifetime = 2 * time.Hour
		get(maxTokens, false) // for the one that expires first
		kept(maxTokens)
		get(499, true)
		get(501, true)
		get(0, true)
		get(500, false) // for the next one to expire: the oldest
		kept(maxTokens)
		get(1, true)
		get(0, false) // for table 1
		kept(maxTokens)
		time.Sleep(56 * time.Minute)
		get(600, false) // renewed, in the place of its own
		kept(maxTokens)

		time.Sleep(5 * time.Minute) // all but those of two hours expire
		get(-1, false)
		kept(5)
		get(0, true)
		get(500, true)
		get(maxTokens, true)
	})
}

func TestCache_MakingRoomDoesNotEndFlights(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, slow := &workspace{lifetime: time.Hour}, &workspace{lifetime: time.Minute}
		var c Cache
		cfg := slow.config()
		mustGet(t, t.Context(), &c, cfg, 1, true)
		time.Sleep(50 * time.Second)
		slow.delay, slow.status = 5*time.Second, 503
		renewal := getLater(t.Context(), &c, cfg)
		synctest.Wait()
		for i := range maxTokens + 10 {
			other := w.config()
			other.Table = fmt.Sprintf("main.default.t%d", i)
			if _, err := c.Get(t.Context(), other); err != nil {
				t.Fatal(err)
			}
		}
		joined := getLater(t.Context(), &c, cfg)
		if a := <-renewal; a.err != nil || a.Access() != access(1) {
			t.Errorf("the renewal lost its way back: %v, %v", a.Grant, a.err)
		}
		if a := <-joined; a.err == nil {
			t.Errorf("a token that was dropped: %v", a.Grant)
		}
		slow.wantCalls(t, 2)
		if len(c.flights) != 0 || len(c.tokens) != maxTokens {
			t.Errorf("%d flights, %d tokens", len(c.flights), len(c.tokens))
		}
	})
}

func TestCache_TransportThatDoesNotReturn(t *testing.T) {
	for name, end := range map[string]func(){
		"panics":              func() { panic("bad password " + secret) },
		"panics with nil":     func() { panic(nil) },
		"ends the goroutine":  runtime.Goexit,
		"panics with a value": func() { panic(struct{ password string }{secret}) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := &workspace{lifetime: time.Hour, hook: func(int) { end() }}
				cfg := w.config()
				var c Cache
				if e := mustNotGet(t, t.Context(), &c, cfg); e.Retriable || !strings.Contains(e.Error(), "HTTP client") {
					t.Errorf("%v: retriable %v", e, e.Retriable)
				}
				w.hook = nil
				mustGet(t, t.Context(), &c, cfg, 2, true)
			})
		})
	}
}

func TestCache_ChecksItsConfig(t *testing.T) {
	w := &workspace{lifetime: time.Hour}
	var c Cache
	for name, change := range map[string]func(*Config){
		"URL":    func(c *Config) { c.WorkspaceURL = "https://user:" + secret + "@w" },
		"table":  func(c *Config) { c.Table = "a.b" },
		"secret": func(c *Config) { c.ClientSecret = "" },
	} {
		t.Run(name, func(t *testing.T) {
			cfg := w.config()
			change(&cfg)
			if e := mustNotGet(t, t.Context(), &c, cfg); e.Retriable || e.Status != 0 {
				t.Errorf("%v: retriable %v, status %d", e, e.Retriable, e.Status)
			}
		})
	}
	w.wantCalls(t, 0)
}

// What no interleaving may break: a token is for its own table, valid, and not one that was rejected before the call.
func TestCache_Stress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const tables, goroutines, rounds, lifetime = 5, 20, 300, 30 * time.Second
		type issued struct {
			table string
			sent  time.Time
		}
		var (
			c        Cache
			clock    atomic.Int64 // orders the ends of rejections and the beginnings of calls
			tokens   sync.Map     // access → issued
			rejected sync.Map     // access → when, by clock
			calls    atomic.Int64
		)
		client := &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
			n := calls.Add(1)
			sent := time.Now()
			if err := r.ParseForm(); err != nil {
				return nil, err
			}
			details := r.PostForm.Get("authorization_details")
			table := details[strings.LastIndex(details, "main."):strings.LastIndex(details, `"`)]
			select {
			case <-time.After(rand.N(5 * time.Second)):
			case <-r.Context().Done():
				return nil, context.Cause(r.Context())
			}
			if n%7 == 0 {
				return reply(r, 503, ""), nil
			}
			tokens.Store(access(int(n)), issued{table, sent})
			return reply(r, 200, fmt.Sprintf(`{"access_token":%q,"expires_in":%v}`, access(int(n)), lifetime.Seconds())), nil
		})}
		var wg sync.WaitGroup
		for range goroutines {
			wg.Go(func() {
				for range rounds {
					cfg := config("https://workspace")
					cfg.Client = client
					cfg.Table = fmt.Sprintf("main.default.t%d", rand.N(tables))
					ctx, cancel := context.WithTimeout(t.Context(), rand.N(10*time.Second))
					start := clock.Load()
					g, err := c.Get(ctx, cfg)
					cancel()
					if e := (*Error)(nil); err != nil && (!errors.As(err, &e) || !e.Retriable) {
						t.Error(err)
					}
					if err != nil {
						continue
					}
					v, _ := tokens.Load(g.Access())
					if is, ok := v.(issued); !ok || is.table != cfg.Table || time.Since(is.sent) >= lifetime {
						t.Errorf("for %s: token of %s, %v old", cfg.Table, is.table, time.Since(is.sent))
					}
					if at, ok := rejected.Load(g.Access()); ok && at.(int64) <= start {
						t.Error("a token that was rejected")
					}
					switch rand.N(10) {
					case 0:
						g.Reject()
						rejected.LoadOrStore(g.Access(), clock.Add(1))
					case 1:
						_ = c.String()
					case 2:
						time.Sleep(rand.N(5 * time.Second))
					}
				}
			})
		}
		wg.Wait()
		if len(c.flights) != 0 || len(c.tokens) > tables {
			t.Errorf("%d flights, %d tokens", len(c.flights), len(c.tokens))
		}
		if n := calls.Load(); n > goroutines*rounds/2 {
			t.Errorf("%d requests for %d calls", n, goroutines*rounds)
		}
	})
}
