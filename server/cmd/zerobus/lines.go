package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
)

const (
	// readBuffer holds the lines that are looked at. Longer ones are gathered aside.
	readBuffer = 1 << 20

	// maxRecord is the largest record that the SDK takes, less a few bytes of framing, which it counts itself.
	maxRecord = 10<<20 - 64<<10
)

// recordReader takes an input apart. It belongs to one goroutine.
type recordReader interface {
	// next reads a record as JSON, which is good until the next call. The error is io.EOF behind the last one, a badRecord,
	// or that of reading.
	next() ([]byte, error)

	// skip passes over a record, whatever is wrong with it.
	skip() error

	// line is the line of the last record, or of what was wrong, from 1.
	line() int64
}

// badRecord tells what is wrong with a record of an input.
type badRecord string

func (e badRecord) Error() string { return string(e) }

var (
	errLongLine   = badRecord(fmt.Sprintf("the line is longer than the limit of %s bytes for a record", count(int64(maxRecord))))
	byteOrderMark = []byte("\ufeff")
)

// lines reads NDJSON: one record a line, as it stands. Blank lines are no records.
type lines struct {
	r    *bufio.Reader
	long []byte // gathers a line that is longer than r's buffer
	n    int64
}

func newLines(src io.Reader) *lines {
	return &lines{r: bufio.NewReaderSize(src, readBuffer)}
}

func (l *lines) line() int64 { return l.n }

func (l *lines) next() ([]byte, error) {
	for {
		line, err := l.r.ReadSlice('\n')
		l.n++
		if err == bufio.ErrBufferFull {
			line, err = l.gather(line)
		}
		if err != nil && (err != io.EOF || len(line) == 0) {
			return nil, err
		}
		if l.n == 1 {
			line = bytes.TrimPrefix(line, byteOrderMark)
		}
		line = withoutEnd(line)
		if !blank(line) {
			return line, nil
		}
	}
}

// gather reads the rest of a line of which start was read.
func (l *lines) gather(start []byte) ([]byte, error) {
	l.long = append(l.long[:0], start...)
	for {
		part, err := l.r.ReadSlice('\n')
		if len(l.long)+len(part) > maxRecord+len("\r\n") {
			return nil, errLongLine
		}
		l.long = append(l.long, part...)
		if err != bufio.ErrBufferFull {
			return l.long, err
		}
	}
}

func (l *lines) skip() error {
	for {
		line, err := l.r.ReadSlice('\n')
		l.n++
		if l.n == 1 {
			line = bytes.TrimPrefix(line, byteOrderMark)
		}
		record := !blank(line)
		some := len(line) > 0
		for err == bufio.ErrBufferFull {
			line, err = l.r.ReadSlice('\n')
			record = record || !blank(line)
		}
		switch {
		case err != nil && (err != io.EOF || !some):
			return err
		case record:
			return nil
		}
	}
}

func withoutEnd(line []byte) []byte {
	n := len(line)
	if n > 0 && line[n-1] == '\n' {
		n--
	}
	if n > 0 && line[n-1] == '\r' {
		n--
	}
	return line[:n]
}

func blank(line []byte) bool {
	return len(line) == 0 || line[0] <= ' ' && len(bytes.Trim(line, " \t\r\n")) == 0
}
