package recovery

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// fakeLine ends when told to.
type fakeLine struct {
	done     chan struct{}
	once     sync.Once
	err      error
	rotated  bool
	finished time.Duration // of Finish
	stubborn bool          // does not end by Finish
}

func newLine() *fakeLine { return &fakeLine{done: make(chan struct{})} }

func (l *fakeLine) end(err error) {
	l.once.Do(func() { l.err = err; close(l.done) })
}
func (l *fakeLine) Done() <-chan struct{} { return l.done }
func (l *fakeLine) Err() error            { return l.err }
func (l *fakeLine) Rotated() bool         { return l.rotated }
func (l *fakeLine) Abort(cause error)     { l.end(cause) }
func (l *fakeLine) Finish(d time.Duration) {
	l.finished = d
	if !l.stubborn {
		l.end(errors.New("finished"))
	}
}

// fakeHost follows a script of lines and errors, and writes down what happens, with the time.
type fakeHost struct {
	start   time.Time
	connect func(i int, ctx context.Context) (Line, error)
	tries   int
	log     []string

	mu       sync.Mutex
	since    time.Time
	owed     bool
	progress bool
}

func (h *fakeHost) note(format string, args ...any) {
	h.log = append(h.log, fmt.Sprintf("%v ", time.Since(h.start).Truncate(100*time.Millisecond))+fmt.Sprintf(format, args...))
}

func (h *fakeHost) Connect(ctx context.Context) (Line, error) {
	h.note("connect")
	h.tries++
	return h.connect(h.tries, ctx)
}

func (h *fakeHost) Owed() (time.Time, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.since, h.owed
}

func (h *fakeHost) owe() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.since, h.owed = time.Now(), true
}

func (h *fakeHost) Lost(f *Failure) { f.Progress = h.progress }

func (h *fakeHost) Decided(f Failure, d Decision) {
	if d.Retry {
		h.note("retry %d: %v", d.Attempt, f.Err)
	}
}

var policy = Policy{Enabled: true, Retries: 2, Backoff: time.Second, Timeout: 10 * time.Second, AckTimeout: 60 * time.Second}

func (h *fakeHost) want(t *testing.T, want ...string) {
	t.Helper()
	if got := strings.Join(h.log, "\n"); got != strings.Join(want, "\n") {
		t.Errorf("events\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
}

func TestSupervise_GivesUpWhenTheBudgetIsSpent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &fakeHost{start: time.Now(), connect: func(i int, _ context.Context) (Line, error) {
			return nil, fmt.Errorf("refused %d", i)
		}}
		p := policy
		p.Backoff = 0
		err := Supervise(t.Context(), h, p, t.Context())
		var gaveUp *GaveUp
		if !errors.As(err, &gaveUp) || gaveUp.Failures != 3 || gaveUp.First.Error() != "refused 1" || gaveUp.Last.Error() != "refused 3" {
			t.Errorf("error %v", err)
		}
		h.want(t, "0s connect", "0s retry 1: refused 1", "0s connect", "0s retry 2: refused 2", "0s connect")
	})
}

func TestSupervise_FirstFailureIsOfThePresentRow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &fakeHost{start: time.Now()}
		h.connect = func(i int, _ context.Context) (Line, error) {
			h.progress = i == 2
			return nil, fmt.Errorf("refused %d", i)
		}
		var gaveUp *GaveUp
		if err := Supervise(t.Context(), h, policy, t.Context()); !errors.As(err, &gaveUp) || gaveUp.First.Error() != "refused 2" {
			t.Errorf("error %v; the row began with the second failure", err)
		}
	})
}

func TestSupervise_TO10_UnresponsiveIsFoundInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		line := newLine()
		h := &fakeHost{start: time.Now(), connect: func(int, context.Context) (Line, error) { return line, nil }}
		p := policy
		p.Enabled = false
		// Idle for longer than the timeout, which is no fault; then something is sent.
		time.AfterFunc(100*time.Second, h.owe)
		err := Supervise(t.Context(), h, p, t.Context())
		var u *Unresponsive
		if !errors.As(err, &u) {
			t.Errorf("error %v", err)
		}
		if d := time.Since(h.start); d != 160*time.Second {
			t.Errorf("found after %v; want 160s", d)
		}
	})
}

func TestSupervise_TO09_ProgressInTimeIsNoFault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		line := newLine()
		h := &fakeHost{start: time.Now(), connect: func(int, context.Context) (Line, error) { return line, nil }}
		h.owe()
		for i := range 10 {
			time.AfterFunc(time.Duration(i)*59*time.Second, h.owe)
		}
		time.AfterFunc(590*time.Second, func() { line.end(errors.New("lost")) })
		p := policy
		p.Enabled = false
		if err := Supervise(t.Context(), h, p, t.Context()); err == nil || err.Error() != "lost" {
			t.Errorf("error %v", err)
		}
	})
}

func TestSupervise_Finish(t *testing.T) {
	t.Run("connected", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			line := newLine()
			finish, finished := context.WithCancel(t.Context())
			h := &fakeHost{start: time.Now(), connect: func(int, context.Context) (Line, error) { return line, nil }}
			time.AfterFunc(time.Second, finished)
			if err := Supervise(t.Context(), h, policy, finish); err != nil {
				t.Error(err)
			}
			if line.finished != drainFinished {
				t.Errorf("drain %v", line.finished)
			}
		})
	})
	t.Run("the connection fails meanwhile", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			line := newLine()
			finish, finished := context.WithCancel(t.Context())
			line.stubborn = true
			h := &fakeHost{start: time.Now(), connect: func(int, context.Context) (Line, error) { return line, nil }}
			finished()
			time.AfterFunc(time.Second, func() { line.end(errors.New("lost")) })
			if err := Supervise(t.Context(), h, policy, finish); err != nil {
				t.Error(err)
			}
			h.want(t)
		})
	})
	t.Run("between tries", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			finish, finished := context.WithCancel(t.Context())
			h := &fakeHost{start: time.Now(), connect: func(int, context.Context) (Line, error) { return nil, errors.New("refused") }}
			time.AfterFunc(500*time.Millisecond, finished)
			if err := Supervise(t.Context(), h, policy, finish); err != nil {
				t.Error(err)
			}
			if d := time.Since(h.start); d != 500*time.Millisecond {
				t.Errorf("took %v", d)
			}
			h.want(t, "0s connect", "0s retry 1: refused")
		})
	})
}

func TestSupervise_EndsWithItsContext(t *testing.T) {
	cause := errors.New("closed")
	tests := map[string]func(int, context.Context) (Line, error){
		"connected":     func(int, context.Context) (Line, error) { return newLine(), nil },
		"connecting":    func(_ int, ctx context.Context) (Line, error) { <-ctx.Done(); return nil, context.Cause(ctx) },
		"between tries": func(int, context.Context) (Line, error) { return nil, errors.New("refused") },
	}
	for name, connect := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancelCause(t.Context())
				h := &fakeHost{start: time.Now(), connect: connect}
				time.AfterFunc(500*time.Millisecond, func() { cancel(cause) })
				if err := Supervise(ctx, h, policy, t.Context()); err != cause {
					t.Errorf("error %v; want the cause", err)
				}
				if d := time.Since(h.start); d != 500*time.Millisecond {
					t.Errorf("took %v", d)
				}
			})
		})
	}
}

func TestSupervise_RC12_HangingTryIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &fakeHost{start: time.Now(), connect: func(_ int, ctx context.Context) (Line, error) {
			<-ctx.Done()
			return nil, context.Cause(ctx)
		}}
		err := Supervise(t.Context(), h, policy, t.Context())
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v", err)
		}
		if d := time.Since(h.start); d < 33*time.Second || d > 33750*time.Millisecond {
			t.Errorf("three tries of 10 s with waits of 1 and 2 s took %v", d)
		}
	})
}
