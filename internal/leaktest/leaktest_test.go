package leaktest

import (
	"strings"
	"testing"
)

func TestWait_FindsWhatStillRuns(t *testing.T) {
	if left := wait(patience); len(left) > 0 {
		t.Fatalf("before: %v", left)
	}
	release, done := make(chan struct{}), make(chan struct{})
	go func() { <-release; close(done) }()
	left := wait(0)
	if len(left) != 1 || !strings.Contains(left[0], "TestWait_FindsWhatStillRuns") {
		t.Errorf("found %d goroutines: %v", len(left), left)
	}
	close(release)
	<-done
	if left := wait(patience); len(left) > 0 {
		t.Errorf("afterwards: %v", left)
	}
}

func TestMain(m *testing.M) { Main(m) }
