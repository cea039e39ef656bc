//go:build seathold_yield

package inventory

// races are changes among three callers, or with a stock and caps of their own.
func races() []exploredCase {
	reserve := func(name string) do { return do{kind: "reserve", name: name} }
	of := func(kind, name string) do { return do{kind: kind, name: name} }
	to := func(kind, name, with string) do { return do{kind: kind, name: name, with: with} }
	late := func(kind, name string) do { return do{kind: kind, name: name, now: 6} }
	wished := func(account string, poolsAndQuantities ...uint32) wish {
		return wish{account: account, expires: 5, lines: lines(poolsAndQuantities...)}
	}
	x := func(expires int64, poolsAndQuantities ...uint32) wish {
		return wish{account: "A", expires: expires, lines: lines(poolsAndQuantities...), id: "x"}
	}
	x1 := []do{reserve("x")}
	expired := []do{reserve("x"), late("expire", "x")}
	sold := []do{reserve("x"), of("confirm", "x")}
	four := map[string]wish{"a": wished("A", 0, 1), "a1": {account: "A", expires: 9, lines: lines(0, 1), id: "a"},
		"b": wished("A", 1, 2), "b1": {account: "A", expires: 5, lines: lines(1, 1), id: "b"}, "c": wished("A", 0, 1),
		"d": wished("A", 0, 1), "e": wished("A", 1, 1)}
	var often []do
	for i := range 5 {
		often = append(often, to("extend", "x", "x1"), to("extend", "x", "x2"))
		if i == 0 {
			often = append([]do{reserve("x")}, often...)
		}
	}
	return []exploredCase{
		{"the last four become three", plan{pools: []uint32{2, 2}, before: x1,
			reservations: map[string]wish{"x": wished("A", 0, 2, 1, 2), "y": wished("A", 0, 2, 1, 1), "z": wished("B", 1, 1)},
			programs:     [][]do{{to("replace", "y", "x")}, {reserve("z"), of("ledger", "A")}}, preemptions: every}},
		{"replace beside confirm", plan{pools: []uint32{3, 3}, before: x1,
			reservations: map[string]wish{"x": wished("A", 0, 2, 1, 1), "y": wished("A", 0, 1, 1, 2)},
			programs:     [][]do{{to("replace", "y", "x")}, {of("confirm", "x"), of("confirm", "y")}}, preemptions: every}},
		{"replace beside release and a buyer", plan{pools: []uint32{2}, before: x1,
			reservations: map[string]wish{"x": wished("A", 0, 1), "y": wished("A", 0, 2), "z": wished("B", 0, 1)},
			programs:     [][]do{{to("replace", "y", "x")}, {of("release", "x")}, {reserve("z")}}}},
		{"a replace that is refused over its account, beside release", plan{pools: []uint32{9, 9}, before: x1,
			reservations: map[string]wish{"x": wished("A", 0, 2), "y": wished("A", 0, 1, 1, 2), "z": wished("A", 1, 2)},
			programs:     [][]do{{to("replace", "y", "x")}, {of("release", "x"), reserve("z")}}, preemptions: every}},
		{"a replace that is refused over its stock, beside release", plan{pools: []uint32{2, 2}, before: x1,
			reservations: map[string]wish{"x": wished("A", 0, 1), "y": wished("A", 1, 2), "z": wished("B", 1, 2)},
			programs:     [][]do{{to("replace", "y", "x")}, {of("release", "x"), reserve("z")}}, preemptions: every}},
		{"two replace one another's pools", plan{pools: []uint32{1, 1, 1}, before: []do{reserve("x"), reserve("u")},
			reservations: map[string]wish{"x": wished("A", 0, 1), "y": wished("A", 1, 1, 2, 1), "u": wished("B", 1, 1),
				"v": wished("B", 0, 1, 2, 1)},
			programs: [][]do{{to("replace", "y", "x")}, {to("replace", "v", "u")}}, preemptions: every}},
		{"a replace that fails by race, beside a single", plan{pools: []uint32{1, 1, 1}, before: x1,
			reservations: map[string]wish{"x": wished("A", 0, 1), "y": wished("A", 1, 1, 2, 1), "u": wished("B", 2, 1),
				"v": wished("C", 1, 1)},
			programs: [][]do{{to("replace", "y", "x")}, {reserve("u")}, {reserve("v")}}}},
		{"replace at the cap", plan{pools: []uint32{9, 9}, before: x1,
			reservations: map[string]wish{"x": wished("A", 0, 2, 1, 2), "y": wished("A", 1, 3), "z": wished("A", 0, 1)},
			programs:     [][]do{{to("replace", "y", "x")}, {reserve("z")}}, preemptions: every}},
		{"replace beside what its account buys", plan{pools: []uint32{9, 9}, before: x1,
			reservations: map[string]wish{"x": wished("A", 0, 2, 1, 1), "y": wished("A", 0, 1, 1, 3), "z": wished("A", 0, 1)},
			programs:     [][]do{{to("replace", "y", "x")}, {reserve("z")}}, preemptions: every}},
		{"replace at a session limit", plan{pools: []uint32{9}, before: x1,
			reservations: map[string]wish{"x": wished("A", 0, 2), "y": wished("A", 0, 3), "z": wished("A", 0, 1)},
			programs:     [][]do{{to("replace", "y", "x")}, {reserve("z")}}, preemptions: every}},
		{"a repeat beside replace", plan{pools: []uint32{4}, before: x1,
			reservations: map[string]wish{"x": wished("A", 0, 2), "y": wished("A", 0, 1)},
			programs:     [][]do{{to("replace", "y", "x")}, {to("replace", "y", "x"), of("release", "y")}}, preemptions: 5}},
		{"reduce at the cap", plan{pools: []uint32{9, 9}, before: x1,
			reservations: map[string]wish{"x": wished("A", 0, 2, 1, 2), "x1": x(5, 0, 1, 1, 1), "z": wished("A", 0, 2)},
			programs:     [][]do{{to("reduce", "x", "x1")}, {reserve("z")}}, preemptions: every}},
		{"reduce beside confirm and a buyer", plan{pools: []uint32{2}, before: x1,
			reservations: map[string]wish{"x": wished("A", 0, 2), "x1": x(5, 0, 1), "z": wished("B", 0, 1)},
			programs:     [][]do{{to("reduce", "x", "x1")}, {of("confirm", "x")}, {reserve("z")}}}},
		{"what a reduce frees, bought in turn", plan{pools: []uint32{2, 2}, before: x1,
			reservations: map[string]wish{"x": wished("A", 0, 2, 1, 2), "x1": x(5, 0, 1, 1, 1), "z": wished("B", 0, 1),
				"u": wished("C", 1, 1)},
			programs: [][]do{{to("reduce", "x", "x1")}, {reserve("z"), reserve("u")}}, preemptions: every}},
		{"two reduce, and one confirms", plan{pools: []uint32{3}, before: x1,
			reservations: map[string]wish{"x": wished("A", 0, 3), "x1": x(5, 0, 1), "x2": x(5, 0, 2)},
			programs:     [][]do{{to("reduce", "x", "x1")}, {to("reduce", "x", "x2"), of("confirm", "x")}}}},
		{"extend beside the sweep", plan{pools: []uint32{1}, before: x1,
			reservations: map[string]wish{"x": wished("A", 0, 1), "x1": x(9, 0, 1)},
			programs:     [][]do{{to("extend", "x", "x1")}, {late("expire", "x")}, {late("confirm", "x")}}}},
		{"extend to an earlier end", plan{pools: []uint32{1}, before: x1,
			reservations: map[string]wish{"x": {account: "A", expires: 9, lines: lines(0, 1)}, "x1": x(5, 0, 1)},
			programs:     [][]do{{to("extend", "x", "x1")}, {late("confirm", "x")}}, preemptions: every}},
		{"return beside reduce and a buyer", plan{pools: []uint32{2}, before: sold,
			reservations: map[string]wish{"x": wished("A", 0, 2), "x1": x(5, 0, 1), "z": wished("B", 0, 1)},
			programs:     [][]do{{of("return", "x")}, {to("reduce", "x", "x1")}, {reserve("z")}}}},
		{"again beside a buyer", plan{pools: []uint32{1}, before: x1,
			reservations: map[string]wish{"x": wished("A", 0, 1), "z": wished("B", 0, 1)},
			programs:     [][]do{{late("again", "x")}, {late("expire", "x")}, {reserve("z")}}}},
		{"two again, with room for both", plan{pools: []uint32{9}, before: expired,
			reservations: map[string]wish{"x": wished("A", 0, 1)},
			programs:     [][]do{{late("again", "x")}, {late("again", "x"), of("return", "x")}}}},
		{"an again that fails by race, beside another", plan{pools: []uint32{1, 1}, before: expired,
			reservations: map[string]wish{"x": wished("A", 0, 1, 1, 1), "z": wished("B", 1, 1)},
			programs:     [][]do{{late("again", "x")}, {late("again", "x")}, {reserve("z"), of("release", "z")}},
			preemptions:  2}},
		{"again beside what its account buys", plan{pools: []uint32{9, 9}, before: expired,
			reservations: map[string]wish{"x": wished("A", 0, 2, 1, 2), "z": wished("A", 0, 2)},
			programs:     [][]do{{late("again", "x"), of("return", "x")}, {reserve("z")}}}},
		{"a long way to the row that has the id", plan{pools: []uint32{1}, before: often,
			reservations: map[string]wish{"x": wished("A", 0, 1), "x1": x(8, 0, 1), "x2": x(9, 0, 1)},
			programs:     [][]do{{of("read", "x"), of("release", "x")}, {of("read", "x")}, {to("extend", "x", "x1")}}}},
		{"a summary, and what changes in it", plan{pools: []uint32{9, 9}, long: true, reservations: four,
			before:   []do{reserve("a"), reserve("b"), reserve("c")},
			programs: [][]do{{to("extend", "a", "a1"), to("reduce", "b", "b1")}, {reserve("d"), reserve("e")}}, preemptions: 2}},
		{"a summary, and the change of its first", plan{pools: []uint32{9, 9}, long: true, reservations: four,
			before:   []do{reserve("a"), reserve("b"), of("confirm", "b"), reserve("c")},
			programs: [][]do{{to("reduce", "b", "b1"), of("return", "b")}, {reserve("d"), reserve("e")}}, preemptions: 2}},
		{"a summary, and a replace in it", plan{pools: []uint32{9, 9}, long: true, reservations: four,
			before:   []do{reserve("a"), reserve("b"), reserve("c")},
			programs: [][]do{{to("replace", "d", "a")}, {reserve("e"), of("ledger", "A")}}}},
	}
}
