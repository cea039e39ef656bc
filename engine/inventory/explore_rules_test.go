//go:build seathold_yield

package inventory

import (
	"fmt"
	"maps"
	"slices"

	"github.com/stretchr/testify/require"
)

type exploredCase struct {
	title string
	plan
}

func lines(poolsAndQuantities ...uint32) []Line {
	var all []Line
	for i := 0; i < len(poolsAndQuantities); i += 2 {
		all = append(all, Line{Pool: poolsAndQuantities[i], Quantity: poolsAndQuantities[i+1]})
	}
	return all
}

// explored are the cases: those of the model of the protocol, and what it leaves out: ends that race, ids, reads.
func explored() []exploredCase {
	reserve := func(name string) do { return do{kind: "reserve", name: name} }
	on := func(kind, name string) do { return do{kind: kind, name: name} }
	late := func(kind, name string) do { return do{kind: kind, name: name, now: 10} }
	pack := func(account string, a, b uint32) wish {
		return wish{account: account, expires: 5, lines: lines(a, 1, b, 1)}
	}
	one := func(account string, pool, quantity uint32) wish {
		return wish{account: account, expires: 5, lines: lines(pool, quantity)}
	}
	return []exploredCase{
		{"two packs, opposite scarcity", plan{pools: []uint32{1, 1, 1},
			reservations: map[string]wish{"a": pack("A", 0, 1), "b": pack("B", 2, 1)},
			programs:     [][]do{{reserve("a")}, {reserve("b")}}, preemptions: every}},
		{"a failing pack beside a single", plan{pools: []uint32{1, 0},
			reservations: map[string]wish{"a": pack("A", 0, 1), "b": one("B", 0, 1)},
			programs:     [][]do{{reserve("a")}, {reserve("b")}}, preemptions: every}},
		{"a pack that fails by race beside a single", plan{pools: []uint32{1, 1},
			reservations: map[string]wish{"a": pack("A", 0, 1), "b": one("B", 0, 1), "c": one("C", 1, 1)},
			programs:     [][]do{{reserve("a")}, {reserve("b")}, {reserve("c")}}}},
		{"a ring of packs", plan{pools: []uint32{1, 1, 1},
			reservations: map[string]wish{"a": pack("A", 0, 1), "b": pack("B", 1, 2), "c": pack("C", 2, 0)},
			programs:     [][]do{{reserve("a")}, {reserve("b")}, {reserve("c")}}}},
		{"two packs, opposite order", plan{pools: []uint32{1, 1},
			reservations: map[string]wish{"a": pack("A", 0, 1), "b": pack("B", 1, 0)},
			programs:     [][]do{{reserve("a")}, {reserve("b")}}, preemptions: every}},
		{"release beside pack and single", plan{pools: []uint32{1, 1},
			reservations: map[string]wish{"a": pack("A", 0, 1), "b": pack("B", 0, 1), "c": one("C", 1, 1)},
			programs:     [][]do{{reserve("a"), on("release", "a")}, {reserve("b")}, {reserve("c")}}}},
		{"one account, one cap", plan{pools: []uint32{9, 1},
			reservations: map[string]wish{"a": {account: "A", lines: lines(0, 2, 1, 2)}, "b": one("A", 0, 3), "c": one("A", 1, 1)},
			programs:     [][]do{{reserve("a")}, {reserve("b")}, {reserve("c")}}}},
		{"the cap, over a pack that fails by race", plan{pools: []uint32{9, 2},
			reservations: map[string]wish{"a": {account: "A", lines: lines(0, 2, 1, 2)}, "b": one("A", 0, 3), "c": one("C", 1, 1)},
			programs:     [][]do{{reserve("a")}, {reserve("b")}, {reserve("c")}}}},
		{"the cap, over two that never counted together", plan{pools: []uint32{1, 9},
			reservations: map[string]wish{"a": one("A", 0, 1), "b": pack("A", 0, 1), "c": one("A", 1, 2)},
			programs:     [][]do{{reserve("b")}, {reserve("a"), on("release", "a")}, {reserve("c")}}}},
		{"cap and release", plan{pools: []uint32{9, 9},
			reservations: map[string]wish{"a": {account: "A", expires: 5, lines: lines(0, 2, 1, 2)}, "b": one("A", 0, 1), "c": one("B", 1, 3)},
			programs:     [][]do{{reserve("a"), on("release", "a")}, {reserve("b")}, {reserve("c")}}}},
		{"cap and confirm", plan{pools: []uint32{9, 9},
			reservations: map[string]wish{"a": one("A", 0, 2), "b": one("A", 1, 1), "c": one("A", 1, 3)},
			programs:     [][]do{{reserve("a"), on("confirm", "a")}, {reserve("b"), on("confirm", "b")}, {reserve("c")}}, preemptions: 2}},
		{"freed stock, three buyers", plan{pools: []uint32{1, 1},
			reservations: map[string]wish{"a": pack("A", 0, 1), "b": one("B", 0, 1), "c": one("C", 1, 1), "d": one("D", 1, 1)},
			programs:     [][]do{{reserve("a"), on("release", "a")}, {reserve("b"), reserve("d")}, {reserve("c")}}}},
		{"confirm, release and expiry", plan{pools: []uint32{1},
			reservations: map[string]wish{"a": one("A", 0, 1), "b": one("B", 0, 1)},
			programs:     [][]do{{reserve("a"), on("confirm", "a")}, {on("release", "a"), reserve("b")}, {late("expire", "a")}}}},
		{"past its time", plan{pools: []uint32{1, 1},
			reservations: map[string]wish{"a": pack("A", 0, 1), "b": one("B", 1, 1)},
			programs:     [][]do{{reserve("a"), late("confirm", "a")}, {late("release", "a"), reserve("b")}}, preemptions: every}},
		{"one id, two wishes", plan{pools: []uint32{1, 1},
			reservations: map[string]wish{"a": one("A", 0, 1), "b": {account: "B", expires: 5, lines: lines(1, 1), id: "a"}},
			programs:     [][]do{{reserve("a")}, {reserve("b")}}, preemptions: every}},
		{"one id, the first try fails by race", plan{pools: []uint32{1, 1},
			reservations: map[string]wish{"a": pack("A", 0, 1), "b": {account: "B", expires: 5, lines: lines(0, 1), id: "a"}, "c": one("C", 1, 1)},
			programs:     [][]do{{reserve("a")}, {reserve("b")}, {reserve("c")}}}},
		{"one id, two tries after one that failed", plan{pools: []uint32{1, 1, 9},
			reservations: map[string]wish{"a": pack("A", 0, 1), "b": {account: "B", expires: 5, lines: lines(2, 1), id: "a"},
				"c": one("C", 1, 1), "d": {account: "D", expires: 5, lines: lines(2, 2), id: "a"}},
			programs: [][]do{{reserve("a")}, {reserve("c")}, {reserve("b")}, {reserve("d")}}, preemptions: 2}},
		{"the buyer that found the last one sold reads the ledger", plan{pools: []uint32{1},
			reservations: map[string]wish{"a": one("A", 0, 1), "b": one("B", 0, 1)},
			programs:     [][]do{{reserve("a")}, {reserve("b"), on("ledger", "A"), on("read", "a")}}, preemptions: every}},
		{"the buyer of what was released reads it", plan{pools: []uint32{1},
			reservations: map[string]wish{"a": one("A", 0, 1), "b": one("B", 0, 1)},
			programs:     [][]do{{reserve("a"), on("release", "a")}, {reserve("b"), on("read", "a"), on("ledger", "A")}}, preemptions: every}},
		{"a ledger of two reservations", plan{pools: []uint32{9},
			reservations: map[string]wish{"a": one("A", 0, 1), "b": one("A", 0, 1)},
			programs:     [][]do{{reserve("a"), on("confirm", "a")}, {reserve("b"), on("release", "b")}, {on("ledger", "A"), on("ledger", "A")}}, preemptions: 2}},
		{"what expired is bought, then its account buys again", plan{pools: []uint32{1, 2, 2},
			reservations: map[string]wish{"a": one("A", 0, 1), "b": one("B", 0, 1), "c": one("A", 1, 2), "d": one("A", 2, 2)},
			programs:     [][]do{{reserve("c"), reserve("a"), late("expire", "a")}, {reserve("b"), reserve("d")}}, preemptions: every}},
		{"what was released is bought, then its account buys again", plan{pools: []uint32{1, 2, 2},
			reservations: map[string]wish{"a": one("A", 0, 1), "b": one("B", 0, 1), "c": one("A", 1, 2), "d": one("A", 2, 2)},
			programs:     [][]do{{reserve("c"), reserve("a"), on("release", "a")}, {reserve("b"), reserve("d")}}, preemptions: 3}},
		{"the facts of the cap, over two that are confirmed", plan{pools: []uint32{2, 1, 3},
			reservations: map[string]wish{"a": one("A", 0, 2), "b": one("A", 1, 1), "c": one("A", 2, 2)},
			programs:     [][]do{{reserve("a"), on("confirm", "a")}, {reserve("b"), on("confirm", "b")}, {reserve("c")}}, preemptions: 2}},
		{"the drainer beside pushes", plan{pools: []uint32{2, 2},
			reservations: map[string]wish{"a": pack("A", 0, 1), "b": one("B", 0, 1)},
			programs:     [][]do{{reserve("a"), on("release", "a")}, {reserve("b")}, {{kind: "drain"}, {kind: "drain"}}}}},
	}
}

// judge holds a finished schedule against the rules.
func (e *explorer) judge() {
	e.drain()
	require.EqualValues(e.t, len(e.order), e.v.Placed())
	for o, seq := range e.placed {
		require.Equal(e.t, o, e.order[seq-1], "I5: a caller waits for another record than its own")
	}
	e.legalPrefixes()
	slices.SortFunc(e.history, func(a, b answered) int { return a.call - b.call })
	key := fmt.Sprint(e.history)
	if !e.judged[key] {
		require.True(e.t, e.linearizable(e.history, sequential{}), "I7: %s\nschedule %v", key, e.choices)
		e.judged[key] = true
	}
}

// legalPrefixes (I6): whatever the journal is cut behind, no pool has more taken than it has, no account is over its
// cap or a session limit, and nothing ends that was not taken before, or twice.
func (e *explorer) legalPrefixes() {
	taken := make([]int, len(e.pools))
	byAccount, bySession := map[uint32]int{}, map[uint64]int{}
	open := map[uint32]bool{}
	for n, o := range e.order {
		r := e.v.reservations.at(o.Index)
		sign := 1
		if o.Kind == Ended {
			if !open[o.Index] {
				e.t.Fatalf("I6, I3: record %d of %v ends what is not open", n, e.order)
			}
			open[o.Index] = false
			if State(r.state.Load()) == Confirmed {
				continue
			}
			sign = -1
		} else {
			if _, twice := open[o.Index]; twice {
				e.t.Fatalf("I9: record %d of %v takes again", n, e.order)
			}
			open[o.Index] = true
		}
		for i := range int(r.count) {
			l := e.v.lineAt(r, i)
			pool := int(l.Pool)
			taken[pool] += sign * int(l.Quantity)
			byAccount[r.account] += sign * int(l.Quantity)
			bySession[uint64(r.account)<<32|uint64(pool)] += sign * int(l.Quantity)
			if taken[pool] > int(e.pools[pool]) || byAccount[r.account] > exploredCap || bySession[uint64(r.account)<<32|uint64(pool)] > exploredLimit {
				e.t.Fatalf("I6: after record %d of %v: %v taken, %v by account, %v by session", n, e.order, taken, byAccount, bySession)
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

// refusals lists what a wish may be refused with; nothing when it is granted.
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
		held, confirmed := count(func(account string, other Line) bool { return account == w.account && other.Pool == l.Pool })
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
