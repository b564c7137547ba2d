package main

import (
	"math"

	"github.com/zerobus-go/zerobus/bench/internal/report"
)

// figures are the plots for which there are results, by their names.
func (r Report) figures() map[string]report.Figure {
	all := map[string]report.Figure{}
	if f := r.decodeFigure(); len(f.Panels) > 0 {
		all["decode"] = f
	}
	if cases := r.of("ack"); len(cases) > 0 {
		all["ack"] = ackFigure(cases)
	}
	if cases := r.of("latency"); len(cases) > 0 {
		all["latency"] = latencyFigure(cases)
	}
	if points := growthPoints(r.Growth); len(points) > 0 {
		all["growth"] = growthFigure(points)
	}
	return all
}

var shapeLooks = map[string]report.Look{"small": report.LookA, "wide": report.LookB, "1k": report.LookC, "1k-100": report.LookD}

// decodeFigure shows the rate of each decoder over the size of records, a panel for each encoding.
func (r Report) decodeFigure() report.Figure {
	f := report.Figure{Title: "Decoding on one core"}
	for _, encoding := range []string{"protobuf", "json"} {
		p := report.Panel{Title: encoding, X: "bytes of a record", Y: "MB/s", XLog: true, YLog: true}
		looks := []report.Look{report.LookA, report.LookB, report.LookC, report.LookD}
		lines := map[string]int{}
		for _, d := range r.Decode {
			// Two shapes of one size would be two points above each other.
			if d.Encoding != encoding || d.Shape == "1k-100" {
				continue
			}
			i, known := lines[d.Decoder]
			if !known {
				i = len(p.Series)
				lines[d.Decoder] = i
				p.Series = append(p.Series, report.Series{Name: d.Decoder, Look: looks[i%len(looks)]})
			}
			p.Series[i].Points = append(p.Series[i].Points, report.At(float64(d.Bytes), report.StatOf(d.MB, same)))
		}
		if len(p.Series) > 0 {
			f.Panels = append(f.Panels, p)
		}
	}
	return f
}

// ackFigure shows rates over streams.
func ackFigure(cases []Case) report.Figure {
	records := report.Panel{Title: "Records", X: "streams", Y: "records/s", XLog: true, YLog: true}
	bytes := report.Panel{Title: "Bytes", X: "streams", Y: "MB/s", XLog: true}
	lines := map[string]int{}
	for _, c := range cases {
		if c.Encoding != "protobuf" {
			continue
		}
		i, known := lines[c.Shape]
		if !known {
			i = len(records.Series)
			lines[c.Shape] = i
			s := report.Series{Name: c.Shape, Look: shapeLooks[c.Shape]}
			records.Series, bytes.Series = append(records.Series, s), append(bytes.Series, s)
		}
		at := float64(c.Streams)
		records.Series[i].Points = append(records.Series[i].Points, report.At(at, report.StatOf(c.Runs, func(r Run) float64 { return r.PerSecond })))
		bytes.Series[i].Points = append(bytes.Series[i].Points, report.At(at, report.StatOf(c.Runs, func(r Run) float64 { return r.MB })))
	}
	return report.Figure{Title: "To the durable acknowledgement, protobuf", Panels: []report.Panel{records, bytes}}
}

// latencyFigure shows the distributions: the time that all but a part of the records do not exceed, over one by that part.
func latencyFigure(cases []Case) report.Figure {
	panel := func(title string, of func(Run) Distribution) report.Panel {
		p := report.Panel{Title: title, X: "one of so many records takes longer", Y: "ms", XLog: true, YLog: true}
		for _, c := range cases {
			s := report.Series{Name: c.Shape, Look: shapeLooks[c.Shape]}
			for i := range curveLength(c.Runs, of) {
				part := of(c.Runs[0]).Curve[i][0]
				if part < 0.5 || part >= 1 {
					continue
				}
				s.Points = append(s.Points, report.At(1/(1-part), report.StatOf(c.Runs, func(r Run) float64 { return of(r).Curve[i][1] })))
			}
			p.Series = append(p.Series, s)
		}
		return p
	}
	return report.Figure{Title: "10,000 records/s over 8 streams", Panels: []report.Panel{
		panel("Acknowledgement", func(r Run) Distribution { return r.Ack }), panel("To the table", func(r Run) Distribution { return r.Table }),
	}}
}

// curveLength is how many points all runs have.
func curveLength(runs []Run, of func(Run) Distribution) int {
	n := math.MaxInt
	for _, r := range runs {
		n = min(n, len(of(r).Curve))
	}
	if len(runs) == 0 {
		return 0
	}
	return n
}

func growthFigure(points []growthPoint) report.Figure {
	p50 := report.Series{Name: "p50", Look: report.LookA}
	p99 := report.Series{Name: "p99", Look: report.LookB}
	for _, p := range points {
		at := float64(p.upTo) / 1000
		p50.Points, p99.Points = append(p50.Points, report.At(at, p.p50)), append(p99.Points, report.At(at, p.p99))
	}
	return report.Figure{Title: "A commit while the table grows", Panels: []report.Panel{
		{Title: "Commit", X: "thousand files", Y: "ms", Series: []report.Series{p50, p99}},
	}}
}
