//go:build seathold_yield

package inventory

// bounds are cases of quotas.
func bounds() []exploredCase {
	of := func(kind, name string) do { return do{kind: kind, name: name} }
	to := func(kind, name, with string) do { return do{kind: kind, name: name, with: with} }
	late := func(kind, name string) do { return do{kind: kind, name: name, now: 6} }
	reserve := func(name string) do { return of("reserve", name) }
	in := func(phase uint16, account string, poolsAndQuantities ...uint32) wish {
		return wish{account: account, expires: 5, lines: lines(poolsAndQuantities...), phase: phase}
	}
	x := func(phase uint16, expires int64, poolsAndQuantities ...uint32) wish {
		return wish{account: "A", expires: expires, lines: lines(poolsAndQuantities...), id: "x", phase: phase}
	}
	stock := func(poolsAndUnits ...uint32) wish { return wish{lines: lines(poolsAndUnits...)} }
	quota := func(phase uint16, session, units uint32) exploredQuota {
		return exploredQuota{Quota: Quota{Phase: phase, Session: session}, units: units}
	}
	lateQuota := exploredQuota{Quota: Quota{Phase: 1, Session: 0}, late: true}
	with := func(all ...exploredQuota) boundPlan { return boundPlan{quotas: all} }
	twoPools := boundPlan{quotas: []exploredQuota{quota(1, 0, 2)}, sessions: []uint32{0, 0}}
	x1 := []do{reserve("x")}
	sold := []do{reserve("x"), of("confirm", "x")}
	return []exploredCase{
		{"two buyers and the last place of a phase", plan{pools: []uint32{9}, boundPlan: with(quota(1, 0, 1)),
			reservations: map[string]wish{"a": in(1, "A", 0, 1), "b": in(1, "B", 0, 1)},
			programs:     [][]do{{reserve("a")}, {reserve("b")}}, preemptions: every}},
		{"the places of a phase beside another phase", plan{pools: []uint32{2}, boundPlan: with(quota(1, 0, 1)),
			reservations: map[string]wish{"a": in(1, "A", 0, 1), "b": in(1, "B", 0, 1), "c": in(2, "C", 0, 2)},
			programs:     [][]do{{reserve("a")}, {reserve("b")}, {reserve("c")}}}},
		{"one that fails at the places, beside the last ticket", plan{pools: []uint32{1}, boundPlan: with(quota(1, 0, 1)),
			before:       x1,
			reservations: map[string]wish{"x": in(1, "A", 0, 1), "a": in(1, "B", 0, 1), "c": in(2, "C", 0, 1)},
			programs:     [][]do{{of("release", "x")}, {reserve("a")}, {reserve("c")}}}},
		{"one that fails by race at the places, beside a buyer of its pool", plan{pools: []uint32{1, 9},
			boundPlan: boundPlan{quotas: []exploredQuota{quota(1, 0, 1)}, sessions: []uint32{0, 0}},
			reservations: map[string]wish{"a": in(1, "A", 0, 1), "b": in(1, "B", 1, 1),
				"c": in(2, "C", 0, 1)},
			programs: [][]do{{reserve("a")}, {reserve("b")}, {reserve("c")}}}},
		{"a place is released and bought", plan{pools: []uint32{9}, before: x1, boundPlan: with(quota(1, 0, 1)),
			reservations: map[string]wish{"x": in(1, "A", 0, 1), "b": in(1, "B", 0, 1)},
			programs:     [][]do{{of("release", "x")}, {reserve("b"), of("confirm", "b")}}, preemptions: every}},
		{"a ticket and a place are released, and bought in turn", plan{pools: []uint32{1, 9}, before: x1,
			boundPlan:    boundPlan{quotas: []exploredQuota{quota(1, 0, 1)}, sessions: []uint32{0, 0}},
			reservations: map[string]wish{"x": in(1, "A", 0, 1), "c": in(2, "C", 0, 1), "b": in(1, "B", 1, 1)},
			programs:     [][]do{{of("release", "x")}, {reserve("c"), reserve("b")}}, preemptions: every}},
		{"a place expires beside a buyer and a confirmation", plan{pools: []uint32{9}, before: x1,
			boundPlan:    with(quota(1, 0, 1)),
			reservations: map[string]wish{"x": in(1, "A", 0, 1), "b": in(1, "B", 0, 1)},
			programs:     [][]do{{late("expire", "x")}, {reserve("b")}, {of("confirm", "x")}}}},
		{"two categories of a session share its places", plan{pools: []uint32{2, 2}, boundPlan: twoPools,
			reservations: map[string]wish{"a": in(1, "A", 0, 1, 1, 1), "b": in(1, "B", 1, 1), "c": in(1, "C", 0, 1, 1, 1)},
			programs:     [][]do{{reserve("a")}, {reserve("b"), reserve("c")}}, preemptions: every}},
		{"a replace within the places of a phase", plan{pools: []uint32{2, 2}, boundPlan: twoPools, before: x1,
			reservations: map[string]wish{"x": in(1, "A", 0, 1, 1, 1), "y": in(1, "A", 0, 2), "b": in(1, "B", 1, 1)},
			programs:     [][]do{{to("replace", "y", "x")}, {reserve("b")}}, preemptions: every}},
		{"a replace in another phase, beside its buyers", plan{pools: []uint32{2}, before: x1,
			boundPlan: with(quota(1, 0, 1), quota(2, 0, 1)),
			reservations: map[string]wish{"x": in(1, "A", 0, 1), "y": in(2, "A", 0, 1), "b": in(1, "B", 0, 1),
				"c": in(2, "C", 0, 1)},
			programs: [][]do{{to("replace", "y", "x")}, {reserve("b")}, {reserve("c")}}, preemptions: 2}},
		{"two replace one another's places", plan{pools: []uint32{2}, before: []do{reserve("x"), reserve("u")},
			boundPlan: with(quota(1, 0, 1), quota(2, 0, 1)),
			reservations: map[string]wish{"x": in(1, "A", 0, 1), "y": in(2, "A", 0, 1), "u": in(2, "B", 0, 1),
				"v": in(1, "B", 0, 1)},
			programs: [][]do{{to("replace", "y", "x")}, {to("replace", "v", "u")}}, preemptions: every}},
		{"a replace out of a phase beside a confirmation and a buyer", plan{pools: []uint32{2}, before: x1,
			boundPlan:    with(quota(1, 0, 1)),
			reservations: map[string]wish{"x": in(1, "A", 0, 1), "y": in(2, "A", 0, 1), "b": in(1, "B", 0, 1)},
			programs:     [][]do{{to("replace", "y", "x")}, {of("confirm", "x")}, {reserve("b")}}, preemptions: 2}},
		{"a reduce frees places", plan{pools: []uint32{9}, before: x1, boundPlan: with(quota(1, 0, 2)),
			reservations: map[string]wish{"x": in(1, "A", 0, 2), "x1": x(1, 5, 0, 1), "b": in(1, "B", 0, 1)},
			programs:     [][]do{{to("reduce", "x", "x1")}, {reserve("b")}}, preemptions: every}},
		{"an extend keeps its places", plan{pools: []uint32{9}, before: x1, boundPlan: with(quota(1, 0, 1)),
			reservations: map[string]wish{"x": in(1, "A", 0, 1), "x1": x(1, 9, 0, 1), "b": in(1, "B", 0, 1)},
			programs:     [][]do{{to("extend", "x", "x1")}, {reserve("b"), of("release", "x")}}, preemptions: every}},
		{"a return frees places, beside a reader", plan{pools: []uint32{9}, before: sold, boundPlan: with(quota(1, 0, 1)),
			reservations: map[string]wish{"x": in(1, "A", 0, 1), "b": in(1, "B", 0, 1)},
			programs:     [][]do{{of("return", "x")}, {reserve("b")}, {{kind: "stock"}}}}},
		{"a return withholds places", plan{pools: []uint32{9}, before: sold, boundPlan: with(quota(1, 0, 1)), withhold: true,
			reservations: map[string]wish{"x": in(1, "A", 0, 1), "b": in(1, "B", 0, 1)},
			programs:     [][]do{{of("return", "x")}, {reserve("b")}, {{kind: "stock"}}}}},
		{"again at the last place, beside a buyer", plan{pools: []uint32{9}, boundPlan: with(quota(1, 0, 1)),
			before:       []do{reserve("x"), late("expire", "x")},
			reservations: map[string]wish{"x": in(1, "A", 0, 1), "b": in(1, "B", 0, 1)},
			programs:     [][]do{{late("again", "x")}, {reserve("b")}}, preemptions: every}},
		{"places beside confirm and the census", plan{pools: []uint32{9}, before: x1, boundPlan: with(quota(1, 0, 2)),
			reservations: map[string]wish{"x": in(1, "A", 0, 1), "b": in(1, "B", 0, 1)},
			programs:     [][]do{{of("confirm", "x")}, {reserve("b")}, {{kind: "census"}}}, preemptions: 2}},
		{"the places are lowered beside buyers and a release", plan{pools: []uint32{9}, before: x1,
			boundPlan: with(quota(1, 0, 2)),
			reservations: map[string]wish{"x": in(1, "A", 0, 1), "a": in(1, "A", 0, 1), "b": in(1, "B", 0, 1),
				"s": stock(1, 1)},
			programs: [][]do{{of("release", "x")}, {reserve("b")}, {of("restock", "s")}}}},
		{"the places are raised and a pool is lowered beside buyers", plan{pools: []uint32{2},
			boundPlan:    with(quota(1, 0, 1)),
			reservations: map[string]wish{"a": in(1, "A", 0, 2), "b": in(1, "B", 0, 1), "s": stock(1, 2, 0, 1)},
			programs:     [][]do{{reserve("a")}, {reserve("b")}, {of("restock", "s")}}}},
		{"places are set beside a buyer", plan{pools: []uint32{9}, boundPlan: with(lateQuota),
			reservations: map[string]wish{"a": in(1, "A", 0, 2), "s": stock(1, 1)},
			programs:     [][]do{{reserve("a"), of("release", "a")}, {of("places", "s")}}, preemptions: every}},
		{"places are set beside a release and a buyer", plan{pools: []uint32{9}, boundPlan: with(lateQuota), before: x1,
			reservations: map[string]wish{"x": in(1, "A", 0, 1), "b": in(1, "B", 0, 1), "s": stock(1, 1)},
			programs:     [][]do{{of("release", "x")}, {reserve("b")}, {of("places", "s")}}}},
		{"places are set beside an extend and a release", plan{pools: []uint32{9}, boundPlan: with(lateQuota), before: x1,
			reservations: map[string]wish{"x": in(1, "A", 0, 1), "x1": x(1, 9, 0, 1), "s": stock(1, 1)},
			programs:     [][]do{{to("extend", "x", "x1"), of("release", "x")}, {of("places", "s")}}, preemptions: every}},
		{"places are set beside an extend into a row that was used", plan{pools: []uint32{9}, boundPlan: with(lateQuota),
			before: []do{reserve("c"), reserve("x"), of("release", "c"), {kind: "drain"}, {kind: "reclaim"}},
			reservations: map[string]wish{"x": in(1, "A", 0, 1), "x1": x(1, 9, 0, 1), "c": in(2, "C", 0, 1),
				"s": stock(1, 1)},
			programs: [][]do{{to("extend", "x", "x1"), of("release", "x")}, {of("places", "s")}}, preemptions: every}},
		{"places are set beside a replace out of the phase", plan{pools: []uint32{9}, boundPlan: with(lateQuota), before: x1,
			reservations: map[string]wish{"x": in(1, "A", 0, 1), "y": in(2, "A", 0, 1), "b": in(1, "B", 0, 1),
				"s": stock(1, 1)},
			programs: [][]do{{to("replace", "y", "x")}, {of("places", "s")}, {reserve("b")}}, preemptions: 2}},
		{"places are set beside an expiry and a buyer", plan{pools: []uint32{9}, boundPlan: with(lateQuota), before: x1,
			reservations: map[string]wish{"x": in(1, "A", 0, 1), "b": in(1, "B", 0, 1), "s": stock(1, 1)},
			programs:     [][]do{{late("expire", "x")}, {reserve("b")}, {of("places", "s")}}}},
		{"places are set beside a confirmation and the census", plan{pools: []uint32{9}, boundPlan: with(lateQuota),
			before:       x1,
			reservations: map[string]wish{"x": in(1, "A", 0, 1), "s": stock(1, 1)},
			programs:     [][]do{{of("confirm", "x")}, {of("places", "s")}, {{kind: "census"}}},
			preemptions:  2}},
	}
}
