// Package audit checks a sale's invariants: Verify those of a journal that no process is writing, record by record, and
// Check those of a live sale. Dump prints a journal. Verify uses nothing of the core that it checks: its state is plain
// maps.
package audit

import (
	"fmt"
	"maps"
	"slices"

	"github.com/google/uuid"

	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/inventory"
	"github.com/seathold/seathold/engine/journal"
	"github.com/seathold/seathold/engine/record"
)

// Findings is the result of Verify.
type Findings struct {
	journal.Recovered
	Reservations int
	Accounts     int
	ByState      map[inventory.State]int // reservations
	Held         int                     // tickets
	Confirmed    int                     // tickets
	Problems     []string                // the first 20 broken invariants, each with its number and its record
	Broken       int                     // how many there are in all
	Entries      []int                   // by draw of the sale
}

const maxProblems = 20

// Verify replays a journal that no process is writing into plain maps, independent of the inventory. After every record
// it checks that the state is legal (I6): no pool is oversold (I1), no account exceeds its cap or a session limit (I2),
// no reservation ends twice (I3), and none is taken twice (I9). It runs draws again from their entries and their
// beacon, under the sale's terms. Every reservation in a phase with access slots must have been made within its
// account's slot.
//
// The error is for a journal that cannot be read. Broken invariants are in the findings.
func Verify(b journal.Reader, sale *catalog.Sale) (Findings, error) {
	a := &auditor{sale: sale, found: Findings{ByState: map[inventory.State]int{}}, decoder: record.NewDecoder(sale),
		reservations: map[uuid.UUID]*reservation{}, accounts: map[string]uint32{},
		taken: make([]int, len(sale.Pools)), byProgramme: map[uint64]int{}, bySession: map[uint64]int{}}
	for range sale.Draws {
		a.draws = append(a.draws, auditedDraw{index: map[string]uint32{}, size: -1})
	}
	begin := func(c journal.CheckpointInfo) error { a.end = c.End; return nil }
	recovered, err := b.Recover(record.Replay(begin, a.apply))
	if err != nil {
		return Findings{}, err
	}
	a.checkAll()
	if err := a.checkDraws(); err != nil {
		return Findings{}, err
	}
	a.found.Recovered = recovered
	a.found.Reservations, a.found.Accounts = len(a.reservations), len(a.accounts)
	for _, r := range a.reservations {
		a.found.ByState[r.state]++
		switch r.state {
		case inventory.Held:
			a.found.Held += r.tickets
		case inventory.Confirmed:
			a.found.Confirmed += r.tickets
		}
	}
	return a.found, nil
}

// auditor is the state of the sale in its simplest form.
type auditor struct {
	sale         *catalog.Sale
	decoder      *record.Decoder
	found        Findings
	seq, end     uint64 // end is the last record that the checkpoint may contain
	strict       bool   // after end: every step must be legal
	reservations map[uuid.UUID]*reservation
	accounts     map[string]uint32
	taken        []int          // by pool
	byProgramme  map[uint64]int // account<<32 | programme: tickets
	bySession    map[uint64]int // account<<32 | session: tickets
	draws        []auditedDraw
}

type reservation struct {
	state   inventory.State
	expires int64
	account uint32
	tickets int
	lines   []inventory.Line
}

func (r *reservation) counts() bool {
	return r.state == inventory.Held || r.state == inventory.Confirmed
}

func (a *auditor) problem(format string, args ...any) {
	a.found.Broken++
	if len(a.found.Problems) < maxProblems {
		a.found.Problems = append(a.found.Problems, fmt.Sprintf("record %d: ", a.seq)+fmt.Sprintf(format, args...))
	}
}

func (a *auditor) apply(seq uint64, b []byte) error {
	if seq > 0 {
		a.seq, a.strict = seq, seq > a.end
		if seq == a.end+1 {
			a.checkAll()
		}
	}
	r, err := a.decoder.Decode(seq, b)
	if err != nil {
		return err
	}
	switch r.Kind {
	case record.KindDefinition, record.KindClock:
	case record.KindTaken, record.KindReservation:
		a.take(r)
	case record.KindConfirmed, record.KindReleased, record.KindExpired:
		a.finish(r)
	default:
		return a.drawRecord(r)
	}
	return nil
}

func (a *auditor) take(r *record.Record) {
	id := uuid.UUID(r.Request.ID)
	// An id is free again once its ended reservation was forgotten, which is some time after its expiry.
	if before := a.reservations[id]; before != nil && (before.counts() || r.Request.Created <= before.expires) {
		if a.strict {
			a.problem("I9: reservation %s is taken twice", id)
		}
		return
	}
	account, ok := a.accounts[r.Request.Account]
	if !ok {
		account = uint32(len(a.accounts))
		a.accounts[r.Request.Account] = account
	}
	now := &reservation{state: r.State, expires: r.Request.Expires, account: account, lines: slices.Clone(r.Request.Lines)}
	a.reservations[id] = now
	for _, l := range now.lines {
		now.tickets += int(l.Quantity)
	}
	if now.counts() {
		a.add(now, 1)
		if a.strict {
			a.check(now, r.Request.Account)
			a.checkAccess(r)
		}
	}
}

func (a *auditor) finish(r *record.Record) {
	id := uuid.UUID(r.Request.ID)
	now := a.reservations[id]
	switch {
	case now == nil && a.strict:
		a.problem("I6: reservation %s is %s but was never taken", id, r.State)
	case now == nil:
	case now.state != inventory.Held && a.strict:
		a.problem("I3: reservation %s is %s and then %s", id, now.state, r.State)
	case now.state == inventory.Held:
		now.state = r.State
		if !now.counts() {
			a.add(now, -1)
		}
	}
}

func (a *auditor) add(r *reservation, sign int) {
	for _, l := range r.lines {
		session := a.sale.Pools[l.Pool].Session
		q := sign * int(l.Quantity)
		a.taken[l.Pool] += q
		a.byProgramme[uint64(r.account)<<32|uint64(a.sale.Sessions[session].Programme)] += q
		a.bySession[uint64(r.account)<<32|uint64(session)] += q
	}
}

// check checks I1 and I2 for the pools, the programmes and the sessions of the reservation.
func (a *auditor) check(r *reservation, account string) {
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
		a.problem("I1: session %s, category %s: %d of %d taken", a.sale.Sessions[p.Session].ID, p.Category, a.taken[pool],
			units)
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

// checkAll checks I1 and I2 for the whole state.
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
