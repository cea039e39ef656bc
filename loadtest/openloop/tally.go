package main

import (
	"crypto/tls"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// longest is the longest latency that a histogram distinguishes, in µs: two minutes.
const longest = 120_000_000

// newHistogram makes a histogram of latencies from a microsecond to longest, with three significant digits.
func newHistogram() *hdrhistogram.Histogram { return hdrhistogram.New(1, longest, 3) }

func record(h *hdrhistogram.Histogram, d time.Duration) { recordTimes(h, d, 1) }

// recordTimes records a duration n times.
func recordTimes(h *hdrhistogram.Histogram, d time.Duration, n int) {
	_ = h.RecordValues(min(max(d.Microseconds(), 1), longest), int64(n)) // in range, so there is no error
}

// tallies is how many tallies the connections of a load share: few, since histograms are large, and more than there are
// processors, so that goroutines hardly meet at one.
const tallies = 8

// window is the measured time of a load, since the generator's start.
type window struct{ from, to time.Duration }

func (w window) has(t time.Duration) bool { return t >= w.from && t < w.to }

// tally counts for several connections.
type tally struct {
	mu sync.Mutex
	*counts
	last tls.ConnectionState // of the last handshake, in this load or an earlier one
}

// counts are what a load counts. An answer belongs to the measured time if its request was due in it; a sale, if its
// answer came in it.
type counts struct {
	window   window
	results  [kinds]map[string]int
	accepted [kinds]*hdrhistogram.Histogram
	refused  *hdrhistogram.Histogram // every kind
	queued   *hdrhistogram.Histogram // how long this process delayed each handshake
	lags     *hdrhistogram.Histogram // how late arrivals were dispatched; open loop only

	arrived    int // buyers that came for the first time
	sold       int // confirmations and releases
	noFree     int // attempts that found every connection busy
	left       int // buyers whose patience ended
	handshakes int
	resumed    int   // of handshakes
	sales      []int // sold, by whole seconds since the window's start
	firstSale  time.Duration
}

func newCounts(w window) *counts {
	c := &counts{window: w, refused: newHistogram(), lags: newHistogram(), queued: newHistogram()}
	c.sales = make([]int, (w.to-w.from+time.Second-1)/time.Second)
	for k := range c.results {
		c.results[k], c.accepted[k] = map[string]int{}, newHistogram()
	}
	return c
}

// handshake counts a handshake of TLS, and how long the client itself delayed it.
func (t *tally) handshake(s tls.ConnectionState, queued time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.handshakes++
	record(t.queued, queued)
	if s.DidResume {
		t.resumed++
	}
	t.last = s
}

// answer counts the answer of a request that was due at a time.
func (t *tally) answer(k kind, due, now time.Duration, code string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if code == "ok" && k != reserving && t.window.has(now) {
		t.sold++
		t.sales[int((now-t.window.from)/time.Second)]++
		if t.firstSale == 0 || now < t.firstSale {
			t.firstSale = now
		}
	}
	if !t.window.has(due) {
		return
	}
	t.results[k][code]++
	if code == "ok" {
		record(t.accepted[k], now-due)
	} else {
		record(t.refused, now-due)
	}
}

// count adds one to a counter of the tally for what was due in the measured time.
func (t *tally) count(due time.Duration, counter *int) {
	t.mu.Lock()
	if t.window.has(due) {
		*counter++
	}
	t.mu.Unlock()
}

// add adds up the counts of two tallies of one load.
func (c *counts) add(other *counts) {
	for k := range c.results {
		for code, n := range other.results[k] {
			c.results[k][code] += n
		}
		c.accepted[k].Merge(other.accepted[k])
	}
	c.refused.Merge(other.refused)
	c.lags.Merge(other.lags)
	c.queued.Merge(other.queued)
	c.arrived += other.arrived
	c.sold += other.sold
	c.noFree += other.noFree
	c.left += other.left
	c.handshakes += other.handshakes
	c.resumed += other.resumed
	for i, n := range other.sales {
		c.sales[i] += n
	}
	if other.firstSale != 0 && (c.firstSale == 0 || other.firstSale < c.firstSale) {
		c.firstSale = other.firstSale
	}
}
