// Package metrics exports the metrics of a server to Prometheus. README.md has the table of all metrics.
package metrics

import (
	"net/http"
	"regexp"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/seathold/seathold/server"
)

// Build identifies the running binary.
type Build struct {
	Version   string
	Revision  string
	GoVersion string
}

// runtimeMetrics selects those of Go's hundred runtime metrics that explain latency and memory.
var runtimeMetrics = regexp.MustCompile(
	`^/(gc/(heap/goal|cycles/total:gc-cycles)|sched/(latencies|pauses/total/gc)|memory/classes/(heap/objects|total))`)

// NewRegistry makes a registry of the metrics of the sale, the Go runtime, the process, and seathold_build_info. source
// returns the current server, nil while there is none. loaded are the files that are read again; nil if there are none.
// ends returns when certificates end, by what they are; nil if there are none.
func NewRegistry(b Build, source func() *server.Server, loaded *Reloads,
	ends func() map[string]time.Time) *prometheus.Registry {
	registry := prometheus.NewRegistry()
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Name:        "seathold_build_info",
		Help:        "Always 1. The labels identify the running binary.",
		ConstLabels: prometheus.Labels{"version": b.Version, "revision": b.Revision, "go_version": b.GoVersion},
	})
	info.Set(1)
	registry.MustRegister(&collector{descs: describe(), source: source, loaded: loaded, ends: ends}, info,
		collectors.NewGoCollector(collectors.WithGoCollectorMemStatsMetricsDisabled(),
			collectors.WithGoCollectorRuntimeMetrics(collectors.GoRuntimeMetricsRule{Matcher: runtimeMetrics})),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return registry
}

// Page serves scrapes of the registry, at most three at a time.
func Page(registry *prometheus.Registry) http.Handler {
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{Registry: registry, MaxRequestsInFlight: 3})
}
