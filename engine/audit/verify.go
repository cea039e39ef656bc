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
	"github.com/seathold/seathold/engine/draw"
	"github.com/seathold/seathold/engine/inventory"
	"github.com/seathold/seathold/engine/journal"
	"github.com/seathold/seathold/engine/record"
)

// Findings is the result of Verify.
type Findings struct {
	journal.Recovered
	Sale         string      // its name in the journal; empty for an empty journal
	Digest       draw.Digest // of the last definition; zero if that has version 1
	Definitions  int         // how many different ones were in force, one after another
	Differs      bool        // the sale that the caller named is not the last definition
	Reservations int
	Accounts     int
	ByState      map[inventory.State]int // reservations
	Held         int                     // tickets
	Confirmed    int                     // tickets
	Problems     []string                // the first 20 broken invariants, each with its number and its record
	Broken       int                     // how many there are in all
	Entries      []int                   // by draw of the last definition
}

const maxProblems = 20

// Verify replays a journal that no process is writing into plain maps, independent of the inventory. After every record
// it checks that the state is legal (I6): no pool is oversold (I1), no reservation takes an account beyond its cap or a
// session limit (I2), none ends twice, is confirmed too late or expires too soon (I3), and none is taken twice (I9). It
// runs draws again from their entries and their beacon. Every reservation must have the shape that its phase sells, and
// must have been made while the phase was open, and within its account's slot where the phase has access slots.
//
// All of it is judged by the definition that was in force at the record, which the journal has. What was rightly taken
// before a limit was lowered, or before a session moved to another programme, stays. What a checkpoint contains is the
// base of all that follows: it must not be oversold, nor have more than its limits, or more than accounts had when the
// definition came into force.
//
// sale may be nil. Otherwise it must have the journal's name, and Findings.Differs reports whether it is the journal's
// last definition. It judges only what follows a definition of version 1, which has names only; without it the error is
// ErrNoSale for such a journal.
//
// The error is for a journal that cannot be read. Broken invariants are in the findings.
func Verify(b journal.Reader, sale *catalog.Sale) (Findings, error) {
	a := &auditor{given: sale, found: Findings{ByState: map[inventory.State]int{}},
		reservations: map[uuid.UUID]*reservation{}, accounts: map[string]uint32{}, draws: map[string]*auditedDraw{},
		programmeRows: map[string]int{}, sessionRows: map[string]int{}, poolRows: map[record.Pool]int{},
		groupRows: map[string]int{}, tickets: [2]map[ticketKey]int{{}, {}}}
	begin := func(c journal.CheckpointInfo) error { a.end = c.End; return nil }
	recovered, err := b.Recover(record.Replay(begin, a.apply))
	if err != nil {
		return Findings{}, err
	}
	a.checkBase()
	if err := a.checkDraws(); err != nil {
		return Findings{}, err
	}
	a.found.Recovered = recovered
	if a.rules != nil && sale != nil {
		is := record.DefinitionOf(sale)
		a.found.Differs = !a.rules.names && a.found.Digest != is.Digest
	}
	a.sumUp()
	return a.found, nil
}

// sumUp counts the reservations.
func (a *auditor) sumUp() {
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
}

// auditor is the state of the sale in its simplest form.
type auditor struct {
	given        *catalog.Sale // by the caller; nil for none
	found        Findings
	seq, end     uint64 // end is the last record that the checkpoint may contain
	strict       bool   // after end: every step must be legal
	based        bool   // the state at end was checked
	reservations map[uuid.UUID]*reservation
	accounts     map[string]uint32
	names        []string // of the accounts
	draws        map[string]*auditedDraw

	rules         *rules // in force; nil before the first definition
	programmes    []auditedProgramme
	sessions      []auditedSession
	pools         []auditedPool
	groups        []string
	programmeRows map[string]int
	sessionRows   map[string]int
	poolRows      map[record.Pool]int
	groupRows     map[string]int
	tickets       [2]map[ticketKey]int // held and confirmed, by programme and by session
}

// ticketKey is an account and the row of a programme or session: account<<32 | row.
type ticketKey uint64

func keyOf(account uint32, row int) ticketKey { return ticketKey(account)<<32 | ticketKey(row) }

func (k ticketKey) row() int        { return int(uint32(k)) }
func (k ticketKey) account() uint32 { return uint32(k >> 32) }

type reservation struct {
	state   inventory.State
	seq     uint64 // of its last outcome; 0 if it is not known
	expires int64
	account uint32
	tickets int
	lines   []inventory.Line // by row of the pool
}

func (r *reservation) counts() bool {
	return r.state == inventory.Held || r.state == inventory.Confirmed
}

// has reports whether the reservation's row in a checkpoint shows the outcome with the sequence already.
func (r *reservation) has(seq uint64) bool { return seq <= r.seq }

func (a *auditor) problem(format string, args ...any) {
	a.found.Broken++
	if len(a.found.Problems) < maxProblems {
		a.found.Problems = append(a.found.Problems, fmt.Sprintf("record %d: ", a.seq)+fmt.Sprintf(format, args...))
	}
}

func (a *auditor) apply(seq uint64, b []byte) error {
	if seq > a.end {
		a.checkBase() // before a.seq: what is wrong there is not this record's fault
		a.strict = true
	}
	if seq > 0 {
		a.seq = seq
	}
	if record.KindOf(b) == record.KindDefinition {
		var r record.Record
		if err := r.Decode(b); err != nil {
			return err
		}
		return a.define(seq, &r.Definition, b)
	}
	if a.rules == nil {
		return fmt.Errorf("%w: it comes before any definition", record.ErrInvalid)
	}
	r, err := a.rules.decoder.Decode(seq, b)
	if err != nil {
		return err
	}
	if seq > 0 {
		r.Seq = seq
	}
	switch r.Kind {
	case record.KindClock:
	case record.KindTaken, record.KindReservation, record.KindChanged:
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
		if a.strict && !before.has(r.Seq) {
			a.problem("I9: reservation %s is taken twice", id)
		}
		return
	}
	account, ok := a.accounts[r.Request.Account]
	if !ok {
		account = uint32(len(a.accounts))
		a.accounts[r.Request.Account] = account
		a.names = append(a.names, r.Request.Account)
	}
	now := &reservation{state: r.State, seq: r.Seq, expires: r.Request.Expires, account: account,
		lines: a.rowsOf(r.Request.Lines)}
	a.reservations[id] = now
	for _, l := range now.lines {
		now.tickets += int(l.Quantity)
	}
	if now.state != inventory.Held {
		a.checkEnd(now, r) // a row of a checkpoint
	}
	if now.counts() {
		a.count(now, 1)
		if a.strict {
			a.check(now)
			a.checkPhase(r)
			a.checkAccess(r)
		}
	}
}

func (a *auditor) finish(r *record.Record) {
	id := uuid.UUID(r.Request.ID)
	now := a.reservations[id]
	switch {
	case now == nil && (a.strict || r.State == inventory.Confirmed): // a checkpoint leaves no confirmed one out
		a.problem("I6: reservation %s is %s but was never taken", id, r.State)
	case now == nil || now.has(r.Seq):
	case now.state != inventory.Held && a.strict:
		a.problem("I3: reservation %s is %s and then %s", id, now.state, r.State)
	case now.state == inventory.Held:
		a.checkEnd(now, r)
		now.state, now.seq = r.State, r.Seq
		if !now.counts() {
			a.count(now, -1)
		}
	}
}

// checkEnd checks that the reservation ends on the right side of its expiry. Ends of version 1 have no instant, but for
// confirmations.
func (a *auditor) checkEnd(now *reservation, r *record.Record) {
	over := r.AtMs >= now.expires
	if r.AtMs != 0 && over != (r.State == inventory.Expired) {
		a.problem("I3: reservation %s is %s at %s; its time is over at %s", uuid.UUID(r.Request.ID), r.State,
			precise(r.AtMs), precise(now.expires))
	}
}

// count adds the reservation's tickets, or takes them off.
func (a *auditor) count(r *reservation, sign int) {
	for _, l := range r.lines {
		pool := &a.pools[l.Pool]
		q := sign * int(l.Quantity)
		pool.taken += q
		a.tickets[byProgramme][keyOf(r.account, a.sessions[pool.session].programme)] += q
		a.tickets[bySession][keyOf(r.account, pool.session)] += q
	}
}

// check checks I1 and I2 for the pools, the programmes and the sessions of a reservation that was just taken. No
// account may be beyond a limit after it, whatever the account had before.
func (a *auditor) check(r *reservation) {
	for _, l := range r.lines {
		session := a.pools[l.Pool].session
		a.checkPool(int(l.Pool))
		a.checkTickets(byProgramme, keyOf(r.account, a.sessions[session].programme), 0)
		a.checkTickets(bySession, keyOf(r.account, session), 0)
	}
}

func (a *auditor) checkPool(row int) {
	if p := &a.pools[row]; p.taken > p.units || p.taken < 0 {
		a.problem("I1: session %s, category %s: %d of %d taken", a.sessions[p.session].id, p.category, p.taken, p.units)
	}
}

func (a *auditor) checkPools() {
	for row := range a.pools {
		a.checkPool(row)
	}
}

// checkTickets checks that an account has no more than the limit, or than what is allowed beyond it.
func (a *auditor) checkTickets(of int, key ticketKey, allowed int) {
	name, limit := a.limit(of, key.row())
	if has := a.tickets[of][key]; has > max(limit, allowed) {
		a.problem("I2: account %s has %d tickets of %s, the limit is %d", a.names[key.account()], has, name, limit)
	}
}

// checkBase checks I1 and I2 for the whole state at the checkpoint's end, once.
func (a *auditor) checkBase() {
	if a.based || a.rules == nil {
		return
	}
	a.based = true
	a.checkPools()
	if a.rules.names {
		return // what accounts had beyond the limits is not known
	}
	for of := range a.tickets {
		for _, key := range slices.Sorted(maps.Keys(a.tickets[of])) {
			a.checkTickets(of, key, a.rules.above[of][key.row()])
		}
	}
}
