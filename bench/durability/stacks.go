package main

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// stacks counts goroutines by the function that started them.
type stacks map[string]int

var (
	goroutineHead = regexp.MustCompile(`(?m)^goroutine \d+ .*\[.*\]:$`)
	createdBy     = regexp.MustCompile(`(?m)^created by (\S+)`)
)

// parseStacks counts the goroutines in a dump of the Go runtime, but for the runtime's own: goroutine 0, which is a thread's
// stack, and those that the runtime started, such as workers of the garbage collector.
func parseStacks(dump string) stacks {
	s := stacks{}
	heads := goroutineHead.FindAllStringIndex(dump, -1)
	for i, h := range heads {
		end := len(dump)
		if i+1 < len(heads) {
			end = heads[i+1][0]
		}
		if strings.HasPrefix(dump[h[0]:], "goroutine 0 ") {
			continue
		}
		from := "main"
		if m := createdBy.FindStringSubmatch(dump[h[1]:end]); m != nil {
			from = m[1]
		}
		if strings.HasPrefix(from, "runtime.") {
			continue
		}
		s[from]++
	}
	return s
}

func (s stacks) total() (n int) {
	for _, k := range s {
		n += k
	}
	return n
}

// diff says what s has more, or less, than other.
func (s stacks) diff(other stacks) string {
	all := maps.Clone(s)
	for from := range other {
		all[from] = s[from]
	}
	var lines []string
	for _, from := range slices.Sorted(maps.Keys(all)) {
		if d := s[from] - other[from]; d != 0 {
			lines = append(lines, fmt.Sprintf("%+d of %s", d, from))
		}
	}
	return strings.Join(lines, ", ")
}
