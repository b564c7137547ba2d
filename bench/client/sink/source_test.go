package sink

import (
	"errors"
	"io"
	"testing"
)

func TestSourceSaysWhenItReadsTheSocket(t *testing.T) {
	socket := &script{reads: [][]byte{[]byte("abcdefg"), []byte("h"), make([]byte, 100)}}
	words := 0
	s := source{Conn: socket, before: func() error { words++; return nil }, buf: make([]byte, 8)}
	var got []byte
	for _, want := range []struct{ size, n, words int }{
		{3, 3, 1},
		{3, 3, 1},
		{3, 1, 1}, // of one read of the socket
		{3, 1, 2},
		{50, 50, 3},
		{50, 50, 4}, // past the buffer
	} {
		b := make([]byte, want.size)
		n, err := s.Read(b)
		if err != nil || n != want.n || words != want.words {
			t.Fatalf("Read gave %d bytes, %v, after %d words; want %d after %d", n, err, words, want.n, want.words)
		}
		got = append(got, b[:n]...)
	}
	if string(got[:8]) != "abcdefgh" {
		t.Errorf("read %q", got[:8])
	}
	if n, err := s.Read(make([]byte, 3)); n != 0 || err != io.EOF {
		t.Errorf("at the end: %d bytes, %v", n, err)
	}
	broken := errors.New("broken")
	s.before = func() error { return broken }
	if n, err := s.Read(make([]byte, 3)); n != 0 || err != broken {
		t.Errorf("with a failure: %d bytes, %v", n, err)
	}
}
