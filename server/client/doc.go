// Package client calls a Seathold server.
//
// A [Client] makes the calls of the API, an [Operator] those of the operator's port. Both may be used by
// any number of goroutines, keep their connections, and should live as long as the program.
//
// # Refusals
//
// A refusal by the server is an [*Error] with the code and the facts of /openapi.yaml:
//
//	var refusal *client.Error
//	if errors.As(err, &refusal) && refusal.Code == "sold_out" {
//		fmt.Println("left:", refusal.Count("available"))
//	}
//
// Each call has a Request-Id, which the server logs: the one of [WithRequestID], or a new one. Errors show it.
// [WithTraceParent] passes on a trace.
//
// # Retries
//
// Calls of the API are idempotent: a reservation has an id, which [Client.Reserve] makes where the caller gave none,
// and the same id with the same content takes effect once. So a call whose connection broke, or that the server
// answered with a status of 500 or more, is sent again, within [Options].Attempts, [Options].Patience and the context.
// Other refusals are final and returned at once.
//
// A call that failed in the end may have taken effect, unless the error is an *Error with a status under 500 and
// another code than "no_answer". Call again with the same arguments to learn the outcome.
package client
