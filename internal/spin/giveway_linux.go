//go:build !race

package spin

import "syscall"

// giveWay leaves the processor to other threads for some 70 µs. It is no time.Sleep, which testing/synctest would see.
func giveWay() {
	t := syscall.Timespec{Nsec: 20_000}
	_ = syscall.Nanosleep(&t, nil) // a signal may end it early, which does no harm
}
