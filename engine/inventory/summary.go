package inventory

import (
	"maps"
	"unsafe"

	"github.com/seathold/seathold/engine/inventory/internal/table"
)

// summary bounds from above what the rows of a long ledger count from one row on, so that most reservations in an
// account of thousands need not walk all of them.
//
// A ledger grows at its head only, and a row that counts once may cease to but never counts again. So whatever a
// summary's rows counted when it was made, they count no more at any later time: an acceptance that rests on a summary
// is right (I2). A refusal needs exact sums, and so does a request that the bound would refuse: they look at the state
// of each row, those of a summary included. That the summary is of the right rows needs no proof of its own: a walk
// uses it only when it comes to the row where it begins, and every live row that follows is one of its rows.
//
// Summaries may be lost, overwritten or out of date. They make walks shorter and decide nothing. A row must not be used
// again while a summary names it: the reclaimer drops the summary of its account before it frees a row, after every
// call that saw the row alive has returned. Later summaries are made of live rows only, so none can name it again.
type summary struct {
	account  uint32
	listing  uint32   // the version of the listing by which it was made
	rows     []uint32 // those that counted, in the order of the ledger; the summary begins at the first
	tickets  [MaxProgrammes]int32
	sessions map[uint32]int32 // tickets by session
	dropped  int              // dead rows that may still be linked after the first row
}

// summarySlots is how many accounts can have a summary at a time: each has one slot, by its row. A summary of 4,000
// reservations takes less than 200 KiB.
const summarySlots = 256

// longLedgers says when a ledger is long. All numbers are live rows, or tickets in gain.
type longLedgers struct {
	look int // a walk that has come so far looks for a summary
	skip int // a summary begins after so many, or more: the newest are the ones that end soon
	most int // a walk of more makes a summary
	gain int // a summary that counts so many tickets too many is made again
}

var usualLedgers = longLedgers{look: 32, skip: 32, most: 64, gain: 16}

// summaryOf returns the account's summary, or nil.
func (v *Inventory) summaryOf(account uint32) *summary {
	if found := v.summaries[account%summarySlots].Load(); found != nil && found.account == account &&
		found.listing == v.listing.Version() {
		return found
	}
	return nil
}

// addBound adds what the summary's rows count at most. It may cease to count.
func (s *sums) addBound(of *summary, programme uint8) {
	s.doubtful += int(of.tickets[programme])
	for i := range s.bySession {
		b := &s.bySession[i]
		b.doubtful += of.sessions[b.session]
	}
}

// countRows adds the summary's rows by their present states.
func (v *Inventory) countRows(of *summary, programme uint8, s *sums) {
	for i, row := range of.rows {
		v.prefetchRow(of, i+aheadRows)
		r := v.reservations.At(row)
		state := State(r.state.Load())
		switch {
		case state.Dead():
		case r.programme == programme:
			v.count(r, row, int32(r.tickets), state, s)
		case r.programme == severalProgrammes:
			v.count(r, row, v.ticketsIn(r, programme), state, s)
		}
	}
}

// aheadRows is how many rows before its own a row is prefetched.
const aheadRows = 8

func (v *Inventory) prefetchRow(of *summary, at int) {
	if at < len(of.rows) {
		table.Prefetch(unsafe.Pointer(v.reservations.At(of.rows[at])))
	}
}

// wantsSummary reports whether a walk that led to an acceptance should be shorter the next time. excess is by how many
// tickets its summary counted too many.
func (v *Inventory) wantsSummary(s *sums, excess int) bool {
	if s.summary == nil {
		return s.walked > v.long.most
	}
	return s.walked > v.long.most+len(s.summary.rows)/64 || excess >= v.long.gain
}

// summarize makes the summary of the ledger that begins at head: of what still counts of the old one, nil for none, and
// of the rows that have entered since. Where many of the old one's rows are dead it is made from the ledger alone,
// which unlinks them, so that other walks do not pass over ever more dead rows.
func (v *Inventory) summarize(head uint32, old *summary) {
	// First the version, then programmes: if a session changes its programme meanwhile, the summary is out of date.
	made := &summary{listing: v.listing.Version(), sessions: map[uint32]int32{}}
	var kept []uint32
	end := uint32(0)
	if old != nil && old.listing == made.listing {
		made.tickets, made.sessions = old.tickets, maps.Clone(old.sessions)
		kept = v.dropDead(made, old)
		made.dropped = old.dropped + len(old.rows) - len(kept)
		end = old.rows[0]
	}
	if made.dropped > len(kept)/4 {
		v.summarize(head, nil)
		return
	}
	reached := v.eachLive(head, end, func(r *reservation, row uint32, at int) {
		if at >= v.long.skip {
			made.rows = append(made.rows, row)
			v.addLines(made, r, 1)
		}
	})
	if !reached { // another walk has unlinked the row where the old one begins: its rows have been visited twice
		v.summarize(head, nil)
		return
	}
	made.rows = append(made.rows, kept...)
	if len(made.rows) > 0 {
		made.account = v.reservations.At(made.rows[0]).account
		v.summaries[made.account%summarySlots].Store(made)
	}
}

// dropDead returns the rows of the old summary that are not dead, and subtracts the others from the new one.
func (v *Inventory) dropDead(made, old *summary) []uint32 {
	kept := make([]uint32, 0, len(old.rows))
	for i, row := range old.rows {
		v.prefetchRow(old, i+aheadRows)
		if r := v.reservations.At(row); State(r.state.Load()).Dead() {
			v.addLines(made, r, -1)
		} else {
			kept = append(kept, row)
		}
	}
	return kept
}

// addLines adds the reservation's tickets, times sign.
func (v *Inventory) addLines(made *summary, r *reservation, sign int32) {
	for i := range int(r.count) {
		l := v.lineAt(r, i)
		made.tickets[v.programmeOf(l.Pool)] += sign * int32(l.Quantity)
		made.sessions[v.listing.SessionOf(l.Pool)] += sign * int32(l.Quantity)
	}
}

// eachLive visits the rows of a ledger that are not dead, from the head on and up to the end, with their numbers in it.
// It unlinks dead ones, as walk does. It reports whether it came to the end; 0 is the end of the ledger.
func (v *Inventory) eachLive(head, end uint32, visit func(r *reservation, row uint32, at int)) (reached bool) {
	var before *reservation
	row := head
	for at := 0; row != end && row != 0; {
		r := v.reservations.At(row)
		next := r.next.Load() &^ linkFrozen
		if State(r.state.Load()).Dead() {
			next = unlink(before, r, row)
		} else {
			visit(r, row, at)
			before = r
			at++
		}
		row = next
	}
	return row == end
}
