package catalog

import (
	"maps"
	"sync"
	"time"
)

// A client id from one address may fail some times at once, as people and restarted programs do, and then once in a while. All
// client ids from one address may fail more often together: behind a proxy there are many clients. What is left of a flood
// costs little, since a login that is held up is not hashed.
const (
	failsOfClient  = 10
	clientRecovers = 6 * time.Second // for one more

	failsOfAddress  = 100
	addressRecovers = time.Second

	// maxFailures bounds what is remembered: 8,192 entries are some 3 MiB. Beyond it any entries are forgotten. To get that far
	// takes many addresses: one makes only as many entries as it may fail.
	maxFailures = 8192
)

// failures limits the logins that fail, by client id and address and by address alone.
//
// It does not stop the right secret from where others fail: a pair that has been right is in the cache of logins, which is asked
// before. So a program with an old secret cannot lock out its neighbours, and guessing remains as hopeless as 32 random bytes
// make it.
//
// A login is refused when enough have failed before it. Those that are being decided count for nothing, since a program that
// starts logs in with many streams at once, and rightly so: at most maxWaiting more can fail than were allowed.
//
// golang.org/x/time/rate would be a dependency for three lines, wait and add; the map around them is ours either way.
type failures struct {
	mu    sync.Mutex // guards the following
	spent map[failureKey]time.Time
}

// failureKey is an address, with a client id or with none for all of them. The value says when the last failure will be
// forgiven: each is for so and so long, one after the other.
type failureKey struct{ from, client string }

// keys are of one client at the address and of the whole address. An empty client id is one, too.
func (f *failures) keys(from, id string) (client, address failureKey) {
	return failureKey{from, "client " + id}, failureKey{from, ""}
}

func (f *failures) init() { f.spent = map[failureKey]time.Time{} }

// check is a [LimitError] when too many logins have failed.
func (f *failures) check(from, id string, now time.Time) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	client, address := f.keys(from, id)
	wait := max(f.wait(client, now, failsOfClient, clientRecovers), f.wait(address, now, failsOfAddress, addressRecovers))
	if wait > 0 {
		return &LimitError{wait}
	}
	return nil
}

// add counts a login that has failed.
func (f *failures) add(from, id string, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	client, address := f.keys(from, id)
	f.spend(client, now, failsOfClient, clientRecovers)
	f.spend(address, now, failsOfAddress, addressRecovers)
}

// wait is how long the next failure is too early, 0 or less when it is not.
func (f *failures) wait(k failureKey, now time.Time, most int, each time.Duration) time.Duration {
	at, known := f.spent[k]
	if !known {
		return 0
	}
	return at.Sub(now) - time.Duration(most-1)*each
}

// spend never goes so far that one more would not be forgiven in time.
func (f *failures) spend(k failureKey, now time.Time, most int, each time.Duration) {
	at, known := f.spent[k]
	if !known && len(f.spent) >= maxFailures {
		f.makeRoom(now)
	}
	if at.Before(now) {
		at = now
	}
	if end := now.Add(time.Duration(most) * each); at.Add(each).Before(end) {
		f.spent[k] = at.Add(each)
	} else {
		f.spent[k] = end
	}
}

// makeRoom makes much room, since it looks at everything.
func (f *failures) makeRoom(now time.Time) {
	maps.DeleteFunc(f.spent, func(_ failureKey, at time.Time) bool { return !at.After(now) })
	for k := range f.spent {
		if len(f.spent) < maxFailures*3/4 {
			return
		}
		delete(f.spent, k)
	}
}
