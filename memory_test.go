package zerobus

import (
	"runtime"
	"testing"
)

// What a burst took is given back: a few chunks stay for the next one, and the garbage collector takes the others.
func TestMemory_ReturnsAfterABurst(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector's own memory is counted, too; the test runs without it")
	}
	s, n := newIdle(t, RecordTypeProto)
	h := host{n.p}
	held := func() int {
		for range 3 { // a pool gives up what was not used for two collections
			runtime.GC()
		}
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int(m.HeapAlloc >> 20)
	}
	before := held()
	rec := ProtoBytes(make([]byte, 10_000))
	const burst = 60 // MiB, below the default limit
	for range burst << 20 / 10_000 {
		if _, err := s.TryIngest(rec); err != nil {
			t.Fatal(err)
		}
	}
	during := held()
	if during-before < burst {
		t.Errorf("%d MiB are held for a burst of %d", during-before, burst)
	}
	last := int64(-1)
	for {
		m, ok := h.Take(n.p.gen)
		if !ok {
			break
		}
		m.Body.Free()
		h.Sent(n.p.gen)
		last = m.Offset
	}
	if _, err := h.Ack(n.p.gen, last); err != nil {
		t.Fatal(err)
	}
	if after := held(); after-before > 10 { // 8 chunks for the next burst, one in use
		t.Errorf("%d MiB are held after the burst; %d before, %d during it", after, before, during)
	}
}
