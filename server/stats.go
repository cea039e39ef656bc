package server

import (
	"sync/atomic"

	"github.com/valyala/fasthttp"
)

// Stats are the counts of a server. They are read while it runs, so one may be newer than another by a moment.
type Stats struct {
	Answers     map[int]uint64 // responses so far, by HTTP status
	Connections int            // open, on all listeners
	InFlight    int            // operations in flight; for a moment it may include some that are being refused
	MaxInFlight int            // the limit on these
	Refused     uint64         // operations refused by admission control so far
}

// Stats reads the counts. Statuses that alerts watch are listed before the first response that has them, so that its
// rate is not missed.
func (s *Server) Stats() Stats {
	stats := Stats{
		Answers:     map[int]uint64{200: 0, 201: 0, 409: 0, 500: 0, 503: 0},
		InFlight:    int(s.admission.inFlight.Load()),
		MaxInFlight: int(s.admission.limit),
		Refused:     s.admission.refused.Load(),
	}
	for stripe := range s.answers {
		for status := range s.answers[stripe].byStatus {
			if n := s.answers[stripe].byStatus[status].Load(); n > 0 {
				stats.Answers[status] += n
			}
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.listeners {
		l.mu.Lock()
		stats.Connections += len(l.conns)
		l.mu.Unlock()
	}
	return stats
}

// answers counts responses by HTTP status. A connection counts in one of a few stripes, so that two processors rarely
// write to the same word.
type answers [16]struct {
	byStatus [600]atomic.Uint64
	_        [64]byte
}

func (a *answers) count(ctx *fasthttp.RequestCtx) {
	if status := ctx.Response.StatusCode(); status < len(a[0].byStatus) {
		a[ctx.ConnID()%uint64(len(a))].byStatus[status].Add(1)
	}
}
