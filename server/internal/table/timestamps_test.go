package table

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// stamps are the inCommitTimestamps of a table's versions, 0 where there is none.
func (h *house) stamps() (all []int64) {
	h.t.Helper()
	for v := range h.versions(tName) + 1 {
		data, err := h.lake.Get(h.t.Context(), fmt.Sprintf("main/default/t/_delta_log/%020d.json", v))
		if err != nil {
			h.t.Fatal(err)
		}
		first, _, _ := strings.Cut(string(data), "\n")
		var line struct {
			Info struct {
				Stamp int64 `json:"inCommitTimestamp"`
			} `json:"commitInfo"`
		}
		if err := json.Unmarshal([]byte(first), &line); err != nil {
			h.t.Fatal(err)
		}
		all = append(all, line.Info.Stamp)
	}
	return all
}

// In-commit timestamps are turned on and off by SQL, while rows come in.
func TestInCommitTimestamps_BySQL(t *testing.T) {
	h := newHouse(t)
	l := h.start(never)
	l.sql("CREATE TABLE main.default.t (id BIGINT) TBLPROPERTIES ('DELTA.enableInCommitTimestamps' = 'TRUE')")
	table := l.open(tName)
	l.commits(table, 0, 2)
	l.sql("ALTER TABLE main.default.t UNSET TBLPROPERTIES ('delta.enableincommittimestamps')")
	l.commits(table, 2, 1)
	l.sql("ALTER TABLE main.default.t SET TBLPROPERTIES ('delta.enableInCommitTimestamps' = 'true')")
	l.commits(table, 3, 2)
	l.stop()
	h.want(tName, 5) // and Lint says that times grow, and that the properties say from where on
	var got strings.Builder
	for _, at := range h.stamps() {
		if at == 0 {
			got.WriteString("-")
		} else {
			got.WriteString("+")
		}
	}
	// Made, two commits, turned off, one commit, turned on, two commits.
	if got.String() != "+++--+++" {
		t.Errorf("versions with a time: %s", got.String())
	}
}
