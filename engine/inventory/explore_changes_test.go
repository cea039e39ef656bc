//go:build seathold_yield

package inventory

import (
	"fmt"
	"maps"
	"slices"
)

// The calls that can race on one reservation, "x".
var exploredCalls = []string{"confirm", "release", "expire", "extend", "reduce", "return", "replace", "again",
	"reserve"}

// exploredStarts are the states in which "x" may be before two calls race on it, and what leads to them.
var exploredStarts = map[string][]string{"held": nil, "confirmed": {"confirm"}, "expired": {"expire"},
	"returned": {"confirm", "return"}}

// changed are the wishes of the generated cases: "x", and what it is changed to by two callers.
func changed() map[string]wish {
	x := func(expires int64, lines []Line) wish {
		return wish{account: "A", expires: expires, lines: lines, id: "x"}
	}
	x0 := lines(0, 2, 1, 1)
	return map[string]wish{
		"x":       {account: "A", expires: 5, lines: x0},
		"extend0": x(9, x0), "extend1": x(8, x0),
		"reduce0": x(5, lines(0, 1, 1, 1)), "reduce1": x(5, lines(0, 2)),
		"reserve0": x(5, x0), "reserve1": x(5, lines(0, 1)),
		"replace0": {account: "A", expires: 5, lines: lines(0, 1, 1, 3)},
		"replace1": {account: "A", expires: 5, lines: lines(1, 2, 0, 2)},
	}
}

// onX is a call on "x" by one of two callers.
func onX(kind string, caller int, start string) do {
	op, to := do{kind: kind, name: "x"}, fmt.Sprint(kind, caller)
	if kind == "expire" || kind == "again" || start == "expired" {
		op.now = 6
	}
	switch kind {
	case "reserve":
		op.name = to
	case "replace":
		op.name, op.with = to, "x"
	case "extend", "reduce":
		op.with = to
	}
	return op
}

// leadTo are the calls that bring "x" to a state.
func leadTo(start string) []do {
	before := []do{{kind: "reserve", name: "x"}}
	for _, kind := range exploredStarts[start] {
		before = append(before, onX(kind, 0, start))
	}
	return before
}

// pairs are all pairs of calls that race on one reservation, in every state that it can have before.
func pairs() (all []exploredCase) {
	for _, start := range slices.Sorted(maps.Keys(exploredStarts)) {
		for i, one := range exploredCalls {
			for _, other := range exploredCalls[i:] {
				all = append(all, exploredCase{fmt.Sprintf("%s and %s of what is %s", one, other, start),
					plan{pools: []uint32{2, 3}, reservations: changed(), before: leadTo(start),
						programs:    [][]do{{onX(one, 0, start)}, {onX(other, 1, start)}},
						preemptions: pairBound(one, other, start)}})
			}
		}
	}
	return all
}

// pairBound is the bound of a pair: none, except where a change races with a replace, or with a call that ends the
// reservation, takes it again and confirms it. Such a pair has up to millions of schedules.
func pairBound(one, other, start string) int {
	ends := []string{"confirm", "release", "expire", "reserve"}
	if start == "held" && (one == "again" || other == "again") && !slices.Contains(ends, one) && other != "reserve" {
		return 3
	}
	if start == "held" && other == "replace" && (one == "extend" || one == "reduce") {
		return 3
	}
	return every
}

// beside are the changes, each beside those who look and those who buy.
func beside() (all []exploredCase) {
	others := []struct {
		title       string
		calls       []do
		preemptions int
	}{
		{"a reader", []do{{kind: "ledger", name: "A"}, {kind: "read", name: "x"}}, 4},
		{"a reader of the stock", []do{{kind: "stock"}}, every},
		{"the census", []do{{kind: "census"}}, 4},
		{"a buyer who reads", []do{{kind: "reserve", name: "b"}, {kind: "read", name: "x"}, {kind: "ledger", name: "A"}}, 3},
		{"a buyer of its account", []do{{kind: "reserve", name: "a"}}, every},
	}
	for _, change := range []struct {
		kind, start string
		withhold    bool
	}{
		{"extend", "held", false}, {"reduce", "held", false}, {"replace", "held", false}, {"reduce", "confirmed", false},
		{"return", "confirmed", false}, {"return", "confirmed", true}, {"again", "expired", false},
	} {
		p := plan{pools: []uint32{2, 3}, reservations: changed(), before: leadTo(change.start), withhold: change.withhold}
		p.reservations["a"] = wish{account: "A", expires: 9, lines: lines(1, 2)}
		p.reservations["b"] = wish{account: "B", expires: 9, lines: lines(0, 1, 1, 1)}
		own := []do{onX(change.kind, 0, change.start)}
		title := fmt.Sprintf("%s of what is %s", change.kind, change.start)
		if change.withhold {
			title += " and then withheld"
		}
		for _, other := range others {
			p.programs, p.preemptions = [][]do{own, other.calls}, other.preemptions
			all = append(all, exploredCase{title + " beside " + other.title, p})
		}
		p.programs, p.preemptions = [][]do{own, {{kind: "drain"}, {kind: "drain"}}, {{kind: "checkpoint"}}}, 3
		all = append(all, exploredCase{title + " beside drain and checkpoint", p})
	}
	return all
}
