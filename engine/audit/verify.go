// Package audit checks a sale's invariants: Verify those of a journal that no process is writing, record by record, and
// Check those of a live sale. Dump prints a journal. Verify uses nothing of the core that it checks: its state is plain
// maps.
package audit

import (
	"fmt"

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
	Version      int         // of the last definition; 0 for one from before definitions had versions
	Digest       draw.Digest // of what is in force; zero for a definition of version 1
	Definitions  int         // how many different ones were in force, one after another
	Differs      bool        // the sale that the caller named is not the last definition
	Reservations int
	Accounts     int
	ByState      map[inventory.State]int // reservations
	Held         int                     // tickets
	Confirmed    int                     // tickets
	Returned     int                     // tickets
	Withheld     int                     // returned tickets whose places are not on sale again
	Problems     []string                // the first 20 broken invariants, each with its number and its record
	Broken       int                     // how many there are in all
	Entries      []int                   // by draw of the last definition
	Members      map[string]int          // by group, also of one that was removed
}

const maxProblems = 20

// Verify replays a journal that no process is writing into plain maps, independent of the inventory. After every record
// it checks that the state is legal (I6): no pool is oversold (I1), no reservation takes an account beyond its cap or a
// session limit (I2), none ends twice, is confirmed too late or expires too soon (I3), and none is taken twice (I9). It
// runs draws again from their entries and their beacon. Every reservation must have the shape that its phase sells, and
// must have been made while the phase was open, within its account's slot where the phase has access slots, and by a
// member where the phase is for a group. No phase takes more of a session than its places (I1).
//
// A change must follow from what the reservation was before it, and must leave all else of it as it was. A reservation
// that takes the place of another, or is taken again, is judged like a new one; the one whose place is taken does not
// count then. How far a hold may be extended is an option of the server, which a journal does not have.
//
// All of it is judged by the definition, the stock and the pauses that were in force at the record, which the journal
// has. What was rightly taken before a limit was lowered stays. No stock may fall below what is taken. What a
// checkpoint contains is the base of all that follows: it must not be oversold, nor have more than its limits, or more
// than accounts had when the definition came into force.
//
// sale may be nil. Otherwise it must have the journal's name, and Findings.Differs reports whether it is the journal's
// last definition. It judges only what follows a definition of version 1, which has names only; without it the error is
// ErrNoSale for such a journal.
//
// The error is for a journal that cannot be read. Broken invariants are in the findings.
func Verify(b journal.Reader, sale *catalog.Sale) (Findings, error) {
	a := &auditor{given: sale, decoder: record.NewDecoder(sale), found: Findings{ByState: map[inventory.State]int{}},
		reservations: map[uuid.UUID]*reservation{}, missing: map[uuid.UUID]uint64{}, draws: map[string]*auditedDraw{},
		programmeRows: map[string]int{}, sessionRows: map[string]int{}, poolRows: map[record.Pool]int{},
		groupRows: map[string]int{}, accountRows: map[string]int{}, phaseRows: map[string]int{},
		places: map[placesKey]*auditedPlaces{}, members: map[string]map[string]bool{},
		tickets: [2]map[ticketKey]int{{}, {}}}
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
	if a.rules != nil {
		a.found.Version, a.found.Digest = a.rules.version, a.rules.digest
		if a.rules.version > 0 {
			a.found.Digest = record.DigestOf(a.sale())
		}
		a.found.Differs = sale != nil && a.differs(sale)
	}
	a.sumUp()
	return a.found, nil
}

// sumUp counts the reservations.
func (a *auditor) sumUp() {
	a.found.Members = map[string]int{}
	for group, of := range a.members {
		if len(of) > 0 {
			a.found.Members[group] = len(of)
		}
	}
	for row := range a.pools {
		a.found.Withheld -= a.pools[row].freed
	}
	a.found.Reservations, a.found.Accounts = len(a.reservations), len(a.accountRows)
	for _, r := range a.reservations {
		a.found.ByState[r.state]++
		switch r.state {
		case inventory.Held:
			a.found.Held += int(r.tickets)
		case inventory.Confirmed:
			a.found.Confirmed += int(r.tickets)
		case inventory.Returned:
			a.found.Returned += int(r.tickets)
			if r.withheld() {
				a.found.Withheld += int(r.tickets)
			}
		}
	}
}

// auditor is the state of the sale in its simplest form.
type auditor struct {
	given        *catalog.Sale // by the caller; nil for none
	decoder      *record.Decoder
	found        Findings
	seq, end     uint64 // end is the last record that the checkpoint may contain
	strict       bool   // after end: every step must be legal
	based        bool   // the state at end was checked
	latest       int64  // ms: up to there, what has ended may be missing from the state at end
	reservations map[uuid.UUID]*reservation
	missing      map[uuid.UUID]uint64 // confirmed up to end, by the record with the sequence, but not in the checkpoint
	draws        map[string]*auditedDraw

	rules         *rules // in force; nil before the first definition
	paused        paused
	programmes    []auditedProgramme
	sessions      []auditedSession
	pools         []auditedPool
	groups        []string
	accounts      []string
	phases        []string
	programmeRows map[string]int
	sessionRows   map[string]int
	poolRows      map[record.Pool]int
	groupRows     map[string]int
	accountRows   map[string]int
	phaseRows     map[string]int
	places        map[placesKey]*auditedPlaces
	members       map[string]map[string]bool // by id of the group, also of one that is removed
	tickets       [2]map[ticketKey]int       // held and confirmed, by programme and by session
}

// ticketKey is an account and the row of a programme or session: account<<32 | row.
type ticketKey uint64

func keyOf(account uint32, row int) ticketKey { return ticketKey(account)<<32 | ticketKey(row) }

func (k ticketKey) row() int        { return int(uint32(k)) }
func (k ticketKey) account() uint32 { return uint32(k >> 32) }

func (a *auditor) problem(format string, args ...any) { a.problemAt(a.seq, format, args...) }

func (a *auditor) problemAt(seq uint64, format string, args ...any) {
	a.found.Broken++
	if len(a.found.Problems) < maxProblems {
		a.found.Problems = append(a.found.Problems, fmt.Sprintf("record %d: ", seq)+fmt.Sprintf(format, args...))
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
	r, err := a.decoder.Decode(seq, b)
	if err != nil {
		return err
	}
	if seq > 0 {
		r.Seq = seq
	}
	if !a.strict {
		a.latest = max(a.latest, r.AtMs)
	}
	if r.Kind.OfDefinition() {
		a.inForce(seq, r)
		return nil
	}
	switch r.Kind {
	case record.KindClock:
	case record.KindTaken, record.KindReservation, record.KindChanged:
		a.take(r)
	case record.KindConfirmed, record.KindReleased, record.KindExpired:
		a.finish(r)
	case record.KindExtended, record.KindReduced, record.KindTakenAgain, record.KindReturned:
		a.change(r)
	case record.KindReplaced:
		a.replace(r)
	case record.KindJoined, record.KindLeft:
		a.member(r)
	default:
		return a.drawRecord(r)
	}
	return nil
}

// inForce applies a record that changes what is in force, unless the checkpoint has it, or a later one, already.
func (a *auditor) inForce(seq uint64, r *record.Record) {
	switch {
	case r.Stale, r.Kind == record.KindEarlier: // no outcome is judged by what was in force before
	case r.Kind == record.KindPaused:
		a.pause(r.Pause)
	case r.Kind == record.KindStock:
		a.stock(r.Stock)
	default:
		a.define(seq, &r.Definition)
	}
}

// check checks I1 and I2 for the pools, the phase, the programmes and the sessions of a reservation that was just
// taken. No
// account may be beyond a limit after it, whatever the account had before.
func (a *auditor) check(r *reservation) {
	for _, l := range r.lines {
		session := a.pools[l.Pool].session
		a.checkPool(int(l.Pool))
		a.checkPlaces(placesKey{int(r.phase), session})
		a.checkTickets(byProgramme, keyOf(r.account, a.sessions[session].programme), 0)
		a.checkTickets(bySession, keyOf(r.account, session), 0)
	}
}

func (a *auditor) checkPool(row int) {
	p := &a.pools[row]
	if taken := p.taken - p.freed; taken > p.places || p.taken < 0 {
		a.problem("I1: session %s, category %s: %d of %d taken", a.sessions[p.session].id, p.category, taken, p.places)
	}
	if p.freed > p.withheld {
		a.problem("I1: session %s, category %s: %d places of returned tickets are freed, %d were withheld",
			a.sessions[p.session].id, p.category, p.freed, p.withheld)
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
		a.problem("I2: account %s has %d tickets of %s, the limit is %d", a.accounts[key.account()], has, name, limit)
	}
}

// checkBase checks I1 and I2 for the whole state at the checkpoint's end, once.
func (a *auditor) checkBase() {
	if a.based || a.rules == nil {
		return
	}
	a.based = true
	a.checkPools()
	a.checkMissing()
	a.checkReplaced()
	if a.rules.names {
		return // what accounts had beyond the limits is not known
	}
	a.checkAllPlaces()
	a.checkAccounts()
}
