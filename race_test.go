//go:build race

package zerobus

// raceDetector says that sync.Pool drops things at random, so that what uses one allocates now and then.
const raceDetector = true
