package server

import (
	"bytes"
	"cmp"
	"net/url"

	"github.com/valyala/fasthttp"

	"github.com/seathold/seathold/engine"
	"github.com/seathold/seathold/server/internal/encode"
	"github.com/seathold/seathold/server/internal/origin"
)

// exchange is one request and its response. Exchanges are pooled, so that a warm server does not allocate. Nothing in
// one outlives the request.
type exchange struct {
	server *Server
	engine *engine.Engine // the current one when the request arrived
	ctx    *fasthttp.RequestCtx
	caller Caller // by its key when the request began
	seen   *observation
	param  []byte // the variable segment of the path, percent-decoded
	second []byte // the variable segment after it, as the client sent it

	waiter     waiter
	*workspace // while it has its turn
}

// workspace is the memory that decoding and encoding need. There are as many as turns, and not as requests that wait
// for one, so they stay in the processors' caches under overload.
type workspace struct {
	decoder  decoder
	op       engine.Op // the call's request and result
	location []byte
	etag     []byte
}

// resource is what a path identifies. Methods without a function are not allowed.
type resource struct {
	get      func(*exchange)
	post     func(*exchange)
	route    route
	public   bool // no key is required
	finishes bool // it completes or shows what the caller has begun, see urgencyOf
}

// find returns the resource of a path as the client sent it. Nothing is normalized; only the variable segment is
// decoded later.
func (x *exchange) find(path []byte) (r resource, found bool) {
	x.param = nil // of the previous request
	rest, ok := bytes.CutPrefix(path, []byte("/v1/"))
	if !ok {
		if publicFiles()[string(path)] == nil {
			return r, false
		}
		return resource{get: (*exchange).readPublicFile, route: routeDocument, public: true}, true
	}
	collection, rest, deeper := bytes.Cut(rest, []byte("/"))
	member, action, acts := bytes.Cut(rest, []byte("/"))
	x.param = member
	if deeper && len(member) == 0 {
		return r, false
	}
	switch string(collection) {
	case "reservations":
		r.finishes = deeper
		switch {
		case !deeper:
			r.post, r.route = (*exchange).reserve, routeReserve
		case !acts:
			r.get, r.route = (*exchange).readReservation, routeReservation
		default:
			r.post, r.route = changeOf(action)
		}
	case "sessions":
		switch {
		case !deeper:
			r.get, r.route = (*exchange).listSessions, routeSessions
		case !acts:
			r.get, r.route = (*exchange).readSession, routeSession
		}
	case "stock":
		if !deeper {
			r.get, r.route = (*exchange).listStock, routeStock
		}
	case "accounts":
		if deeper && !acts {
			r.get, r.route, r.finishes = (*exchange).readAccount, routeAccount, true
		}
	case "draws":
		if deeper {
			r = x.findDraw(action, acts)
		}
	case "phases":
		if !deeper {
			r.get, r.route = (*exchange).listPhases, routePhases
		}
	case "batch":
		if !deeper {
			r.post, r.route = (*exchange).batch, routeBatch
		}
	}
	return r, r.get != nil || r.post != nil
}

// changeOf returns the call that changes a reservation, by the last segment of its path.
func changeOf(action []byte) (post func(*exchange), of route) {
	switch string(action) {
	case "confirm":
		return (*exchange).confirm, routeConfirm
	case "release":
		return (*exchange).release, routeRelease
	case "extend":
		return (*exchange).extend, routeExtend
	case "reduce":
		return (*exchange).reduce, routeReduce
	case "return":
		return (*exchange).returnTickets, routeReturn
	}
	return nil, routeUnread
}

// answer executes a request. The key is checked before the path, so that a caller without a key learns nothing.
func (x *exchange) answer() {
	ctx := x.ctx
	x.caller = x.server.callerOf(&ctx.Request.Header)
	x.seen.caller = x.caller
	if !x.framed() {
		return
	}
	resource, found := x.find(ctx.URI().PathOriginal())
	x.seen.route = cmp.Or(resource.route, routeUnknown)
	if x.caller.Role < Sell && isBatch(&ctx.Request.Header) {
		closeGracefully(ctx.Conn()) // headerReceived left the body unread
	}
	if detail := x.foreign(); detail != "" && !resource.public {
		reject(ctx, &encode.Forbidden, detail)
		return
	}
	if x.caller.Role == 0 && !resource.public {
		reject(ctx, &encode.Unauthenticated, encode.KeyRule)
		return
	}
	if !found {
		reject(ctx, &encode.NotFound, "this path does not exist; /openapi.yaml describes those that do")
		return
	}
	if !x.unescapeParam() {
		rejectMalformed(ctx, "path", percentRule)
		return
	}
	x.dispatch(resource)
}

// framed refuses requests that headerReceived found at fault. Their connection is to be closed, so the header of other
// requests is not read again.
func (x *exchange) framed() bool {
	h := &x.ctx.Request.Header
	if !h.ConnectionClose() {
		return true
	}
	_, fault := readFields(h)
	if fault == nil {
		return true
	}
	fault.refuse(x.ctx)
	closeGracefully(x.ctx.Conn())
	return false
}

// foreign describes why a request may be from a web page. With keys every caller sends one, which no page has.
func (x *exchange) foreign() string {
	if x.server.keys != nil {
		return ""
	}
	h := &x.ctx.Request.Header
	return origin.Fault(h.Host(), h.PeekCanonical(originHeader), h.PeekCanonical(fetchSiteHeader))
}

// dispatch calls the resource's function for the method.
func (x *exchange) dispatch(r resource) {
	ctx := x.ctx
	switch method := ctx.Method(); {
	case r.get != nil && (string(method) == fasthttp.MethodGet || string(method) == fasthttp.MethodHead):
		if !r.public && !x.engine.CanRead() {
			x.fail(&engine.Refusal{Code: engine.NotLeader, Leader: x.engine.Leader()})
			return
		}
		x.inTurn(x.urgencyOf(&r), r.get)
	case r.post != nil && string(method) == fasthttp.MethodPost:
		if x.caller.Role < Sell {
			reject(ctx, &encode.Forbidden, "the key's role permits only reading")
			return
		}
		x.inTurn(x.urgencyOf(&r), r.post)
	default:
		allowed := "GET, HEAD, OPTIONS"
		if r.get == nil {
			allowed = "POST, OPTIONS"
		}
		ctx.Response.Header.Set(fasthttp.HeaderAllow, allowed)
		if string(method) == fasthttp.MethodOptions {
			ctx.SetStatusCode(fasthttp.StatusNoContent)
			return
		}
		reject(ctx, &encode.MethodNotAllowed, "this path supports "+allowed)
	}
}

// callerOf returns the caller with a request's key.
func (s *Server) callerOf(h *fasthttp.RequestHeader) Caller {
	return s.keys.CallerOf(h.PeekCanonical(authorizationHeader))
}

// Names of fields that every request is searched for, in canonical form: fasthttp would normalize them each time.
var (
	authorizationHeader = []byte(fasthttp.HeaderAuthorization)
	originHeader        = []byte(fasthttp.HeaderOrigin)
	fetchSiteHeader     = []byte("Sec-Fetch-Site")
)

const percentRule = "a percent sign is not followed by two hexadecimal digits"

// unescapeParam decodes the variable segment.
func (x *exchange) unescapeParam() (ok bool) {
	if bytes.IndexByte(x.param, '%') < 0 {
		return true
	}
	param, err := url.PathUnescape(string(x.param))
	x.param = []byte(param)
	return err == nil
}

func (x *exchange) readAccount() {
	account, err := x.engine.Account(x.server.calls, string(x.param))
	if err != nil {
		x.fail(err)
		return
	}
	x.respond(fasthttp.StatusOK, encode.Account(roomOf(x.ctx), &account))
}

func (x *exchange) listPhases() {
	x.respond(fasthttp.StatusOK, encode.Phases(roomOf(x.ctx), x.engine))
}

// respond sends a JSON response. A large one for which the budget has no bytes is refused as overloaded.
func (x *exchange) respond(status int, body []byte) {
	if len(body) > exempt {
		c := x.conn()
		if !x.server.budget.take(&c.held.answer, int64(cap(body)), c.cutWrite) {
			x.ctx.Response.Header.Del(fasthttp.HeaderETag) // a cache must not take the refusal for what has this tag
			x.ctx.Response.Header.Del(fasthttp.HeaderCacheControl)
			x.fail(&engine.Refusal{Code: engine.Overloaded})
			return
		}
		x.ctx.Response.SetBodyRaw(body)
	} else {
		x.ctx.Response.SwapBody(body)
	}
	x.ctx.SetStatusCode(status)
	x.ctx.SetContentType("application/json")
	x.markStandby()
}

// fail responds with the error that a call to the engine or the decoder returned.
func (x *exchange) fail(err error) {
	refusal := refusalOf(err)
	x.seen.overloaded = refusal.Code == engine.Overloaded
	refuse(x.ctx, refusal)
	x.markStandby()
}

// markStandby marks the responses of a server that may lag behind another. Even what it does not find may exist.
func (x *exchange) markStandby() {
	if x.engine.MayLag() {
		x.ctx.Response.Header.Set(roleHeader, "standby")
	}
}
