package inventory

// faultsOfCalls are faults of Reserve, Confirm, Release, the ledgers and the order of the journal.
func faultsOfCalls() []fault {
	const undecided, orUndecided = "func (s State) Undecided()", "return s == Pending || s >= Releasing && s <= Yielding"
	return []fault{
		one("Pool.Take: Store instead of CompareAndSwap", "func (p *Pool) Take(",
			"if p.word.CompareAndSwap(w, w-change) {", "if p.word.Store(w - change); true {",
			"two packs, opposite scarcity"),
		one("Stack.Push: Store instead of CompareAndSwap", "func (s *Stack) Push(",
			"if s.top.CompareAndSwap(w, next) {", "if s.top.Store(next); true {",
			"one account, one cap"),
		one("enter: Store instead of CompareAndSwap", "func (v *Inventory) enter(",
			"if word.CompareAndSwap(head, accounts.NewHead(head, row)) {", "if word.Store(accounts.NewHead(head, row)); true {",
			"one account, one cap"),
		one("Index.put: Store instead of CompareAndSwap", "func (t *table) put(",
			"if t.slots[i].CompareAndSwap(emptySlot, entry) {", "if t.slots[i].Store(entry); true {",
			"one id, two wishes"),
		one("takeOver: Store instead of CompareAndSwap", "func (v *Inventory) takeOver(",
			"if successor.CompareAndSwap(0, row) {", "if successor.Store(row); true {",
			"one id, two tries after one that failed"),
		one("Release: Store instead of CompareAndSwap", "func (v *Inventory) Release(",
			"if r.state.CompareAndSwap(uint32(Held), uint32(releasing)) {", "if r.state.Store(uint32(releasing)); true {",
			"confirm, release and expiry"),
		one("expire: Store instead of CompareAndSwap", "func (v *Inventory) expire(",
			"if !r.state.CompareAndSwap(uint32(Held), uint32(expiring)) {", "if r.state.Store(uint32(expiring)); false {",
			"extend beside the sweep"),
		one("Ledger: without unmoved", "func (v *Inventory) Ledger(", "&& v.unmoved(rows[start:])", "",
			"a ledger of two reservations"),
		one("Ledger: without the check of the head", "func (v *Inventory) Ledger(", "word.Load() == head &&", "",
			"a ledger of two reservations"),
		one("foresee: without the check of the head", "func (v *Inventory) foresee(",
			"&& v.unchanged(q.Account, accountRow, head)", "", "the cap, over a pack that fails by race", "cap and confirm"),
		one("enter: refused without the check of the head", "func (v *Inventory) enter(", "if word.Load() == head {",
			"if true {", "the cap, over a pack that fails by race", "cap and confirm"),
		one("foresee: without a look whether the id is free", "func (v *Inventory) foresee(",
			"row != 0 && row != s.old.Row {", "row != 0 && false {", "one id, the first try fails by race"),
		one("State.Undecided: without expiring", undecided, orUndecided, orUndecided+" && s != Expiring",
			"what expired is bought, then its account buys again"),
		one("State.Undecided: without releasing", undecided, orUndecided, orUndecided+" && s != Releasing",
			"what was released is bought, then its account buys again"),
		one("State.Undecided: without pending", undecided, "s == Pending ||", "", "the cap, over a pack that fails by race"),
		{"takeSorted: refused instead of in doubt", []edit{
			{function: "func (v *Inventory) takeSorted(", old: "open > 0 && v.backOff(w)", now: "open > 1<<30"},
			{function: "func (v *Inventory) takeSorted(", old: "if open == 0 {", now: "if true {"},
		}, []string{"a pack that fails by race beside a single"}},
		one("checkStock: refused instead of in doubt", "func (v *Inventory) checkStock(", "if unsettled == 0 {",
			"if unsettled < 1<<30 {", "a pack that fails by race beside a single"),
		one("checkCaps: without the second walk", "func (v *Inventory) checkCaps(",
			"if check != refused || head&headRow == 0 {", "if true {", "the cap, over two that never counted together"),
		{"checkCaps: a refusal by the bound of a summary", []edit{
			{function: "func (v *Inventory) checkCaps(", old: "check != granted && s.summary != nil", now: "false"},
			{function: "func (v *Inventory) checkCaps(", old: "programme, s, true)", now: "programme, s, false)", all: true},
			{function: "func (s *sums) addBound(", old: "s.doubtful +=", now: "s.held +="},
			{function: "func (s *sums) addBound(", old: "b.doubtful +=", now: "b.held +="},
		}, []string{"a summary, and what ends in it"}},
		{"count: the marks of a reservation say nothing of it", []edit{
			{function: "func (v *Inventory) count(", old: "s.marks += uint64(row) * 0xd1b54a32d192ed03", now: "s.marks++"},
			{function: "func (v *Inventory) count(", old: "s.marks += uint64(row) * 0x9e3779b97f4a7c15", now: "s.marks++"},
		}, []string{"the facts of the cap, over two that are confirmed"}},
		{"giveAllBack: gives back before place", []edit{
			{function: "func (v *Inventory) giveAllBack(", old: "v.stock[l.Pool].GiveBack(l.Quantity)", now: "_ = l"},
			{function: "func (v *Inventory) giveAllBack(", old: "v.stock[l.Pool].Mark(l.Quantity)",
				now: "v.stock[l.Pool].Mark(l.Quantity)\nv.stock[l.Pool].GiveBack(l.Quantity)"},
		}, []string{"release beside pack and single"}},
		one("giveAllBack: the sequence after the state", "func (v *Inventory) giveAllBack(", "v.setSequence(row, seq)",
			"defer v.setSequence(row, seq)", "confirm, release and expiry"),
		one("Stack.Take: the sequence from a later load", "func (s *Stack) Take(", "s.sequence(uint32(w >> 32))",
			"s.Last()", "the drainer beside pushes"),
	}
}

// faultsOfChanges are faults of extend, reduce, return, replace and confirm again.
func faultsOfChanges() []fault {
	const supersede, confirmAgain = "func (v *Inventory) supersede(", "func (v *Inventory) confirmAgain("
	const inPlace = "func (v *Inventory) takeInPlace("
	const yield = "if !from.state.CompareAndSwap(uint32(old.State), uint32(yielding)) {"
	return []fault{
		one("supersede: Store instead of CompareAndSwap", supersede, yield, "if from.state.Store(uint32(yielding)); false {",
			"replace beside confirm"),
		one("supersede: also from expiring or expired", supersede, yield, `
			s := from.state.Load()
			if State(s) != old.State && State(s) != expiring && State(s) != Expired ||
				!from.state.CompareAndSwap(s, uint32(yielding)) {`, "extend beside the sweep"),
		one("confirmAgain: Store instead of CompareAndSwap", confirmAgain,
			"if !v.details.At(old.Row).successor.CompareAndSwap(0, row) {",
			"if v.details.At(old.Row).successor.Store(row); false {", "two again, with room for both"),
		one("stands: without the successor", "func (v *Inventory) stands(",
			"(old.State != Expired || v.details.At(old.Row).successor.Load() == 0)", "true",
			"an again that fails by race, beside another"),
		{"supersede: gives back before place", []edit{
			{function: supersede, old: "seq := v.place(", now: `if gives {
				v.stock.GiveBack(surplus)
			}
			seq := v.place(`},
			{function: supersede, old: "p.GiveBack(l.Quantity)", now: ""},
		}, []string{"the last four become three"}},
		{"supersede: marks each line only when it gives it back", []edit{
			{function: supersede, old: "v.stock[l.Pool].Mark(l.Quantity)", now: "_ = l"},
			{function: supersede, old: "p.GiveBack(l.Quantity)", now: "p.Mark(l.Quantity)\np.GiveBack(l.Quantity)"},
		}, []string{"what a reduce frees, bought in turn"}},
		{"takeInPlace: one line is taken as settled", []edit{
			{function: inPlace, old: "v.takeSorted(sorted, true,", now: "v.takeSorted(sorted, len(sorted) > 1,"},
			{function: supersede, old: "v.stock.Settle(beyond)", now: "if len(beyond) > 1 {\nv.stock.Settle(beyond)\n}"},
		}, []string{"replace beside release and a buyer"}},
		{"takeInPlace: caps and limits with both rows", []edit{
			{function: inPlace, old: "s.bySession[i].requested -=", now: "_ ="},
			{function: inPlace, old: "tickets -=", now: "_ ="},
		}, []string{"the last four become three"}},
		{"takeInPlace: the old row is left out twice", []edit{
			{function: inPlace, old: "s.bySession[i].requested -=", now: "s.bySession[i].requested -= 2 *"},
			{function: inPlace, old: "tickets -=", now: "tickets -= 2 *"},
		}, []string{"replace beside what its account buys", "replace at a session limit"}},
		one("refusedInPlace: without a look whether the old row stands", "func (v *Inventory) refusedInPlace(",
			"if !v.stands(old) {", "if false {", "a replace that is refused over its account, beside release"),
		one("supersede: the old row's state before the new one's", supersede, "r.state.Store(uint32(r.origin.To()))",
			"defer r.state.Store(uint32(r.origin.To()))", "reduce of what is confirmed beside a reader",
			"reduce of what is confirmed beside the census"),
		one("supersede: the successor after the state", supersede, "v.details.At(old.Row).successor.Store(row)",
			"defer v.details.At(old.Row).successor.Store(row)", "reduce beside confirm and a buyer"),
		one("supersede: the sequence after the state", supersede, "v.setSequence(row, seq)", "defer v.setSequence(row, seq)",
			"replace beside confirm"),
		one("supersede: the old row gets no sequence", supersede, "v.setSequence(old.Row, seq)", "",
			"the last four become three"),
		one("supersede: counts as returned after it gave back", supersede, "p.Returned.Add(uint64(l.Quantity))",
			"defer p.Returned.Add(uint64(l.Quantity))", "reduce of what is confirmed beside a reader of the stock"),
		one("supersede: does not count as returned", supersede, "p.Returned.Add(uint64(l.Quantity))", "",
			"return and return of what is confirmed"),
		one("supersede: does not count as withheld", supersede, "p.Withheld.Add(uint64(l.Quantity))", "",
			"return of what is confirmed and then withheld beside a reader of the stock"),
		one("confirmAgain: does not count as sold", confirmAgain, "v.stock[l.Pool].Sold.Add(uint64(l.Quantity))", "_ = l",
			"again beside a buyer"),
		one("confirmAgain: counts as sold after the state", confirmAgain, "v.stock[l.Pool].Sold.Add(uint64(l.Quantity))",
			"defer v.stock[l.Pool].Sold.Add(uint64(l.Quantity))", "again of what is expired beside the census"),
		one("State.Undecided: without yielding", "func (s State) Undecided()", "s <= Yielding", "s < Yielding",
			"replace at the cap"),
		one("State.Counts: without yielding", "func (s State) Counts()", "s <= Yielding", "s < Yielding",
			"return of what is confirmed beside a reader"),
		one("push: Store instead of CompareAndSwap", "func (v *Inventory) push(",
			"if head.CompareAndSwap(w, accounts.NewHead(w, row)) {", "if head.Store(accounts.NewHead(w, row)); true {",
			"two reduce, and one confirms"),
		one("State.Dead: with yielding", "func (s State) Dead()", "s >= Released", "s >= Yielding", "replace at the cap"),
		one("State.Ended: what changed is expired", "func (s State) Ended(", "case Expiring, Expired:",
			"case Expiring, Expired, Yielding, Superseded:", "reduce beside confirm and a buyer"),
		one("follow: a void row without a successor is found", "func (v *Inventory) follow(", "case state == Expired:",
			"case state == Expired || state == void:", "replace beside confirm"),
	}
}
