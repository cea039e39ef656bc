// Package draw decides a ballot for access slots in a way that anybody can check afterwards.
//
// A draw goes through five steps, each a pure function of the one before:
//
//  1. Freeze. At the close of registration the entries are sorted by account and hashed into an RFC 6962 Merkle tree.
//     Its root is published; after that no entry can be added, taken away or altered unnoticed.
//  2. Beacon. A round of a drand chain, named before and lying after the close, brings randomness that nobody could
//     know while entries were taken. Its BLS signature is checked offline against the chain's public key.
//  3. Seed. SHA-256 of the root and the randomness. Nothing an operator chooses after the freeze enters it.
//  4. Rank. Entries in ascending order of HMAC-SHA256(seed, account).
//  5. Slots. In the order of their ranks entries get the places of the phase's access slots; the first days are the
//     priority group's alone.
//
// [Run] does steps 2 to 5 on frozen [Entries]. [Result.Export] writes all of it as files, and [Verify] recomputes such a
// directory from its entries and its beacon.
//
// The package has no clock and no state of its own, and no goroutine outlives the call that started it. Freezing, ranking
// and exporting use as many goroutines as GOMAXPROCS allows; what they compute does not depend on how many that are.
package draw

import (
	"encoding/hex"
	"errors"
	"fmt"
	"time"
)

// ErrTerms refuses terms that no draw can be held under: an unnamed draw, a time that is no whole second.
var ErrTerms = errors.New("draw: terms")

// Digest is a SHA-256 value.
type Digest [32]byte

// String returns the digest as 64 lower-case hexadecimal digits.
func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// Terms are the conditions of a draw. All of them are fixed before registration closes.
type Terms struct {
	Draw     string    // the draw's id: an [IsName]
	ClosesAt time.Time // of registration: the first instant at which no entry is taken
	Chain    Chain
	Round    uint64 // of the chain, the one that decides
	StandIn  bool   // the round was already known when the draw was defined, so the draw shows the method and proves no fairness
	Phase    string // id of the phase the slots belong to: an [IsName]
	Slots    SlotRule
}

// check refuses terms that contradict themselves or that an export could not write without loss, and works out their slots.
func (t *Terms) check() (schedule, error) {
	if !IsName([]byte(t.Draw)) {
		return schedule{}, fmt.Errorf("%w: the draw's id %q is not 1 to 64 of A-Z a-z 0-9 . _ : @ -", ErrTerms, t.Draw)
	}
	if !IsName([]byte(t.Phase)) {
		return schedule{}, fmt.Errorf("%w: the phase's id %q is not 1 to 64 of A-Z a-z 0-9 . _ : @ -", ErrTerms, t.Phase)
	}
	if !isWholeSecond(t.ClosesAt) {
		return schedule{}, fmt.Errorf("%w: registration closes at %v, not a whole second of the years 1970 to 9999", ErrTerms, t.ClosesAt)
	}
	if err := t.Chain.check(); err != nil {
		return schedule{}, err
	}
	if err := t.Chain.CheckRound(t.Round, t.ClosesAt, t.StandIn); err != nil {
		return schedule{}, err
	}
	return t.Slots.schedule()
}

// isWholeSecond reports whether t survives being written as RFC 3339 with seconds and four digits for the year.
func isWholeSecond(t time.Time) bool {
	return t.Nanosecond() == 0 && t.Unix() >= 0 && t.UTC().Year() <= 9999
}

// Result is the outcome of a draw. It is immutable and may be read by any number of goroutines.
type Result struct {
	Terms  Terms
	Beacon Beacon
	Root   Digest
	Seed   Digest

	// Rank and Slot are indexed by the caller's entry index, the one it froze the entries with.
	Rank []uint32 // 1 is the first
	Slot []int32  // 0 is the phase's first slot; -1 when the places ran out before this rank

	entries  *Entries
	byRank   []uint32 // positions in entries, the first rank first
	schedule schedule
}

// Run decides the draw: it verifies the beacon under the terms, ranks the entries and hands out the slots.
//
// Errors: [ErrTerms], [ErrSlotRule], [ErrNoSlot], [ErrNoPlaces] and [ErrRoundBeforeClose] for the terms; [ErrPublicKey],
// [ErrOtherRound], [ErrRandomness] and [ErrSignature] for the beacon. After an error nothing is decided; a beacon may be
// fetched again, terms have to be corrected in the sale definition.
func Run(entries *Entries, terms Terms, beacon Beacon) (*Result, error) {
	plan, err := terms.check()
	if err != nil {
		return nil, err
	}
	if err := terms.Chain.Verify(terms.Round, beacon); err != nil {
		return nil, err
	}
	seed := SeedOf(entries.Root(), beacon.Randomness)
	result := &Result{
		Terms: terms, Beacon: beacon, Root: entries.Root(), Seed: seed,
		Rank: make([]uint32, entries.Len()), entries: entries, byRank: rank(entries, seed), schedule: plan,
	}
	for place, position := range result.byRank {
		result.Rank[entries.order[position]] = uint32(place) + 1
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
	ClosesAt time.Time // the first instant at which the slot has ended
	Priority bool      // the slot is one of the first days, which only members of the priority group get
}

// Access returns the slot of an entry, given its index; false when it drew none.
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

// Winners calls yield for every entry that has a slot, in the order of the ranks, until yield returns false. It is an
// iterator for range.
func (r *Result) Winners(yield func(Access) bool) {
	for _, position := range r.byRank {
		access, won := r.Access(int(r.entries.order[position]))
		if won && !yield(access) {
			return
		}
	}
}
