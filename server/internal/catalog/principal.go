package catalog

import (
	"cmp"
	"crypto/rand"
	"encoding/base32"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"
	"go.etcd.io/bbolt"
)

const (
	// secretPrefix lets people and secret scanners tell what a secret is for.
	secretPrefix = "zbs_"

	// secretBytes of randomness: guessing is hopeless whatever the hash.
	secretBytes = 32

	// maxPrincipalName bounds the name of a principal, in bytes.
	maxPrincipalName = 255
)

// Principal is a client that may log in.
type Principal struct {
	ID            string    `json:"client_id"` // a UUID, the OAuth client id
	Name          string    `json:"name"`      // unique ignoring case
	Created       time.Time `json:"created_at"`
	SecretCreated time.Time `json:"secret_created_at"`
}

// credential is a principal as it is kept. It never leaves the package.
type credential struct {
	Principal
	Hash string `json:"hash"` // of the secret, see hash.go
}

// CreatePrincipal makes a principal without any grant and returns its secret, which cannot be had again.
// Errors: [ErrExists], [ErrInvalid].
func (c *Catalog) CreatePrincipal(name string) (p Principal, secret string, err error) {
	if err := checkPrincipalName(name); err != nil {
		return Principal{}, "", err
	}
	secret = newSecret()
	hash := c.logins.hash(secret)
	now := c.time()
	p = Principal{ID: uuid.NewString(), Name: name, Created: now, SecretCreated: now}
	err = c.db.Update(func(tx *bbolt.Tx) error {
		low := []byte(strings.ToLower(name))
		if tx.Bucket(namesBucket).Get(low) != nil {
			return exists("principal %s exists already; choose another name, or rotate its secret", name)
		}
		if err := tx.Bucket(namesBucket).Put(low, []byte(p.ID)); err != nil {
			return err
		}
		return put(tx, principalsBucket, []byte(p.ID), credential{p, hash})
	})
	if err != nil {
		return Principal{}, "", err
	}
	return p, secret, nil
}

// checkPrincipalName keeps names printable and apart from client ids, so that either can name a grantee.
func checkPrincipalName(name string) error {
	switch {
	case name == "" || strings.TrimSpace(name) != name:
		return invalid("the principal's name %q is empty or begins or ends with a space", clip(name))
	case len(name) > maxPrincipalName:
		return invalid("the principal's name has %d bytes, more than the limit of %d", len(name), maxPrincipalName)
	case !utf8.ValidString(name) || strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) || r == '`' }):
		return invalid("the principal's name %q has a backtick or a character that cannot be printed", clip(name))
	}
	if _, err := uuid.Parse(name); err == nil {
		return invalid("the principal's name %s looks like a client id; choose another", name)
	}
	return nil
}

func newSecret() string {
	random := make([]byte, secretBytes)
	rand.Read(random) // never fails
	return secretPrefix + strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(random))
}

// RotateSecret gives a principal, named by client id or name, a new secret. The old one ends at once; tokens issued before
// live until they expire. The error is [ErrNotFound].
func (c *Catalog) RotateSecret(principal string) (p Principal, secret string, err error) {
	secret = newSecret()
	hash := c.logins.hash(secret)
	err = c.db.Update(func(tx *bbolt.Tx) error {
		cr, err := findPrincipal(tx, principal)
		if err != nil {
			return err
		}
		cr.Hash, cr.SecretCreated = hash, c.time()
		p = cr.Principal
		return put(tx, principalsBucket, []byte(p.ID), cr)
	})
	if err != nil {
		return Principal{}, "", err
	}
	c.logins.forget(p.ID)
	return p, secret, nil
}

// DeletePrincipal removes a principal, named by client id or name, and its grants. Tokens issued before live until they
// expire; [Catalog.Check] refuses at once. The error is [ErrNotFound].
func (c *Catalog) DeletePrincipal(principal string) (p Principal, err error) {
	err = c.db.Update(func(tx *bbolt.Tx) error {
		cr, err := findPrincipal(tx, principal)
		if err != nil {
			return err
		}
		p = cr.Principal
		if err := dropGrants(tx, func(id string, _ []byte) bool { return id == p.ID }); err != nil {
			return err
		}
		if err := tx.Bucket(namesBucket).Delete([]byte(strings.ToLower(p.Name))); err != nil {
			return err
		}
		return tx.Bucket(principalsBucket).Delete([]byte(p.ID))
	})
	if err != nil {
		return Principal{}, err
	}
	c.logins.forget(p.ID)
	return p, nil
}

// Principal returns a principal by client id or name, or [ErrNotFound].
func (c *Catalog) Principal(idOrName string) (p Principal, err error) {
	return p, c.db.View(func(tx *bbolt.Tx) error {
		cr, err := findPrincipal(tx, idOrName)
		p = cr.Principal
		return err
	})
}

// Principals lists all principals by name.
func (c *Catalog) Principals() ([]Principal, error) {
	list := []Principal{}
	err := c.db.View(func(tx *bbolt.Tx) error {
		return tx.Bucket(principalsBucket).ForEach(func(k, v []byte) error {
			var cr credential
			if err := decode(principalsBucket, k, v, &cr); err != nil {
				return err
			}
			list = append(list, cr.Principal)
			return nil
		})
	})
	slices.SortFunc(list, func(a, b Principal) int { return cmp.Compare(a.Name, b.Name) })
	return list, err
}

// findPrincipal looks up a client id, in any case, or a name.
func findPrincipal(tx *bbolt.Tx, idOrName string) (cr credential, err error) {
	low := strings.ToLower(idOrName)
	if len(low) > bbolt.MaxKeySize {
		return cr, notFound("no principal has a name that long")
	}
	id := tx.Bucket(namesBucket).Get([]byte(low))
	if id == nil {
		id = []byte(low)
	}
	if len(id) > 0 {
		ok, err := get(tx, principalsBucket, id, &cr)
		if ok || err != nil {
			return cr, err
		}
	}
	return cr, notFound("principal %q does not exist; zerobus principal list shows those that do, zerobus principal create %s makes it", clip(idOrName), quoteArg(clip(idOrName)))
}

// quoteArg puts an argument in quotes where a shell would need them, so that the command can be copied.
func quoteArg(s string) string {
	if _, err := uuid.Parse(s); err == nil {
		return "NAME" // ids are given, not chosen
	}
	if faultOf(s) == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
