// Package leaktest fails a package's tests when they leave goroutines behind: it takes a test run, gives its exit status,
// and is never part of a program. Tests within testing/synctest bubbles need it not; all others do.
//
// The SDK's module has no dependency that could do it, see dependency_test.go.
package leaktest

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
)

// patience is how long goroutines that are about to end are given for it.
const patience = 10 * time.Second

// Main runs the tests and ends the process. Call it in TestMain.
func Main(m *testing.M) {
	code := m.Run()
	if code == 0 {
		if left := wait(patience); len(left) > 0 {
			fmt.Fprintf(os.Stderr, "FAIL: the tests left %d goroutines behind:\n\n%s\n", len(left), strings.Join(left, "\n\n"))
			code = 1
		}
	}
	os.Exit(code)
}

// wait returns the stacks of what still runs when patience is over, and nothing as soon as nothing does.
func wait(patience time.Duration) []string {
	deadline := time.Now().Add(patience)
	for pause := time.Millisecond; ; pause = min(2*pause, 100*time.Millisecond) {
		left := running()
		if len(left) == 0 || time.Now().After(deadline) {
			return left
		}
		time.Sleep(pause)
	}
}

// expected are goroutines of the testing package, the fuzzer and the runtime, by a line of their stacks.
var expected = []string{
	"internal/leaktest.running(",
	"testing.(*M).",
	"testing.RunTests(",
	"testing.tRunner(",
	"testing.runFuzz",
	"internal/fuzz.",
	"os/signal.signal_recv(",
	"os/signal.loop(",
	"runtime.ensureSigM(",
	"runtime/pprof.",
	"runtime/trace.",
}

// running returns the stacks of all other goroutines.
func running() (left []string) {
	buf := make([]byte, 1<<20)
	buf = buf[:runtime.Stack(buf, true)]
next:
	for _, stack := range strings.Split(strings.TrimSpace(string(buf)), "\n\n") {
		for _, e := range expected {
			if strings.Contains(stack, e) {
				continue next
			}
		}
		left = append(left, stack)
	}
	return left
}
