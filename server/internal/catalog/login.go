package catalog

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"io"
	"maps"
	"runtime"
	"sync"

	"go.etcd.io/bbolt"
)

const (
	// maxLogins bounds the cache of verified credentials: 4,096 entries are less than 1 MiB.
	maxLogins = 4096

	// maxHashes bounds the slow hashes that run at once, each of which takes a core and 19 MiB.
	maxHashes = 4

	// maxWaiting bounds the logins that wait for one of them; more are refused.
	maxWaiting = 256

	// maxSecretLength bounds what is hashed, in bytes.
	maxSecretLength = 256
)

// Authenticate checks a client id and its secret. from names where the login comes from, an address as a rule: logins that fail
// are counted by it, see failures. A pair that was right before is found in a cache and is never held up; all others cost one slow
// hash, whether the client exists or not. Errors: [ErrBadCredentials], which does not tell which of the two is wrong; a
// [LimitError], which is [ErrLimited], when too many logins have failed; [ErrBusy] when too many logins wait; ctx's error when it
// ends first.
func (c *Catalog) Authenticate(ctx context.Context, from, id, secret string) (Principal, error) {
	tooLong := len(secret) > maxSecretLength || len(id) > maxPrincipalName
	if tooLong {
		id, secret = "", "" // tells nothing that the client does not know
	}
	cr, err := c.credential(id)
	if err != nil {
		return Principal{}, err
	}
	digest := c.logins.digest(id, secret)
	if cr.Hash != "" && c.logins.match(digest, cr.Hash) {
		return cr.Principal, nil
	}
	if err := c.failures.check(from, id, c.now()); err != nil {
		return Principal{}, err
	}
	refuse := func() (Principal, error) {
		c.failures.add(from, id, c.now())
		return Principal{}, ErrBadCredentials
	}
	if tooLong {
		return refuse()
	}
	if err := c.logins.acquire(ctx); err != nil {
		return Principal{}, err
	}
	ok := c.logins.verify(cr.Hash, secret)
	c.logins.release()
	if !ok {
		return refuse()
	}
	// The principal may have been deleted or given another secret meanwhile.
	now, err := c.credential(id)
	if err != nil {
		return Principal{}, err
	}
	if now.Hash != cr.Hash {
		return refuse()
	}
	c.logins.remember(digest, login{id, cr.Hash})
	return now.Principal, nil
}

// credential is the zero value for an unknown client id. Names are no ids here.
func (c *Catalog) credential(id string) (cr credential, err error) {
	if id == "" {
		return cr, nil
	}
	return cr, c.db.View(func(tx *bbolt.Tx) error {
		_, err := get(tx, principalsBucket, []byte(id), &cr)
		return err
	})
}

// logins is the cache of verified credentials and the limit on slow hashes.
//
// An entry says: this id and secret, digested under a key that dies with the process, match this hash. It is valid only while
// the hash is the one that is stored, so an entry that is written late, after a rotation, is dead from the start.
type logins struct {
	hash    func(secret string) string     // hashSecret
	verify  func(hash, secret string) bool // verifyHash
	key     [sha256.Size]byte
	slots   chan struct{} // taken by running hashes
	waiting chan struct{} // taken by running and waiting ones

	mu    sync.RWMutex // guards the following
	known map[loginDigest]login
}

type loginDigest [sha256.Size]byte

type login struct{ id, hash string }

func (l *logins) init() {
	l.hash, l.verify = hashSecret, verifyHash
	rand.Read(l.key[:]) // never fails
	l.slots = make(chan struct{}, min(runtime.GOMAXPROCS(0), maxHashes))
	l.waiting = make(chan struct{}, maxWaiting)
	l.known = make(map[loginDigest]login)
}

func (l *logins) digest(id, secret string) (d loginDigest) {
	h := hmac.New(sha256.New, l.key[:])
	h.Write(binary.AppendUvarint(nil, uint64(len(id)))) // so that moving a byte from one to the other changes the digest
	io.WriteString(h, id)
	io.WriteString(h, secret)
	h.Sum(d[:0])
	return d
}

func (l *logins) match(d loginDigest, hash string) bool {
	l.mu.RLock()
	defer l.mu.RUnlock()
	e, ok := l.known[d]
	return ok && e.hash == hash
}

// remember makes room by dropping any entry: a wrong choice costs one slow hash.
func (l *logins) remember(d loginDigest, e login) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.known) >= maxLogins {
		for other := range l.known {
			delete(l.known, other)
			break
		}
	}
	l.known[d] = e
}

func (l *logins) forget(id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	maps.DeleteFunc(l.known, func(_ loginDigest, e login) bool { return e.id == id })
}

// acquire takes the right to one slow hash, release gives it back.
func (l *logins) acquire(ctx context.Context) error {
	select {
	case l.waiting <- struct{}{}:
	default:
		return ErrBusy
	}
	select {
	case l.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		<-l.waiting
		return ctx.Err()
	}
}

func (l *logins) release() {
	<-l.slots
	<-l.waiting
}
