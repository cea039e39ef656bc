package engine_test

import (
	"slices"
	"time"

	"github.com/seathold/seathold/engine/spec"
)

// drawChange returns an extend, a reduce, a return, a replacement or a confirm again, mostly of a reservation in a
// state that permits it.
func (r *random) drawChange() spec.Operation {
	op := spec.Operation{At: r.at}
	switch oneOf(r.T, "change", "extend", "reduce", "return", "replace", "again") {
	case "extend":
		op.Kind, op.ID = spec.Extend, r.drawIDIn("held")
		op.ExpiresAt = r.drawEnd(op.ID)
	case "reduce":
		op.Kind, op.ID = spec.Reduce, r.drawIDIn("held", "confirmed")
		op.Lines = r.drawKept(op.ID)
	case "return":
		op.Kind, op.ID, op.Reference = spec.Return, r.drawIDIn("confirmed"), r.drawReference()
	case "replace":
		op = r.drawReserve()
		if r.model.Find(op.ID).ID != "" && below(r.T, 10, "a known id") > 0 {
			op.ID = r.drawFreeID()
		}
		op.Replaces = r.drawIDIn("held")
		if old := r.model.Find(op.Replaces); old.ID != "" && below(r.T, 10, "same account") > 0 {
			op.Account = old.Account
			if below(r.T, 2, "edits") == 0 {
				op.Lines = r.drawKept(old.ID)
			}
		}
		r.made = append(r.made, op)
	default:
		op.Kind, op.Again, op.ID, op.Reference = spec.Confirm, true, r.drawIDIn("expired"), r.drawReference()
	}
	return op
}

// drawFreeID returns an id that no reservation has, if there is one.
func (r *random) drawFreeID() string {
	for i := range idsDrawn {
		if id := drawnID(i); r.model.Find(id).ID == "" {
			return id
		}
	}
	return drawID(r.T)
}

func (r *random) drawReference() string {
	return oneOf(r.T, "reference", "", "X1", "X1", "ünï", "ünï", "a\x00b")
}

// drawIDIn returns the id of a reservation in one of the states, if there is one; now and then any id.
func (r *random) drawIDIn(states ...string) string {
	var ids []string
	for i := range idsDrawn {
		of := r.model.Find(drawnID(i))
		state := of.State
		if state == "held" && !of.ExpiresAt.After(r.at) {
			state = "expired"
		}
		if slices.Contains(states, state) {
			ids = append(ids, of.ID)
		}
	}
	if len(ids) == 0 || below(r.T, 8, "any id") == 0 {
		return drawID(r.T)
	}
	return oneOf(r.T, "id", ids...)
}

// drawEnd returns an end for the hold: the present one, one at a limit or just past it, or another.
func (r *random) drawEnd(id string) time.Time {
	of := r.model.Find(id)
	latest := of.CreatedAt.Add(spec.ScenarioMaxHold)
	return oneOf(r.T, "end", of.ExpiresAt, of.ExpiresAt.Add(999*time.Microsecond),
		of.ExpiresAt.Add(5*time.Minute), of.ExpiresAt.Add(-time.Minute), latest, latest.Add(time.Millisecond), r.at,
		r.at.Add(time.Millisecond), r.at.Add(20*time.Minute), time.Time{})
}

// drawKept returns lines that the reservation may keep: mostly fewer, in some order; now and then the same, more, or
// another line.
func (r *random) drawKept(id string) []spec.Line {
	kept := slices.Clone(r.model.Find(id).Lines)
	most := 1 + below(r.T, 3, "at most")
	for i := range kept {
		kept[i].Quantity = min(kept[i].Quantity, most)
	}
	if len(kept) > 1 {
		if below(r.T, 2, "fewer lines") == 0 {
			i := below(r.T, len(kept), "without")
			kept = slices.Delete(kept, i, i+1)
		} else if below(r.T, 2, "another order") == 0 {
			slices.Reverse(kept)
		}
	}
	switch n := below(r.T, 20, "odd"); {
	case n == 0 || len(kept) == 0:
		return r.drawReserve().Lines
	case n < 3:
		kept[0].Quantity++
	case n == 3:
		kept = append(kept, r.drawReserve().Lines[0])
	}
	return kept
}
