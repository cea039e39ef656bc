//go:build seathold_yield

package inventory

import "fmt"

// longAccount is the name of an account that is a text.
const longAccount = "an account whose name is longer than what its row has room for"

// recyclings are cases in which rows are used again.
func recyclings() []exploredCase {
	reserve := func(name string) do { return do{kind: "reserve", name: name} }
	of := func(kind, name string) do { return do{kind: kind, name: name} }
	to := func(kind, name, with string) do { return do{kind: kind, name: name, with: with} }
	late := func(kind, name string) do { return do{kind: kind, name: name, now: 6} }
	wished := func(account string, poolsAndQuantities ...uint32) wish {
		return wish{account: account, expires: 5, lines: lines(poolsAndQuantities...)}
	}
	x := func(account string, poolsAndQuantities ...uint32) wish {
		return wish{account: account, expires: 5, lines: lines(poolsAndQuantities...), id: "x"}
	}
	drain, reclaim, sweep := do{kind: "drain"}, do{kind: "reclaim"}, do{kind: "sweep", now: 6}
	ended := []do{reserve("x"), of("release", "x"), drain}
	expired := []do{reserve("x"), late("expire", "x"), drain}
	two := map[string]wish{"x": wished("A", 0, 1), "y": wished("B", 0, 1)}
	return []exploredCase{
		{"one row for two accounts", plan{pools: []uint32{9}, before: ended, reservations: two,
			programs: [][]do{{of("read", "x"), of("ledger", "A")}, {reclaim, reserve("y")}}, preemptions: 3}},
		{"one row for two accounts, and one spread", plan{pools: []uint32{9}, before: ended, reservations: two,
			oneSpread: true, programs: [][]do{{of("confirm", "x")}, {of("read", "y")}, {reclaim, reserve("y")}},
			preemptions: 2}},
		{"an end that is not durable yet", plan{pools: []uint32{9}, before: []do{reserve("x")}, reservations: two,
			programs: [][]do{{of("release", "x"), of("read", "x")}, {reclaim, reserve("y"), drain}}, preemptions: 3}},
		{"the same id again", plan{pools: []uint32{9}, before: ended,
			reservations: map[string]wish{"x": wished("A", 0, 1), "x1": x("B", 0, 2)},
			programs:     [][]do{{of("release", "x"), of("read", "x")}, {reclaim, reserve("x1")}}, preemptions: 3}},
		{"the same id again, by two", plan{pools: []uint32{9}, before: ended,
			reservations: map[string]wish{"x": wished("A", 0, 1), "x1": x("B", 0, 2), "x2": x("C", 0, 3)},
			programs:     [][]do{{reserve("x1")}, {reserve("x2")}, {reclaim}}, preemptions: 2}},
		{"an id that expired, again", plan{pools: []uint32{9}, before: expired,
			reservations: map[string]wish{"x": wished("A", 0, 1), "x1": x("B", 0, 2), "y": wished("B", 0, 1)},
			programs:     [][]do{{reserve("x1"), of("read", "x")}, {reclaim, reserve("y")}}, preemptions: 3}},
		{"a refusal beside a forgotten id", plan{pools: []uint32{1, 1},
			reservations: map[string]wish{"x": wished("A", 1, 1), "x1": x("B", 0, 1), "y": wished("C", 0, 1)},
			programs: [][]do{{reserve("x1")},
				{reserve("x"), reserve("y"), of("release", "y"), of("release", "x"), drain, reclaim}}, preemptions: 2}},
		{"an id after one that failed", plan{pools: []uint32{1, 1},
			reservations: map[string]wish{"a": wished("A", 0, 1, 1, 1), "b": {account: "B", expires: 5, lines: lines(0, 1),
				id: "a"}, "c": wished("C", 1, 1)},
			programs:    [][]do{{reserve("a")}, {reserve("c")}, {reserve("b"), of("release", "b"), drain, reclaim}},
			preemptions: 2}},
		{"an id after one that failed, by two", plan{pools: []uint32{1, 1, 9}, before: []do{reclaim},
			reservations: map[string]wish{"a": wished("A", 0, 1, 1, 1), "c": wished("C", 1, 1),
				"b": {account: "B", expires: 5, lines: lines(2, 1), id: "a"},
				"d": {account: "D", expires: 5, lines: lines(2, 2), id: "a"}},
			programs: [][]do{{reserve("a")}, {reserve("c")}, {reserve("b")}, {reserve("d")}}, preemptions: 2}},
		{"a link, and a change of the one before it", plan{pools: []uint32{9, 9},
			before: []do{reserve("a"), reserve("x"), of("release", "a"), drain},
			reservations: map[string]wish{"a": wished("A", 0, 1), "x": wished("A", 0, 1), "x1": {account: "A", expires: 9,
				lines: lines(0, 1), id: "x"}, "y": wished("B", 0, 1)},
			programs: [][]do{{reclaim, reserve("y")}, {to("extend", "x", "x1"), of("ledger", "A")}}, preemptions: 2}},
		{"a chain goes at once", plan{pools: []uint32{9},
			before: []do{reserve("x"), to("extend", "x", "x1"), to("extend", "x", "x2"), of("release", "x"), drain},
			reservations: map[string]wish{"x": wished("A", 0, 1), "x1": {account: "A", expires: 9, lines: lines(0, 1),
				id: "x"}, "x2": {account: "A", expires: 8, lines: lines(0, 1), id: "x"}, "x3": x("B", 0, 2)},
			programs: [][]do{{of("read", "x"), of("read", "x")}, {reclaim, reserve("x3")}}, preemptions: 3}},
		{"a chain of which the last is alive", plan{pools: []uint32{9},
			before: []do{reserve("x"), to("extend", "x", "x1"), to("extend", "x", "x2"), drain},
			reservations: map[string]wish{"x": wished("A", 0, 1), "x1": {account: "A", expires: 9, lines: lines(0, 1),
				id: "x"}, "x2": {account: "A", expires: 8, lines: lines(0, 1), id: "x"}, "y": wished("B", 0, 2)},
			programs: [][]do{{of("release", "x")}, {to("extend", "x", "x1")}, {reclaim, reserve("y")}}, preemptions: 2}},
		{"what took the place of another one ends", plan{pools: []uint32{9}, before: []do{reserve("x"),
			to("replace", "z", "x"), drain},
			reservations: map[string]wish{"x": wished("A", 0, 1), "z": wished("A", 0, 2), "z1": {account: "A", expires: 9,
				lines: lines(0, 2), id: "z"}, "y": wished("B", 0, 2)},
			programs: [][]do{{to("extend", "z", "z1"), of("release", "z")}, {drain, reclaim, reserve("y")}}, preemptions: 2}},
		{"the index moves", plan{pools: []uint32{9}, before: ended, reservations: two,
			programs: [][]do{{reserve("y")}, {{kind: "grow"}, {kind: "move"}}, {reclaim}}, preemptions: 2}},
		{"a summary, and its first row is used again", plan{pools: []uint32{9, 9}, long: true,
			before: []do{reserve("a"), reserve("b"), reserve("c"), of("release", "a"), of("release", "b"), of("release", "c"),
				drain},
			reservations: map[string]wish{"a": wished("A", 0, 1), "b": wished("A", 1, 1), "c": wished("A", 0, 1),
				"d": wished("A", 1, 1), "y": wished("A", 0, 3), "z": wished("A", 1, 1)},
			programs: [][]do{{reserve("d")}, {reclaim, reserve("y"), reserve("z")}}, preemptions: 2}},
		{"a change that fails keeps no text", plan{pools: []uint32{9}, before: []do{reserve("x"), of("confirm", "x"), drain},
			reservations: map[string]wish{"x": wished("A", 0, 2), "x1": x("A", 0, 1), "y": wished("B", 0, 1)},
			programs:     [][]do{{to("reduce", "x", "x1")}, {of("return", "x"), drain, reclaim, reserve("y")}}, preemptions: 2}},
		{"two again beside the reclaimer", plan{pools: []uint32{9}, before: expired, reservations: two,
			programs: [][]do{{late("again", "x")}, {late("again", "x")}, {reclaim}}, preemptions: 2}},
		{"again against forgetting", plan{pools: []uint32{9}, before: expired, reservations: two,
			programs: [][]do{{late("again", "x")}, {reclaim, reserve("y"), drain}}, preemptions: 3}},
		{"a new end that is over before the old one passes its id on", plan{pools: []uint32{9}, before: []do{reserve("x")},
			reservations: map[string]wish{"x": {account: "A", expires: 9, lines: lines(0, 1)}, "x1": x("A", 0, 1),
				"y": wished("B", 0, 1)},
			programs: [][]do{{to("extend", "x", "x1")}, {sweep, drain, reclaim, reserve("y")}}, preemptions: 2}},
	}
}

// recycledByNumber are cases with those who come to rows by their numbers.
func recycledByNumber() []exploredCase {
	reserve := func(name string) do { return do{kind: "reserve", name: name} }
	of := func(kind, name string) do { return do{kind: kind, name: name} }
	wished := func(account string, poolsAndQuantities ...uint32) wish {
		return wish{account: account, expires: 5, lines: lines(poolsAndQuantities...)}
	}
	drain, reclaim, sweep := do{kind: "drain"}, do{kind: "reclaim"}, do{kind: "sweep", now: 6}
	ended := []do{reserve("x"), of("release", "x"), drain}
	two := map[string]wish{"x": wished("A", 0, 1), "y": wished("B", 0, 1)}
	return []exploredCase{
		{"the sweep comes by number", plan{pools: []uint32{9}, before: ended,
			reservations: map[string]wish{"x": wished("A", 0, 1), "y": wished("B", 0, 1), "z": wished("B", 0, 2)},
			programs:     [][]do{{sweep}, {reclaim, reserve("y"), reserve("z")}}, preemptions: 3}},
		{"the sweep, and a row that is used again", plan{pools: []uint32{9}, before: append(ended, reclaim, sweep),
			reservations: two,
			programs:     [][]do{{sweep, sweep}, {reserve("y"), of("release", "y"), drain, reclaim}}, preemptions: 3}},
		{"a checkpoint beside the same id again", plan{pools: []uint32{9}, before: ended,
			reservations: map[string]wish{"x": wished("A", 0, 1), "y": wished("C", 0, 1),
				"x1": {account: "B", expires: 5, lines: lines(0, 2), id: "x"}},
			programs: [][]do{{{kind: "checkpoint"}}, {reclaim, reserve("x1"), of("release", "x1"), drain, reclaim,
				reserve("y")}}, preemptions: 3}},
		{"a checkpoint, and a row between two uses", plan{pools: []uint32{1}, before: ended,
			reservations: map[string]wish{"x": wished("A", 0, 1), "y": wished("B", 0, 1), "z": wished("C", 0, 1)},
			programs:     [][]do{{{kind: "checkpoint"}}, {reclaim, reserve("y")}, {reserve("z")}}, preemptions: 2}},
		{"the census beside recycling", plan{pools: []uint32{9}, before: []do{reserve("x")}, reservations: two,
			programs:    [][]do{{{kind: "census"}}, {of("release", "x"), drain, reclaim, reserve("y")}},
			preemptions: 3}},
	}
}

// recycledAccountRows are cases in which rows of accounts are used again.
func recycledAccountRows() []exploredCase {
	reserve := func(name string) do { return do{kind: "reserve", name: name} }
	of := func(kind, name string) do { return do{kind: kind, name: name} }
	late := func(kind, name string) do { return do{kind: kind, name: name, now: 6} }
	wished := func(account string, poolsAndQuantities ...uint32) wish {
		return wish{account: account, expires: 5, lines: lines(poolsAndQuantities...)}
	}
	drain, reclaim := do{kind: "drain"}, do{kind: "reclaim"}
	until := do{kind: "reclaim", now: 10}
	ended := []do{reserve("x"), of("release", "x"), drain}
	return []exploredCase{
		{"an account is closed and made again", plan{pools: []uint32{9}, before: append(ended, reclaim),
			reservations: map[string]wish{"x": wished(longAccount, 0, 1), "y": wished(longAccount, 0, 1)},
			programs:     [][]do{{reserve("y"), of("read", "y")}, {reclaim, reclaim, reclaim}}, preemptions: 3}},
		{"an account is made again by two", plan{pools: []uint32{9}, before: append(ended, reclaim, reclaim),
			reservations: map[string]wish{"x": wished("A", 0, 1), "y": wished("A", 0, 3), "z": wished("A", 0, 2)},
			programs:     [][]do{{reserve("y")}, {reserve("z")}, {reclaim, reclaim}}, preemptions: 2}},
		{"an account's row for another one, beside what is remembered", plan{pools: []uint32{9},
			before: []do{reserve("w"), of("release", "w"), reserve("x"), of("release", "x"), drain, until},
			reservations: map[string]wish{"w": {account: "A", expires: 50, lines: lines(0, 1)}, "x": wished("A", 0, 1),
				"y": wished("B", 0, 1)},
			programs: [][]do{{of("read", "w")}, {until, until, until, reserve("y")}}, preemptions: 3}},
		{"again, and its account is closed", plan{pools: []uint32{9},
			before: []do{reserve("x"), late("expire", "x"), reserve("y"), of("release", "y"), drain},
			reservations: map[string]wish{"x": {account: "A", expires: 5, lines: lines(0, 1)},
				"y": {account: "A", expires: 4, lines: lines(0, 1)}},
			programs: [][]do{{late("again", "x")}, {{kind: "reclaim", now: 5}, {kind: "reclaim", now: 5},
				{kind: "reclaim", now: 5}, reclaim}}, preemptions: 2}},
	}
}

// recycledChanges are the changes, each beside the reclaimer and a reader.
func recycledChanges() (all []exploredCase) {
	for _, change := range []struct{ kind, start string }{{"extend", "held"}, {"reduce", "held"}, {"replace", "held"},
		{"reduce", "confirmed"}, {"return", "confirmed"}, {"again", "expired"}} {
		p := plan{pools: []uint32{4, 4}, reservations: changed(), before: append(leadTo(change.start), do{kind: "drain"}),
			preemptions: 2}
		p.reservations["y"] = wish{account: "B", expires: 9, lines: lines(0, 1)}
		p.programs = [][]do{{onX(change.kind, 0, change.start)}, {{kind: "read", name: "x"}},
			{{kind: "drain"}, {kind: "reclaim"}, {kind: "reserve", name: "y"}}}
		all = append(all, exploredCase{fmt.Sprintf("%s of what is %s, beside the reclaimer and a reader", change.kind,
			change.start), p})
	}
	return all
}
