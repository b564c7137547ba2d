package wal_test

import (
	"testing"

	"github.com/zerobus-go/zerobus/server/internal/wal/waltest"
)

// Next is above what Append gave, also when the log was opened again, and when nothing in it is needed any more.
func TestLocal_Next(t *testing.T) {
	o := small(waltest.New())
	l := open(t, o)
	if n := l.Next(); n != 1 {
		t.Errorf("Next of a new log is %d", n)
	}
	for i := range uint64(20) {
		if seq := mustPut(t, l, table(1), make([]byte, third)); seq != i+1 || l.Next() != seq+1 {
			t.Fatalf("entry %d, then %d", seq, l.Next())
		}
	}
	for _, forget := range []bool{false, true} {
		if forget {
			l.Forget(table(1))
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		l = open(t, o)
		if n := l.Next(); n != 21 {
			t.Errorf("Next is %d after another start, trimmed %t", n, forget)
		}
		if l.Forget(table(1)); l.Next() != 21 {
			t.Errorf("Next is %d when nothing is needed", l.Next())
		}
	}
	if seq := mustPut(t, l, table(1), nil); seq != 21 || l.Next() != 22 {
		t.Errorf("entry %d, then %d", seq, l.Next())
	}
}
