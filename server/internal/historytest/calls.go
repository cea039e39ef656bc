package historytest

import (
	"slices"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/seathold/seathold/engine/spec"
)

// Calls returns what there is to judge, with everything used that makes the judging quick and changes no verdict. Calls
// without an answer would otherwise be under way with all that follow, and the orders to try too many.
//
//   - Of calls without an answer, those are left out that cannot have taken effect before the end: whatever they might do
//     later nobody would see. A reservation never goes away, so one that is not there at the end was not made, and one that
//     is there was made by a call that asked for just this and was under way at the instant it was made. A confirmation is
//     for ever, so what is not confirmed at the end was not, and likewise a release.
//   - The instant of the others is known from the end too. A release, which shows none, is taken at the earliest, where it
//     could do most.
//   - Of several that may have had one and the same effect only one had it, and whatever the others could explain does the
//     one that began first, since all of them last until the end.
//   - An effect came before the return of whoever saw it, and after the beginning of whoever did not. It also came after the
//     return of whoever read an earlier time from the clock. That shortens the call that had it.
func (h *History) Calls() []porcupine.Operation {
	end, until := h.ticks.Add(1), spec.Instant(h.clock())
	found := map[string]spec.Reservation{}
	for _, o := range h.calls[len(h.calls)-idsOfCell-accountsOfCell:] {
		r := o.Output.(spec.Answer).Reservation
		found[r.ID] = r
	}
	var calls []porcupine.Operation
	unanswered := map[string]int{} // by effect, the place of the call
	for _, o := range h.calls {
		c := o.Input.(spec.Call)
		if a := o.Output.(spec.Answer); a.Code != spec.Unknown {
			calls = append(calls, o)
			continue
		}
		at, may := whenTaken(c, found[c.ID], until)
		if !may {
			continue
		}
		effect := c.String()
		c.At, c.Until = at, at
		o.Input, o.Return = c, end
		if place, known := unanswered[effect]; known {
			calls[place] = earlier(calls[place], o)
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

// whenTaken tells whether, and when, a call may have led to what was found at the end.
func whenTaken(c spec.Call, found spec.Reservation, end time.Time) (at time.Time, may bool) {
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

// earlier merges two calls without an answer that ask for the same.
func earlier(a, b porcupine.Operation) porcupine.Operation {
	if b.Input.(spec.Call).At.Before(a.Input.(spec.Call).At) {
		a.Input = b.Input
	}
	a.Call = min(a.Call, b.Call)
	return a
}

// sighting is what an answer shows of a reservation: its state, nothing for one that is not there, or that it is there.
type sighting struct {
	began, ended int64
	state        string
}

const somewhere = "in some state"

// sightings collects them by id.
func sightings(calls []porcupine.Operation) map[string][]sighting {
	all := map[string][]sighting{}
	for _, o := range calls {
		c, a := o.Input.(spec.Call), o.Output.(spec.Answer)
		see := func(id, state string) { all[id] = append(all[id], sighting{o.Call, o.Return, state}) }
		switch a.Code {
		case "":
			if c.ID != "" {
				see(c.ID, a.Reservation.State)
			}
			for _, r := range a.Account.Reservations {
				see(r.ID, r.State)
			}
		case "reservation_not_found":
			see(c.ID, "")
		case "reservation_confirmed":
			see(c.ID, "confirmed")
		case "reservation_released":
			see(c.ID, "released")
		case "reservation_expired":
			see(c.ID, "expired")
		case "id_reused":
			see(c.ID, somewhere)
		}
	}
	return all
}

// shorten shortens a call of which the effect is known, if it had one: any without an answer that is still there, and a
// reserve that made its reservation. What contradicts itself stays as it is, for the judge.
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

// sides tells whether a reservation in a state was seen before the effect of a call, or after it.
func sides(k spec.Kind, state string) (before, after bool) {
	switch k {
	case spec.Reserve:
		return state == "", state != ""
	case spec.Confirm:
		return state == "" || state == "held", state == "confirmed"
	}
	return state == "" || state == "held", state == "released"
}
