package zerobus

// room is the queue of ingest calls that wait for room in the window, first come, first served. A call that has its room
// goes on with a reservation, so nobody can overtake it.
//
// The pipeline's lock guards it.
type room struct {
	first, last *waiter

	// spare are waiters to be used again, linked by next. They stay with their stream: in a program under
	// testing/synctest, a channel must not go from one bubble to another.
	spare *waiter
}

// waiter is one waiting call.
type waiter struct {
	records, bytes int

	granted bool          // it has its reservation and is out of the queue
	ready   chan struct{} // capacity 1: granted, or the stream takes no more

	prev, next *waiter
}

func (r *room) empty() bool { return r.first == nil }

// join puts a call at the end of the queue.
func (r *room) join(records, bytes int) *waiter {
	w := r.spare
	if w == nil {
		w = &waiter{ready: make(chan struct{}, 1)}
	} else {
		r.spare = w.next
	}
	w.records, w.bytes, w.granted = records, bytes, false
	w.prev, w.next = r.last, nil
	if r.last == nil {
		r.first = w
	} else {
		r.last.next = w
	}
	r.last = w
	return w
}

// leave takes a call out of the queue.
func (r *room) leave(w *waiter) {
	if w.prev == nil {
		r.first = w.next
	} else {
		w.prev.next = w.next
	}
	if w.next == nil {
		r.last = w.prev
	} else {
		w.next.prev = w.prev
	}
	w.prev, w.next = nil, nil
}

// grant lets calls go on, from the first, for as long as reserve has room for them.
func (r *room) grant(reserve func(records, bytes int) bool) {
	for w := r.first; w != nil && reserve(w.records, w.bytes); w = r.first {
		r.leave(w)
		w.granted = true
		w.wake()
	}
}

// wakeAll wakes all calls without granting anything. They leave by themselves.
func (r *room) wakeAll() {
	for w := r.first; w != nil; w = w.next {
		w.wake()
	}
}

// wake never blocks: being woken twice is being woken.
func (w *waiter) wake() {
	select {
	case w.ready <- struct{}{}:
	default:
	}
}

// free keeps a waiter that has left, to be used again.
func (r *room) free(w *waiter) {
	select {
	case <-w.ready: // woken after its context had ended
	default:
	}
	w.next, r.spare = r.spare, w
}
