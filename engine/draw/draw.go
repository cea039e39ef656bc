// Package draw decides a ballot for access slots in a way that anyone can check afterwards.
//
// A draw has five steps. Each is a pure function of the previous one:
//
//  1. Freeze. When registration closes, each account is replaced by its handle, a salted hash. The handles are sorted
//     and hashed into an RFC 6962 Merkle tree. Its root is published. From then on no entry can be added, removed or
//     altered without detection.
//  2. Beacon. A round of a drand chain supplies randomness that was unpredictable while entries were accepted. It is
//     named in advance and due at least Terms.PublishWithin after the close, which is the time to publish the root. Its
//     BLS signature is checked offline against the chain's public key.
//  3. Seed. SHA-256 of the root and the randomness. No input that an operator chooses after the freeze enters it.
//  4. Rank. Entries in ascending order of HMAC-SHA256(seed, handle and a zero byte).
//  5. Slots. In the order of their ranks, entries get the places of the phase's access slots. The slots of the first
//     days are reserved for the priority group.
//
// [Freeze] does step 1, [Run] does steps 2 to 5. [Entries.Proof] proves to one account that its entry was frozen.
// [Result.Export] writes the whole draw as files, and [Verify] recomputes such a directory from its entries and beacon.
//
// # What the proof needs
//
// An operator who freezes when the beacon is known can try invented entries until a friend has the first rank. One
// entry among a thousand suffices, and a few seconds. The proof is therefore worth as much as the evidence that the
// root was public before the round was due. [Run] refuses entries that the sale clock dates later ([ErrLate]), and
// [Timing.Backdated] compares that with the clock of the machine. Both are the operator's own clocks. Evidence from
// outside is a copy of the root that somebody else received before the round was due, and compares with the export.
//
// [Secret] has the argument why the operator gains nothing by the choice of the draw's secret.
//
// # Weights
//
// An entry of weight w has w tickets, and its best counts: the rank is by the least of HMAC-SHA256(seed, handle and the
// byte k) for k below w. The weight is part of the leaf and of the files. Every entry has the weight 1 so far.
//
// # Format 1
//
// Exports of format 1 have the accounts themselves in place of handles, and do not state when the entries were frozen.
// [Verify] still accepts them, and [FreezeAccounts] and [Run] still compute their results for journals that froze
// entries so.
//
// The package has no clock and no state, and no goroutine outlives the call that started it. Freezing, ranking and
// exporting use up to GOMAXPROCS goroutines; the results do not depend on their number.
package draw

import (
	"encoding/hex"
	"errors"
	"fmt"
	"time"
)

// ErrTerms is the error for terms under which no draw can be held. The text states which rule they break; correct them
// in the sale definition.
var ErrTerms = errors.New("draw: invalid terms")

// nameRule is what IsName checks, for messages.
const nameRule = "1 to 64 characters from A-Z a-z 0-9 . _ : @ -"

// Digest is a SHA-256 value.
type Digest [32]byte

// String returns the digest as 64 lower-case hexadecimal digits.
func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// Terms are the conditions of a draw. They are all fixed before registration closes.
type Terms struct {
	Draw     string    // id of the draw; see [IsName]
	ClosesAt time.Time // of registration: the first instant at which no entry is accepted; a whole second
	Chain    Chain
	Round    uint64 // of the chain: the round that decides unless it is postponed, 1 to 2^40
	StandIn  bool   // the round was known when the draw was defined: the draw shows the method but does not prove fairness
	Phase    string // id of the phase that the slots belong to; see [IsName]
	Slots    SlotRule

	// PublishWithin is the least time from the close of registration, or from a postponement, to the round: the root must
	// be published within it. Whole seconds, MinPublishWithin to MaxPublishWithin; 0 in format 1.
	PublishWithin time.Duration
	// Commitment is Secret.Commitment; zero in format 1.
	Commitment Digest
}

// check refuses terms that contradict themselves or that an export could not represent exactly. It returns their slots.
func (t *Terms) check(sealed bool) (schedule, error) {
	if !IsName([]byte(t.Draw)) {
		return schedule{}, fmt.Errorf("%w: the draw's id must be %s, not %q", ErrTerms, nameRule, t.Draw)
	}
	if !IsName([]byte(t.Phase)) {
		return schedule{}, fmt.Errorf("%w: the phase's id must be %s, not %q", ErrTerms, nameRule, t.Phase)
	}
	if !isWholeSecond(t.ClosesAt) {
		return schedule{}, fmt.Errorf("%w: registration must close on a %s, not at %v", ErrTerms, secondRule, t.ClosesAt)
	}
	if within := t.PublishWithin; sealed == (within == 0) || sealed && (within < MinPublishWithin ||
		within > MaxPublishWithin || within%time.Second != 0) {
		return schedule{}, fmt.Errorf("%w: the time to publish the root must be whole seconds from %s to %s, not %s",
			ErrTerms, MinPublishWithin, MaxPublishWithin, within)
	}
	if sealed == (t.Commitment == Digest{}) {
		return schedule{}, fmt.Errorf("%w: sealed entries need the commitment of a secret, and others must have none",
			ErrTerms)
	}
	if err := t.Chain.check(); err != nil {
		return schedule{}, err
	}
	if err := t.Chain.checkRound(t.Round, t.ClosesAt, t.PublishWithin, t.StandIn); err != nil {
		return schedule{}, err
	}
	return t.Slots.schedule()
}

// secondRule is what isWholeSecond checks, for messages.
const secondRule = "whole second in the years 1970 to 9999"

// isWholeSecond reports whether RFC 3339 with seconds and a year of four digits represents t exactly.
func isWholeSecond(t time.Time) bool {
	return t.Nanosecond() == 0 && t.Unix() >= 0 && t.UTC().Year() <= 9999
}

// Result is the outcome of a draw. It is immutable and may be read by any number of goroutines.
type Result struct {
	Terms  Terms
	Timing Timing // zero in format 1
	Beacon Beacon
	Root   Digest
	Seed   Digest

	// Rank and Slot are indexed by entry, with the caller's index of [Freeze].
	Rank []uint32 // from 1
	Slot []int32  // from 0, the phase's first slot; -1 if all places went to better ranks

	entries  *Entries
	byRank   []uint32 // positions in entries, in the order of their ranks
	schedule schedule
}

// Run decides the draw: it checks the timing, verifies the beacon of the round that decides, ranks the entries and
// assigns the slots. For entries of [FreezeAccounts] it ignores the timing.
//
// Errors: [ErrTerms] for the terms, which must be corrected in the sale definition; [ErrLate], [ErrRoundDue],
// [ErrPostponing] and [ErrMoment] for the timing: the draw is void; [ErrOtherRound], [ErrRandomness] and [ErrSignature]
// for the beacon, which may be fetched again. After an error nothing is decided.
func Run(entries *Entries, terms Terms, timing Timing, beacon Beacon) (*Result, error) {
	plan, err := terms.check(entries.sealed())
	if err != nil {
		return nil, err
	}
	if !entries.sealed() {
		timing = Timing{}
	} else if err := timing.check(&terms); err != nil {
		return nil, err
	}
	if err := terms.Chain.Verify(timing.Round(&terms), beacon); err != nil {
		return nil, err
	}
	seed := SeedOf(entries.Root(), beacon.Randomness)
	result := &Result{
		Terms: terms, Timing: timing, Beacon: beacon, Root: entries.Root(), Seed: seed,
		Rank: make([]uint32, entries.Len()), entries: entries, byRank: rank(entries, seed), schedule: plan,
	}
	for i, position := range result.byRank {
		result.Rank[entries.order[position]] = uint32(i) + 1
	}
	result.Slot = plan.assign(entries, result.byRank)
	return result, nil
}

// Access is the window in which a drawn account may buy.
type Access struct {
	Entry    int // the caller's entry index
	Rank     uint32
	Slot     int32
	OpensAt  time.Time
	ClosesAt time.Time // the first instant after the slot
	Priority bool      // the slot is reserved for the priority group
}

// Access returns the slot of an entry, given by its index; false if it has none.
func (r *Result) Access(entry int) (Access, bool) {
	slot := r.Slot[entry]
	if slot < 0 {
		return Access{}, false
	}
	opens := r.schedule.opensAt(slot)
	return Access{
		Entry: entry, Rank: r.Rank[entry], Slot: slot,
		OpensAt: opens, ClosesAt: opens.Add(r.Terms.Slots.Length), Priority: slot < r.schedule.priority,
	}, true
}

// Winners is an iterator over the entries that have a slot, in the order of their ranks.
func (r *Result) Winners(yield func(Access) bool) {
	for _, position := range r.byRank {
		access, won := r.Access(int(r.entries.order[position]))
		if won && !yield(access) {
			return
		}
	}
}
