package server

import (
	"bytes"
	"strconv"

	"github.com/valyala/fasthttp"

	"github.com/seathold/seathold/engine"
	"github.com/seathold/seathold/server/internal/encode"
)

// sessionFilter is which sessions GET /v1/sessions lists. The query knows two parameters, each at most once:
//
//	phase=P      the sessions that the phase sells
//	available=N  the sessions with at least N places available in one category, N from 1
//
// Together they answer what a buyer asks who cannot complete a pack: which sessions of the phase still have N places side
// by side in a category. A session that is listed shows all its categories.
type sessionFilter struct {
	phase string
	least int // places; 0 for any number
}

// parseSessionFilter reads the query as the client spelled it. Errors are *engine.Refusal.
func parseSessionFilter(query []byte) (f sessionFilter, err error) {
	var seen []string
	for len(query) > 0 {
		var pair []byte
		pair, query, _ = bytes.Cut(query, []byte("&"))
		spelled, value, given := bytes.Cut(pair, []byte("="))
		decoded, ok := unescape(nil, value)
		name := string(spelled)
		switch {
		case !ok:
			return f, malformed("query", percentRule)
		case name != "phase" && name != "available":
			return f, malformed("query", "there is no parameter "+strconv.Quote(clip(name))+" here")
		case !given || len(decoded) == 0:
			return f, malformed(name, "has no value")
		}
		for _, other := range seen {
			if other == name {
				return f, malformed(name, "is given twice")
			}
		}
		seen = append(seen, name)
		if name == "phase" {
			f.phase = string(decoded)
		} else if f.least, ok = parsePlaces(decoded); !ok {
			return f, malformed(name, "a whole number from 1 to "+strconv.Itoa(engine.MaxQuantity)+" is expected")
		}
	}
	return f, nil
}

// parsePlaces reads digits without a sign or leading zeros.
func parsePlaces(digits []byte) (int, bool) {
	n, err := strconv.Atoi(string(digits))
	return n, err == nil && n >= 1 && n <= engine.MaxQuantity && strconv.Itoa(n) == string(digits)
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
	x.tell(fasthttp.StatusOK, x.server.stock.appendSessions(roomOf(x.ctx), x.engine, phase, filter.least))
}

// anyPhase stands for the index of a phase where none is asked for.
const anyPhase = -1

// appendSessions appends the sessions that the phase sells and that have least places available in one category.
func (t *stockText) appendSessions(dst []byte, e *engine.Engine, phase, least int) []byte {
	dst = append(dst, `{"sessions":[`...)
	listed := 0
	for i := range t.sessions {
		if phase != anyPhase && !e.Sale().Phases[phase].Sells(i) {
			continue
		}
		longer, most := t.appendStock(encode.Comma(dst, listed), e, i)
		if most < least {
			continue // what was written is written over: the same look at the stock decides and is shown
		}
		dst = longer
		listed++
	}
	return append(dst, `]}`...)
}
