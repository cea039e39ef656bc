package encode

import (
	"strconv"

	"github.com/seathold/seathold/engine"
)

// The headers of a problem.
const (
	ProblemType = "application/problem+json"
	RetryAfter  = "1"                       // of every 503, in seconds
	Challenge   = `Bearer realm="seathold"` // WWW-Authenticate of every 401
)

// KeyRule is the detail of every 401: how to send a key.
const KeyRule = "send a valid key as Authorization: Bearer KEY"

// The refusals of the API that the engine does not have, in the form of its table. They have no facts.
var (
	Unauthenticated   = engine.Rule{Code: "unauthenticated", Status: 401, Title: "Not authenticated"}
	Forbidden         = engine.Rule{Code: "forbidden", Status: 403, Title: "Not allowed"}
	NotFound          = engine.Rule{Code: "not_found", Status: 404, Title: "Not found"}
	MethodNotAllowed  = engine.Rule{Code: "method_not_allowed", Status: 405, Title: "Method not allowed"}
	PayloadTooLarge   = engine.Rule{Code: "payload_too_large", Status: 413, Title: "Payload too large"}
	UnsupportedMedia  = engine.Rule{Code: "unsupported_media_type", Status: 415, Title: "Encoding not supported"}
	ExpectationFailed = engine.Rule{Code: "expectation_failed", Status: 417, Title: "Expectation not supported"}
	Internal          = engine.Rule{Code: "internal", Status: 500, Title: "Internal error"}
)

// Refusal appends a refusal of the engine as problem+json (RFC 9457).
func Refusal(dst []byte, r *engine.Refusal) []byte {
	rule := r.Rule()
	dst = openProblem(dst, rule, rule.Detail(r))
	for i := range rule.Facts {
		fact := &rule.Facts[i]
		if fact.Optional && fact.Text(r) == "" {
			continue
		}
		dst = append(append(append(dst, `,"`...), fact.Name...), `":`...)
		switch {
		case fact.Text != nil:
			dst = String(dst, fact.Text(r))
		case fact.Number != nil:
			dst = Int(dst, fact.Number(r))
		case fact.Flag != nil:
			dst = strconv.AppendBool(dst, fact.Flag(r))
		default:
			dst = Time(dst, fact.Instant(r))
		}
	}
	return append(dst, '}')
}

// Problem appends a refusal without facts, as problem+json.
func Problem(dst []byte, rule *engine.Rule, detail string) []byte {
	return append(openProblem(dst, rule, detail), '}')
}

func openProblem(dst []byte, rule *engine.Rule, detail string) []byte {
	dst = append(append(append(dst, `{"type":"urn:seathold:problem:`...), rule.Code...), `","title":"`...)
	dst = append(append(dst, rule.Title...), `","status":`...)
	dst = Int(dst, rule.Status)
	dst = String(append(dst, `,"detail":`...), detail)
	dst = append(append(dst, `,"code":"`...), rule.Code...)
	return append(dst, '"')
}
