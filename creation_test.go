package zerobus_test

import (
	"bytes"
	"context"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/zerobus-go/zerobus"
	"github.com/zerobus-go/zerobus/zerobustest"
)

func TestCreation_CR01_OpensAndCloses(t *testing.T) {
	inBubble(t, func(w *world) {
		s := w.open(zerobus.WithRecovery(false), zerobus.WithMaxInflightRecords(100))
		wantState(w, s, zerobus.StateOpened)
		if s.ID() == "" {
			w.Error("no stream id")
		}
		if s.TableName() != table {
			w.Errorf("table %q", s.TableName())
		}
		w.must(s.Close(w.Context()))
		wantState(w, s, zerobus.StateClosed)
		c := w.conns(1)[0]
		if !c.HalfClosed() {
			w.Error("the stream was not half-closed")
		}
		if create, ok := c.Create(); !ok || create.Table != table || create.RecordType != 2 || create.Descriptor != nil {
			w.Errorf("create request %+v", create)
		}
	})
}

func TestCreation_CR05_TerminalCodeIsNotRetried(t *testing.T) {
	for _, code := range []codes.Code{
		codes.Unauthenticated, codes.InvalidArgument, codes.PermissionDenied, codes.NotFound,
		codes.OutOfRange, codes.Unimplemented,
	} {
		t.Run(code.String(), func(t *testing.T) {
			inBubble(t, func(w *world) {
				w.srv.Otherwise(zerobustest.Refuse(code, "no such thing"))
				start := time.Now()
				_, err := w.create(zerobus.WithRecoveryRetries(5))
				wantErr(w, err, zerobus.ErrNonRetriable, "no such thing", table)
				w.took("create", start, 0, 0)
				w.conns(1)
			})
		})
	}
}

func TestCreation_CR06_WithoutRecoveryThereIsOneAttempt(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Otherwise(zerobustest.Refuse(codes.Unavailable, "starting"))
		start := time.Now()
		_, err := w.create(zerobus.WithRecovery(false), zerobus.WithRecoveryTimeout(200*ms), zerobus.WithRecoveryBackoff(200*ms))
		wantErr(w, err, nil, "starting")
		if !zerobus.IsRetriable(err) {
			w.Errorf("%v is not retriable", err)
		}
		w.took("create", start, 0, 0)
		w.conns(1)
	})
}

func TestCreation_CR07_UnavailableOnceIsRetried(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(zerobustest.Refuse(codes.Unavailable, "starting"))
		start := time.Now()
		s := w.open(one(zerobus.WithRecoveryBackoff(100 * time.Millisecond))...)
		w.took("create", start, 100*time.Millisecond, 125*time.Millisecond)
		w.ingest(s, 0, 3)
		w.must(s.Flush(w.Context()))
		reqs := w.conns(2)[1].Requests()
		if len(reqs) != 3 || reqs[2].Offset != 2 {
			w.Errorf("requests %+v", reqs)
		}
		w.must(s.Close(w.Context()))
	})
}

// N retries are N+1 attempts (D1). The waits between them double: 100, 200, 400 and 800 ms, and up to a quarter more.
func TestCreation_CR08_RetriesAreExhausted(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Otherwise(zerobustest.Refuse(codes.Unavailable, "starting"))
		start := time.Now()
		_, err := w.create(zerobus.WithRecoveryBackoff(100*ms), zerobus.WithRecoveryRetries(4))
		wantErr(w, err, nil, "starting", "5 failures")
		if status.Code(err) != codes.Unavailable || !zerobus.IsRetriable(err) {
			w.Errorf("code %v, retriable %v", status.Code(err), zerobus.IsRetriable(err))
		}
		w.took("create", start, 1500*ms, 1875*ms)
		w.conns(5)
	})
}

func TestCreation_CR10_LateAnswerIsATimeout(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(zerobustest.Accept(zerobustest.OnCreate(zerobustest.Wait(300 * time.Millisecond))))
		start := time.Now()
		_, err := w.create(zerobus.WithRecovery(false), zerobus.WithRecoveryTimeout(100*time.Millisecond))
		wantErr(w, err, context.DeadlineExceeded, "create_stream")
		w.took("create", start, 100*time.Millisecond, 100*time.Millisecond)
	})
}

func TestCreation_CR11_NeverAnsweredUsesAllAttempts(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Otherwise(zerobustest.Silent())
		start := time.Now()
		_, err := w.create(zerobus.WithRecoveryTimeout(500*time.Millisecond), zerobus.WithRecoveryRetries(4),
			zerobus.WithRecoveryBackoff(100*time.Millisecond))
		wantErr(w, err, context.DeadlineExceeded, "5 failures")
		w.took("create", start, 4000*ms, 4375*ms) // five tries of 500 ms, and waits of 100, 200, 400 and 800 ms
		w.conns(5)
	})
}

func TestCreation_CR12_WrongAnswerUsesAllAttempts(t *testing.T) {
	for name, tt := range map[string]struct {
		action zerobustest.Action
		want   string
	}{
		"the server ends":    {zerobustest.End(), "no response to create_stream"},
		"another payload":    {zerobustest.Send([]byte{0x12, 0x02, 0x08, 0x00}), "no response to create_stream"},
		"nothing meaningful": {zerobustest.Send([]byte{0xff}), "protocol error"},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(w *world) {
				w.srv.Otherwise(zerobustest.Accept(zerobustest.OnCreate(zerobustest.Wait(150*ms), tt.action)))
				start := time.Now()
				_, err := w.create(zerobus.WithRecoveryRetries(4), zerobus.WithRecoveryBackoff(ms))
				wantErr(w, err, nil, tt.want, "5 failures")
				w.took("create", start, 5*150*ms+15*ms, 5*150*ms+19*ms)
				w.conns(5)
			})
		})
	}
}

func TestCreation_CR14_BadEndpoint(t *testing.T) {
	for _, endpoint := range []string{"", "https://", "ftp://host", "host:port", "a b"} {
		_, err := zerobus.New(endpoint, "")
		wantErr(t, err, zerobus.ErrInvalidArgument)
	}
	_, err := zerobus.New("https://host", "https://u:hunter2@host")
	wantErr(t, err, zerobus.ErrInvalidArgument)
	if err != nil && bytes.Contains([]byte(err.Error()), []byte("hunter2")) {
		t.Errorf("%v shows the password", err)
	}
}

func TestCreation_CR16_SDKWithoutStreamsCloses(t *testing.T) {
	sdk, err := zerobus.New("1234.zerobus.us-west-2.cloud.databricks.com", "")
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := sdk.Close(); err != nil {
			t.Error(err)
		}
	}
	_, err = sdk.CreateStream(t.Context(), zerobus.Table(table), auth)
	wantErr(t, err, zerobus.ErrInvalidState)
}

func TestCreation_CR18_CR24_WithoutRecoveryFailuresComeAtOnceAndTimeoutsInTime(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(zerobustest.RefuseAtOnce(codes.Unavailable, "starting"), zerobustest.Silent())
		start := time.Now()
		_, err := w.create(zerobus.WithRecovery(false))
		wantErr(w, err, nil, "starting")
		w.took("create", start, 0, 0)
		_, err = w.create(zerobus.WithRecovery(false), zerobus.WithRecoveryTimeout(200*time.Millisecond))
		wantErr(w, err, context.DeadlineExceeded)
		w.took("create", start, 200*time.Millisecond, 200*time.Millisecond)
	})
}

func TestCreation_CR19_LateHeaders(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(zerobustest.Accept(zerobustest.LateHeaders(), zerobustest.AckAll()))
		s := w.open()
		w.ingest(s, 0, 1)
		w.must(s.Close(w.Context()))
	})
}

func TestCreation_CR20_EmptyStreamID(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Otherwise(zerobustest.Accept(zerobustest.StreamID("")))
		_, err := w.create(zerobus.WithRecoveryRetries(0))
		wantErr(w, err, nil, "stream id")
		w.conns(1)
	})
}

func TestCreation_CR21_ContextEndsWhileConnecting(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Otherwise(zerobustest.Silent())
		start := time.Now()
		_, err := w.sdk.CreateStream(w.timeout(300*time.Millisecond), zerobus.Table(table), auth)
		wantErr(w, err, context.DeadlineExceeded)
		w.took("create", start, 300*time.Millisecond, 300*time.Millisecond)

		ctx, cancel := context.WithCancel(w.Context())
		cancel()
		_, err = w.sdk.CreateStream(ctx, zerobus.Table(table), auth)
		wantErr(w, err, context.Canceled)
		w.conns(1)
	})
}

func TestCreation_CR22_BadSettings(t *testing.T) {
	inBubble(t, func(w *world) {
		_, err := w.create(zerobus.WithMaxInflightRecords(0), zerobus.WithMaxInflightBytes(-1), zerobus.WithMaxBatchBytes(11<<20),
			zerobus.WithMaxBatchRecords(-1), zerobus.WithRecoveryTimeout(-1), zerobus.WithRecoveryBackoff(-1),
			zerobus.WithRecoveryRetries(-1), zerobus.WithFlushTimeout(0), zerobus.WithServerAckTimeout(0),
			zerobus.WithCallbackTimeout(-1), zerobus.WithBatchPause(time.Second))
		wantErr(w, err, zerobus.ErrInvalidArgument, "BatchPause", "MaxInflightRecords", "MaxInflightBytes", "MaxBatchBytes",
			"MaxBatchRecords", "RecoveryTimeout", "RecoveryBackoff", "RecoveryRetries", "FlushTimeout", "ServerAckTimeout",
			"CallbackTimeout")
		_, err = w.sdk.CreateStream(w.Context(), zerobus.TableProperties{Name: table, RecordType: 3}, auth)
		wantErr(w, err, zerobus.ErrInvalidArgument, "RecordType(3)")
		_, err = w.sdk.CreateStream(w.Context(), zerobus.Table(table), nil)
		wantErr(w, err, zerobus.ErrInvalidArgument)
		w.conns(0)
	})
}

func TestCreation_CR25_NoRetriesIsOneAttempt(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(zerobustest.Refuse(codes.Unavailable, "starting"))
		_, err := w.create(zerobus.WithRecoveryRetries(0))
		wantErr(w, err, nil, "starting")
		w.conns(1)

		// And the one attempt is a real one.
		s := w.open(zerobus.WithRecoveryRetries(0))
		w.ingest(s, 0, 1)
		w.must(s.Close(w.Context()))
		wantRecords(w, "durable", w.conns(2)[1].Records(), 0, 1)
	})
}

func TestSettings_UT06_Defaults(t *testing.T) {
	s := zerobus.DefaultStreamSettings()
	if s.MaxInflightRecords != 50_000 || !s.Recovery || s.RecoveryTimeout != 15*time.Second || s.RecoveryBackoff != 2*time.Second ||
		s.RecoveryRetries != 3 || s.FlushTimeout != 300*time.Second || s.ServerAckTimeout != time.Minute || s.AckCallback != nil ||
		s.MaxInflightBytes != 64<<20 || s.MaxBatchBytes != 1<<20 {
		t.Errorf("defaults %+v", s)
	}
	if err := s.Validate(); err != nil {
		t.Error(err)
	}
	inBubble(t, func(w *world) {
		all := zerobus.DefaultStreamSettings()
		all.RecoveryRetries = 7
		s := w.open(zerobus.WithStreamSettings(all), zerobus.WithMaxInflightRecords(10_000), zerobus.WithRecovery(true),
			zerobus.WithRecoveryTimeout(20*time.Second))
		got := s.Settings()
		if got.RecoveryRetries != 7 || got.MaxInflightRecords != 10_000 || got.RecoveryTimeout != 20*time.Second || got.FlushTimeout != 300*time.Second {
			w.Errorf("settings %+v", got)
		}
		w.must(s.Close(w.Context()))
	})
}
