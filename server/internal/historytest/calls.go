package historytest

import (
	"slices"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/seathold/seathold/engine/spec"
)

// Calls returns the calls to check, reduced by what is known at the end of the history. This changes no verdict and
// makes the check fast: otherwise calls without an answer would overlap with all that follow, and there would be too
// many orders to try.
//
//   - A call without an answer that did not take effect before the end is dropped, since no answer can show a later
//     effect. A reservation is never removed: one that is missing at the end was not made, and one that is there was
//     made by a call with the same content that was in progress at its creation time. Confirmations and releases are
//     permanent too.
//   - The time of the others is known from the final state. A release has no time; it is assumed at the earliest, which
//     permits the most.
//   - Of several calls that may have had the same effect only one had it. The one that began first can explain all that
//     another could, since all of them last until the end.
//   - An effect precedes the return of every call that observed it, and follows the beginning of every call that did
//     not. It also follows the return of every call that read an earlier time. This shortens the call that had it.
func (h *History) Calls() []porcupine.Operation {
	end, until := h.ticks.Add(1), spec.Instant(h.clock())
	found := map[string]spec.Reservation{}
	for _, o := range h.calls[len(h.calls)-idsOfCell-accountsOfCell:] {
		r := o.Output.(spec.Answer).Reservation
		found[r.ID] = r
	}
	var calls []porcupine.Operation
	unanswered := map[string]int{} // index of the call, by effect
	for _, o := range h.calls {
		c := o.Input.(spec.Call)
		if a := o.Output.(spec.Answer); a.Code != spec.Unknown {
			calls = append(calls, o)
			continue
		}
		at, may := effectTime(c, found[c.ID], until)
		if !may {
			continue
		}
		effect := c.String()
		c.At, c.Until = at, at
		o.Input, o.Return = c, end
		if i, known := unanswered[effect]; known {
			calls[i] = earlier(calls[i], o)
			continue
		}
		unanswered[effect] = len(calls)
		calls = append(calls, o)
	}
	seen := sightings(h.calls)
	for i := range calls {
		h.shorten(&calls[i], seen)
	}
	return calls
}

// effectTime returns the time at which a call may have caused what was found at the end, and whether it may have.
func effectTime(c spec.Call, found spec.Reservation, end time.Time) (at time.Time, may bool) {
	within := func(t time.Time) bool { return !t.Before(c.At) && !t.After(end) }
	switch c.Kind {
	case spec.Reserve:
		same := found.ID != "" && found.Account == c.Account && slices.Equal(found.Lines, c.Lines) &&
			(c.Phase == "" || c.Phase == found.Phase) && (c.TTL == 0 || c.TTL == found.ExpiresAt.Sub(found.CreatedAt))
		return found.CreatedAt, same && within(found.CreatedAt)
	case spec.Confirm:
		return found.ConfirmedAt, found.State == "confirmed" && found.Reference == c.Reference && within(found.ConfirmedAt)
	}
	return c.At, found.State == "released"
}

// earlier merges two calls without an answer that request the same.
func earlier(a, b porcupine.Operation) porcupine.Operation {
	if b.Input.(spec.Call).At.Before(a.Input.(spec.Call).At) {
		a.Input = b.Input
	}
	a.Call = min(a.Call, b.Call)
	return a
}

// sighting is what an answer shows of a reservation: its state, "" for a missing one, or exists.
type sighting struct {
	began, ended int64
	state        string
}

const exists = "in some state"

// sightings returns the sightings of all answers, by id.
func sightings(calls []porcupine.Operation) map[string][]sighting {
	all := map[string][]sighting{}
	for _, o := range calls {
		c, a := o.Input.(spec.Call), o.Output.(spec.Answer)
		add := func(id, state string) { all[id] = append(all[id], sighting{o.Call, o.Return, state}) }
		switch a.Code {
		case "":
			if c.ID != "" {
				add(c.ID, a.Reservation.State)
			}
			for _, r := range a.Account.Reservations {
				add(r.ID, r.State)
			}
		case "reservation_not_found":
			add(c.ID, "")
		case "reservation_confirmed":
			add(c.ID, "confirmed")
		case "reservation_released":
			add(c.ID, "released")
		case "reservation_expired":
			add(c.ID, "expired")
		case "id_reused":
			add(c.ID, exists)
		}
	}
	return all
}

// shorten shortens a call whose effect is known: one without an answer that was not dropped, or a reserve that made its
// reservation. A contradiction is left to the check.
func (h *History) shorten(o *porcupine.Operation, seen map[string][]sighting) {
	c, a := o.Input.(spec.Call), o.Output.(spec.Answer)
	var made time.Time
	switch {
	case a.Code == spec.Unknown && c.Kind != spec.Release:
		made = c.At
	case c.Kind == spec.Reserve && a.OK() && !a.Repeated:
		made = a.Reservation.CreatedAt
	case a.Code != spec.Unknown:
		return
	}
	from, to := o.Call, o.Return
	for _, s := range seen[c.ID] {
		if before, after := sides(c.Kind, s.state); before {
			from = max(from, s.began)
		} else if after {
			to = min(to, s.ended)
		}
	}
	for _, other := range h.calls {
		if other.Output.(spec.Answer).Code != spec.Unknown && other.Input.(spec.Call).Until.Before(made) {
			from = max(from, other.Return)
		}
	}
	if from < to {
		o.Call, o.Return = from, to
	}
}

// sides returns whether a sighting of the state came before the effect of a call, or after it.
func sides(k spec.Kind, state string) (before, after bool) {
	switch k {
	case spec.Reserve:
		return state == "", state != ""
	case spec.Confirm:
		return state == "" || state == "held", state == "confirmed"
	}
	return state == "" || state == "held", state == "released"
}
