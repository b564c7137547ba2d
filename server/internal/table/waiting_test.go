package table

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/zerobus-go/zerobus/server/internal/lake"
)

// A commit may fail for longer than others keep files that no commit names: their VACUUM takes ours. The commit that comes through in
// the end must name files that are there, because the log forgets the rows then.
func TestCommitter_FilesThatOthersDeleteBeforeTheCommitAreWrittenAgain(t *testing.T) {
	for _, c := range []struct{ name, columns string }{
		{"one file", "(id BIGINT)"},
		{"one of many", "(id BIGINT, v BIGINT) PARTITIONED BY (id)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newHouse(t)
			var failing atomic.Bool
			h.store = lake.Faulty(h.lake, func(op lake.Op) (error, error) {
				if failing.Load() && op.Name == "put if absent" && strings.Contains(op.Path, "/_delta_log/") {
					return errors.New("the lake is away"), nil
				}
				return nil, nil
			})
			a := h.start(Options{CommitInterval: never.CommitInterval, CommitTimeout: 50 * time.Millisecond})
			a.sql("CREATE TABLE main.default.t " + c.columns)
			tab := a.open(tName)
			failing.Store(true)
			a.durable(tab, 0, 5)
			tried, cancel := context.WithCancel(t.Context())
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				for a.set.Stats().CommitFailures == 0 {
					runtime.Gosched()
				}
				cancel()
			}()
			if err := tab.Flush(tried); !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
			<-ended
			data := dataFiles(t, h)
			if len(data) == 0 {
				t.Fatal("no file waits")
			}
			if err := h.lake.Delete(t.Context(), data[len(data)-1]); err != nil {
				t.Fatal(err)
			}
			failing.Store(false)
			a.flush(tab)
			h.want(tName, 5)
			a.durable(tab, 5, 1) // what is left of the first try goes after a commit
			a.flush(tab)
			h.want(tName, 6)
			a.stop()
			if got := dataFiles(t, h); len(got) != len(data)+1 {
				t.Errorf("%d data files for %d and one more: %q", len(got), len(data), got)
			}
		})
	}
}

// A commit came through though its answer was lost, and others have rewritten its file since and deleted it: its rows are in the table.
func TestCommitter_FilesOfACommitThatCameThroughAreNotWrittenAgain(t *testing.T) {
	h := newHouse(t)
	var away atomic.Bool
	h.store = lake.Faulty(h.lake, func(op lake.Op) (error, error) {
		if away.Load() && strings.HasSuffix(op.Path, "/00000000000000000001.json") {
			return nil, errors.New("the answer was lost")
		}
		return nil, nil
	})
	a := h.start(Options{CommitInterval: never.CommitInterval, CommitTimeout: 50 * time.Millisecond})
	a.sql("CREATE TABLE main.default.t (id BIGINT)")
	tab := a.open(tName)
	away.Store(true)
	a.durable(tab, 0, 5)
	tried, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for a.set.Stats().CommitFailures == 0 {
			runtime.Gosched()
		}
		cancel()
	}()
	if err := tab.Flush(tried); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	<-ended
	data := dataFiles(t, h)
	if len(data) != 1 {
		t.Fatalf("data files %q", data)
	}
	was, err := h.lake.Get(t.Context(), data[0])
	if err != nil {
		t.Fatal(err)
	}
	name := strings.TrimPrefix(data[0], "main/default/t/")
	rewritten := fmt.Sprintf("{\"remove\":{\"path\":%q,\"dataChange\":false}}\n{\"add\":{\"path\":\"theirs.parquet\",\"partitionValues\":{},\"size\":%d,\"modificationTime\":1,\"dataChange\":false}}\n", name, len(was))
	err = errors.Join(h.lake.Put(t.Context(), "main/default/t/theirs.parquet", was),
		h.lake.PutIfAbsent(t.Context(), "main/default/t/_delta_log/00000000000000000002.json", []byte(rewritten)), h.lake.Delete(t.Context(), data[0]))
	if err != nil {
		t.Fatal(err)
	}
	away.Store(false)
	a.flush(tab)
	h.want(tName, 5)
	if got := dataFiles(t, h); len(got) != 1 {
		t.Errorf("data files %q", got)
	}
}

// dataFiles lists the data files of the table, those of its partitions too.
func dataFiles(t *testing.T, h *house) (paths []string) {
	t.Helper()
	for info, err := range h.lake.List(t.Context(), "main/default/t/", "") {
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(info.Path, ".parquet") && !strings.Contains(info.Path, logDir) {
			paths = append(paths, info.Path)
		}
	}
	return paths
}
