package metrics

import (
	"net/http"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/zerobus-go/zerobus/internal/version"
	"github.com/zerobus-go/zerobus/server/internal/gateway"
	"github.com/zerobus-go/zerobus/server/internal/rest"
	"github.com/zerobus-go/zerobus/server/internal/table"
	"github.com/zerobus-go/zerobus/server/internal/wal"
)

// Sources are the stages of one server. All fields are required, but for PerTable.
type Sources struct {
	Log     func() wal.Stats
	Tables  func() table.Stats
	Gateway func() gateway.Stats
	Tokens  func() [len(rest.TokenCodes)]int64
	Ready   func() bool

	// Each gives the open tables, of which at most PerTable are shown, in the order of their names.
	Each     func() []table.TableStats
	PerTable int
}

// scrapes bounds how many are answered at once; more get 503. The answers are small, but anybody may ask.
const scrapes = 4

// Handler answers scrapes.
func Handler(s Sources) http.Handler {
	return promhttp.HandlerFor(registry(s), promhttp.HandlerOpts{MaxRequestsInFlight: scrapes})
}

func registry(s Sources) *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(&collector{s}, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return r
}

// snapshot is the state of all stages.
type snapshot struct {
	log     wal.Stats
	tables  table.Stats
	gateway gateway.Stats
	tokens  [len(rest.TokenCodes)]int64
	each    []table.TableStats
	ready   bool
}

// collector implements [prometheus.Collector].
type collector struct{ Sources }

// Describe implements [prometheus.Collector].
func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for i := range list {
		ch <- list[i].desc
	}
}

// Collect implements [prometheus.Collector].
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	s := &snapshot{log: c.Log(), tables: c.Tables(), gateway: c.Gateway(), tokens: c.Tokens(), ready: c.Ready()}
	if c.PerTable > 0 {
		s.each = c.Each()
		slices.SortFunc(s.each, func(a, b table.TableStats) int { return strings.Compare(a.Name, b.Name) })
		s.each = s.each[:min(len(s.each), c.PerTable)]
	}
	for i := range list {
		m := &list[i]
		m.emit(m.desc, s, ch)
	}
}

// Metric is one metric of the server's own.
type Metric struct {
	Name   string
	Type   string // counter, gauge or histogram
	Labels []string
	Help   string // a sentence, with unit

	desc *prometheus.Desc
	emit func(*prometheus.Desc, *snapshot, chan<- prometheus.Metric)
}

// List gives the server's own metrics, in the order of the documentation. Those of the Go runtime (go_) and of the process
// (process_) come on top.
func List() []Metric { return slices.Clone(list) }

func counter(name, help string, value func(*snapshot) float64) Metric {
	return single(name, "counter", prometheus.CounterValue, help, value)
}

func gauge(name, help string, value func(*snapshot) float64) Metric {
	return single(name, "gauge", prometheus.GaugeValue, help, value)
}

func single(name, typ string, vt prometheus.ValueType, help string, value func(*snapshot) float64) Metric {
	return Metric{
		Name: name, Type: typ, Help: help, desc: prometheus.NewDesc(name, help, nil, nil),
		emit: func(d *prometheus.Desc, s *snapshot, ch chan<- prometheus.Metric) {
			ch <- prometheus.MustNewConstMetric(d, vt, value(s))
		},
	}
}

// counters is one counter for each of some values of a label.
func counters(name, help, label string, values []string, value func(s *snapshot, i int) int64) Metric {
	return Metric{
		Name: name, Type: "counter", Labels: []string{label}, Help: help, desc: prometheus.NewDesc(name, help, []string{label}, nil),
		emit: func(d *prometheus.Desc, s *snapshot, ch chan<- prometheus.Metric) {
			for i, v := range values {
				ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(value(s, i)), v)
			}
		},
	}
}

// perTable is a gauge for each open table that is shown.
func perTable(name, help string, value func(t *table.TableStats) float64) Metric {
	return Metric{
		Name: name, Type: "gauge", Labels: []string{"table"}, Help: help, desc: prometheus.NewDesc(name, help, []string{"table"}, nil),
		emit: func(d *prometheus.Desc, s *snapshot, ch chan<- prometheus.Metric) {
			for i := range s.each {
				ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value(&s.each[i]), s.each[i].Name)
			}
		},
	}
}

func buildInfo() Metric {
	const name, help = "zerobus_build_info", "Always 1; version of the server and of Go."
	labels := []string{"version", "goversion"}
	return Metric{
		Name: name, Type: "gauge", Labels: labels, Help: help, desc: prometheus.NewDesc(name, help, labels, nil),
		emit: func(d *prometheus.Desc, _ *snapshot, ch chan<- prometheus.Metric) {
			ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, 1, version.Number, runtime.Version())
		},
	}
}

func seconds(d time.Duration) float64 { return d.Seconds() }

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
