package catalog

import (
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"
)

// limited opens a catalog with a clock and a fast hash.
func limited(t *testing.T) (*Catalog, *time.Time) {
	t.Helper()
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	c, err := Open(filepath.Join(t.TempDir(), "catalog.db"), Options{Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	counted(c)
	return c, &now
}

func TestFailures_OfOneClient(t *testing.T) {
	c, now := limited(t)
	p, secret := enlist(t, c, "p")
	try := func(from, secret string) error {
		_, err := c.Authenticate(t.Context(), from, p.ID, secret)
		return err
	}
	for i := range failsOfClient {
		if err := try("a", "wrong"); err != ErrBadCredentials {
			t.Fatalf("login %d: %v", i, err)
		}
	}
	held := func(secret string, want time.Duration) {
		t.Helper()
		err := try("a", secret)
		var limit *LimitError
		if !errors.As(err, &limit) || !errors.Is(err, ErrLimited) || limit.RetryAfter != want {
			t.Errorf("got %v, want %v", err, want)
		}
	}
	held("wrong", clientRecovers)
	held(secret, clientRecovers) // it was never right from anywhere
	*now = now.Add(clientRecovers - time.Second)
	held("wrong", time.Second)
	*now = now.Add(time.Second)
	if err := try("a", "wrong"); err != ErrBadCredentials {
		t.Error(err)
	}
	held("wrong", clientRecovers)
	if err := try("b", secret); err != nil {
		t.Errorf("from elsewhere: %v", err)
	}
	if err := try("a", secret); err != nil {
		t.Errorf("right before: %v", err)
	}
	held("wrong", clientRecovers)
	// A long time later there are as many as in the beginning, not more.
	*now = now.Add(time.Hour)
	for range failsOfClient {
		if err := try("a", "wrong"); err != ErrBadCredentials {
			t.Error(err)
		}
	}
	held("wrong", clientRecovers)
}

func TestFailures_OfOneAddress(t *testing.T) {
	c, now := limited(t)
	try := func(from string, i int) error {
		_, err := c.Authenticate(t.Context(), from, fmt.Sprint("client ", i), "wrong")
		return err
	}
	for i := range failsOfAddress {
		if err := try("a", i); err != ErrBadCredentials {
			t.Fatalf("login %d: %v", i, err)
		}
	}
	if err := try("a", -1); !errors.Is(err, ErrLimited) {
		t.Error(err)
	}
	if err := try("b", -1); err != ErrBadCredentials {
		t.Error(err)
	}
	*now = now.Add(addressRecovers)
	if err := try("a", -1); err != ErrBadCredentials {
		t.Error(err)
	}
}

// Texts that are too long for a client id or a secret are counted, too.
func TestFailures_OfWhatCannotBe(t *testing.T) {
	c, _ := limited(t)
	long := fmt.Sprintf("%1000d", 1)
	for i := range failsOfClient + 1 {
		_, err := c.Authenticate(t.Context(), "a", long, long)
		if want := map[bool]error{true: ErrBadCredentials, false: ErrLimited}[i < failsOfClient]; !errors.Is(err, want) {
			t.Errorf("login %d: %v", i, err)
		}
	}
}

func TestFailures_AreBounded(t *testing.T) {
	var f failures
	f.init()
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for i := range 3 * maxFailures {
		f.add(fmt.Sprint("address ", i), "x", now)
		if len(f.spent) > maxFailures {
			t.Fatalf("%d are remembered", len(f.spent))
		}
	}
	// What is forgiven goes first.
	now = now.Add(time.Hour)
	young := 0
	for ; len(f.spent) < maxFailures; young += 2 {
		f.add(fmt.Sprint("new ", young), "x", now)
	}
	f.add("late", "x", now)
	if len(f.spent) > young+2 {
		t.Errorf("%d are remembered, %d are new", len(f.spent), young+2)
	}
	// Many that were under way at once count for no more than is forgiven in time.
	for range 1000 {
		f.add("late", "x", now)
	}
	if err := f.check("late", "x", now.Add(clientRecovers)); err != nil {
		t.Error(err)
	}
}
