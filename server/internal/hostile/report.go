package main

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"time"
)

// longEnough is how long a window must be for its rate to say something.
const longEnough = 2 * time.Second

// line is what is told of an attack.
func (v verdict) line(undisturbed float64) string {
	rate := "      "
	if v.during.took >= longEnough {
		rate = fmt.Sprintf("%5.0f%%", 100*v.during.rate()/undisturbed)
	}
	mark := ""
	if n := len(v.faults); n > 0 {
		mark = fmt.Sprintf("  %d DEVIATIONS", n)
	}
	return fmt.Sprintf("%-34s %9s requests %7s refused %8s  rate %s  p99 %s/%s/%s  %4d MiB%s", v.name, grouped(v.requests), grouped(v.refusals),
		round(v.took), rate, round(v.before.p99), round(v.during.p99), round(v.after.p99), v.memory>>20, mark)
}

// round is a time for people; there is none of nothing.
func round(d time.Duration) string {
	if d == 0 {
		return "-"
	}
	return d.Round(time.Millisecond).String()
}

// summary is the last line.
func summary(verdicts []verdict, undisturbed figures, load, lost, doubled int) string {
	var requests, refusals, acked int
	var took time.Duration
	var memory int64
	var worst *verdict
	for i := range verdicts {
		v := &verdicts[i]
		requests += v.requests
		refusals += v.refusals
		acked += v.during.acked
		took += v.during.took
		memory = max(memory, v.memory)
		if v.during.took >= longEnough && (worst == nil || v.during.rate() < worst.during.rate()) {
			worst = v
		}
	}
	during := figures{acked: acked, took: took}
	slowest := slices.MaxFunc(verdicts, func(a, b verdict) int { return cmp.Compare(a.during.p99, b.during.p99) })
	least := ""
	if worst != nil {
		least = fmt.Sprintf(" (%.0f %% at least, %s)", 100*worst.during.rate()/undisturbed.rate(), worst.name)
	}
	return fmt.Sprintf("%d attacks, %s requests, %s refusals as expected; control load: %s records, %d lost, %d doubled, rate %.0f %% of undisturbed%s, p99 of acknowledgements %s undisturbed and %s at most (%s); memory at most %d MiB",
		len(verdicts), grouped(requests), grouped(refusals), grouped(load), lost, doubled, 100*during.rate()/undisturbed.rate(), least,
		round(undisturbed.p99), round(slowest.during.p99), slowest.name, memory>>20)
}

// grouped writes a number with commas.
func grouped(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
