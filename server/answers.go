package server

import (
	"sync/atomic"

	"github.com/valyala/fasthttp"

	"github.com/seathold/seathold/engine"
)

// answers counts what was answered, by HTTP status. Each connection counts in one of a few stripes, so that two processors
// seldom write to one word.
type answers [16]struct {
	byStatus [600]atomic.Uint64
	_        [64]byte
}

func (a *answers) count(ctx *fasthttp.RequestCtx) {
	if status := ctx.Response.StatusCode(); status < len(a[0].byStatus) {
		a[ctx.ConnID()%uint64(len(a))].byStatus[status].Add(1)
	}
}

// Answers returns how many requests were answered with each HTTP status so far. Those that matter most are listed before
// their first one: whoever watches rates would miss it.
func (s *Server) Answers() map[int]uint64 {
	found := map[int]uint64{200: 0, 201: 0, 409: 0, 500: 0, 503: 0}
	for stripe := range s.answers {
		for status := range s.answers[stripe].byStatus {
			if n := s.answers[stripe].byStatus[status].Load(); n > 0 {
				found[status] += n
			}
		}
	}
	return found
}

// Connections is how many connections are open on all listeners.
func (s *Server) Connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, l := range s.listeners {
		l.mu.Lock()
		n += len(l.conns)
		l.mu.Unlock()
	}
	return n
}

// Engine is the engine that the server answers for.
func (s *Server) Engine() *engine.Engine { return s.current.Load() }
