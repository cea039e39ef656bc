package inventory

// faultsOfRedefinitions are faults of changes of the definition while calls run, and of what a caller does for them.
func faultsOfRedefinitions() []fault {
	const change, commit, abort = "func (p Pools) Change(", "func (c *Change) Commit(", "func (c *Change) Abort("
	const restock = "func (e *explorer) restock("
	const mark = "p[r.Pool].Mark(r.Quantity)"
	const give = "p.turn(p.units()+l.Quantity, 0, int64(l.Quantity), -int64(l.Quantity))"
	const given = "p.turn(p.units()+l.Quantity, 0, int64(l.Quantity), 0)"
	return []fault{
		{"Change: takes without unsettled marks", []edit{
			{function: "func (p *Pool) lower(", old: "(w-uint64(k)<<32+uint64(k))^side", now: "(w-uint64(k)<<32)^side"},
			{function: commit, old: "p.turn(p.units(), 0, 0, -int64(l.Quantity))", now: "p.turn(p.units(), 0, 0, 0)"},
			{function: abort, old: give, now: given},
		}, []string{"a lowering is abandoned beside buyers"}},
		{"Change: gives before place", []edit{
			{function: change, old: mark, now: "p[r.Pool].turn(p[r.Pool].units()+r.Quantity, 0, int64(r.Quantity), 0)"},
			{function: commit, old: give, now: "_ = p"},
		}, []string{"a pool is raised, and bought"}},
		{"Change: what is to come is not unsettled", []edit{
			{function: change, old: mark, now: "_ = r"},
			{function: commit, old: give, now: given},
		}, []string{"a pool is raised, and bought"}},
		{"restock: the record comes after the change", []edit{
			{function: restock, old: "e.must(ok, \"no room for a note\")\n\tchange.Commit()", now: "_ = ok"},
			{function: restock, old: "_, ok := e.v.Note(", now: "change.Commit()\n_, ok := e.v.Note("},
		}, []string{"a pool is raised, and bought"}},
		one("lower: Store instead of CompareAndSwap", "func (p *Pool) lower(",
			"if p.word.CompareAndSwap(w, (w-uint64(k)<<32+uint64(k))^side) {",
			"if p.word.Store((w - uint64(k)<<32 + uint64(k)) ^ side); true {", "a pool is lowered beside two buyers"),
		one("turn: Store instead of CompareAndSwap", "func (p *Pool) turn(",
			"if p.word.CompareAndSwap(w, (w+uint64(available)<<32+uint64(unsettled))^side) {",
			"if p.word.Store((w + uint64(available)<<32 + uint64(unsettled)) ^ side); true {",
			"a pool is lowered beside two buyers"),
		one("Count: what is pending is held", "func (p *Pool) Count(", "int(left) + int(pending)",
			"int(left) + 0*int(pending)", "a lowering is abandoned beside a buyer and a reader"),
		one("Read: always of one side", "func (p *Pool) Read(", "p.sides[w/side&1]", "p.sides[0]",
			"a lowering is abandoned beside a buyer and a reader"),
		one("Read: without a second look at the changes", "func (p *Pool) Read(", "if p.changes.Load() == changes {",
			"if changes < 1<<63 {", "a pool is lowered and raised again beside a reader"),
		one("prepare: fills a side before it counts the change", "func (p *Pool) prepare(", "p.changes.Add(1)",
			"defer p.changes.Add(1)", "a pool is lowered and raised again beside a reader"),
		one("Abort: what was to come stays unsettled", abort, "c.pools[r.Pool].Settle(r.Quantity)", "_ = r",
			"a raise and a lowering are abandoned beside packs"),
		one("changeCap: without the grace period", "func (e *explorer) changeCap(",
			"e.awaitGrace()", "",
			"the cap is lowered beside buyers"),
		one("reserveOnce: the book is loaded before the call announces itself", "func (e *explorer) reserveOnce(",
			"defer e.v.Begin(e.spread()).End()\n\tbook = e.book.Load()",
			"book = e.book.Load()\ndefer e.v.Begin(e.spread()).End()", "the cap is lowered beside buyers"),
		one("reserveByBook: a refusal by the book between holds", "func (e *explorer) reserveByBook(",
			"book != bookBetween ||", "book < 9 ||", "the cap is raised beside buyers"),
		one("Grace.Passed: ends a phase before it has looked", "func (g *Grace) Passed(", "unused := phase&1 ^ 1",
			"unused := phase&1 ^ 1\ng.e.phase.CompareAndSwap(phase, phase+1)", "the cap is lowered beside buyers",
			"the cap is lowered beside the reclaimer"),
	}
}
