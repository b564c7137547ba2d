package main

import (
	"bytes"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vbauerster/mpb/v8"
)

func TestReading_String(t *testing.T) {
	for _, tt := range []struct {
		r    reading
		want string
	}{
		{reading{seconds: 1, total: 10, opening: true}, "connecting"},
		{reading{seconds: 1}, "0 records, 0/s, 0.0 MB/s"},
		{reading{records: 1_200_000, bytes: 96e6, seconds: 4, done: 42, total: 100, left: 12 * time.Second}, "1,200,000 records, 300,000/s, 24.0 MB/s, 42 %, about 12 s left"},
		{reading{records: 7, seconds: 7, total: 10, left: time.Hour, healing: true}, "7 records, 1/s, 0.0 MB/s, 0 %, about 60 min left, reconnecting"},
	} {
		if got := tt.r.String(); got != tt.want {
			t.Errorf("%q, want %q", got, tt.want)
		}
	}
}

func TestRoughly(t *testing.T) {
	for d, want := range map[time.Duration]string{
		time.Millisecond: "1 s", 1499 * time.Millisecond: "1 s", 119 * time.Second: "119 s", 2 * time.Minute: "2 min", 119 * time.Minute: "119 min",
		3 * time.Hour: "3 h", 1000 * time.Hour: "1000 h",
	} {
		if got := roughly(d); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
}

// What is read counts as done as far as its records are acknowledged; what is skipped is done, and takes no time.
func TestMeter_Look(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMeter(1000)
		time.Sleep(time.Hour)
		if r := m.look(); !r.opening {
			t.Errorf("before there is a stream: %+v", r)
		}
		m.read.Add(200)
		m.begin() // behind the skipped ones
		if r := m.look(); r.done != 200 || r.left != 0 {
			t.Errorf("after the skipped ones: %+v", r)
		}
		time.Sleep(10 * time.Second)
		m.read.Add(600)
		m.sent.Store(3000)
		m.bytes.Store(6000)
		m.acked.Store(1000)
		r := m.look()
		if r.records != 1000 || r.bytes != 2000 || r.seconds != 10 || r.done != 400 || r.left != 30*time.Second {
			t.Errorf("in the middle: %+v", r)
		}
		m.read.Store(1000)
		m.acked.Store(3010) // the loop has not published yet
		if r := m.look(); r.done != 1000 || r.bytes != 6000 || r.left != 0 {
			t.Errorf("at the end: %+v", r)
		}
	})
}

// screen is a terminal that keeps what is written.
type screen struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *screen) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(b)
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func TestMeter_LinesOutsideATerminal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, s := newMeter(100), &screen{}
		m.read.Add(50)
		m.sent.Store(1000)
		m.acked.Store(1000)
		end := m.show(s, false)
		time.Sleep(2*lineRate + time.Second)
		end()
		time.Sleep(time.Minute)
		const want = "1,000 records, 200/s, 0.0 MB/s, 50 %, about 5 s left\n1,000 records, 100/s, 0.0 MB/s, 50 %, about 10 s left\n"
		if got := s.String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	})
}

func TestMeter_Bar(t *testing.T) {
	for _, tt := range []struct {
		name  string
		total int64
		read  int64
		want  []string
		never string
	}{
		{"done", 100, 100, []string{"50 % │", "100 % │", "1,000 records", "/s"}, ""},
		{"ended early", 100, 60, []string{"50 % │", "60 % │", "░"}, "100 %"},
		{"unknown size", 0, 60, []string{"1,000 records"}, "%"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m, s := newMeter(tt.total), &screen{}
				m.read.Store(50)
				m.sent.Store(500)
				m.acked.Store(500)
				end := m.showBar(mpb.New(mpb.WithOutput(s), mpb.WithAutoRefresh(), mpb.WithWidth(100), mpb.WithRefreshRate(barRate)))
				time.Sleep(time.Second)
				m.read.Store(tt.read)
				m.sent.Store(1000)
				m.acked.Store(1000)
				end()
				got := s.String()
				for _, want := range tt.want {
					if !strings.Contains(got, want) {
						t.Errorf("the terminal does not show %q:\n%q", want, got)
					}
				}
				if tt.never != "" && strings.Contains(got, tt.never) {
					t.Errorf("the terminal shows %q:\n%q", tt.never, got)
				}
			})
		})
	}
}
