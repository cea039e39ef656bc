package server

import (
	"github.com/seathold/seathold/server/internal/handshake"
	"github.com/seathold/seathold/server/internal/latency"
)

// Stats are the counts of a server. They are read while it runs, so one may be newer than another by a moment.
type Stats struct {
	Answers     map[int]uint64 // responses so far, by HTTP status
	ByKey       []KeyAnswers   // the same, by the caller's key and the route as well
	Latencies   []Latencies    // of the responses that were written, or could not be
	Connections int            // open, on all listeners
	Buffered    Buffered
	ListsMade   uint64 // lists of sessions or stock that were encoded so far
	Handshakes  handshake.Stats
	Overload    Overload
}

// Overload is how a server bounds its load.
type Overload struct {
	Turns    int               // most requests that are served at a time; a batch may count as several
	InTurn   int               // requests that are served
	Waiting  map[string]int    // requests that wait for their turn, by urgency, and those whose refusal is held back
	Waits    *latency.Counts   // how long those waited that were served
	Refused  map[string]uint64 // requests and connections refused as overloaded so far, by reason
	MaxConns int               // most connections of each listener
}

func (s *Server) overload() Overload {
	t := s.turns
	o := Overload{MaxConns: s.maxConnections, Waiting: make(map[string]int, urgencies), Waits: &latency.Counts{},
		Refused: make(map[string]uint64, refusalReasons)}
	for reason, name := range refusalNames {
		o.Refused[name] = t.refused[reason].Load()
	}
	o.Refused["list"] = s.board.renderings.refused.Load()
	t.waits.AddTo(o.Waits)
	t.mu.Lock()
	defer t.mu.Unlock()
	o.Turns, o.InTurn = int(t.limit.Load()), t.taken()
	for u, name := range urgencyNames {
		o.Waiting[name] = t.queue.lanes[u].count
	}
	o.Waiting["refused"] = t.held.count
	return o
}

// Buffered is the use of Options.MaxBuffered.
type Buffered struct {
	Bytes   int64  // of large bodies and answers in flight, and of lists
	Limit   int64  // the most of these
	Refused uint64 // requests refused so far because there were no bytes left
	CutOff  uint64 // slow clients cut off so far to make room for others
}

func (s *Server) buffered() (b Buffered) {
	b.Bytes, b.Refused, b.CutOff = s.budget.usage()
	shelves := &s.board.renderings
	shelves.mu.Lock()
	defer shelves.mu.Unlock()
	b.Bytes += shelves.bytes
	b.Limit = s.budget.limit + shelves.limit
	return b
}

// Stats reads the counts. Statuses that alerts watch are listed before the first response that has them, so that its
// rate is not missed.
func (s *Server) Stats() Stats {
	stats := Stats{
		Answers:    map[int]uint64{200: 0, 201: 0, 304: 0, 409: 0, 500: 0, 503: 0},
		Buffered:   s.buffered(),
		ListsMade:  s.board.renderings.made.Load(),
		Overload:   s.overload(),
		Handshakes: s.handshakes.Stats(),
	}
	stats.ByKey = s.observer.answers(s.keys.Names())
	for _, a := range stats.ByKey {
		stats.Answers[a.Status] += a.Count
	}
	stats.Latencies = s.observer.latencies()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.listeners {
		l.mu.Lock()
		stats.Connections += len(l.conns)
		l.mu.Unlock()
	}
	return stats
}

// KeyAnswers are the responses so far to one caller, on one route and with one status.
type KeyAnswers struct {
	Key    string // the name of the caller's key
	Route  string // what was called, such as reserve; unknown for paths that do not exist, unread for unreadable requests
	Status int    // of HTTP; 0 for one that the server does not know
	Count  uint64
}

// answers returns the counts that are not 0. names are those of the callers, by Caller.Index.
func (o *observer) answers(names []string) (all []KeyAnswers) {
	for caller, name := range names {
		for r := range routes {
			var sum [len(statuses)]uint64
			for i := range o.stripes {
				if counts := o.stripes[i].callers[caller].Load(); counts != nil {
					counts[r].Load().addTo(&sum)
				}
			}
			for i, n := range sum {
				if n > 0 {
					all = append(all, KeyAnswers{Key: name, Route: routeNames[r], Status: statuses[i], Count: n})
				}
			}
		}
	}
	return all
}

func (c *statusCounts) addTo(sum *[len(statuses)]uint64) {
	if c == nil {
		return
	}
	for i := range c {
		sum[i] += c[i].Load()
	}
}

// Latencies are how long clients waited on one route, with one result: ok (a status below 400), refused (4xx), failed
// (5xx), or cut: below 500, but the response could not be written whole. A wait begins when the first byte of the
// request is read. It ends when the response is written, or its write has failed.
type Latencies struct {
	Route, Result string
	latency.Counts
}

// latencies returns those of routes and results that were observed, and of the calls that alerts watch.
func (o *observer) latencies() (all []Latencies) {
	for r := range routes {
		for result := range results {
			sum := Latencies{Route: routeNames[r], Result: resultNames[result]}
			observed := r >= routeReserve && r <= routeReturn && result == resultOK
			for i := range o.stripes {
				if h := o.stripes[i].latencies[r][result].Load(); h != nil {
					observed = true
					h.AddTo(&sum.Counts)
				}
			}
			if observed {
				all = append(all, sum)
			}
		}
	}
	return all
}
