//go:build !race && !linux

package spin

import "runtime"

// giveWay lets other goroutines run.
func giveWay() { runtime.Gosched() }
