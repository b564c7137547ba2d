package zerobus_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/zerobus-go/zerobus"
)

// Whatever is printed with whatever verb, also from within a user's struct, shows no secret.
func TestPrinting_AU12_NothingShowsTheSecret(t *testing.T) {
	inBubble(t, func(w *world) {
		sdk := w.newSDK(zerobus.WithProxy(&url.URL{Scheme: "http", User: url.UserPassword("u", "proxy-secret"), Host: "p:1"}))
		defer sdk.Close()
		s, err := sdk.CreateStream(w.Context(), zerobus.Table(table), credentials)
		w.must(err)
		ack := w.ingest(s, 0, 1)[0]
		w.must(s.Flush(w.Context()))
		provider := zerobus.NewOAuthHeadersProvider(zerobus.OAuthConfig{Credentials: credentials})
		type users struct {
			stream   *zerobus.Stream
			ack      zerobus.Ack
			sdk      *zerobus.SDK
			provider zerobus.HeadersProvider
		}
		mine := users{s, ack, sdk, provider}
		w.must(s.Close(w.Context())) // a living stream would be read while it is written
		w.must(sdk.Close())
		for _, v := range []any{s, ack, sdk, provider, []any{s, ack, sdk}, mine, &mine} {
			for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%t", "%d", "%x", "%p", "%T"} {
				text := fmt.Sprintf(verb, v)
				for _, secret := range []string{secret, "proxy-secret", fmt.Sprintf("%x", secret)} {
					if strings.Contains(text, secret) {
						t.Errorf("%s of a %T shows %s", verb, v, secret)
					}
				}
			}
		}
		if got := fmt.Sprintf("%v, %s", ack, s); !strings.HasPrefix(got, "ack of offset 0, stream 0") || !strings.HasSuffix(got, "to main.default.air_quality, CLOSED") {
			t.Errorf("printed %q", got)
		}
		if got := fmt.Sprint((*zerobus.Stream)(nil), (*zerobus.SDK)(nil), &zerobus.Stream{}, zerobus.Ack{}); got != "no stream no SDK no stream ack of offset -1" {
			t.Errorf("printed %q", got)
		}
	})
}
