package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"

	"github.com/parquet-go/parquet-go"
)

// reading is what a reader found beside the rows.
type reading struct {
	Rows    int64 `json:"rows"`
	Files   int   `json:"files"`
	Bytes   int64 `json:"bytes"` // of them
	Version int64 `json:"version"`
	reader  string
	bad     []string // rows whose payload is not theirs, and what else a reader found wrong
}

// readDeltaRS reads the table with interop/blackbox.py, which prints a line for each run: stream, first, count. Lines that
// begin with ! are what is wrong; the last line is the reading.
func readDeltaRS(ctx context.Context, python, script, location string, rows func(run)) (r reading, err error) {
	var errw bytes.Buffer
	cmd := exec.CommandContext(ctx, python, script, location)
	cmd.Stderr = &errw
	out, err := cmd.StdoutPipe()
	if err != nil {
		return r, err
	}
	if err := cmd.Start(); err != nil {
		return r, err
	}
	var last []byte
	sc := bufio.NewScanner(out)
	var malformed error
	for sc.Scan() {
		line := sc.Bytes()
		switch {
		case len(line) == 0:
		case line[0] == '!':
			r.bad = append(r.bad, string(line[2:]))
		case line[0] == '{':
			last = slices.Clone(line)
		default:
			var x run
			if _, err := fmt.Sscan(string(line), &x.stream, &x.first, &x.count); err != nil {
				malformed = fmt.Errorf("line %q: %w", line, err)
				continue
			}
			rows(x)
		}
	}
	if err := errors.Join(sc.Err(), malformed, cmd.Wait()); err != nil {
		return r, fmt.Errorf("read the table with delta-rs: %w\n%s", err, errw.Bytes())
	}
	if err := json.Unmarshal(last, &r); err != nil {
		return r, fmt.Errorf("read the table with delta-rs: the last line is %q: %w", last, err)
	}
	r.reader = "delta-rs"
	return r, nil
}

// row is what is read of a row.
type row struct {
	Stream  int32   `parquet:"stream"`
	N       int64   `parquet:"n"`
	Payload *string `parquet:"payload,optional"`
}

// readGo reads the table with parquet-go, for machines without Python. It knows no checkpoints and no removed files.
func readGo(location string, rows func(run)) (r reading, err error) {
	logs, err := filepath.Glob(filepath.Join(location, "_delta_log", "*.json"))
	if err != nil {
		return r, err
	}
	slices.Sort(logs)
	for _, name := range logs {
		f, err := os.Open(name)
		if err != nil {
			return r, err
		}
		for dec := json.NewDecoder(f); ; {
			var action struct{ Add *struct{ Path string } }
			if err = dec.Decode(&action); err != nil {
				break
			}
			if action.Add != nil {
				if err = r.readFile(filepath.Join(location, filepath.FromSlash(action.Add.Path)), rows); err != nil {
					break
				}
			}
		}
		f.Close()
		if !errors.Is(err, io.EOF) {
			return r, fmt.Errorf("%s: %w", name, err)
		}
	}
	r.Version = int64(len(logs)) - 1
	r.reader = "parquet-go"
	return r, nil
}

func (r *reading) readFile(name string, rows func(run)) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return err
	}
	r.Files++
	r.Bytes += st.Size()
	rd := parquet.NewGenericReader[row](f)
	defer rd.Close()
	buf := make([]row, 1024)
	for {
		n, err := rd.Read(buf)
		for _, x := range buf[:n] {
			r.Rows++
			if x.Payload == nil || !checkPayload(*x.Payload, int64(x.Stream), x.N) {
				r.bad = append(r.bad, fmt.Sprintf("stream %d: record %d has another payload than it was sent with", x.Stream, x.N))
			}
			rows(run{int64(x.Stream), x.N, 1})
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
	}
}
