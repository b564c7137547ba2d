package token

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"
)

const (
	// DefaultIssuer is the issuer when Options has none.
	DefaultIssuer = "zerobus"

	// DefaultLifetime is the lifetime of the service's own tokens; clients renew five minutes before the end.
	DefaultLifetime = time.Hour

	// MaxLifetime bounds Options.Lifetime: a revoked grant must not live on in a token for long.
	MaxLifetime = 24 * time.Hour

	// maxSkew is how far in the future a token may have been issued: the clock may be set back a little, but a token from
	// next year, made while the clock was wrong, must not live until then.
	maxSkew = time.Minute
)

// Options are the settings of an [Authority]. The zero value is ready for use.
type Options struct {
	Issuer   string           // empty for DefaultIssuer; tokens of another issuer are invalid
	Lifetime time.Duration    // 0 for DefaultLifetime; whole seconds from 1 s to MaxLifetime
	Now      func() time.Time // nil for time.Now
}

// Authority issues and verifies tokens with the keys of one file. It may be used by many goroutines.
type Authority struct {
	issuer   string
	lifetime time.Duration
	now      func() time.Time
	parser   *jwt.Parser
	file     string
	keys     atomic.Pointer[keySet]
	rotating sync.Mutex // one rotation at a time
}

// keySet is what is in the key file. It never changes.
type keySet struct {
	signer key
	verify map[string]verifier // by kid
}

// verifier is a key that may verify. One that signs no more is of no use when its last token has expired, and until then only:
// who has stolen an old key shall not make tokens with it for ever.
type verifier struct {
	public ed25519.PublicKey
	until  time.Time // zero for no end
}

func newKeySet(keys []key) *keySet {
	s := &keySet{signer: keys[0], verify: make(map[string]verifier, len(keys))}
	for i, k := range keys {
		v := verifier{public: k.private.Public().(ed25519.PublicKey)}
		if i > 0 {
			v.until = k.until(keys[i-1])
		}
		s.verify[k.id] = v
	}
	return s
}

// Open reads the key file, or makes it with a new key when it does not exist. Of several processes that make it at the same
// time one wins, and all use its key.
func Open(keyFile string, o Options) (*Authority, error) {
	a := &Authority{issuer: o.Issuer, lifetime: o.Lifetime, now: o.Now, file: keyFile}
	if a.issuer == "" {
		a.issuer = DefaultIssuer
	}
	if a.lifetime == 0 {
		a.lifetime = DefaultLifetime
	}
	if a.now == nil {
		a.now = time.Now
	}
	if a.lifetime < time.Second || a.lifetime > MaxLifetime || a.lifetime%time.Second != 0 {
		return nil, fmt.Errorf("token lifetime %v: expected whole seconds from 1s to %v", a.lifetime, MaxLifetime)
	}
	keys, err := openKeyFile(keyFile, a.now())
	if err != nil {
		return nil, err
	}
	a.keys.Store(newKeySet(keys))
	a.parser = jwt.NewParser(
		jwt.WithValidMethods([]string{algorithm}),
		jwt.WithStrictDecoding(),
		jwt.WithExpirationRequired(),
		jwt.WithIssuer(a.issuer),
		jwt.WithTimeFunc(a.now),
	)
	return a, nil
}

// Rotate makes a new key, which signs from now on, and writes it to the key file. The keys before it verify what they have signed
// for [MaxLifetime] more; with revoke they are removed, and every token issued before is invalid at once. It returns the id of
// the new key. After an error nothing has changed, unless the error is of a disk that is about to fail.
func (a *Authority) Rotate(revoke bool) (kid string, err error) {
	a.rotating.Lock()
	defer a.rotating.Unlock()
	keys, err := readKeyFile(a.file) // it may have been edited
	if err != nil {
		return "", err
	}
	now := a.now()
	made, err := newKey(now)
	if err != nil {
		return "", fmt.Errorf("rotate the token key: %w", err)
	}
	next := []key{made}
	for i, k := range keys {
		// The first has signed until now; of the others some may have outlived their last token.
		if expired := i > 0 && ended(k.until(keys[i-1]), now); !revoke && !expired {
			next = append(next, k)
		}
	}
	if len(next) > maxKeys {
		return "", fmt.Errorf("rotate the token key: %d keys have been made within %v, and their tokens are still valid; try again later, or revoke them", maxKeys, MaxLifetime)
	}
	if err := replaceKeyFile(a.file, next); err != nil {
		return "", fmt.Errorf("write token key file %s: %w", a.file, err)
	}
	a.keys.Store(newKeySet(next))
	return made.id, nil
}

func ended(until, now time.Time) bool { return !until.IsZero() && !now.Before(until) }

// Issue signs a token for the claims; their ID, Issued and Expires are set here. The token is valid for at least expiresIn,
// which is the configured lifetime. The error is [ErrTooLarge] when the grants do not fit.
func (a *Authority) Issue(c Claims) (token string, expiresIn time.Duration, err error) {
	if c.PrincipalID == "" {
		return "", 0, errors.New("a token needs a principal")
	}
	now := a.now()
	p := payload{
		RegisteredClaims: jwt.RegisteredClaims{
			Issuer:    a.issuer,
			Subject:   c.PrincipalID,
			ID:        uuid.NewString(),
			IssuedAt:  jwt.NewNumericDate(now.Truncate(time.Second)),
			ExpiresAt: jwt.NewNumericDate(now.Add(a.lifetime + time.Second - 1).Truncate(time.Second)),
		},
		Name:   c.PrincipalName,
		Grants: c.Grants,
	}
	if c.Audience != "" {
		p.Audience = jwt.ClaimStrings{c.Audience}
	}
	t := jwt.NewWithClaims(jwt.SigningMethodEdDSA, &p)
	signer := a.keys.Load().signer
	t.Header["kid"] = signer.id
	token, err = t.SignedString(signer.private)
	if err != nil {
		return "", 0, fmt.Errorf("sign the token: %w", err)
	}
	if len(token) > MaxSize {
		return "", 0, fmt.Errorf("%w: %d bytes, the limit is %d", ErrTooLarge, len(token), MaxSize)
	}
	return token, a.lifetime, nil
}

// Verify checks a token and returns what it says. The error is [ErrExpired] for a token of ours whose time is over, else
// [ErrInvalid] with the reason; it holds nothing of the token.
func (a *Authority) Verify(token string) (Claims, error) {
	if len(token) > MaxSize {
		return Claims{}, fmt.Errorf("%w: more than %d bytes", ErrInvalid, MaxSize)
	}
	if strings.ContainsAny(token, "\r\n") {
		return Claims{}, fmt.Errorf("%w: it has line breaks", ErrInvalid) // the parser's base64 would pass over them
	}
	var p payload
	if _, err := a.parser.ParseWithClaims(token, &p, a.key); err != nil {
		return Claims{}, classify(err)
	}
	switch {
	case p.Subject == "":
		return Claims{}, fmt.Errorf("%w: it names no principal", ErrInvalid)
	case p.IssuedAt == nil || p.IssuedAt.After(a.now().Add(maxSkew)):
		return Claims{}, fmt.Errorf("%w: it was issued in the future", ErrInvalid)
	case p.ExpiresAt.Sub(p.IssuedAt.Time) > MaxLifetime+time.Second:
		return Claims{}, fmt.Errorf("%w: it lives longer than any that is issued", ErrInvalid)
	case len(p.Audience) > 1:
		return Claims{}, fmt.Errorf("%w: it has several audiences", ErrInvalid)
	}
	return p.claims(), nil
}

// The errors of Authority.key.
var (
	errUnknownKey = errors.New("unknown key")
	errCritical   = errors.New("critical extension")
)

// key finds the key that the header names. The parser has checked the algorithm before.
func (a *Authority) key(t *jwt.Token) (any, error) {
	if _, ok := t.Header["crit"]; ok {
		return nil, errCritical // RFC 7515 §4.1.11: who does not know the extensions refuses; we know none
	}
	kid, _ := t.Header["kid"].(string)
	if k, ok := a.keys.Load().verify[kid]; ok && !ended(k.until, a.now()) {
		return k.public, nil
	}
	return nil, errUnknownKey
}

// classify turns the parser's error, which may quote the token, into one that does not. The order is that of the checks: a
// forged token is never told that it has expired.
func classify(err error) error {
	reason := "it cannot be read"
	switch {
	case errors.Is(err, errUnknownKey):
		reason = "it was signed with a key that this server does not have"
	case errors.Is(err, errCritical):
		reason = "it needs extensions that this server does not have"
	case errors.Is(err, jwt.ErrTokenMalformed):
	case errors.Is(err, jwt.ErrTokenSignatureInvalid):
		reason = "its signature does not match"
	case errors.Is(err, jwt.ErrTokenInvalidIssuer):
		reason = "it was issued by another server"
	case errors.Is(err, jwt.ErrTokenRequiredClaimMissing):
		reason = "it lacks a required claim"
	case errors.Is(err, jwt.ErrTokenExpired):
		return ErrExpired
	}
	return fmt.Errorf("%w: %s", ErrInvalid, reason)
}
