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
		at := uint64(slices.Index(e.order, a.Outcome) + 1)
		e.must(0 < at && at <= a.seq, "I5: a caller saw %v but awaits only record %d of %v", a.Outcome, a.seq, e.order)
		e.must(at == a.seq || !a.own, "I5: the caller of %v awaits record %d of %v", a.Outcome, a.seq, e.order)
	}
	e.legalPrefixes()
	slices.SortFunc(e.history, func(a, b answered) int { return a.call - b.call })
	key := fmt.Sprint(e.history)
	if !e.judged[key] {
		e.must(e.linearizable(e.history, sequential{}), "I7: %s\nschedule %v", key, e.choices)
		e.judged[key] = true
	}
}

// legalPrefixes checks I6: wherever the journal is cut, no pool is oversold, no account is over its cap or a session
// limit, and nothing ends twice or without having been taken.
func (e *explorer) legalPrefixes() {
	taken := make([]int, len(e.pools))
	byAccount, bySession := map[uint32]int{}, map[uint64]int{}
	open := map[uint32]bool{}
	for n, o := range e.order {
		r := e.v.reservations.At(o.Index)
		sign := 1
		if o.Kind == Ended {
			e.must(open[o.Index], "I6, I3: record %d of %v ends what is not open", n, e.order)
			open[o.Index] = false
			if State(r.state.Load()) == Confirmed {
				continue
			}
			sign = -1
		} else {
			_, twice := open[o.Index]
			e.must(!twice, "I9: record %d of %v takes again", n, e.order)
			open[o.Index] = true
		}
		for i := range int(r.count) {
			l := e.v.lineAt(r, i)
			pool := int(l.Pool)
			taken[pool] += sign * int(l.Quantity)
			byAccount[r.account] += sign * int(l.Quantity)
			session := uint64(r.account)<<32 | uint64(pool)
			bySession[session] += sign * int(l.Quantity)
			if taken[pool] > int(e.pools[pool]) || byAccount[r.account] > exploredCap || bySession[session] > exploredLimit {
				e.t.Fatalf("I6: after record %d of %v: %v taken, %v by account, %v by session", n, e.order, taken, byAccount,
					bySession)
			}
		}
	}
}

// sequential is the state of the sequential rules: what became of each wish.
type sequential map[string]string

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
		for _, next := range e.apply(s, h) {
			if e.linearizable(slices.Concat(left[:i], left[i+1:]), next) {
				return true
			}
		}
	}
	return false
}

// apply returns the states that the operation with its answer can lead to.
func (e *explorer) apply(s sequential, h answered) []sequential {
	with := func(name, state string) sequential {
		next := maps.Clone(s)
		next[name] = state
		return next
	}
	holder := "" // the wish that has the id
	for name := range s {
		if e.id(name) == e.id(h.name) {
			holder = name
		}
	}
	state := s[holder]
	over := holder != "" && state == "held" && h.now >= e.reservations[holder].expires
	switch h.kind {
	case "ledger":
		var all []string
		for name, state := range s {
			if e.reservations[name].account == h.name && (state == "held" || state == "confirmed") {
				all = append(all, name+" "+state)
			}
		}
		slices.Sort(all)
		return only(s, h.answer == fmt.Sprint(all))
	case "reserve":
		if holder != "" {
			return only(s, h.answer == "known "+state)
		}
		if answers := e.refusals(s, e.reservations[h.name]); len(answers) > 0 {
			return only(s, slices.Contains(answers, h.answer))
		}
		return only(with(h.name, "held"), h.answer == "done")
	case "expire":
		if over {
			return []sequential{s, with(holder, "expired")}
		}
		return []sequential{s}
	case "read":
		return only(s, h.answer == state || holder == "" && h.answer == "none")
	}
	if holder == "" {
		return only(s, h.answer == "none")
	}
	ends := map[string]string{"confirm": "confirmed", "release": "released"}[h.kind]
	switch {
	case over:
		return only(with(holder, "expired"), h.answer == "expired")
	case state == "held":
		return only(with(holder, ends), h.answer == "done")
	case state == ends:
		return only(s, h.answer == "already")
	}
	return only(s, h.answer == state)
}

func only(s sequential, ok bool) []sequential {
	if ok {
		return []sequential{s}
	}
	return nil
}

// refusals lists the refusals that a wish may get; none when it is granted.
func (e *explorer) refusals(s sequential, w wish) []string {
	count := func(counts func(account string, l Line) bool) (held, confirmed int) {
		for name, state := range s {
			for _, l := range e.reservations[name].lines {
				switch {
				case !counts(e.reservations[name].account, l):
				case state == "held":
					held += int(l.Quantity)
				case state == "confirmed":
					confirmed += int(l.Quantity)
				}
			}
		}
		return held, confirmed
	}
	tickets := 0
	for _, l := range w.lines {
		tickets += int(l.Quantity)
		held, confirmed := count(func(account string, other Line) bool {
			return account == w.account && other.Pool == l.Pool
		})
		if held+confirmed+int(l.Quantity) > exploredLimit {
			return []string{fmt.Sprintf("limit %d %d %d", l.Pool, held, confirmed)}
		}
	}
	held, confirmed := count(func(account string, _ Line) bool { return account == w.account })
	if held+confirmed+tickets > exploredCap {
		return []string{fmt.Sprintf("cap %d %d", held, confirmed)}
	}
	var all []string
	for _, l := range w.lines {
		held, sold := count(func(_ string, other Line) bool { return other.Pool == l.Pool })
		if available := int(e.pools[l.Pool]) - held - sold; available < int(l.Quantity) {
			all = append(all, fmt.Sprintf("sold out %d %d", l.Pool, available))
		}
	}
	return all
}
