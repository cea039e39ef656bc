package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/prometheus/procfs"
)

// longest is the longest latency that a histogram distinguishes, in µs: two minutes.
const longest = 120_000_000

// newHistogram makes a histogram of latencies from a microsecond to longest, with three significant digits.
func newHistogram() *hdrhistogram.Histogram { return hdrhistogram.New(1, longest, 3) }

func record(h *hdrhistogram.Histogram, d time.Duration) {
	_ = h.RecordValue(min(max(d.Microseconds(), 1), longest)) // in range, so there is no error
}

// tally is what one reading goroutine counts. Only finished is read by others while the reader runs.
type tally struct {
	results  [kinds]map[string]int
	accepted [kinds]*hdrhistogram.Histogram
	refused  *hdrhistogram.Histogram
	unsent   int
	finished atomic.Uint64 // confirmations and releases that were accepted

	from, to time.Duration // the measured time
	held     int           // reservations answered in that time, even if their requests were due earlier
	sold     int           // confirmations and releases, likewise
}

func newTally() *tally {
	t := &tally{refused: newHistogram()}
	for k := range t.results {
		t.results[k], t.accepted[k] = map[string]int{}, newHistogram()
	}
	return t
}

func (t *tally) answer(q sent, now time.Duration, status int, body []byte) {
	if status < 300 && (q.kind == confirming || q.kind == releasing) {
		t.finished.Add(1)
	}
	if status < 300 && now >= t.from && now < t.to {
		switch q.kind {
		case reserving:
			t.held++
		case confirming, releasing:
			t.sold++
		}
	}
	if !q.counted {
		return
	}
	switch {
	case status < 300:
		t.results[q.kind]["ok"]++
		record(t.accepted[q.kind], now-q.scheduled)
	case status == 503: // its body is not parsed: under overload there are many
		t.results[q.kind]["overloaded"]++
		record(t.refused, now-q.scheduled)
	default:
		t.results[q.kind][codeOf(status, body)]++
		record(t.refused, now-q.scheduled)
	}
}

func (t *tally) add(other *tally) {
	for k := range t.results {
		for code, n := range other.results[k] {
			t.results[k][code] += n
		}
		t.accepted[k].Merge(other.accepted[k])
	}
	t.refused.Merge(other.refused)
	t.unsent += other.unsent
	t.held += other.held
	t.sold += other.sold
}

// spread is a distribution of durations in milliseconds.
type spread struct {
	Count                           int64
	P50, P90, P99, P999, Mean, Most float64
}

func spreadOf(h *hdrhistogram.Histogram) spread {
	ms := func(us int64) float64 { return float64(us) / 1000 }
	return spread{Count: h.TotalCount(), P50: ms(h.ValueAtQuantile(50)), P90: ms(h.ValueAtQuantile(90)),
		P99: ms(h.ValueAtQuantile(99)), P999: ms(h.ValueAtQuantile(99.9)), Mean: h.Mean() / 1000, Most: ms(h.Max())}
}

// measurement is the result of one load. Its fields are those of the JSON report.
type measurement struct {
	Rate        float64 // requested arrivals a second
	Seconds     float64
	Connections int
	Offered     int // arrivals in the measured time
	Unsent      int // requests not sent because too many bytes waited for their connection
	Unanswered  int // requests without an answer at the end

	Goodput  float64                   // confirmations and releases a second, or reservations if there are none
	Results  map[string]map[string]int // number of answers by call and result code
	Accepted spread                    // latency of all accepted requests, from the scheduled time to the answer
	ByCall   map[string]spread         // likewise, by call
	Refused  spread
	Lag      spread // how late requests were sent

	ServerCPU    float64 // processor seconds of the server a second; 0 if its process is not known
	GeneratorCPU float64

	dropped int // arrivals among Unsent
	lags    *hdrhistogram.Histogram
	total   *tally
}

// add merges the result of the same load at another time.
func (m *measurement) add(other *measurement) {
	share := other.Seconds / (m.Seconds + other.Seconds)
	m.ServerCPU += share * (other.ServerCPU - m.ServerCPU)
	m.GeneratorCPU += share * (other.GeneratorCPU - m.GeneratorCPU)
	m.Seconds += other.Seconds
	m.Offered += other.Offered
	m.Unanswered += other.Unanswered
	m.dropped += other.dropped
	m.lags.Merge(other.lags)
	m.total.add(other.total)
	m.conclude()
}

// conclude computes the figures from the counts.
func (m *measurement) conclude() {
	t := m.total
	m.Lag, m.Unsent = spreadOf(m.lags), m.dropped+t.unsent
	m.Results, m.ByCall = map[string]map[string]int{}, map[string]spread{}
	all := newHistogram()
	for k := range kinds {
		if len(t.results[k]) == 0 {
			continue
		}
		m.Results[k.String()] = t.results[k]
		m.ByCall[k.String()] = spreadOf(t.accepted[k])
		all.Merge(t.accepted[k])
	}
	m.Accepted, m.Refused = spreadOf(all), spreadOf(t.refused)
	sold := t.sold
	if sold == 0 {
		sold = t.held
	}
	if m.Seconds > 0 {
		m.Goodput = float64(sold) / m.Seconds
	}
}

// refusals returns how many reservations were refused.
func (m *measurement) refusals() int {
	n := 0
	for code, count := range m.Results[reserving.String()] {
		if code != "ok" {
			n += count
		}
	}
	return n
}

func (m *measurement) print(to io.Writer) {
	out := func(format string, facts ...any) {
		_, _ = fmt.Fprintf(to, format+"\n", facts...) // there is no remedy for a closed stdout
	}
	out("offered   %.0f a second for %.0f s over %d connections; sent %.3f ms late in the median, "+
		"%.3f ms at the 99th percentile, %.1f ms at most",
		float64(m.Offered)/m.Seconds, m.Seconds, m.Connections, m.Lag.P50, m.Lag.P99, m.Lag.Most)
	out("goodput   %.0f sales a second", m.Goodput)
	for _, call := range slices.Sorted(maps.Keys(m.Results)) {
		var codes []string
		for _, code := range slices.Sorted(maps.Keys(m.Results[call])) {
			codes = append(codes, fmt.Sprintf("%s %d", code, m.Results[call][code]))
		}
		out("%-9s %s", call, strings.Join(codes, ", "))
	}
	line := func(name string, s spread) {
		if s.Count > 0 {
			out("%-9s %.2f ms median, %.2f p90, %.2f p99, %.2f p99.9, %.1f at most", name, s.P50, s.P90, s.P99, s.P999, s.Most)
		}
	}
	line("accepted", m.Accepted)
	line("refused", m.Refused)
	if m.Unsent+m.Unanswered > 0 {
		out("missing   %d not sent, %d not answered", m.Unsent, m.Unanswered)
	}
	if m.ServerCPU > 0 {
		out("processor server %.2f, generator %.2f cores", m.ServerCPU, m.GeneratorCPU)
	}
}

// processorTimes are the processor times of the server and the generator so far, in seconds.
type processorTimes struct {
	at                time.Duration
	server, generator float64
}

func (g *generator) processorTimes() processorTimes {
	return processorTimes{at: g.now(), server: processorTime(g.target.ServerPID), generator: processorTime(os.Getpid())}
}

// processorTime returns the user and system time of a process in seconds, in steps of 10 ms. It is 0 for an unknown
// process and on systems without /proc.
func processorTime(pid int) float64 {
	p, err := procfs.NewProc(pid)
	if err != nil {
		return 0
	}
	s, err := p.Stat()
	if err != nil {
		return 0
	}
	return s.CPUTime()
}

// spent sets the processor times of the measured time.
func (m *measurement) spent(before, after processorTimes) {
	if seconds := (after.at - before.at).Seconds(); seconds > 0 {
		m.ServerCPU, m.GeneratorCPU = (after.server-before.server)/seconds, (after.generator-before.generator)/seconds
	}
}

func writeJSON(path string, what any) error {
	text, err := json.MarshalIndent(what, "", "\t")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(text, '\n'), 0o644)
}
