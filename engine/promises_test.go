package engine_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/seathold/seathold/engine"
	"github.com/seathold/seathold/engine/spec"
)

// promise is what callers and readers know of a reservation.
type promise struct {
	replaces uuid.UUID       // whose place it takes; zero for none
	asked    map[string]bool // states that a call may have led to; "" for absent
	shown    map[string]bool // states that an answer has shown
	quantity map[int]bool    // tickets that calls have asked for
	fewest   int             // tickets that an answer has shown
	ends     map[int64]bool  // ends that a call may have led to
	endKnown bool            // ends has all of them
	extends  int             // calls to extend it so far
	inFlight int             // those without an answer
}

// leadsTo lists the states that may follow a state, later.
var leadsTo = map[string][]string{
	"held":      {"held", "confirmed", "released", "expired", "returned"},
	"expired":   {"expired", "confirmed", "returned"}, // taken again
	"confirmed": {"confirmed", "returned"},
	"released":  {"released"},
	"returned":  {"returned"},
}

// call makes the calls of one caller.
func (h *takeovers) call(i int, random *rand.Rand) {
	var own []uuid.UUID // of the present account
	for serial := 0; h.ctx.Err() == nil; {
		h.rest(random, 250*time.Millisecond)
		n := h.pick(random)
		if n == nil {
			continue
		}
		switch what := random.IntN(12); {
		case what < 4:
			if serial++; serial%5 == 0 {
				own = nil
			}
			q := engine.Request{ID: uuid.NewSHA1(uuid.Nil, fmt.Appendf(nil, "%d-%d-%d", h.seed, i, serial)),
				Account: fmt.Sprintf("caller-%d-%d", i, serial/5), Phase: "singles",
				Lines: []engine.Line{{Session: fmt.Sprintf("S%d", random.IntN(4)), Category: "A", Quantity: 1 + random.IntN(2)}}}
			if len(own) > 0 && random.IntN(2) == 0 {
				q.Replaces = own[random.IntN(len(own))]
			}
			own = append(own, q.ID)
			h.reserve(n, &q)
		case what < 10:
			h.change(n, random)
		default:
			h.read(n, random)
		}
	}
}

// some returns a reservation that was named, and what is known of it; nil for none yet.
func (h *takeovers) some(random *rand.Rand) (uuid.UUID, *promise) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.ids) == 0 {
		return uuid.UUID{}, nil
	}
	id := h.ids[max(0, len(h.ids)-1-random.IntN(24))]
	return id, h.promises[id]
}

func (h *takeovers) reserve(n *node, q *engine.Request) {
	p := &promise{replaces: q.Replaces, asked: map[string]bool{"": true}, shown: map[string]bool{},
		quantity: map[int]bool{q.Lines[0].Quantity: true}, fewest: engine.MaxQuantity, ends: map[int64]bool{}}
	h.mu.Lock()
	h.ids, h.promises[q.ID] = append(h.ids, q.ID), p
	h.mu.Unlock()
	var r engine.Reservation
	err := n.Reserve(h.ctx, q, &r)
	h.mu.Lock()
	defer h.mu.Unlock()
	code := h.answered(spec.Operation{Kind: spec.Reserve, Replaces: replacedBy(q)}, &r, err)
	old := h.promises[q.Replaces]
	switch code {
	case "":
		p.show(&r)
		p.ends[r.ExpiresAt.UnixMilli()], p.endKnown = true, true
		if old != nil {
			old.shown["released"] = true
		}
	case engine.JournalUnavailable:
	default:
		if old != nil {
			old.refusedBy(code)
		}
		return
	}
	p.asked["held"] = true
}

func replacedBy(q *engine.Request) string {
	if q.Replaces == (uuid.UUID{}) {
		return ""
	}
	return q.Replaces.String()
}

// change makes a call that changes or ends a reservation.
func (h *takeovers) change(n *node, random *rand.Rand) {
	id, p := h.some(random)
	if p == nil {
		return
	}
	var r engine.Reservation
	op, state, err := spec.Operation{Kind: spec.Confirm}, "confirmed", error(nil)
	switch random.IntN(7) {
	case 0, 1:
		err = n.Confirm(h.ctx, id, "paid", &r)
	case 2:
		op.Kind, state = spec.Release, "released"
		err = n.Release(h.ctx, id, &r)
	case 3:
		op.Again = true
		err = n.ConfirmAgain(h.ctx, id, "late", &r)
	case 4:
		op.Kind, state = spec.Return, "returned"
		err = n.Return(h.ctx, id, "back", &r)
	case 5:
		op.Kind, state = spec.Reduce, ""
		h.mu.Lock()
		p.quantity[1] = true
		h.mu.Unlock()
		err = n.Reduce(h.ctx, id, h.oneTicket(n, id), &r)
	default:
		h.extend(n, id, p, random)
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	switch code := h.answered(op, &r, err); code {
	case "":
		p.show(&r)
		p.asked[state] = true
	case engine.JournalUnavailable:
		p.asked[state] = true
	default:
		p.refusedBy(code)
	}
}

// oneTicket returns the reservation's line with one ticket, if the server can read it.
func (h *takeovers) oneTicket(n *node, id uuid.UUID) []engine.Line {
	var r engine.Reservation
	if n.Reservation(h.ctx, id, &r) != nil {
		return lines("S0/A", 1)
	}
	r.Lines[0].Quantity = 1
	return r.Lines
}

// extend extends a reservation. Once it has an answer, and no other call to extend it was under way meanwhile, the end
// is certain.
func (h *takeovers) extend(n *node, id uuid.UUID, p *promise, random *rand.Rand) {
	var known engine.Reservation
	if n.Reservation(h.ctx, id, &known) != nil {
		return
	}
	end := known.ExpiresAt.Add(time.Duration(random.IntN(8000)-2000) * time.Millisecond)
	h.mu.Lock()
	alone := p.inFlight == 0
	p.inFlight++
	p.extends++
	serial := p.extends
	p.ends[end.UnixMilli()] = true
	h.mu.Unlock()
	var r engine.Reservation
	err := n.Extend(h.ctx, id, end, &r)
	h.mu.Lock()
	defer h.mu.Unlock()
	code := h.answered(spec.Operation{Kind: spec.Extend}, &r, err)
	if code == engine.JournalUnavailable {
		return // in flight for ever
	}
	p.inFlight--
	if code != "" {
		p.refusedBy(code)
		return
	}
	p.show(&r)
	if alone && p.extends == serial {
		p.ends, p.endKnown = map[int64]bool{end.UnixMilli(): true}, true
	}
}

// answered counts an answer and returns its code. h.mu is held.
func (h *takeovers) answered(op spec.Operation, r *engine.Reservation, err error) engine.Code {
	h.counts.calls++
	a := spec.Answer{Refusal: spec.Refusal{Code: spec.Unknown}} // of a caller that has gone
	if refused, ok := err.(*engine.Refusal); ok || err == nil {
		a = answer(op, r, err)
		if ok && refused.Code == engine.NotLeader {
			return refused.Code
		}
	}
	if a.Code == spec.Unknown {
		h.counts.unknown++
	}
	h.counts.answers.Add(op, a)
	return engine.Code(a.Code)
}

// show notes that an answer has shown the reservation.
func (p *promise) show(r *engine.Reservation) {
	p.shown[r.State.String()] = true
	p.fewest = min(p.fewest, r.Tickets)
}

// refusedBy notes the state of the reservation that a refusal has shown.
func (p *promise) refusedBy(code engine.Code) {
	switch code {
	case engine.ReservationConfirmed:
		p.shown["confirmed"] = true
	case engine.ReservationReleased:
		p.shown["released"] = true
	case engine.ReservationExpired:
		p.shown["expired"] = true
	case engine.ReservationReturned:
		p.shown["returned"] = true
	case engine.ReservationHeld, engine.HoldLimitExceeded:
		p.shown["held"] = true
	}
}

func (h *takeovers) read(n *node, random *rand.Rand) {
	id, p := h.some(random)
	if p == nil {
		return
	}
	var r engine.Reservation
	err := n.Reservation(h.ctx, id, &r)
	h.mu.Lock()
	defer h.mu.Unlock()
	if err == nil {
		h.counts.reads++
		p.show(&r)
	}
}

// judge replays the journal and compares it with everything that was shown.
func (h *takeovers) judge() {
	h.verify()
	n := h.leader("judge")
	found := map[uuid.UUID]engine.Reservation{}
	for id := range h.promises {
		var r engine.Reservation
		if code := codeOf(h, n.Reservation(h.Context(), id, &r)); code == "" {
			found[id] = r
		} else if code != engine.ReservationNotFound {
			h.Errorf("a read at the end is refused: %s", code)
		}
	}
	for id, p := range h.promises {
		h.judgeOne(id, p, found)
	}
	h.counts.terms += int(h.stream.Epoch()) - 1
	n.close()
	h.counts.definitions += h.requireDefinitionsFirst()
}

func (h *takeovers) judgeOne(id uuid.UUID, p *promise, found map[uuid.UUID]engine.Reservation) {
	r, exists := found[id]
	if !exists {
		if len(p.shown) > 0 {
			h.Errorf("an acknowledged reservation is lost")
		}
		return
	}
	state := r.State.String()
	for shown := range p.shown {
		if !slices.Contains(leadsTo[shown], state) {
			h.Errorf("a reservation was shown as %s and is %q", shown, state)
		}
	}
	asked := p.asked[state] || state == "expired"
	for other, of := range h.promises {
		if of.replaces != id {
			continue
		}
		if _, took := found[other]; took {
			asked = asked || state == "released"
			if state != "released" {
				h.Errorf("a reservation is %q, and another one took its place", state)
			}
		}
	}
	if !asked {
		h.Errorf("a reservation is %q without a call that made it so", state)
	}
	if r.Tickets > p.fewest || !p.quantity[r.Tickets] {
		h.Errorf("a reservation has %d tickets; it was shown with %d, calls asked for %v", r.Tickets, p.fewest, p.quantity)
	}
	if end := r.ExpiresAt.UnixMilli(); p.endKnown && !p.ends[end] {
		h.Errorf("a reservation ends at %d, and calls asked for %v", end, p.ends)
	}
}
