package server_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/zerobus-go/zerobus"
	"github.com/zerobus-go/zerobus/internal/wire"
	"github.com/zerobus-go/zerobus/server"
)

// administer asks the administration's endpoints with the token of the data directory.
func (h *harness) administer(op, body string) (int, map[string]any) {
	h.t.Helper()
	token, err := os.ReadFile(filepath.Join(h.DataDir(), "admin.token"))
	if err != nil {
		h.t.Fatal(err)
	}
	req, err := http.NewRequest(http.MethodPost, h.WorkspaceURL()+"/api/zerobus/v1/admin/"+op, strings.NewReader(body))
	if err != nil {
		h.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	return h.do(req)
}

// ingest sends records until the stream ends, and returns its error.
func ingest(ctx context.Context, t *testing.T, stream *zerobus.Stream) error {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for i := range int64(mostNumbers) {
		<-tick.C
		if _, err := stream.Ingest(ctx, zerobus.JSONString(numbered(i))); err != nil {
			return err
		}
	}
	t.Fatal("the stream does not end")
	return nil
}

// A principal that was deleted writes until its stream is rotated; its token opens no other.
func TestPrincipal_DeletionEndsItsStreams(t *testing.T) {
	h := start(t, func(c *server.Config) { c.StreamLifetime = 300 * time.Millisecond })
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	stream, err := h.sdk().CreateStream(ctx, zerobus.Table(airQuality), h.credentials(), zerobus.WithRecoveryBackoff(time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	token := h.token(airQuality)
	if code, v := h.administer("principal/delete", `{"principal":"writer"}`); code != http.StatusOK {
		t.Fatalf("%d %v", code, v)
	}
	if err := ingest(ctx, t, stream); !errors.Is(err, zerobus.ErrAuth) {
		t.Errorf("the stream ended with %v", err)
	}
	again := h.open("authorization", "Bearer "+token, "x-databricks-zerobus-table-name", airQuality)
	again.send(wire.AppendCreateStream(nil, wire.CreateStream{Table: airQuality, Type: wire.JSON, HasType: true}))
	if _, err := again.end(); err == nil || !strings.Contains(err.Error(), "PermissionDenied") {
		t.Errorf("the token of a principal that is gone: %v", err)
	}
}

// Keys that are revoked end every token at once. A stream that is open goes on, and its client gets a token of the new key when it
// is rotated; so nobody notices but those who have no secret.
func TestPrincipal_RevokedKeysAreReplacedBehindTheScenes(t *testing.T) {
	h := start(t, func(c *server.Config) { c.StreamLifetime = 300 * time.Millisecond })
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	w := &witness{}
	stream, err := h.sdk(zerobus.WithHooks(w)).CreateStream(ctx, zerobus.Table(airQuality), h.credentials(), zerobus.WithRecoveryBackoff(time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	old := h.token(airQuality)
	if code, v := h.administer("token-keys/rotate", `{"revoke":true}`); code != http.StatusOK {
		t.Fatalf("%d %v", code, v)
	}
	r := h.open("authorization", "Bearer "+old, "x-databricks-zerobus-table-name", airQuality)
	if _, err := r.recv(); err == nil || !strings.Contains(err.Error(), "Unauthenticated") {
		t.Errorf("a token of a revoked key: %v", err)
	}
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for i, rotations := int64(0), 0; rotations < 2; rotations, _ = w.saw() {
		<-tick.C
		if _, err := stream.Ingest(ctx, zerobus.JSONString(numbered(i))); err != nil {
			t.Fatal(err)
		}
		i++
	}
	if err := stream.Close(ctx); err != nil {
		t.Error(err)
	}
}

// A rotation changes nothing for tokens that were issued before, unless it revokes them.
func TestTokenKey_Rotation(t *testing.T) {
	h := start(t)
	opens := func(token string) error {
		c := h.open("authorization", "Bearer "+token, "x-databricks-zerobus-table-name", airQuality)
		c.send(wire.AppendCreateStream(nil, wire.CreateStream{Table: airQuality, Type: wire.JSON, HasType: true}))
		if err := c.CloseSend(); err != nil {
			return err
		}
		if _, err := c.end(); !errors.Is(err, io.EOF) { // io.EOF is a good end
			return err
		}
		return nil
	}
	before := h.token(airQuality)
	code, v := h.administer("token-keys/rotate", `{}`)
	if code != http.StatusOK || v["kid"] == "" || v["revoked"] != false {
		t.Fatalf("%d %v", code, v)
	}
	between := h.token(airQuality)
	for name, token := range map[string]string{"before": before, "after": between} {
		if err := opens(token); err != nil {
			t.Errorf("a token from %s the rotation: %v", name, err)
		}
	}
	if code, v = h.administer("token-keys/rotate", `{"revoke":true}`); code != http.StatusOK || v["revoked"] != true {
		t.Fatalf("%d %v", code, v)
	}
	for name, token := range map[string]string{"before": before, "between": between} {
		if err := opens(token); err == nil || !strings.Contains(err.Error(), "token is not valid") {
			t.Errorf("a token from %s the rotations: %v", name, err)
		}
	}
	if err := opens(h.token(airQuality)); err != nil {
		t.Error(err)
	}
}
