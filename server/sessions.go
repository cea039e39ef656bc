package server

import (
	"bytes"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/seathold/seathold/engine"
	"github.com/seathold/seathold/engine/catalog"
)

// sessionFilter selects the sessions of GET /v1/sessions and GET /v1/stock. The query has these parameters, each at
// most once, and a session must satisfy all of them:
//
//	phase=P       the phase sells it
//	programme=P   it belongs to the programme
//	discipline=D  it is of the discipline
//	venue=V       it is at the venue
//	day=D         it begins on that day, such as 2024-08-03, in the time zone of its venue
//	available=N   it has at least N tickets available in one category, N at least 1
//
// phase and available together help a buyer to complete a pack: they list the sessions of the phase that still have N
// tickets in one category. A listed session has all its categories. Equal filters are equal as Go values.
type sessionFilter struct {
	phase, programme       string // id; "" for any
	discipline, venue, day string
	least                  int // tickets; 0 for any number
}

// filterParameters are the parameters of a query. A value that no session of the sale can have is refused, so that a
// client learns of a misspelling; a day without sessions is not.
var filterParameters = [...]struct {
	name string
	set  func(f *sessionFilter, value string, sale *catalog.Sale) error
}{
	{"phase", (*sessionFilter).setPhase},
	{"programme", (*sessionFilter).setProgramme},
	{"discipline", func(f *sessionFilter, value string, sale *catalog.Sale) error {
		f.discipline = value
		return requireOne(sale, "discipline", value, func(s *catalog.Session) string { return s.Discipline })
	}},
	{"venue", func(f *sessionFilter, value string, sale *catalog.Sale) error {
		f.venue = value
		return requireOne(sale, "venue", value, func(s *catalog.Session) string { return s.Venue })
	}},
	{"day", (*sessionFilter).setDay},
	{"available", (*sessionFilter).setAvailable},
}

// parseSessionFilter reads the query as the client sent it. Errors are *engine.Refusal.
func parseSessionFilter(query []byte, sale *catalog.Sale) (sessionFilter, error) {
	if len(query) == 0 {
		return sessionFilter{}, nil
	}
	f := sessionFilter{} // it escapes
	var given [len(filterParameters)]bool
	for len(query) > 0 {
		var pair []byte
		pair, query, _ = bytes.Cut(query, []byte("&"))
		name, encoded, valued := bytes.Cut(pair, []byte("="))
		value, err := url.PathUnescape(string(encoded)) // a plus is not a space
		index := filterIndex(name)
		switch {
		case err != nil:
			return f, malformed("query", percentRule)
		case index < 0:
			return f, malformed("query", "the parameter "+strconv.Quote(clip(string(name)))+" is unknown")
		case !valued || value == "":
			return f, malformed(string(name), "has no value")
		case given[index]:
			return f, malformed(string(name), "is repeated")
		}
		given[index] = true
		if err := filterParameters[index].set(&f, value, sale); err != nil {
			return f, err
		}
	}
	return f, nil
}

// filterIndex returns the index of a parameter, -1 for an unknown one.
func filterIndex(name []byte) int {
	for i := range filterParameters {
		if filterParameters[i].name == string(name) {
			return i
		}
	}
	return -1
}

func (f *sessionFilter) setPhase(value string, sale *catalog.Sale) error {
	if _, known := sale.PhaseByID(value); !known {
		return &engine.Refusal{Code: engine.UnknownPhase, Phase: value}
	}
	f.phase = value
	return nil
}

func (f *sessionFilter) setProgramme(value string, sale *catalog.Sale) error {
	if programmeByID(sale, value) == none {
		return unknownValue("programme", value)
	}
	f.programme = value
	return nil
}

func (f *sessionFilter) setDay(value string, _ *catalog.Sale) error {
	if _, err := time.Parse(time.DateOnly, value); err != nil {
		return malformed("day", "must be a date such as 2024-08-03")
	}
	f.day = value
	return nil
}

// setAvailable accepts neither a sign nor leading zeros.
func (f *sessionFilter) setAvailable(value string, _ *catalog.Sale) (err error) {
	f.least, err = strconv.Atoi(value)
	if err != nil || f.least < 1 || f.least > engine.MaxQuantity || strconv.Itoa(f.least) != value {
		return malformed("available", "must be a whole number from 1 to "+strconv.Itoa(engine.MaxQuantity))
	}
	return nil
}

// requireOne refuses a value that the property of no session has.
func requireOne(sale *catalog.Sale, name, value string, property func(*catalog.Session) string) error {
	for i := range sale.Sessions {
		if property(&sale.Sessions[i]) == value {
			return nil
		}
	}
	return unknownValue(name, value)
}

func unknownValue(parameter, value string) error {
	return malformed(parameter, "the sale has no "+parameter+" "+strconv.Quote(clip(strings.ToValidUTF8(value, "?"))))
}

func (x *exchange) listSessions() { x.list(inFull) }
func (x *exchange) listStock()    { x.list(available) }

// list responds with the selected sessions in a form.
func (x *exchange) list(as form) {
	filter, err := parseSessionFilter(x.ctx.URI().QueryString(), x.engine.Sale())
	if err != nil {
		x.fail(err)
		return
	}
	v, c := variant{form: as, filter: filter}, preferredCoding(&x.ctx.Request.Header)
	r, err := x.server.board.rendering(x.engine, v, c, x.ctx.Time())
	if err != nil {
		x.fail(err)
		return
	}
	x.respondShared(r, "application/json")
}

func (x *exchange) readSession() {
	text := x.server.board.textOf(x.engine.Shown())
	session, found := text.sale.SessionByID(string(x.param))
	if !found {
		x.fail(&engine.Refusal{Code: engine.SessionNotFound, Session: string(x.param)})
		return
	}
	x.respondTagged(text.appendAlone(roomOf(x.ctx), session, x.engine.Stock, x.engine.Now().UnixMilli()))
}

// appendStock appends the stock of the first so many pools.
func appendStock(dst []engine.Stock, e *engine.Engine, pools int) []engine.Stock {
	for pool := range pools {
		dst = append(dst, e.Stock(pool))
	}
	return dst
}
