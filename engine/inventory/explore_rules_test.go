//go:build seathold_yield

package inventory

import (
	"fmt"
	"maps"
	"slices"
)

// judge checks a finished schedule by the rules.
func (e *explorer) judge() {
	e.drain()
	e.must(len(e.order) == int(e.v.Placed()), "I5: %d outcomes of %d are drained", len(e.order), e.v.Placed())
	for _, a := range e.awaited {
		at := e.ledTo(a.Decided)
		e.must(0 < at && at <= a.seq, "I5: a caller saw %v but awaits only record %d of %v", a.Decided, a.seq, e.order)
		e.must(at == a.seq || !a.own, "I5: the caller of %v awaits record %d of %v", a.Decided, a.seq, e.order)
	}
	known := e.legalPrefixes()
	e.finishedMemory() // first: a walk of a ledger repairs it
	e.finished(known)
	for _, made := range e.checkpoints {
		e.recovered(made, known)
	}
	slices.SortFunc(e.history, func(a, b answered) int { return a.call - b.call })
	key := fmt.Sprint(e.history)
	if !e.judged[key] {
		e.must(e.linearizable(e.history, sequential{}) || e.linearizable(e.withExpiries(), sequential{}),
			"I7: %s\nschedule %v", key, e.choices)
		e.judged[key] = true
	}
	e.freesAll()
}

// withExpiries is the history with what its calls may have done before their answer: a call that finds a reservation
// whose time is over ends that first, as an outcome of its own.
func (e *explorer) withExpiries() []answered {
	all := slices.Clone(e.history)
	for _, h := range e.history {
		if slices.Contains([]string{"reclaim", "restock", "abandon", "recap", "places"}, h.kind) {
			continue
		}
		h.kind, h.answer = "expire", "looked"
		if h.with != "" {
			h.name, h.with = h.with, ""
		}
		all = append(all, h)
	}
	return all
}

// sequential is the state of the sequential rules: every reservation as its callers see it.
type sequential map[ID]Snapshot

// with is the state after a reservation has become something else.
func (s sequential) with(now Snapshot) sequential {
	next := maps.Clone(s)
	next[now.ID] = now
	return next
}

// linearizable searches for an order of the operations that agrees with their times and answers.
func (e *explorer) linearizable(left []answered, s sequential) bool {
	if len(left) == 0 {
		return true
	}
	first := left[0].ret
	for _, h := range left {
		first = min(first, h.ret)
	}
	for i, h := range left {
		if h.call > first {
			continue
		}
		for _, before := range e.forgetting(s, h, left, first) {
			for _, next := range e.apply(before, h) {
				if e.linearizable(slices.Concat(left[:i], left[i+1:]), next) {
					return true
				}
			}
		}
	}
	return false
}

// apply returns the states that the operation with its answer can lead to.
func (e *explorer) apply(s sequential, h answered) []sequential {
	switch h.kind {
	case "reclaim":
		return []sequential{s}
	case "restock", "abandon", "recap", "places":
		return e.applyRedefinition(s, h)
	case "ledger":
		var all []string
		for _, r := range s {
			if r.Account == h.name && (r.State == Held || r.State == Confirmed) {
				all = append(all, content(&r))
			}
		}
		slices.Sort(all)
		return only(s, h.answer == fmt.Sprint(all))
	case "reserve":
		return e.applyReserve(s, h)
	case "replace":
		return e.applyReplace(s, h)
	}
	now, found := s[e.id(h.name)]
	switch {
	case h.kind == "expire" && found && now.State == Held && h.now >= now.ExpiresMs:
		return []sequential{s, s.with(now.ended(Expired, h.now))}
	case h.kind == "expire":
		return []sequential{s}
	case !found:
		return only(s, h.answer == "none")
	case h.kind == "read":
		return only(s, h.answer == content(&now))
	}
	now, s = s.expired(now, h.now)
	ends := map[string]State{"confirm": Confirmed, "release": Released}
	wanted, reference := ends[h.kind], paid
	if h.kind == "again" {
		wanted, reference = Confirmed, paidLate
	}
	switch {
	case wanted == free || h.kind == "again" && now.State == Expired:
		return e.applyChange(s, h, now)
	case now.State == Held:
		now = now.ended(wanted, h.now)
		if wanted == Confirmed {
			now.ConfirmedMs, now.Reference = h.now, reference
		}
		return only(s.with(now), h.answer == "done "+content(&now))
	case now.State == wanted && (wanted == Released || now.Reference == reference):
		return only(s, h.answer == "already "+content(&now))
	}
	return only(s, h.answer == content(&now))
}

// ended is a reservation that came to another state.
func (s Snapshot) ended(to State, at int64) Snapshot {
	s.State, s.AtMs = to, at
	return s
}

// expired is a reservation after its time, if a call finds it so, and the state in which it is.
func (s sequential) expired(r Snapshot, now int64) (Snapshot, sequential) {
	if r.State == Held && now >= r.ExpiresMs {
		r = r.ended(Expired, now)
		return r, s.with(r)
	}
	return r, s
}

func only(s sequential, ok bool) []sequential {
	if ok {
		return []sequential{s}
	}
	return nil
}

func (e *explorer) applyReserve(s sequential, h answered) []sequential {
	if known, found := s[e.id(h.name)]; found {
		known, s = s.expired(known, h.now)
		return only(s, h.answer == "known "+content(&known))
	}
	w := e.reservations[h.name]
	if answers := e.refusals(s, w.account, w.phase, w.lines); len(answers) > 0 {
		return only(s, slices.Contains(answers, h.answer))
	}
	return only(s.with(e.taken(h, 0)), h.answer == "done")
}

// taken is a wish that was granted.
func (e *explorer) taken(h answered, flags uint8) Snapshot {
	w := e.reservations[h.name]
	return Snapshot{ID: e.id(h.name), Account: w.account, State: Held, Flags: flags, Lines: w.lines, CreatedMs: h.now,
		ExpiresMs: w.expires, AtMs: h.now, Phase: w.phase}
}

// applyReplace judges the wish as if the reservation in whose place it is to be were already gone.
func (e *explorer) applyReplace(s sequential, h answered) []sequential {
	if _, found := s[e.id(h.name)]; found {
		return e.applyReserve(s, h)
	}
	w := e.reservations[h.name]
	old, found := s[e.id(h.with)]
	if found {
		old, s = s.expired(old, h.now)
	}
	switch {
	case !found || old.Account != w.account:
		return only(s, h.answer == "none")
	case old.State != Held:
		return only(s, h.answer == content(&old))
	}
	without := s.with(old.ended(Released, h.now))
	if answers := e.refusals(without, w.account, w.phase, w.lines); len(answers) > 0 {
		return only(s, slices.Contains(answers, h.answer))
	}
	return only(without.with(e.taken(h, FlagReplaces)), h.answer == "done")
}

// applyChange judges a change of a reservation that is found as now.
func (e *explorer) applyChange(s sequential, h answered, now Snapshot) []sequential {
	switch e.judgeChange(h.do, now.State, &now) {
	case "already":
		return only(s, h.answer == "already "+content(&now))
	case "state":
		return only(s, h.answer == content(&now))
	case "malformed":
		return only(s, h.answer == "malformed")
	}
	to := e.reservations[h.with]
	now.AtMs = h.now
	switch h.kind {
	case "extend":
		now.ExpiresMs, now.Flags = to.expires, now.Flags|FlagExtended
	case "reduce":
		now.Lines, now.Flags = to.lines, now.Flags|FlagReduced
	case "return":
		now.State, now.Reference = Returned, broughtBack
		if e.withhold {
			now.Flags |= FlagWithheld
		}
	case "again":
		if answers := e.refusals(s, now.Account, now.Phase, now.Lines); len(answers) > 0 {
			return only(s, slices.Contains(answers, h.answer))
		}
		now.State, now.ConfirmedMs, now.Reference = Confirmed, h.now, paidLate
	}
	return only(s.with(now), h.answer == "done "+content(&now))
}

// refusals lists the refusals that an account may get for lines; none when they are granted.
func (e *explorer) refusals(s sequential, account string, phase uint16, lines []Line) []string {
	count := func(counts func(r *Snapshot, l Line) bool) (held, confirmed int) {
		for _, r := range s {
			for _, l := range r.Lines {
				switch {
				case !counts(&r, l):
				case r.State == Held:
					held += int(l.Quantity)
				case r.State == Confirmed:
					confirmed += int(l.Quantity)
				}
			}
		}
		return held, confirmed
	}
	for _, l := range lines {
		session := e.sessionOf(l.Pool)
		held, confirmed := count(func(r *Snapshot, other Line) bool {
			return r.Account == account && e.sessionOf(other.Pool) == session
		})
		if tickets := e.ticketsIn(session, lines); held+confirmed+tickets > exploredLimit {
			return []string{fmt.Sprintf("limit %d: %d beside %d %d", session, tickets, held, confirmed)}
		}
	}
	held, confirmed := count(func(r *Snapshot, _ Line) bool { return r.Account == account })
	if tickets := ticketsOf(lines); held+confirmed+tickets > s.accountCap() {
		return []string{fmt.Sprintf("cap: %d beside %d %d", tickets, held, confirmed)}
	}
	var all []string
	for pool := range uint32(len(e.pools)) {
		taken := 0
		for _, r := range s {
			if r.State == Held || r.State == Confirmed || r.State == Returned && r.Flags&FlagWithheld != 0 {
				taken += e.takenBy(r.Phase, r.Lines, pool)
			}
		}
		wanted := e.takenBy(phase, lines, pool)
		if available := e.unitsIn(s, pool) - taken; available < wanted {
			all = append(all, fmt.Sprintf("sold out %d: %d of %d", pool, wanted, available))
		}
	}
	return all
}
