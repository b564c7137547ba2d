package main

import (
	"cmp"
	"slices"
)

// span is the record numbers from from to below to.
type span struct{ from, to int64 }

// spans is a set of record numbers: in order, not empty, neither touching nor overlapping.
type spans []span

// add puts the numbers from from to below to into the set.
func (s *spans) add(from, to int64) {
	if from >= to {
		return
	}
	// The first that touches or is beyond the new one, and the first that is beyond it.
	i, _ := slices.BinarySearchFunc(*s, from, func(x span, n int64) int { return cmp.Compare(x.to, n) })
	j := i
	for ; j < len(*s) && (*s)[j].from <= to; j++ {
		from, to = min(from, (*s)[j].from), max(to, (*s)[j].to)
	}
	*s = slices.Replace(*s, i, j, span{from, to})
}

// has reports whether n is in the set.
func (s spans) has(n int64) bool {
	i, _ := slices.BinarySearchFunc(s, n, func(x span, n int64) int { return cmp.Compare(x.to, n+1) })
	return i < len(s) && s[i].from <= n
}

// count is the size of the set.
func (s spans) count() (n int64) {
	for _, x := range s {
		n += x.to - x.from
	}
	return n
}
