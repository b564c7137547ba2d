package gateway

import "sync"

// progress is how far a stream has come. The receiver appends, the log makes durable, the sender acknowledges, and receiver or
// handler end it, whoever is first; offsets are those of the wire, from 0.
type progress struct {
	changed chan struct{} // capacity 1

	mu       sync.Mutex // guards the following
	appended int64      // requests handed to the table
	durable  int64      // of these durable
	ended    bool       // no more is taken
	verdict  error      // how the stream ends when all that was appended is durable; nil is OK
	lost     error      // appended requests could not be made durable
}

func newProgress() *progress { return &progress{changed: make(chan struct{}, 1)} }

func (p *progress) signal() {
	select {
	case p.changed <- struct{}{}:
	default:
	}
}

// append counts one request that is about to be handed to the table; its callback may come before that call returns. False
// when the stream has ended, or lost a request: this one must not be taken, nobody would wait for it.
func (p *progress) append() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended || p.lost != nil {
		return false
	}
	p.appended++
	return true
}

// undo takes back the last append, which the table refused. The receiver calls end next, which tells the sender.
func (p *progress) undo() {
	p.mu.Lock()
	p.appended--
	p.mu.Unlock()
}

// settle is the table's answer for the oldest unsettled request.
func (p *progress) settle(err error) {
	p.mu.Lock()
	switch {
	case err == nil && p.lost == nil:
		p.durable++
	case p.lost == nil:
		p.lost = err
	}
	p.mu.Unlock()
	p.signal()
}

// end says that no more is taken, and how the stream ends after what was taken. The first call counts.
func (p *progress) end(verdict error) {
	p.mu.Lock()
	if !p.ended {
		p.ended, p.verdict = true, verdict
	}
	p.mu.Unlock()
	p.signal()
}

// waits tells whether requests were taken that are not durable.
func (p *progress) waits() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.durable < p.appended
}

// look returns the number of durable requests and, once nothing more can come, that the stream is over and how.
func (p *progress) look() (durable int64, over bool, verdict error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.lost != nil:
		return p.durable, true, p.lost
	case p.ended && p.durable == p.appended:
		return p.durable, true, p.verdict
	}
	return p.durable, false, nil
}
