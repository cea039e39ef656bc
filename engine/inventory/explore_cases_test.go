//go:build seathold_yield

package inventory

type exploredCase struct {
	title string
	plan
}

// explored are the cases of the model of the protocol, and what the model leaves out: ends that race, ids, reads.
func explored() []exploredCase {
	reserve := func(name string) do { return do{kind: "reserve", name: name} }
	of := func(kind, name string) do { return do{kind: kind, name: name} }
	late := func(kind, name string) do { return do{kind: kind, name: name, now: 10} }
	pack := func(account string, a, b uint32) wish {
		return wish{account: account, expires: 5, lines: lines(a, 1, b, 1)}
	}
	one := func(account string, pool, quantity uint32) wish {
		return wish{account: account, expires: 5, lines: lines(pool, quantity)}
	}
	// Five reservations of one account, of which the cap allows four and the session three.
	summarized := map[string]wish{}
	for i, name := range []string{"a", "b", "c", "d", "e"} {
		summarized[name] = one("A", uint32(i%2), 1)
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
			programs:     [][]do{{reserve("a"), of("release", "a")}, {reserve("b")}, {reserve("c")}}}},
		{"one account, one cap", plan{pools: []uint32{9, 1},
			reservations: map[string]wish{"a": {account: "A", lines: lines(0, 2, 1, 2)}, "b": one("A", 0, 3),
				"c": one("A", 1, 1)},
			programs: [][]do{{reserve("a")}, {reserve("b")}, {reserve("c")}}}},
		{"the cap, over a pack that fails by race", plan{pools: []uint32{9, 2},
			reservations: map[string]wish{"a": {account: "A", lines: lines(0, 2, 1, 2)}, "b": one("A", 0, 3),
				"c": one("C", 1, 1)},
			programs: [][]do{{reserve("a")}, {reserve("b")}, {reserve("c")}}}},
		{"the cap, over two that never counted together", plan{pools: []uint32{1, 9},
			reservations: map[string]wish{"a": one("A", 0, 1), "b": pack("A", 0, 1), "c": one("A", 1, 2)},
			programs:     [][]do{{reserve("b")}, {reserve("a"), of("release", "a")}, {reserve("c")}}}},
		{"cap and release", plan{pools: []uint32{9, 9},
			reservations: map[string]wish{"a": {account: "A", expires: 5, lines: lines(0, 2, 1, 2)}, "b": one("A", 0, 1),
				"c": one("B", 1, 3)},
			programs: [][]do{{reserve("a"), of("release", "a")}, {reserve("b")}, {reserve("c")}}}},
		{"cap and confirm", plan{pools: []uint32{9, 9},
			reservations: map[string]wish{"a": one("A", 0, 2), "b": one("A", 1, 1), "c": one("A", 1, 3)},
			programs:     [][]do{{reserve("a"), of("confirm", "a")}, {reserve("b"), of("confirm", "b")}, {reserve("c")}},
			preemptions:  2}},
		{"freed stock, three buyers", plan{pools: []uint32{1, 1},
			reservations: map[string]wish{"a": pack("A", 0, 1), "b": one("B", 0, 1), "c": one("C", 1, 1), "d": one("D", 1, 1)},
			programs:     [][]do{{reserve("a"), of("release", "a")}, {reserve("b"), reserve("d")}, {reserve("c")}}}},
		{"confirm, release and expiry", plan{pools: []uint32{1},
			reservations: map[string]wish{"a": one("A", 0, 1), "b": one("B", 0, 1)},
			programs: [][]do{{reserve("a"), of("confirm", "a")}, {of("release", "a"), reserve("b")},
				{late("expire", "a")}}}},
		{"past its time", plan{pools: []uint32{1, 1},
			reservations: map[string]wish{"a": pack("A", 0, 1), "b": one("B", 1, 1)},
			programs:     [][]do{{reserve("a"), late("confirm", "a")}, {late("release", "a"), reserve("b")}},
			preemptions:  5}},
		{"one id, two wishes", plan{pools: []uint32{1, 1},
			reservations: map[string]wish{"a": one("A", 0, 1), "b": {account: "B", expires: 5, lines: lines(1, 1), id: "a"}},
			programs:     [][]do{{reserve("a")}, {reserve("b")}}, preemptions: every}},
		{"one id, the first try fails by race", plan{pools: []uint32{1, 1},
			reservations: map[string]wish{"a": pack("A", 0, 1),
				"b": {account: "B", expires: 5, lines: lines(0, 1), id: "a"}, "c": one("C", 1, 1)},
			programs: [][]do{{reserve("a")}, {reserve("b")}, {reserve("c")}}}},
		{"one id, two tries after one that failed", plan{pools: []uint32{1, 1, 9},
			reservations: map[string]wish{"a": pack("A", 0, 1), "b": {account: "B", expires: 5, lines: lines(2, 1), id: "a"},
				"c": one("C", 1, 1), "d": {account: "D", expires: 5, lines: lines(2, 2), id: "a"}},
			programs: [][]do{{reserve("a")}, {reserve("c")}, {reserve("b")}, {reserve("d")}}, preemptions: 2}},
		{"the buyer that found the last one sold reads the ledger", plan{pools: []uint32{1},
			reservations: map[string]wish{"a": one("A", 0, 1), "b": one("B", 0, 1)},
			programs:     [][]do{{reserve("a")}, {reserve("b"), of("ledger", "A"), of("read", "a")}}, preemptions: every}},
		{"the buyer of what was released reads it", plan{pools: []uint32{1},
			reservations: map[string]wish{"a": one("A", 0, 1), "b": one("B", 0, 1)},
			programs:     [][]do{{reserve("a"), of("release", "a")}, {reserve("b"), of("read", "a"), of("ledger", "A")}},
			preemptions:  5}},
		{"a ledger of two reservations", plan{pools: []uint32{9},
			reservations: map[string]wish{"a": one("A", 0, 1), "b": one("A", 0, 1)},
			programs: [][]do{{reserve("a"), of("confirm", "a")}, {reserve("b"), of("release", "b")},
				{of("ledger", "A")}},
			preemptions: 2}},
		{"two looks at a ledger", plan{pools: []uint32{9},
			reservations: map[string]wish{"a": one("A", 0, 1)},
			programs:     [][]do{{reserve("a"), of("confirm", "a")}, {of("ledger", "A"), of("ledger", "A")}},
			preemptions:  every}},
		{"what expired is bought, then its account buys again", plan{pools: []uint32{1, 2, 2},
			reservations: map[string]wish{"a": one("A", 0, 1), "b": one("B", 0, 1), "c": one("A", 1, 2), "d": one("A", 2, 2)},
			programs:     [][]do{{reserve("c"), reserve("a"), late("expire", "a")}, {reserve("b"), reserve("d")}},
			preemptions:  4}},
		{"what was released is bought, then its account buys again", plan{pools: []uint32{1, 2, 2},
			reservations: map[string]wish{"a": one("A", 0, 1), "b": one("B", 0, 1), "c": one("A", 1, 2), "d": one("A", 2, 2)},
			programs:     [][]do{{reserve("c"), reserve("a"), of("release", "a")}, {reserve("b"), reserve("d")}},
			preemptions:  3}},
		{"the facts of the cap, over two that are confirmed", plan{pools: []uint32{2, 1, 3},
			reservations: map[string]wish{"a": one("A", 0, 2), "b": one("A", 1, 1), "c": one("A", 2, 2)},
			programs:     [][]do{{reserve("a"), of("confirm", "a")}, {reserve("b"), of("confirm", "b")}, {reserve("c")}},
			preemptions:  2}},
		{"a summary, and what ends in it", plan{pools: []uint32{9, 9}, long: true, reservations: summarized,
			programs:    [][]do{{reserve("a"), reserve("b"), reserve("c"), reserve("d")}, {of("release", "a"), reserve("e")}},
			preemptions: 2}},
		{"a summary, and the end of its first", plan{pools: []uint32{9, 9}, long: true, reservations: summarized,
			programs: [][]do{{reserve("a"), reserve("b"), reserve("c"), reserve("d")},
				{of("release", "b"), of("release", "a"), reserve("e")}}, preemptions: 2}},
		{"two summaries of a ledger", plan{pools: []uint32{9, 9}, long: true, reservations: summarized,
			programs:    [][]do{{reserve("a"), reserve("b"), reserve("c")}, {reserve("d"), of("release", "a"), reserve("e")}},
			preemptions: 2}},
		{"a summary of what is confirmed", plan{pools: []uint32{9, 9}, long: true, reservations: summarized,
			programs: [][]do{{reserve("a"), reserve("b"), reserve("c"), of("confirm", "a"), of("confirm", "b")},
				{reserve("d"), reserve("e")}}, preemptions: 2}},
		{"the drainer beside pushes", plan{pools: []uint32{2, 2},
			reservations: map[string]wish{"a": pack("A", 0, 1), "b": one("B", 0, 1)},
			programs:     [][]do{{reserve("a"), of("release", "a")}, {reserve("b")}, {{kind: "drain"}, {kind: "drain"}}}}},
	}
}
