package server

import (
	"bytes"

	"github.com/google/uuid"
	"github.com/valyala/fasthttp"

	"github.com/seathold/seathold/engine"
	"github.com/seathold/seathold/server/internal/encode"
)

// exchange is one request and its answer, with all the room that decoding and encoding take. Exchanges are used again, so
// that a warm server answers without allocation; nothing in one outlives the request.
type exchange struct {
	server *Server
	engine *engine.Engine // the one in charge when the request came
	ctx    *fasthttp.RequestCtx
	role   Role
	param  []byte // the variable segment of the path, without percent signs
	second []byte // the variable segment behind it, as spelled

	decoder     decoder
	request     engine.Request
	reservation engine.Reservation
	path        []byte // room for unescaped segments and for Location
}

// resource is what a path leads to. A method that it does not have is not allowed there.
type resource struct {
	get    func(*exchange)
	post   func(*exchange)
	public bool // no key is needed
}

// find returns the resource of a path as the client spelled it: nothing is collapsed or decoded but the variable segment.
func (x *exchange) find(path []byte) (r resource, found bool) {
	if string(path) == "/openapi.yaml" {
		return resource{get: (*exchange).readDocument, public: true}, true
	}
	rest, ok := bytes.CutPrefix(path, []byte("/v1/"))
	if !ok {
		return r, false
	}
	collection, rest, deeper := bytes.Cut(rest, []byte("/"))
	member, action, acts := bytes.Cut(rest, []byte("/"))
	x.param = member
	if deeper && len(member) == 0 {
		return r, false
	}
	switch string(collection) {
	case "reservations":
		switch {
		case !deeper:
			r.post = (*exchange).reserve
		case !acts:
			r.get = (*exchange).readReservation
		case string(action) == "confirm":
			r.post = (*exchange).confirm
		case string(action) == "release":
			r.post = (*exchange).release
		}
	case "sessions":
		switch {
		case !deeper:
			r.get = (*exchange).listSessions
		case !acts:
			r.get = (*exchange).readSession
		}
	case "accounts":
		if deeper && !acts {
			r.get = (*exchange).readAccount
		}
	case "draws":
		if deeper {
			r = x.findDraw(action, acts)
		}
	case "phases":
		if !deeper {
			r.get = (*exchange).listPhases
		}
	case "batch":
		if !deeper {
			r.post = (*exchange).batch
		}
	}
	return r, r.get != nil || r.post != nil
}

// answer does all that a request asks for. Who it is comes before what it wants, so that a stranger learns nothing.
func (x *exchange) answer() {
	ctx := x.ctx
	if !x.framed() {
		return
	}
	resource, found := x.find(ctx.URI().PathOriginal())
	if x.role = x.server.roleOf(&ctx.Request.Header); x.role < Sell && batched(&ctx.Request.Header) {
		lingering(ctx.Conn()) // headerReceived left the body unread
	}
	if x.role == 0 && !resource.public {
		reject(ctx, &encode.Unauthenticated, KeyRule)
		return
	}
	if !found {
		reject(ctx, &encode.NotFound, "there is nothing at this path; /openapi.yaml describes what there is")
		return
	}
	if !x.unescapeParam() {
		rejectMalformed(ctx, "path", percentRule)
		return
	}
	x.dispatch(resource)
}

// framed refuses what headerReceived found ambiguous, which closed the connection (only such need the second look), and
// versions of HTTP that fasthttp would take for 1.0.
func (x *exchange) framed() bool {
	h := &x.ctx.Request.Header
	switch {
	case h.ConnectionClose() && ambiguous(h.RawHeaders()):
		rejectMalformed(x.ctx, "header", "Content-Length and Transfer-Encoding exclude one another, and no encoding but chunked is known")
	case !h.IsHTTP11() && string(h.Protocol()) != "HTTP/1.0":
		rejectMalformed(x.ctx, "header", "HTTP/1.1 and HTTP/1.0 are spoken here")
		x.ctx.SetConnectionClose()
	default:
		return true
	}
	lingering(x.ctx.Conn())
	return false
}

func (x *exchange) dispatch(r resource) {
	ctx := x.ctx
	switch method := ctx.Method(); {
	case r.get != nil && (string(method) == fasthttp.MethodGet || string(method) == fasthttp.MethodHead):
		r.get(x)
	case r.post != nil && string(method) == fasthttp.MethodPost:
		if x.role < Sell {
			reject(ctx, &encode.Forbidden, "the key's role may only read")
			return
		}
		r.post(x)
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
		reject(ctx, &encode.MethodNotAllowed, "this path knows "+allowed)
	}
}

// roleOf returns what the sender of a request may do; 0 for a stranger.
func (s *Server) roleOf(h *fasthttp.RequestHeader) Role {
	if s.keys == nil {
		return Admin
	}
	return s.keys.RoleOf(h.Peek(fasthttp.HeaderAuthorization))
}

const percentRule = "a percent sign is not followed by two hexadecimal digits"

func (x *exchange) unescapeParam() (ok bool) {
	if bytes.IndexByte(x.param, '%') < 0 {
		return true
	}
	x.path, ok = unescape(x.path[:0], x.param)
	x.param = x.path
	return ok
}

// unescape appends a segment without its percent signs.
func unescape(dst, segment []byte) (_ []byte, ok bool) {
	for i := 0; i < len(segment); i++ {
		c := segment[i]
		if c == '%' {
			if i+2 >= len(segment) {
				return dst, false
			}
			high, low := unhex(segment[i+1]), unhex(segment[i+2])
			if high > 15 || low > 15 {
				return dst, false
			}
			c, i = high<<4|low, i+2
		}
		dst = append(dst, c)
	}
	return dst, true
}

func unhex(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c|0x20 >= 'a' && c|0x20 <= 'f':
		return c | 0x20 - 'a' + 10
	}
	return 255
}

func (x *exchange) reserve() {
	if err := x.decoder.reservation(x.ctx.Request.Body(), &x.request); err != nil {
		x.fail(err)
		return
	}
	if err := x.engine.Reserve(x.server.calls, &x.request, &x.reservation); err != nil {
		x.fail(err)
		return
	}
	if x.reservation.Repeated {
		x.tellReservation(fasthttp.StatusOK)
		return
	}
	x.path = encode.ID(append(x.path[:0], "/v1/reservations/"...), x.reservation.ID)
	x.ctx.Response.Header.SetBytesV(fasthttp.HeaderLocation, x.path)
	x.tellReservation(fasthttp.StatusCreated)
}

func (x *exchange) confirm() {
	id, ok := x.id()
	if !ok {
		return
	}
	reference, err := x.decoder.confirmation(x.ctx.Request.Body())
	if err == nil {
		err = x.engine.Confirm(x.server.calls, id, reference, &x.reservation)
	}
	if err != nil {
		x.fail(err)
		return
	}
	x.tellReservation(fasthttp.StatusOK)
}

func (x *exchange) release() {
	id, ok := x.id()
	if !ok {
		return
	}
	err := x.decoder.nothing(x.ctx.Request.Body())
	if err == nil {
		err = x.engine.Release(x.server.calls, id, &x.reservation)
	}
	if err != nil {
		x.fail(err)
		return
	}
	x.tellReservation(fasthttp.StatusOK)
}

func (x *exchange) readReservation() {
	id, ok := x.id()
	if !ok {
		return
	}
	if err := x.engine.Reservation(x.server.calls, id, &x.reservation); err != nil {
		x.fail(err)
		return
	}
	x.tellReservation(fasthttp.StatusOK)
}

func (x *exchange) readAccount() {
	account, err := x.engine.Account(x.server.calls, string(x.param))
	if err != nil {
		x.fail(err)
		return
	}
	x.tell(fasthttp.StatusOK, encode.Account(roomOf(x.ctx), &account))
}

func (x *exchange) readSession() {
	session, found := x.engine.Sale().SessionByID(string(x.param))
	if !found {
		x.fail(&engine.Refusal{Code: engine.SessionNotFound, Session: string(x.param)})
		return
	}
	x.tell(fasthttp.StatusOK, x.server.stock.appendSession(roomOf(x.ctx), x.engine, session))
}

func (x *exchange) listPhases() {
	x.tell(fasthttp.StatusOK, encode.Phases(roomOf(x.ctx), x.engine))
}

func (x *exchange) readDocument() {
	x.ctx.SetContentType("application/yaml")
	x.ctx.SetBodyString(document)
}

// id reads the reservation's id in the path.
func (x *exchange) id() (engine.ID, bool) {
	id, ok := parseID(x.param)
	if !ok {
		rejectMalformed(x.ctx, "id", idRule)
	}
	return id, ok
}

const idRule = "a UUID in the form 018c1f6e-0000-7000-8000-000000000000, not all zeros"

func parseID(text []byte) (engine.ID, bool) {
	if len(text) != 36 { // uuid knows other forms
		return engine.ID{}, false
	}
	id, err := uuid.ParseBytes(text)
	return id, err == nil && id != engine.ID{}
}

func (x *exchange) tellReservation(status int) {
	x.tell(status, encode.Reservation(roomOf(x.ctx), &x.reservation))
}

func (x *exchange) tell(status int, body []byte) {
	x.ctx.SetStatusCode(status)
	x.ctx.SetContentType("application/json")
	x.ctx.Response.SwapBody(body)
	x.markStandby()
}

func (x *exchange) fail(err error) {
	refuse(x.ctx, err)
	x.markStandby()
}

// markStandby marks what a standby answers: it trails the leader by a moment, so that also what it does not find may be there.
func (x *exchange) markStandby() {
	if !x.engine.Leads() {
		x.ctx.Response.Header.Set(roleHeader, "standby")
	}
}
