package metrics

import (
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/seathold/seathold/server/internal/latency"
)

// waits is a histogram in both forms: native, for a Prometheus that scrapes those, and in classic buckets for all
// others. The client's constant histograms have only one of them.
type waits struct {
	desc   *prometheus.Desc
	labels []*dto.LabelPair
	counts *latency.Counts
}

func (p page) waits(name string, counts *latency.Counts, labels ...string) {
	p.to <- &waits{desc: p.descs[name], labels: prometheus.MakeLabelPairs(p.descs[name], labels), counts: counts}
}

// Desc is part of prometheus.Metric.
func (w *waits) Desc() *prometheus.Desc { return w.desc }

// Write is part of prometheus.Metric.
func (w *waits) Write(m *dto.Metric) error {
	h := &dto.Histogram{
		SampleCount: ptr(w.counts.Count()), SampleSum: ptr(w.counts.Sum()),
		Schema: ptr(int32(latency.Schema)), ZeroThreshold: ptr(latency.ZeroBound), ZeroCount: ptr(w.counts.Zero()),
	}
	for bound, n := range w.counts.Classic() {
		h.Bucket = append(h.Bucket, &dto.Bucket{UpperBound: ptr(bound), CumulativeCount: ptr(n)})
	}
	// A span is a run of buckets without a gap. Each count is written as the difference to the one before.
	next, last := 0, int64(0)
	for key, n := range w.counts.Native() {
		if spans := len(h.PositiveSpan); spans > 0 && key == next {
			*h.PositiveSpan[spans-1].Length++
		} else {
			h.PositiveSpan = append(h.PositiveSpan, &dto.BucketSpan{Offset: ptr(int32(key - next)), Length: ptr(uint32(1))})
		}
		h.PositiveDelta = append(h.PositiveDelta, int64(n)-last)
		next, last = key+1, int64(n)
	}
	if h.PositiveSpan == nil { // otherwise an empty histogram would be taken for a classic one
		h.PositiveSpan = []*dto.BucketSpan{{Offset: ptr(int32(0)), Length: ptr(uint32(0))}}
	}
	m.Label, m.Histogram = w.labels, h
	return nil
}

func ptr[T any](value T) *T { return &value }

// LogLines makes the metric of the lines that a log has dropped.
func LogLines(dropped func() uint64) prometheus.Collector {
	return prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "seathold_log_lines_dropped_total",
		Help: "Lines of the log dropped because its reader was too slow, or could not be written."},
		func() float64 { return float64(dropped()) })
}
