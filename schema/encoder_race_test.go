//go:build race

package schema

// raceDetector says that sync.Pool drops things at random, so that what uses one allocates now and then.
const raceDetector = true
