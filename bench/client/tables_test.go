package main

import (
	"bytes"
	"strings"
	"testing"
)

func TestNumbersForPeople(t *testing.T) {
	for _, c := range []struct {
		name  string
		write func(float64) string
		v     float64
		want  string
	}{
		{"si", si, 0, "0.000"},
		{"si", si, 999, "999"},
		{"si", si, 1000, "1.00 k"},
		{"si", si, 12_345, "12.3 k"},
		{"si", si, 999_400, "999 k"},
		{"si", si, 1e6, "1.00 M"},
		{"si", si, 123e6, "123 M"},
		{"si", si, 4.5e9, "4500 M"},

		{"digits", digits, 0.1234, "0.123"},
		{"digits", digits, 1.234, "1.23"},
		{"digits", digits, 12.34, "12.3"},
		{"digits", digits, 123.4, "123"},
		{"digits", digits, 12_345, "12345"},

		{"micros", micros, 0, ""},
		{"micros", micros, 0.6, "1 µs"},
		{"micros", micros, 999, "999 µs"},
		{"micros", micros, 1000, "1.0 ms"},
		{"micros", micros, 9940, "9.9 ms"},
		{"micros", micros, 10_000, "10 ms"},
		{"micros", micros, 1_234_567, "1235 ms"},

		{"short", short, 0.05, "0.05"},
		{"short", short, 20, "20"},
		{"short", short, 500_000, "500 k"},
		{"short", short, 2e6, "2 M"},

		{"percent", percent, 0, ""},
		{"percent", percent, 0.0152, "1.52 %"},
		{"percent", percent, 1.004, "100 %"},
	} {
		if got := c.write(c.v); got != c.want {
			t.Errorf("%s(%g) is %q, want %q", c.name, c.v, got, c.want)
		}
	}
}

func TestCounts(t *testing.T) {
	for _, c := range []struct {
		n                       int
		count, grouped, records string
	}{
		{0, "0", "0", "0 records"},
		{1, "1", "1", "1 record"},
		{999, "999", "999", "999 records"},
		{1000, "1 k", "1,000", "1,000 records"},
		{1001, "1001", "1,001", "1,001 records"},
		{50_000, "50 k", "50,000", "50,000 records"},
		{1_000_000, "1 M", "1,000,000", "1,000,000 records"},
		{1_500_000, "1500 k", "1,500,000", "1,500,000 records"},
	} {
		if got := count(c.n); got != c.count {
			t.Errorf("count(%d) is %q, want %q", c.n, got, c.count)
		}
		if got := grouped(c.n); got != c.grouped {
			t.Errorf("grouped(%d) is %q, want %q", c.n, got, c.grouped)
		}
		if got := plural(c.n, "record"); got != c.records {
			t.Errorf("plural(%d) is %q, want %q", c.n, got, c.records)
		}
	}
}

func TestRows(t *testing.T) {
	r := synthetic(all())
	if got := groupsOf(r.Measurements); len(got) != 12 || got[0] != "plaintext" || got[11] != "memory" {
		t.Errorf("the groups are %q", got)
	}
	table := rows(r.Measurements, "tls")
	if len(table) != 1+2*len(sizes) {
		t.Fatalf("%d rows", len(table))
	}
	for i, row := range table {
		if len(row) != len(table[0]) {
			t.Errorf("row %d has %d cells, the head %d", i, len(row), len(table[0]))
		}
	}
	for i, want := range []string{"proto 20 B, TLS | zerobus | 6.21 M | 5.88 M to 6.54 M |", " | baseline | 632 k |"} {
		if got := strings.Join(table[i+1], " | "); !strings.HasPrefix(got, want) {
			t.Errorf("row %d is %q, want %q …", i, got, want)
		}
	}
	if ours, base := table[1], table[2]; ours[len(ours)-1] != "9.82 ×" || base[len(base)-1] != "" {
		t.Errorf("the ratios are %q and %q", ours[len(ours)-1], base[len(base)-1])
	}
}

func TestTablesForATerminal(t *testing.T) {
	ms := synthetic(quick()).Measurements
	var terminal bytes.Buffer
	if err := printTables(&terminal, ms); err != nil {
		t.Fatal(err)
	}
	if got, want := strings.Count(terminal.String(), "\n"), 2+1+2*len(sizes); got != want {
		t.Errorf("%d lines for a terminal, want %d:\n%s", got, want, terminal.String())
	}
}

func TestTableText(t *testing.T) {
	table := [][]string{{"a", "b", "c", "d"}, {"1", "", "3", ""}, {"", "", "6", "7"}}
	for names, want := range map[string]string{
		"":        "| a | c | d |\n|---|---|---|\n| 1 | 3 |  |\n|  | 6 | 7 |\n",
		"a, b, d": "| a | d |\n|---|---|\n| 1 |  |\n|  | 7 |\n",
	} {
		if got := tableText(table, names); got != want {
			t.Errorf("%q: %q, want %q", names, got, want)
		}
	}
}
