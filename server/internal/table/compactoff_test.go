package table

import (
	"slices"
	"testing"
	"time"
)

func TestCompact_Off(t *testing.T) {
	h := newHouse(t)
	o := soon
	o.Compaction.Off = true
	l := h.start(o)
	l.sql("CREATE TABLE main.default.t (id BIGINT) TBLPROPERTIES ('delta.autoOptimize.autoCompact' = 'true')")
	l.commits(l.open(tName), 0, 20)
	l.stop()
	if n := h.snapshot().NumFiles(); n != 20 {
		t.Errorf("%d files", n)
	}
}

// Whose files are whose: a table may say that it is not compacted in the background, and an external one must say that it is.
func TestCompact_WhatTheTableSays(t *testing.T) {
	for _, c := range []struct {
		external bool
		says     string
		want     bool
	}{{false, "", true}, {false, "false", false}, {false, "auto", true}, {true, "", false}, {true, "false", false}, {true, "true", true}} {
		h := newHouse(t)
		o := soon
		o.Compaction.MinAge = -time.Second // files of this very moment, too
		l := h.start(o)
		l.sql("CREATE TABLE main.default.t (id BIGINT)")
		if c.says != "" {
			l.sql("ALTER TABLE main.default.t SET TBLPROPERTIES ('delta.autoOptimize.autoCompact' = '" + c.says + "')")
		}
		tab := l.open(tName)
		tab.info.External = c.external // before the goroutine, which begins with the first commit
		l.commits(tab, 0, 8)
		if _, err := tab.compact(t.Context()); err != nil {
			t.Fatal(err)
		}
		l.stop()
		if got := slices.Contains(h.operations(), "OPTIMIZE"); got != c.want {
			t.Errorf("external %v, %q: %q, want a compaction: %v", c.external, c.says, h.operations(), c.want)
		}
	}
}
