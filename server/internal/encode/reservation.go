// Package encode turns what the engine returns into the JSON of the HTTP API. Every function appends to a buffer and
// returns it, and allocates nothing while the buffer is large enough.
package encode

import (
	"strconv"

	"github.com/seathold/seathold/engine"
	"github.com/seathold/seathold/engine/catalog"
)

// Reservation appends a reservation.
func Reservation(dst []byte, r *engine.Reservation) []byte {
	dst = append(ID(append(dst, `{"id":"`...), r.ID), '"')
	dst = String(append(dst, `,"account":`...), r.Account)
	dst = String(append(dst, `,"phase":`...), r.Phase)
	dst = String(append(dst, `,"state":`...), r.State.String())
	dst = append(dst, `,"lines":[`...)
	for i := range r.Lines {
		dst = String(append(Comma(dst, i), `{"session":`...), r.Lines[i].Session)
		dst = String(append(dst, `,"category":`...), r.Lines[i].Category)
		dst = Int(append(dst, `,"quantity":`...), r.Lines[i].Quantity)
		dst = append(dst, '}')
	}
	dst = Int(append(dst, `],"tickets":`...), r.Tickets)
	dst = Time(append(dst, `,"created_at":`...), r.CreatedAt)
	dst = Time(append(dst, `,"expires_at":`...), r.ExpiresAt)
	if !r.ConfirmedAt.IsZero() {
		dst = Time(append(dst, `,"confirmed_at":`...), r.ConfirmedAt)
	}
	if r.Reference != "" {
		dst = String(append(dst, `,"reference":`...), r.Reference)
	}
	return append(dst, '}')
}

// Account appends an account with its ledger.
func Account(dst []byte, a *engine.Account) []byte {
	dst = String(append(dst, `{"account":`...), a.Account)
	dst = append(dst, `,"programmes":[`...)
	for i := range a.Programmes {
		p := &a.Programmes[i]
		dst = String(append(Comma(dst, i), `{"programme":`...), p.Programme)
		dst = Int(append(dst, `,"cap":`...), p.Cap)
		dst = Int(append(dst, `,"held":`...), p.Held)
		dst = Int(append(dst, `,"confirmed":`...), p.Confirmed)
		dst = append(dst, '}')
	}
	dst = append(dst, `],"reservations":[`...)
	for i := range a.Reservations {
		dst = Reservation(Comma(dst, i), &a.Reservations[i])
	}
	dst = append(dst, `],"access":[`...)
	for i := range a.Access {
		dst = appendSlot(Comma(dst, i), &a.Access[i])
	}
	return append(dst, `]}`...)
}

// appendSlot appends an access slot.
func appendSlot(dst []byte, slot *engine.AccessSlot) []byte {
	dst = String(append(dst, `{"phase":`...), slot.Phase)
	dst = Time(append(dst, `,"opens_at":`...), slot.OpensAt)
	dst = Time(append(dst, `,"closes_at":`...), slot.ClosesAt)
	dst = strconv.AppendBool(append(dst, `,"priority":`...), slot.Priority)
	return append(dst, '}')
}

// Phases appends all phases of the engine's sale but removed ones.
func Phases(dst []byte, e *engine.Engine) []byte {
	var bounds [16]engine.PhasePlaces // on the stack; a phase with more has them elsewhere
	sale := e.Sale()
	dst = append(dst, `{"phases":[`...)
	listed := 0
	for i := range sale.Phases {
		p := &sale.Phases[i]
		if p.Removed {
			continue
		}
		dst = String(append(Comma(dst, listed), `{"phase":`...), p.ID)
		listed++
		dst = String(append(dst, `,"programme":`...), sale.Programmes[p.Programme].ID)
		dst = String(append(dst, `,"title":`...), p.Title)
		if p.Kind == catalog.Pack {
			dst = Int(append(dst, `,"kind":"pack","pack_sessions":`...), p.PackSessions)
			dst = strconv.AppendBool(append(dst, `,"pack_equal_quantities":`...), p.PackEqual)
		} else {
			dst = append(dst, `,"kind":"single"`...)
		}
		switch p.Access {
		case catalog.Slots:
			dst = String(append(dst, `,"access":"slots","draw":`...), sale.Draws[p.Draw].ID)
		case catalog.Members:
			dst = String(append(dst, `,"access":"group","group":`...), sale.Groups[p.Group].ID)
		default:
			dst = append(dst, `,"access":"open"`...)
		}
		dst = Time(append(dst, `,"opens_at":`...), p.OpensAt)
		dst = Time(append(dst, `,"closes_at":`...), p.ClosesAt)
		dst = strconv.AppendBool(append(dst, `,"open":`...), e.PhaseOpen(i))
		if sale.HasQuotas(i) {
			dst = appendPlaces(dst, e.AppendPhasePlaces(bounds[:0], i))
		}
		dst = append(dst, '}')
	}
	return append(dst, `]}`...)
}

// appendPlaces appends how many tickets a phase sells of sessions, unless it sells any number of each.
func appendPlaces(dst []byte, bounds []engine.PhasePlaces) []byte {
	if len(bounds) == 0 {
		return dst
	}
	dst = append(dst, `,"places":[`...)
	for i := range bounds {
		dst = String(append(Comma(dst, i), `{"session":`...), bounds[i].Session)
		dst = Int(append(dst, `,"places":`...), bounds[i].Places)
		dst = Int(append(dst, `,"available":`...), bounds[i].Available)
		dst = append(dst, '}')
	}
	return append(dst, ']')
}
