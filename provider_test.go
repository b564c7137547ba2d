package zerobus_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/zerobus-go/zerobus"
	"github.com/zerobus-go/zerobus/zerobustest"
)

// provider is a headers provider that is told the number of its call, from 1.
func provider(f func(ctx context.Context, call int) ([]zerobus.Header, error)) zerobus.Auth {
	var calls atomic.Int32 // a call that is given up may run beside the next one
	return zerobus.HeadersProviderFunc(func(ctx context.Context) ([]zerobus.Header, error) {
		return f(ctx, int(calls.Add(1)))
	})
}

func bearer(token string) []zerobus.Header {
	return []zerobus.Header{{"authorization", "Bearer " + token}}
}

// A provider is asked for every connection, so what it gives may change; what it gives in the end may be nothing.
func TestAuth_AU06_ProviderIsCalledRepeatedly(t *testing.T) {
	inBubble(t, func(w *world) {
		gone := zerobustest.Accept(zerobustest.On(1, zerobustest.Ack(0), zerobustest.Wait(ms), zerobustest.Fail(codes.Unavailable, "gone")))
		w.srv.Script(gone, gone, gone)
		s, err := w.createAs(provider(func(_ context.Context, call int) ([]zerobus.Header, error) {
			if call == 3 {
				return nil, nil
			}
			return bearer(fmt.Sprint(call)), nil
		}), one()...)
		w.must(err)
		w.ingest(s, 0, 4)
		err = s.Flush(w.Context())
		wantErr(w, err, zerobus.ErrInvalidArgument, "0 authorization headers", "gone")
		wantErr(w, err, zerobus.ErrStreamFailed)
		for i, c := range w.conns(2) {
			if got := c.Metadata().Get("authorization"); len(got) != 1 || got[0] != fmt.Sprintf("Bearer %d", i+1) {
				w.Errorf("connection %d: authorization %v", i, got)
			}
		}
		wantRecords(w, "unacknowledged", w.unacked(s), 2, 2)
	})
}

func TestAuth_AU15_TokenEndpointHangs(t *testing.T) {
	for name, tt := range map[string]struct {
		ctx  time.Duration
		want time.Duration
	}{"the try's timeout": {time.Hour, 3 * time.Second}, "the context": {time.Second, time.Second}} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(w *world) {
				w.srv.HandleToken(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
				start := time.Now()
				_, err := w.sdk.CreateStream(w.timeout(tt.ctx), zerobus.Table(table), credentials,
					zerobus.WithRecovery(false), zerobus.WithRecoveryTimeout(3*time.Second))
				wantErr(w, err, context.DeadlineExceeded)
				if errors.Is(err, zerobus.ErrAuth) {
					w.Errorf("%v is no refusal", err)
				}
				w.took("create", start, tt.want, tt.want)
				w.conns(0)
			})
		})
	}
}

// The values of CreateStream's context are for the provider, as long as the stream lives; its end is not.
func TestAuth_ValuesOfTheContext(t *testing.T) {
	inBubble(t, func(w *world) {
		type key struct{}
		w.srv.Script(zerobustest.Accept(zerobustest.On(0, zerobustest.Kill())))
		var seen []any
		a := provider(func(ctx context.Context, _ int) ([]zerobus.Header, error) {
			seen = append(seen, ctx.Value(key{}))
			return bearer("t"), nil
		})
		ctx, cancel := context.WithCancel(context.WithValue(w.Context(), key{}, "tenant-7"))
		s, err := w.sdk.CreateStream(ctx, zerobus.Table(table), a)
		w.must(err)
		cancel()
		w.ingest(s, 0, 1)
		w.must(s.Close(w.Context()))
		if fmt.Sprint(seen) != "[tenant-7 tenant-7]" {
			w.Errorf("values %v", seen)
		}
		w.conns(2)
	})
}

// An answer that comes when nobody waits any more is not taken for that of the next try.
func TestAuth_ProviderAnswersTooLate(t *testing.T) {
	inBubble(t, func(w *world) {
		a := provider(func(_ context.Context, call int) ([]zerobus.Header, error) {
			if call == 1 {
				time.Sleep(1500 * ms) // and does not heed its context
			} else {
				time.Sleep(800 * ms) // so that the late answer comes in this try
			}
			return bearer(fmt.Sprint(call)), nil
		})
		start := time.Now()
		s, err := w.createAs(a, zerobus.WithRecoveryTimeout(time.Second), zerobus.WithRecoveryBackoff(100*ms))
		w.must(err)
		w.took("create", start, 1900*ms, 1925*ms)
		if got := w.conns(1)[0].Metadata().Get("authorization"); len(got) != 1 || got[0] != "Bearer 2" {
			w.Errorf("authorization %v", got)
		}
		w.must(s.Close(w.Context()))
	})
}

// A provider that still runs when all is closed does no harm when it returns.
func TestAuth_ProviderReturnsAfterTheEnd(t *testing.T) {
	for name, answer := range map[string]func() ([]zerobus.Header, error){
		"headers": func() ([]zerobus.Header, error) { return bearer("late"), nil },
		"error":   func() ([]zerobus.Header, error) { return nil, errors.New("late") },
		"panic":   func() ([]zerobus.Header, error) { panic("late") },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(w *world) {
				release := make(chan struct{})
				a := provider(func(context.Context, int) ([]zerobus.Header, error) { <-release; return answer() })
				_, err := w.sdk.CreateStream(w.timeout(time.Second), zerobus.Table(table), a)
				wantErr(w, err, context.DeadlineExceeded)
				w.must(w.sdk.Close())
				close(release)
				synctest.Wait()
				w.conns(0)
			})
		})
	}
}

// A provider that panics when the stream has long been open ends the stream, not the program.
func TestAuth_ProviderPanicsWhileRecovering(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(zerobustest.Accept(zerobustest.On(0, zerobustest.Kill())))
		s, err := w.createAs(provider(func(_ context.Context, call int) ([]zerobus.Header, error) {
			if call > 1 {
				panic("a bug in the provider")
			}
			return bearer("t"), nil
		}))
		w.must(err)
		w.ingest(s, 0, 1)
		wantErr(w, s.Flush(w.Context()), zerobus.ErrStreamFailed, "a bug in the provider")
		wantRecords(w, "unacknowledged", w.unacked(s), 0, 1)
	})
}

func TestAuth_LargeHeaders(t *testing.T) {
	inBubble(t, func(w *world) {
		large := strings.Repeat("x", 100_000)
		s, err := w.createAs(zerobus.StaticHeaders{{"authorization", "Bearer " + large}, {"x-route", large}})
		w.must(err)
		w.ingest(s, 0, 1)
		w.must(s.Close(w.Context()))
		md := w.conns(1)[0].Metadata()
		if md.Get("authorization")[0] != "Bearer "+large || md.Get("x-route")[0] != large {
			w.Error("the headers arrived otherwise")
		}
	})
}

func TestAuth_LongTableNames(t *testing.T) {
	inBubble(t, func(w *world) {
		part := strings.Repeat("t", 10_000)
		name := part + "." + part + "." + part
		s, err := w.sdk.CreateStream(w.Context(), zerobus.Table(name), auth)
		w.must(err)
		w.ingest(s, 0, 1)
		w.must(s.Close(w.Context()))
		wantRecords(w, "durable", w.srv.Records(name), 0, 1)
		create, _ := w.conns(1)[0].Create()
		if create.Table != name || w.conns(1)[0].Metadata().Get("x-databricks-zerobus-table-name")[0] != name {
			w.Error("another name arrived")
		}
	})
}

// Streams to many tables share a token for each, also when all begin at once.
func TestAuth_TokensOfManyTablesAtOnce(t *testing.T) {
	authentic(t, func(w *world) {
		const tables = 20
		errs := make(chan error, 2*tables)
		for i := range 2 * tables {
			go func() {
				s, err := w.sdk.CreateStream(w.Context(), zerobus.Table(fmt.Sprintf("main.default.t%d", i%tables)), credentials)
				if err == nil {
					err = s.Close(w.Context())
				}
				errs <- err
			}()
		}
		for range 2 * tables {
			w.must(<-errs)
		}
		w.wantTokenRequests(tables)
	})
}
