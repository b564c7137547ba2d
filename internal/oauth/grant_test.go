package oauth

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// Pitfall 58.
func TestCache_RejectDropsItsOwnGeneration(t *testing.T) {
	w := &workspace{lifetime: time.Hour}
	cfg := w.config()
	var c Cache
	first := mustGet(t, t.Context(), &c, cfg, 1, true)
	late := mustGet(t, t.Context(), &c, cfg, 1, false)
	first.Reject()
	mustGet(t, t.Context(), &c, cfg, 2, true)
	late.Reject()
	first.Reject()
	second := mustGet(t, t.Context(), &c, cfg, 2, false)
	w.wantCalls(t, 2)
	second.Reject()
	mustGet(t, t.Context(), &c, cfg, 3, true)
	Grant{}.Reject() // has none
}

func TestCache_RejectDuringTheRenewal(t *testing.T) {
	for name, tt := range map[string]struct {
		status  int
		delay   time.Duration
		timeout time.Duration
		token   int // 0 for an error
		took    time.Duration
	}{
		"newer token stays":            {0, 5 * time.Second, time.Minute, 2, 5 * time.Second},
		"no way back if it fails":      {503, 5 * time.Second, time.Minute, 0, 5 * time.Second},
		"half of the time is not all":  {0, 15 * time.Second, 20 * time.Second, 2, 15 * time.Second},
		"no way back when time is out": {0, 25 * time.Second, 20 * time.Second, 0, 20 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := &workspace{lifetime: time.Hour}
				cfg := w.config()
				var c Cache
				old := mustGet(t, t.Context(), &c, cfg, 1, true)
				time.Sleep(56 * time.Minute)
				w.status, w.delay = tt.status, tt.delay
				ctx, cancel := context.WithTimeout(t.Context(), tt.timeout)
				defer cancel()
				renewal := getLater(ctx, &c, cfg)
				time.Sleep(time.Second)
				old.Reject()
				joined := getLater(ctx, &c, cfg)
				for i, ch := range []<-chan answer{renewal, joined} {
					a := <-ch
					if tt.token == 0 && a.err == nil || tt.token != 0 && (a.err != nil || a.Access() != access(tt.token)) {
						t.Errorf("%v, %v", a.Grant, a.err)
					}
					if want := tt.took - time.Duration(i)*time.Second; a.took != want {
						t.Errorf("took %v, want %v", a.took, want)
					}
				}
				old.Reject()
				w.wantCalls(t, 2)
				if tt.token != 0 {
					mustGet(t, t.Context(), &c, cfg, tt.token, false)
				}
				synctest.Wait()
			})
		})
	}
}

func TestCache_AU12_NothingIsPrinted(t *testing.T) {
	w := &workspace{lifetime: time.Hour}
	var holder struct { // fmt calls no methods on what is in unexported fields
		cache Cache
		grant Grant
		other *Cache
	}
	c := &holder.cache
	holder.other = c
	holder.grant = mustGet(t, t.Context(), c, w.config(), 1, true)
	other := w.config()
	other.Table = "main.default.other"
	kept := mustGet(t, t.Context(), c, other, 2, true)

	values := []any{holder.grant, &holder.grant, kept, Grant{}, c, &holder, struct{ G Grant }{kept}, []Grant{kept}, kept.lease, kept.lease.key}
	f := &flight{lease: kept.lease}
	values = append(values, f)
	noTraces := func(text string) {
		t.Helper()
		noSecrets(t, text)
		for _, s := range []string{secret, token} {
			if strings.Contains(strings.ToLower(text), hex.EncodeToString([]byte(s))) {
				t.Errorf("%q contains %q in hexadecimal", text, s)
			}
		}
	}
	for _, v := range values {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x", "%X"} {
			noTraces(fmt.Sprintf(verb, v))
		}
		var log bytes.Buffer
		slog.New(slog.NewTextHandler(&log, nil)).Info("m", "v", v)
		slog.New(slog.NewJSONHandler(&log, nil)).Info("m", "v", v)
		noTraces(log.String())
		if b, err := json.Marshal(v); err == nil {
			noTraces(string(b))
		}
	}
	for v, want := range map[any]string{
		c:                        "2 tokens (hidden)",
		Grant{}:                  "no token",
		holder.grant:             "token (hidden), expires in 1h0m0s from its request",
		Grant{lease: kept.lease}: "token (hidden), expires in 1h0m0s from its request, shared",
	} {
		if got := fmt.Sprint(v); got != want {
			t.Errorf("prints %q, want %q", got, want)
		}
	}
}
