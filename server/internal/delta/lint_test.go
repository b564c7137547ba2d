package delta

import (
	"strings"
	"testing"

	"github.com/zerobus-go/zerobus/server/internal/lake"
)

func TestLint_DT06_FindsEachProblem(t *testing.T) {
	zero := `{"protocol":{"minReaderVersion":1,"minWriterVersion":2}}` + "\n" + metaDataLine(func(*Metadata) {})
	add := func(path string) string {
		return `{"add":{"path":"` + path + `","partitionValues":{},"size":3,"modificationTime":1,"dataChange":true}}`
	}
	rm := func(path string) string { return `{"remove":{"path":"` + path + `","dataChange":true}}` }
	withVector := func(action string) string { return strings.TrimSuffix(action, "}}") + vectorZ85 + "}}" }
	join := func(lines ...string) string { return strings.Join(lines, "\n") }
	for _, c := range []struct {
		name    string
		commits map[int64]string
		files   map[string]string
		want    []string // each must be found, and no other
	}{
		{name: "clean", commits: map[int64]string{0: zero, 1: join(`{"commitInfo":{}}`, add("f")), 2: join(rm("f"), add("g"))}, files: map[string]string{"g": "abc"}},
		{name: "encoded path", commits: map[int64]string{0: zero, 1: add("p=%2520/f%20g")}, files: map[string]string{"p=%20/f g": "abc"}},
		{name: "absolute path", commits: map[int64]string{0: zero, 1: add("s3://bucket/f")}},
		{name: "hole", commits: map[int64]string{0: zero, 2: add("f")}, files: map[string]string{"f": "abc"}, want: []string{"version 2: version 1 is missing"}},
		{name: "begins late", commits: map[int64]string{1: zero}, want: []string{"version 1: version 0 is missing"}},
		{name: "no JSON", commits: map[int64]string{0: zero, 1: "{"}, want: []string{"version 1: line 1"}},
		{name: "version 0", commits: map[int64]string{0: `{"protocol":{"minReaderVersion":1,"minWriterVersion":2}}`}, want: []string{"version 0: protocol or metaData is missing"}},
		{name: "commitInfo later", commits: map[int64]string{0: join(zero, `{"commitInfo":{}}`)}}, // in-commit timestamps alone forbid it
		{name: "twice", commits: map[int64]string{0: join(zero, zero)}, want: []string{"2 protocol actions", "2 metaData actions"}},
		{name: "txn twice", commits: map[int64]string{0: join(zero, `{"txn":{"appId":"a","version":1}}`, `{"txn":{"appId":"a","version":2}}`)}, want: []string{"two txn actions for a"}},
		{name: "txn falls", commits: map[int64]string{0: join(zero, `{"txn":{"appId":"a","version":2}}`), 1: `{"txn":{"appId":"a","version":1}}`}, want: []string{"version 1: txn a goes from 2 to 1"}},
		{name: "txn stays", commits: map[int64]string{0: join(zero, `{"txn":{"appId":"a","version":2}}`), 1: `{"txn":{"appId":"a","version":2}}`}, want: []string{"version 1: txn a goes from 2 to 2"}},
		{
			name: "add twice in a commit", commits: map[int64]string{0: zero, 1: join(add("f"), add("f"))}, files: map[string]string{"f": "abc"},
			want: []string{"two add actions for f", "add of f, which version 1 added before"},
		},
		{name: "add of a live file", commits: map[int64]string{0: zero, 1: add("f"), 2: add("f")}, files: map[string]string{"f": "abc"}, want: []string{"version 2: add of f, which version 1"}},
		{name: "add of a removed file", commits: map[int64]string{0: zero, 1: add("f"), 2: rm("f"), 3: add("f")}, files: map[string]string{"f": "abc"}, want: []string{"version 3: add of f, which version 1"}},
		{name: "restore", commits: map[int64]string{0: zero, 1: add("f"), 2: rm("f"), 3: join(`{"commitInfo":{"operation":"RESTORE"}}`, add("f"))}, files: map[string]string{"f": "abc"}},
		{
			name: "another deletion vector", files: map[string]string{"f": "abc"},
			commits: map[int64]string{0: zero, 1: add("f"), 2: join(rm("f"), withVector(add("f"))), 3: join(add("f"), withVector(rm("f")))},
			want:    []string{"version 3: add of f, which version 1 added before"},
		},
		{
			// PROTOCOL.md, "Add File and Remove File": the earlier one must be removed by the same commit.
			name: "two deletion vectors at once", files: map[string]string{"f": "abc"},
			commits: map[int64]string{0: zero, 1: add("f"), 2: withVector(add("f"))},
			want:    []string{"version 2: add of f, which stays in the table with another deletion vector"},
		},
		{name: "cloned again", commits: map[int64]string{0: zero, 1: add("f"), 2: rm("f"), 3: join(`{"commitInfo":{"operation":"CLONE"}}`, add("f"))}, files: map[string]string{"f": "abc"}},
		{name: "new statistics", commits: map[int64]string{0: zero, 1: add("f"), 2: strings.Replace(add("f"), "true", "false", 1)}, files: map[string]string{"f": "abc"}},
		{name: "remove of nothing", commits: map[int64]string{0: zero, 1: rm("f")}, want: []string{"remove of f, which is not"}},
		{name: "tombstone of a file of deletion vectors", commits: map[int64]string{0: zero, 1: rm("ab/deletion_vector_436e15e7-8be4-4128-a7bb-0ea356be6417.bin")}},
		{name: "remove twice", commits: map[int64]string{0: zero, 1: add("f"), 2: join(rm("f"), rm("f"))}, want: []string{"two remove actions for f"}},
		{name: "no file", commits: map[int64]string{0: zero, 1: add("f")}, want: []string{"version 1: file f is not there"}},
		{name: "another size", commits: map[int64]string{0: zero, 1: add("f")}, files: map[string]string{"f": "abcd"}, want: []string{"version 1: file f has 4 bytes, its add says 3"}},
		{name: "path not encoded", commits: map[int64]string{0: zero, 1: add("50%")}, want: []string{"not URI-encoded"}},
		{
			name: "lists without versions", commits: map[int64]string{0: zero, 1: `{"protocol":{"minReaderVersion":1,"minWriterVersion":2,"readerFeatures":["a"],"writerFeatures":["b"]}}`},
			want: []string{"reader version 1 with readerFeatures", "writer version 2 with writerFeatures", "reader feature a is not in writerFeatures"},
		},
		{
			name: "versions without lists", commits: map[int64]string{0: zero, 1: `{"protocol":{"minReaderVersion":3,"minWriterVersion":7}}`},
			want: []string{"reader version 3 with readerFeatures", "writer version 7 with writerFeatures"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			store := lake.NewMemory()
			for v, text := range c.commits {
				writeRaw(t, store, v, text)
			}
			for name, data := range c.files {
				if err := store.Put(t.Context(), name, []byte(data)); err != nil {
					t.Fatal(err)
				}
			}
			problems, err := Lint(t.Context(), store, LintOptions{Files: true})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, p := range problems {
				got = append(got, p.String())
			}
			for _, w := range c.want {
				found := false
				for _, g := range got {
					found = found || strings.Contains(g, w)
				}
				if !found {
					t.Errorf("problems %q lack %q", got, w)
				}
			}
			if len(got) != len(c.want) {
				t.Errorf("problems %q, want %d", got, len(c.want))
			}
		})
	}
}

func TestLint_OfNothingIsErrNoTable(t *testing.T) {
	_, err := Lint(t.Context(), lake.NewMemory(), LintOptions{})
	wantErr(t, "Lint", err, ErrNoTable)
}
