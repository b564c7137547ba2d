package sink

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/http2"
)

// ledger notes what a walker finds. Streams open with their first DATA; id 0 is refused.
type ledger struct {
	streams map[uint32]*cursor // nil after a fault
	taken   int                // of flow-control windows
	notes   []string
}

func newLedger() *ledger { return &ledger{streams: make(map[uint32]*cursor)} }

func (l *ledger) note(format string, args ...any) {
	l.notes = append(l.notes, fmt.Sprintf("at %d: ", l.taken)+fmt.Sprintf(format, args...))
}

func (l *ledger) data(id uint32, n int) (*cursor, error) {
	if id == 0 {
		return nil, http2.ConnectionError(http2.ErrCodeProtocol)
	}
	l.taken += n
	c, ok := l.streams[id]
	if !ok {
		c = new(cursor)
		l.streams[id] = c
	}
	return c, nil
}

func (l *ledger) fault(id uint32, err error) {
	l.streams[id] = nil
	l.notes = append(l.notes, fmt.Sprintf("fault of %d: %v", id, err)) // within a piece, so at no place
}

func (l *ledger) end(id uint32) { l.note("end of %d", id) }

func (l *ledger) frame(b []byte) error {
	l.note("frame %x", b)
	return nil
}

// String is what has to be the same wherever the bytes are cut.
func (l *ledger) String() string {
	var b strings.Builder
	ids := make([]uint32, 0, len(l.streams))
	for id := range l.streams {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	for _, id := range ids {
		if c := l.streams[id]; c != nil {
			fmt.Fprintf(&b, "stream %d: %d messages, %d bytes, within one: %t\n", id, c.count, c.bytes, c.cut())
		}
	}
	fmt.Fprintf(&b, "taken %d\n%s", l.taken, strings.Join(l.notes, "\n"))
	return b.String()
}

// walk gives a walker the bytes in pieces of the sizes that cut returns, and returns what it left.
func walk(t testing.TB, b []byte, to frames, cut func() int) (rest int, err error) {
	w := walker{to: to}
	var buf []byte
	for len(b) > 0 {
		n := min(max(cut(), 1), len(b))
		buf = append(buf, b[:n]...)
		b = b[n:]
		used, err := w.walk(buf)
		if used < 0 || used > len(buf) {
			t.Fatalf("%d of %d bytes are used", used, len(buf))
		}
		buf = slices.Delete(buf, 0, used)
		if err != nil {
			return 0, err
		}
		if len(buf) >= headerSize+maxFrame {
			t.Fatalf("%d bytes are left, which is a whole frame", len(buf))
		}
	}
	return len(buf), nil
}

func whole() int { return 1 << 30 }

// traffic is what the framer of x/net writes for messages of three streams, and how many there are.
func traffic(r *rand.Rand) (b []byte, messages, size map[uint32]int64) {
	var out bytes.Buffer
	out.WriteString(http2.ClientPreface)
	fr := http2.NewFramer(&out, nil)
	fr.WriteSettings()
	messages, size = make(map[uint32]int64), make(map[uint32]int64)
	pending := make(map[uint32][]byte)
	for range 60 {
		id := uint32(1 + 2*r.IntN(3))
		for range r.IntN(20) {
			n := r.IntN(60)
			if r.IntN(10) == 0 {
				n = r.IntN(3 * maxFrame)
			}
			if messages[id]++; messages[id] > 1 {
				size[id] += int64(n)
			}
			pending[id] = append(pending[id], 0, byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
			for range n {
				pending[id] = append(pending[id], byte(r.Uint32()))
			}
		}
		n := min(r.IntN(maxFrame-256), len(pending[id]))
		if r.IntN(3) == 0 {
			fr.WriteDataPadded(id, false, pending[id][:n], make([]byte, r.IntN(256)))
		} else {
			fr.WriteData(id, false, pending[id][:n])
		}
		pending[id] = pending[id][n:]
		if r.IntN(5) == 0 {
			fr.WritePing(false, [8]byte{byte(id)})
		}
	}
	for _, id := range []uint32{1, 3, 5} {
		for len(pending[id]) > 0 {
			n := min(maxFrame, len(pending[id]))
			fr.WriteData(id, false, pending[id][:n])
			pending[id] = pending[id][n:]
		}
		fr.WriteData(id, true, nil)
	}
	return out.Bytes(), messages, size
}

func TestWalkerFindsEveryMessageWhereverBytesAreCut(t *testing.T) {
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 0))
		b, messages, size := traffic(r)
		most := 1 + r.IntN(1<<r.IntN(18))
		l := newLedger()
		if rest, err := walk(t, b, l, func() int { return r.IntN(most) + 1 }); err != nil || rest != 0 {
			t.Fatalf("seed %d: %d bytes are left, %v", seed, rest, err)
		}
		for id, want := range messages {
			if c := l.streams[id]; c == nil || c.count != want || c.bytes != size[id] || c.cut() {
				t.Errorf("seed %d: stream %d: %+v; want %d messages of %d bytes", seed, id, c, want, size[id])
			}
		}
		ends := 0
		for _, note := range l.notes {
			if strings.Contains(note, "end of") {
				ends++
			}
		}
		if ends != 3 {
			t.Errorf("seed %d: %d streams end; want 3", seed, ends)
		}
	}
}

func TestWalkerCountsPaddingAsTaken(t *testing.T) {
	var out bytes.Buffer
	out.WriteString(http2.ClientPreface)
	fr := http2.NewFramer(&out, nil)
	fr.WriteDataPadded(1, false, []byte{0, 0, 0, 0, 3, 'a'}, make([]byte, 200))
	fr.WriteDataPadded(1, true, []byte{'b', 'c'}, make([]byte, 0, 1))
	for _, cut := range []int{1, 2, 7, 1000} {
		l := newLedger()
		if rest, err := walk(t, out.Bytes(), l, func() int { return cut }); err != nil || rest != 0 {
			t.Fatalf("%d bytes are left, %v", rest, err)
		}
		if want := 1 + 6 + 200 + 1 + 2; l.taken != want {
			t.Errorf("in pieces of %d: %d bytes of the window are taken; want %d", cut, l.taken, want)
		}
		if c := l.streams[1]; c.count != 1 || c.cut() {
			t.Errorf("in pieces of %d: %+v", cut, c)
		}
	}
}

func TestWalkerRefuses(t *testing.T) {
	data := func(flags byte, length byte, payload ...byte) string {
		return http2.ClientPreface + string(append([]byte{0, 0, length, 0, flags, 0, 0, 0, 1}, payload...))
	}
	tests := []struct {
		name, bytes, want string
	}{
		{"another protocol", "GET / HTTP/1.1\r\n", "not with HTTP/2's preface"},
		{"a large frame", http2.ClientPreface + "\x00\x40\x01\x00\x00\x00\x00\x00\x01", "has 16385 bytes"},
		{"padding in nothing", data(8, 0), "0 bytes of DATA have 0 of padding"},
		{"padding beyond the frame", data(8, 3, 3, 0, 0), "3 bytes of DATA have 3 of padding"},
		{"DATA of the connection", http2.ClientPreface + "\x00\x00\x00\x00\x00\x00\x00\x00\x00", "PROTOCOL_ERROR"},
	}
	for _, test := range tests {
		for _, cut := range []func() int{whole, func() int { return 1 }} {
			if _, err := walk(t, []byte(test.bytes), newLedger(), cut); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%s: %v; want %q", test.name, err, test.want)
			}
		}
	}
}

func FuzzWalker(f *testing.F) {
	for seed := range uint64(3) {
		b, _, _ := traffic(rand.New(rand.NewPCG(seed, 1)))
		f.Add(b[:min(len(b), 4000)], seed)
	}
	f.Add([]byte(http2.ClientPreface+"\x00\x00\x06\x00\x09\x00\x00\x00\x01\x01\x00\x00\x00\x00\x00"), uint64(7))
	f.Fuzz(func(t *testing.T, b []byte, seed uint64) {
		b = slices.Concat([]byte(http2.ClientPreface), b)
		one := newLedger()
		rest, err := walk(t, b, one, whole)
		r := rand.New(rand.NewPCG(seed, 2))
		most := 1 + r.IntN(1<<r.IntN(16))
		cut := newLedger()
		cutRest, cutErr := walk(t, b, cut, func() int { return 1 + r.IntN(most) })
		if got, want := fmt.Sprint(cut, cutRest, cutErr), fmt.Sprint(one, rest, err); got != want {
			t.Errorf("cut into pieces:\n%s\n\nin one piece:\n%s", got, want)
		}
	})
}
