package parquetfile

import "runtime"

// helpers has room for a token of everything that is done beside the goroutines that write files: all of them together use as many
// cores as there are, as far as these are free. So many pages of one file, and leaves' dictionaries, may be in memory.
var helpers = make(chan struct{}, min(runtime.GOMAXPROCS(0), maxCores)-1)

const (
	// maxCores bounds the memory: a page takes some MB until it is written.
	maxCores = 16

	// minHelped is how many bytes there must be to work on, for it to be worth waking another core.
	minHelped = 64 << 10
)

// helped does f beside the caller and then gives done an element, if a core is free.
func helped(f func(), done chan<- struct{}) bool {
	select {
	case helpers <- struct{}{}:
	default:
		return false
	}
	go func() {
		f()
		<-helpers
		done <- struct{}{}
	}()
	return true
}
