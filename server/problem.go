package server

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/valyala/fasthttp"

	"github.com/seathold/seathold/engine"
)

// The codes of refusals that the engine does not know.
const (
	codeUnauthenticated  engine.Code = "unauthenticated"
	codeForbidden        engine.Code = "forbidden"
	codeNotFound         engine.Code = "not_found"
	codeMethodNotAllowed engine.Code = "method_not_allowed"
	codePayloadTooLarge  engine.Code = "payload_too_large"
	codeInternal         engine.Code = "internal"
)

const (
	problemType = "application/problem+json"
	typePrefix  = "urn:seathold:problem:" // of the member "type"
	retryAfter  = "1"                     // seconds
)

// statusOf is the one place that maps codes to HTTP.
func statusOf(code engine.Code) (status int, title string) {
	switch code {
	case engine.MalformedRequest:
		return 400, "Malformed request"
	case codeUnauthenticated:
		return 401, "Not authenticated"
	case codeForbidden:
		return 403, "Not allowed for this key"
	case engine.PhaseNotOpen:
		return 403, "Phase not open"
	case engine.NoAccessSlot:
		return 403, "No access slot"
	case engine.SlotNotOpen:
		return 403, "Access slot not open yet"
	case engine.SlotEnded:
		return 403, "Access slot ended"
	case engine.ReservationNotFound:
		return 404, "Reservation not found"
	case engine.SessionNotFound:
		return 404, "Session not found"
	case engine.DrawNotFound:
		return 404, "Draw not found"
	case engine.EntryNotFound:
		return 404, "Entry not found"
	case codeNotFound:
		return 404, "Not found"
	case codeMethodNotAllowed:
		return 405, "Method not allowed"
	case codePayloadTooLarge:
		return 413, "Payload too large"
	case codeInternal:
		return 500, "Internal error"
	case engine.Overloaded:
		return 503, "Overloaded"
	case engine.JournalUnavailable:
		return 503, "Journal unavailable"
	case engine.NotLeader:
		return 503, "Not the leader"
	}
	return statusOfRule(code)
}

func statusOfRule(code engine.Code) (status int, title string) {
	switch code {
	case engine.SoldOut:
		return 409, "Sold out"
	case engine.AccountCapExceeded:
		return 409, "Account cap exceeded"
	case engine.SessionLimitExceeded:
		return 409, "Session limit exceeded"
	case engine.IDReused:
		return 409, "Reservation id reused"
	case engine.ReservationConfirmed:
		return 409, "Reservation confirmed"
	case engine.ReservationReleased:
		return 409, "Reservation released"
	case engine.ReservationExpired:
		return 409, "Reservation expired"
	case engine.Paused:
		return 409, "Session paused"
	case engine.RegistrationClosed:
		return 409, "Registration closed"
	case engine.DrawNotRun:
		return 409, "Draw not run"
	case engine.UnknownSession:
		return 422, "Unknown session"
	case engine.UnknownCategory:
		return 422, "Unknown price category"
	case engine.UnknownPhase:
		return 422, "Unknown phase"
	case engine.PhaseRequired:
		return 422, "Phase required"
	case engine.NotOnSale:
		return 422, "Not on sale"
	case engine.PackShape:
		return 422, "Wrong pack shape"
	case engine.InvalidQuantity:
		return 422, "Invalid quantity"
	case engine.DuplicateLine:
		return 422, "Duplicate line"
	case engine.TooManyLines:
		return 422, "Too many lines"
	}
	panic("BUG: no status for " + string(code))
}

// refuse answers with what a call to the engine returned instead of an outcome.
func refuse(ctx *fasthttp.RequestCtx, err error) {
	refusal := refusalOf(err)
	setProblem(ctx, refusal.Code, appendRefusal(roomOf(ctx), refusal))
}

// refusalOf returns what a call to the engine returned instead of an outcome. Besides refusals that is only the end of the
// server's patience during a shutdown.
func refusalOf(err error) *engine.Refusal {
	if refusal, ok := errors.AsType[*engine.Refusal](err); ok {
		return refusal
	}
	if !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) {
		panic(err)
	}
	return &engine.Refusal{Code: engine.JournalUnavailable}
}

// reject answers with a refusal that has no facts.
func reject(ctx *fasthttp.RequestCtx, code engine.Code, detail string) {
	setProblem(ctx, code, append(openProblem(roomOf(ctx), code, detail), '}'))
}

// rejectMalformed answers a request that cannot be understood. detail says what is wrong there.
func rejectMalformed(ctx *fasthttp.RequestCtx, where, detail string) {
	refuse(ctx, malformed(where, detail))
}

// malformed makes the refusal in the engine's own form.
func malformed(where, detail string) *engine.Refusal {
	return &engine.Refusal{Code: engine.MalformedRequest, Where: where + ": " + detail}
}

func setProblem(ctx *fasthttp.RequestCtx, code engine.Code, body []byte) {
	status, _ := statusOf(code)
	ctx.SetStatusCode(status)
	ctx.SetContentType(problemType)
	switch status {
	case fasthttp.StatusServiceUnavailable:
		ctx.Response.Header.Set(fasthttp.HeaderRetryAfter, retryAfter)
	case fasthttp.StatusUnauthorized:
		ctx.Response.Header.Set(fasthttp.HeaderWWWAuthenticate, `Bearer realm="seathold"`)
	}
	ctx.Response.SwapBody(body)
}

// roomOf takes the buffer that the response kept of the one before. It goes back with SwapBody.
func roomOf(ctx *fasthttp.RequestCtx) []byte { return ctx.Response.SwapBody(nil)[:0] }

// appendRefusal appends the refusal as problem+json.
func appendRefusal(dst []byte, r *engine.Refusal) []byte {
	dst = openProblem(dst, r.Code, r.Detail())
	dst = appendFacts(dst, r)
	return append(dst, '}')
}

// openProblem appends a problem's own members; facts and the closing brace are still to come.
func openProblem(dst []byte, code engine.Code, detail string) []byte {
	status, title := statusOf(code)
	dst = append(append(append(dst, `{"type":"`+typePrefix...), code...), `","title":"`...)
	dst = append(append(dst, title...), `","status":`...)
	dst = appendInt(dst, status)
	dst = appendString(append(dst, `,"detail":`...), detail)
	dst = append(append(dst, `,"code":"`...), code...)
	return append(dst, '"')
}

// appendFacts appends the facts of the code.
func appendFacts(dst []byte, r *engine.Refusal) []byte {
	switch r.Code {
	case engine.MalformedRequest, engine.InvalidQuantity:
		where, _, _ := strings.Cut(r.Where, ": ")
		return textFact(dst, "where", where)
	case engine.DuplicateLine, engine.UnknownCategory:
		return textFact(textFact(dst, "session", r.Session), "category", r.Category)
	case engine.TooManyLines:
		return countFact(countFact(dst, "limit", r.Limit), "requested", r.Requested)
	case engine.UnknownPhase, engine.NoAccessSlot:
		return textFact(dst, "phase", r.Phase)
	case engine.PhaseNotOpen:
		dst = textFact(dst, "phase", r.Phase)
		dst = appendTime(append(dst, `,"opens_at":`...), r.OpensAt)
		return appendTime(append(dst, `,"closes_at":`...), r.ClosesAt)
	case engine.DrawNotFound:
		return textFact(dst, "draw", r.Where)
	case engine.RegistrationClosed:
		dst = appendTime(append(dst, `,"opens_at":`...), r.OpensAt)
		return appendTime(append(dst, `,"closes_at":`...), r.ClosesAt)
	case engine.SlotNotOpen:
		return appendTime(append(dst, `,"opens_at":`...), r.OpensAt)
	case engine.SlotEnded:
		return appendTime(append(dst, `,"closed_at":`...), r.ClosesAt)
	case engine.UnknownSession, engine.NotOnSale, engine.Paused, engine.SessionNotFound:
		return textFact(dst, "session", r.Session)
	case engine.PackShape:
		return countFact(countFact(dst, "sessions_required", r.Limit), "sessions_given", r.Requested)
	case engine.SessionLimitExceeded:
		return ledgerFacts(countFact(textFact(dst, "session", r.Session), "limit", r.Limit), r)
	case engine.AccountCapExceeded:
		return ledgerFacts(countFact(textFact(dst, "programme", r.Programme), "cap", r.Limit), r)
	case engine.SoldOut:
		dst = textFact(textFact(dst, "session", r.Session), "category", r.Category)
		return countFact(countFact(dst, "requested", r.Requested), "available", r.Available)
	case engine.NotLeader:
		return textFact(dst, "leader", r.Leader)
	}
	return dst
}

func ledgerFacts(dst []byte, r *engine.Refusal) []byte {
	return countFact(countFact(countFact(dst, "held", r.Held), "confirmed", r.Confirmed), "requested", r.Requested)
}

func textFact(dst []byte, name, value string) []byte {
	dst = append(append(append(dst, `,"`...), name...), `":`...)
	return appendString(dst, value)
}

func countFact(dst []byte, name string, value int) []byte {
	dst = append(append(append(dst, `,"`...), name...), `":`...)
	return appendInt(dst, value)
}

// overloadedAnswer is a whole HTTP response, with one more header line, for requests that nobody has room to serve.
func overloadedAnswer(line string) []byte {
	refusal := engine.Refusal{Code: engine.Overloaded}
	body := appendRefusal(nil, &refusal)
	return fmt.Appendf(nil, "HTTP/1.1 503 Service Unavailable\r\nContent-Type: %s\r\nRetry-After: %s\r\n%s"+
		"Content-Length: %d\r\n\r\n%s", problemType, retryAfter, line, len(body), body)
}
