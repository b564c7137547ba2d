package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
)

// Flight is one load of the flights.
type Flight struct {
	Rows   float64 // a second, until all were in the table
	Bytes  float64 // of the table's Parquet files
	Source float64 // of the file that they come from
}

// flightsOut is where bench/flights/run leaves its results, from the repository's root.
const flightsOut = "bench/.out/flights"

func flightsGroup(ctx context.Context, b *bencher, r *Report) error {
	if b.flights == "" {
		b.tell("flights: passed by, because -flights names no file: flights-3m.parquet of the npm package vega-datasets")
		return nil
	}
	source, err := os.Stat(b.flights)
	if err != nil {
		return err
	}
	b.tell("flights: %d loads", b.rounds)
	cmd := exec.CommandContext(ctx, "bench/flights/run", b.flights, strconv.Itoa(b.rounds))
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("bench/flights/run: %w", err)
	}
	r.Flights, err = readFlights(flightsOut, b.rounds, float64(source.Size()))
	return err
}

// readFlights reads what the loads have left.
func readFlights(dir string, runs int, source float64) (all []Flight, err error) {
	for run := 1; run <= runs; run++ {
		text, err := os.ReadFile(filepath.Join(dir, fmt.Sprintf("run-%d.json", run)))
		if err != nil {
			return nil, err
		}
		var told struct {
			Records   float64 `json:"records"`
			Committed float64 `json:"committed_seconds"`
		}
		if err := json.Unmarshal(text, &told); err != nil {
			return nil, err
		}
		if told.Committed <= 0 {
			return nil, errors.New("a load does not tell when its rows were in the table")
		}
		files, err := filepath.Glob(filepath.Join(dir, "data/tables/main/default", fmt.Sprintf("flights_%d", run), "*.parquet"))
		if err != nil {
			return nil, err
		}
		if len(files) == 0 {
			return nil, errors.New("the table of a load has no files")
		}
		f := Flight{Rows: told.Records / told.Committed, Source: source}
		for _, name := range files {
			info, err := os.Stat(name)
			if err != nil {
				return nil, err
			}
			f.Bytes += float64(info.Size())
		}
		all = append(all, f)
	}
	return all, nil
}
