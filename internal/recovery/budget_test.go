package recovery

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

var errLost = status.Error(codes.Unavailable, "lost")

func TestBudget_Decide(t *testing.T) {
	policy := Policy{Enabled: true, Retries: 2, Backoff: 2 * time.Second}
	const s = time.Second
	var (
		lost        = Failure{Err: errLost}
		progress    = Failure{Err: errLost, Progress: true, Lived: s}
		rotated     = Failure{Err: errLost, Rotated: true, Lived: s}
		idleRotated = Failure{Err: errLost, Rotated: true, Idle: true, Lived: s}
		stable      = Failure{Err: errLost, Idle: true, Lived: time.Minute}
		short       = Failure{Err: errLost, Idle: true, Lived: time.Minute - 1}
		silent      = Failure{Err: errLost, Lived: time.Hour} // with records that were never acknowledged
		terminal    = Failure{Err: status.Error(codes.NotFound, "no table"), Progress: true}
	)
	again := func(attempt int, wait time.Duration) Decision {
		return Decision{Retry: true, Attempt: attempt, Wait: wait}
	}
	giveUp := Decision{}
	tests := []struct {
		name     string
		policy   Policy
		failures []Failure
		want     []Decision
	}{
		{"in a row", policy, []Failure{lost, lost, lost}, []Decision{again(1, 2*s), again(2, 4*s), giveUp}},
		{"no retries", Policy{Enabled: true, Backoff: s}, []Failure{lost}, []Decision{giveUp}},
		{"no recovery", Policy{Retries: 5}, []Failure{progress}, []Decision{giveUp}},
		{"terminal", policy, []Failure{terminal}, []Decision{giveUp}},
		{
			"progress clears", policy,
			[]Failure{lost, lost, progress, lost, lost},
			[]Decision{again(1, 2*s), again(2, 4*s), again(1, 0), again(2, 4*s), giveUp},
		},
		{
			"progress every time", policy,
			[]Failure{progress, progress, progress, progress},
			[]Decision{again(1, 0), again(1, 2*s), again(1, 0), again(1, 2*s)},
		},
		{"idle and rotated every second", policy, []Failure{idleRotated, idleRotated, idleRotated}, []Decision{again(0, 0), again(0, 2*s), again(0, 0)}},
		{
			"an idle connection that lived clears", policy,
			[]Failure{lost, lost, stable, stable, stable},
			[]Decision{again(1, 2*s), again(2, 4*s), again(1, 0), again(1, 0), again(1, 0)},
		},
		{"one that did not live long does not", policy, []Failure{short, short, short}, []Decision{again(1, 2*s), again(2, 4*s), giveUp}},
		{"nor does a silent one", policy, []Failure{silent, silent, silent}, []Decision{again(1, 2*s), again(2, 4*s), giveUp}},
		{"a rotation waits only when it repeats", policy, []Failure{rotated, rotated, rotated}, []Decision{again(1, 0), again(2, 4*s), giveUp}},
		{
			"a rotation needs no retries, once",
			Policy{Enabled: true, Backoff: s},
			[]Failure{rotated, rotated},
			[]Decision{again(1, 0), giveUp},
		},
		{"a rotation after progress is free", Policy{Enabled: true}, []Failure{{Err: errLost, Rotated: true, Progress: true}}, []Decision{again(0, 0)}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := Budget{Policy: tt.policy}
			for i, f := range tt.failures {
				if got := b.Decide(f, 0); got != tt.want[i] {
					t.Errorf("failure %d: %+v; want %+v", i, got, tt.want[i])
				}
			}
		})
	}
}

// Waits double up to half a minute, or stay at a backoff that is longer.
func TestBudget_WaitsGrow(t *testing.T) {
	for _, tt := range []struct {
		backoff time.Duration
		want    []time.Duration
	}{
		{2 * time.Second, []time.Duration{2, 4, 8, 16, 30, 30}},
		{time.Minute, []time.Duration{60, 60, 60}},
		{0, []time.Duration{0, 0, 0}},
	} {
		b := Budget{Policy: Policy{Enabled: true, Retries: 100, Backoff: tt.backoff}}
		for i, want := range tt.want {
			if d := b.Decide(Failure{Err: errLost}, 0); d.Wait != want*time.Second {
				t.Errorf("backoff %v, failure %d: waits %v; want %v", tt.backoff, i+1, d.Wait, want*time.Second)
			}
		}
	}
}

// Refusals are no failures, and come at a pace.
func TestBudget_RefusalsHaveAPace(t *testing.T) {
	b := Budget{Policy: Policy{Enabled: true, Retries: 1, Backoff: time.Second}}
	now := time.Unix(1_000_000_000, 0)
	refused := Failure{Err: status.Error(codes.InvalidArgument, "bad record"), Refused: true}
	var waited time.Duration
	for i := range 164 {
		refused.At = now
		d := b.Decide(refused, 0)
		if !d.Retry || d.Attempt != 0 || i < refusalBurst && d.Wait != 0 {
			t.Fatalf("refusal %d: %+v", i, d)
		}
		waited += d.Wait
		now = now.Add(d.Wait)
	}
	if waited != 10*time.Second {
		t.Errorf("100 refusals beyond the burst wait %v; want 10 s", waited)
	}
	if d := b.Decide(Failure{Err: errLost}, 0); d.Attempt != 1 {
		t.Errorf("a failure after refusals: %+v", d)
	}
	off := Budget{}
	if d := off.Decide(refused, 0); d.Retry {
		t.Error("recovery is off")
	}
}

// What was refused for a token that is gone is tried again at once, but not for ever.
func TestBudget_Passing(t *testing.T) {
	b := Budget{Policy: Policy{Enabled: true, Retries: 2, Backoff: time.Second}}
	f := Failure{Err: Passing(status.Error(codes.Unauthenticated, "token expired"))}
	for i, want := range []Decision{{Retry: true, Attempt: 1}, {Retry: true, Attempt: 2, Wait: 2 * time.Second}, {}} {
		if d := b.Decide(f, 0); d != want {
			t.Errorf("failure %d: %+v; want %+v", i, d, want)
		}
	}
}

func TestBudget_JitterLengthensByAQuarterAtMost(t *testing.T) {
	for _, tt := range []struct {
		random float64
		want   time.Duration
	}{{0, 2 * time.Second}, {0.5, 2250 * time.Millisecond}, {1, 2500 * time.Millisecond}} {
		b := Budget{Policy: Policy{Enabled: true, Retries: 1, Backoff: 2 * time.Second}}
		if d := b.Decide(Failure{Err: errLost}, tt.random); d.Wait != tt.want {
			t.Errorf("random %v waits %v; want %v", tt.random, d.Wait, tt.want)
		}
	}
}

func TestRetriable_UT10_EveryCodeAndKind(t *testing.T) {
	terminal := map[codes.Code]bool{
		codes.InvalidArgument: true, codes.NotFound: true, codes.Unauthenticated: true, codes.PermissionDenied: true,
		codes.OutOfRange: true, codes.Unimplemented: true,
	}
	for code := codes.Canceled; code <= codes.Unauthenticated; code++ {
		err := fmt.Errorf("wrapped: %w", status.Error(code, "text with INVALID_ARGUMENT in it"))
		if got := Retriable(err); got == terminal[code] {
			t.Errorf("%v: retriable is %v", code, got)
		}
		if got := Code(err); got != code {
			t.Errorf("%v: code %v", code, got)
		}
	}
	for _, tt := range []struct {
		err  error
		want bool
	}{
		{io.EOF, true},
		{errors.New("NOT_FOUND"), true},
		{context.DeadlineExceeded, true},
		{&Unresponsive{After: time.Second}, true},
		{Permanent(io.EOF), false},
		{fmt.Errorf("wrapped: %w", Permanent(errLost)), false},
	} {
		if got := Retriable(tt.err); got != tt.want {
			t.Errorf("%v: retriable is %v", tt.err, got)
		}
	}
	if !errors.Is(Permanent(io.EOF), io.EOF) {
		t.Error("the mark hides the cause")
	}
}

func TestGaveUp_TellsBothFailures(t *testing.T) {
	first, last := errors.New("reset"), status.Error(codes.Unauthenticated, "expired")
	err := &GaveUp{Failures: 3, First: first, Last: last}
	if !errors.Is(err, first) || !errors.Is(err, last) {
		t.Error("a failure cannot be reached")
	}
	if Code(err) != codes.Unauthenticated {
		t.Errorf("code %v; the last failure decides", Code(err))
	}
	if err := (&GaveUp{Failures: 2, First: errLost, Last: Permanent(io.EOF)}); Code(err) != codes.Unknown || Retriable(err) {
		t.Errorf("code %v, retriable %v; the last failure decides", Code(err), Retriable(err))
	}
	want := last.Error() + " (gave up after 3 failures in a row, the first: reset)"
	if err.Error() != want {
		t.Errorf("text %q; want %q", err, want)
	}
	if same := (&GaveUp{Failures: 2, First: last, Last: last}).Error(); same != last.Error()+" (gave up after 2 failures in a row)" {
		t.Errorf("text %q repeats itself", same)
	}
}
