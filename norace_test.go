//go:build !race

package zerobus

const raceDetector = false
