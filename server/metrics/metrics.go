// Package metrics is what Prometheus scrapes on the operator's port.
package metrics

import (
	"net/http"
	"regexp"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/seathold/seathold/server"
)

// Build is what a binary knows of its own making.
type Build struct {
	Version   string
	Revision  string
	GoVersion string
}

// runtimeMetrics picks what tells of Go's part in latency and memory out of the hundred that the runtime has.
var runtimeMetrics = regexp.MustCompile(`^/(gc/(heap/goal|cycles/total:gc-cycles)|sched/(latencies|pauses/total/gc)|memory/classes/(heap/objects|total))`)

// NewRegistry makes a registry with the sale, the Go runtime, the process and seathold_build_info in it. source returns
// the server that answers now, nil while there is none.
func NewRegistry(b Build, source func() *server.Server) *prometheus.Registry {
	registry := prometheus.NewRegistry()
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Name:        "seathold_build_info",
		Help:        "Always 1. The labels say what is running.",
		ConstLabels: prometheus.Labels{"version": b.Version, "revision": b.Revision, "go_version": b.GoVersion},
	})
	info.Set(1)
	registry.MustRegister(NewCollector(source), info, collectors.NewGoCollector(collectors.WithGoCollectorMemStatsMetricsDisabled(),
		collectors.WithGoCollectorRuntimeMetrics(collectors.GoRuntimeMetricsRule{Matcher: runtimeMetrics})),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return registry
}

// Page answers scrapes of the registry, three at a time.
func Page(registry *prometheus.Registry) http.Handler {
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{Registry: registry, MaxRequestsInFlight: 3})
}
