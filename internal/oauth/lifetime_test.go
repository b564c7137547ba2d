package oauth

import (
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"
)

func TestCache_RenewsEarly(t *testing.T) {
	for _, tt := range []struct{ lifetime, from time.Duration }{
		{24 * time.Hour, 24*time.Hour - 5*time.Minute},
		{time.Hour, 55 * time.Minute},
		{25 * time.Minute, 20 * time.Minute},
		{24 * time.Minute, 24 * time.Minute * 4 / 5},
		{10 * time.Minute, 8 * time.Minute},
		{5 * time.Second, 4 * time.Second},
	} {
		t.Run(tt.lifetime.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := &workspace{lifetime: tt.lifetime}
				cfg := w.config()
				var c Cache
				mustGet(t, t.Context(), &c, cfg, 1, true)
				time.Sleep(tt.from - 1)
				mustGet(t, t.Context(), &c, cfg, 1, false)
				w.wantCalls(t, 1)
				time.Sleep(time.Nanosecond)
				mustGet(t, t.Context(), &c, cfg, 2, true)
				mustGet(t, t.Context(), &c, cfg, 2, false)
				w.wantCalls(t, 2)
				time.Sleep(tt.from - 1) // the new one has a lifetime of its own
				mustGet(t, t.Context(), &c, cfg, 2, false)
			})
		})
	}
}

func TestCache_LifetimeCountsFromTheRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &workspace{lifetime: 100 * time.Second, delay: 10 * time.Second}
		cfg := w.config()
		var c Cache
		mustGet(t, t.Context(), &c, cfg, 1, true)
		w.delay, w.status = 0, 503
		time.Sleep(90*time.Second - 1)
		mustGet(t, t.Context(), &c, cfg, 1, false)
		time.Sleep(time.Nanosecond)
		mustNotGet(t, t.Context(), &c, cfg)
	})
}

func TestCache_TokenThatExpiresOnItsWayIsNotKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &workspace{lifetime: 5 * time.Second, delay: 5 * time.Second}
		cfg := w.config()
		var c Cache
		mustGet(t, t.Context(), &c, cfg, 1, true)
		mustGet(t, t.Context(), &c, cfg, 2, true)
	})
}

func TestCache_LongestLifetimeDoesNotOverflow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &workspace{lifetime: 1<<63 - 1}
		cfg := w.config()
		var c Cache
		mustGet(t, t.Context(), &c, cfg, 1, true)
		time.Sleep(10 * 365 * 24 * time.Hour)
		mustGet(t, t.Context(), &c, cfg, 1, false)
	})
}

// Pitfall 56. Also a refusal does not end a token that the server may still take.
func TestCache_FailedRenewalServesTheOldTokenUntilItExpires(t *testing.T) {
	for name, fail := range map[string]func(*workspace){
		"503":        func(w *workspace) { w.status = 503 },
		"401":        func(w *workspace) { w.status = 401 },
		"no network": func(w *workspace) { w.broken = io.ErrUnexpectedEOF },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := &workspace{lifetime: time.Hour}
				cfg := w.config()
				var c Cache
				mustGet(t, t.Context(), &c, cfg, 1, true)
				fail(w)
				time.Sleep(55 * time.Minute)
				mustGet(t, t.Context(), &c, cfg, 1, false)
				w.wantCalls(t, 2)
				time.Sleep(refreshPause - 1)
				mustGet(t, t.Context(), &c, cfg, 1, false)
				w.wantCalls(t, 2) // not tried again so soon
				time.Sleep(time.Nanosecond)
				mustGet(t, t.Context(), &c, cfg, 1, false)
				w.wantCalls(t, 3)
				time.Sleep(5*time.Minute - refreshPause - 1)
				mustGet(t, t.Context(), &c, cfg, 1, false)
				w.wantCalls(t, 4)
				time.Sleep(time.Nanosecond)
				e := mustNotGet(t, t.Context(), &c, cfg)
				if e.Status != w.status || e.Retriable == (w.status == 401) || w.broken != nil && !errors.Is(e, w.broken) {
					t.Errorf("%v: status %d, retriable %v", e, e.Status, e.Retriable)
				}
				w.wantCalls(t, 5) // the pause is for old tokens only
				w.status, w.broken = 0, nil
				mustGet(t, t.Context(), &c, cfg, 6, true)
			})
		})
	}
}

// Pitfall 60.
func TestCache_RenewalIsBoundedToHalfOfTheTime(t *testing.T) {
	for name, tt := range map[string]struct {
		age     time.Duration // of the old token, which lives for an hour
		timeout time.Duration // 0 for none
		delay   time.Duration
		took    time.Duration
		token   int // 0 for an error
	}{
		"hanging endpoint":             {56 * time.Minute, 20 * time.Second, time.Hour, 10 * time.Second, 1},
		"slow endpoint":                {56 * time.Minute, 20 * time.Second, 9 * time.Second, 9 * time.Second, 2},
		"without a deadline":           {56 * time.Minute, 0, time.Hour, DefaultTimeout, 1},
		"old token ends too early":     {time.Hour - 5*time.Second, 20 * time.Second, 15 * time.Second, 15 * time.Second, 2},
		"old token ends, and hanging":  {time.Hour - 5*time.Second, 20 * time.Second, time.Hour, 20 * time.Second, 0},
		"old token ends just too late": {time.Hour - 10*time.Second - 1, 20 * time.Second, time.Hour, 10 * time.Second, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := &workspace{lifetime: time.Hour}
				cfg := w.config()
				var c Cache
				mustGet(t, t.Context(), &c, cfg, 1, true)
				time.Sleep(tt.age)
				w.delay = tt.delay
				ctx := t.Context()
				if tt.timeout > 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, tt.timeout)
					defer cancel()
				}
				start := time.Now()
				if tt.token == 0 {
					if e := mustNotGet(t, ctx, &c, cfg); !e.Retriable || !errors.Is(e, context.DeadlineExceeded) {
						t.Errorf("%v: retriable %v", e, e.Retriable)
					}
				} else {
					mustGet(t, ctx, &c, cfg, tt.token, tt.token == 2)
				}
				if d := time.Since(start); d != tt.took {
					t.Errorf("took %v, want %v", d, tt.took)
				}
				w.wantCalls(t, 2)
				if tt.token != 1 {
					return
				}
				synctest.Wait()
				if w.cancelled.Load() != 1 {
					t.Error("the request goes on without anybody who waits")
				}
				start = time.Now()
				mustGet(t, t.Context(), &c, cfg, 1, false)
				w.wantCalls(t, 2)
				if d := time.Since(start); d != 0 {
					t.Errorf("the next one took %v", d)
				}
			})
		})
	}
}

func TestCache_OneWhoGivesUpARenewalLeavesItToOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &workspace{lifetime: time.Hour}
		cfg := w.config()
		var c Cache
		mustGet(t, t.Context(), &c, cfg, 1, true)
		time.Sleep(56 * time.Minute)
		w.delay = 15 * time.Second
		hasty, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		first := getLater(hasty, &c, cfg)
		synctest.Wait()
		second := getLater(t.Context(), &c, cfg)
		if a := <-first; a.err != nil || a.Access() != access(1) || a.took != 5*time.Second {
			t.Errorf("%v, %v after %v", a.Grant, a.err, a.took)
		}
		mustGet(t, t.Context(), &c, cfg, 1, false) // and does not let more of them wait
		if a := <-second; a.err != nil || a.Access() != access(2) || a.Minted() || a.took != 15*time.Second {
			t.Errorf("%v, %v after %v", a.Grant, a.err, a.took)
		}
		mustGet(t, t.Context(), &c, cfg, 2, false)
		w.wantCalls(t, 2)
	})
}

func TestCache_TokenWithoutALifetimeIsNotKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &workspace{}
		cfg := w.config()
		var c Cache
		for n := 1; n <= 3; n++ {
			mustGet(t, t.Context(), &c, cfg, n, true).Reject()
		}
		if len(c.tokens)+len(c.flights) != 0 {
			t.Errorf("keeps %v", &c)
		}
		// Nor does it take the place of one that has a lifetime.
		w.lifetime = time.Hour
		mustGet(t, t.Context(), &c, cfg, 4, true)
		w.lifetime = 0
		time.Sleep(56 * time.Minute)
		mustGet(t, t.Context(), &c, cfg, 5, true)
		mustGet(t, t.Context(), &c, cfg, 6, true)
		w.status = 503
		mustGet(t, t.Context(), &c, cfg, 4, false)
	})
}
