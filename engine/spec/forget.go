package spec

import (
	"slices"
	"time"
)

// afterForgetting returns the model, and one for every way in which reservations that the call names may be forgotten
// by its end. Others are forgotten when a call names them, which makes no difference: what has ended shows in no other
// answer.
func (h History) afterForgetting(m *Model, c Call) []*Model {
	all := []*Model{m}
	for _, id := range []string{c.ID, c.Replaces} {
		if r := m.reservations[id]; r == nil || !h.mayForget(r, c.Until) {
			continue
		}
		for _, before := range all {
			without := before.Clone()
			without.forget(id)
			all = append(all, without)
		}
	}
	return all
}

// mayForget reports whether a reservation may be forgotten at an instant. What is withheld after a return accounts for
// places that are not on sale, and is remembered.
func (h History) mayForget(r *reservation, at time.Time) bool {
	over := r.ExpiresAt
	if !r.endedAt.IsZero() {
		over = r.endedAt
	}
	return h.Forget > 0 && r.State != "held" && r.State != "confirmed" && !r.withheld && over.Add(h.Forget).Before(at)
}

// noteEnd notes when the call released or returned a reservation: at the earliest, which permits the most.
func (m *Model) noteEnd(c Call) {
	id := c.ID
	switch c.Kind {
	case Release, Return:
	case Reserve:
		id = c.Replaces
	default:
		return
	}
	if r := m.reservations[id]; r != nil {
		next := *r
		next.endedAt = c.At
		m.put(&next)
	}
}

// forget removes a reservation. Its id is free.
func (m *Model) forget(id string) {
	account := m.reservations[id].Account
	is := func(other string) bool { return other == id }
	m.byAccount[account] = slices.DeleteFunc(slices.Clone(m.byAccount[account]), is)
	delete(m.reservations, id)
}

// recall adds the reservations of the call that were forgotten before it and are not made anew by it: the server that
// leads next may remember them.
func (m *Model) recall(before *Model, c Call) {
	for _, id := range []string{c.ID, c.Replaces} {
		if r := before.reservations[id]; r != nil && m.reservations[id] == nil {
			m.add(r)
		}
	}
}
