package server

import (
	"bytes"
	"net/url"

	"github.com/valyala/fasthttp"

	"github.com/seathold/seathold/server/internal/encode"
)

// findDraw returns the resource of a path below /v1/draws/{draw}.
func (x *exchange) findDraw(action []byte, acts bool) (r resource) {
	account, within := bytes.CutPrefix(action, []byte("entries/"))
	switch {
	case !acts:
		r.get, r.route = (*exchange).readDraw, routeDraw
	case string(action) == "entries":
		r.post, r.route = (*exchange).enter, routeEnter
	case within && len(account) > 0 && bytes.IndexByte(account, '/') < 0:
		x.second = account
		r.get, r.route = (*exchange).readEntry, routeEntry
	}
	return r
}

func (x *exchange) enter() {
	account, group, err := x.decoder.entry(x.ctx.Request.Body())
	if err != nil {
		x.fail(err)
		return
	}
	entry, err := x.engine.Enter(x.server.calls, string(x.param), account, group)
	if err != nil {
		x.fail(err)
		return
	}
	status := fasthttp.StatusOK
	if !entry.Repeated {
		status = fasthttp.StatusCreated
		x.ctx.Response.Header.Set(fasthttp.HeaderLocation, "/v1/draws/"+entry.Draw+"/entries/"+entry.Account)
	}
	x.respond(status, encode.Entered(roomOf(x.ctx), &entry))
}

func (x *exchange) readDraw() {
	status, err := x.engine.Draw(string(x.param))
	if err != nil {
		x.fail(err)
		return
	}
	x.respond(fasthttp.StatusOK, encode.Draw(roomOf(x.ctx), x.engine, &status))
}

func (x *exchange) readEntry() {
	account, err := url.PathUnescape(string(x.second))
	if err != nil {
		rejectMalformed(x.ctx, "path", percentRule)
		return
	}
	entry, err := x.engine.Entry(x.server.calls, string(x.param), account)
	if err != nil {
		x.fail(err)
		return
	}
	x.respond(fasthttp.StatusOK, encode.Entry(roomOf(x.ctx), &entry))
}
