package delta

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/zerobus-go/zerobus/server/internal/lake"
)

// A checkpoint without its hint is a checkpoint (PROTOCOL.md, "Last Checkpoint File"). The log of the server says so, but not when the
// end of the server came between the two.
func TestCheckpoint_WithoutItsHint(t *testing.T) {
	for _, tt := range []struct {
		name  string
		ended bool
		warns bool
	}{
		{"the store fails", false, true},
		{"the server ends", true, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			hints := 0
			store := lake.Faulty(lake.NewMemory(), func(op lake.Op) (before, after error) {
				if op.Name != "put" || op.Path != hintPath {
					return nil, nil
				}
				hints++
				if tt.ended {
					cancel()
					return ctx.Err(), nil
				}
				return errors.New("disk full"), nil
			})
			var said bytes.Buffer
			table := newTestTable(t, store)
			table.log = slog.New(slog.NewTextHandler(&said, nil))
			mustAppend(t, table, appendFiles("app", 1, "f"))
			if version, err := table.Checkpoint(ctx); version != 1 || err != nil {
				t.Fatalf("version %d, %v", version, err)
			}
			if _, err := store.Get(t.Context(), checkpointPath(1)); err != nil || hints != 1 {
				t.Errorf("the checkpoint: %v; %d hints were tried", err, hints)
			}
			if warned := strings.Contains(said.String(), "level=WARN"); warned != tt.warns {
				t.Errorf("the log says %q", said.String())
			}
		})
	}
}
