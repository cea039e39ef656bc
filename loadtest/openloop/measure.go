package main

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/dustin/go-humanize"
	"github.com/prometheus/procfs"
)

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
	Client  string // which client the figures are of
	Open    bool   // the loop
	Rate    float64
	Seed    uint64
	Seconds float64

	Arrived   int                       // buyers that came for the first time in the measured time
	Goodput   float64                   // confirmations and releases a second
	Results   map[string]map[string]int // number of answers by call and result code
	Accepted  map[string]spread         // latency of accepted requests by call, from when they were due to the answer
	Refused   spread                    // likewise, of every other answer
	Overloads float64                   // refusals because of load, a second
	NoFree    int                       // attempts that found every connection of the client busy
	Left      int                       // buyers whose patience ended

	ConfirmsRefused int // confirmations and releases of held reservations that were refused because of load

	Handshakes int    // of TLS
	Resumed    int    // of Handshakes
	Protocol   string // version, cipher suite and key exchange

	Prepared bool // the ClientHellos were computed before the load, as on the buyers' own machines

	Course []second `json:",omitempty"` // of a storm

	Queued spread // how long this process delayed a handshake, since it computes for all clients

	Lag          spread  // how late an open loop dispatched its buyers
	ServerCPU    float64 // processor seconds of the server a second; 0 if its process is not known
	GeneratorCPU float64
}

// label names the client of a load.
func (l *load) label() string {
	c := &l.crowd
	return clientLabel(c.Connections, !c.New, c.Resume, l.to.tls != nil, l.to.sources, c.Pipeline)
}

// protocol describes TLS as it was negotiated last, "" without TLS.
func (f *fleet) protocol() string {
	for i := range f.tallies {
		t := &f.tallies[i]
		t.mu.Lock()
		s := t.last
		t.mu.Unlock()
		if s.Version != 0 {
			return tls.VersionName(s.Version) + ", " + tls.CipherSuiteName(s.CipherSuite) + ", " + s.CurveID.String()
		}
	}
	return ""
}

// clientLabel names a client.
func clientLabel(connections int, kept, resume, secure bool, sources, pipeline int) string {
	s := humanize.Comma(int64(connections)) + " connections"
	switch {
	case kept:
		s += " kept"
	default:
		s += ", new for each request"
	}
	if secure {
		s += ", TLS"
	}
	if secure && resume {
		s += " resumed"
	}
	if sources > 1 {
		s += fmt.Sprintf(", from %d addresses", sources)
	}
	if pipeline > 1 {
		return s + fmt.Sprintf(", PIPELINED by %d, as no browser or gateway does", pipeline)
	}
	return s + ", one request at a time"
}

// conclude computes the figures from the counts.
func (m *measurement) conclude(c *counts) {
	m.Arrived, m.NoFree, m.Left, m.Lag, m.Refused = c.arrived, c.noFree, c.left, spreadOf(c.lags), spreadOf(c.refused)
	m.Results, m.Accepted = map[string]map[string]int{}, map[string]spread{}
	refused := 0
	for k := range kinds {
		if len(c.results[k]) > 0 {
			m.Results[k.String()], m.Accepted[k.String()] = c.results[k], spreadOf(c.accepted[k])
		}
		refused += c.results[k][overloaded]
	}
	m.ConfirmsRefused = c.results[confirming][overloaded] + c.results[releasing][overloaded]
	if m.Seconds > 0 {
		m.Goodput, m.Overloads = float64(c.sold)/m.Seconds, float64(refused)/m.Seconds
	}
	m.Handshakes, m.Resumed, m.Queued = c.handshakes, c.resumed, spreadOf(c.queued)
}

// broken returns how many requests had no answer of the server.
func (m *measurement) broken() (n int) {
	for _, results := range m.Results {
		n += results["not connected"] + results["connection lost"] + results["no answer"]
	}
	return n
}

func (m *measurement) print(to io.Writer) {
	out := func(format string, facts ...any) {
		_, _ = fmt.Fprintf(to, format+"\n", facts...) // there is no remedy for a closed stdout
	}
	out("client    %s; seed %d", m.Client, m.Seed)
	if m.Open {
		out("load      open loop: %.0f buyers a second for %.0f s; %.3f ms late in the median, %.2f p99", m.Rate, m.Seconds,
			m.Lag.P50, m.Lag.P99)
	} else {
		out("load      closed loop for %.0f s: %.0f buyers a second came", m.Seconds, float64(m.Arrived)/m.Seconds)
	}
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
	for _, call := range slices.Sorted(maps.Keys(m.Accepted)) {
		line(call, m.Accepted[call])
	}
	line("refused", m.Refused)
	if m.NoFree+m.Left > 0 {
		out("waiting   %d attempts found no free connection, %d buyers left", m.NoFree, m.Left)
	}
	if m.Protocol != "" {
		out("TLS       %s; %d handshakes, %d resumed; delayed by this client %.1f ms in the median, %.1f p99", m.Protocol,
			m.Handshakes, m.Resumed, m.Queued.P50, m.Queued.P99)
	}
	if m.Prepared {
		out("          ClientHellos computed beforehand, as on the buyers' own machines")
	}
	for i, s := range m.Course {
		out("second %-3d%6d sales,%5d handshakes, processor: server %.2f, generator %.2f s", i+1, s.Sales, s.Handshakes,
			s.ServerCPU, s.GeneratorCPU)
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

func (f *fleet) processorTimes() processorTimes {
	return processorTimes{at: f.now(), server: processorTime(f.target.ServerPID), generator: processorTime(os.Getpid())}
}

// stat returns what the system reports about a process. All is 0 for an unknown process and on systems without /proc.
func stat(pid int) procfs.ProcStat {
	p, err := procfs.NewProc(pid)
	if err != nil {
		return procfs.ProcStat{}
	}
	s, err := p.Stat()
	if err != nil {
		return procfs.ProcStat{}
	}
	return s
}

// processorTime returns the user and system time of a process in seconds, in steps of 10 ms.
func processorTime(pid int) float64 {
	s := stat(pid)
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
