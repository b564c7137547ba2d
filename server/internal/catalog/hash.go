package catalog

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"fmt"

	"golang.org/x/crypto/argon2"
)

// The parameters of argon2id are OWASP's first choice (19 MiB, two passes): some 20 to 40 ms on one core. They stand in
// each hash, so that a version that raises them can tell the older ones apart.
const (
	argonMemory  = 19 << 10 // KiB
	argonPasses  = 2
	argonThreads = 1
	argonSalt    = 16 // bytes
	argonKey     = 32 // bytes

	argonFormat = "$argon2id$v=19$m=%d,t=%d,p=%d$"
)

var phcEncoding = base64.RawStdEncoding.Strict()

// hashSecret makes the text that is kept for a secret, in the usual form $argon2id$v=19$m=…,t=…,p=…$salt$hash.
func hashSecret(secret string) string {
	salt := make([]byte, argonSalt)
	rand.Read(salt) // never fails
	return encodeHash(salt, slowHash(secret, salt))
}

func encodeHash(salt, sum []byte) string {
	return fmt.Sprintf(argonFormat+"%s$%s", argonMemory, argonPasses, argonThreads, phcEncoding.EncodeToString(salt), phcEncoding.EncodeToString(sum))
}

func slowHash(secret string, salt []byte) []byte {
	return argon2.IDKey([]byte(secret), salt, argonPasses, argonMemory, argonThreads, argonKey)
}

// verifyHash reports whether the secret is the one of the hash. It takes the time of one hash whatever the outcome, also for a
// hash that cannot be read and for "", which stands for a principal that does not exist.
func verifyHash(hash, secret string) bool {
	salt, sum := decodeHash(hash)
	ok := sum != nil
	if !ok {
		salt, sum = make([]byte, argonSalt), make([]byte, argonKey)
	}
	return subtle.ConstantTimeCompare(slowHash(secret, salt), sum) == 1 && ok
}

// decodeHash takes the parameters of this version only.
func decodeHash(hash string) (salt, sum []byte) {
	prefix := fmt.Sprintf(argonFormat, argonMemory, argonPasses, argonThreads)
	saltText, sumText := phcEncoding.EncodedLen(argonSalt), phcEncoding.EncodedLen(argonKey)
	if len(hash) != len(prefix)+saltText+1+sumText || hash[:len(prefix)] != prefix || hash[len(prefix)+saltText] != '$' {
		return nil, nil
	}
	rest := hash[len(prefix):]
	salt, err := phcEncoding.DecodeString(rest[:saltText])
	if err != nil {
		return nil, nil
	}
	if sum, err = phcEncoding.DecodeString(rest[saltText+1:]); err != nil {
		return nil, nil
	}
	return salt, sum
}
