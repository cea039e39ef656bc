//go:build seathold_yield

package inventory

import "slices"

// logged is a record of the journal: an outcome, with what was to be read of its row when it was drained.
type logged struct {
	Outcome
	row    uint32 // the use of a row that it is about
	was    Snapshot
	old    uint32   // the one that it follows; 0 for none
	before Snapshot // of that one
	note   Note     // of a change of the definition
}

// drain appends to the journal what was placed. The sequences count the outcomes.
func (e *explorer) drain() {
	last := e.v.Drain(func(o Outcome) {
		e.order = append(e.order, o)
		if o.Kind == Noted {
			e.journal = append(e.journal, logged{Outcome: o, note: e.v.NoteAt(o.Index)})
			return
		}
		record := logged{Outcome: o, row: e.use(o.Index)}
		e.must(e.v.ReadLogged(o.Index, &record.was), "I6: record %d of %v has no content", len(e.order), e.order)
		if old := e.v.details.At(o.Index).old.Load() &^ named; old != 0 {
			record.old = e.use(old)
			e.v.ReadPrevious(o.Index, &record.before)
		}
		own(&record.was)
		own(&record.before)
		e.journal = append(e.journal, record)
	})
	e.must(len(e.order) == int(last), "I5: the drain covers %d outcomes but visited %d", last, len(e.order))
	e.must(last == e.v.placed.Drained.Load(), "drained %d, and the word has %d", last, e.v.placed.Drained.Load())
}

// ledTo returns the number of the record that led to a state of a row; 0 if there is none.
func (e *explorer) ledTo(found Decided) uint64 {
	for i := range e.journal {
		record := &e.journal[i]
		origin := record.was.Origin
		switch {
		case record.Kind == Took && record.row == found.Row && origin.To() == found.State,
			record.Kind == Ended && record.row == found.Row && found.State != Held,
			record.Kind == Took && record.old == found.Row && origin == OriginReplace && found.State == Released:
			return uint64(i + 1)
		}
	}
	return 0
}

// entry is what the journal says about an id: the last record that is about it.
type entry struct {
	row uint32 // the use of a row
	seq uint64
	Snapshot
}

// entries are what a journal says up to a record, by id.
type entries []entry

func (all entries) of(id ID) *entry {
	for i := range all {
		if all[i].ID == id {
			return &all[i]
		}
	}
	return nil
}

// put sets what is known of the entry's id, unless a later record is known.
func (all entries) put(now entry) entries {
	known := all.of(now.ID)
	if known == nil {
		return append(all, now)
	}
	if known.seq < now.seq {
		*known = now
	}
	return all
}

// legalPrefixes checks I6: wherever the journal is cut, no pool is oversold, no account is over its cap or a session
// limit, and every record follows from those before it. It returns what all of them say.
func (e *explorer) legalPrefixes() (known entries) {
	known = e.known[:0]
	e.explain(known, 0)
	e.units, e.accountCap = e.firstUnits(), exploredCap
	for i := range e.journal {
		record := &e.journal[i]
		if record.Kind == Noted {
			e.redefine(known, record.note, i+1)
			e.explain(known, uint64(i+1))
			continue
		}
		e.must(e.follows(known, record), "I6, I3, I9: record %d of %v: %s after %v", i+1, e.order, content(&record.was),
			known)
		known = known.apply(record, uint64(i+1))
		for n := range known {
			if e.recap == 0 || known[n].seq == uint64(i+1) { // what was taken before a cap was lowered stays
				e.legal(known, &known[n], i+1)
			}
		}
		e.explain(known, uint64(i+1))
	}
	for _, l := range e.ledgers {
		e.must(l.explained, "I5: a caller saw the ledger %v of %s but awaits only record %d of %v", l.rows, l.account,
			l.placed, e.order)
	}
	e.known = known
	return known
}

// shownLedger is a ledger that a caller saw, with the sequence that must be durable first: that of all that was placed,
// since what is missing reveals an outcome too.
type shownLedger struct {
	account   string
	rows      []Decided
	before    uint64 // what was placed when the call began
	placed    uint64
	explained bool
}

// explain notes which ledgers are what a prefix of the journal says. The prefix has all that the call may not miss, and
// no more than what is durable before the ledger is shown.
func (e *explorer) explain(known entries, prefix uint64) {
	e.explainNone(known, prefix)
	for i := range e.ledgers {
		l := &e.ledgers[i]
		if l.explained || prefix < l.before || prefix > l.placed {
			continue
		}
		counting, found := 0, 0
		for n := range known {
			k := &known[n]
			if k.Account == l.account && (k.State == Held || k.State == Confirmed) {
				counting++
				if slices.Contains(l.rows, Decided{k.row, k.State}) {
					found++
				}
			}
		}
		l.explained = counting == len(l.rows) && found == counting
	}
}

// apply adds a record. That of a replace is about two ids, each of which is judged for itself.
func (all entries) apply(record *logged, seq uint64) entries {
	if record.Kind == Took && record.was.Origin == OriginReplace {
		old := all.of(record.before.ID)
		if old != nil && old.seq < seq {
			old.State, old.AtMs, old.seq = Released, record.was.AtMs, seq
		}
	}
	return all.put(entry{record.row, seq, record.was})
}

// follows reports whether a record is a legal step from what is known.
func (e *explorer) follows(known entries, record *logged) bool {
	now, was := &record.was, known.of(record.was.ID)
	if record.Kind == Ended {
		// Nothing ends twice, and what it was is what it is.
		return was != nil && was.State == Held && was.row == record.row && was.ExpiresMs == now.ExpiresMs &&
			slices.Equal(was.Lines, now.Lines) && (now.State == Expired) == (now.AtMs >= was.ExpiresMs)
	}
	free := was == nil || e.mayForget(&was.Snapshot)
	if now.Origin == OriginReserve {
		return free && now.State == Held
	}
	if now.Origin == OriginReplace {
		if !free {
			return false // the id is taken
		}
		was = known.of(record.before.ID)
	}
	switch before := &record.before; {
	case was == nil || record.old != was.row || now.State != now.Origin.To():
		return false
	case before.State != was.State || !slices.Equal(before.Lines, was.Lines):
		return false // what the drainer takes for the row before it
	case was.State != now.Origin.From() || was.State == Held && now.AtMs >= was.ExpiresMs:
		return false
	case now.Origin == OriginReplace:
		return was.Account == now.Account
	case now.Origin == OriginReduce || now.Origin == OriginReduceSold:
		return was.ExpiresMs == now.ExpiresMs && ticketsOf(now.Lines) < ticketsOf(was.Lines)
	}
	return slices.Equal(was.Lines, now.Lines) && (now.Origin == OriginExtend || was.ExpiresMs == now.ExpiresMs)
}

// legal checks the limits of one entry's pools and account.
func (e *explorer) legal(known entries, of *entry, n int) {
	account := 0
	for i := range known {
		if other := &known[i]; other.Account == of.Account && (other.State == Held || other.State == Confirmed) {
			account += ticketsOf(other.Lines)
		}
	}
	e.must(account <= e.accountCap, "I6, I2: after record %d of %v account %s has %d", n, e.order, of.Account, account)
	for _, l := range of.Lines {
		session := 0
		for i := range known {
			if other := &known[i]; other.Account == of.Account && (other.State == Held || other.State == Confirmed) {
				session += e.ticketsIn(e.sessionOf(l.Pool), other.Lines)
			}
		}
		e.must(session <= exploredLimit, "I6: after record %d of %v account %s has %d of the session of pool %d", n, e.order,
			of.Account, session, l.Pool)
	}
	for pool, units := range e.units {
		if e.takenBy(of.Phase, of.Lines, uint32(pool)) == 0 {
			continue
		}
		taken, _, _ := e.unitsOf(known, uint32(pool))
		e.must(taken <= int(units), "I6: after record %d of %v pool %d has %d of %d taken", n, e.order, pool, taken, units)
	}
}

func quantity(lines []Line, pool uint32) int {
	for _, l := range lines {
		if l.Pool == pool {
			return int(l.Quantity)
		}
	}
	return 0
}

// unitsOf returns how many units of a pool are not available, how many of them are gone, and how many of those
// withheld.
func (e *explorer) unitsOf(all entries, pool uint32) (taken, gone, withheld int) {
	for i := range all {
		q := e.takenBy(all[i].Phase, all[i].Lines, pool)
		kept := all[i].State == Returned && all[i].Flags&FlagWithheld != 0
		if kept {
			withheld += q
		}
		if kept || all[i].State == Confirmed {
			gone += q
		}
		if kept || all[i].State == Confirmed || all[i].State == Held {
			taken += q
		}
	}
	return taken, gone, withheld
}

// finished checks that memory is what the journal says, once nobody is at work.
func (e *explorer) finished(known entries) {
	for i, units := range e.units {
		p := &e.v.stock[i]
		available, unsettled := p.Units()
		taken, gone, withheld := e.unitsOf(known, uint32(i))
		if units == unbounded { // it has not been set
			units, taken, gone, withheld = 0, 0, 0, 0
		}
		e.must(unsettled == 0, "I7: %d units of pool %d stay unsettled", unsettled, i)
		e.must(int(available) == int(units)-taken && int(p.Sold.Load()-p.Returned.Load()) == gone &&
			int(p.Withheld.Load()) == withheld,
			"I6: pool %d has %d available, %d sold, %d returned, %d withheld; the journal %v", i,
			available, p.Sold.Load(), p.Returned.Load(), p.Withheld.Load(), known)
	}
	e.stock()
	exact := e.count()
	e.must(exact == e.v.Pools()+e.v.Quotas(), "I1: the census is exact for %d pools", exact)
	e.finishedRows()
	var s Snapshot
	for name := range e.reservations {
		id := e.id(name)
		row, last := e.v.Find(id), known.of(id)
		if last == nil {
			e.must(row == 0, "I6: %s is in row %d, and not in the journal", name, row)
			continue
		}
		if row == 0 && e.mayForget(&last.Snapshot) {
			continue
		}
		e.must(e.use(row) == last.row && e.v.Read(row, &s) && content(&s) == content(&last.Snapshot) && s.Seq == last.seq,
			"I6: %s is in row %d as %s after record %d; the journal has %d: %s after %d", name, row, content(&s), s.Seq,
			last.row, content(&last.Snapshot), last.seq)
	}
	for _, w := range e.reservations {
		e.finishedLedger(w.account, known)
	}
}

// finishedRows checks that every row is decided, and has the sequence and state of the last record about it.
func (e *explorer) finishedRows() {
	last := map[uint32]uint64{} // by use
	for i := range e.journal {
		record := &e.journal[i]
		last[record.row] = packLogged(uint64(i+1), record.was.State)
		switch origin := record.was.Origin; {
		case record.Kind == Took && origin == OriginReplace:
			last[record.old] = packLogged(uint64(i+1), Released)
		case record.Kind == Took && origin != OriginReserve:
			last[record.old] = packLogged(uint64(i+1), superseded)
		}
	}
	for row := uint32(1); row < e.v.Rows(); row++ {
		state, d := State(e.v.reservations.At(row).state.Load()), e.v.details.At(row)
		if state == free && e.freed[row] > 0 {
			continue // see finishedMemory
		}
		last := last[e.use(row)]
		seq, _ := unpackLogged(last)
		decided := state == Held || state == Confirmed || state.Dead() && state != void
		e.must(state == void && seq == 0 || decided && seq > 0, "row %d stays in state %d", row, state)
		e.must(d.logged.Load() == last && d.seq.Load() == seq,
			"I5: row %d in state %d has sequence %d, logged %#x; by the journal %d and %#x", row, state, d.seq.Load(),
			d.logged.Load(), seq, last)
	}
}

// finishedLedger checks that a ledger has what counts, each once.
func (e *explorer) finishedLedger(account string, known entries) {
	rows := e.rows[:0]
	if row := e.v.FindAccount(account); row != 0 {
		rows, _ = e.v.Ledger(row, rows, nil)
	}
	e.rows = rows
	counting := 0
	for i := range known {
		if k := &known[i]; k.Account == account && (k.State == Held || k.State == Confirmed) {
			counting++
			at := slices.IndexFunc(rows, func(l Decided) bool { return e.use(l.Row) == k.row })
			e.must(at >= 0 && rows[at].State == k.State, "I2: the ledger %v misses row %d", rows, k.row)
		}
	}
	e.must(counting == len(rows), "I2: the ledger has %v; the journal %v", rows, known)
}

// checkpoint is what a checkpoint reads while the sale runs, and from which record on the journal is replayed after it.
type checkpoint struct {
	after uint64
	rows  entries
}

func (e *explorer) checkpoint() {
	made := checkpoint{after: e.v.placed.Drained.Load()}
	end := e.v.Rows()
	for row := uint32(1); row < end; row++ {
		e.forgetTouched()
		call := e.v.Begin(row)
		read := entry{row: e.use(row)}
		if e.v.ReadLogged(row, &read.Snapshot) {
			read.seq = read.Seq
			own(&read.Snapshot)
			made.rows = append(made.rows, read)
		}
		call.End()
	}
	e.checkpoints = append(e.checkpoints, made)
}

// recovered checks that a checkpoint and the records after it say what the whole journal says. Of two rows of an id the
// later one counts, and a record counts only if it is later than what is known. What ended may be forgotten.
func (e *explorer) recovered(from checkpoint, known entries) {
	var found entries
	for _, read := range from.rows {
		found = found.put(read)
	}
	for i := int(from.after); i < len(e.journal); i++ {
		found = found.apply(&e.journal[i], uint64(i+1))
	}
	recovered := 0
	for i := range known {
		now := found.of(known[i].ID)
		if now == nil && e.mayForget(&known[i].Snapshot) {
			continue
		}
		recovered++
		e.must(now != nil && now.seq == known[i].seq && content(&now.Snapshot) == content(&known[i].Snapshot),
			"I6: a checkpoint from %d on recovers %v instead of %v", from.after, found, known)
	}
	e.must(len(found) == recovered, "I6: a checkpoint from %d on recovers %v instead of %v", from.after, found, known)
}
