package report

import (
	"bytes"
	"fmt"
	"image/color"
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// Figure is an SVG file: panels next to each other, with one legend below.
type Figure struct {
	Title  string
	Panels []Panel
}

// Panel is a plot with its axes.
type Panel struct {
	Title      string
	X, Y       string
	XLog, YLog bool // logarithms of 2 and of 10; other axes begin at 0
	Series     []Series
}

// Series is a line of points, each with its median, and a bar from minimum to maximum unless they are the same.
type Series struct {
	Name   string
	Look   Look
	Points []Point
}

// Look is how a line is drawn.
type Look struct {
	Color  color.Color
	Dots   bool
	Dashed bool
}

// Point is a figure at a place of the x axis.
type Point struct {
	X float64
	Stat
}

// At is a point.
func At(x float64, s Stat) Point { return Point{X: x, Stat: s} }

// The looks of lines.
var (
	LookA     = Look{Color: color.RGBA{0x1f, 0x77, 0xb4, 0xff}, Dots: true}
	LookB     = Look{Color: color.RGBA{0xd9, 0x5f, 0x02, 0xff}, Dots: true}
	LookC     = Look{Color: color.RGBA{0x1b, 0x9e, 0x77, 0xff}, Dots: true}
	LookD     = Look{Color: color.RGBA{0x75, 0x70, 0xb3, 0xff}, Dots: true}
	LookLimit = Look{Color: color.RGBA{0x77, 0x77, 0x77, 0xff}, Dashed: true}
)

// Render draws a figure. The result depends on nothing but the figure.
func (f Figure) Render() ([]byte, error) {
	const height = 300
	width := vg.Length(max(1, len(f.Panels))) * 300
	svg := vgsvg.New(width, height)
	c := draw.New(svg)
	c.SetColor(color.White) // also on a dark page
	c.Fill(c.Rectangle.Path())
	title := text.Style{Color: color.Black, Font: sans(13), XAlign: text.XCenter, YAlign: text.YTop, Handler: plot.DefaultTextHandler}
	c.FillText(title, vg.Point{X: c.Center().X, Y: c.Max.Y - 6}, f.Title)

	legend := newLegend()
	area := draw.Crop(c, 8, -8, 34, -28)
	for i, p := range f.Panels {
		p.draw(legend).Draw(draw.Tiles{Rows: 1, Cols: len(f.Panels), PadX: 14}.At(area, i, 0))
	}
	legend.draw(draw.Crop(c, 8, -8, 8, 0))

	var b bytes.Buffer
	if _, err := svg.WriteTo(&b); err != nil {
		return nil, err
	}
	// The fonts are not in the file, and not on every machine. Arial and Helvetica are as wide.
	return bytes.ReplaceAll(b.Bytes(), []byte("font-family:Liberation Sans;"), []byte("font-family:Liberation Sans,Arial,Helvetica,sans-serif;")), nil
}

// legend is a row of names. gonum's own stands in columns.
type legend struct {
	names []string
	looks map[string]Look
}

func newLegend() *legend { return &legend{looks: map[string]Look{}} }

func (l *legend) add(s Series) {
	if _, known := l.looks[s.Name]; !known {
		l.names = append(l.names, s.Name)
		l.looks[s.Name] = s.Look
	}
}

func (l *legend) draw(c draw.Canvas) {
	style := text.Style{Color: color.Black, Font: sans(10), YAlign: text.YCenter, Handler: plot.DefaultTextHandler}
	const thumb, gap = 26, 20
	wide := vg.Length(0)
	for _, name := range l.names {
		wide += thumb + 5 + style.Width(name) + gap
	}
	at := vg.Point{X: c.Center().X - (wide-gap)/2, Y: c.Min.Y + 8}
	for _, name := range l.names {
		look := l.looks[name]
		c.StrokeLine2(look.line(), at.X, at.Y, at.X+thumb, at.Y)
		if look.Dots {
			c.DrawGlyph(look.glyph(), vg.Point{X: at.X + thumb/2, Y: at.Y})
		}
		at.X += thumb + 5
		c.FillText(style, at, name)
		at.X += style.Width(name) + gap
	}
}

func (l Look) line() draw.LineStyle {
	s := draw.LineStyle{Color: l.Color, Width: 1.4}
	if l.Dashed {
		s.Dashes = []vg.Length{5, 3}
	}
	return s
}

func (l Look) glyph() draw.GlyphStyle {
	return draw.GlyphStyle{Color: l.Color, Radius: 3, Shape: draw.CircleGlyph{}}
}

func (p Panel) draw(l *legend) *plot.Plot {
	g := plot.New()
	g.Title.Text, g.Title.TextStyle.Font, g.Title.Padding = p.Title, sans(11), 4
	grid := plotter.NewGrid()
	grid.Vertical.Color, grid.Horizontal.Color = nil, color.Gray{0xcc}
	g.Add(grid)
	x, y := scale(p.XLog, math.Log2), scale(p.YLog, math.Log10)
	x.begin(&g.X, p.X)
	y.begin(&g.Y, p.Y)
	for _, s := range p.Series {
		l.add(s)
		var points plotter.XYs
		var bars plotter.YErrors
		for _, q := range s.Points {
			if p.YLog && q.Min <= 0 { // a logarithm cannot show it
				continue
			}
			at := y.of(q.Median)
			points = append(points, plotter.XY{X: x.of(q.X), Y: at})
			bars = append(bars, struct{ Low, High float64 }{at - y.of(q.Min), y.of(q.Max) - at})
			x.show(q.X, q.X)
			y.show(q.Min, q.Max)
		}
		if len(points) == 0 {
			continue
		}
		g.Add(&plotter.Line{XYs: points, LineStyle: s.Look.line()})
		if s.Look.Dots {
			g.Add(&plotter.YErrorBars{XYs: points, YErrors: bars, LineStyle: draw.LineStyle{Color: s.Look.Color, Width: 1}, CapWidth: 5},
				&plotter.Scatter{XYs: points, GlyphStyle: s.Look.glyph()})
		}
	}
	x.end(&g.X, func(low, high float64) (ticks plot.ConstantTicks) {
		step := math.Ceil((high - low) / 8) // there is no room for more labels
		for v := math.Ceil(low); v <= high; v += step {
			ticks = append(ticks, plot.Tick{Value: v, Label: short(math.Exp2(v))})
		}
		return ticks
	})
	y.end(&g.Y, func(low, high float64) (ticks plot.ConstantTicks) {
		for d := math.Floor(low); d <= high; d++ {
			for _, n := range []float64{1, 2, 5} {
				if v := d + math.Log10(n); low <= v && v <= high {
					ticks = append(ticks, plot.Tick{Value: v, Label: short(n * math.Pow(10, d))})
				}
			}
		}
		return ticks
	})
	return g
}

// axis is what is known of an axis while its points are added.
type axis struct {
	log       func(float64) float64 // nil for a linear axis
	low, high float64
}

func scale(logarithmic bool, log func(float64) float64) *axis {
	a := &axis{low: math.Inf(1), high: math.Inf(-1)}
	if logarithmic {
		a.log = log
	}
	return a
}

// of is where a value stands. [plot.LogScale] is not used, because gonum finds the wrong place for labels with it.
func (a *axis) of(v float64) float64 {
	if a.log != nil {
		return a.log(v)
	}
	return v
}

func (a *axis) show(low, high float64) { a.low, a.high = min(a.low, low), max(a.high, high) }

func (a *axis) begin(to *plot.Axis, label string) {
	to.Label.Text, to.Label.TextStyle.Font, to.Label.Padding = label, sans(11), 3
	to.Tick.Label.Font, to.Padding = sans(10), 2
}

func (a *axis) end(to *plot.Axis, ticks func(low, high float64) plot.ConstantTicks) {
	switch {
	case math.IsInf(a.low, 1):
		to.Min, to.Max = 0, 1
	case a.log == nil:
		to.Min, to.Max = 0, max(a.high*1.1, 1e-9)
	default:
		to.Min, to.Max = a.of(a.low/1.25), a.of(a.high*1.25)
		to.Tick.Marker = ticks(to.Min, to.Max)
	}
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
