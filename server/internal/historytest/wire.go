package historytest

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/seathold/seathold/engine/spec"
	"github.com/seathold/seathold/server/client"
)

// NotLeader is the code of a refusal by a server that does not lead. Nothing was done: a server that was deposed
// during the call, before the outcome was durable, responds with spec.Unknown.
const NotLeader = "not_leader"

// Full is the code of a refusal by a server with a full table. Nothing was done.
const Full = "full"

// problem is a refusal, with the facts that a history can contain. Any other member is an error.
type problem struct {
	Type       string    `json:"type"`
	Title      string    `json:"title"`
	Status     int       `json:"status"`
	Detail     string    `json:"detail"`
	Code       string    `json:"code"`
	Where      string    `json:"where"`
	Phase      string    `json:"phase"`
	OpensAt    time.Time `json:"opens_at"`
	ClosesAt   time.Time `json:"closes_at"`
	EndedAt    time.Time `json:"ended_at"`
	Session    string    `json:"session"`
	Category   string    `json:"category"`
	Programme  string    `json:"programme"`
	Cap        int       `json:"cap"`   // of an account
	Limit      int       `json:"limit"` // of a session
	Held       int       `json:"held"`
	Has        int       `json:"has"` // of a reservation
	Confirmed  int       `json:"confirmed"`
	Requested  int       `json:"requested"`
	Available  int       `json:"available"`
	Required   int       `json:"sessions_required"`
	Given      int       `json:"sessions_given"`
	Leader     string    `json:"leader"`
	Table      string    `json:"table"`
	Reference  string    `json:"reference"`
	MaxExpires time.Time `json:"max_expires_at"`
	Again      *bool     `json:"can_take_again"`
}

// confirmation is the body of a confirm or a return.
type confirmation struct {
	Reference string `json:"reference,omitempty"`
	Again     bool   `json:"again,omitzero"`
}

// extension is the body of an extend.
type extension struct {
	ExpiresAt time.Time `json:"expires_at"`
}

// reduction is the body of a reduce.
type reduction struct {
	Lines []client.Line `json:"lines"`
}

// results is the response to a batch.
type results struct {
	Results []struct {
		Status      int            `json:"status"`
		Reservation jsontext.Value `json:"reservation"`
		Problem     jsontext.Value `json:"problem"`
	} `json:"results"`
}

// requestOf returns the request of one operation.
func requestOf(op spec.Operation) (method, path string, body any) {
	switch op.Kind {
	case spec.Reserve:
		return http.MethodPost, "/v1/reservations", contentOf(op)
	case spec.Confirm, spec.Return:
		body = confirmation{op.Reference, op.Again}
	case spec.Extend:
		body = extension{op.ExpiresAt}
	case spec.Reduce:
		body = reduction{linesOf(op)}
	case spec.Release:
	case spec.ReadReservation:
		return http.MethodGet, "/v1/reservations/" + op.ID, nil
	case spec.ReadAccount:
		return http.MethodGet, "/v1/accounts/" + op.Account, nil
	default:
		panic("BUG: no call for " + op.String())
	}
	return http.MethodPost, "/v1/reservations/" + op.ID + "/" + op.Kind.String(), body
}

// batchOf returns the body of a batch.
func batchOf(ops []spec.Operation) any {
	operations := make([]client.Operation, len(ops))
	for i, op := range ops {
		operations[i] = client.Operation{Op: op.Kind.String(), Request: contentOf(op), Reference: op.Reference,
			Again: op.Again, ExpiresAt: op.ExpiresAt}
	}
	return map[string]any{"operations": operations}
}

// contentOf returns the members of a reservation's request. Those of other operations are a part of them.
func contentOf(op spec.Operation) client.Request {
	return client.Request{ID: op.ID, Account: op.Account, Phase: op.Phase, TTLSeconds: int(op.TTL / time.Second),
		Replaces: op.Replaces, Lines: linesOf(op)}
}

func linesOf(op spec.Operation) (lines []client.Line) {
	for _, l := range op.Lines {
		lines = append(lines, client.Line(l))
	}
	return lines
}

// answerOf returns the answer to an operation, from a single call or a batch. An error is an answer that violates the
// contract.
func answerOf(op spec.Operation, status int, body []byte) (a spec.Answer, err error) {
	switch {
	case status >= 400:
		a.Refusal, err = refusalOf(status, body)
	case status != http.StatusOK && (status != http.StatusCreated || op.Kind != spec.Reserve):
		err = errors.New("the call has no such status")
	case op.Kind == spec.ReadAccount:
		a.Account, err = accountOf(body)
	default:
		var r client.Reservation
		if err = decode(body, &r); err == nil {
			a.Reservation, err = reservationOf(r)
		}
		a.Repeated = op.Kind == spec.Reserve && status == http.StatusOK
	}
	if err != nil {
		return a, fmt.Errorf("%s: %d %s: %w", op, status, body, err)
	}
	return a, nil
}

// decode decodes exactly one value, and refuses unknown members.
func decode(body []byte, to any) error {
	return json.Unmarshal(body, to, json.RejectUnknownMembers(true))
}

// reservationOf converts a reservation and checks the sum of its tickets.
func reservationOf(r client.Reservation) (spec.Reservation, error) {
	to := spec.Reservation{ID: r.ID, Account: r.Account, Phase: r.Phase, State: r.State, CreatedAt: r.CreatedAt,
		ExpiresAt: r.ExpiresAt, ConfirmedAt: r.ConfirmedAt, Reference: r.Reference}
	for _, l := range r.Lines {
		to.Lines = append(to.Lines, spec.Line(l))
	}
	if to.Tickets() != r.Tickets {
		return to, fmt.Errorf("the lines have %d tickets, the sum is %d", to.Tickets(), r.Tickets)
	}
	return to, nil
}

// accountOf decodes an account.
func accountOf(body []byte) (spec.Account, error) {
	var a client.Account
	if err := decode(body, &a); err != nil {
		return spec.Account{}, err
	}
	to := spec.Account{Account: a.Account}
	for _, p := range a.Programmes {
		to.Programmes = append(to.Programmes, spec.ProgrammeTickets(p))
	}
	for _, r := range a.Reservations {
		one, err := reservationOf(r)
		if err != nil {
			return to, err
		}
		to.Reservations = append(to.Reservations, one)
	}
	if len(a.Access) > 0 {
		return to, errors.New("an access slot without a draw")
	}
	return to, nil
}

// refusalOf decodes a problem. Every fact is kept in the refusal, so that a fact of another code is detected.
func refusalOf(status int, body []byte) (spec.Refusal, error) {
	var p problem
	if err := decode(body, &p); err != nil {
		return spec.Refusal{}, err
	}
	if want := statusOf(p.Code); status != want || p.Status != want {
		return spec.Refusal{}, fmt.Errorf("the status of %s is %d", p.Code, want)
	}
	if p.Leader != "" && p.Code != NotLeader || p.Detail == "" || (p.Again != nil) != (p.Code == "reservation_expired") ||
		(p.Where != "") != (p.Code == "malformed_request") || (p.Table != "") != (p.Code == Full) {
		return spec.Refusal{}, errors.New("an unexpected fact, a missing one, or no detail")
	}
	return spec.Refusal{Code: p.Code, Phase: p.Phase, OpensAt: p.OpensAt, ClosesAt: p.ClosesAt, EndedAt: p.EndedAt,
		Session: p.Session, Category: p.Category, Programme: p.Programme,
		Reference: p.Reference, Limit: p.Cap + p.Limit + p.Required, Held: p.Held + p.Has, Confirmed: p.Confirmed,
		Requested: p.Requested + p.Given, Available: p.Available, MaxExpiresAt: p.MaxExpires,
		CanTakeAgain: p.Again != nil && *p.Again}, nil
}

// statusOf returns the status of the codes that a history can contain, by the contract; 0 for any other code.
func statusOf(code string) int {
	switch code {
	case "malformed_request":
		return http.StatusBadRequest
	case "reservation_not_found":
		return http.StatusNotFound
	case "sold_out", "account_cap_exceeded", "session_limit_exceeded", "id_reused", "reservation_confirmed",
		"reservation_released", "reservation_expired", "reservation_returned", "reservation_held", "hold_limit_exceeded",
		"not_a_reduction", "paused", "sales_ended":
		return http.StatusConflict
	case "phase_not_open", "no_access_slot":
		return http.StatusForbidden
	case "phase_required", "pack_shape", "unknown_phase", "unknown_session", "unknown_category", "not_on_sale":
		return http.StatusUnprocessableEntity
	case spec.Overloaded, spec.Unknown, NotLeader, Full:
		return http.StatusServiceUnavailable
	}
	return 0
}
