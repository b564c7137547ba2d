package token

import (
	"errors"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

func rotate(t *testing.T, a *Authority, revoke bool) {
	t.Helper()
	kid, err := a.Rotate(revoke)
	if err != nil || kid == "" || kid != a.keys.Load().signer.id {
		t.Fatalf("got %q, %v", kid, err)
	}
}

func keyCount(t *testing.T, path string) int {
	t.Helper()
	keys, err := readKeyFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return len(keys)
}

func TestRotate_OldTokensLiveToTheirEnd(t *testing.T) {
	path := keyPath(t)
	a, now := open(t, path)
	old := issue(t, a, sample)
	rotate(t, a, false)
	young := issue(t, a, sample)
	if old[:40] == young[:40] {
		t.Error("both tokens name one key")
	}
	restarted, _ := open(t, path)
	for _, a := range []*Authority{a, restarted} {
		for _, tok := range []string{old, young} {
			if _, err := a.Verify(tok); err != nil {
				t.Error(err)
			}
		}
	}
	if st, err := os.Stat(path); err != nil || runtime.GOOS != "windows" && st.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", st.Mode(), err)
	}
	if n := keyCount(t, path); n != 2 {
		t.Errorf("%d keys", n)
	}
	// A day later the first key is of no use, and goes with the next rotation.
	now.set(start.Add(MaxLifetime + time.Hour))
	rotate(t, a, false)
	if n := keyCount(t, path); n != 2 {
		t.Errorf("%d keys after a day", n)
	}
	refused(t, a, old, "key that this server does not have")
}

func TestRotate_RevokesAtOnce(t *testing.T) {
	path := keyPath(t)
	a, _ := open(t, path)
	old := issue(t, a, sample)
	rotate(t, a, false)
	newer := issue(t, a, sample)
	rotate(t, a, true)
	restarted, _ := open(t, path)
	for _, a := range []*Authority{a, restarted} {
		refused(t, a, old, "key that this server does not have")
		refused(t, a, newer, "key that this server does not have")
		issue(t, a, sample)
	}
	if n := keyCount(t, path); n != 1 {
		t.Errorf("%d keys", n)
	}
}

// A stolen key that was rotated away signs nothing that is taken a day later, although it is in the file still.
func TestRotate_OldKeysEnd(t *testing.T) {
	path := keyPath(t)
	a, now := open(t, path)
	stolen := *a.keys.Load()
	rotate(t, a, false)
	now.set(start.Add(MaxLifetime + 2*time.Minute))
	thief, thiefNow := open(t, keyPath(t))
	thiefNow.set(now.now())
	thief.keys.Store(&stolen)
	refused(t, a, issue(t, thief, sample), "key that this server does not have")
}

func TestRotate_TooOften(t *testing.T) {
	path := keyPath(t)
	a, _ := open(t, path)
	for range maxKeys - 1 {
		rotate(t, a, false)
	}
	signer := a.keys.Load().signer.id
	if _, err := a.Rotate(false); err == nil || !strings.Contains(err.Error(), "try again later") {
		t.Error(err)
	}
	if a.keys.Load().signer.id != signer || keyCount(t, path) != maxKeys {
		t.Error("something has changed")
	}
	rotate(t, a, true)
}

func TestRotate_FailureChangesNothing(t *testing.T) {
	path := keyPath(t)
	a, _ := open(t, path)
	tok := issue(t, a, sample)
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Rotate(true); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Error(err)
	}
	if _, err := a.Verify(tok); err != nil {
		t.Error(err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Rotate(true); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	if err := os.WriteFile(path, good, 0o600); err != nil {
		t.Fatal(err)
	}
	rotate(t, a, true)
}

func TestRotate_UnderLoad(t *testing.T) {
	a, _ := open(t, keyPath(t))
	var wg sync.WaitGroup
	for range 4 {
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
	wg.Go(func() {
		for range maxKeys - 1 {
			if _, err := a.Rotate(false); err != nil {
				t.Error(err)
			}
		}
	})
	wg.Wait()
}
