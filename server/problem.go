package server

import (
	"context"
	"errors"
	"fmt"

	"github.com/valyala/fasthttp"

	"github.com/seathold/seathold/engine"
	"github.com/seathold/seathold/server/internal/correlation"
	"github.com/seathold/seathold/server/internal/encode"
)

// refuse responds with a refusal.
func refuse(ctx *fasthttp.RequestCtx, refusal *engine.Refusal) {
	setProblem(ctx, refusal.Rule().Status, encode.Refusal(roomOf(ctx), refusal))
}

// refusalOf returns the error of a call to the engine as a refusal. The only other error is that of a call that a
// shutdown cancelled: its outcome is unknown.
func refusalOf(err error) *engine.Refusal {
	if refusal, ok := errors.AsType[*engine.Refusal](err); ok {
		return refusal
	}
	if !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) {
		panic(err)
	}
	return &engine.Refusal{Code: engine.JournalUnavailable}
}

// reject responds with a refusal of the server itself.
func reject(ctx *fasthttp.RequestCtx, rule *engine.Rule, detail string) {
	setProblem(ctx, rule.Status, encode.Problem(roomOf(ctx), rule, detail))
}

// rejectMalformed responds to a request that cannot be understood. detail describes what is wrong at where.
func rejectMalformed(ctx *fasthttp.RequestCtx, where, detail string) {
	refuse(ctx, malformed(where, detail))
}

// malformed returns the refusal of a request that cannot be understood.
func malformed(where, detail string) *engine.Refusal {
	return &engine.Refusal{Code: engine.MalformedRequest, Where: where + ": " + detail}
}

func setProblem(ctx *fasthttp.RequestCtx, status int, body []byte) {
	ctx.SetStatusCode(status)
	ctx.SetContentType(encode.ProblemType)
	switch status {
	case fasthttp.StatusServiceUnavailable:
		ctx.Response.Header.Set(fasthttp.HeaderRetryAfter, encode.RetryAfter)
	case fasthttp.StatusUnauthorized:
		ctx.Response.Header.Set(fasthttp.HeaderWWWAuthenticate, encode.Challenge)
	}
	ctx.Response.SwapBody(body)
}

// roomOf takes the buffer that the response kept from the previous one. SwapBody returns it.
func roomOf(ctx *fasthttp.RequestCtx) []byte { return ctx.Response.SwapBody(nil)[:0] }

// overloadedAnswer is a complete HTTP response for a connection that is refused unread.
func overloadedAnswer() []byte {
	return lastAnswer("503 Service Unavailable", "Retry-After: "+encode.RetryAfter+"\r\n",
		&engine.Refusal{Code: engine.Overloaded})
}

// plainAnswer is a complete HTTP response for a client that uses HTTP where the server has TLS.
func plainAnswer() []byte {
	return lastAnswer("400 Bad Request", "",
		malformed("connection", "it has no TLS; the URL of this server begins with https://"))
}

// lastAnswer is a complete response to a request that was not read, the last of its connection, with more header lines.
func lastAnswer(status, header string, refusal *engine.Refusal) []byte {
	body := encode.Refusal(nil, refusal)
	return fmt.Appendf(nil,
		"HTTP/1.1 %s\r\nContent-Type: %s\r\n%s%s: %s\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s",
		status, encode.ProblemType, header, correlation.RequestID, correlation.AppendNew(nil), len(body), body)
}
