package server

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine"
	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/server/internal/encode"
)

// TestExamples checks that the document's examples are requests that the server accepts and the responses that it then
// gives. It sends the requests to the sale of Paris 2024, in an order in which one follows from the other, and compares
// every response with the example to the last byte of each value.
func TestExamples(t *testing.T) {
	noLeaks(t)
	p := playExamples(t)
	p.draw()
	p.hold()
	p.read()
	p.batch()
	p.change()
	require.Empty(t, p.unplayed(), "examples that the test did not compare")
}

// played is a server of the sale of Paris 2024, and the examples that it has not been compared with yet.
type played struct {
	*fixture
	calls    map[string]*openapi3.Operation // by their ids
	paths    map[string]string
	methods  map[string]string
	examples map[string]any // by the pointers within the document that compare with it
}

func playExamples(t *testing.T) *played {
	contract.load(t)
	clock := clockAt(instantOf(t, "2022-12-15T12:00:00Z"))
	e := newEngine(t, clock, func(o *engine.Options) {
		o.Sale, o.Random = catalog.Paris2024(), rand.NewChaCha8([32]byte{})
	})
	p := &played{fixture: startWith(t, clock, e, nil), calls: map[string]*openapi3.Operation{},
		paths: map[string]string{}, methods: map[string]string{}, examples: map[string]any{}}
	for _, path := range contract.doc.Paths.InMatchingOrder() {
		for method, call := range contract.doc.Paths.Value(path).Operations() {
			p.calls[call.OperationID], p.paths[call.OperationID], p.methods[call.OperationID] = call, path, method
			if call.RequestBody != nil {
				p.collect(call.OperationID+" request", call.RequestBody.Value.Content["application/json"])
			}
			for status, response := range call.Responses.Map() {
				p.collect(call.OperationID+" "+status, response.Value.Content["application/json"])
			}
		}
	}
	return p
}

// collect notes the examples of a body.
func (p *played) collect(where string, body *openapi3.MediaType) {
	if body == nil {
		return
	}
	require.NotEmpty(p.t, body.Examples, "%s has no examples; name each, even the only one", where)
	for name, example := range body.Examples {
		p.examples[where+" "+name] = example.Value.Value
	}
}

func (p *played) unplayed() (names []string) {
	for name := range p.examples {
		names = append(names, name)
	}
	return names
}

// example returns an example, and notes that it was compared.
func (p *played) example(where string) any {
	p.t.Helper()
	value, found := p.examples[where]
	require.True(p.t, found, "no example is at %s, or it was compared before", where)
	delete(p.examples, where)
	return value
}

// play sends a call's example request, if it has one, and compares the response with the call's example response.
// parameters replace the variable segments of the path, in their order.
func (p *played) play(call, request string, status int, response string, parameters ...string) {
	p.t.Helper()
	body := ""
	if request != "" {
		body = string(must(json.Marshal(p.example(call + " request " + request)))(p.t))
	}
	path := p.paths[call]
	for _, value := range parameters {
		from, to := strings.Index(path, "{"), strings.Index(path, "}")
		path = path[:from] + value + path[to+1:]
	}
	p.compare(call, status, response, p.call(p.methods[call], path, body))
}

// compare compares a response with an example.
func (p *played) compare(call string, status int, response string, a *answer) {
	p.t.Helper()
	require.Equal(p.t, status, a.status, "%s: %s", call, a.body)
	want := string(must(json.Marshal(p.example(fmt.Sprint(call, " ", status, " ", response))))(p.t))
	require.JSONEq(p.t, want, string(a.body), "%s %d %s: the server's response is\n%s", call, status, response, a.body)
}

// These are the reservations of the examples.
const (
	exampleHold   = "018c1f6e-9d2f-7cc1-b8f6-1f0e4d9b2a77"
	exampleBatch  = "018c1f6e-9d2f-7cc1-b8f6-1f0e4d9b2a78"
	exampleOld    = "018c1f6e-9d2f-7cc1-b8f6-1f0e4d9b2a79" // replaced by the next
	exampleChange = "018c1f6e-9d2f-7cc1-b8f6-1f0e4d9b2a80"
)

// draw plays a draw from the registration to the pack that its winner buys.
func (p *played) draw() {
	p.t.Helper()
	p.play("enter", "club", 201, "entered", "draw1")
	p.compare("enter", 200, "entered", p.post("/v1/draws/draw1/entries", `{"account":"alice"}`))
	for _, other := range []string{"bob", "carol"} {
		require.Equal(p.t, 201, p.post("/v1/draws/draw1/entries", `{"account":"`+other+`"}`).status)
	}
	p.play("readDraw", "", 200, "registration", "draw1")
	p.clock.set(instantOf(p.t, "2023-02-01T08:00:00Z"))
	must(p.engine.FreezeDraw(p.t.Context(), "draw1"))(p.t)
	must(p.engine.RunDraw(p.t.Context(), "draw1", standIn(p.t, p.fixture)))(p.t)
	p.play("readDraw", "", 200, "drawn", "draw1")
	p.play("readEntry", "", 200, "drawn", "draw1", "alice")
	p.clock.set(instantOf(p.t, "2023-02-16T12:00:00Z"))
	pack := string(must(json.Marshal(p.example("reserve request pack")))(p.t))
	require.Equal(p.t, 201, p.post("/v1/reservations", pack).status)
}

// hold plays the life of a reservation.
func (p *played) hold() {
	p.t.Helper()
	single := string(must(json.Marshal(p.examples["reserve request single"]))(p.t))
	p.clock.set(instantOf(p.t, "2023-11-30T09:00:01.507Z"))
	p.play("reserve", "single", 201, "held")
	p.compare("reserve", 200, "held", p.post("/v1/reservations", single))
	p.play("readReservation", "", 200, "held", exampleHold)
	p.clock.set(instantOf(p.t, "2023-11-30T09:03:12.044Z"))
	p.play("confirm", "paid", 200, "confirmed", exampleHold)
	require.Equal(p.t, http.StatusOK, p.post("/v1/reservations/"+exampleHold+"/confirm", "").status)
}

// read plays the calls that read.
func (p *played) read() {
	p.t.Helper()
	p.play("readAccount", "", 200, "alice", "alice")
	p.play("readSession", "", 200, "ATH10", "ATH10")
	p.contains("listSessions", "sessions", p.get("/v1/sessions?phase=all-venues&available=2"))
	stock := normal(p.t, p.get("/v1/stock").json)
	for member, listed := range normal(p.t, p.example("listStock 200 excerpt").(map[string]any)) {
		for session, value := range listed.(map[string]any) {
			require.Equal(p.t, value, stock[member].(map[string]any)[session], session)
		}
	}
	p.contains("listPhases", "phases", p.get("/v1/phases"))
}

// contains compares an example that is an excerpt of a list: each of its elements is in the response, and what is
// beside the list is the same.
func (p *played) contains(call, member string, a *answer) {
	p.t.Helper()
	require.Equal(p.t, 200, a.status)
	want, got := normal(p.t, p.example(call+" 200 excerpt").(map[string]any)), normal(p.t, a.json)
	require.Subset(p.t, got[member], want[member], "%s", call)
	delete(want, member)
	delete(got, member)
	require.Equal(p.t, want, got, "%s", call)
}

// normal decodes what it encodes, so that numbers of documents and of responses compare.
func normal(t testing.TB, value map[string]any) (decoded map[string]any) {
	require.NoError(t, json.Unmarshal(must(json.Marshal(value))(t), &decoded))
	return decoded
}

// batch plays a batch, and the release of what it holds.
func (p *played) batch() {
	p.t.Helper()
	p.clock.set(instantOf(p.t, "2023-11-30T09:05:00Z"))
	p.play("batch", "three", 200, "three")
	p.play("release", "empty", 200, "released", exampleBatch)
}

// change plays the changes of reservations: some in a batch, and one reservation from its exchange for another to its
// return.
func (p *played) change() {
	p.t.Helper()
	p.clock.set(instantOf(p.t, "2023-11-30T09:09:00Z"))
	old := `{"id":"` + exampleOld + `","account":"carol","lines":[{"session":"ATH10","category":"A","quantity":2}]}`
	require.Equal(p.t, 201, p.post("/v1/reservations", old).status)
	for _, result := range p.send("batch", "changes").json["results"].([]any) {
		require.EqualValues(p.t, "200", result.(map[string]any)["status"], result)
	}
	p.clock.set(instantOf(p.t, "2023-11-30T09:10:00Z"))
	require.Equal(p.t, 201, p.send("reserve", "replacing").status)
	p.play("extend", "bank", 200, "extended", exampleChange)
	p.clock.set(instantOf(p.t, "2023-11-30T09:30:00Z"))
	require.Equal(p.t, 200, p.post("/v1/reservations/"+exampleChange+"/confirm", `{"reference":"pay_9f3f"}`).status)
	p.play("reduce", "fewer", 200, "reduced", exampleChange)
	p.play("returnTickets", "refund", 200, "returned", exampleChange)
	late := otherID(1)
	require.Equal(p.t, 201, p.reserveOne(late, "dave", "ATH10", "1").status)
	p.clock.advance(time.Hour)
	sold := p.call("POST", "/v1/reservations/"+late+"/confirm",
		string(must(json.Marshal(p.example("confirm request late")))(p.t)))
	require.Equal(p.t, "confirmed", sold.json["state"], "%s", sold.body)
}

// send sends the example request of a call without variable segments.
func (p *played) send(call, request string) *answer {
	p.t.Helper()
	return p.call(p.methods[call], p.paths[call],
		string(must(json.Marshal(p.example(call+" request "+request)))(p.t)))
}

// TestExamplesOfRefusals checks that the example of each code is what the encoder makes of the example's facts.
func TestExamplesOfRefusals(t *testing.T) {
	contract.load(t)
	rules := map[string]engine.Rule{}
	for _, rule := range append(ownRules(), engine.Rules()...) {
		rules[string(rule.Code)] = rule
	}
	for code, example := range contract.doc.Components.Examples {
		rule, isCode := rules[code]
		if !isCode {
			continue
		}
		delete(rules, code)
		require.Equal(t, rule.Title, example.Value.Summary, code)
		value := example.Value.Value.(map[string]any)
		contract.checkProblem(t, code, must(json.Marshal(value))(t))
		detail := value["detail"].(string)
		encoded := encode.Problem(nil, &rule, detail)
		if len(rule.Facts) > 0 || !isOwn(rule) {
			encoded = encode.Refusal(nil, refusalWith(t, rule.Code, value))
		}
		require.JSONEq(t, string(must(json.Marshal(value))(t)), string(encoded), "the encoder's problem is\n%s", encoded)
	}
	require.Empty(t, rules, "codes without an example")
}

func isOwn(rule engine.Rule) bool {
	for _, own := range ownRules() {
		if own.Code == rule.Code {
			return true
		}
	}
	return false
}

// refusalWith returns the refusal of the code with the facts.
func refusalWith(t testing.TB, code engine.Code, facts map[string]any) *engine.Refusal {
	r := &engine.Refusal{Code: code, Phase: "packs"} // details name it where it is no fact
	texts := map[string]*string{"phase": &r.Phase, "session": &r.Session, "category": &r.Category,
		"programme": &r.Programme, "leader": &r.Leader, "table": &r.Table, "reference": &r.Reference,
		"draw": &r.Where, "where": &r.Where}
	if code == engine.Paused || code == engine.SoldOut {
		r.Phase = "" // a fact, unless a session is paused; whose places are taken, unless the stock is
	}
	numbers := map[string]*int{"limit": &r.Limit, "cap": &r.Limit, "sessions_required": &r.Limit, "held": &r.Held,
		"has":       &r.Held,
		"confirmed": &r.Confirmed, "requested": &r.Requested, "sessions_given": &r.Requested, "available": &r.Available}
	times := map[string]*time.Time{"opens_at": &r.OpensAt, "closes_at": &r.ClosesAt, "closed_at": &r.ClosesAt,
		"ended_at":       &r.EndedAt,
		"max_expires_at": &r.MaxExpiresAt}
	for name, fact := range facts {
		switch fact := fact.(type) {
		case bool:
			r.CanTakeAgain = fact // the only one
		case float64:
			if number, known := numbers[name]; known {
				*number = int(fact)
			}
		case string:
			if text, known := texts[name]; known {
				*text = fact
			} else if at, known := times[name]; known {
				*at = instantOf(t, fact)
			}
		}
	}
	if code == engine.MalformedRequest {
		r.Where = facts["detail"].(string)
	}
	return r
}
