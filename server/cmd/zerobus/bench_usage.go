package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// usageSource is where the server tells what it has used: its metrics.
type usageSource struct {
	url    string
	client *http.Client
}

// usage is what a server has used up to a time. What it counts of commits may be late by the last one: that is seen in the table.
type usage struct {
	cpu      float64 // seconds of processor time
	resident float64 // bytes at that time
	log      float64 // bytes written into the log
	rewrites float64 // bytes of data files that compactions wrote
	syncs    float64
}

func (u usageSource) look(ctx context.Context) (usage, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.url, nil)
	if err != nil {
		return usage{}, err
	}
	resp, err := u.client.Do(req)
	if err != nil {
		return usage{}, fmt.Errorf("metrics of the server: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return usage{}, fmt.Errorf("metrics of the server: HTTP %s: it must run with --metrics on, and without --metrics-listen", resp.Status)
	}
	return parseUsage(resp.Body)
}

// parseUsage reads Prometheus' text. Metrics that a platform does not have are 0.
func parseUsage(r io.Reader) (u usage, err error) {
	of := map[string]*float64{
		"process_cpu_seconds_total": &u.cpu, "process_resident_memory_bytes": &u.resident,
		"zerobus_wal_written_bytes_total": &u.log, "zerobus_wal_syncs_total": &u.syncs,
		"zerobus_compaction_written_bytes_total": &u.rewrites,
	}
	found := 0
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		name, value, ok := strings.Cut(lines.Text(), " ")
		if to := of[name]; ok && to != nil {
			v, err := strconv.ParseFloat(value, 64)
			if err != nil {
				return u, fmt.Errorf("metric %s: %w", name, err)
			}
			*to += v
			found++
		}
	}
	if err := lines.Err(); err != nil {
		return u, fmt.Errorf("metrics of the server: %w", err)
	}
	if found == 0 {
		return u, fmt.Errorf("the server's metrics have none of a server's")
	}
	return u, nil
}
