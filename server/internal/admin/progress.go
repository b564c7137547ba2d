package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"
)

// Progress is told how far a long operation is: done of total, which is 0 while it is not known. It must not block.
type Progress func(step string, done, total int64)

// An operation that takes long is answered line by line: {"progress": …} as often as progressRate allows, then {"result": …} or
// {"error": "…"}. What fails before the first line is answered like any other operation.
type line struct {
	Progress *progressLine   `json:"progress,omitempty"`
	Result   json.RawMessage `json:"result,omitempty"`
	Error    string          `json:"error,omitempty"`
}

type progressLine struct {
	Step  string `json:"step"`
	Done  int64  `json:"done"`
	Total int64  `json:"total,omitempty"`
}

const (
	progressRate = 200 * time.Millisecond
	// lineTimeout is how long the client may take to read a line.
	lineTimeout = 30 * time.Second
)

// lineWriter answers line by line.
type lineWriter struct {
	w    http.ResponseWriter
	conn *http.ResponseController

	mu    sync.Mutex // guards the following
	begun bool
	last  time.Time
	err   error
}

// newLineWriter takes the limits of a request off that are meant for short ones; its own take their place.
func newLineWriter(w http.ResponseWriter) *lineWriter {
	l := &lineWriter{w: w, conn: http.NewResponseController(w), last: time.Now()}
	// A writer that has no deadlines needs none taken off.
	_ = errors.Join(l.conn.SetReadDeadline(time.Time{}), l.conn.SetWriteDeadline(time.Time{}))
	return l
}

func (l *lineWriter) progress(step string, done, total int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now := time.Now(); now.Sub(l.last) >= progressRate {
		l.last = now
		l.write(line{Progress: &progressLine{step, done, total}})
	}
}

func (l *lineWriter) result(v any) {
	data, err := json.Marshal(v)
	if err != nil {
		l.fail(err)
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.write(line{Result: data})
}

func (l *lineWriter) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.begun {
		answer(l.w, statusOf(err), failure{Error: err.Error()})
		return
	}
	l.write(line{Error: err.Error()})
}

// write sends a line. When the client is gone nobody is left to tell; the request's context ends the operation.
func (l *lineWriter) write(x line) {
	if l.err != nil {
		return
	}
	if !l.begun {
		l.begun = true
		l.w.Header().Set("Content-Type", "application/x-ndjson")
		l.w.Header().Set("Cache-Control", "no-store")
	}
	_ = l.conn.SetWriteDeadline(time.Now().Add(lineTimeout))
	l.err = errors.Join(json.NewEncoder(l.w).Encode(x), l.conn.Flush())
	_ = l.conn.SetWriteDeadline(time.Time{})
}

// follow asks the server for an operation that takes long.
func follow[T any](ctx context.Context, c *Client, op string, r request, progress Progress) (v T, err error) {
	resp, err := c.post(ctx, op, r)
	if err != nil {
		return v, err
	}
	defer resp.Body.Close()
	dec := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer))
	if resp.StatusCode != http.StatusOK {
		var f failure
		if err := dec.Decode(&f); err != nil || f.Error == "" {
			return v, fmt.Errorf("the running server answered %s", resp.Status)
		}
		return v, &RemoteError{Status: resp.StatusCode, Msg: f.Error}
	}
	for {
		var l line
		if err := dec.Decode(&l); err != nil {
			return v, fmt.Errorf("the running server's answer ended early, what it did is in its log: %w", err)
		}
		switch {
		case l.Error != "":
			return v, &RemoteError{Status: resp.StatusCode, Msg: l.Error}
		case l.Result != nil:
			return v, json.Unmarshal(l.Result, &v)
		case l.Progress != nil && progress != nil:
			progress(l.Progress.Step, l.Progress.Done, l.Progress.Total)
		}
	}
}
