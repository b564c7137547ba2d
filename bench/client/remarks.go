package main

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// remark is a sentence or more about a group's cases, with numbers from the measurements. It is empty without those.
type remark func(r Report, ms []Measurement) string

var (
	rateRatios = ratios("The SDK's rate, relative to the baseline's, is %s.", Result.rate)
	cpuRatios  = ratios("Its CPU time for a record, relative likewise, is %s.", Result.cpu)
)

func ratios(sentence string, of func(Result) float64) remark {
	return func(_ Report, ms []Measurement) string {
		return say(sentence, list(ms, func(m Measurement) string {
			ratio, ok := ratioOf(m, of)
			low, middle, high := digits(ratio.Min), digits(ratio.Median), digits(ratio.Max)
			switch {
			case !ok:
				return ""
			case low == high:
				return middle + " × " + where(m.Case)
			}
			return fmt.Sprintf("%s × (%s to %s) %s", middle, low, high, where(m.Case))
		}))
	}
}

// toPlaintext compares with the group plaintext.
func toPlaintext(r Report, ms []Measurement) string {
	return say("Rates relative to those under Record sizes: %s.", relative(ms, r.cases("plaintext")))
}

// growth compares the cases that have most of something with those that have least.
func growth(of func(Case) int, name func(int) string) remark {
	return func(_ Report, ms []Measurement) string {
		v, _ := values(ms, of, name)
		least, most := v[0], v[len(v)-1]
		if least == most {
			return ""
		}
		having := func(n int) []Measurement { return only(ms, func(c Case) bool { return of(c) == n }) }
		return say("Rates with "+name(most)+", relative to those with "+name(least)+": %s.", relative(having(most), having(least)))
	}
}

// relative compares each client with itself in the others' case of the same size.
func relative(ms, others []Measurement) string {
	return perClient(func(client string) string {
		return list(ms, func(m Measurement) string {
			for _, other := range only(others, func(c Case) bool { return c.Size == m.Case.Size }) {
				if ratio, ok := versus(m.Results[client], other.Results[client], Result.rate); ok {
					return digits(ratio.Median) + " × " + where(m.Case)
				}
			}
			return ""
		})
	})
}

func median(m Measurement, client string) string {
	return micros(summarize(m).Clients[client].P50.Median)
}

func ofPace(m Measurement, client string) string {
	return percent(statOf(m.Results[client], Result.rate).Median * m.Case.Gap.Seconds())
}

// items speaks of each case in a line.
func items(title string, of func(m Measurement, client string) string) remark {
	return func(_ Report, ms []Measurement) string {
		text := title
		for _, m := range ms {
			text += say("\n- "+m.Case.String()+": %s.", perClient(func(client string) string { return of(m, client) }))
		}
		return text
	}
}

// bounds is a table.
func bounds(_ Report, ms []Measurement) string {
	table := [][]string{{"acks after", "in flight at most", "bound, records/s", ours, baseLine}}
	for _, m := range ms {
		limit, of := bound(m.Case, ours)
		row := []string{m.Case.AckDelay.String(), of, si(limit)}
		for _, client := range clients {
			limit, _ = bound(m.Case, client)
			row = append(row, percent(statOf(m.Results[client], Result.rate).Median/limit))
		}
		table = append(table, row)
	}
	return "\n" + strings.TrimSuffix(tableText(table, ""), "\n")
}

// busy tells what of the machine the most streams use.
func busy(_ Report, ms []Measurement) string {
	v, _ := values(ms, func(c Case) int { return c.Streams }, grouped)
	most, cpus, least := v[len(v)-1], 0, math.Inf(1)
	text := perClient(func(client string) string {
		return list(only(ms, func(c Case) bool { return c.Streams == most }), func(m Measurement) string {
			used := statOf(m.Results[client], func(r Result) float64 {
				cpus = r.GoMaxProcs
				return (r.CPU + r.ServerCPU) / r.Seconds / float64(cpus)
			}).Median
			if used > 0 {
				least = min(least, used)
			}
			return say("%s "+where(m.Case), percent(used))
		})
	})
	text = say("Client and sink together, with "+plural(most, "stream")+", use of "+plural(cpus, "CPU")+": %s.", text)
	if text != "" && least >= 0.9 {
		text += "\nSo the machine is what holds them up."
	}
	return text
}

func peaks(_ Report, ms []Measurement) string {
	const beside = 32 // MiB for what is not in flight: gRPC, the records to send, chunks that are not full, garbage
	low, high := math.Inf(1), math.Inf(-1)
	var highest Case
	within := 0
	for _, m := range ms {
		over := statOf(m.Results[ours], func(r Result) float64 {
			return float64(r.PeakRSS-r.StartRSS-int64(m.Case.Bytes)) / (1 << 20)
		}).Max
		if summarize(m).Clients[ours].PeakRSS.Median == 0 {
			continue // not measured on this platform
		}
		if over > high {
			high, highest = over, m.Case
		}
		if low = min(low, over); over <= beside {
			within++
		}
	}
	if highest.Group == "" {
		return ""
	}
	return fmt.Sprintf("What the stream adds to the process is between %+.0f and %+.0f MiB from the limit, the most with %v.\n"+
		"In %d of %s it is at most the limit and %d MiB.", low, high, highest, within, plural(len(ms), "case"), beside)
}

func (r Report) cases(groups ...string) []Measurement {
	return only(r.Measurements, func(c Case) bool { return slices.Contains(groups, c.Group) })
}

func only(ms []Measurement, which func(Case) bool) (chosen []Measurement) {
	for _, m := range ms {
		if which(m.Case) {
			chosen = append(chosen, m)
		}
	}
	return chosen
}

// where tells a case from the others of its group, as far as the text needs.
func where(c Case) string {
	if c.Form == formMessage || c.Form == formValue {
		return fmt.Sprintf("for a %s and %s", c.Form, plural(c.Producers, "producer"))
	}
	return "at " + bytesText(c.Size)
}

// say puts what there is to say into a sentence. Without it there is none.
func say(sentence, what string) string {
	if what == "" {
		return ""
	}
	return fmt.Sprintf(sentence, what)
}

// perClient says something of each client.
func perClient(of func(client string) string) string {
	return join(clients, "; ", "; ", func(client string) string {
		return say(map[string]string{ours: "SDK", baseLine: "baseline"}[client]+" %s", of(client))
	})
}

func list[T any](things []T, of func(T) string) string { return join(things, ", ", " and ", of) }

// join joins what there is to say of some things.
func join[T any](things []T, comma, and string, of func(T) string) string {
	var parts []string
	for _, thing := range things {
		if part := of(thing); part != "" {
			parts = append(parts, part)
		}
	}
	if n := len(parts) - 1; n > 0 {
		return strings.Join(parts[:n], comma) + and + parts[n]
	}
	return strings.Join(parts, "")
}

// percent writes a share. What was not measured has none.
func percent(share float64) string {
	if share > 0 {
		return digits(share*100) + " %"
	}
	return ""
}

func plural(n int, thing string) string {
	if n != 1 {
		thing += "s"
	}
	return grouped(n) + " " + thing
}

// bytesText writes a record's size.
func bytesText(n int) string { return grouped(n) + " B" }

// grouped writes a number with a comma before every three digits.
func grouped(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
