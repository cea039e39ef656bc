package historytest

import (
	"slices"
	"strings"
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
//     made by a call with the same content that was in progress at its creation time. Confirmations, releases and
//     returns are permanent too, and no reservation grows after a reduction. An extension may have been followed by
//     another one: it is kept.
//   - The time of a reserve and of a confirm is known from the final state. The others have no time; it is assumed at
//     the earliest, which permits the most.
//   - Of several calls that may have had the same effect only one had it, unless it is an extension. The one that began
//     first can explain all that another could, since all of them last until the end.
//   - An effect precedes the return of every call that observed it, and follows the beginning of every call that did
//     not. It also follows the return of every call that read an earlier time. This shortens the call that had it.
//
// Where servers forget, the end does not show what was before: see Settle.
func (h *History) Calls() []porcupine.Operation {
	if h.forget > 0 {
		return h.settledCalls()
	}
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
		if i, known := unanswered[effect]; known && c.Kind != spec.Extend {
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
		same := found.ID != "" && found.Account == c.Account && mayKeep(c.Lines, found.Lines) &&
			(c.Phase == "" || c.Phase == found.Phase)
		return found.CreatedAt, same && within(found.CreatedAt)
	case spec.Confirm:
		same := found.Reference == c.Reference || found.State == "returned" // which may have brought its own
		return found.ConfirmedAt, !found.ConfirmedAt.IsZero() && same && within(found.ConfirmedAt)
	case spec.Release:
		return c.At, found.State == "released"
	case spec.Return:
		return c.At, found.State == "returned" && (c.Reference == "" || c.Reference == found.Reference)
	case spec.Reduce:
		return c.At, mayKeep(c.Lines, found.Lines)
	}
	return c.At, found.ID != ""
}

// mayKeep reports whether a reservation with the lines may have been reduced to those that are kept: one at least.
func mayKeep(lines, kept []spec.Line) bool {
	return len(kept) > 0 && !slices.ContainsFunc(kept, func(l spec.Line) bool {
		return !slices.ContainsFunc(lines, func(o spec.Line) bool {
			return o.Session == l.Session && o.Category == l.Category && o.Quantity >= l.Quantity
		})
	})
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
		switch state, ofState := strings.CutPrefix(a.Code, "reservation_"); {
		case a.OK():
			if c.ID != "" {
				add(c.ID, a.Reservation.State)
			}
			if c.Replaces != "" {
				add(c.Replaces, "released")
			}
			for _, r := range a.Account.Reservations {
				add(r.ID, r.State)
			}
		case c.Replaces != "" && a.Code != "id_reused": // it may be about either of the two
		case state == "not_found":
			add(c.ID, "")
		case ofState:
			add(c.ID, state)
		case a.Code == "id_reused" || a.Code == "hold_limit_exceeded" || a.Code == "not_a_reduction":
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
	case a.Code == spec.Unknown && (c.Kind == spec.Reserve || c.Kind == spec.Confirm):
		made = c.At
	case c.Kind == spec.Reserve && a.OK() && !a.Repeated:
		made = a.Reservation.CreatedAt
	case a.Code != spec.Unknown:
		return
	}
	from, to := o.Call, o.Return
	for _, s := range seen[c.ID] {
		if before, after := sides(c.Operation, s.state); before {
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

// sides returns whether a sighting of the state came before the effect of a call, or after it. An expired reservation
// may be confirmed again later, and is then like any confirmed one.
func sides(op spec.Operation, state string) (before, after bool) {
	ended := state == "released" || state == "returned"
	switch op.Kind {
	case spec.Reserve:
		return state == "", state != ""
	case spec.Confirm:
		return state == "" || state == "held" || op.Again && state == "expired", state == "confirmed" || state == "returned"
	case spec.Release:
		return state == "" || state == "held", state == "released"
	case spec.Extend:
		return state == "", ended || state == "expired" || state == "confirmed"
	case spec.Reduce:
		return state == "", ended
	}
	return state == "" || state == "held" || state == "confirmed" || state == "expired", state == "returned"
}
