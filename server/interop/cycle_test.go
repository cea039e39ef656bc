package interop

import (
	"fmt"
	"maps"
	"net/http"
	"strings"
)

// step is a request, with a path for its URL, and what its response must be.
type step struct {
	request
	status   int
	headers  map[string]string // alternatives are separated by |
	contains string            // in the body
}

const (
	pairs    = 500       // of a reservation and its confirmation, in the batch
	accounts = pairs + 3 // of the cycle, as many as there is room for
	first    = "018c1f6e-0000-7000-8000-000000000001"
	second   = "018c1f6e-0000-7000-8000-000000000002"
	third    = "018c1f6e-0000-7000-8000-000000000003"
	fourth   = "018c1f6e-0000-7000-8000-000000000004" // replaces the third
)

// cycle is every call of the API, and refusals of every kind.
func cycle() []step {
	hold := func(id, session string, quantity int) string {
		return fmt.Sprintf(`{"id":"%s","account":"%s","lines":%s}`, id, id, lines(session, quantity))
	}
	steps := []step{
		{get("/v1/sessions"), 200, map[string]string{"content-encoding": "gzip|br"}, `{"session":"ARC03"`},
		{get("/v1/sessions/ARC03"), 200, map[string]string{"content-type": "application/json"}, `"available"`},
		{get("/v1/phases"), 200, nil, `"all-venues"`},
		{post("/v1/reservations", hold(first, "ARC03", 2)), 201, map[string]string{"location": "/v1/reservations/" + first},
			`"state":"held"`},
		{post("/v1/reservations", hold(first, "ARC03", 2)), 200, nil, `"state":"held"`},
		{get("/v1/reservations/" + first), 200, nil, `"state":"held"`},
		{post("/v1/reservations/"+first+"/confirm", `{"reference":"pay-1"}`), 200, nil, `"state":"confirmed"`},
		{post("/v1/reservations/"+first+"/release", ""), 409, problem, `"code":"reservation_confirmed"`},
		{get("/v1/accounts/" + first), 200, nil, `"confirmed":2`},
		{post("/v1/reservations", hold(third, "ARC03", 3)), 201, nil, `"state":"held"`},
		{post("/v1/reservations/"+third+"/extend", `{"expires_at":"2023-11-30T12:30:00Z"}`), 200, nil,
			`"expires_at":"2023-11-30T12:30:00.000Z"`},
		{post("/v1/reservations/"+third+"/extend", `{"expires_at":"2023-12-01T12:30:00Z"}`), 409, problem,
			`"max_expires_at":"2023-11-30T13:00:00.000Z"`},
		{post("/v1/reservations", `{"id":"`+fourth+`","replaces":"`+third+`","account":"`+third+`",`+
			`"lines":`+lines("ARC03", 2)+`}`), 201, map[string]string{"location": "/v1/reservations/" + fourth},
			`"state":"held"`},
		{post("/v1/reservations/"+third+"/return", ""), 409, problem, `"code":"reservation_released"`},
		{post("/v1/reservations/"+fourth+"/confirm", `{"again":true}`), 200, nil, `"state":"confirmed"`},
		{post("/v1/reservations/"+fourth+"/reduce", `{"lines":`+lines("ARC03", 1)+`}`), 200, nil, `"tickets":1`},
		{post("/v1/reservations/"+fourth+"/return", `{"reference":"refund-1"}`), 200, nil, `"state":"returned"`},
		{post("/v1/reservations", hold(second, "ARC03", 1)), 201, nil, `"state":"held"`},
		{batch(hold), 200, nil, `{"results":[{"status":201,`},
		{post("/v1/reservations", hold(first[:35]+"9", "ARC03", 1)), 503, map[string]string{"retry-after": "1"},
			`"table":"accounts"`},
		{post("/v1/reservations/"+second+"/release", "{}"), 200, nil, `"state":"released"`},
		{get("/v1/reservations/" + first[:35] + "9"), 404, problem, `"code":"reservation_not_found"`},
		{post("/v1/reservations", hold(first[:35]+"8", "NONE", 1)), 422, problem, `"code":"unknown_session"`},
		{post("/v1/reservations", `{"account":"`+first+`","lines":`+lines("ARC03", 5)+`}`), 409, problem,
			`"code":"session_limit_exceeded"`},
		{post("/v1/reservations", `{"account":`), 400, problem, `"code":"malformed_request"`},
		{post("/v1/draws/draw1/entries", `{"account":"a"}`), 409, problem, `"code":"registration_closed"`},
		{request{"DELETE", "/v1/phases", with(nil), ""}, 405, map[string]string{"allow": "GET, HEAD, OPTIONS"}, ""},
		{request{"HEAD", "/v1/phases", with(nil), ""}, 200, nil, ""},
		{request{"OPTIONS", "/v1/reservations", with(nil), ""}, 204, map[string]string{"allow": "POST, OPTIONS"}, ""},
		{request{"GET", "/v1/accounts/a", map[string]string{}, ""}, 401,
			map[string]string{"www-authenticate": `Bearer realm="seathold"`}, `"code":"unauthenticated"`},
		{request{"GET", "/v1/phases", with(map[string]string{"Connection": "close"}), ""}, 200, nil, `"all-venues"`},
	}
	for _, read := range reads("", 40) {
		steps = append(steps, step{read, 200, nil, `"programmes"`})
	}
	return steps
}

// lines are tickets of one session, as JSON.
func lines(session string, quantity int) string {
	return fmt.Sprintf(`[{"session":"%s","category":"A","quantity":%d}]`, session, quantity)
}

var problem = map[string]string{"content-type": "application/problem+json"}

// reads are n requests that read an account.
func reads(base string, n int) []request {
	requests := make([]request, n)
	for i := range requests {
		requests[i] = get(base + "/v1/accounts/a")
	}
	return requests
}

func get(path string) request { return request{http.MethodGet, path, with(nil), ""} }

func post(path, body string) request {
	return request{http.MethodPost, path, with(map[string]string{"Content-Type": "application/json"}), body}
}

// batch is a batch of the most operations, whose body waits for 100 Continue where the client knows how.
func batch(hold func(id, session string, quantity int) string) request {
	var operations []string
	for i := range pairs {
		id := fmt.Sprintf("018c1f6e-0000-7000-9000-%012d", i)
		operations = append(operations, `{"op":"reserve",`+hold(id, "ARC04", 1)[1:], `{"op":"confirm","id":"`+id+`"}`)
	}
	r := post("/v1/batch", `{"operations":[`+strings.Join(operations, ",")+`]}`)
	r.Headers["Expect"] = "100-continue"
	return r
}

// with returns headers with the key and the others.
func with(others map[string]string) map[string]string {
	headers := map[string]string{"Authorization": "Bearer " + key}
	maps.Copy(headers, others)
	return headers
}
