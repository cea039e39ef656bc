package inventory

// faultsOfQuotas are faults of the places of phases, and of what a caller does to set them.
func faultsOfQuotas() []fault {
	const giveAllBack, supersede = "func (v *Inventory) giveAllBack(", "func (v *Inventory) supersede("
	const withQuotas, reserve = "func (v *Inventory) withQuotas(", "func (v *Inventory) reserve("
	const inPlace, surplus = "func (v *Inventory) takeInPlace(", "func (v *Inventory) surplus("
	const taking = "v.withQuotas(append(takes[:0], q.Lines...), q.Phase)"
	const set, marked = "func (e *explorer) setPlaces(", "func (v *Inventory) markTaken("
	return []fault{
		one("reserveLong: takes nothing of quotas", "func (v *Inventory) reserveLong(", taking,
			"append(takes[:0], q.Lines...)", "two buyers and the last place of a phase"),
		one("Reserve: a phase with quotas takes the short way", "func (v *Inventory) Reserve(",
			"|| v.listing.Quotas().Has(q.Phase)", "", "two buyers and the last place of a phase"),
		{"reserve: one line and a quota are taken as settled", []edit{
			{function: reserve, old: "v.takeAll(takes, s.wait, res)",
				now: "v.takeSorted(takes, len(q.Lines) > 1, s.wait, res)"},
			{function: reserve, old: "if len(takes) > 1 {", now: "if len(q.Lines) > 1 {"},
		}, []string{"one that fails by race at the places, beside a buyer of its pool"}},
		one("giveAllBack: gives nothing back to quotas", giveAllBack, "v.eachQuota(r, (*stock.Pool).GiveBack)", "",
			"a place is released and bought"),
		{"giveAllBack: marks quotas only when it gives back", []edit{
			{function: giveAllBack, old: "v.eachQuota(r, (*stock.Pool).Mark)", now: ""},
			{function: giveAllBack, old: "v.eachQuota(r, (*stock.Pool).GiveBack)",
				now: "v.eachQuota(r, (*stock.Pool).Mark)\nv.eachQuota(r, (*stock.Pool).GiveBack)"},
		}, []string{"a ticket and a place are released, and bought in turn"}},
		{"giveAllBack: gives quotas back before place", []edit{
			{function: giveAllBack, old: "v.eachQuota(r, (*stock.Pool).Mark)",
				now: "v.eachQuota(r, (*stock.Pool).Mark)\nv.eachQuota(r, (*stock.Pool).GiveBack)"},
			{function: giveAllBack, old: "if hasQuotas {\n\t\tv.eachQuota(r, (*stock.Pool).GiveBack)", now: "if false {"},
		}, []string{"a place is released and bought"}},
		one("confirm: sells nothing of quotas", "func (v *Inventory) confirm(", "v.eachQuota(r, sell)", "",
			"places beside confirm and the census"),
		one("confirm: sells of quotas after the state", "func (v *Inventory) confirm(", "v.eachQuota(r, sell)",
			"defer v.eachQuota(r, sell)", "places beside confirm and the census"),
		one("withQuotas: each line takes of its own", withQuotas, "at := count\n\t\tfor at <",
			"at := len(lines)\n\t\tfor at <", "two categories of a session share its places"),
		one("withQuotas: only the first line of a session takes", withQuotas, "lines[at].Quantity += l.Quantity",
			"lines[at].Quantity = l.Quantity", "two categories of a session share its places"),
		one("takeInPlace: takes of the quotas of the old row's phase", inPlace, "q.Lines...), q.Phase)",
			"q.Lines...), v.reservations.At(old.Row).phase)", "a replace in another phase, beside its buyers"),
		one("takeInPlace: takes nothing of quotas", inPlace, taking, "append(takes[:0], q.Lines...)",
			"a replace in another phase, beside its buyers"),
		one("surplus: gives back to the quotas of the new row's phase", surplus, "to = v.takes(to, old)",
			"to = v.withQuotas(v.appendLines(to, old), now.phase)",
			"a replace out of a phase beside a confirmation and a buyer"),
		one("surplus: gives nothing back to quotas", surplus, "to = v.takes(to, old)", "to = v.appendLines(to, old)",
			"a reduce frees places"),
		one("unitsOf: the new row takes nothing of quotas", "func (v *Inventory) unitsOf(",
			"return v.unitsOfQuota(r, pool)", "return 0", "an extend keeps its places"),
		one("supersede: marks the surplus only when it gives it back, of quotas too", supersede,
			"v.stock[l.Pool].Mark(l.Quantity)", "if l.Pool < v.firstQuota {\nv.stock[l.Pool].Mark(l.Quantity)\n} else "+
				"{\ndefer v.stock[l.Pool].Mark(l.Quantity)\n}", "a reduce frees places"),
		one("setPlaces: without a look at the rows", set, "if e.placesTaken() {", "if e.placesTaken() && false {",
			"places are set beside a release and a buyer"),
		one("setPlaces: without the grace period", set, "e.awaitGrace()", "",
			"places are set beside a buyer"),
		one("setPlaces: calls are not refused meanwhile", set, "e.book.Store(bookBetween)", "",
			"places are set beside a buyer"),
		one("change: a row that follows may be made while places are set", "func (e *explorer) change(",
			"if e.gains(op.book, s.Phase, s.Lines) {", "if false {",
			"places are set beside an extend into a row that was used"),
		one("TakenIn: an undecided row does not count", marked, "!takes && !state.Undecided()", "!takes",
			"places are set beside a release and a buyer"),
		{"TakenIn: in any phase", []edit{
			{function: marked, old: "!wanted.Has(r.phase)", now: "false"},
			{function: marked, old: "wanted.Of(r.phase,", now: "wanted.Of(1,"},
		}, []string{"places are set beside a replace out of the phase"}},
	}
}
