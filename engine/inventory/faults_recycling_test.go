package inventory

// faultsOfRecycling are faults of rows that are used again. The first seven are those that matter most: a row is used
// again while a walker stands on it, the index keeps the entry of a forgotten id, a successor chain is cut, a
// checkpoint reads a row in its next use, a forgotten id is repeated, a dead row is linked in again, and a sweep misses
// a hold in a row that is used again.
func faultsOfRecycling() []fault {
	one := func(what, function, old, now string, cases ...string) fault {
		return fault{what, []edit{{function: function, old: old, now: now}}, cases}
	}
	const forgetChain = "func (c *Reclaimer) forgetChain("
	return append([]fault{
		one("a row is used again while a walker stands on it: no second grace period", "func (c *Reclaimer) passOver(",
			"return c.await(t, (*Reclaimer).free)", "c.at, c.next = 0, (*Reclaimer).free\nreturn true",
			"one row for two accounts"),
		one("the index keeps the entry of a forgotten id", forgetChain,
			"v.byID.Change(v.hashID(&r.id), first.row, to, c.ids)", "true, true",
			"one row for two accounts"),
		one("a chain is cut: the id leads to the row after the first", forgetChain, "to := last.leads",
			"to := first.leads\n_ = last", "a chain goes at once"),
		one("a checkpoint reads a row in its next use: what was drained stays", forgetChain,
			"v.details.At(row).logged.Store(0)", "", "a checkpoint, and a row between two uses"),
		{"the repeat of a forgotten id fills its tombstone", []edit{
			{function: "func (t *table) put(", old: "if w == emptySlot {", now: "if w == emptySlot || w == tombstone {"},
			{function: "func (t *table) put(", old: "CompareAndSwap(emptySlot, entry)", now: "CompareAndSwap(w, entry)"},
		}, []string{"the same id again, by two"}},
		one("a dead row is linked in again: its link is not frozen", "func unlink(", "next = dead.freeze()",
			"next = dead.next.Load() &^ linkFrozen", "a link, and a change of the one before it"),
		one("the sweep misses a hold: its result counts whatever came since", "func (s *Sweep) Expire(",
			"word.CompareAndSwap(looking, uint64(earliest))", "word.Store(uint64(earliest))", "the sweep comes by number"),
		{"the first grace period is skipped", []edit{{function: "func (c *Reclaimer) look(", all: true,
			old: "return c.await(t, (*Reclaimer).forget)",
			now: "c.await(t, (*Reclaimer).forget)\nc.next = (*Reclaimer).forget\nreturn true"}},
			[]string{"a refusal beside a forgotten id"}},
		one("consider: closes the successor word", "func (c *Reclaimer) consider(",
			"c.batch = append(c.batch, candidate{row: row, leads: leads})",
			`if leads == 0 && d.successor.CompareAndSwap(0, closed) {
				leads = closed
			}
			c.batch = append(c.batch, candidate{row: row, leads: leads})`, "a refusal beside a forgotten id"),
		one("forgetChain: settled is not looked at the second time", forgetChain, "c.stillSettled(chain[count].row, t)",
			"true", "two again beside the reclaimer"),
		one("forgetChain: Store instead of CompareAndSwap", forgetChain,
			"if to == 0 && !v.details.At(first.row).successor.CompareAndSwap(0, closed) {",
			"if v.details.At(first.row).successor.Store(closed); false {", "two again beside the reclaimer"),
		one("forgetChain: the bit named stays", forgetChain, "old.Store(old.Load() &^ named)", "_ = old",
			"an id after one that failed"),
		one("consider: takes a row that is named", "func (c *Reclaimer) consider(", "d.old.Load()&named != 0 ||", "",
			"an id after one that failed"),
		one("settled: whatever is durable", "func (c *Reclaimer) settled(", "d.seq.Load() <= t.Durable", "true",
			"an end that is not durable yet"),
		one("claimNext: the row is not named", "func (v *Inventory) claimNext(", "old.Row | named", "old.Row",
			"a chain goes at once"),
		one("takeOver: the row is not named", "func (v *Inventory) takeOver(", "word.Store(old | named)", "word.Store(old)",
			"an id after one that failed"),
		one("takeOver: stays named after it lost", "func (v *Inventory) takeOver(", "word.Store(old)\n", "\n",
			"an id after one that failed, by two"),
		one("fail: the row stays named", "func (v *Inventory) fail(", "d.old.Store(0)", "",
			"a chain of which the last is alive"),
		one("fail: the row keeps the text of the old one", "func (v *Inventory) fail(", "d.reference = 0", "",
			"a change that fails keeps no text"),
		one("passOver: the ledger keeps the rows", "func (c *Reclaimer) passOver(", "c.v.unlinkDead(account)", "",
			"one row for two accounts"),
		one("passOver: the summary stays", "func (c *Reclaimer) passOver(", "summary.Store(nil)", "_ = summary",
			"a summary, and its first row is used again"),
		one("passDead: continues after a failed CompareAndSwap", "func (v *Inventory) passDead(",
			"if !before.next.CompareAndSwap(row, next) {", "if before.next.CompareAndSwap(row, next); false {",
			"a link, and a change of the one before it"),
		one("hasID: finds a row whose id is free", "func (v *Inventory) hasID(",
			"(!State(r.state.Load()).dead() || v.details.At(row).successor.Load() != closed)", "true",
			"an id that expired, again"),
	}, faultsOfFreeing()...)
}

// faultsOfFreeing are faults of texts, of the index while it moves, of accounts, and of those who look at all rows.
func faultsOfFreeing() []fault {
	one := func(what, function, old, now string, cases ...string) fault {
		return fault{what, []edit{{function: function, old: old, now: now}}, cases}
	}
	const freeRow, closerLook = "func (v *Inventory) freeRow(", "func (c *Closer) look("
	return []fault{
		one("freeRow: frees a text that the next row shares", freeRow,
			"&& !v.keepsReference(d.successor.Load(), d.reference)", "",
			"reduce of what is confirmed, beside the reclaimer and a reader"),
		one("freeRow: frees no text", freeRow, "v.texts.Free(d.reference)", "", "two again beside the reclaimer"),
		one("freeRow: frees no overflow", freeRow, "v.overflows.Free(r.more)", "",
			"what took the place of another one ends"),
		one("freeRow: frees an overflow twice", freeRow, "v.overflows.Free(r.more)",
			"v.overflows.Free(r.more)\nv.overflows.Free(r.more)", "what took the place of another one ends"),
		one("freeRow: frees the row twice", freeRow, "v.reservations.Free(row)",
			"v.reservations.Free(row)\nv.reservations.Free(row)", "one row for two accounts"),
		one("ring.take: Store instead of CompareAndSwap", "func (r *ring) take(",
			"if r.taken.CompareAndSwap(at, at+1) {", "if r.taken.Store(at + 1); true {",
			"the same id again, by two"),
		{"Index.Change: changes what is frozen", []edit{
			{function: "func (x *Index) Change(", old: "case entry:", now: "case entry, entry | frozen:"},
			{function: "func (x *Index) Change(", old: "CompareAndSwap(entry, become)", now: "CompareAndSwap(w, become)"},
			{function: "func (x *Index) Change(", old: "case entry | frozen, movedSlot:", now: "case movedSlot:"},
		}, []string{"the index moves"}},
		one("Index.Change: in any root", "func (x *Index) Change(", "if t != since.table {", "if false {",
			"the index moves"),
		one("Index.freeze: leaves entries as they are", "func (t *table) freeze(",
			"case w&frozen != 0, t.slots[i].CompareAndSwap(w, w|frozen):", "default:", "the index moves"),
		one("Closer.look: closes an account by a Store", closerLook,
			"a.Head.CompareAndSwap(w, closed)", "stored(&a.Head, uint64(closed))", "an account is closed and made again"),
		{"Closer.look: frees an account that a reservation names", []edit{{function: closerLook, all: true,
			old: "&& !c.isMarked(row)", now: ""}},
			[]string{"an account's row for another one, beside what is remembered"}},
		one("Closer.look: the index keeps the entry of a closed account", closerLook,
			"c.t.Index.Change(c.t.hash(c.t.Name(row)), row, 0, c.root)", "true, true",
			"one row for two accounts"),
		one("Closer.look: the name is not freed", closerLook, "c.t.texts.Free(name)", "",
			"an account is closed and made again"),
		one("lookAtAccounts: without the grace period", "func (c *Reclaimer) lookAtAccounts(",
			"return c.await(t, (*Reclaimer).begin)", "c.next = (*Reclaimer).begin\nreturn true",
			"an account is closed and made again"),
		one("enter: enters an account that is closed", "func (v *Inventory) enter(", "head&headClosed != 0;", "false;",
			"an account is made again by two"),
		one("Grace.Passed: looks at one parity only", "func (g *Grace) Passed(", "if g.flipped {", "if true {",
			"one row for two accounts"),
		one("a call does not announce itself", "func (e *explorer) call(", "defer e.v.Begin(e.spread()).End()", "",
			"one row for two accounts"),
		{"Sweep.Expire: reads the number of rows before it says that it looks", []edit{
			{function: "func (s *Sweep) Expire(", old: "word.Store(looking)",
				now: "before := s.v.reservations.End()\nword.Store(looking)"},
			{function: "func (s *Sweep) Expire(", old: "end := s.v.reservations.End()", now: "end := before"},
		}, []string{"the sweep comes by number"}},
		one("pend: the sweep is not told", "func (v *Inventory) pend(", "earliest.Store(0)", "",
			"the sweep comes by number"),
		one("look: what is forgotten was never gone", "func (r *reservation) look(", "if state != free && (",
			"if state != free && state != forgotten && (", "the census beside recycling"),
		one("free: while a census counts", "func (c *Reclaimer) free(", "if !c.v.PauseFreeing() {",
			"if c.v.PauseFreeing(); false {", "the census beside recycling"),
	}
}
