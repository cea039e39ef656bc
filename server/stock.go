package server

import (
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/seathold/seathold/engine"
	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/rules"
	"github.com/seathold/seathold/server/internal/encode"
)

// stockText is the constant part of the sessions' JSON. It is encoded once, so that listing a thousand sessions is
// mostly copying.
type stockText struct {
	sale     *catalog.Sale
	pauses   rules.Pauses
	sessions []sessionText
	pools    []poolText
	currency string  // `,"currency":{"code":"EUR","digits":2}`; "" for a sale without prices
	ends     []int64 // when sales of sessions end, in ms, ascending
}

type sessionText struct {
	full  string // `{"session":"ATH10",…,"on_sale":`
	ends  int64  // when its sales end, in ms; math.MaxInt64 for never
	name  string // `"ATH10":`
	day   string // on which it begins, at its venue: `2024-08-03`
	pools []int  // by number, without removed ones
}

type poolText struct {
	full string // `{"category":"A","price_cents":9500,"capacity":`
	name string // `"A":`
}

// newStockText encodes the constant part of every session.
func newStockText(sale *catalog.Sale, pauses rules.Pauses) *stockText {
	t := &stockText{sale: sale, pauses: pauses, currency: currencyText(sale.Currency)}
	for i := range sale.Sessions {
		s := &sale.Sessions[i]
		name := string(encode.String(nil, s.ID)) + ":"
		full := encode.String([]byte(`{"session":`), s.ID)
		full = encode.String(append(full, `,"programme":`...), sale.Programmes[s.Programme].ID)
		full = encode.String(append(full, `,"discipline":`...), s.Discipline)
		full = encode.String(append(full, `,"venue":`...), s.Venue)
		full = encode.Time(append(full, `,"starts_at":`...), s.StartsAt)
		ends := int64(math.MaxInt64)
		if s.OnSale && !s.SalesEndAt.IsZero() {
			ends = s.SalesEndAt.UnixMilli()
			full = encode.Time(append(full, `,"sales_end_at":`...), s.SalesEndAt)
			t.ends = append(t.ends, ends)
		}
		full = append(full, `,"on_sale":`...)
		t.sessions = append(t.sessions, sessionText{full: string(full), ends: ends, name: name,
			day: s.StartsAt.In(s.Zone).Format(time.DateOnly), pools: offered(sale, s)})
	}
	slices.Sort(t.ends)
	for i := range sale.Pools {
		p := &sale.Pools[i]
		full := encode.String([]byte(`{"category":`), p.Category)
		if p.PriceCents != catalog.NoPrice {
			full = encode.Int(append(full, `,"price_cents":`...), p.PriceCents)
		}
		full = append(full, `,"capacity":`...)
		t.pools = append(t.pools, poolText{full: string(full), name: string(encode.String(nil, p.Category)) + ":"})
	}
	return t
}

// currencyText encodes the member that names the currency of prices, with the comma before it.
func currencyText(c catalog.Currency) string {
	if c == (catalog.Currency{}) {
		return ""
	}
	text := encode.String([]byte(`,"currency":{"code":`), c.Code)
	return string(append(encode.Int(append(text, `,"digits":`...), c.Digits), '}'))
}

// is reports whether the text is that of a sale and of what is paused in it.
func (t *stockText) is(sale *catalog.Sale, pauses rules.Pauses) bool {
	return t.sale == sale && t.pauses.Equal(pauses)
}

// offered returns the pools of a session that buyers see. A removed one keeps its number and its stock.
func offered(sale *catalog.Sale, s *catalog.Session) []int {
	removed := func(pool int) bool { return sale.Pools[pool].Removed }
	if !slices.ContainsFunc(s.Pools, removed) {
		return s.Pools
	}
	return slices.DeleteFunc(slices.Clone(s.Pools), removed)
}

// ended returns how many sessions' sales have ended at an instant on the sale clock (ms).
func (t *stockText) ended(now int64) int {
	ended, _ := slices.BinarySearch(t.ends, now+1)
	return ended
}

// since returns the first instant (ms) from which on sales of so many sessions have ended.
func (t *stockText) since(ended int) int64 {
	if ended == 0 {
		return math.MinInt64
	}
	return t.ends[ended-1]
}

// onSale reports whether the session is sold at an instant on the sale clock (ms).
func (t *stockText) onSale(session int, now int64) bool {
	return t.sale.Sessions[session].OnSale && now < t.sessions[session].ends && !t.pauses.Session(session)
}

// appendSession appends a session of a list at an instant on the sale clock (ms). stock is that of a pool.
func (t *stockText) appendSession(dst []byte, session int, stock func(pool int) engine.Stock, now int64) []byte {
	s := &t.sessions[session]
	dst = strconv.AppendBool(append(dst, s.full...), t.onSale(session, now))
	dst = append(dst, `,"pools":[`...)
	for i, pool := range s.pools {
		dst = append(encode.Comma(dst, i), t.pools[pool].full...)
		stock := stock(pool)
		dst = encode.Int(dst, stock.Capacity)
		dst = encode.Int(append(dst, `,"available":`...), stock.Available)
		dst = encode.Int(append(dst, `,"held":`...), stock.Held)
		dst = encode.Int(append(dst, `,"sold":`...), stock.Sold)
		dst = encode.Int(append(dst, `,"withheld":`...), stock.Withheld)
		dst = append(dst, '}')
	}
	return append(dst, `]}`...)
}

// appendAlone appends the answer of GET /v1/sessions/{session}: the session, and the currency of its prices.
func (t *stockText) appendAlone(dst []byte, session int, stock func(pool int) engine.Stock, now int64) []byte {
	dst = t.appendSession(dst, session, stock, now)
	return append(append(dst[:len(dst)-1], t.currency...), '}')
}

// appendSessions appends the answer of GET /v1/sessions at an instant on the sale clock (ms). stock is that of all
// pools.
func (t *stockText) appendSessions(dst []byte, f *sessionFilter, stock []engine.Stock, now int64) []byte {
	dst = append(dst, `{"sessions":[`...)
	selected, listed := t.selection(f), 0
	for i := range t.sessions {
		if t.selects(selected, i, stock) {
			dst = t.appendSession(encode.Comma(dst, listed), i, func(pool int) engine.Stock { return stock[pool] }, now)
			listed++
		}
	}
	return append(append(append(dst, ']'), t.currency...), '}')
}

// appendAvailable appends the answer of GET /v1/stock at an instant on the sale clock (ms): for each session and
// category what is available, and the states of the sessions of which nothing is sold.
func (t *stockText) appendAvailable(dst []byte, f *sessionFilter, stock []engine.Stock, now int64) []byte {
	dst = append(dst, `{"stock":{`...)
	selected, listed := t.selection(f), 0
	for i := range t.sessions {
		s := &t.sessions[i]
		if !t.selects(selected, i, stock) {
			continue
		}
		dst = append(append(encode.Comma(dst, listed), s.name...), '{')
		for n, pool := range s.pools {
			dst = append(encode.Comma(dst, n), t.pools[pool].name...)
			dst = encode.Int(dst, stock[pool].Available)
		}
		dst = append(dst, '}')
		listed++
	}
	dst = append(dst, `},"states":{`...)
	listed = 0
	for i := range t.sessions {
		s := &t.sessions[i]
		if t.onSale(i, now) || !t.selects(selected, i, stock) {
			continue
		}
		dst = append(append(encode.Comma(dst, listed), s.name...), t.state(i, now)...)
		listed++
	}
	return append(dst, `}}`...)
}

// state returns why nothing of a session is sold at an instant on the sale clock (ms), in quotes.
func (t *stockText) state(session int, now int64) string {
	switch {
	case !t.sale.Sessions[session].OnSale:
		return `"not_on_sale"`
	case now >= t.sessions[session].ends:
		return `"sales_ended"`
	}
	return `"paused"`
}

// selection is a filter in the numbers of the sale.
type selection struct {
	*sessionFilter
	phase, programme int // index, all, or none
}

// all and none stand for the index of a filter without a phase or programme, and with one that the sale no longer has.
const (
	all  = -1
	none = -2
)

// selection finds what a filter names. The filter was read when another definition may have been in force.
func (t *stockText) selection(f *sessionFilter) selection {
	s := selection{f, all, all}
	if f.phase != "" {
		s.phase = none
		if phase, found := t.sale.PhaseByID(f.phase); found {
			s.phase = phase
		}
	}
	if f.programme != "" {
		s.programme = programmeByID(t.sale, f.programme)
	}
	return s
}

// programmeByID returns the index of a programme, or none.
func programmeByID(sale *catalog.Sale, id string) int {
	for i := range sale.Programmes {
		if sale.Programmes[i].ID == id {
			return i
		}
	}
	return none
}

// selects reports whether the filter selects the session. stock is that of all pools.
func (t *stockText) selects(f selection, session int, stock []engine.Stock) bool {
	s := &t.sale.Sessions[session]
	if f.phase != all && (f.phase == none || !t.sale.Phases[f.phase].Sells(session)) ||
		f.programme != all && f.programme != s.Programme ||
		f.discipline != "" && f.discipline != s.Discipline ||
		f.venue != "" && f.venue != s.Venue ||
		f.day != "" && f.day != t.sessions[session].day {
		return false
	}
	most := 0
	for _, pool := range t.sessions[session].pools {
		most = max(most, stock[pool].Available)
	}
	return most >= f.least
}
