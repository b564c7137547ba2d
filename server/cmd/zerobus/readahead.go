package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
)

// readAhead reads an input on a goroutine of its own. So decompression and sending overlap, and a read that hangs, of a pipe
// or a terminal, does not keep the command from ending. Read and close belong to one goroutine.
type readAhead struct {
	ctx    context.Context
	took   func(int64)
	closer io.Closer // nil when the input is not ours to close

	full  chan piece
	empty chan []byte
	stop  chan struct{} // closed by close

	data []byte // of the current piece, not read yet
	buf  []byte // of the current piece
	err  error  // of the last piece
}

// piece is what one read gave.
type piece struct {
	buf  []byte
	n    int
	used int64 // bytes as stored
	err  error
}

const (
	pieceSize = 256 << 10
	pieces    = 4
)

func newReadAhead(ctx context.Context, src io.Reader, closer io.Closer, compressed bool, took func(int64)) *readAhead {
	r := &readAhead{
		ctx: ctx, took: took, closer: closer,
		full: make(chan piece, pieces), empty: make(chan []byte, pieces), stop: make(chan struct{}),
	}
	for range pieces {
		r.empty <- make([]byte, pieceSize)
	}
	go r.fill(src, compressed)
	return r
}

// fill reads until the end of the input or until close. A read that hangs ends with the input's other end, or with the
// process.
func (r *readAhead) fill(src io.Reader, compressed bool) {
	counted := &countingReader{r: src}
	src = counted
	if compressed {
		src = &gunzip{src: bufio.NewReaderSize(counted, pieceSize)}
	}
	for told := int64(0); ; {
		var p piece
		select {
		case p.buf = <-r.empty:
		case <-r.stop:
			return
		}
		p.n, p.err = src.Read(p.buf)
		p.used, told = counted.n-told, counted.n
		select {
		case r.full <- p:
		case <-r.stop:
			return
		}
		if p.err != nil {
			return
		}
	}
}

// Read returns what has been read ahead, or waits for it. It ends with the context.
func (r *readAhead) Read(b []byte) (int, error) {
	for len(r.data) == 0 {
		if r.err != nil {
			return 0, r.err
		}
		if r.buf != nil {
			r.empty <- r.buf // there is room for all of them
			r.buf = nil
		}
		if r.ctx.Err() != nil {
			return 0, context.Cause(r.ctx)
		}
		select {
		case p := <-r.full:
			r.buf, r.data, r.err = p.buf, p.buf[:p.n], p.err
			r.took(p.used)
		case <-r.ctx.Done():
			return 0, context.Cause(r.ctx)
		}
	}
	n := copy(b, r.data)
	r.data = r.data[n:]
	return n, nil
}

func (r *readAhead) close() {
	close(r.stop)
	if r.closer != nil {
		_ = r.closer.Close() // only read from
	}
}

// countingReader counts the bytes that come through.
type countingReader struct {
	r io.Reader
	n int64
}

func (c *countingReader) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.n += int64(n)
	return n, err
}

// gunzip is a gzip reader that reads its header with the first Read, so that nothing hangs before. An empty file is taken for
// an empty input.
type gunzip struct {
	src *bufio.Reader
	z   *gzip.Reader
}

func (g *gunzip) Read(b []byte) (int, error) {
	if g.z == nil {
		if _, err := g.src.Peek(1); err != nil {
			return 0, err
		}
		z, err := gzip.NewReader(g.src)
		if err != nil {
			return 0, gzipError(err)
		}
		g.z = z
	}
	n, err := g.z.Read(b)
	return n, gzipError(err)
}

func gzipError(err error) error {
	switch {
	case err == nil, err == io.EOF:
		return err
	case errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("the compressed data ends too early: %w", err)
	}
	return fmt.Errorf("the compressed data is damaged: %w", err)
}
