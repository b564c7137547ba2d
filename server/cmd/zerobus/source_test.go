package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

// lineRecord is a record and its line.
type lineRecord struct {
	Line int64
	Text string
}

func readLines(r recordReader) (all []lineRecord, err error) {
	for {
		rec, err := r.next()
		if err != nil {
			return all, err
		}
		all = append(all, lineRecord{r.line(), string(rec)})
	}
}

func TestLines(t *testing.T) {
	long := `{"a":"` + strings.Repeat("x", 3*readBuffer) + `"}`
	exact := strings.Repeat("y", maxRecord)
	for _, tt := range []struct {
		name, in string
		want     []lineRecord
	}{
		{"nothing", "", nil},
		{"one", "{}\n", []lineRecord{{1, "{}"}}},
		{"no newline at the end", "{}\n{ }", []lineRecord{{1, "{}"}, {2, "{ }"}}},
		{"carriage returns", "{}\r\n{ }\r\n", []lineRecord{{1, "{}"}, {2, "{ }"}}},
		{"carriage return at the end", "{}\r", []lineRecord{{1, "{}"}}},
		{"blank lines", "\n{}\n\n \t\r\n{ }\n\n  ", []lineRecord{{2, "{}"}, {5, "{ }"}}},
		{"byte order mark", "\ufeff{}\n\ufeff{}\n", []lineRecord{{1, "{}"}, {2, "\ufeff{}"}}},
		{"only a byte order mark", "\ufeff\n{}", []lineRecord{{2, "{}"}}},
		{"spaces stay", " {} \n", []lineRecord{{1, " {} "}}},
		{"longer than the buffer", "{}\n" + long + "\r\n{ }\n", []lineRecord{{1, "{}"}, {2, long}, {3, "{ }"}}},
		{"longer than the buffer, at the end", long, []lineRecord{{1, long}}},
		{"as long as can be", exact + "\r\n{}\n", []lineRecord{{1, exact}, {2, "{}"}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := readLines(newLines(strings.NewReader(tt.in)))
			if err != io.EOF {
				t.Errorf("error %v, want EOF", err)
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Errorf("(-want +got)\n%s", d[:min(len(d), 2000)])
			}
			// Skipping sees the same records.
			l := newLines(strings.NewReader(tt.in))
			for _, want := range tt.want {
				if err := l.skip(); err != nil || l.line() != want.Line {
					t.Errorf("skip: line %d, %v; want line %d", l.line(), err, want.Line)
				}
			}
			if err := l.skip(); err != io.EOF {
				t.Errorf("skip behind the end: %v, want EOF", err)
			}
		})
	}
}

func TestLines_TooLong(t *testing.T) {
	in := "{}\n\n" + strings.Repeat("y", maxRecord+3) + "\n{ }\n"
	l := newLines(strings.NewReader(in))
	got, err := readLines(l)
	if err != errLongLine || l.line() != 3 || len(got) != 1 {
		t.Errorf("%d records, then %v on line %d; want 1, then %v on line 3", len(got), err, l.line(), errLongLine)
	}
	l = newLines(strings.NewReader(in))
	for range 2 {
		if err := l.skip(); err != nil {
			t.Fatal(err)
		}
	}
	got, err = readLines(l)
	if want := []lineRecord{{4, "{ }"}}; err != io.EOF || !slices.Equal(got, want) {
		t.Errorf("behind the long line: %v, %v; want %v", got, err, want)
	}
}

// What was read of a line before reading failed is no record.
func TestLines_ReadErrorInTheMiddleOfALine(t *testing.T) {
	broken := errors.New("broken")
	in := func() io.Reader {
		return io.MultiReader(strings.NewReader("{}\n{\"a\":1"), iotest.ErrReader(broken))
	}
	got, err := readLines(newLines(in()))
	if err != broken || len(got) != 1 {
		t.Errorf("%v, then %v; want one record, then %v", got, err, broken)
	}
	l := newLines(in())
	if err := errors.Join(l.skip(), l.skip()); !errors.Is(err, broken) {
		t.Errorf("skip: %v, want %v", err, broken)
	}
}

func TestLines_DoNotAllocate(t *testing.T) {
	const n = 10_000
	l := newLines(strings.NewReader(strings.Repeat("{\"delay\":33}\r\n\n", n)))
	got := testing.AllocsPerRun(n-1, func() {
		if _, err := l.next(); err != nil {
			t.Fatal(err)
		}
	})
	if got != 0 {
		t.Errorf("%v allocations a record, want 0", got)
	}
}

func FuzzLines(f *testing.F) {
	for _, s := range []string{"", "a\nb", "\ufeffa\r\n\r\n \t\nb\r", "\r\r\n", "\n\n\ufeff\n", strings.Repeat("long ", 20) + "\nx"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		var want []lineRecord
		for i, line := range strings.Split(strings.TrimPrefix(in, "\ufeff"), "\n") {
			line = strings.TrimSuffix(line, "\r")
			if strings.Trim(line, " \t\r\n") != "" {
				want = append(want, lineRecord{int64(i + 1), line})
			}
		}
		// The smallest buffer, so that short lines are gathered, too.
		l := &lines{r: bufio.NewReaderSize(strings.NewReader(in), 16)}
		got, err := readLines(l)
		if d := cmp.Diff(want, got); d != "" || err != io.EOF {
			t.Errorf("%v (-want +got)\n%s", err, d)
		}
		l = &lines{r: bufio.NewReaderSize(iotest.OneByteReader(strings.NewReader(in)), 16)}
		for _, w := range want {
			if err := l.skip(); err != nil || l.line() != w.Line {
				t.Fatalf("skip: line %d, %v; want line %d", l.line(), err, w.Line)
			}
		}
		if err := l.skip(); err != io.EOF {
			t.Errorf("skip behind the end: %v", err)
		}
	})
}

func TestPlaces(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var p places
		type place struct {
			input int
			line  int64
		}
		var all []place
		at := place{0, 0}
		forgotten := 0
		for range rapid.IntRange(1, 300).Draw(t, "steps") {
			switch rapid.IntRange(0, 9).Draw(t, "step") {
			case 0:
				at = place{at.input + 1, 1}
			case 1:
				at.line += rapid.Int64Range(2, 4).Draw(t, "lines")
			case 2:
				forgotten = rapid.IntRange(forgotten, len(all)).Draw(t, "forgotten")
				p.forget(int64(forgotten))
				continue
			default:
				at.line++
			}
			p.note(int64(len(all)), at.input, at.line)
			all = append(all, at)
		}
		breaks := 0
		for i := forgotten; i < len(all); i++ {
			input, line := p.at(int64(i))
			if got := (place{input, line}); got != all[i] {
				t.Fatalf("record %d is at %v, want %v", i, got, all[i])
			}
			if i > forgotten && (all[i].input != all[i-1].input || all[i].line != all[i-1].line+1) {
				breaks++
			}
		}
		p.forget(int64(forgotten))
		if most := 2*breaks + 3; len(p.marks) > most {
			t.Fatalf("%d marks for %d breaks, want at most %d", len(p.marks), breaks, most)
		}
	})
}

func gzipped(parts ...string) []byte {
	var b bytes.Buffer
	for _, part := range parts {
		z := gzip.NewWriter(&b)
		_, _ = z.Write([]byte(part)) // to memory
		_ = z.Close()
	}
	return b.Bytes()
}

func writeFile(t testing.TB, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestReadAhead(t *testing.T) {
	defer goleak.VerifyNone(t)
	text := strings.Repeat("{\"delay\":33}\n", 100_000)
	whole := gzipped(text)
	for _, tt := range []struct {
		name, file string
		stored     []byte
		want       string
		err        string // of reading
	}{
		{"plain", "a.ndjson", []byte(text), text, ""},
		{"empty", "a.ndjson", nil, "", ""},
		{"gzip", "a.ndjson.gz", whole, text, ""},
		{"gzip of several members", "a.GZ", gzipped("{}\n", text), "{}\n" + text, ""},
		{"gzip, empty", "a.gz", nil, "", ""},
		{"gzip, cut", "a.gz", whole[:len(whole)/2], "", "ends too early"},
		{"gzip, cut in the header", "a.gz", whole[:5], "", "ends too early"},
		{"gzip, damaged", "a.gz", append(whole[:len(whole)-6:len(whole)-6], 1, 2, 3, 4, 5, 6), "", "damaged"},
		{"gzip, not at all", "a.gz", []byte(text), "", "damaged"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inputs, err := findInputs([]string{writeFile(t, tt.file, tt.stored)}, "auto", nil)
			if err != nil {
				t.Fatal(err)
			}
			var used int64
			r, err := inputs[0].open(t.Context(), nil, func(n int64) { used += n })
			if err != nil {
				t.Fatal(err)
			}
			defer r.close()
			got, err := io.ReadAll(r)
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Errorf("error %v, want one that says %q", err, tt.err)
				}
				return
			}
			if err != nil || string(got) != tt.want {
				t.Errorf("%d bytes, %v; want %d", len(got), err, len(tt.want))
			}
			if used != int64(len(tt.stored)) || inputs[0].size != used || totalSize(inputs) != used {
				t.Errorf("%d bytes used of %d, size %d", used, len(tt.stored), inputs[0].size)
			}
		})
	}
}

func TestReadAhead_EndsWithTheContext(t *testing.T) {
	defer goleak.VerifyNone(t)
	stdin, producer := io.Pipe()
	defer producer.Close()
	ctx, cancel := context.WithCancelCause(t.Context())
	in := input{name: stdinName, size: -1}
	r, err := in.open(ctx, stdin, func(int64) {})
	if err != nil {
		t.Fatal(err)
	}
	defer r.close()
	go func() { _, _ = producer.Write([]byte("first\n")) }() // the reader gets it or the test fails
	b := bufio.NewReader(r)
	if line, err := b.ReadString('\n'); line != "first\n" {
		t.Fatal(line, err)
	}
	over := errors.New("over")
	context.AfterFunc(ctx, func() {})
	go cancel(over)
	if _, err := b.ReadString('\n'); err != over {
		t.Errorf("error %v, want %v", err, over)
	}
}

func TestFindInputs(t *testing.T) {
	dir := t.TempDir()
	var names []string
	for _, name := range []string{"a.ndjson", "b.csv", "c.CSV.gz", "d.gz", "e"} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
		names = append(names, path)
	}
	got, err := findInputs(append(names, "-"), "auto", strings.NewReader(""))
	if err != nil {
		t.Fatal(err)
	}
	var kinds []string
	for _, in := range got {
		kinds = append(kinds, fmt.Sprintf("%s csv=%v gzip=%v size=%d", filepath.Base(in.name), in.csv, in.gzip, in.size))
	}
	want := []string{
		"a.ndjson csv=false gzip=false size=8", "b.csv csv=true gzip=false size=5", "c.CSV.gz csv=true gzip=true size=8",
		"d.gz csv=false gzip=true size=4", "e csv=false gzip=false size=1", "stdin csv=false gzip=false size=-1",
	}
	if d := cmp.Diff(want, kinds); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
	if n := totalSize(got); n != 0 {
		t.Errorf("total %d with standard input, want 0", n)
	}
	for _, f := range []string{"csv", "ndjson"} {
		got, err := findInputs(append(names, "-"), f, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, in := range got {
			if in.csv != (f == "csv") {
				t.Errorf("--format %s: csv is %v for %s", f, in.csv, in.name)
			}
		}
	}
	var wrong *usageError
	if _, err := findInputs([]string{"-", "-"}, "auto", nil); !errors.As(err, &wrong) {
		t.Errorf("- twice: %v, want a usage error", err)
	}
	if _, err := findInputs([]string{dir}, "auto", nil); err == nil {
		t.Error("a directory was taken")
	}
	if _, err := findInputs([]string{filepath.Join(dir, "none")}, "auto", nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file that is not there: %v", err)
	}
}
