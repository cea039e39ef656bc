package engine

import (
	"fmt"
	"maps"
	"slices"

	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/inventory"
	"github.com/seathold/seathold/engine/journal"
)

// Audit is what Verify found in a journal.
type Audit struct {
	journal.Recovered
	Reservations int
	Accounts     int
	ByState      map[State]int // reservations
	Held         int           // tickets
	Confirmed    int           // tickets
	Problems     []string      // the first maxProblems broken invariants, each with its number and place
	Broken       int           // how many in all
	Entries      []int         // by draw of the sale
}

const maxProblems = 20

// Verify replays a journal that nobody writes, with nothing of the inventory but plain maps, and checks after every
// record that the state is a legal one: no pool oversold (I1), no account over its cap or a session limit (I2), no
// reservation ended twice (I3) or taken twice (I9). That is I6: every prefix is legal. Draws are held again from their
// entries and their beacon, under the terms of the sale, and every reservation of a phase that goes by access slots must
// have been made inside its account's slot. The error is for a journal that cannot be read; broken invariants are in the
// audit.
func Verify(b journal.Reader, sale *catalog.Sale) (Audit, error) {
	a := &auditor{sale: sale, audit: Audit{ByState: map[State]int{}},
		reservations: map[ID]*audited{}, accounts: map[string]uint32{},
		taken: make([]int, len(sale.Pools)), byProgramme: map[uint64]int{}, bySession: map[uint64]int{}}
	for range sale.Draws {
		a.draws = append(a.draws, auditedDraw{index: map[string]uint32{}, size: -1})
	}
	found, err := b.Recover(journal.Recovery{
		Begin: func(c journal.CheckpointInfo) error { a.end = c.End; return nil },
		Chunk: func(run []byte) error { return eachRecord(run, a.apply) },
		Group: func(g journal.Group) error {
			a.seq = g.First - 1
			return eachRecord(g.Records, func(b []byte) error {
				a.seq++
				a.strict = a.seq > a.end
				if a.seq == a.end+1 {
					a.checkAll()
				}
				if err := a.apply(b); err != nil {
					return fmt.Errorf("record %d: %w", a.seq, err)
				}
				return nil
			})
		},
	})
	if err != nil {
		return Audit{}, err
	}
	a.checkAll()
	if err := a.checkDraws(); err != nil {
		return Audit{}, err
	}
	a.audit.Recovered = found
	a.audit.Reservations, a.audit.Accounts = len(a.reservations), len(a.accounts)
	for _, r := range a.reservations {
		a.audit.ByState[r.state]++
		switch r.state {
		case Held:
			a.audit.Held += r.tickets
		case Confirmed:
			a.audit.Confirmed += r.tickets
		}
	}
	return a.audit, nil
}

// auditor is the naive state.
type auditor struct {
	sale         *catalog.Sale
	translation  *translation
	audit        Audit
	seq, end     uint64
	strict       bool // past the checkpoint: every step must be legal
	record       record
	reservations map[ID]*audited
	accounts     map[string]uint32
	taken        []int          // by pool
	byProgramme  map[uint64]int // account<<32 | programme: tickets
	bySession    map[uint64]int // account<<32 | session: tickets
	draws        []auditedDraw
}

type audited struct {
	state   State
	expires int64
	account uint32
	tickets int
	lines   []inventory.Line
}

func (a *auditor) problem(format string, args ...any) {
	a.audit.Broken++
	if len(a.audit.Problems) < maxProblems {
		a.audit.Problems = append(a.audit.Problems, fmt.Sprintf("record %d: ", a.seq)+fmt.Sprintf(format, args...))
	}
}

func (a *auditor) apply(b []byte) error {
	r := &a.record
	if err := r.decode(b); err != nil {
		return err
	}
	if r.kind == definitionRecord {
		var err error
		a.translation, err = translate(r.definition, a.sale)
		return err
	}
	if a.translation == nil {
		return fmt.Errorf("%w: it comes before any definition", errRecord)
	}
	switch r.kind {
	case takenRecord, reservationRecord:
		return a.take(r)
	case confirmedRecord:
		a.finish(r, Confirmed)
	case releasedRecord:
		a.finish(r, Released)
	case expiredRecord:
		a.finish(r, Expired)
	default:
		return a.drawRecord(r)
	}
	return nil
}

func (a *auditor) take(r *record) error {
	if err := a.translation.apply(&r.request); err != nil {
		return err
	}
	id := ID(r.request.ID)
	// An id is free again when a reservation that ended under it has been forgotten, which is some time after its time.
	if before := a.reservations[id]; before != nil && (before.state == Held || before.state == Confirmed || r.request.Created <= before.expires) {
		if a.strict {
			a.problem("I9: reservation %s is taken twice", id)
		}
		return nil
	}
	account, ok := a.accounts[r.request.Account]
	if !ok {
		account = uint32(len(a.accounts))
		a.accounts[r.request.Account] = account
	}
	now := &audited{state: Held, expires: r.request.Expires, account: account, lines: slices.Clone(r.request.Lines)}
	a.reservations[id] = now
	if r.kind == reservationRecord {
		now.state = r.state
	}
	for _, l := range now.lines {
		now.tickets += int(l.Quantity)
	}
	if now.state == Held || now.state == Confirmed {
		a.add(now, 1)
		if a.strict {
			a.check(now, r.request.Account)
			a.checkAccess(r)
		}
	}
	return nil
}

func (a *auditor) finish(r *record, to State) {
	id := ID(r.request.ID)
	now := a.reservations[id]
	switch {
	case now == nil && a.strict:
		a.problem("I6: reservation %s is %s but was never taken", id, to)
	case now == nil:
	case now.state != Held && a.strict:
		a.problem("I3: reservation %s is %s and then %s", id, now.state, to)
	case now.state == Held:
		now.state = to
		if to != Confirmed {
			a.add(now, -1)
		}
	}
}

func (a *auditor) add(r *audited, sign int) {
	for _, l := range r.lines {
		session := a.sale.Pools[l.Pool].Session
		q := sign * int(l.Quantity)
		a.taken[l.Pool] += q
		a.byProgramme[uint64(r.account)<<32|uint64(a.sale.Sessions[session].Programme)] += q
		a.bySession[uint64(r.account)<<32|uint64(session)] += q
	}
}

// check holds what the reservation touched against I1 and I2.
func (a *auditor) check(r *audited, account string) {
	for _, l := range r.lines {
		session := a.sale.Pools[l.Pool].Session
		a.checkPool(int(l.Pool))
		a.checkCap(account, r.account, a.sale.Sessions[session].Programme)
		a.checkLimit(account, r.account, session)
	}
}

func (a *auditor) checkPool(pool int) {
	p := &a.sale.Pools[pool]
	if units := p.Capacity - p.Withheld; a.taken[pool] > units || a.taken[pool] < 0 {
		a.problem("I1: session %s, category %s: %d of %d taken", a.sale.Sessions[p.Session].ID, p.Category, a.taken[pool], units)
	}
}

func (a *auditor) checkCap(account string, index uint32, programme int) {
	p := &a.sale.Programmes[programme]
	if has := a.byProgramme[uint64(index)<<32|uint64(programme)]; has > p.AccountCap {
		a.problem("I2: account %s has %d tickets in programme %s, the cap is %d", account, has, p.ID, p.AccountCap)
	}
}

func (a *auditor) checkLimit(account string, index uint32, session int) {
	s := &a.sale.Sessions[session]
	if has := a.bySession[uint64(index)<<32|uint64(session)]; has > s.Limit {
		a.problem("I2: account %s has %d tickets of session %s, the limit is %d", account, has, s.ID, s.Limit)
	}
}

// checkAll holds the whole state against I1 and I2.
func (a *auditor) checkAll() {
	for pool := range a.taken {
		a.checkPool(pool)
	}
	names := make([]string, len(a.accounts))
	for name, i := range a.accounts {
		names[i] = name
	}
	for _, key := range slices.Sorted(maps.Keys(a.byProgramme)) {
		a.checkCap(names[key>>32], uint32(key>>32), int(uint32(key)))
	}
	for _, key := range slices.Sorted(maps.Keys(a.bySession)) {
		a.checkLimit(names[key>>32], uint32(key>>32), int(uint32(key)))
	}
}
