package table

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/zerobus-go/zerobus/schema"
	"github.com/zerobus-go/zerobus/server/internal/catalog"
	"github.com/zerobus-go/zerobus/server/internal/delta"
)

// A table with delta.setTransactionRetentionDuration loses the txn of a writer that has paused: checkpoints of other engines leave it
// out. Entries of the log that are in the table are not replayed into it all the same.
func TestForgottenTxn(t *testing.T) {
	for _, x := range []struct {
		name      string
		files     bool // the files of the rows are in the table yet
		commits   bool // the log has its commits yet
		late      bool // the property came after the rows
		ids, want []int64
	}{
		{"commits are there", false, true, true, []int64{0, 1, 2}, []int64{3}},
		{"files are there", true, false, true, []int64{0, 1, 2}, []int64{0, 1, 2, 3}},
		{"the ledger has a mark", false, false, false, []int64{0, 1, 2}, []int64{3}},
	} {
		t.Run(x.name, func(t *testing.T) {
			h := newHouse(t)
			l := h.start(never)
			l.sql("CREATE TABLE main.default.t (id BIGINT)")
			tab := l.open(tName)
			forget := func() {
				h.alterAs(tName, func(_ *schema.Struct, m *delta.Metadata) {
					m.Configuration = map[string]string{"delta.setTransactionRetentionDuration": "interval 1 hour"}
				})
			}
			if !x.late {
				forget()
			}
			l.commits(tab, 0, int64(len(x.ids)))
			l.stop()
			if x.late {
				forget()
			}
			h.checkpointOfOthers(x.files, x.commits)

			l = h.start(never)
			l.durable(l.open(tName), 3, 1)
			l.stop()
			if got := h.idsOf(tName); !slices.Equal(got, x.want) {
				t.Errorf("rows %d, want %d", got, x.want)
			}
			l = h.start(never)
			l.stop()
			if got := h.idsOf(tName); !slices.Equal(got, x.want) {
				t.Errorf("rows %d after another start, want %d", got, x.want)
			}
		})
	}
}

// checkpointOfOthers writes one of the latest version, without transactions, and takes the commits before it away.
func (h *house) checkpointOfOthers(files, commits bool) {
	h.t.Helper()
	const log = "main/default/t/_delta_log/"
	var out []byte
	last := h.versions(tName)
	for v := range last + 1 {
		path := fmt.Sprintf("%s%020d.json", log, v)
		data, err := h.lake.Get(h.t.Context(), path)
		if err != nil {
			h.t.Fatal(err)
		}
		for line := range bytes.Lines(data) {
			if add := bytes.HasPrefix(line, []byte(`{"add"`)); add && files || bytes.HasPrefix(line, []byte(`{"protocol"`)) || bytes.HasPrefix(line, []byte(`{"metaData"`)) {
				out = append(out, line...)
			}
		}
		if !commits {
			err = h.lake.Delete(h.t.Context(), path)
		}
		if err != nil {
			h.t.Fatal(err)
		}
	}
	if err := h.lake.Put(h.t.Context(), fmt.Sprintf("%s%020d.checkpoint.6b3f7a10-92a5-4f0e-8f4e-5d2f6a3c1e00.json", log, last), out); err != nil {
		h.t.Fatal(err)
	}
}

// idsOf reads the ids of a table, whose log may begin with a checkpoint.
func (h *house) idsOf(name catalog.Name) (all []int64) {
	h.t.Helper()
	info := catalog.Table{Name: name, Location: "main/default/" + name.Table}
	err := NewTables(h.lake, "test", time.Now).Head(h.t.Context(), info, 1<<30, func(v []any) error {
		all = append(all, v[0].(int64))
		return nil
	})
	if err != nil {
		h.t.Fatal(err)
	}
	slices.Sort(all)
	return all
}

// An open table whose log others have cleaned up, and whose txn they have left out, goes on from what it knows.
func TestForgottenTxn_OfAnOpenTable(t *testing.T) {
	h := newHouse(t)
	l := h.start(never)
	l.sql("CREATE TABLE main.default.t (id BIGINT)")
	tab := l.open(tName)
	l.commits(tab, 0, 2)
	h.alterAs(tName, func(_ *schema.Struct, m *delta.Metadata) {
		m.Configuration = map[string]string{"delta.setTransactionRetentionDuration": "interval 1 hour"}
	})
	h.checkpointOfOthers(true, false)
	l.commits(tab, 2, 2)
	l.durable(tab, 4, 1)
	l.crash()
	l = h.start(never)
	l.stop()
	if got := h.idsOf(tName); !slices.Equal(got, []int64{0, 1, 2, 3, 4}) {
		t.Errorf("rows %d", got)
	}
}
