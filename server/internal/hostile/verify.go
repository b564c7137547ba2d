package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/parquet-go/parquet-go"
)

// controlRow and attackRow are what is read of rows.
type controlRow struct {
	Stream int32 `parquet:"stream"`
	N      int64 `parquet:"n"`
}

type attackRow struct {
	N    *int64  `parquet:"n,optional"`
	Text *string `parquet:"text,optional"`
}

// verify ends the control load and the server, and reads the tables with parquet-go.
func (a *arena) verify(ctx context.Context) (load, lost, doubled int, faults []string) {
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	a.control.finish()
	faults = append(faults, a.control.complaints()...)
	if a.server.alive() == nil {
		if err := a.server.terminate(); err != nil {
			fault("%v", err)
		}
	}
	seen := make([]map[int64]int, len(a.control.writers))
	for i := range seen {
		seen[i] = map[int64]int{}
	}
	if err := readTable(a.location(controlTable), func(r controlRow) {
		if r.Stream < 0 || int(r.Stream) >= len(seen) {
			fault("the control table has a row of stream %d", r.Stream)
			return
		}
		seen[r.Stream][r.N]++
	}); err != nil {
		fault("%v", err)
	}
	for i, w := range a.control.writers {
		acked := w.acked.Load() + 1
		load += int(acked)
		for n := range acked {
			if seen[i][n] == 0 {
				lost++
			}
		}
		for n, times := range seen[i] {
			doubled += times - 1
			if n < 0 || n >= w.given.Load()+1 {
				fault("the control table has record %d of stream %d, which was never sent", n, i)
			}
		}
	}
	if lost > 0 || doubled > 0 {
		fault("control load: %d records LOST, %d doubled", lost, doubled)
	}
	for _, table := range []string{targetTable, strictTable, wideTable} {
		refused := 0
		if err := readTable(a.location(table), func(r attackRow) {
			if r.Text != nil && strings.Contains(*r.Text, marker) {
				refused++
			}
		}); err != nil {
			fault("%v", err)
		}
		if refused > 0 {
			fault("table %s has %d records that should have been refused", table, refused)
		}
	}
	rows := 0
	if err := readTable(a.location(secretTable), func(attackRow) { rows++ }); err != nil {
		fault("%v", err)
	}
	if rows > 0 {
		fault("table %s has %d records, and nobody may write it", secretTable, rows)
	}
	found, err := strays(a.server.dir)
	if err != nil {
		fault("%v", err)
	}
	for _, f := range found {
		fault("a file that does not belong there: %s", f)
	}
	return load, lost, doubled, faults
}

func (a *arena) location(table string) string {
	return filepath.Join(a.server.dir, "data", "tables", filepath.FromSlash(strings.ReplaceAll(table, ".", "/")))
}

// readTable reads all rows of a table without checkpoints and removed files.
func readTable[T any](location string, row func(T)) error {
	logs, err := filepath.Glob(filepath.Join(location, "_delta_log", "*.json"))
	if err != nil {
		return err
	}
	if len(logs) == 0 {
		return fmt.Errorf("%s has no Delta log", location)
	}
	slices.Sort(logs)
	for _, name := range logs {
		b, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		for dec := json.NewDecoder(strings.NewReader(string(b))); ; {
			var action struct{ Add *struct{ Path string } }
			if err := dec.Decode(&action); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			if action.Add != nil {
				if err := readFile(filepath.Join(location, filepath.FromSlash(action.Add.Path)), row); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func readFile[T any](name string, row func(T)) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	rd := parquet.NewGenericReader[T](f)
	defer rd.Close()
	buf := make([]T, 1024)
	for {
		n, err := rd.Read(buf)
		for _, x := range buf[:n] {
			row(x)
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("%s: %w", name, err)
		}
	}
}
