package token

import (
	"bytes"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"
)

// clock is a time that the test moves.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) set(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = t
}

var start = time.Date(2026, 5, 6, 7, 8, 9, 500_000_000, time.UTC)

func open(t *testing.T, path string) (*Authority, *clock) {
	t.Helper()
	c := &clock{t: start}
	a, err := Open(path, Options{Now: c.now})
	if err != nil {
		t.Fatal(err)
	}
	return a, c
}

func keyPath(t *testing.T) string { return filepath.Join(t.TempDir(), "token.key") }

var sample = Claims{
	PrincipalID:   "0b1c2d3e-0000-4000-8000-000000000001",
	PrincipalName: "ingest",
	Audience:      "api://databricks/workspaces/1/zerobusDirectWriteApi",
	Grants: []Grant{
		{"unity_catalog_privileges", []string{"USE CATALOG"}, "CATALOG", "main"},
		{"unity_catalog_privileges", []string{"USE SCHEMA"}, "SCHEMA", "main.default"},
		{"unity_catalog_privileges", []string{"SELECT", "MODIFY"}, "TABLE", "main.default.air_quality"},
	},
}

func issue(t *testing.T, a *Authority, c Claims) string {
	t.Helper()
	tok, _, err := a.Issue(c)
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

func TestToken_IssueAndVerify(t *testing.T) {
	a, _ := open(t, keyPath(t))
	for _, c := range []Claims{sample, {PrincipalID: "x"}} {
		tok, expiresIn, err := a.Issue(c)
		if err != nil {
			t.Fatal(err)
		}
		if expiresIn != time.Hour {
			t.Errorf("expires in %v", expiresIn)
		}
		got, err := a.Verify(tok)
		if err != nil {
			t.Fatal(err)
		}
		if len(got.ID) != 36 {
			t.Errorf("id %q", got.ID)
		}
		if !got.Issued.Equal(start.Truncate(time.Second)) || !got.Expires.Equal(start.Add(time.Hour+500*time.Millisecond)) {
			t.Errorf("from %v to %v", got.Issued, got.Expires)
		}
		got.ID, got.Issued, got.Expires = "", time.Time{}, time.Time{}
		if d := cmp.Diff(c, got); d != "" {
			t.Error(d)
		}
	}
	if _, _, err := a.Issue(Claims{}); err == nil {
		t.Error("a token without a principal")
	}
}

func TestToken_ClaimNames(t *testing.T) {
	a, _ := open(t, keyPath(t))
	parts := strings.Split(issue(t, a, sample), ".")
	header, err := base64.RawURLEncoding.DecodeString(parts[0])
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"alg":"EdDSA","kid":"` + a.keys.Load().signer.id + `","typ":"JWT"}`; string(header) != want {
		t.Errorf("header %s, want %s", header, want)
	}
	body, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	c, err := a.Verify(strings.Join(parts, "."))
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"iss":"zerobus","sub":"0b1c2d3e-0000-4000-8000-000000000001","aud":["api://databricks/workspaces/1/zerobusDirectWriteApi"],` +
		`"exp":1778054890,"iat":1778051289,"jti":"ID","name":"ingest","authorization_details":[` +
		`{"type":"unity_catalog_privileges","privileges":["USE CATALOG"],"object_type":"CATALOG","object_full_path":"main"},` +
		`{"type":"unity_catalog_privileges","privileges":["USE SCHEMA"],"object_type":"SCHEMA","object_full_path":"main.default"},` +
		`{"type":"unity_catalog_privileges","privileges":["SELECT","MODIFY"],"object_type":"TABLE","object_full_path":"main.default.air_quality"}]}`
	if got := strings.Replace(string(body), c.ID, "ID", 1); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestToken_Expiry(t *testing.T) {
	a, clock := open(t, keyPath(t))
	tok := issue(t, a, sample)
	clock.set(start.Add(time.Hour)) // expires_in is a promise
	if _, err := a.Verify(tok); err != nil {
		t.Errorf("at the last moment: %v", err)
	}
	clock.set(start.Add(time.Hour + 500*time.Millisecond))
	if _, err := a.Verify(tok); !errors.Is(err, ErrExpired) || errors.Is(err, ErrInvalid) {
		t.Errorf("after the last moment: %v", err)
	}
	clock.set(start.Add(-maxSkew))
	if _, err := a.Verify(tok); err != nil {
		t.Errorf("a clock that was set back a little: %v", err)
	}
	clock.set(start.Add(-maxSkew - time.Second))
	if _, err := a.Verify(tok); !errors.Is(err, ErrInvalid) {
		t.Errorf("a token from the future: %v", err)
	}
}

func TestToken_TooLarge(t *testing.T) {
	a, _ := open(t, keyPath(t))
	c := sample
	for {
		tok, _, err := a.Issue(c)
		if len(tok) > MaxSize {
			t.Fatalf("a token of %d bytes", len(tok))
		}
		if err != nil {
			if !errors.Is(err, ErrTooLarge) || tok != "" {
				t.Errorf("%q, %v", tok, err)
			}
			break
		}
		if _, err := a.Verify(tok); err != nil {
			t.Fatalf("a token of %d bytes: %v", len(tok), err)
		}
		c.PrincipalName += strings.Repeat("n", 50)
	}
	if _, err := a.Verify(issue(t, a, sample) + strings.Repeat("A", MaxSize)); !errors.Is(err, ErrInvalid) {
		t.Error(err)
	}
}

// refused checks that Verify refuses a token as invalid, without quoting it.
func refused(t *testing.T, a *Authority, tok, what string) {
	t.Helper()
	_, err := a.Verify(tok)
	if !errors.Is(err, ErrInvalid) || errors.Is(err, ErrExpired) {
		t.Fatalf("%s: %v", what, err)
	}
	for _, part := range strings.Split(tok, ".") {
		if len(part) > 8 && strings.Contains(err.Error(), part) {
			t.Fatalf("%s: the error quotes the token: %v", what, err)
		}
	}
}

func TestToken_EveryAlteredByteIsNoticed(t *testing.T) {
	a, _ := open(t, keyPath(t))
	tok := issue(t, a, sample)
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.=+/ \n\x00\xff"
	for i := range len(tok) {
		others := []byte{tok[i] ^ 1, tok[i] ^ 0x20, '\n'}
		if i > len(tok)-3 || i < 3 {
			others = []byte(alphabet) // also the unused bits of the last character
		}
		for _, o := range others {
			if o == tok[i] {
				continue
			}
			b := []byte(tok)
			b[i] = o
			refused(t, a, string(b), "byte "+string(rune(o)))
		}
		refused(t, a, tok[:i], "cut")
		refused(t, a, tok[:i]+"\n"+tok[i:], "a line break put in")
	}
	for _, more := range []string{"=", "==", ".", ".x", "A", "\n", " "} {
		refused(t, a, tok+more, "appended")
		refused(t, a, more+tok, "put in front")
	}
	for _, junk := range []string{"", ".", "..", "...", "a.b.c", "e30.e30.", strings.Repeat(".", MaxSize)} {
		refused(t, a, junk, "junk")
	}
}

func TestToken_ForeignKey(t *testing.T) {
	a, _ := open(t, keyPath(t))
	b, _ := open(t, keyPath(t))
	refused(t, a, issue(t, b, sample), "another server's token")
	b.keys.Load().signer.id = a.keys.Load().signer.id
	refused(t, a, issue(t, b, sample), "another key under our id")
}

func TestToken_ForeignIssuer(t *testing.T) {
	path := keyPath(t)
	a, _ := open(t, path)
	b, err := Open(path, Options{Issuer: "other", Now: func() time.Time { return start }})
	if err != nil {
		t.Fatal(err)
	}
	refused(t, a, issue(t, b, sample), "another issuer's token")
}

// sign makes a token by hand, with the true key where the method takes it.
func sign(t *testing.T, method jwt.SigningMethod, key any, kid any, claims jwt.MapClaims) string {
	t.Helper()
	tok := jwt.NewWithClaims(method, claims)
	if kid != nil {
		tok.Header["kid"] = kid
	}
	s, err := tok.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestToken_Forged(t *testing.T) {
	a, _ := open(t, keyPath(t))
	good := func(change func(jwt.MapClaims)) jwt.MapClaims {
		c := jwt.MapClaims{"iss": "zerobus", "sub": "x", "iat": start.Unix(), "exp": start.Add(time.Hour).Unix()}
		if change != nil {
			change(c)
		}
		return c
	}
	kid, private := a.keys.Load().signer.id, a.keys.Load().signer.private
	public := []byte(private.Public().(ed25519.PublicKey))
	if _, err := a.Verify(sign(t, jwt.SigningMethodEdDSA, private, kid, good(nil))); err != nil {
		t.Fatalf("the token that the others differ from: %v", err)
	}
	_, other, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	critical := jwt.NewWithClaims(jwt.SigningMethodEdDSA, good(nil))
	critical.Header["kid"], critical.Header["crit"] = kid, []string{"b64"}
	if critical.Raw, err = critical.SignedString(private); err != nil {
		t.Fatal(err)
	}
	for what, tok := range map[string]string{
		"alg none":               sign(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, kid, good(nil)),
		"HMAC by the public key": sign(t, jwt.SigningMethodHS256, public, kid, good(nil)),
		"another key":            sign(t, jwt.SigningMethodEdDSA, other, kid, good(nil)),
		"no kid":                 sign(t, jwt.SigningMethodEdDSA, private, nil, good(nil)),
		"kid is a number":        sign(t, jwt.SigningMethodEdDSA, private, 7, good(nil)),
		"kid is a path":          sign(t, jwt.SigningMethodEdDSA, private, "../"+kid, good(nil)),
		"no expiry":              sign(t, jwt.SigningMethodEdDSA, private, kid, good(func(c jwt.MapClaims) { delete(c, "exp") })),
		"no issue time":          sign(t, jwt.SigningMethodEdDSA, private, kid, good(func(c jwt.MapClaims) { delete(c, "iat") })),
		"no issuer":              sign(t, jwt.SigningMethodEdDSA, private, kid, good(func(c jwt.MapClaims) { delete(c, "iss") })),
		"no subject":             sign(t, jwt.SigningMethodEdDSA, private, kid, good(func(c jwt.MapClaims) { delete(c, "sub") })),
		"a life of years":        sign(t, jwt.SigningMethodEdDSA, private, kid, good(func(c jwt.MapClaims) { c["exp"] = start.AddDate(2, 0, 0).Unix() })),
		"two audiences":          sign(t, jwt.SigningMethodEdDSA, private, kid, good(func(c jwt.MapClaims) { c["aud"] = []string{"a", "b"} })),
		"expiry is a text":       sign(t, jwt.SigningMethodEdDSA, private, kid, good(func(c jwt.MapClaims) { c["exp"] = "never" })),
		"grants are a text":      sign(t, jwt.SigningMethodEdDSA, private, kid, good(func(c jwt.MapClaims) { c["authorization_details"] = "all" })),
		"critical extensions":    critical.Raw,
	} {
		refused(t, a, tok, what)
	}
	// An expired token that is not ours is invalid: its time is not looked at.
	refused(t, a, sign(t, jwt.SigningMethodEdDSA, other, kid, good(func(c jwt.MapClaims) { c["exp"] = 1 })), "forged and expired")

	// The header says EdDSA, the signature is an HMAC over the public key.
	body := strings.Join(strings.Split(issue(t, a, sample), ".")[:2], ".")
	mac := hmac.New(sha256.New, public)
	mac.Write([]byte(body))
	refused(t, a, body+"."+base64.RawURLEncoding.EncodeToString(mac.Sum(nil)), "HMAC that says EdDSA")
}

func TestKeyFile_IsMadeOnceAndPrivate(t *testing.T) {
	path := keyPath(t)
	a, _ := open(t, path)
	tok := issue(t, a, sample)
	st, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if runtime.GOOS != "windows" && st.Mode().Perm() != 0o600 {
		t.Errorf("mode %o", st.Mode().Perm())
	}
	b, _ := open(t, path)
	if _, err := b.Verify(tok); err != nil {
		t.Errorf("after a restart: %v", err)
	}
	left, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(left) != 1 {
		t.Errorf("files left: %v, %v", left, err)
	}
}

func TestKeyFile_ManyFirstStartsAgree(t *testing.T) {
	path := keyPath(t)
	var wg sync.WaitGroup
	ids := make([]string, 16)
	for i := range ids {
		wg.Go(func() {
			a, err := Open(path, Options{})
			if err != nil {
				t.Error(err)
				return
			}
			ids[i] = a.keys.Load().signer.id
		})
	}
	wg.Wait()
	for _, id := range ids {
		if id != ids[0] {
			t.Fatalf("keys %q", ids)
		}
	}
}

func TestKeyFile_Rotation(t *testing.T) {
	oldPath, newPath := keyPath(t), keyPath(t)
	older, _ := open(t, oldPath)
	newer, _ := open(t, newPath)
	read := func(path string) (f keyFile) {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(b, &f); err != nil {
			t.Fatal(err)
		}
		return f
	}
	f := read(newPath)
	f.Keys = append(f.Keys, read(oldPath).Keys...)
	b, err := json.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(newPath, b, 0o600); err != nil {
		t.Fatal(err)
	}
	both, _ := open(t, newPath)
	for _, tok := range []string{issue(t, older, sample), issue(t, newer, sample), issue(t, both, sample)} {
		if _, err := both.Verify(tok); err != nil {
			t.Error(err)
		}
	}
	if _, err := newer.Verify(issue(t, both, sample)); err != nil {
		t.Errorf("the first key does not sign: %v", err)
	}
	refused(t, older, issue(t, both, sample), "signed with the new key")
}

func TestKeyFile_Damaged(t *testing.T) {
	path := keyPath(t)
	open(t, path)
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var f keyFile
	if err := json.Unmarshal(good, &f); err != nil {
		t.Fatal(err)
	}
	private := base64.StdEncoding.EncodeToString(f.Keys[0].Private)
	one, _ := json.Marshal(f.Keys[0])
	with := func(from, to string) []byte { return bytes.ReplaceAll(good, []byte(from), []byte(to)) }
	for what, content := range map[string][]byte{
		"empty":         nil,
		"cut":           good[:len(good)/2],
		"version":       with(`"version":1`, `"version":2`),
		"no keys":       []byte(`{"version":1,"keys":[]}`),
		"algorithm":     with("EdDSA", "ES256"),
		"no id":         with(f.Keys[0].ID, ""),
		"same id twice": with(string(one), string(one)+","+string(one)),
		"key":           with(private, private[:len(private)-8]),
		"too many keys": with(string(one), strings.Repeat(string(one)+",", maxKeys)+string(one)),
		"too large":     append(bytes.Repeat([]byte(" "), maxKeyFile), good...),
	} {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Open(path, Options{})
		if err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "restore it") {
			t.Errorf("%s: %v", what, err)
			continue
		}
		if strings.Contains(err.Error(), private[20:40]) {
			t.Errorf("%s: the error quotes the key: %v", what, err)
		}
		if now, _ := os.ReadFile(path); !bytes.Equal(now, content) {
			t.Errorf("%s: the file was changed", what)
		}
	}
}

func TestKeyFile_ReadableByOthers(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("files have no mode bits on Windows")
	}
	path := keyPath(t)
	open(t, path)
	for _, mode := range []os.FileMode{0o640, 0o604, 0o666} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(path, Options{}); err == nil || !strings.Contains(err.Error(), "chmod 600") {
			t.Errorf("mode %o: %v", mode, err)
		}
	}
}

func TestKeyFile_NoDirectory(t *testing.T) {
	path := filepath.Join(t.TempDir(), "missing", "token.key")
	if _, err := Open(path, Options{}); err == nil || !strings.Contains(err.Error(), path) {
		t.Error(err)
	}
}

func TestOptions_Lifetime(t *testing.T) {
	path := keyPath(t)
	for _, d := range []time.Duration{-1, time.Millisecond, 1500 * time.Millisecond, MaxLifetime + time.Second} {
		if _, err := Open(path, Options{Lifetime: d}); err == nil {
			t.Errorf("lifetime %v was taken", d)
		}
	}
	a, err := Open(path, Options{Lifetime: 90 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	if _, expiresIn, err := a.Issue(sample); expiresIn != 90*time.Second || err != nil {
		t.Errorf("expires in %v, %v", expiresIn, err)
	}
}

func TestAuthority_Concurrent(t *testing.T) {
	a, _ := open(t, keyPath(t))
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				tok, _, err := a.Issue(sample)
				if err == nil {
					_, err = a.Verify(tok)
				}
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}

func FuzzVerify(f *testing.F) {
	a, err := Open(filepath.Join(f.TempDir(), "token.key"), Options{Now: func() time.Time { return start }})
	if err != nil {
		f.Fatal(err)
	}
	tok, _, err := a.Issue(sample)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(tok)
	f.Add("e30.e30.e30")
	f.Add(tok[:len(tok)-1])
	f.Fuzz(func(t *testing.T, text string) {
		_, err := a.Verify(text)
		if text != tok && !errors.Is(err, ErrInvalid) {
			t.Fatalf("%q: %v", text, err)
		}
	})
}

func FuzzKeyFile(f *testing.F) {
	path := filepath.Join(f.TempDir(), "token.key")
	if _, err := Open(path, Options{}); err != nil {
		f.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte(`{"version":1,"keys":[{}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		keys, reason := parseKeyFile(b)
		if (len(keys) == 0) != (reason != "") {
			t.Fatalf("%d keys and %q", len(keys), reason)
		}
		for _, k := range keys {
			if len(k.private) != ed25519.PrivateKeySize || k.id == "" {
				t.Fatalf("key %q of %d bytes", k.id, len(k.private))
			}
		}
	})
}
