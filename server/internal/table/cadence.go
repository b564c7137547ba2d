package table

import "time"

// A commit is worth its file when it has so many rows, or so many bytes of values. Rows that are worth one wait for the shortest
// interval only, so a table of 1,000 rows a second is committed each second, and one of 100 rows a second each 10 s.
const (
	worthRows  = 1000
	worthBytes = 1 << 20
)

// patience is how many commits in a row may be smaller before the interval doubles: who tries a table out, or looks at what a
// program writes, should not wait longer each time.
const patience = 10

// cadence decides how long the rows of one table wait for their commit. A commit costs a data file and a version of the table
// whatever is in it, so a table that gets a few rows at a time, and goes on with that, is committed less often:
//
//   - Rows wait for the interval, which is the shortest one at first, and after a pause in which no row came for the longest one.
//   - It doubles after every 10 commits that were not worth it, up to the longest one.
//   - Rows that are worth a commit need wait for the shortest one only. Then the interval is the time in which they came: it stays
//     where the table gathers a file's worth in it, and a burst brings it back at once.
//   - After a commit comes a rest as long as that commit took, at most the longest interval. So a slow store is not kept busy with
//     many small commits, but has half of the time to itself.
//
// With two equal bounds there is one interval and no rest. Pure: it has no clock, and the table's lock guards it.
type cadence struct {
	shortest, longest time.Duration

	interval time.Duration // between the two
	small    int           // commits in a row that were not worth it, since the interval changed
	rest     time.Duration // after the last commit
}

func newCadence(shortest, longest time.Duration) cadence {
	return cadence{shortest: shortest, longest: max(shortest, longest), interval: shortest}
}

// batch is what waits for a commit, or what one took.
type batch struct {
	rows, bytes int           // bytes of values
	age         time.Duration // of the oldest row
}

func (b batch) worth() bool { return b.rows >= worthRows || b.bytes >= worthBytes }

// resumed is told that a row came after a time without any.
func (c *cadence) resumed(pause time.Duration) {
	if pause >= c.longest {
		c.interval, c.small = c.shortest, 0
	}
}

// wait is how long rows wait yet, when the last commit ended so long ago; 0 when they are due.
func (c *cadence) wait(b batch, since time.Duration) time.Duration {
	interval := c.interval
	if b.worth() {
		interval = c.shortest
	}
	return max(0, interval-b.age, c.rest-since)
}

// committed is told what a commit took, and for how long it was written.
func (c *cadence) committed(b batch, took time.Duration) {
	if c.longest == c.shortest {
		return
	}
	c.rest = min(took, c.longest)
	switch {
	case b.worth():
		c.interval, c.small = min(max(b.age, c.shortest), c.longest), 0
	case b.age < c.interval: // somebody asked for it
	default:
		if c.small++; c.small == patience {
			c.interval, c.small = min(2*c.interval, c.longest), 0
		}
	}
}
