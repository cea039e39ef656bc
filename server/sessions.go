package server

import (
	"bytes"
	"net/url"
	"slices"
	"strconv"

	"github.com/valyala/fasthttp"

	"github.com/seathold/seathold/engine"
	"github.com/seathold/seathold/server/internal/encode"
)

// sessionFilter selects the sessions that GET /v1/sessions lists. The query has two parameters, each at most once:
//
//	phase=P      sessions that the phase sells
//	available=N  sessions with at least N tickets available in one category, N at least 1
//
// Together they help a buyer to complete a pack: they list the sessions of the phase that still have N tickets in one
// category. A listed session shows all its categories.
type sessionFilter struct {
	phase string
	least int // tickets; 0 for any number
}

// parseSessionFilter reads the query as the client sent it. Errors are *engine.Refusal.
func parseSessionFilter(query []byte) (f sessionFilter, err error) {
	var seen []string
	for len(query) > 0 {
		var pair []byte
		pair, query, _ = bytes.Cut(query, []byte("&"))
		spelled, value, given := bytes.Cut(pair, []byte("="))
		decoded, err := url.PathUnescape(string(value)) // a plus is not a space
		name := string(spelled)
		switch {
		case err != nil:
			return f, malformed("query", percentRule)
		case name != "phase" && name != "available":
			return f, malformed("query", "the parameter "+strconv.Quote(clip(name))+" is unknown")
		case !given || decoded == "":
			return f, malformed(name, "has no value")
		case slices.Contains(seen, name):
			return f, malformed(name, "is repeated")
		}
		seen = append(seen, name)
		if name == "phase" {
			f.phase = decoded
			continue
		}
		// Neither a sign nor leading zeros are accepted.
		f.least, err = strconv.Atoi(decoded)
		if err != nil || f.least < 1 || f.least > engine.MaxQuantity || strconv.Itoa(f.least) != decoded {
			return f, malformed(name, "must be a whole number from 1 to "+strconv.Itoa(engine.MaxQuantity))
		}
	}
	return f, nil
}

func (x *exchange) listSessions() {
	filter, err := parseSessionFilter(x.ctx.URI().QueryString())
	if err != nil {
		x.fail(err)
		return
	}
	sale := x.engine.Sale()
	phase := anyPhase
	if filter.phase != "" {
		var known bool
		if phase, known = sale.PhaseByID(filter.phase); !known {
			x.fail(&engine.Refusal{Code: engine.UnknownPhase, Phase: filter.phase})
			return
		}
	}
	x.respond(fasthttp.StatusOK, x.server.stock.appendSessions(roomOf(x.ctx), x.engine, phase, filter.least))
}

// anyPhase replaces the index of a phase in a query without one.
const anyPhase = -1

// appendSessions appends the sessions that the phase sells and that have at least so many tickets available in one
// category.
func (t *stockText) appendSessions(dst []byte, e *engine.Engine, phase, least int) []byte {
	dst = append(dst, `{"sessions":[`...)
	listed := 0
	for i := range t.sessions {
		if phase != anyPhase && !e.Sale().Phases[phase].Sells(i) {
			continue
		}
		longer, most := t.appendStock(encode.Comma(dst, listed), e, i)
		if most < least {
			continue // overwrites what was appended, so that one read of the stock both decides and is shown
		}
		dst = longer
		listed++
	}
	return append(dst, `]}`...)
}
