// Package version holds the number of the release that SDK, server and tool have in common; it imports nothing.
package version

// Number is the version, without a leading v.
const Number = "0.1.0"
