package gateway

import (
	"errors"
	"testing"
)

func TestProgress_Transcript(t *testing.T) {
	type state struct {
		durable int64
		over    bool
		verdict error
	}
	refused, lost := errors.New("refused"), errors.New("lost")
	for _, c := range []struct {
		name  string
		steps func(p *progress)
		want  state
	}{
		{"nothing", func(*progress) {}, state{}},
		{"half-close of an empty stream", func(p *progress) { p.end(nil) }, state{over: true}},
		{"durable", func(p *progress) { p.append(); p.settle(nil) }, state{durable: 1}},
		{"the end waits for what was appended", func(p *progress) { p.append(); p.append(); p.settle(nil); p.end(nil) }, state{durable: 1}},
		{"and comes then", func(p *progress) { p.append(); p.end(nil); p.settle(nil) }, state{durable: 1, over: true}},
		{"a refusal comes after what was before it", func(p *progress) { p.append(); p.end(refused) }, state{}},
		{"and says so", func(p *progress) { p.append(); p.end(refused); p.settle(nil) }, state{1, true, refused}},
		{"the first end counts", func(p *progress) { p.end(refused); p.end(nil) }, state{0, true, refused}},
		{"nothing is appended after the end", func(p *progress) {
			p.end(refused)
			if p.append() {
				t.Error("a request was taken after the end")
			}
		}, state{0, true, refused}},
		{"an append that the table refused after the end", func(p *progress) { p.append(); p.end(refused); p.undo(); p.end(nil) }, state{0, true, refused}},
		{"an append that the table refused", func(p *progress) { p.append(); p.undo(); p.end(refused) }, state{0, true, refused}},
		{"rows that were lost end the stream at once", func(p *progress) { p.append(); p.append(); p.settle(lost) }, state{0, true, lost}},
		{"nothing is appended after a loss", func(p *progress) {
			p.append()
			p.settle(lost)
			if p.append() {
				t.Error("a request was taken after one that was lost")
			}
		}, state{0, true, lost}},
		{"nothing behind a loss counts", func(p *progress) { p.append(); p.append(); p.settle(lost); p.settle(nil); p.end(nil) }, state{0, true, lost}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newProgress()
			c.steps(p)
			var got state
			got.durable, got.over, got.verdict = p.look()
			if got != c.want {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
		})
	}
}
