package client

import (
	"context"
	"net/http"

	"github.com/seathold/seathold/server/internal/correlation"
)

// identifiers are what joins the logs of a call's programs. Their type is the key of a context.
type identifiers struct{ request, parent string }

func identifiersOf(ctx context.Context) identifiers {
	known, _ := ctx.Value(identifiers{}).(identifiers)
	return known
}

// WithRequestID returns a context whose calls have the id as Request-Id. The server gives it back and logs it. An id
// has 1 to 128 letters, digits and - _ . : + / = @ ~ #; another one has no effect. A call whose context has none makes
// one. All attempts of a call have the same id, and an [Error] has it too.
func WithRequestID(ctx context.Context, id string) context.Context {
	known := identifiersOf(ctx)
	known.request = id
	return context.WithValue(ctx, identifiers{}, known)
}

// WithTraceParent returns a context whose calls have the header traceparent (W3C Trace Context), by which the server's
// log has their trace. A header that is not valid has no effect.
func WithTraceParent(ctx context.Context, header string) context.Context {
	known := identifiersOf(ctx)
	known.parent = header
	return context.WithValue(ctx, identifiers{}, known)
}

// identified gives a context that has no good request id a new one.
func identified(ctx context.Context) context.Context {
	if correlation.Good([]byte(identifiersOf(ctx).request)) {
		return ctx
	}
	return WithRequestID(ctx, string(correlation.AppendNew(nil)))
}

// identify sets the headers of a request by its context.
func identify(r *http.Request) {
	known := identifiersOf(identified(r.Context()))
	r.Header.Set(correlation.RequestID, known.request)
	if _, _, ok := correlation.Trace([]byte(known.parent)); ok {
		r.Header.Set(correlation.TraceParent, known.parent)
	}
}

// requestIDOf returns the id under which the server knows the request that it has answered.
func requestIDOf(response *http.Response) string {
	if id := response.Header.Get(correlation.RequestID); correlation.Good([]byte(id)) {
		return id
	}
	return response.Request.Header.Get(correlation.RequestID)
}
