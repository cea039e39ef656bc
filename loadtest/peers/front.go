package peers

import (
	"encoding/json"
	"errors"
	"net"
	"strconv"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/server/client"
)

// Listen serves a handler of fasthttp on a free port of this machine until stop is called.
func Listen(handler fasthttp.RequestHandler) (address string, stop func() error, err error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	s := &fasthttp.Server{Handler: handler, NoDefaultServerHeader: true}
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ln) }()
	return ln.Addr().String(), func() error { return errors.Join(s.Shutdown(), <-ended) }, nil
}

// Bare answers every request with the same bytes: the header and body of a new reservation.
func Bare(ctx *fasthttp.RequestCtx) {
	const body = `{"id":"018c1f6e-9d2f-7cc1-b8f6-1f0e4d9b2a77","account":"buyer-00000000","phase":"all-venues",` +
		`"state":"held","lines":[{"session":"ATH10","category":"A","quantity":1}],"tickets":1,` +
		`"created_at":"2023-11-30T10:00:00.000Z","expires_at":"2023-11-30T10:17:00.000Z"}`
	ctx.Response.Header.Set("Location", "/v1/reservations/018c1f6e-9d2f-7cc1-b8f6-1f0e4d9b2a77")
	ctx.SetStatusCode(fasthttp.StatusCreated)
	ctx.SetContentType("application/json")
	ctx.SetBodyString(body)
}

// Front is a web service over the scripts: fasthttp, encoding/json, go-redis.
type Front struct {
	lua   *Lua
	pools map[string]map[string]frontPool // by session and category
}

// frontPool is a pool with the numbers that the scripts use.
type frontPool struct{ pool, session int }

// NewFront makes a service over the scripts for a sale.
func NewFront(l *Lua, sale *catalog.Sale) *Front {
	f := &Front{lua: l, pools: map[string]map[string]frontPool{}}
	for i, p := range Pools(sale) {
		if f.pools[p.Session] == nil {
			f.pools[p.Session] = map[string]frontPool{}
		}
		f.pools[p.Session][p.Category] = frontPool{pool: i, session: sale.Pools[p.Index].Session}
	}
	return f
}

type frontReservation struct {
	ID        string        `json:"id"`
	Account   string        `json:"account"`
	Phase     string        `json:"phase"`
	State     string        `json:"state"`
	Lines     []client.Line `json:"lines"`
	Tickets   int           `json:"tickets"`
	CreatedAt time.Time     `json:"created_at"`
	ExpiresAt time.Time     `json:"expires_at"`
}

// Reserve answers POST /v1/reservations.
func (f *Front) Reserve(ctx *fasthttp.RequestCtx) {
	var q client.Request
	if err := json.Unmarshal(ctx.PostBody(), &q); err != nil || len(q.ID) != 36 || q.Account == "" || len(q.Lines) == 0 {
		ctx.Error(`{"code":"malformed_request"}`, fasthttp.StatusBadRequest)
		return
	}
	r := frontReservation{ID: q.ID, Account: q.Account, Phase: "all-venues", State: "held", Lines: q.Lines}
	lines := make([]any, 0, 3*len(q.Lines))
	for _, l := range q.Lines {
		pool, ok := f.pools[l.Session][l.Category]
		if !ok || l.Quantity < 1 {
			ctx.Error(`{"code":"unknown_category"}`, fasthttp.StatusUnprocessableEntity)
			return
		}
		lines = append(lines, pool.pool, pool.session, l.Quantity)
		r.Tickets += l.Quantity
	}
	r.CreatedAt = time.UnixMilli(scriptNow).UTC()
	r.ExpiresAt = r.CreatedAt.Add(17 * time.Minute)
	got, err := f.lua.reserve(ctx, q.ID, q.Account, r.CreatedAt.UnixMilli(), r.ExpiresAt.UnixMilli(), lines)
	switch {
	case err != nil:
		ctx.Error(`{"code":"journal_unavailable"}`, fasthttp.StatusServiceUnavailable)
		return
	case got != done:
		ctx.Error(`{"code":`+strconv.Quote(string(got))+`}`, fasthttp.StatusConflict)
		return
	}
	body, err := json.Marshal(r)
	if err != nil {
		ctx.Error(err.Error(), fasthttp.StatusInternalServerError)
		return
	}
	ctx.Response.Header.Set("Location", "/v1/reservations/"+q.ID)
	ctx.SetStatusCode(fasthttp.StatusCreated)
	ctx.SetContentType("application/json")
	ctx.SetBody(body)
}
