package spec

// confirm sells a hold. With Again it also sells what has expired, if that can still be taken.
func (m *Model) confirm(op Operation) Answer {
	if !validReference(op.Reference) {
		return refuse("malformed_request")
	}
	r := m.current(op.ID, op.At)
	switch {
	case r == nil:
		return refuse("reservation_not_found")
	case r.State == "expired" && op.Again:
		return m.takeAgain(op, r)
	case r.State == "confirmed" && (op.Reference == "" || op.Reference == r.Reference):
		return Answer{Reservation: r.Reservation, Repeated: true}
	case r.State != "held":
		return m.refuseState(r, op.At)
	}
	next := *r
	next.State, next.ConfirmedAt, next.Reference = "confirmed", op.At, op.Reference
	m.put(&next)
	return Answer{Reservation: next.Reservation}
}

// release gives a hold back.
func (m *Model) release(op Operation) Answer {
	r := m.current(op.ID, op.At)
	switch {
	case r == nil:
		return refuse("reservation_not_found")
	case r.State == "released":
		return Answer{Reservation: r.Reservation, Repeated: true}
	case r.State != "held":
		return m.refuseState(r, op.At)
	}
	m.end(op.ID, "released")
	return Answer{Reservation: m.reservations[op.ID].Reservation}
}

// giveBack returns a confirmed reservation. Its tickets are on sale again, unless its programme withholds them.
func (m *Model) giveBack(op Operation) Answer {
	if !validReference(op.Reference) {
		return refuse("malformed_request")
	}
	r := m.current(op.ID, op.At)
	switch {
	case r == nil:
		return refuse("reservation_not_found")
	case r.State == "returned":
		return Answer{Reservation: r.Reservation, Repeated: true}
	case r.State != "confirmed":
		return m.refuseState(r, op.At)
	}
	next := *r
	next.State = "returned"
	next.withheld = m.rules.Sale.Programmes[m.programme(r.Lines[0])].WithholdReturned
	if op.Reference != "" {
		next.Reference = op.Reference
	}
	m.put(&next)
	return Answer{Reservation: next.Reservation}
}
