package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine"
	"github.com/seathold/seathold/engine/journal"
)

// operation is a call of the document, with a request that succeeds. <id> is that of a held reservation, or of a
// confirmed one for returnTickets.
type operation struct{ name, method, path, body string }

func operations() []operation {
	return []operation{
		{"reserve", "POST", "/v1/reservations", `{"account":"a","lines":[{"session":"SWM01","category":"A","quantity":1}]}`},
		{"readReservation", "GET", "/v1/reservations/<id>", ""},
		{"confirm", "POST", "/v1/reservations/<id>/confirm", `{}`},
		{"release", "POST", "/v1/reservations/<id>/release", `{}`},
		{"extend", "POST", "/v1/reservations/<id>/extend", `{"expires_at":"2024-01-10T09:30:00Z"}`},
		{"reduce", "POST", "/v1/reservations/<id>/reduce", `{"lines":[{"session":"JUD01","category":"A","quantity":1}]}`},
		{"returnTickets", "POST", "/v1/reservations/<id>/return", `{}`},
		{"batch", "POST", "/v1/batch", `{"operations":[{"op":"reserve","account":"b","lines":[` +
			`{"session":"SWM01","category":"A","quantity":1}]}]}`},
		{"listSessions", "GET", "/v1/sessions", ""},
		{"listStock", "GET", "/v1/stock", ""},
		{"readSession", "GET", "/v1/sessions/SWM01", ""},
		{"readAccount", "GET", "/v1/accounts/a", ""},
		{"listPhases", "GET", "/v1/phases", ""},
		{"readDocument", "GET", "/openapi.yaml", ""},
	}
}

// finishes reports whether the operation completes or shows what was begun, so that it is never refused for load.
func (o operation) finishes() bool {
	switch o.name {
	case "readReservation", "confirm", "release", "extend", "reduce", "returnTickets", "readAccount":
		return true
	}
	return false
}

// limit is the most bytes that a body of the operation may have.
func (o operation) limit() int {
	if o.name == "batch" {
		return maxBatchBody
	}
	return maxBody
}

func (o operation) on(id string) operation {
	o.path = strings.ReplaceAll(o.path, "<id>", id)
	return o
}

// prepare makes the reservation that the operation is about.
func (f *fixture) prepare(o operation, id, account, quantity string, header ...string) {
	f.t.Helper()
	held := f.call("POST", "/v1/reservations", `{"id":"`+id+`","account":"`+account+
		`","lines":[{"session":"JUD01","category":"A","quantity":`+quantity+`}]}`, header...)
	require.Equal(f.t, 201, held.status, "%s", held.body)
	if o.name == "returnTickets" {
		require.Equal(f.t, 200, f.call("POST", "/v1/reservations/"+id+"/confirm", "", header...).status)
	}
}

const someID = "00000000-0000-4000-8000-000000000001"

// TestDocument checks that the document is valid, and that each of its calls returns each of its responses.
func TestDocument(t *testing.T) {
	noLeaks(t)
	contract.load(t)
	require.NoError(t, contract.doc.Validate(t.Context()))
	require.True(t, contract.doc.IsOpenAPI31OrLater())

	cancelled := startUnsure(t)
	f := start(t, nil)
	full := start(t, func(o *Options) { o.MaxInFlight = 1 })
	leave := full.takeAllTurns()
	locked := start(t, func(o *Options) {
		o.Keys = must(ParseKeys(strings.NewReader("read only-for-reading-1\nsell " + sellKey)))(t)
	})
	broken := start(t, nil)
	broken.server.current.Store(nil)

	for i, o := range operations() {
		id := fmt.Sprintf("00000000-0000-4000-8000-%012d", i+1)
		f.prepare(o, id, "for-"+o.name, "2")
		unsure := o.on(someID).path
		o = o.on(id)
		require.Less(t, f.call(o.method, o.path, o.body).status, 300, o.name)
		require.Equal(t, "payload_too_large", f.call(o.method, o.path, strings.Repeat(" ", o.limit()+1)).code(), o.name)
		refusedOnTheWire(t, f, o)
		if o.finishes() {
			require.Equal(t, "journal_unavailable", cancelled.call(o.method, unsure, o.body).code(), o.name)
		} else {
			require.Equal(t, "overloaded", full.call(o.method, o.path, o.body).code(), o.name)
		}
		if o.name != "readDocument" {
			require.Equal(t, "unauthenticated", locked.call(o.method, o.path, o.body).code(), o.name)
			require.Equal(t, "internal", broken.call(o.method, o.path, o.body).code(), o.name)
		}
		if o.method == "POST" {
			require.Equal(t, "forbidden", locked.call(o.method, o.path, o.body, "Authorization",
				"Bearer only-for-reading-1").code(), o.name)
		}
	}
	leave()
	broken.server.current.Store(broken.engine)
	t.Run("refusals", refusals)
	t.Run("refusals of changes", refusalsOfChanges)
	t.Run("draws", drawAnswers)
	requireAllSeen(t)
}

// refusedOnTheWire causes the refusals of a request whose body is not read, and of one from a web page.
func refusedOnTheWire(t *testing.T, f *fixture, o operation) {
	for lines, code := range map[string]string{
		"Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n": "malformed_request",
		"Content-Length: 2\r\nContent-Encoding: gzip\r\n\r\n{}":            "unsupported_media_type",
		"Content-Length: 2\r\nExpect: tickets\r\n\r\n{}":                   "expectation_failed",
	} {
		a := f.raw(o.method + " " + o.path + " HTTP/1.1\r\nHost: x\r\n" + lines).on(o)
		require.Equal(t, code, a.code(), o.name)
		require.True(t, a.last, o.name)
		require.Equal(t, code == "unsupported_media_type", a.header.Get("Accept-Encoding") == "identity", o.name)
	}
	if o.name != "readDocument" {
		require.Equal(t, "forbidden", f.call(o.method, o.path, o.body, "Sec-Fetch-Site", "same-site").code(), o.name)
	}
}

// refusals causes the remaining responses: the refusals that only one call has.
func refusals(t *testing.T) {
	f := start(t, nil)
	require.Equal(t, 201, f.reserveOne(someID, "a", "SWM01", "1").status)
	require.Equal(t, 200, f.reserveOne(someID, "a", "SWM01", "1").status)
	require.Equal(t, 200, f.post("/v1/reservations/"+someID+"/confirm", "").status)
	require.Equal(t, "reservation_confirmed", f.post("/v1/reservations/"+someID+"/release", "").code())
	f.reserveOne("00000000-0000-4000-8000-000000000002", "a", "SWM01", "1")
	f.post("/v1/reservations/00000000-0000-4000-8000-000000000002/release", "")
	require.Equal(t, "reservation_released",
		f.post("/v1/reservations/00000000-0000-4000-8000-000000000002/confirm", "").code())
	small := startWith(t, f.clock, newEngine(t, f.clock, func(o *engine.Options) { o.MaxReservations = 1 }), nil)
	require.Equal(t, 201, small.reserveOne(otherID(1), "a", "SWM01", "1").status)
	noRoom := small.reserveOne(otherID(2), "a", "SWM01", "1")
	require.Equal(t, 503, noRoom.status)
	require.Equal(t, "full", noRoom.code())
	require.Equal(t, "reservations", noRoom.json["table"])
	require.NotEmpty(t, noRoom.header.Get("Retry-After"))
	require.Equal(t, "session_limit_exceeded", f.reserveOne(otherID(3), "a", "SWM01", "7").code())
	require.Equal(t, "unknown_session", f.reserveOne(otherID(3), "a", "SWM99", "7").code())
	for _, path := range []string{"/v1/sessions", "/v1/stock", "/v1/sessions/SWM01", "/openapi.yaml"} {
		require.Equal(t, 304, f.call("GET", path, "", "If-None-Match", "*").status, path)
	}
	require.Equal(t, "unknown_phase", f.get("/v1/stock?phase=gala").code())
	require.Equal(t, "session_not_found", f.get("/v1/sessions/SWM99").code())
	require.Equal(t, "reservation_not_found", f.get("/v1/reservations/"+otherID(9)).code())
	many := strings.Repeat(`{"session":"SWM01","category":"A","quantity":1},`, 31)
	require.Equal(t, "too_many_lines", f.post("/v1/reservations",
		`{"account":"a","lines":[`+strings.TrimSuffix(many, ",")+`]}`).code())
	before := startAt(t, "2023-01-01T00:00:00Z", nil)
	require.Equal(t, "phase_not_open", before.reserveOne(otherID(4), "a", "SWM01", "1").code())
}

// refusalsOfChanges causes the responses of the calls about one reservation that are refusals of the sale.
func refusalsOfChanges(t *testing.T) {
	f := start(t, nil)
	for _, o := range operations() {
		if id := otherID(9); o.finishes() && o.method == "POST" {
			require.Equal(t, "reservation_not_found", f.post(o.on(id).path, o.body).code(), o.name)
		}
	}
	one := `"lines":[{"session":"SWM01","category":"A","quantity":1}]`
	require.Equal(t, "reservation_not_found",
		f.post("/v1/reservations", `{"account":"a","replaces":"`+someID+`",`+one+`}`).code())
	require.Equal(t, 201, f.post("/v1/reservations", `{"id":"`+someID+`","account":"a","ttl_seconds":60,`+one+`}`).status)
	on := "/v1/reservations/" + someID
	require.Equal(t, "reservation_held", f.post(on+"/return", "").code())
	require.Equal(t, "hold_limit_exceeded", f.post(on+"/extend", `{"expires_at":"2024-01-11T00:00:00Z"}`).code())
	two := `{"lines":[{"session":"SWM01","category":"A","quantity":2}]}`
	require.Equal(t, "not_a_reduction", f.post(on+"/reduce", two).code())
	require.Equal(t, "unknown_session", f.post(on+"/reduce", strings.ReplaceAll(two, "SWM01", "SWM99")).code())
	many := strings.Repeat(`{"session":"SWM01","category":"A","quantity":1},`, 31)
	tooMany := f.post(on+"/reduce", `{"lines":[`+strings.TrimSuffix(many, ",")+`]}`)
	require.Equal(t, "too_many_lines", tooMany.code())
	require.Equal(t, []any{"30", "31"}, []any{fmt.Sprint(tooMany.json["limit"]), fmt.Sprint(tooMany.json["requested"])})
	f.clock.set(instantOf(t, "2024-01-20T00:00:00Z"))
	require.Equal(t, "no_access_slot", f.post(on+"/confirm", `{"again":true}`).code())
	f.clock.set(instantOf(t, "2024-02-05T00:00:00Z"))
	require.Equal(t, "not_on_sale", f.post(on+"/confirm", `{"again":true}`).code())
}

func otherID(n int) string { return fmt.Sprintf("00000000-0000-4000-8000-%012d", n) }

func requireAllSeen(t *testing.T) {
	var missing []string
	for _, path := range contract.doc.Paths.InMatchingOrder() {
		for _, call := range contract.doc.Paths.Value(path).Operations() {
			for status := range call.Responses.Map() {
				name := call.OperationID + " " + statusText(status)
				if !contract.seen(name, &contract.answered) {
					missing = append(missing, call.OperationID+" "+status)
				}
			}
		}
	}
	slices.Sort(missing)
	require.Empty(t, missing, "responses of the document that no test has caused")
}

func statusText(status string) string {
	code := 0
	if _, err := fmt.Sscan(status, &code); err != nil {
		return status
	}
	return http.StatusText(code)
}

// TestRetryAfter checks that every 503 has Retry-After, that a call fails when the journal does, and that a server
// whose journal is not shared is no standby then: its reads show all that was acknowledged.
func TestRetryAfter(t *testing.T) {
	noLeaks(t)
	clock := clockAt(instantOf(t, early))
	broken := &failingJournal{from: 3} // the first records are the definition and the announcement of its draw
	e := newEngine(t, clock, func(o *engine.Options) { o.Durability, o.Journal = engine.Sync, broken })
	f := startWith(t, clock, e, nil)
	for range 2 {
		a := f.reserveOne(someID, "a", "SWM01", "1")
		require.Equal(t, 503, a.status)
		require.Equal(t, "journal_unavailable", a.code())
		require.Equal(t, "1", a.header.Get("Retry-After"))
		require.Empty(t, a.header.Get("Seathold-Role"))
	}
	require.False(t, e.Leads())
	require.Error(t, f.server.Ready())
	require.Error(t, e.Close())
}

// startUnsure starts a server whose calls were cancelled while the outcome of one reservation, someID of the account a,
// was being journalled. So nothing about it may be shown.
func startUnsure(t *testing.T) *fixture {
	f, j := startStalling(t)
	j.stalled.Store(true)
	t.Cleanup(func() { close(j.resumed) })
	answered := make(chan *answer, 1)
	go func() { answered <- f.reserveOne(someID, "a", "JUD01", "1") }()
	require.Eventually(t, func() bool {
		placed := f.engine.Stats().Journal
		return placed.Placed > placed.Durable
	}, patience, time.Millisecond)
	f.server.cancel()
	require.Equal(t, "journal_unavailable", (<-answered).code())
	return f
}

// failingJournal is a journal whose disk fails when a record is appended.
type failingJournal struct{ from uint64 }

func (j *failingJournal) Recover(journal.Recovery) (journal.Recovered, error) {
	return journal.Recovered{}, nil
}

func (j *failingJournal) Append(_ context.Context, g journal.Group) error {
	if g.Last() >= j.from {
		return errors.New("the disk has failed")
	}
	return nil
}

func (j *failingJournal) Checkpoint(context.Context, uint64) (journal.Checkpoint, error) {
	return nil, errors.New("the disk has failed")
}

func (j *failingJournal) Close() error { return nil }

// TestPanic checks that a request that panics is answered with 500 and logged with its stack, and affects nothing
// else.
func TestPanic(t *testing.T) {
	noLeaks(t)
	f := start(t, nil)
	kept := f.server.Engine()
	f.server.current.Store(nil)
	a := f.call("GET", "/v1/phases?x=1", "", "Request-Id", "r-1",
		"Traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
	require.Equal(t, 500, a.status)
	require.Equal(t, "internal", a.code())
	require.Equal(t, "r-1", a.header.Get("Request-Id"))
	for _, part := range []string{"server.(*exchange).dispatch", "path=/v1/phases", "key=anonymous", "request_id=r-1",
		"trace_id=4bf92f3577b34da6a3ce929d0e0e4736", "span_id=00f067aa0ba902b7"} {
		require.Contains(t, f.log.String(), part)
	}
	f.server.current.Store(kept)
	require.Equal(t, 200, f.get("/v1/phases").status)
	require.Zero(t, f.server.turns.taken())
}

// TestProblemHeaders checks the headers of refusals and other responses.
func TestProblemHeaders(t *testing.T) {
	noLeaks(t)
	f := start(t, nil)
	require.Equal(t, "POST, OPTIONS", f.get("/v1/reservations").header.Get("Allow"))
	require.Equal(t, "GET, HEAD, OPTIONS", f.post("/v1/sessions", "").header.Get("Allow"))
	options := f.call("OPTIONS", "/v1/reservations/"+someID, "")
	require.Equal(t, 204, options.status)
	require.Equal(t, "GET, HEAD, OPTIONS", options.header.Get("Allow"))
	head := f.call("HEAD", "/v1/phases", "")
	require.Equal(t, fmt.Sprint(len(f.get("/v1/phases").body)), head.header.Get("Content-Length"))
	require.Empty(t, head.header.Get("Server"))
	made := f.post("/v1/reservations", `{"account":"a","lines":[{"session":"SWM01","category":"A","quantity":1}]}`)
	require.Equal(t, "/v1/reservations/"+made.json["id"].(string), made.header.Get("Location"))
	require.Equal(t, made.json["id"], f.get(made.header.Get("Location")).json["id"])
	require.Equal(t, "7", made.json["id"].(string)[14:15], "a UUIDv7")
	require.Equal(t, document, string(f.get("/openapi.yaml").body))
	require.True(t, bytes.HasPrefix([]byte(document), []byte("openapi: 3.1")))
	for range 32 { // a pooled exchange keeps nothing of the request before
		require.Equal(t, 400, f.get("/v1/accounts/%25zz").status)
		require.Equal(t, 200, f.get("/openapi.yaml").status)
	}
}
