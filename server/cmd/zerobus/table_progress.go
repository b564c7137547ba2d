package main

import (
	"fmt"
	"io"
	"sync/atomic"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

// task is how far a long operation on a table is. The operation writes it, the display reads it.
type task struct{ at atomic.Pointer[step] }

// step is what the operation is at.
type step struct {
	name        string // what is counted, such as "files checked"
	done, total int64  // total is 0 while it is not known
}

func (s step) String() string {
	if s.total > 0 {
		return fmt.Sprintf("%s of %s %s", count(s.done), count(s.total), s.name)
	}
	return count(s.done) + " " + s.name
}

// progress is for the operation to call.
func (t *task) progress(name string, done, total int64) { t.at.Store(&step{name, done, total}) }

func (t *task) look() step {
	if s := t.at.Load(); s != nil {
		return *s
	}
	return step{}
}

// show displays the progress until the function that it returns is called, which waits for the display to end.
func (t *task) show(w io.Writer, terminal bool) (end func()) {
	if terminal {
		return t.showBar(mpb.New(mpb.WithOutput(w), mpb.WithRefreshRate(barRate)))
	}
	return every(lineRate, func() {
		if s := t.look(); s.name != "" {
			fmt.Fprintln(w, s)
		}
	})
}

// showBar shows a bar that begins anew with each step, and is gone at the end.
func (t *task) showBar(p *mpb.Progress) (end func()) {
	numbers := decor.Any(func(decor.Statistics) string { return " " + t.look().String() })
	style := mpb.BarStyle().Lbound("│").Filler("█").Tip("█").Padding("░").Rbound("│")
	bar := p.New(1, style, mpb.AppendDecorators(numbers))
	stop := every(barRate, func() {
		s := t.look()
		total := max(s.total, 1)
		bar.SetTotal(total, false)
		bar.SetCurrent(min(s.done, total-1)) // a bar that is full is not drawn again
	})
	return func() {
		stop()
		bar.Abort(true)
		p.Wait()
	}
}

// amount writes a number of files and their size.
func amount(files int, bytes int64) string {
	if files == 0 {
		return "no files"
	}
	return fmt.Sprintf("%s %s with %s", count(files), plural(files, "file"), bytesText(bytes))
}
