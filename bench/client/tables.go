package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// A column of the tables.
type column struct {
	head string
	of   func(Summary) string
}

var columns = []column{
	{"records/s", func(s Summary) string { return si(s.Records.Median) }},
	{"spread", func(s Summary) string { return si(s.Records.Min) + " to " + si(s.Records.Max) }},
	{"MB/s", func(s Summary) string { return digits(s.MB.Median) }},
	{"CPU s/M", func(s Summary) string { return digits(s.CPU.Median) }},
	{"sink s/M", func(s Summary) string { return digits(s.ServerCPU.Median) }},
	{"allocs/rec", func(s Summary) string { return fmt.Sprintf("%.4f", s.Allocs.Median) }},
	{"rec/message", func(s Summary) string { return si(s.Message.Median) }},
	{"p50", func(s Summary) string { return micros(s.P50.Median) }},
	{"p99", func(s Summary) string { return micros(s.P99.Median) }},
	{"p99.9", func(s Summary) string { return micros(s.P999.Median) }},
	{"peak MiB", func(s Summary) string { return fmt.Sprintf("%.0f", s.PeakRSS.Median) }},
}

// rows yields the lines of a group's table: the case, the client, the columns, and the ratio.
func rows(ms []Measurement, group string) [][]string {
	head := []string{"case", "client"}
	for _, c := range columns {
		head = append(head, c.head)
	}
	table := [][]string{append(head, "ratio")}
	for _, m := range ms {
		if m.Case.Group != group {
			continue
		}
		s := summarize(m)
		for i, name := range m.Case.clients() {
			row := []string{s.Name, name}
			if i > 0 {
				row[0] = ""
			}
			for _, c := range columns {
				row = append(row, c.of(s.Clients[name]))
			}
			ratio := ""
			if s.Ratio != nil && name == ours {
				ratio = digits(s.Ratio.Median) + " ×"
			}
			table = append(table, append(row, ratio))
		}
	}
	return table
}

// groupsOf returns the groups in their order.
func groupsOf(ms []Measurement) (groups []string) {
	seen := map[string]bool{}
	for _, m := range ms {
		if !seen[m.Case.Group] {
			seen[m.Case.Group] = true
			groups = append(groups, m.Case.Group)
		}
	}
	return groups
}

// printTables writes the tables for a terminal.
func printTables(w io.Writer, ms []Measurement) error {
	for _, group := range groupsOf(ms) {
		fmt.Fprintf(w, "\n%s\n", group)
		t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		for _, row := range rows(ms, group) {
			fmt.Fprintln(t, strings.Join(row, "\t"))
		}
		if err := t.Flush(); err != nil {
			return err
		}
	}
	return nil
}

// si writes a large number short: three digits and a letter.
func si(v float64) string {
	switch {
	case v >= 1e6:
		return digits(v/1e6) + " M"
	case v >= 1e3:
		return digits(v/1e3) + " k"
	}
	return digits(v)
}

// digits keeps three digits, and all before the point.
func digits(v float64) string {
	switch {
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	case v >= 1:
		return fmt.Sprintf("%.2f", v)
	}
	return fmt.Sprintf("%.3f", v)
}

// micros writes a time that is given in µs.
func micros(us float64) string {
	switch {
	case us == 0:
		return ""
	case us >= 10_000:
		return fmt.Sprintf("%.0f ms", us/1000)
	case us >= 1000:
		return fmt.Sprintf("%.1f ms", us/1000)
	}
	return fmt.Sprintf("%.0f µs", us)
}
