package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/zerobus-go/zerobus"
	"github.com/zerobus-go/zerobus/zerobustest"
	"google.golang.org/grpc/codes"
)

const loadTable = "main.default.events"

// loadTest is a scripted server and an SDK in a bubble with a clock of its own. What a load leaves running fails the test.
type loadTest struct {
	*testing.T
	srv *zerobustest.Server
	sdk *zerobus.SDK
}

func inBubble(t *testing.T, f func(w *loadTest)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &loadTest{T: t, srv: zerobustest.New(zerobustest.InMemory())}
		defer w.srv.Close()
		var err error
		w.sdk, err = zerobus.New(w.srv.Endpoint(), w.srv.WorkspaceURL(), zerobus.WithDialer(w.srv.Dialer()), zerobus.WithHTTPClient(w.srv.HTTPClient()))
		if err != nil {
			t.Fatal(err)
		}
		defer w.sdk.Close()
		f(w)
	})
}

// loader reads standard input, which is the given.
func (w *loadTest) loader(stdin io.Reader, opts ...zerobus.StreamOption) *loader {
	return &loader{
		sdk:    w.sdk,
		target: &target{table: loadTable, creds: zerobus.ClientCredentials{ID: "id", Secret: "secret"}},
		inputs: []input{{name: stdinName, size: -1}}, stdin: stdin, options: opts, meter: newMeter(0),
	}
}

// ndjson is n records, {"n":0} and so on.
func ndjson(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "{\"n\":%d}\n", i)
	}
	return b.String()
}

// durable checks that the table has the records of ndjson(n), in order and once.
func (w *loadTest) durable(n int) {
	w.Helper()
	got := w.srv.Records(loadTable)
	if len(got) != n {
		w.Errorf("%d records are durable, want %d", len(got), n)
	}
	for i, rec := range got {
		if want := fmt.Sprintf(`{"n":%d}`, i); string(rec) != want {
			w.Fatalf("record %d is %s, want %s", i, rec, want)
		}
	}
}

// wantStopped checks an early end, and that what it says is so.
func (w *loadTest) wantStopped(err error, place string, durable int64, cause ...string) {
	w.Helper()
	var early *stopped
	if !errors.As(err, &early) {
		w.Fatalf("error %v, want an early end", err)
	}
	if early.place != place || early.durable != durable {
		w.Errorf("place %q, %d durable; want %q, %d (%v)", early.place, early.durable, place, durable, err)
	}
	for _, text := range append(cause, fmt.Sprintf("go on with --skip %d", durable)) {
		if !strings.Contains(err.Error(), text) {
			w.Errorf("error %q does not say %q", err, text)
		}
	}
}

// one has every record be a message, so that scripts can count.
var one = zerobus.WithMaxBatchRecords(1)

func TestLoad_All(t *testing.T) {
	inBubble(t, func(w *loadTest) {
		l := w.loader(strings.NewReader("\n" + ndjson(5_000) + "\n"))
		if err := l.run(w.Context()); err != nil {
			t.Fatal(err)
		}
		w.durable(5_000)
		if r := l.meter.look(); r.records != 5_000 || r.bytes != int64(len(ndjson(5_000))-5_000) {
			t.Errorf("the meter says %d records, %d bytes", r.records, r.bytes)
		}
	})
}

func TestLoad_FailureThatOutlastsRecovery(t *testing.T) {
	inBubble(t, func(w *loadTest) {
		w.srv.Script(zerobustest.Accept(zerobustest.On(3, zerobustest.Ack(2), zerobustest.Wait(time.Millisecond), zerobustest.Fail(codes.Unavailable, "lost"))))
		w.srv.Otherwise(zerobustest.Refuse(codes.Unavailable, "gone"))
		err := w.loader(strings.NewReader(ndjson(10)), one).run(w.Context())
		w.wantStopped(err, "", 3, "gone")
		w.durable(3)
	})
}

func TestLoad_NoStreamIsNoEarlyEnd(t *testing.T) {
	inBubble(t, func(w *loadTest) {
		w.srv.RefuseTokens(401, "invalid_client", "Client authentication failed")
		err := w.loader(strings.NewReader(ndjson(1))).run(w.Context())
		var early *stopped
		if !errors.Is(err, zerobus.ErrAuth) || errors.As(err, &early) || !strings.Contains(err.Error(), "invalid_client") {
			t.Errorf("error %v", err)
		}
	})
}

func TestLoad_NobodyThere(t *testing.T) {
	for name, away := range map[string]func(*zerobustest.Server){
		"no streams": func(s *zerobustest.Server) { s.Otherwise(zerobustest.Refuse(codes.Unavailable, "gone")) },
		"no tokens": func(s *zerobustest.Server) {
			s.HandleToken(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(w *loadTest) {
				away(w.srv)
				l := w.loader(strings.NewReader(ndjson(1)))
				l.target.endpoint, l.target.workspace = "http://here:1", "http://there:2"
				err := l.run(w.Context())
				if want := "streams go to http://here:1, tokens come from http://there:2"; err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("error %v does not say %q", err, want)
				}
			})
		})
	}
}

func TestStopped_OneRecord(t *testing.T) {
	for e, want := range map[stopped]string{
		{cause: "gone"}:             "gone; 0 records are durable; go on with --skip 0",
		{cause: "gone", durable: 1}: "gone; 1 record is durable; go on with --skip 1",
		{cause: "gone", durable: 1, skipped: 2, place: "f:4"}: "f:4: gone; 1 record, after the 2 skipped ones, is durable; fix the line and go on with --skip 3",
	} {
		if got := e.Error(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// A server may refuse a record before it has acknowledged those before it. They are not blamed.
func TestLoad_BlamesTheRecordThatIsRefusedAlone(t *testing.T) {
	inBubble(t, func(w *loadTest) {
		w.srv.Script(
			zerobustest.Accept(zerobustest.On(0, zerobustest.Wait(time.Millisecond), zerobustest.Fail(codes.InvalidArgument, "one of them is bad"))),
			// All again, one a message. Records 3 to 5 are good, and yet not acknowledged.
			zerobustest.Accept(zerobustest.On(6, zerobustest.Ack(2), zerobustest.Wait(time.Millisecond), zerobustest.Fail(codes.InvalidArgument, "it is bad"))),
			// One after the other, from record 3.
			zerobustest.Accept(
				zerobustest.On(0, zerobustest.Ack(0)), zerobustest.On(1, zerobustest.Ack(1)), zerobustest.On(2, zerobustest.Ack(2)),
				zerobustest.On(3, zerobustest.Fail(codes.InvalidArgument, "it is really bad."))),
		)
		in, producer := io.Pipe()
		go func() {
			// All in one write, and no end, so that all are on their way when the server refuses.
			_, _ = producer.Write([]byte("\n\n" + strings.ReplaceAll(ndjson(10), "}\n", "}\n\n"))) // the load gets it or the test fails
		}()
		defer producer.Close()
		err := w.loader(in).run(w.Context())
		// Record 6 is on line 2 + 2·6 + 1.
		w.wantStopped(err, "stdin:15", 6, "stdin:15: it is really bad; 6 records are durable; fix the line and go on")
		w.durable(6)
	})
}

func TestLoad_RefusedTogetherTakenAlone(t *testing.T) {
	inBubble(t, func(w *loadTest) {
		w.srv.Script(zerobustest.Accept(zerobustest.On(0, zerobustest.Fail(codes.InvalidArgument, "too much at a time"))))
		err := w.loader(strings.NewReader(ndjson(10))).run(w.Context())
		n := int64(len(w.srv.Records(loadTable)))
		if n == 0 {
			t.Fatal("nothing was sent again")
		}
		w.wantStopped(err, "", n, "too much at a time", "--max-batch-records")
		w.durable(int(n))
	})
}

func TestLoad_FailureWhileBlaming(t *testing.T) {
	for _, tt := range []struct {
		name    string
		then    []zerobustest.Behavior
		durable int64
		cause   string
	}{
		{"no second stream", []zerobustest.Behavior{
			zerobustest.Refuse(codes.PermissionDenied, "the kept token is not good enough any more"),
			zerobustest.Refuse(codes.PermissionDenied, "no longer"), // nor is a new one
		}, 0, "no longer"},
		{"the table is broken", []zerobustest.Behavior{zerobustest.Refuse(codes.InvalidArgument, "cannot be opened")}, 0, "cannot be opened"},
		{"second stream fails", []zerobustest.Behavior{zerobustest.Accept(zerobustest.On(1, zerobustest.Ack(0), zerobustest.Wait(time.Millisecond), zerobustest.Fail(codes.NotFound, "dropped")))}, 1, "dropped"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, func(w *loadTest) {
				w.srv.Script(append([]zerobustest.Behavior{zerobustest.Accept(zerobustest.On(4, zerobustest.Fail(codes.InvalidArgument, "bad")))}, tt.then...)...)
				err := w.loader(strings.NewReader(ndjson(10)), one).run(w.Context())
				w.wantStopped(err, "", tt.durable, tt.cause)
				w.durable(int(tt.durable))
			})
		})
	}
}

func TestLoad_InterruptedWhileNothingComesIn(t *testing.T) {
	inBubble(t, func(w *loadTest) {
		in, producer := io.Pipe()
		defer producer.Close()
		ctx, interrupt := context.WithCancel(w.Context())
		go func() {
			_, _ = producer.Write([]byte(ndjson(3))) // the load gets it or the test fails
			if err := w.srv.WaitRecords(w.Context(), loadTable, 3); err != nil {
				t.Error(err)
			}
			interrupt()
		}()
		err := w.loader(in).run(ctx)
		w.wantStopped(err, "", 3, "interrupted; 3 records are durable")
		w.durable(3)
	})
}

func TestLoad_InterruptedWaitsForWhatIsOnItsWay(t *testing.T) {
	for _, tt := range []struct {
		name     string
		behavior zerobustest.Behavior
		durable  int64
		took     time.Duration
	}{
		{"acknowledged in time", zerobustest.Accept(zerobustest.AckAllAfter(4 * time.Second)), 3, 4 * time.Second},
		{"never acknowledged", zerobustest.Accept(), 0, flushGrace},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, func(w *loadTest) {
				w.srv.Script(tt.behavior)
				in, producer := io.Pipe()
				defer producer.Close()
				ctx, interrupt := context.WithCancel(w.Context())
				var start time.Time
				go func() {
					_, _ = producer.Write([]byte(ndjson(3))) // the load gets it or the test fails
					synctest.Wait()
					start = time.Now()
					interrupt()
				}()
				err := w.loader(in).run(ctx)
				w.wantStopped(err, "", tt.durable, "interrupted")
				w.durable(int(tt.durable))
				if took := time.Since(start); took < tt.took || took > tt.took+time.Second {
					t.Errorf("it took %v, want %v", took, tt.took)
				}
			})
		})
	}
}

// A load of a pipe on which nothing comes in does not hang on a stream that has failed.
func TestLoad_StreamFailsWhileNothingComesIn(t *testing.T) {
	inBubble(t, func(w *loadTest) {
		w.srv.Script(zerobustest.Accept(zerobustest.On(0, zerobustest.Fail(codes.NotFound, "dropped"))))
		in, producer := io.Pipe()
		defer producer.Close()
		go func() { _, _ = producer.Write([]byte(ndjson(1))) }() // the load gets it or the test fails
		w.wantStopped(w.loader(in).run(w.Context()), "", 0, "dropped")
	})
}

func TestLoad_LineThatCannotBeSent(t *testing.T) {
	for _, tt := range []struct{ name, bad, cause string }{
		{"not UTF-8", "{\"n\":\"\xff\"}", "UTF-8"},
		{"too long", strings.Repeat("x", maxRecord+100), "longer than the limit of 10,420,224 bytes"},
		{"too long with its framing", strings.Repeat("x", maxRecord), "at most 10420224"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, func(w *loadTest) {
				err := w.loader(strings.NewReader(ndjson(100) + "\n" + tt.bad + "\n" + ndjson(1))).run(w.Context())
				w.wantStopped(err, "stdin:102", 100, tt.cause)
				w.durable(100)
			})
		})
	}
}

func TestLoad_ReadFails(t *testing.T) {
	inBubble(t, func(w *loadTest) {
		in, producer := io.Pipe()
		go func() {
			_, _ = producer.Write([]byte(ndjson(3) + `{"n":`)) // the load gets it or the test fails
			producer.CloseWithError(errors.New("broken"))
		}()
		w.wantStopped(w.loader(in).run(w.Context()), "", 3, "stdin, behind line", "broken")
		w.durable(3)
	})
}

func TestLoad_Skip(t *testing.T) {
	for _, tt := range []struct {
		skip int64
		want int
		err  string
	}{{0, 5, ""}, {2, 3, ""}, {5, 0, ""}, {6, 0, "--skip 6: the inputs have only 5 records"}} {
		t.Run(fmt.Sprint(tt.skip), func(t *testing.T) {
			inBubble(t, func(w *loadTest) {
				l := w.loader(strings.NewReader("\n" + ndjson(5)))
				l.skip = tt.skip
				err := l.run(w.Context())
				if got := fmt.Sprint(err); tt.err == "" && err != nil || tt.err != "" && got != tt.err {
					t.Errorf("error %v, want %q", err, tt.err)
				}
				got := w.srv.Records(loadTable)
				if len(got) != tt.want {
					t.Fatalf("%d records, want %d", len(got), tt.want)
				}
				for i, rec := range got {
					if want := fmt.Sprintf(`{"n":%d}`, int(tt.skip)+i); string(rec) != want {
						t.Errorf("record %s, want %s", rec, want)
					}
				}
			})
		})
	}
}

func TestLoad_SkipIsPartOfWhatToGoOnWith(t *testing.T) {
	inBubble(t, func(w *loadTest) {
		l := w.loader(strings.NewReader(ndjson(5) + "\xff\n"))
		l.skip = 3
		err := l.run(w.Context())
		const want = "2 records, after the 3 skipped ones, are durable; fix the line and go on with --skip 5"
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one that says %q", err, want)
		}
	})
}

// However many lines are blank, the places of durable records are forgotten.
func TestLoad_PlacesAreForgotten(t *testing.T) {
	inBubble(t, func(w *loadTest) {
		const inflight = 1000
		l := w.loader(strings.NewReader(strings.ReplaceAll(ndjson(50_000), "\n", "\n\n")), zerobus.WithMaxInflightRecords(inflight))
		if err := l.run(w.Context()); err != nil {
			t.Fatal(err)
		}
		if most := 4 * (inflight + publishEvery + 1); len(l.places.marks) > most {
			t.Errorf("%d marks, want at most %d", len(l.places.marks), most)
		}
	})
}
