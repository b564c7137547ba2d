package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// countRows adds up numRecords of the files that a Delta table has, by the actions of its log. It knows nothing of checkpoints
// and of deletion vectors, which these tables have none of.
func countRows(table string) (rows int64, err error) {
	commits, err := filepath.Glob(filepath.Join(table, "_delta_log", "*.json"))
	if err != nil {
		return 0, err
	}
	files := map[string]int64{}
	for _, name := range commits { // sorted, as their versions are
		if err := readCommit(name, files); err != nil {
			return 0, fmt.Errorf("%s: %w", filepath.Base(name), err)
		}
	}
	for _, n := range files {
		rows += n
	}
	return rows, nil
}

// readCommit applies what a commit adds and removes to the rows of files.
func readCommit(name string, files map[string]int64) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		var action struct {
			Add *struct {
				Path  string `json:"path"`
				Stats string `json:"stats"`
			} `json:"add"`
			Remove *struct {
				Path string `json:"path"`
			} `json:"remove"`
		}
		if err := json.Unmarshal(lines.Bytes(), &action); err != nil {
			return err
		}
		switch {
		case action.Remove != nil:
			delete(files, action.Remove.Path)
		case action.Add != nil:
			var stats struct {
				NumRecords *int64 `json:"numRecords"`
			}
			if err := json.Unmarshal([]byte(action.Add.Stats), &stats); err != nil || stats.NumRecords == nil {
				return fmt.Errorf("file %s has the statistics %q, without numRecords", action.Add.Path, action.Add.Stats)
			}
			files[action.Add.Path] = *stats.NumRecords
		}
	}
	return lines.Err()
}

// tableFiles counts data files, also those that are not committed, and commits of a table.
func tableFiles(table string) (data, commits int, bytes int64, err error) {
	err = filepath.WalkDir(table, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return ignoreGone(err)
		}
		switch {
		case strings.HasSuffix(path, ".parquet"):
			info, err := d.Info()
			if err != nil {
				return ignoreGone(err)
			}
			data++
			bytes += info.Size()
		case strings.HasSuffix(path, ".json") && filepath.Base(filepath.Dir(path)) == "_delta_log":
			commits++
		}
		return nil
	})
	return data, commits, bytes, err
}
