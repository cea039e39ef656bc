package inventory

import (
	"github.com/seathold/seathold/engine/inventory/internal/order"
	"github.com/seathold/seathold/engine/inventory/internal/stock"
	"github.com/seathold/seathold/engine/inventory/internal/table"
)

// ID is a reservation's id, a UUID chosen by the client.
type ID [16]byte

// Line is a quantity of one pool.
type Line = stock.Line

// Limits of a reservation (I10).
const (
	MaxLines    = 30        // the account cap of Paris 2024
	MaxQuantity = 1<<12 - 1 // of one line; the most that a packed line holds
	MaxPools    = 1 << 20

	MaxReference = 64 // bytes of the reference of a confirmation or a return
)

const inlineLines = 4 // so that a pack of three needs no second cache line

// packLine packs pool<<12 | quantity.
func packLine(l Line) uint32 { return l.Pool<<12 | l.Quantity }

func unpackLine(w uint32) Line { return Line{Pool: w >> 12, Quantity: w & MaxQuantity} }

// reservation is the part of a reservation that every operation reads, one cache line. Its caller writes all of it
// before the row is published: first the content, then the state pending, then the index. Only state and next change
// after that. A reservation that changes gets another row (see change.go).
type reservation struct {
	id        ID
	expires   int64        // ms since 1970 on the sale clock
	state     table.Word32 // a State; see there for who writes it
	account   uint32       // row
	next      table.Word32 // the account's previous reservation; its caller's until it is in the ledger: see ledger.go
	more      uint32       // row in overflows, 0 for none
	lines     [inlineLines]uint32
	phase     uint16
	tickets   uint16
	count     uint8 // lines
	flags     uint8 // the caller's, and those named Flag…
	programme uint8
	origin    Origin
}

// overflow is the part of a reservation that few have. It is written before the row is published.
type overflow struct {
	lines    [MaxLines - inlineLines]uint32 // those that do not fit in the reservation
	replaces ID                             // with FlagReplaces: the reservation whose place it took; zero if not known
}

// detail is the part of a reservation that is accessed once or twice in its life, one cache line.
type detail struct {
	created   int64         // ms since 1970; of the reservation. Written before the row is published
	began     int64         // ms since 1970: the instant of the outcome that made the row. Likewise
	ended     int64         // ms since 1970; written by the caller that won the end, before the outcome is placed
	reference table.Ref     // of a confirmation or return, likewise
	seq       table.Word64  // of the outcome placed last; its caller sets it before the state that shows the outcome
	logged    table.Word64  // what was drained last; only the drainer writes it. See packLogged
	below     [2]order.Link // of Took and Ended: the outcome placed before; see order.Stack
	successor table.Word32  // the row that has the id after it; see current
	old       table.Word32  // the row that this one follows, 0 for none; and whether the row is named, see below
}

// named is the bit of detail.old that says that a successor word leads to the row, or is about to. Such a row is not
// used again before the index leads to it. The caller that makes the row sets the bit before any word names the row,
// and clears it if none came to. The reclaimer clears it when it has led the index to the row. The rest of the word is
// for the drainer alone, which follows it when it drains the outcome that made the row.
const named = 1 << 31

// closed is the successor word of a row whose id is free.
const closed = 1<<32 - 1

// The word logged packs the sequence of the last outcome drained and the state that it led to. 0 is none. The drainer
// counts the sequence itself: the caller that placed the outcome may be stalled before it stores seq. A checkpoint
// needs both from one load, since the next outcome may be drained meanwhile.
//
//	63                     4 3      0
//	+-----------------------+--------+
//	|       sequence        | state  |   Held, Confirmed, Released, Returned, Expired or superseded
//	+-----------------------+--------+
func packLogged(seq uint64, s State) uint64 { return seq<<4 | uint64(s) }

func unpackLogged(w uint64) (seq uint64, s State) { return w >> 4, State(w & 0xf) }

func (v *Inventory) lineAt(r *reservation, i int) Line {
	if i < inlineLines {
		return unpackLine(r.lines[i])
	}
	return unpackLine(v.overflows.At(r.more).lines[i-inlineLines])
}

// fill writes the content of a row that is not yet published.
func (v *Inventory) fill(row, account uint32, q *Request) {
	r, d := v.reservations.At(row), v.details.At(row)
	r.id, r.expires, r.account, r.phase, r.flags = q.ID, q.Expires, account, q.Phase, q.Flags
	r.origin = q.origin
	d.created, d.began = q.Created, q.Created
	if q.old != 0 { // a free row has zeros, and a store costs as much as a compare-and-swap
		d.old.Store(q.old)
	}
	v.fillLines(r, q.Lines, q.replaces)
}

// fillLines writes the lines of a row that is not yet published, after its flags.
func (v *Inventory) fillLines(r *reservation, lines []Line, replaces ID) {
	r.count = uint8(len(lines))
	r.programme = v.programmeOf(lines[0].Pool)
	if len(lines) > inlineLines || r.flags&FlagReplaces != 0 {
		r.more = v.claimOverflow()
		v.overflows.At(r.more).replaces = replaces
	}
	tickets := uint32(0)
	for i, l := range lines {
		tickets += l.Quantity
		if i < inlineLines {
			r.lines[i] = packLine(l)
		} else {
			v.overflows.At(r.more).lines[i-inlineLines] = packLine(l)
		}
	}
	r.tickets = uint16(tickets)
}

// copyLines is fillLines from another row.
func (v *Inventory) copyLines(r, from *reservation) {
	r.lines, r.count, r.tickets, r.programme = from.lines, from.count, from.tickets, from.programme
	if from.more != 0 {
		r.more = v.claimOverflow()
		*v.overflows.At(r.more) = *v.overflows.At(from.more)
	}
}

func (v *Inventory) claimOverflow() uint32 {
	more, ok := v.overflows.Claim()
	if !ok {
		panic("BUG: there are more overflows than reservations")
	}
	return more
}

// Snapshot is a reservation at one instant.
type Snapshot struct {
	ID        ID
	Account   string // shares the inventory's memory, which does not change during the call: see Begin
	State     State  // Held, Confirmed, Released, Returned or Expired
	Phase     uint16
	Flags     uint8
	Lines     []Line
	CreatedMs int64
	ExpiresMs int64
	AtMs      int64  // of the last outcome; 0 if that is not known
	Reference string // likewise
	Seq       uint64 // of the last outcome: the snapshot may be visible once that is durable (I5)

	Origin      Origin
	ConfirmedMs int64 // of a confirmed or returned one
	Replaces    ID    // with FlagReplaces: the reservation whose place it took; zero if that is not known
}

// Read fills the snapshot and reuses its Lines; false if the reservation failed or is between two states. It must not
// be visible then (I7): the units of a released one may already be taken again, and one that is being confirmed may
// be past its time.
func (v *Inventory) Read(row uint32, to *Snapshot) bool {
	state := State(v.reservations.At(row).state.Load())
	switch state {
	case free, pending, confirming, releasing, expiring, yielding, void, superseded, forgotten:
		return false
	}
	v.ReadAs(Decided{row, state}, to)
	return true
}

// ending fills in when the reservation came to its state, and how.
func (v *Inventory) ending(r *reservation, d *detail, state State, to *Snapshot) {
	to.State, to.AtMs, to.ConfirmedMs, to.Reference = state, d.began, 0, ""
	switch state {
	case Held:
		return
	case Confirmed, Returned: // of a returned one, ended and reference are the confirmation's, but for a new reference
		to.ConfirmedMs, to.Reference = d.ended, v.texts.Text(d.reference)
	}
	if r.origin != OriginReduceSold && r.origin != OriginReturn {
		to.AtMs = d.ended
	}
}

// Decided is a reservation's row with the decided state that it had at one instant.
type Decided struct {
	Row   uint32
	State State
}

// ReadAs fills the snapshot with a reservation in the state in which it was found, whatever has happened since.
func (v *Inventory) ReadAs(found Decided, to *Snapshot) {
	r, d := v.reservations.At(found.Row), v.details.At(found.Row)
	v.content(r, d, to)
	v.ending(r, d, found.State, to)
	to.Seq = d.seq.Load()
}

// Expires returns the end of the reservation's time in ms since 1970.
func (v *Inventory) Expires(row uint32) int64 { return v.reservations.At(row).expires }

// content fills in what never changes.
func (v *Inventory) content(r *reservation, d *detail, to *Snapshot) {
	to.ID, to.Account, to.Phase, to.Flags = r.id, v.accounts.Name(r.account), r.phase, r.flags
	to.CreatedMs, to.ExpiresMs, to.Origin, to.Replaces = d.created, r.expires, r.origin, v.replaced(r)
	to.Lines = v.appendLines(to.Lines[:0], r)
}

func (v *Inventory) appendLines(to []Line, r *reservation) []Line {
	for i := range int(r.count) {
		to = append(to, v.lineAt(r, i))
	}
	return to
}

// ReadNew fills the snapshot with the row that a change has just made, whatever has happened since.
func (v *Inventory) ReadNew(row uint32, to *Snapshot) {
	v.ReadAs(Decided{row, v.reservations.At(row).origin.To()}, to)
}

// ReadLogged fills the snapshot with the outcomes that have been drained, whatever has happened since: records and
// checkpoints may contain only these. False when none has been drained, when another row has the reservation now, or
// when it is forgotten.
func (v *Inventory) ReadLogged(row uint32, to *Snapshot) bool {
	d := v.details.Find(row)
	if d == nil {
		return false
	}
	logged := d.logged.Load()
	seq, state := unpackLogged(logged)
	// Who reads by number may come to a row that is forgotten, and miss the one that has the id since. So after logged it
	// looks whether the id is free: all that has happened to it since then has records after those read so far.
	if logged == 0 || state == superseded || d.successor.Load() == closed {
		return false
	}
	r := v.reservations.At(row)
	v.content(r, d, to)
	v.ending(r, d, state, to)
	to.Seq = seq
	return true
}

// ReadPrevious fills the snapshot with the row that a row follows, in the state that it had then; false if it follows
// none. Only the visit of Drain calls it, for the row of the outcome: later, the other row may be used again.
func (v *Inventory) ReadPrevious(row uint32, to *Snapshot) bool {
	old := v.details.At(row).old.Load() &^ named
	if old == 0 {
		return false
	}
	v.ReadAs(Decided{old, v.reservations.At(row).origin.From()}, to)
	return true
}

// replaced returns the id of the reservation whose place this one took; zero for none, or if it is not known.
func (v *Inventory) replaced(r *reservation) ID {
	if r.flags&FlagReplaces == 0 {
		return ID{}
	}
	return v.overflows.At(r.more).replaces
}

// stateAfter returns the state that a drained outcome of the reservation led to.
func (r *reservation) stateAfter(k Kind) State {
	if k == Took {
		return r.origin.To()
	}
	return State(r.state.Load()).Ended()
}

// Rows returns the row after the last reservation: rows 1 to Rows()-1 may hold one.
func (v *Inventory) Rows() uint32 { return v.reservations.End() }
