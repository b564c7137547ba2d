package main

import (
	"bytes"
	"cmp"
	"fmt"
	"image/color"
	"math"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
	"google.golang.org/protobuf/encoding/protowire"
)

// figure is an SVG file: one or more panels next to each other, with the same y axis and legend.
type figure struct {
	file   string
	group  string // of cases, where the page shows it
	title  string
	x, y   axis
	panels []panel
}

type panel struct {
	title  string
	series []series
}

type axis struct {
	label string
	names []string             // of the places 0, 1, 2 …, for an axis of categories
	tick  func(float64) string // for a logarithmic axis: names a value
}

// series is a line of points, each with its median, and a bar from minimum to maximum.
type series struct {
	name   string
	look   look
	points []point
}

type look struct {
	color  color.Color
	glyph  draw.GlyphDrawer // nil for no points
	dashed bool
}

type point struct {
	x float64
	Stat
}

var (
	clients = []string{ours, baseLine}
	channel = map[bool]string{false: ", plaintext", true: ", TLS"}
	shades  = []color.Color{rgb(0x1b9e77), rgb(0x7570b3), rgb(0xe7298a), rgb(0x555555)}
)

func rgb(c uint32) color.Color { return color.RGBA{uint8(c >> 16), uint8(c >> 8), uint8(c), 0xff} }

// lookOf returns the look of a client in the first or second of two things.
func lookOf(client string, second bool) look {
	l := look{rgb(0x1f77b4), draw.CircleGlyph{}, second}
	if client == baseLine {
		l = look{rgb(0xd95f02), draw.BoxGlyph{}, second}
	}
	if second {
		l.glyph = hollow{l.glyph}
	}
	return l
}

// hollow is a glyph with a white heart.
type hollow struct{ draw.GlyphDrawer }

func (h hollow) DrawGlyph(c *draw.Canvas, style draw.GlyphStyle, at vg.Point) {
	h.GlyphDrawer.DrawGlyph(c, style, at)
	c.SetColor(color.White)
	style.Radius -= 1.2
	h.GlyphDrawer.DrawGlyph(c, style, at)
}

// figures returns the plots for which there are measurements.
func figures(r Report) (made []figure) {
	for _, want := range []struct {
		plot   func([]Measurement) figure
		groups []string
	}{
		{func(ms []Measurement) figure {
			return plotSizes(ms, "client-rate", "Records per second by record size", "records/s", Result.rate)
		}, []string{"plaintext", "tls"}},
		{func(ms []Measurement) figure {
			return plotSizes(ms, "client-cpu", "CPU time by record size", "CPU seconds per million records", Result.cpu)
		}, []string{"plaintext"}},
		{plotProducers, []string{"producers"}},
		{plotBatches, []string{"batches"}},
		{plotLatency, []string{"latency"}},
		{plotAcks, []string{"acks"}},
	} {
		ms := r.cases(want.groups...)
		if len(ms) == 0 {
			continue
		}
		f := want.plot(ms)
		f.group = ms[0].Case.Group
		f.panels = slices.DeleteFunc(f.panels, func(p panel) bool { return len(p.series) == 0 })
		if len(f.panels) > 0 {
			made = append(made, f)
		}
	}
	return made
}

// gather makes series of what the measurements of some clients give. Points of the same name are of one series.
func gather(ms []Measurement, clients []string, of func(m Measurement, client string) (name string, l look, points []point)) (all []series) {
	for _, client := range clients {
		for _, m := range ms {
			name, l, points := of(m, client)
			for _, p := range points {
				if p.Min <= 0 || math.IsNaN(p.Min) || math.IsInf(p.Max, 0) { // a logarithm cannot show it
					continue
				}
				i := slices.IndexFunc(all, func(s series) bool { return s.name == name })
				if i < 0 {
					i, all = len(all), append(all, series{name: name, look: l})
				}
				all[i].points = append(all[i].points, p)
			}
		}
	}
	return all
}

// values returns the distinct values of the cases, ascending, with their names.
func values(ms []Measurement, of func(Case) int, name func(int) string) (v []int, names []string) {
	for _, m := range ms {
		v = append(v, of(m.Case))
	}
	slices.Sort(v)
	v = slices.Compact(v)
	for _, n := range v {
		names = append(names, name(n))
	}
	return v, names
}

// versus compares two clients' results in two cases, repetition by repetition.
func versus(a, b []Result, of func(Result) float64) (Stat, bool) {
	return ratioOf(Measurement{Results: map[string][]Result{ours: a, baseLine: b}}, of)
}

func plotSizes(ms []Measurement, file, title, y string, of func(Result) float64) figure {
	_, sizes := values(ms, func(c Case) int { return c.Size }, bytesText)
	return figure{
		file: file, title: title, x: axis{label: "size of a record", names: sizes}, y: axis{label: y, tick: short},
		panels: []panel{{series: gather(ms, clients, func(m Measurement, client string) (string, look, []point) {
			x := float64(slices.Index(sizes, bytesText(m.Case.Size)))
			return client + channel[m.Case.TLS], lookOf(client, m.Case.TLS), []point{{x, statOf(m.Results[client], of)}}
		})}},
	}
}

func plotProducers(ms []Measurement) figure {
	_, producers := values(ms, func(c Case) int { return c.Producers }, grouped)
	_, sizes := values(ms, func(c Case) int { return c.Size }, bytesText)
	f := figure{
		file: "client-producers", title: "Rate of producers that share a stream, relative to one producer",
		x: axis{label: "producers", names: producers}, y: axis{label: "rate / rate of one producer"},
	}
	for _, client := range clients {
		f.panels = append(f.panels, panel{client, gather(ms, []string{client}, func(m Measurement, _ string) (string, look, []point) {
			var ratio Stat
			for _, one := range only(ms, func(c Case) bool { return c.Producers == 1 && c.Size == m.Case.Size }) {
				ratio, _ = versus(m.Results[client], one.Results[client], Result.rate)
			}
			size := bytesText(m.Case.Size)
			return size, look{color: shades[slices.Index(sizes, size)%len(shades)], glyph: draw.CircleGlyph{}}, []point{{float64(slices.Index(producers, grouped(m.Case.Producers))), ratio}}
		})})
	}
	return f
}

func perCall(c Case) int { return max(1, c.Batch) }

func plotBatches(ms []Measurement) figure {
	_, batches := values(ms, perCall, grouped)
	return figure{
		file: "client-batches", title: "Records per second by records in a call",
		x: axis{label: "records in a call", names: batches}, y: axis{label: "records/s", tick: short},
		panels: []panel{{series: gather(ms, clients, func(m Measurement, client string) (string, look, []point) {
			x := float64(slices.Index(batches, grouped(perCall(m.Case))))
			return client + ", " + bytesText(m.Case.Size), lookOf(client, m.Case.Size != ms[0].Case.Size), []point{{x, statOf(m.Results[client], Result.rate)}}
		})}},
	}
}

func plotLatency(ms []Measurement) figure {
	f := figure{
		file: "client-latency", title: "Time from the ingest call to the acknowledgement",
		x: axis{label: "quantile", names: []string{"p50", "p99", "p99.9"}}, y: axis{label: "latency", tick: micros},
	}
	gaps, _ := values(ms, func(c Case) int { return int(c.Gap) }, grouped)
	for _, gap := range gaps {
		some := only(ms, func(c Case) bool { return int(c.Gap) == gap })
		f.panels = append(f.panels, panel{some[0].Case.String(), gather(some, clients, func(m Measurement, client string) (string, look, []point) {
			s := summarize(m).Clients[client]
			return client + channel[m.Case.TLS], lookOf(client, m.Case.TLS), []point{{0, s.P50}, {1, s.P99}, {2, s.P999}}
		})})
	}
	return f
}

func plotAcks(ms []Measurement) figure {
	all := gather(ms, clients, func(m Measurement, client string) (string, look, []point) {
		x, _ := bound(m.Case, client)
		return fmt.Sprintf("%s, acks after %v", client, m.Case.AckDelay), lookOf(client, m.Case.AckDelay != ms[0].Case.AckDelay),
			[]point{{x, statOf(m.Results[client], Result.rate)}}
	})
	if len(all) == 0 {
		return figure{}
	}
	low, high := math.Inf(1), 0.0
	for _, s := range all {
		slices.SortFunc(s.points, func(a, b point) int { return cmp.Compare(a.x, b.x) })
		for _, p := range s.points {
			low, high = min(low, p.x), max(high, p.Max)
		}
	}
	line := series{"limit / delay", look{color: rgb(0x777777)}, []point{{low, Stat{low, low, low}}, {high, Stat{high, high, high}}}}
	return figure{
		file: "client-acks", title: "Records per second with late acknowledgements",
		x: axis{label: "records in flight that the limits allow / ack delay (records/s)", tick: short}, y: axis{label: "records/s", tick: short},
		panels: []panel{{series: append(all, line)}},
	}
}

// bound returns the highest rate that a client's limits allow, and which limit that is. The SDK counts a record with the
// tag and the length before it.
func bound(c Case, client string) (rate float64, of string) {
	size := c.Size
	if client == ours {
		size = protowire.SizeTag(1) + protowire.SizeBytes(size)
	}
	if n := c.Bytes / size; n < c.Records {
		return float64(n) / c.AckDelay.Seconds(), fmt.Sprintf("%d MiB", c.Bytes>>20)
	}
	return float64(c.Records) / c.AckDelay.Seconds(), plural(c.Records, "record")
}

// render draws a figure. The result depends on nothing but the figure.
func render(f figure) ([]byte, error) {
	const width, height = 660, 330
	svg := vgsvg.New(width, height)
	c := draw.New(svg)
	c.SetColor(color.White) // also on a dark page
	c.Fill(c.Rectangle.Path())
	title := text.Style{Color: color.Black, Font: sans(13), XAlign: text.XCenter, YAlign: text.YTop, Handler: plot.DefaultTextHandler}
	c.FillText(title, vg.Point{X: c.Center().X, Y: c.Max.Y - 6}, f.title)

	legend, named := plot.NewLegend(), map[string]bool{}
	legend.Top, legend.Left, legend.TextStyle.Font, legend.Padding, legend.YPosition = true, true, sans(10), 4, draw.PosCenter
	legend.ThumbnailWidth = 26
	plots := make([]*plot.Plot, len(f.panels))
	for i := range plots {
		plots[i] = f.draw(i, func(name string, thumbs ...plot.Thumbnailer) {
			if !named[name] {
				named[name] = true
				legend.Add(name, thumbs...)
			}
		})
	}
	wide := legend.Rectangle(c).Size().X + 8
	area := draw.Crop(c, 8, -wide-14, 6, -28)
	for i, p := range plots {
		p.Draw(draw.Tiles{Rows: 1, Cols: len(plots), PadX: 12}.At(area, i, 0))
	}
	legend.Draw(draw.Crop(c, width-wide-4, 0, 0, -42))

	var b bytes.Buffer
	if _, err := svg.WriteTo(&b); err != nil {
		return nil, err
	}
	// The fonts are not in the file, and not on every machine. Arial and Helvetica are as wide.
	return bytes.ReplaceAll(b.Bytes(), []byte("font-family:Liberation Sans;"), []byte("font-family:Liberation Sans,Arial,Helvetica,sans-serif;")), nil
}

// draw makes the plot of one panel.
func (f figure) draw(i int, explain func(string, ...plot.Thumbnailer)) *plot.Plot {
	p := plot.New()
	p.Title.Text, p.Title.TextStyle.Font, p.Title.Padding = f.panels[i].title, sans(11), 4
	grid := plotter.NewGrid()
	grid.Vertical.Color, grid.Horizontal.Color = nil, rgb(0xcccccc)
	p.Add(grid)
	all := f.panels[i].series
	for k, s := range all {
		shift := 0.0 // so that bars of one category do not hide each other
		if f.x.names != nil {
			shift = 0.035 * (float64(k) - float64(len(all)-1)/2)
		}
		var points plotter.XYs
		var errors plotter.YErrors
		for _, q := range s.points {
			y := f.y.scale(q.Median)
			points = append(points, plotter.XY{X: f.x.scale(q.x) + shift, Y: y})
			errors = append(errors, struct{ Low, High float64 }{y - f.y.scale(q.Min), f.y.scale(q.Max) - y})
		}
		line := &plotter.Line{XYs: points, LineStyle: draw.LineStyle{Color: s.look.color, Width: 1.4}}
		if s.look.dashed {
			line.Dashes = []vg.Length{5, 3}
		}
		if p.Add(line); s.look.glyph == nil {
			explain(s.name, line)
			continue
		}
		dots := &plotter.Scatter{XYs: points, GlyphStyle: draw.GlyphStyle{Color: s.look.color, Radius: 3, Shape: s.look.glyph}}
		p.Add(&plotter.YErrorBars{XYs: points, YErrors: errors, LineStyle: draw.LineStyle{Color: s.look.color, Width: 1}, CapWidth: 5}, dots)
		explain(s.name, line, dots)
	}
	f.x.set(&p.X, f.panels, func(q point) (low, high float64) { return q.x, q.x })
	f.y.set(&p.Y, f.panels, func(q point) (low, high float64) { return q.Min, q.Max })
	return p
}

// scale is where a value stands. [plot.LogScale] is not used, because gonum finds the wrong place for labels with it.
func (a axis) scale(v float64) float64 {
	if a.tick != nil {
		return math.Log10(v)
	}
	return v
}

// set prepares an axis of a plot, so that it shows the points of all panels.
func (a axis) set(to *plot.Axis, panels []panel, of func(point) (low, high float64)) {
	to.Label.Text, to.Label.TextStyle.Font, to.Label.Padding = a.label, sans(11), 3
	to.Tick.Label.Font, to.Padding = sans(10), 2
	if a.names != nil {
		var ticks plot.ConstantTicks
		for i, name := range a.names {
			ticks = append(ticks, plot.Tick{Value: float64(i), Label: name})
		}
		to.Tick.Marker, to.Min, to.Max = ticks, -0.4, float64(len(a.names))-0.6
		return
	}
	low, high := math.Inf(1), math.Inf(-1)
	for _, p := range panels {
		for _, s := range p.series {
			for _, q := range s.points {
				l, h := of(q)
				low, high = min(low, l), max(high, h)
			}
		}
	}
	to.Min, to.Max = 0, high*1.1
	if a.tick != nil {
		to.Min, to.Max = a.scale(low/1.25), a.scale(high*1.25)
		to.Tick.Marker = decades(to.Min, to.Max, a.tick)
	}
}

// decades are the ticks 1, 2 and 5 of every decade between two logarithms. In a long axis only those of 1 have labels.
func decades(low, high float64, name func(float64) string) (ticks plot.ConstantTicks) {
	for d := math.Floor(low); d <= high; d++ {
		for _, n := range []float64{1, 2, 5} {
			t := plot.Tick{Value: d + math.Log10(n)}
			if n == 1 || high-low < 2.7 {
				t.Label = name(n * math.Pow(10, d))
			}
			if low <= t.Value && t.Value <= high {
				ticks = append(ticks, t)
			}
		}
	}
	return ticks
}

func sans(size font.Length) font.Font {
	return font.Font{Typeface: "Liberation", Variant: "Sans", Size: size}
}

// short writes the number of a tick.
func short(v float64) string {
	switch {
	case v >= 1e6:
		return fmt.Sprintf("%.4g M", v/1e6)
	case v >= 1e3:
		return fmt.Sprintf("%.4g k", v/1e3)
	}
	return fmt.Sprintf("%.4g", v)
}
