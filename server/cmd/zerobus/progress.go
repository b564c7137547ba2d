package main

import (
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
	"github.com/zerobus-go/zerobus"
)

// How often the progress is shown.
const (
	barRate  = 200 * time.Millisecond // on a terminal
	lineRate = 5 * time.Second        // elsewhere
)

// meter counts what a load has done. The loop and the callback of acknowledgements write it, the display reads it.
type meter struct {
	total int64 // bytes of all inputs as stored, 0 when that is not known

	read  atomic.Int64 // bytes of the inputs, as stored, that were used
	sent  atomic.Int64 // records, without skipped ones
	bytes atomic.Int64 // of the records that were sent
	acked atomic.Int64 // records

	started atomic.Int64 // when the first record could be sent, Unix ns
	from    atomic.Int64 // read at that time
	stream  atomic.Pointer[zerobus.Stream]
}

func newMeter(total int64) *meter {
	m := &meter{total: total}
	m.started.Store(time.Now().UnixNano())
	return m
}

// watch begins with a stream that is open.
func (m *meter) watch(s *zerobus.Stream) {
	m.stream.Store(s)
	m.begin()
}

// begin starts the clock of the rates: once the stream is open, and again behind what is skipped.
func (m *meter) begin() {
	m.from.Store(m.read.Load())
	m.started.Store(time.Now().UnixNano())
}

// reading is the meter at one time.
type reading struct {
	records int64   // acknowledged
	bytes   int64   // of them
	seconds float64 // since the first could be sent
	done    int64   // bytes of the inputs whose records are acknowledged, about
	total   int64   // 0 when it is not known
	left    time.Duration
	opening bool // there is no stream yet
	healing bool // the stream reconnects
}

func (m *meter) look() reading {
	sent := m.sent.Load()
	r := reading{
		records: m.acked.Load(),
		seconds: max(float64(time.Now().UnixNano()-m.started.Load())/1e9, 1e-9),
		total:   m.total,
	}
	share := 1.0 // of what was sent
	if sent > 0 {
		share = min(float64(r.records)/float64(sent), 1)
	} else if r.records == 0 {
		share = 0
	}
	from := m.from.Load()
	r.bytes = int64(share * float64(m.bytes.Load()))
	r.done = from + int64(share*float64(max(m.read.Load()-from, 0)))
	if r.total > 0 {
		r.done = min(r.done, r.total)
		if r.done > from {
			r.left = time.Duration(r.seconds * float64(r.total-r.done) / float64(r.done-from) * float64(time.Second))
		}
	}
	if s := m.stream.Load(); s != nil {
		r.healing = s.State() == zerobus.StateRecovering
	} else {
		r.opening = sent == 0
	}
	return r
}

func (r reading) perSecond() int64 { return int64(float64(r.records) / r.seconds) }

func (r reading) megabytesPerSecond() float64 { return float64(r.bytes) / 1e6 / r.seconds }

// String is the progress as a line.
func (r reading) String() string {
	parts := r.numbers()
	if r.total > 0 && !r.opening {
		parts = append(parts, fmt.Sprintf("%d %%", 100*r.done/r.total))
	}
	return strings.Join(append(parts, r.outlook()...), ", ")
}

func (r reading) numbers() []string {
	if r.opening {
		return []string{"connecting"}
	}
	return []string{count(r.records) + " records", count(r.perSecond()) + "/s", fmt.Sprintf("%.1f MB/s", r.megabytesPerSecond())}
}

func (r reading) outlook() (parts []string) {
	if r.left > 0 {
		parts = append(parts, "about "+roughly(r.left)+" left")
	}
	if r.healing {
		parts = append(parts, "reconnecting")
	}
	return parts
}

// roughly writes a time with as many units as one wants to know.
func roughly(d time.Duration) string {
	s := int64((d + time.Second/2) / time.Second)
	switch {
	case s < 1:
		return "1 s"
	case s < 120:
		return fmt.Sprintf("%d s", s)
	case s < 120*60:
		return fmt.Sprintf("%d min", (s+30)/60)
	}
	return fmt.Sprintf("%d h", (s+1800)/3600)
}

// show displays the progress until the function that it returns is called, which waits for the display to end.
func (m *meter) show(w io.Writer, terminal bool) (end func()) {
	if terminal {
		return m.showBar(mpb.New(mpb.WithOutput(w), mpb.WithRefreshRate(barRate)))
	}
	return every(lineRate, func() { fmt.Fprintln(w, m.look()) })
}

// showBar shows a bar when it is known how much there is, and else the numbers alone.
func (m *meter) showBar(p *mpb.Progress) (end func()) {
	numbers := decor.Any(func(decor.Statistics) string {
		r := m.look()
		return " " + strings.Join(append(r.numbers(), r.outlook()...), ", ")
	})
	style := mpb.NopStyle()
	var percent decor.Decorator
	if m.total > 0 {
		style = mpb.BarStyle().Lbound("│").Filler("█").Tip("█").Padding("░").Rbound("│")
		percent = decor.Percentage(decor.WC{W: 5})
	}
	bar := p.New(max(m.total, 1), style, mpb.PrependDecorators(percent), mpb.AppendDecorators(numbers))
	// A bar that is full is not drawn again: that step is for the end.
	stop := every(barRate, func() { bar.SetCurrent(min(m.look().done, max(m.total, 1)-1)) })
	return func() {
		stop()
		if m.total > 0 {
			bar.SetCurrent(m.look().done)
		}
		bar.Abort(false) // does nothing to a full bar
		p.Wait()
	}
}

// every calls f at intervals, on a goroutine that ends with the function that it returns.
func every(interval time.Duration, f func()) (stop func()) {
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		t := time.NewTicker(interval)
		defer t.Stop()
		for {
			select {
			case <-t.C:
				f()
			case <-quit:
				return
			}
		}
	}()
	return func() {
		close(quit)
		<-done
	}
}
