package server

import (
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/zerobus-go/zerobus/server/internal/table"
	"github.com/zerobus-go/zerobus/server/internal/wal"
	"github.com/zerobus-go/zerobus/server/internal/wal/waltest"
)

func TestHealth_StoppedLogAndHangingShutdown(t *testing.T) {
	s := &Server{}
	if h := s.health(); h.Dead != "" || len(h.Reasons) != 1 || h.Reasons[0].Code != "starting" {
		t.Errorf("a server that is being made: %+v", h)
	}
	disk := waltest.New()
	var err error
	s.log, err = wal.Open(wal.Options{Dir: "wal", FS: disk, SegmentBytes: 256 << 10, MaxEntryBytes: 64 << 10, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer s.log.Close()
	s.tables = table.NewSet(s.log, nil, nil, nil, table.Options{})
	s.life.serve()
	if h := s.health(); h.Dead != "" || len(h.Reasons) != 0 {
		t.Errorf("a server that serves: %+v", h)
	}

	disk.Hook(func(op waltest.Op) error {
		if op.Kind == "datasync" {
			return errors.New("the disk is gone")
		}
		return nil
	})
	done := make(chan error, 1)
	if err := s.log.Append(t.Context(), nil, wal.TableID{1}, []byte("x"), func(_ uint64, err error) { done <- err }); err != nil {
		t.Fatal(err)
	}
	if err := <-done; !errors.Is(err, wal.ErrPoisoned) {
		t.Fatal(err)
	}
	if h := s.health(); h.Dead != "" || len(h.Reasons) != 1 || h.Reasons[0].Code != "wal_stopped" {
		t.Errorf("a log that stopped: %+v", h)
	}

	s.life.close()
	if h := s.health(); h.Dead != "" || h.Reasons[0].Code != "shutting_down" {
		t.Errorf("a shutdown: %+v", h)
	}
	s.life.closed.Store(time.Now().Add(-shutdownHangs - time.Second).UnixNano())
	if h := s.health(); h.Dead == "" {
		t.Error("a shutdown that hangs is not noticed")
	}
	s.life.serve()
	if s.life.now() != closing {
		t.Error("a server that was shut down serves")
	}
}

// The smallest log that a server takes is the smallest that the log itself takes.
func TestConfig_SmallestLog(t *testing.T) {
	c := Config{DataDir: "x", LogBytes: minLogBytes}
	o := wal.Options{Dir: "x", MaxEntryBytes: maxEntryBytes, MaxBytes: minLogBytes}
	if err := errors.Join(c.Validate(), o.Validate()); err != nil {
		t.Error(err)
	}
	c.LogBytes--
	o.MaxBytes--
	if c.Validate() == nil || o.Validate() == nil {
		t.Error("a smaller one is taken")
	}
}
