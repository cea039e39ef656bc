package server

import (
	"strconv"

	"github.com/seathold/seathold/engine"
	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/server/internal/encode"
)

// stockText is the constant part of the sessions' JSON. It is encoded once, so that listing a thousand sessions is
// mostly copying.
type stockText struct {
	sessions []sessionText
	pools    []string // `{"category":"A","price_cents":9500,"capacity":1200`
}

type sessionText struct {
	head      string // `{"session":"ATH10",…,"pools":[`
	from, end int    // its pools
}

// newStockText encodes the constant part of every session.
func newStockText(sale *catalog.Sale) *stockText {
	t := &stockText{}
	for i := range sale.Sessions {
		s := &sale.Sessions[i]
		head := encode.String([]byte(`{"session":`), s.ID)
		head = encode.String(append(head, `,"programme":`...), sale.Programmes[s.Programme].ID)
		head = encode.String(append(head, `,"discipline":`...), s.Discipline)
		head = encode.String(append(head, `,"venue":`...), s.Venue)
		head = encode.Time(append(head, `,"starts_at":`...), s.StartsAt)
		head = strconv.AppendBool(append(head, `,"on_sale":`...), s.OnSale)
		head = append(head, `,"pools":[`...)
		t.sessions = append(t.sessions, sessionText{head: string(head), from: s.FirstPool, end: s.FirstPool + s.PoolCount})
	}
	for i := range sale.Pools {
		p := &sale.Pools[i]
		text := encode.String([]byte(`{"category":`), p.Category)
		text = encode.Int(append(text, `,"price_cents":`...), p.PriceCents)
		text = encode.Int(append(text, `,"capacity":`...), p.Capacity)
		t.pools = append(t.pools, string(text))
	}
	return t
}

// appendStock appends a session with its stock. It also returns the most tickets that are available in one of its
// categories.
func (t *stockText) appendStock(dst []byte, e *engine.Engine, session int) (_ []byte, most int) {
	s := &t.sessions[session]
	dst = append(dst, s.head...)
	for pool := s.from; pool < s.end; pool++ {
		stock := e.Stock(pool)
		most = max(most, stock.Available)
		dst = append(encode.Comma(dst, pool-s.from), t.pools[pool]...)
		dst = encode.Int(append(dst, `,"available":`...), stock.Available)
		dst = encode.Int(append(dst, `,"held":`...), stock.Held)
		dst = encode.Int(append(dst, `,"sold":`...), stock.Sold)
		dst = encode.Int(append(dst, `,"withheld":`...), stock.Withheld)
		dst = append(dst, '}')
	}
	return append(dst, `]}`...), most
}
