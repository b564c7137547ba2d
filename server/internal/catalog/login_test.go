package catalog

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"
)

// counted replaces the slow hash by a fast one that counts.
func counted(c *Catalog) *atomic.Int64 {
	n := new(atomic.Int64)
	c.logins.hash = func(secret string) string { return "hash of " + secret }
	c.logins.verify = func(hash, secret string) bool {
		n.Add(1)
		return hash == "hash of "+secret
	}
	return n
}

func enlist(t *testing.T, c *Catalog, name string) (Principal, string) {
	t.Helper()
	p, secret, err := c.CreatePrincipal(name)
	if err != nil {
		t.Fatal(err)
	}
	return p, secret
}

func TestPrincipal_LoginWithTheRealHash(t *testing.T) {
	path := filepath.Join(t.TempDir(), "catalog.db")
	c := openAt(t, path)
	p, secret := enlist(t, c, "ingest")
	if _, err := uuid.Parse(p.ID); err != nil || p.Name != "ingest" || p.Created.IsZero() || p.SecretCreated != p.Created {
		t.Errorf("got %+v", p)
	}
	if len(secret) < 50 || !strings.HasPrefix(secret, "zbs_") || strings.Trim(secret, "abcdefghijklmnopqrstuvwxyz234567_") != "" {
		t.Errorf("a secret of %d characters", len(secret))
	}
	for range 2 {
		if got, err := c.Authenticate(t.Context(), "test", p.ID, secret); err != nil || got != p {
			t.Errorf("got %+v, %v", got, err)
		}
	}
	for _, wrong := range []string{secret[1:], strings.ToUpper(secret)} {
		_, err := c.Authenticate(t.Context(), "test", p.ID, wrong)
		if err != ErrBadCredentials {
			t.Errorf("%q: %v", wrong, err)
		}
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(b, []byte(secret)) || bytes.Contains(b, []byte(strings.TrimPrefix(secret, secretPrefix))) {
		t.Error("the file has the secret")
	}
	if !bytes.Contains(b, []byte("$argon2id$v=19$m=19456,t=2,p=1$")) {
		t.Error("the file has no hash")
	}
}

func TestHash(t *testing.T) {
	h := hashSecret("secret")
	if !verifyHash(h, "secret") || verifyHash(h, "secret2") {
		t.Error("verifyHash is wrong")
	}
	if salt, _ := decodeHash(h); bytes.Equal(salt, make([]byte, argonSalt)) {
		t.Error("there is no salt")
	}
	// Made by another implementation, the Python package argon2-cffi:
	// hash_secret(b"password", b"somesaltsomesalt", 2, 19456, 1, 32, Type.ID)
	const known = "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$K13EBUiG7JV+9ZxztmHFTdb7J0WQsnj2V8bZaqyPptE"
	if !verifyHash(known, "password") {
		t.Error("a hash made elsewhere does not match")
	}
	zeros := encodeHash(make([]byte, argonSalt), make([]byte, argonKey))
	for _, broken := range []string{"", "x", h[:len(h)-1], h + "A", strings.Replace(h, "t=2", "t=1", 1), strings.Replace(h, "argon2id", "argon2ix", 1), h[:len(h)-1] + "!", strings.Repeat("$", len(h))} {
		if salt, sum := decodeHash(broken); salt != nil || sum != nil {
			t.Errorf("%q is read as a hash", broken)
		}
	}
	if verifyHash("", "") || verifyHash(zeros, "") {
		t.Error("no hash matches")
	}
}

func TestPrincipal_Names(t *testing.T) {
	c := open(t)
	counted(c)
	enlist(t, c, "Ann Lee")
	_, _, err := c.CreatePrincipal("ann lee")
	fails(t, err, ErrExists, "principal ann lee exists already")
	for _, name := range []string{
		"", " a", "a ", "a`b", "a\nb", "a\x00", "\xff", strings.Repeat("a", 256),
		"0b1c2d3e-0000-4000-8000-000000000001", "0B1C2D3E000040008000000000000001", "{0b1c2d3e-0000-4000-8000-000000000001}",
	} {
		_, secret, err := c.CreatePrincipal(name)
		fails(t, err, ErrInvalid, "the principal's name")
		if secret != "" {
			t.Errorf("%q: a secret with an error", name)
		}
	}
	enlist(t, c, strings.Repeat("ü", 127))
	enlist(t, c, "bob")
	list, err := c.Principals()
	if err != nil || len(list) != 3 || list[0].Name != "Ann Lee" || list[1].Name != "bob" {
		t.Errorf("got %+v, %v", list, err)
	}
	for _, by := range []string{"BOB", "bob", list[1].ID, strings.ToUpper(list[1].ID)} {
		if got, err := c.Principal(by); err != nil || got != list[1] {
			t.Errorf("%s: %+v, %v", by, got, err)
		}
	}
	_, err = c.Principal("none")
	fails(t, err, ErrNotFound, `principal "none" does not exist`)
}

func TestAuthenticate_CachesWhatWasRight(t *testing.T) {
	c := open(t)
	hashes := counted(c)
	p, secret := enlist(t, c, "p")
	for range 10 {
		if _, err := c.Authenticate(t.Context(), "test", p.ID, secret); err != nil {
			t.Fatal(err)
		}
	}
	if n := hashes.Load(); n != 1 {
		t.Errorf("%d slow hashes for one pair", n)
	}
}

func TestAuthenticate_UnknownCostsTheSameAsWrong(t *testing.T) {
	c := open(t)
	hashes := counted(c)
	p, secret := enlist(t, c, "p")
	for _, x := range []struct{ id, secret string }{
		{p.ID, "wrong"},
		{p.ID, ""},
		{uuid.NewString(), secret},
		{"", secret},
		{"", ""},
		{"p", secret},
		{strings.ToUpper(p.ID), secret},
		{p.ID, "wrong"},
		{strings.Repeat("x", maxPrincipalName), "x"},
	} {
		before := hashes.Load()
		who, err := c.Authenticate(t.Context(), "test", x.id, x.secret)
		if err != ErrBadCredentials || who != (Principal{}) {
			t.Errorf("%.40q: %+v, %v", x.id, who, err)
		}
		if n := hashes.Load() - before; n != 1 {
			t.Errorf("%.40q: %d slow hashes", x.id, n)
		}
	}
	before := hashes.Load()
	for _, x := range [][2]string{{p.ID, strings.Repeat("x", maxSecretLength+1)}, {strings.Repeat("x", maxPrincipalName+1), secret}} {
		if _, err := c.Authenticate(t.Context(), "test", x[0], x[1]); err != ErrBadCredentials {
			t.Error(err)
		}
	}
	if hashes.Load() != before {
		t.Error("what can be no credential costs a hash")
	}
}

func TestAuthenticate_RotatedAndDeleted(t *testing.T) {
	c := open(t)
	counted(c)
	p, old := enlist(t, c, "p")
	login := func(secret string) error { _, err := c.Authenticate(t.Context(), "test", p.ID, secret); return err }
	if err := login(old); err != nil {
		t.Fatal(err)
	}
	q, renewed, err := c.RotateSecret("P")
	if err != nil || q.ID != p.ID || !q.SecretCreated.After(p.SecretCreated) || renewed == old {
		t.Fatalf("got %+v, %v", q, err)
	}
	if len(c.logins.known) != 0 {
		t.Error("the cache keeps the old secret")
	}
	if err := login(old); err != ErrBadCredentials {
		t.Errorf("the old secret: %v", err)
	}
	if err := login(renewed); err != nil {
		t.Errorf("the new secret: %v", err)
	}
	if gone, err := c.DeletePrincipal(p.ID); err != nil || gone != q {
		t.Errorf("got %+v, %v", gone, err)
	}
	if err := login(renewed); err != ErrBadCredentials || len(c.logins.known) != 0 {
		t.Errorf("a deleted principal: %v", err)
	}
	_, secret, err := c.RotateSecret("p")
	fails(t, err, ErrNotFound, `principal "p"`)
	if secret != "" {
		t.Error("a secret with an error")
	}
	_, err = c.DeletePrincipal("p")
	fails(t, err, ErrNotFound, `principal "p"`)
}

// A login that is being checked while the secret is rotated or the principal deleted must neither succeed nor leave a trace in
// the cache that works later.
func TestAuthenticate_ChangeDuringTheHash(t *testing.T) {
	for what, change := range map[string]func(*Catalog, string) error{
		"rotate": func(c *Catalog, id string) error { _, _, err := c.RotateSecret(id); return err },
		"delete": func(c *Catalog, id string) error { _, err := c.DeletePrincipal(id); return err },
	} {
		c := open(t)
		counted(c)
		p, secret := enlist(t, c, "p")
		inner := c.logins.verify
		c.logins.verify = func(hash, secret string) bool {
			if err := change(c, p.ID); err != nil {
				t.Error(err)
			}
			return inner(hash, secret)
		}
		if _, err := c.Authenticate(t.Context(), "test", p.ID, secret); err != ErrBadCredentials {
			t.Errorf("%s: %v", what, err)
		}
		c.logins.verify = inner
		// Even an entry that comes late is dead.
		c.logins.remember(c.logins.digest(p.ID, secret), login{p.ID, "hash of " + secret})
		if _, err := c.Authenticate(t.Context(), "test", p.ID, secret); err != ErrBadCredentials {
			t.Errorf("%s: later %v", what, err)
		}
	}
}

func TestAuthenticate_CacheIsBounded(t *testing.T) {
	var l logins
	l.init()
	for i := range maxLogins + 100 {
		l.remember(l.digest("id", fmt.Sprint(i)), login{"id", "h"})
	}
	if len(l.known) != maxLogins {
		t.Errorf("%d entries", len(l.known))
	}
	if !l.match(l.digest("id", fmt.Sprint(maxLogins+99)), "h") {
		t.Error("the newest entry is not there")
	}
	if l.match(l.digest("id", fmt.Sprint(maxLogins+99)), "another") {
		t.Error("an entry matches another hash")
	}
	if l.digest("ab", "c") == l.digest("a", "bc") {
		t.Error("the digest does not tell id and secret apart")
	}
	var other logins
	other.init()
	if l.digest("a", "b") == other.digest("a", "b") {
		t.Error("the digest's key is not random")
	}
}

func TestAuthenticate_HashesAtOnceAreBounded(t *testing.T) {
	c := open(t)
	counted(c)
	p, secret := enlist(t, c, "p")
	most := cap(c.logins.slots)
	running, let := make(chan struct{}, maxWaiting), make(chan struct{})
	c.logins.verify = func(string, string) bool {
		running <- struct{}{}
		<-let
		return true
	}
	var wg sync.WaitGroup
	for range maxWaiting {
		wg.Go(func() {
			if _, err := c.Authenticate(context.Background(), "test", p.ID, secret); err != nil {
				t.Error(err)
			}
		})
	}
	for range most {
		<-running
	}
	for len(c.logins.waiting) < maxWaiting { // until all have come
		runtime.Gosched()
	}
	if len(running) != 0 {
		t.Errorf("more than %d hashes at once", most)
	}
	if _, err := c.Authenticate(t.Context(), "test", p.ID, secret); err != ErrBusy {
		t.Errorf("one more than may wait: %v", err)
	}
	close(let)
	wg.Wait()
	if len(c.logins.slots) != 0 || len(c.logins.waiting) != 0 {
		t.Error("a place was not given back")
	}
}

func TestAuthenticate_WaitEndsWithTheContext(t *testing.T) {
	c := open(t)
	counted(c)
	p, secret := enlist(t, c, "p")
	for range cap(c.logins.slots) {
		if err := c.logins.acquire(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Authenticate(ctx, "test", p.ID, secret); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	for range cap(c.logins.slots) {
		c.logins.release()
	}
	if len(c.logins.waiting) != 0 {
		t.Error("a place was not given back")
	}
}

func TestAuthenticate_Concurrent(t *testing.T) {
	c := open(t)
	counted(c)
	p, secret := enlist(t, c, "p")
	var current atomic.Pointer[string]
	current.Store(&secret)
	done := make(chan struct{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				if _, err := c.Authenticate(t.Context(), "test", p.ID, *current.Load()); err != nil && err != ErrBadCredentials && !errors.Is(err, ErrLimited) {
					t.Error(err)
				}
			}
		})
	}
	for range 20 {
		_, s, err := c.RotateSecret(p.ID)
		if err != nil {
			t.Error(err)
		}
		current.Store(&s)
	}
	close(done)
	wg.Wait()
	if _, err := c.Authenticate(t.Context(), "elsewhere", p.ID, *current.Load()); err != nil {
		t.Error(err)
	}
	if _, err := c.Authenticate(t.Context(), "elsewhere", p.ID, secret); err != ErrBadCredentials {
		t.Errorf("the first secret: %v", err)
	}
}

// TestSecrets_AreNowhere collects all texts that the package gives out and looks for the secret and its hash.
func TestSecrets_AreNowhere(t *testing.T) {
	c := open(t)
	counted(c) // here the hash has the secret inside
	p, secret := enlist(t, c, "p")
	var texts []string
	say := func(v any, err error) {
		b, jsonErr := json.Marshal(v)
		texts = append(texts, fmt.Sprintf("%v %+v %#v %s %v %v", v, v, v, b, err, jsonErr))
	}
	say(p, nil)
	say(c.Authenticate(t.Context(), "test", p.ID, secret))
	say(c.Authenticate(t.Context(), "test", p.ID, secret+"x"))
	say(c.Authenticate(t.Context(), "test", secret, secret))
	say(c.Authenticate(t.Context(), "test", uuid.NewString(), secret))
	say(c.Principal("p"))
	say(c.Principals())
	say(c.Grants(GrantFilter{}))
	say(NewEngine(c, nil).Exec(t.Context(), "GRANT SELECT ON CATALOG main TO p; SHOW GRANTS p"))
	c.Close()
	say(c.Authenticate(t.Context(), "test", p.ID, secret))
	if len(texts) < 10 {
		t.Fatal("texts are missing")
	}
	for _, text := range texts {
		if strings.Contains(text, strings.TrimPrefix(secret, secretPrefix)[:16]) || strings.Contains(text, "hash of") {
			t.Errorf("a secret is in: %s", text)
		}
	}
}
