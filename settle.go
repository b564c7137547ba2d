package zerobus

import "container/heap"

// settling is who waits for which offset: one channel for each offset that somebody asked about, closed when everything
// up to it is settled. So an acknowledgement costs nothing when nobody waits, and nothing for those that wait for later.
//
// The pipeline's lock guards it.
type settling struct {
	chans   map[int64]chan struct{}
	offsets offsetHeap // the keys of chans
}

// on returns the channel for an offset.
func (s *settling) on(offset int64) chan struct{} {
	if c, ok := s.chans[offset]; ok {
		return c
	}
	if s.chans == nil {
		s.chans = map[int64]chan struct{}{}
	}
	c := make(chan struct{})
	s.chans[offset] = c
	heap.Push(&s.offsets, offset)
	return c
}

// upTo closes the channels of all offsets up to and with this one.
func (s *settling) upTo(offset int64) {
	for len(s.offsets) > 0 && s.offsets[0] <= offset {
		o := heap.Pop(&s.offsets).(int64)
		close(s.chans[o])
		delete(s.chans, o)
	}
}

// all closes all channels.
func (s *settling) all() {
	for _, c := range s.chans {
		close(c)
	}
	s.chans, s.offsets = nil, nil
}

// offsetHeap has the lowest offset first.
type offsetHeap []int64

func (h offsetHeap) Len() int           { return len(h) }
func (h offsetHeap) Less(i, j int) bool { return h[i] < h[j] }
func (h offsetHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *offsetHeap) Push(x any)        { *h = append(*h, x.(int64)) }
func (h *offsetHeap) Pop() any {
	old := *h
	last := old[len(old)-1]
	*h = old[:len(old)-1]
	return last
}
