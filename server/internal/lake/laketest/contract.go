// Package laketest holds the contract of lake.Store as a test suite. Every implementation runs it.
package laketest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/zerobus-go/zerobus/server/internal/lake"
)

// Run tests the stores that open returns; each call must give an empty one.
func Run(t *testing.T, open func(t *testing.T) lake.Store) {
	for _, c := range []struct {
		name string
		test func(t *testing.T, s lake.Store)
	}{
		{"GetOfNothingIsErrNotExist", getNothing},
		{"PutReplaces", putReplaces},
		{"PutIfAbsentNeverReplaces", putIfAbsent},
		{"PutIfAbsentOf32RacersHasOneWinner", race},
		{"ReadersNeverSeeAPartOfAnObject", wholeObjects},
		{"WriterIsInvisibleBeforeCommit", writer},
		{"WriterCommitNeverReplaces", writerNeverReplaces},
		{"WriterAbortLeavesNothing", writerAbort},
		{"WriterIsEndedByCommitAndAbort", writerEnds},
		{"ReaderReadsAtOffsets", reader},
		{"ReaderKeepsWhatItOpened", readerKeeps},
		{"ListIsInByteOrder", list},
		{"ListTakesPrefixAndStartAfter", listRange},
		{"ListStopsWhenAsked", listStops},
		{"DeleteIsIdempotent", deletes},
		{"RemoveAllTakesTheDirectoryAlone", removeAll},
		{"RemoveAllAndWriteAgain", removeAndWrite},
		{"SubIsTheSameObjects", sub},
		{"InvalidPathsAreRefused", invalidPaths},
		{"EndedContextIsRefused", endedContext},
		{"EmptyObject", emptyObject},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, open(t)) })
		t.Run(c.name+"/InSub", func(t *testing.T) { c.test(t, open(t).Sub("some/where")) })
	}
}

func put(t *testing.T, s lake.Store, path, data string) {
	t.Helper()
	if err := s.Put(t.Context(), path, []byte(data)); err != nil {
		t.Fatalf("Put(%q): %v", path, err)
	}
}

func wantData(t *testing.T, s lake.Store, path, want string) {
	t.Helper()
	got, err := s.Get(t.Context(), path)
	if err != nil || string(got) != want {
		t.Errorf("Get(%q) = %q, %v; want %q", path, got, err, want)
	}
}

func wantErr(t *testing.T, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: error %v, want %v", what, err, want)
	}
}

// paths lists a store.
func paths(t *testing.T, s lake.Store, prefix, after string) []string {
	t.Helper()
	out := []string{}
	for info, err := range s.List(t.Context(), prefix, after) {
		if err != nil {
			t.Fatalf("List(%q, %q): %v", prefix, after, err)
		}
		out = append(out, info.Path)
	}
	return out
}

func wantPaths(t *testing.T, s lake.Store, prefix, after string, want ...string) {
	t.Helper()
	if got := paths(t, s, prefix, after); !slices.Equal(got, want) {
		t.Errorf("List(%q, %q) = %q, want %q", prefix, after, got, want)
	}
}

func getNothing(t *testing.T, s lake.Store) {
	put(t, s, "a/b", "x")
	for _, p := range []string{"no", "a/no", "no/no", "a", "a/b/c"} {
		_, err := s.Get(t.Context(), p)
		wantErr(t, "Get "+p, err, fs.ErrNotExist)
		_, err = s.Open(t.Context(), p)
		wantErr(t, "Open "+p, err, fs.ErrNotExist)
	}
}

func putReplaces(t *testing.T, s lake.Store) {
	put(t, s, "d/a", "first, and longer")
	put(t, s, "d/a", "second")
	wantData(t, s, "d/a", "second")
	wantPaths(t, s, "", "", "d/a")
}

func putIfAbsent(t *testing.T, s lake.Store) {
	if err := s.PutIfAbsent(t.Context(), "d/a", []byte("first")); err != nil {
		t.Fatal(err)
	}
	wantErr(t, "second PutIfAbsent", s.PutIfAbsent(t.Context(), "d/a", []byte("second")), fs.ErrExist)
	wantData(t, s, "d/a", "first")
	if err := s.Delete(t.Context(), "d/a"); err != nil {
		t.Fatal(err)
	}
	if err := s.PutIfAbsent(t.Context(), "d/a", []byte("third")); err != nil {
		t.Fatal(err)
	}
	wantData(t, s, "d/a", "third")
	wantPaths(t, s, "", "", "d/a")
}

func race(t *testing.T, s lake.Store) {
	const racers, rounds = 32, 5
	for round := range rounds {
		path := fmt.Sprintf("race%d/object", round)
		start := make(chan struct{})
		errs := make([]error, racers)
		var wg sync.WaitGroup
		for i := range racers {
			wg.Go(func() {
				<-start
				data := []byte(fmt.Sprintf("racer %d", i))
				if i%2 == 0 {
					errs[i] = s.PutIfAbsent(t.Context(), path, data)
					return
				}
				w, err := s.Create(t.Context(), path)
				if err != nil {
					errs[i] = err
					return
				}
				defer w.Abort()
				if _, err := w.Write(data); err != nil {
					errs[i] = err
					return
				}
				errs[i] = w.Commit()
			})
		}
		close(start)
		wg.Wait()
		winner := -1
		for i, err := range errs {
			switch {
			case err == nil && winner >= 0:
				t.Fatalf("round %d: racers %d and %d both won", round, winner, i)
			case err == nil:
				winner = i
			case !errors.Is(err, fs.ErrExist):
				t.Fatalf("round %d: racer %d: %v", round, i, err)
			}
		}
		if winner < 0 {
			t.Fatalf("round %d: nobody won", round)
		}
		wantData(t, s, path, fmt.Sprintf("racer %d", winner))
	}
}

func wholeObjects(t *testing.T, s lake.Store) {
	const size, writes = 1 << 16, 20
	put(t, s, "a", strings.Repeat("0", size))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var wg sync.WaitGroup
	wg.Go(func() {
		defer cancel()
		for i := range writes {
			if err := s.Put(t.Context(), "a", bytes.Repeat([]byte{'0' + byte(i%10)}, size)); err != nil {
				t.Errorf("Put: %v", err)
				return
			}
		}
	})
	for ctx.Err() == nil {
		data, err := s.Get(t.Context(), "a")
		if err != nil {
			t.Errorf("Get: %v", err)
			break
		}
		if len(data) != size || !bytes.Equal(data, bytes.Repeat(data[:1], size)) {
			t.Errorf("Get returned %d bytes, a mixture or a part", len(data))
			break
		}
	}
	wg.Wait()
}

func create(t *testing.T, s lake.Store, path string, pieces ...string) lake.Writer {
	t.Helper()
	w, err := s.Create(t.Context(), path)
	if err != nil {
		t.Fatalf("Create(%q): %v", path, err)
	}
	for _, p := range pieces {
		if n, err := io.WriteString(w, p); n != len(p) || err != nil {
			t.Fatalf("Write = %d, %v; want %d", n, err, len(p))
		}
	}
	return w
}

func writer(t *testing.T, s lake.Store) {
	w := create(t, s, "d/a", "one ", "two ", "three")
	defer w.Abort()
	_, err := s.Get(t.Context(), "d/a")
	wantErr(t, "Get before Commit", err, fs.ErrNotExist)
	wantPaths(t, s, "", "")
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	w.Abort()
	wantData(t, s, "d/a", "one two three")
	wantPaths(t, s, "", "", "d/a")
}

func writerNeverReplaces(t *testing.T, s lake.Store) {
	w := create(t, s, "d/a", "mine")
	put(t, s, "d/a", "theirs")
	wantErr(t, "Commit", w.Commit(), fs.ErrExist)
	wantData(t, s, "d/a", "theirs")
	wantPaths(t, s, "", "", "d/a")
}

func writerAbort(t *testing.T, s lake.Store) {
	w := create(t, s, "d/a", "data")
	w.Abort()
	w.Abort()
	wantPaths(t, s, "", "")
}

func writerEnds(t *testing.T, s lake.Store) {
	for _, end := range []func(lake.Writer){
		func(w lake.Writer) { _ = w.Commit() },
		func(w lake.Writer) { w.Abort() },
	} {
		w := create(t, s, "d/a", "data")
		end(w)
		_, err := w.Write([]byte("more"))
		wantErr(t, "Write after the end", err, fs.ErrClosed)
		wantErr(t, "Commit after the end", w.Commit(), fs.ErrClosed)
	}
	wantData(t, s, "d/a", "data")
}

func reader(t *testing.T, s lake.Store) {
	put(t, s, "a", "0123456789")
	r, err := s.Open(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	if r.Size() != 10 {
		t.Errorf("Size = %d, want 10", r.Size())
	}
	buf := make([]byte, 4)
	if n, err := r.ReadAt(buf, 3); n != 4 || err != nil || string(buf) != "3456" {
		t.Errorf("ReadAt(3) = %d, %v, %q", n, err, buf)
	}
	if n, err := r.ReadAt(buf, 8); n != 2 || !errors.Is(err, io.EOF) || string(buf[:n]) != "89" {
		t.Errorf("ReadAt(8) = %d, %v, %q; want 2, EOF", n, err, buf[:n])
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}

func readerKeeps(t *testing.T, s lake.Store) {
	put(t, s, "a", "old")
	r, err := s.Open(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	put(t, s, "a", "new")
	buf := make([]byte, 3)
	if _, err := r.ReadAt(buf, 0); err != nil || string(buf) != "old" {
		t.Errorf("ReadAt after a replacement = %q, %v", buf, err)
	}
}

// tree is in byte order: '.' < '/' < '0', so what a directory holds stands between names that begin alike.
var tree = []string{"a-", "a.b", "a/b", "a/c/d", "a0", "b/x", "é/y"}

func list(t *testing.T, s lake.Store) {
	wantPaths(t, s, "", "")
	for _, p := range slices.Backward(tree) {
		put(t, s, p, "data of "+p)
	}
	wantPaths(t, s, "", "", tree...)
	for info, err := range s.List(t.Context(), "a/", "") {
		if err != nil {
			t.Fatal(err)
		}
		if want := int64(len("data of " + info.Path)); info.Size != want || info.ModTime.IsZero() {
			t.Errorf("List: %+v, want size %d and a time", info, want)
		}
	}
}

func listRange(t *testing.T, s lake.Store) {
	for _, p := range tree {
		put(t, s, p, "x")
	}
	after := append([]string{"", "a", "a/", "a/a", "a/c", "a/c/", "a/c/e", "zz"}, tree...)
	for _, prefix := range []string{"", "a", "a/", "a/c", "a/c/", "a/c/d", "b", "c", "c/d"} {
		for _, start := range after {
			want := []string{}
			for _, p := range tree {
				if strings.HasPrefix(p, prefix) && p > start {
					want = append(want, p)
				}
			}
			wantPaths(t, s, prefix, start, want...)
		}
	}
}

func listStops(t *testing.T, s lake.Store) {
	for _, p := range tree {
		put(t, s, p, "x")
	}
	var got []string
	for info, err := range s.List(t.Context(), "", "") {
		if err != nil {
			t.Fatal(err)
		}
		if got = append(got, info.Path); len(got) == 4 {
			break
		}
	}
	if !slices.Equal(got, tree[:4]) {
		t.Errorf("the first four are %q, want %q", got, tree[:4])
	}
}

func deletes(t *testing.T, s lake.Store) {
	put(t, s, "d/a", "x")
	put(t, s, "d/b", "x")
	for _, p := range []string{"d/a", "d/a", "no", "no/no", "d/b/c", "d"} {
		if err := s.Delete(t.Context(), p); err != nil {
			t.Errorf("Delete(%q): %v", p, err)
		}
	}
	wantPaths(t, s, "", "", "d/b")
}

func removeAll(t *testing.T, s lake.Store) {
	for _, p := range []string{"t/_delta_log/0.json", "t/p=1/f", "t/f", "t2/f", "u"} {
		put(t, s, p, "x")
	}
	for _, p := range []string{"t", "t", "no", "no/no", "u/v", "u"} {
		if err := s.RemoveAll(t.Context(), p); err != nil {
			t.Errorf("RemoveAll(%q): %v", p, err)
		}
	}
	wantPaths(t, s, "", "", "t2/f", "u")
	// What stays of a view is nothing.
	v := s.Sub("t2")
	if err := v.RemoveAll(t.Context(), ""); err != nil {
		t.Error(err)
	}
	wantPaths(t, s, "", "", "u")
}

func removeAndWrite(t *testing.T, s lake.Store) {
	for range 3 {
		if err := s.PutIfAbsent(t.Context(), "t/d/a", []byte("x")); err != nil {
			t.Fatal(err)
		}
		if err := s.RemoveAll(t.Context(), "t"); err != nil {
			t.Fatal(err)
		}
	}
	wantPaths(t, s, "", "")
}

func sub(t *testing.T, s lake.Store) {
	v := s.Sub("main/default").Sub("t")
	put(t, v, "d/a", "x")
	wantData(t, s, "main/default/t/d/a", "x")
	put(t, s, "main/default/t/b", "y")
	put(t, s, "main/default/t2", "z")
	wantData(t, v, "b", "y")
	wantPaths(t, v, "", "", "b", "d/a")
	wantPaths(t, v, "d", "b", "d/a")
	wantPaths(t, v, "", "b", "d/a")
	if url := v.URL(); !strings.HasPrefix(url, s.URL()) || !strings.HasSuffix(url, "t") {
		t.Errorf("URL of the view = %q, of the store %q", url, s.URL())
	}
	_, err := v.Get(t.Context(), "../t2")
	wantErr(t, "Get of a path that leaves the view", err, fs.ErrInvalid)
}

func invalidPaths(t *testing.T, s lake.Store) {
	for _, p := range []string{
		"", "/", "/a", "a/", "a//b", ".", "..", "../a", "a/..", "a/../b", "a/./b", "a\\b", "a\x00b", "a\nb", "\xff",
		".tmp-x", "a/.tmp-x/b", strings.Repeat("x", 2000),
	} {
		_, err := s.Get(t.Context(), p)
		wantErr(t, fmt.Sprintf("Get %q", p), err, fs.ErrInvalid)
		_, err = s.Open(t.Context(), p)
		wantErr(t, fmt.Sprintf("Open %q", p), err, fs.ErrInvalid)
		_, err = s.Create(t.Context(), p)
		wantErr(t, fmt.Sprintf("Create %q", p), err, fs.ErrInvalid)
		wantErr(t, fmt.Sprintf("Put %q", p), s.Put(t.Context(), p, nil), fs.ErrInvalid)
		wantErr(t, fmt.Sprintf("PutIfAbsent %q", p), s.PutIfAbsent(t.Context(), p, nil), fs.ErrInvalid)
		wantErr(t, fmt.Sprintf("Delete %q", p), s.Delete(t.Context(), p), fs.ErrInvalid)
		if p != "" {
			wantErr(t, fmt.Sprintf("RemoveAll %q", p), s.RemoveAll(t.Context(), p), fs.ErrInvalid)
		}
	}
	for _, p := range []string{"../", "a/../b", "/a"} {
		for _, err := range s.List(t.Context(), p, "") {
			wantErr(t, fmt.Sprintf("List %q", p), err, fs.ErrInvalid)
		}
	}
}

func endedContext(t *testing.T, s lake.Store) {
	put(t, s, "a", "x")
	ctx, cancel := context.WithCancel(t.Context())
	w, err := s.Create(ctx, "b")
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	_, err = w.Write([]byte("x"))
	wantErr(t, "Write", err, context.Canceled)
	wantErr(t, "Commit", w.Commit(), context.Canceled)
	_, err = s.Get(ctx, "a")
	wantErr(t, "Get", err, context.Canceled)
	_, err = s.Open(ctx, "a")
	wantErr(t, "Open", err, context.Canceled)
	_, err = s.Create(ctx, "b")
	wantErr(t, "Create", err, context.Canceled)
	wantErr(t, "Put", s.Put(ctx, "a", nil), context.Canceled)
	wantErr(t, "PutIfAbsent", s.PutIfAbsent(ctx, "b", nil), context.Canceled)
	wantErr(t, "Delete", s.Delete(ctx, "a"), context.Canceled)
	wantErr(t, "RemoveAll", s.RemoveAll(ctx, "a"), context.Canceled)
	listed := false
	for _, err := range s.List(ctx, "", "") {
		listed = true
		wantErr(t, "List", err, context.Canceled)
	}
	if !listed {
		t.Error("List with an ended context ended without an error")
	}
	wantPaths(t, s, "", "", "a")
}

func emptyObject(t *testing.T, s lake.Store) {
	if err := create(t, s, "a").Commit(); err != nil {
		t.Fatal(err)
	}
	if err := s.PutIfAbsent(t.Context(), "b", nil); err != nil {
		t.Fatal(err)
	}
	wantData(t, s, "a", "")
	wantData(t, s, "b", "")
	wantPaths(t, s, "", "", "a", "b")
}
