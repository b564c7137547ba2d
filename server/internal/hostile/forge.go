package main

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"time"
)

// A forger makes tokens. It has the server's own key, from its data directory: so every claim can be wrong under a signature that
// is right, and the public key can be misused as that of another algorithm.
type forger struct {
	kid     string
	private ed25519.PrivateKey
	issuer  string // those of a real token
	subject string
	details any
}

// newForger reads the key and takes the claims of a real token.
func newForger(data, real string) (*forger, error) {
	b, err := os.ReadFile(filepath.Join(data, "token-keys.json"))
	if err != nil {
		return nil, err
	}
	var file struct {
		Keys []struct {
			ID      string `json:"kid"`
			Private []byte `json:"private_key"`
		}
	}
	if err := json.Unmarshal(b, &file); err != nil || len(file.Keys) == 0 {
		return nil, fmt.Errorf("token-keys.json has no key: %v", err)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(file.Keys[0].Private)
	if err != nil {
		return nil, err
	}
	private, ok := parsed.(ed25519.PrivateKey)
	if !ok {
		return nil, errors.New("the key of the server is not Ed25519")
	}
	f := &forger{kid: file.Keys[0].ID, private: private}
	_, claims, err := parts(real)
	if err != nil {
		return nil, err
	}
	f.issuer, _ = claims["iss"].(string)
	f.subject, _ = claims["sub"].(string)
	f.details = claims["authorization_details"]
	return f, nil
}

// parts are header and claims of a token.
func parts(token string) (header, claims map[string]any, err error) {
	var at [2][]byte
	rest := token
	for i := range at {
		for n := range len(rest) {
			if rest[n] == '.' {
				if at[i], err = base64.RawURLEncoding.DecodeString(rest[:n]); err != nil {
					return nil, nil, err
				}
				rest = rest[n+1:]
				break
			}
		}
	}
	return header, claims, errors.Join(json.Unmarshal(at[0], &header), json.Unmarshal(at[1], &claims))
}

// forgery is what is not as it should be: claims and header fields to set, or to remove with nil.
type forgery struct {
	header, claims map[string]any
	sign           func(text []byte) []byte // default: the server's own key
}

func (f *forger) token(x forgery) string {
	now := time.Now().Unix()
	header := map[string]any{"alg": "EdDSA", "typ": "JWT", "kid": f.kid}
	claims := map[string]any{
		"iss": f.issuer, "sub": f.subject, "jti": "00000000-0000-4000-8000-000000000000", "iat": now - 10, "exp": now + 1800,
		"authorization_details": f.details,
	}
	for given, set := range map[*map[string]any]map[string]any{&header: x.header, &claims: x.claims} {
		maps.Copy(*given, set)
		maps.DeleteFunc(*given, func(_ string, v any) bool { return v == nil })
	}
	text := encode(header) + "." + encode(claims)
	sign := x.sign
	if sign == nil {
		sign = func(b []byte) []byte { return ed25519.Sign(f.private, b) }
	}
	return text + "." + base64.RawURLEncoding.EncodeToString(sign([]byte(text)))
}

func encode(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // maps of plain values
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

// hs256 signs with a secret that is none.
func hs256(secret []byte) func([]byte) []byte {
	return func(text []byte) []byte {
		h := hmac.New(sha256.New, secret)
		h.Write(text)
		return h.Sum(nil)
	}
}

// public is the public key.
func (f *forger) public() []byte { return f.private.Public().(ed25519.PublicKey) }

// pkix is the public key as files have it.
func (f *forger) pkix() []byte {
	b, err := x509.MarshalPKIXPublicKey(ed25519.PublicKey(f.public()))
	if err != nil {
		panic(err) // Ed25519 can be written
	}
	return b
}
