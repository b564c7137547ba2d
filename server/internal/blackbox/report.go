package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"time"
)

// How often the progress is shown.
const (
	barRate  = 200 * time.Millisecond // on a terminal
	lineRate = 10 * time.Second       // elsewhere
)

// show tells where the run is, on one line of a terminal or as a line now and then, until the function that it returns is
// called.
func show(w io.Writer, terminal bool, line func() string) (end func()) {
	quit, done := make(chan struct{}), make(chan struct{})
	rate := lineRate
	if terminal {
		rate = barRate
	}
	go func() {
		defer close(done)
		t := time.NewTicker(rate)
		defer t.Stop()
		for {
			select {
			case <-t.C:
				if terminal {
					fmt.Fprintf(w, "\r%s\x1b[K", line())
				} else {
					fmt.Fprintln(w, line())
				}
			case <-quit:
				if terminal {
					fmt.Fprint(w, "\r\x1b[K")
				}
				return
			}
		}
	}()
	return func() {
		close(quit)
		<-done
	}
}

// details are the lines before the last one.
func (h *harness) details(r reading) []string {
	s := h.stats
	lines := []string{fmt.Sprintf("load: %v; %d streams thrown away, %d recreated, %d failures of streams", s.loading.Round(time.Millisecond),
		h.load.forgot.Load(), h.load.recreated.Load(), h.load.failed.Load())}
	h.load.mu.Lock()
	for _, err := range slices.Sorted(maps.Keys(h.load.failures)) {
		lines = append(lines, fmt.Sprintf("  %d × %s", h.load.failures[err], err))
	}
	h.load.mu.Unlock()
	lines = append(lines,
		fmt.Sprintf("server: %d processes; answered after %v, acknowledged after %v, ended %v after SIGTERM, at the longest",
			h.load.life.Load(), s.start.Round(time.Millisecond), s.recovery.Round(time.Millisecond), s.shutdown.Round(time.Millisecond)))
	if n := s.done[full] + s.done[fullKill]; n > 0 {
		lines = append(lines, fmt.Sprintf("full disks (%s): %d of %d refused records, %d of %d starts without space failed, all streams went on within %v",
			h.disk.way, s.refused, n, s.unborn, s.done[fullKill], s.resume.Round(time.Millisecond)))
	}
	return append(lines, fmt.Sprintf("table: %s rows in %d files of %s bytes, version %d, read by %s", grouped(r.Rows), r.Files, grouped(r.Bytes), r.Version, r.reader))
}

// summary is the last line.
func (h *harness) summary(v verdict) string {
	d := h.stats.done
	again := ""
	if v.doubled > 0 && !h.cfg.producers {
		again = " (sent again)"
	}
	return fmt.Sprintf("%d kills, %d terminations, %d full disks: %s acknowledged, %s lost, %s doubled%s; %s rows/s, recovery %v, shutdown %v",
		d[kill]+d[killStart], d[terminate], d[full]+d[fullKill], grouped(v.acked), grouped(v.lost), grouped(v.doubled), again,
		grouped(int64(float64(v.acked)/max(h.stats.loading.Seconds(), 1e-9))), h.stats.recovery.Round(time.Millisecond), h.stats.shutdown.Round(time.Millisecond))
}

// grouped writes a number with commas.
func grouped(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
