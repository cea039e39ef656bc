package server

import (
	"strconv"
	"time"

	"github.com/seathold/seathold/engine"
	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/server/internal/encode"
)

// stockText is the constant part of the sessions' JSON. It is encoded once, so that listing a thousand sessions is
// mostly copying.
type stockText struct {
	sale     *catalog.Sale
	sessions []sessionText
	pools    []poolText
}

type sessionText struct {
	full      string // `{"session":"ATH10",…,"pools":[`
	name      string // `"ATH10":`
	day       string // on which it begins, at its venue: `2024-08-03`
	from, end int    // its pools
}

type poolText struct {
	full string // `{"category":"A","price_cents":9500,"capacity":1200,"available":`
	name string // `"A":`
}

// newStockText encodes the constant part of every session.
func newStockText(sale *catalog.Sale) *stockText {
	t := &stockText{sale: sale}
	for i := range sale.Sessions {
		s := &sale.Sessions[i]
		name := string(encode.String(nil, s.ID)) + ":"
		full := encode.String([]byte(`{"session":`), s.ID)
		full = encode.String(append(full, `,"programme":`...), sale.Programmes[s.Programme].ID)
		full = encode.String(append(full, `,"discipline":`...), s.Discipline)
		full = encode.String(append(full, `,"venue":`...), s.Venue)
		full = encode.Time(append(full, `,"starts_at":`...), s.StartsAt)
		full = strconv.AppendBool(append(full, `,"on_sale":`...), s.OnSale)
		full = append(full, `,"pools":[`...)
		t.sessions = append(t.sessions, sessionText{full: string(full), name: name,
			day: s.StartsAt.In(s.Zone).Format(time.DateOnly), from: s.FirstPool, end: s.FirstPool + s.PoolCount})
	}
	for i := range sale.Pools {
		p := &sale.Pools[i]
		full := encode.String([]byte(`{"category":`), p.Category)
		if p.PriceCents != catalog.NoPrice {
			full = encode.Int(append(full, `,"price_cents":`...), p.PriceCents)
		}
		full = encode.Int(append(full, `,"capacity":`...), p.Capacity)
		full = append(full, `,"available":`...)
		t.pools = append(t.pools, poolText{full: string(full), name: string(encode.String(nil, p.Category)) + ":"})
	}
	return t
}

// appendSession appends a session. stock is that of its pools.
func (t *stockText) appendSession(dst []byte, session int, stock []engine.Stock) []byte {
	s := &t.sessions[session]
	dst = append(dst, s.full...)
	for i := range stock {
		dst = append(encode.Comma(dst, i), t.pools[s.from+i].full...)
		dst = encode.Int(dst, stock[i].Available)
		dst = encode.Int(append(dst, `,"held":`...), stock[i].Held)
		dst = encode.Int(append(dst, `,"sold":`...), stock[i].Sold)
		dst = encode.Int(append(dst, `,"withheld":`...), stock[i].Withheld)
		dst = append(dst, '}')
	}
	return append(dst, `]}`...)
}

// appendSessions appends the answer of GET /v1/sessions. stock is that of all pools.
func (t *stockText) appendSessions(dst []byte, f *sessionFilter, stock []engine.Stock) []byte {
	dst = append(dst, `{"sessions":[`...)
	listed := 0
	for i := range t.sessions {
		s := &t.sessions[i]
		if t.selects(f, i, stock[s.from:s.end]) {
			dst = t.appendSession(encode.Comma(dst, listed), i, stock[s.from:s.end])
			listed++
		}
	}
	return append(dst, `]}`...)
}

// appendAvailable appends the answer of GET /v1/stock: for each session and category what is available, and the states
// of the sessions of which nothing is sold.
func (t *stockText) appendAvailable(dst []byte, f *sessionFilter, stock []engine.Stock) []byte {
	dst = append(dst, `{"stock":{`...)
	listed := 0
	for i := range t.sessions {
		s := &t.sessions[i]
		if !t.selects(f, i, stock[s.from:s.end]) {
			continue
		}
		dst = append(append(encode.Comma(dst, listed), s.name...), '{')
		for pool := s.from; pool < s.end; pool++ {
			dst = append(encode.Comma(dst, pool-s.from), t.pools[pool].name...)
			dst = encode.Int(dst, stock[pool].Available)
		}
		dst = append(dst, '}')
		listed++
	}
	dst = append(dst, `},"states":{`...)
	listed = 0
	for i := range t.sessions {
		s := &t.sessions[i]
		if !t.sale.Sessions[i].OnSale && t.selects(f, i, stock[s.from:s.end]) {
			dst = append(append(encode.Comma(dst, listed), s.name...), `"not_on_sale"`...)
			listed++
		}
	}
	return append(dst, `}}`...)
}

// selects reports whether the filter selects the session, whose pools have the stock.
func (t *stockText) selects(f *sessionFilter, session int, stock []engine.Stock) bool {
	s := &t.sale.Sessions[session]
	if f.phase != all && !t.sale.Phases[f.phase].Sells(session) ||
		f.programme != all && f.programme != s.Programme ||
		f.discipline != "" && f.discipline != s.Discipline ||
		f.venue != "" && f.venue != s.Venue ||
		f.day != "" && f.day != t.sessions[session].day {
		return false
	}
	most := 0
	for i := range stock {
		most = max(most, stock[i].Available)
	}
	return most >= f.least
}
