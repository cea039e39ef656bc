package historytest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/seathold/seathold/engine/spec"
)

// NotLeader is the code of an answer by a server that another one leads. Nothing was done: a server that led when it took
// the call, and was deposed before the outcome was durable, answers spec.Unknown.
const NotLeader = "not_leader"

// The JSON of the contract, as far as histories meet it. Members that are not here make an answer faulty.
type (
	wireLine struct {
		Session  string `json:"session"`
		Category string `json:"category"`
		Quantity int    `json:"quantity"`
	}
	wireRequest struct {
		Op         string     `json:"op,omitempty"` // in a batch
		ID         string     `json:"id,omitempty"`
		Account    string     `json:"account,omitempty"`
		Phase      string     `json:"phase,omitempty"`
		TTLSeconds int        `json:"ttl_seconds,omitempty"`
		Lines      []wireLine `json:"lines,omitempty"`
		Reference  string     `json:"reference,omitempty"`
	}
	wireReservation struct {
		ID          string     `json:"id"`
		Account     string     `json:"account"`
		Phase       string     `json:"phase"`
		State       string     `json:"state"`
		Lines       []wireLine `json:"lines"`
		Tickets     int        `json:"tickets"`
		CreatedAt   time.Time  `json:"created_at"`
		ExpiresAt   time.Time  `json:"expires_at"`
		ConfirmedAt time.Time  `json:"confirmed_at"`
		Reference   string     `json:"reference"`
	}
	wireAccount struct {
		Account    string `json:"account"`
		Programmes []struct {
			Programme string `json:"programme"`
			Cap       int    `json:"cap"`
			Held      int    `json:"held"`
			Confirmed int    `json:"confirmed"`
		} `json:"programmes"`
		Reservations []wireReservation `json:"reservations"`
		Access       []struct{}        `json:"access"`
	}
	wireProblem struct {
		Type      string `json:"type"`
		Title     string `json:"title"`
		Status    int    `json:"status"`
		Detail    string `json:"detail"`
		Code      string `json:"code"`
		Session   string `json:"session"`
		Category  string `json:"category"`
		Programme string `json:"programme"`
		Cap       int    `json:"cap"`   // of an account
		Limit     int    `json:"limit"` // of a session
		Held      int    `json:"held"`
		Confirmed int    `json:"confirmed"`
		Requested int    `json:"requested"`
		Available int    `json:"available"`
		Leader    string `json:"leader"`
	}
	wireBatch struct {
		Operations []wireRequest `json:"operations"`
	}
	wireResults struct {
		Results []struct {
			Status      int             `json:"status"`
			Reservation json.RawMessage `json:"reservation"`
			Problem     json.RawMessage `json:"problem"`
		} `json:"results"`
	}
)

// requestOf returns the request that asks for one operation.
func requestOf(op spec.Operation) (method, path string, body any) {
	switch op.Kind {
	case spec.Reserve:
		return http.MethodPost, "/v1/reservations", contentOf(op)
	case spec.Confirm:
		return http.MethodPost, "/v1/reservations/" + op.ID + "/confirm", wireRequest{Reference: op.Reference}
	case spec.Release:
		return http.MethodPost, "/v1/reservations/" + op.ID + "/release", nil
	case spec.ReadReservation:
		return http.MethodGet, "/v1/reservations/" + op.ID, nil
	case spec.ReadAccount:
		return http.MethodGet, "/v1/accounts/" + op.Account, nil
	}
	panic("BUG: no call for " + op.String())
}

// batchOf returns the body that asks for several.
func batchOf(ops []spec.Operation) (b wireBatch) {
	for _, op := range ops {
		r := contentOf(op)
		r.Op = op.Kind.String()
		b.Operations = append(b.Operations, r)
	}
	return b
}

func contentOf(op spec.Operation) wireRequest {
	r := wireRequest{ID: op.ID, Account: op.Account, Phase: op.Phase, TTLSeconds: int(op.TTL / time.Second), Reference: op.Reference}
	for _, l := range op.Lines {
		r.Lines = append(r.Lines, wireLine(l))
	}
	return r
}

// answerOf reads the answer to an operation, alone or in a batch. An error is an answer that the contract does not allow.
func answerOf(op spec.Operation, status int, body []byte) (a spec.Answer, err error) {
	switch {
	case status >= 400:
		a.Refusal, err = refusalOf(status, body)
	case status != http.StatusOK && (status != http.StatusCreated || op.Kind != spec.Reserve):
		err = errors.New("not a status of this call")
	case op.Kind == spec.ReadAccount:
		a.Account, err = accountOf(body)
	default:
		var r wireReservation
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

func decode(body []byte, to any) error {
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(to); err != nil {
		return err
	}
	if d.More() {
		return errors.New("more than one value")
	}
	return nil
}

func reservationOf(r wireReservation) (spec.Reservation, error) {
	to := spec.Reservation{ID: r.ID, Account: r.Account, Phase: r.Phase, State: r.State, CreatedAt: r.CreatedAt,
		ExpiresAt: r.ExpiresAt, ConfirmedAt: r.ConfirmedAt, Reference: r.Reference}
	for _, l := range r.Lines {
		to.Lines = append(to.Lines, spec.Line(l))
	}
	if to.Tickets() != r.Tickets {
		return to, fmt.Errorf("lines of %d tickets, and %d in all", to.Tickets(), r.Tickets)
	}
	return to, nil
}

func accountOf(body []byte) (spec.Account, error) {
	var a wireAccount
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
		return to, errors.New("an access slot, and there is no draw")
	}
	return to, nil
}

// refusalOf reads a problem. Every fact goes into the refusal, so one that does not belong to the code shows as well.
func refusalOf(status int, body []byte) (spec.Refusal, error) {
	var p wireProblem
	if err := decode(body, &p); err != nil {
		return spec.Refusal{}, err
	}
	if want := statusOf(p.Code); status != want || p.Status != want {
		return spec.Refusal{}, fmt.Errorf("%s has the status %d", p.Code, want)
	}
	if p.Leader != "" && p.Code != NotLeader || p.Detail == "" {
		return spec.Refusal{}, errors.New("a fact too many, or no detail")
	}
	return spec.Refusal{Code: p.Code, Session: p.Session, Category: p.Category, Programme: p.Programme, Limit: p.Cap + p.Limit,
		Held: p.Held, Confirmed: p.Confirmed, Requested: p.Requested, Available: p.Available}, nil
}

// statusOf returns the status that the contract gives to the codes a history may meet; 0 for any other code.
func statusOf(code string) int {
	switch code {
	case "reservation_not_found":
		return http.StatusNotFound
	case "sold_out", "account_cap_exceeded", "session_limit_exceeded", "id_reused", "reservation_confirmed", "reservation_released",
		"reservation_expired":
		return http.StatusConflict
	case "phase_required":
		return http.StatusUnprocessableEntity
	case spec.Overloaded, spec.Unknown, NotLeader:
		return http.StatusServiceUnavailable
	}
	return 0
}
