package main

import (
	"cmp"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
)

// placeAttacks are about tables outside of the data directory, on a server that has an external root.
var placeAttacks = []attack{
	{name: "places: below an external root", run: func(t *trial) {
		top, err := filepath.EvalSymlinks(filepath.Dir(t.server.dir))
		if err != nil {
			t.fault("%v", err)
			return
		}
		root, outside := filepath.Join(top, "external", "root"), filepath.Join(top, "external", "outside")
		for _, dir := range []string{filepath.Join(root, "full"), filepath.Join(outside, "deep")} {
			err = cmp.Or(err, os.MkdirAll(dir, 0o700))
		}
		if err = cmp.Or(err, os.WriteFile(filepath.Join(root, "full", "file"), nil, 0o600)); err != nil {
			t.fault("%v", err)
			return
		}
		s, _ := t.second("placed", []string{t.bin}, "--external-root", root)
		if s == nil {
			return
		}
		data := filepath.Join(s.dir, "data")
		links := map[string]string{
			"out": outside, "relative": "../outside", "data": data, "tables": filepath.Join(data, "tables"), "up": "..", "top": "/", "loop": "loop",
			"dangling": filepath.Join(outside, "new"), "target": filepath.Join(data, "tables", filepath.FromSlash(strings.ReplaceAll(targetTable, ".", "/"))),
		}
		for name, to := range links {
			if err := os.Symlink(to, filepath.Join(root, name)); err != nil {
				t.fault("%v", err)
				return
			}
		}
		sql := func(script string) string {
			code, body := s.sql(t.ctx, script)
			return fmt.Sprintf("http %d %s", code, body)
		}
		places := []string{
			root, root + "/", root + "/.", root + "//", root + "/../root", root + "/..", root + "2/t", root + "/../outside", root + "/x/../../outside", root + "/full", root + "/full/file", root + "/full/file/t",
			"file://" + root + "/%2e%2e/outside", "file://" + root + "%2f..%2foutside", "file://" + root + "/%2E%2E%2Foutside", "file://" + root + "/..%5coutside/../../outside", "file://evil" + root + "/t", "file:" + strings.TrimPrefix(root, "/"), "file://" + root + "/t?x", "file://" + root + "/t#x",
			"file://" + root + "/%00", "file://" + root + "/%0a", "file://" + root + "/%ff", "file://" + root + "/%", "FILE://" + outside, "http://localhost" + root, "", ".", "t", "/", "/etc", "/proc/self/cwd", "/dev/null", "/dev/fd/3", data, data + "/tables/t", outside + "/t", root + "/_delta_log", root + "/t/_Delta_Log/t", root + "/" + strings.Repeat("x/", 3000), root + "/" + strings.Repeat("x", 300),
		}
		for name := range links {
			places = append(places, root+"/"+name, root+"/"+name+"/", root+"/"+name+"/t", root+"/"+name+"/deep", root+"/full/../"+name+"/t", "file://"+root+"/"+name+"/t")
		}
		for _, place := range places {
			for _, script := range []string{"CREATE TABLE main.default.placed (n INT) LOCATION '" + place + "'", "CREATE TABLE IF NOT EXISTS main.default.placed LOCATION '" + place + "'"} {
				t.refuse(script, sql(script), "http 400")
			}
		}
		if entries, err := os.ReadDir(outside); err != nil || len(entries) != 1 {
			t.fault("outside there are %v, %v", entries, err)
		}

		// A table that is allowed, and then a link in its way: no stream of it gets to the table that the link leads to.
		good := filepath.Join(root, "good")
		t.take("an allowed place", sql("CREATE TABLE main.default.placed (n BIGINT, text STRING) LOCATION '"+good+"'"), "http 200")
		t.refuse("the same place", sql("CREATE TABLE main.default.again LOCATION '"+good+"/'"), "http 400")
		t.refuse("a place in it", sql("CREATE TABLE main.default.again (n INT) LOCATION '"+good+"/in'"), "http 400")
		if err := cmp.Or(os.RemoveAll(good), os.Symlink(links["target"], good)); err != nil {
			t.fault("%v", err)
			return
		}
		for _, op := range []string{"table/describe", "table/head", "table/history"} {
			code, body := s.admin(t.ctx, op, map[string]any{"table": "main.default.placed", "limit": 1})
			t.refuse(op, fmt.Sprintf("http %d %s", code, body), "http 400 .*a link leads to")
		}
		t.refuse("ALTER behind the link", sql("ALTER TABLE main.default.placed ADD COLUMN evil INT"), "http 400 .*a link leads to")
		t.take("DROP behind the link", sql("DROP TABLE main.default.placed"), "http 200 .*its files stay")
		if code, body := s.sql(t.ctx, "DESCRIBE "+targetTable); code != http.StatusOK {
			t.fault("the table behind the link: %d %s", code, body)
		}
	}},
}
