package protocol

import "fmt"

// The specification: what each call does alone.

// take takes units for a reservation that gives others back.
func (m *combined) take(f *facts, gives, qty uint8) answer {
	switch {
	case f.total()-int(gives)+int(qty) > int(m.cap):
		return atCap
	case qty > f.available+gives:
		return soldOut
	}
	f.available = f.available + gives - qty
	return ok
}

// sequential makes a call alone, and returns its answer with the reference that the answer has.
func (m *combined) sequential(f *facts, c *call) (answer, uint8) {
	k := &f.ids[idOf(c.id)]
	if c.kind == replace {
		if other := f.ids[idOf(c.new)]; other.state != free {
			return known + answer(other.state), other.text()
		}
	}
	if c.kind == reserve {
		if k.state != free {
			return known + answer(k.state), k.text()
		}
		a := m.take(f, 0, c.qty)
		if a == ok {
			*k = knowledge{held, c.qty, 0}
		}
		return a, 0
	}
	possible := k.state == held
	switch {
	case k.state == free:
		return none, 0
	case c.kind == again:
		possible = k.state == expired
	case c.kind == refund:
		possible = k.state == confirmed
	case c.kind == reduce:
		possible = k.live()
	}
	if !possible && c.kind == replace { // its answer has no reference
		return was + answer(k.state), 0
	}
	if !possible {
		return was + answer(k.state), k.text()
	}
	switch c.kind {
	case confirm:
		k.state, k.ref = confirmed, c.ref
	case release, expire:
		k.state = c.kind.to()
		f.available += k.qty
	case reduce:
		if c.qty > k.qty {
			return notReduction, k.text()
		}
		f.available += k.qty - c.qty
		k.qty = c.qty
	case refund:
		f.available += k.qty
		if k.state = returned; c.ref != 0 {
			k.ref = c.ref
		}
	case again:
		if a := m.take(f, 0, k.qty); a != ok {
			return a, 0
		}
		k.state, k.ref = confirmed, c.ref
	case replace:
		if a := m.take(f, k.qty, c.qty); a != ok {
			return a, 0
		}
		k.state = released
		f.ids[idOf(c.new)] = knowledge{held, c.qty, 0}
	}
	return ok, k.text()
}

// text is the reference that an answer about the reservation has.
func (k knowledge) text() uint8 {
	if k.state == confirmed || k.state == returned {
		return k.ref
	}
	return 0
}

// judge returns the judge of the model's histories. A call that found the table full, and a sweep that found nothing
// to expire, fit anywhere.
func (m *combined) judge() judge[facts] {
	return judge[facts]{
		apply: func(f *facts, n int, e event) bool {
			if n >= firstForget {
				k := &f.ids[idOf(e.id)]
				ended := k.state.ended()
				*k = knowledge{}
				return ended
			}
			c := m.calls[n]
			if e.answer == full || e.answer == nothing {
				return true
			}
			if c.kind == sweep {
				c = call{kind: expire, id: e.id}
			}
			a, text := m.sequential(f, &c)
			return a == e.answer && text == e.ref
		},
		name: func(n int, e event) string {
			if n >= firstForget {
				return fmt.Sprintf("forget %c", e.id)
			}
			return m.calls[n].String()
		},
	}
}
