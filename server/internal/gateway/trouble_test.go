package gateway

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/zerobus-go/zerobus/internal/wire"
	"github.com/zerobus-go/zerobus/server/internal/wal"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// TestTrouble_TheLogTellsItsOwn: a log that is full or has stopped says so by itself, once. Thousands of entries may wait in it then, and
// each of them telling it again would be as many lines, on the log's own goroutine. What else keeps rows from being durable is told,
// once a stream.
func TestTrouble_TheLogTellsItsOwn(t *testing.T) {
	const requests = 5
	for _, tt := range []struct {
		err  error
		want int // lines
		code codes.Code
	}{
		{wal.ErrFull, 0, codes.ResourceExhausted},
		{fmt.Errorf("%w: write: no such device", wal.ErrPoisoned), 0, codes.Unavailable},
		{wal.ErrChain, 0, codes.Unavailable},
		{errors.New("something else"), 1, codes.Unavailable},
	} {
		t.Run(tt.err.Error(), func(t *testing.T) {
			var lines bytes.Buffer
			inBubble(t, Options{Logger: slog.New(slog.NewTextHandler(&lines, &slog.HandlerOptions{Level: slog.LevelWarn}))}, func(d *door) {
				d.log.hold()
				c := d.open(many)
				for offset := range int64(requests) {
					c.record(offset)
				}
				synctest.Wait()
				d.log.lose(tt.err)
				c.endsAt(-1, tt.code, "")
			})
			if got := strings.Count(lines.String(), "records not durable"); got != tt.want {
				t.Errorf("%d lines, want %d:\n%s", got, tt.want, &lines)
			}
		})
	}
}

// TestTrouble_RefusalsAreShort: a status and a line of the log do not repeat what a client sends, which has up to 11 MiB.
func TestTrouble_RefusalsAreShort(t *testing.T) {
	for _, name := range []string{
		strings.Repeat("\x01", 1<<20), strings.Repeat("a.", 1<<19), "a.b." + strings.Repeat("x", 1<<20), strings.Repeat("a", 300) + ".b.c", "a.b",
	} {
		for _, md := range []metadata.MD{nil, metadata.Pairs(tableHeader, tableName)} {
			var lines bytes.Buffer
			inBubble(t, Options{Logger: slog.New(slog.NewTextHandler(&lines, nil))}, func(d *door) {
				c := d.dialWith(many, md)
				c.send(wire.AppendCreateStream(nil, wire.CreateStream{Table: name, Type: wire.JSON, HasType: true}))
				_, err := c.end()
				if status.Code(err) != codes.InvalidArgument || len(err.Error()) > 2000 {
					t.Errorf("%.20q: a status of %d bytes: %.100s", name, len(err.Error()), err)
				}
			})
			if lines.Len() > 5000 {
				t.Errorf("%.20q: the log has %d bytes", name, lines.Len())
			}
		}
	}
}
