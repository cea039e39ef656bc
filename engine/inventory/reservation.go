package inventory

// ID is a reservation's id, a UUID chosen by the client.
type ID [16]byte

// Line is a quantity of one pool.
type Line struct {
	Pool     uint32
	Quantity uint32
}

// Limits of a reservation (I10).
const (
	MaxLines    = 30        // as many as an account may have tickets in Paris
	MaxQuantity = 1<<12 - 1 // of one line; what a packed line holds
	MaxPools    = 1 << 20
)

const inlineLines = 4 // a pack of three fits without a second cache line

// packLine packs pool<<12 | quantity.
func packLine(l Line) uint32 { return l.Pool<<12 | l.Quantity }

func unpackLine(w uint32) Line { return Line{Pool: w >> 12, Quantity: w & MaxQuantity} }

// State is where a reservation stands. Its state word is the only truth about it: ledgers and checkpoints look there.
//
//	free → pending → held → confirming → confirmed
//	          ↓        ↓→ releasing → released
//	        void       ↓→ expiring  → expired
//
// Three steps decide: the one out of pending by the caller that reserves; the one out of held by the compare-and-swap
// that wins (I3). The others follow from them by the same caller, after the outcome has its place in the journal.
type State uint32

const (
	free       State = iota // claimed, not yet published
	pending                 // in the ledger, stock not all taken
	Held                    //
	confirming              // confirmed; its outcome is about to be placed
	Confirmed               //
	releasing               // released; its outcome is about to be placed, its units about to come back
	expiring                // expired, likewise
	Released                //
	Expired                 //
	void                    // failed, as if it had never been
)

// counts reports whether the reservation's tickets count against the caps: until the place of its end in the journal is
// certain, they do (I6).
func (s State) counts() bool { return s >= pending && s <= expiring }

// undecided reports whether the reservation may cease to count by what its own caller does next: a refusal may not rest
// on it (I7).
func (s State) undecided() bool { return s == pending || s == releasing || s == expiring }

// dead reports whether the reservation will never count again.
func (s State) dead() bool { return s == Released || s == Expired || s == void }

// reservation is the part of a reservation that every operation touches: one cache line. All but state and next is
// written before the row is published (state becomes pending, then the index) and never after.
type reservation struct {
	id        ID
	expires   int64  // ms since 1970 on the sale clock
	state     word32 // State; see there who writes it
	account   uint32
	next      word32 // the account's reservation before this one; only ever moved past dead ones
	more      uint32 // row in overflow with the lines beyond inlineLines
	lines     [inlineLines]uint32
	phase     uint16
	tickets   uint16
	count     uint8 // lines
	flags     uint8 // the caller's
	programme uint8
	_         uint8
}

// overflow holds the lines that do not fit the reservation.
type overflow [MaxLines - inlineLines]uint32

// detail is the part of a reservation that is touched once or twice in its life.
type detail struct {
	created   int64
	confirmed int64     // written by the caller that confirmed, before the outcome is placed
	reference textRef   // written likewise
	seq       word64    // of the outcome placed last; set before the state that shows the outcome
	below     [2]uint32 // links of the stack, one for Took, one for Ended
	logged    word32    // 0, or 1 + the Kind of the last outcome drained; only the drainer writes it
	successor word32    // for a void one: the reservation that took over its id
}

func (v *Inventory) lineAt(r *reservation, i int) Line {
	if i < inlineLines {
		return unpackLine(r.lines[i])
	}
	return unpackLine(v.overflows.at(r.more)[i-inlineLines])
}

// fill writes the row's content; false when a table is full. The row is not yet published.
func (v *Inventory) fill(row, account uint32, q *Request) bool {
	r, d := v.reservations.at(row), v.details.at(row)
	r.id, r.expires, r.account, r.phase, r.flags = q.ID, q.Expires, account, q.Phase, q.Flags
	r.count = uint8(len(q.Lines))
	r.programme = v.programmeOf(q.Lines[0].Pool)
	d.created = q.Created
	if len(q.Lines) > inlineLines {
		more, ok := v.overflows.claim()
		if !ok {
			return false
		}
		r.more = more
	}
	tickets := uint32(0)
	for i, l := range q.Lines {
		tickets += l.Quantity
		if i < inlineLines {
			r.lines[i] = packLine(l)
		} else {
			v.overflows.at(r.more)[i-inlineLines] = packLine(l)
		}
	}
	r.tickets = uint16(tickets)
	return true
}

// Snapshot is a reservation as read at one instant.
type Snapshot struct {
	ID          ID
	Account     string // shares the inventory's memory, which never changes
	State       State  // Held, Confirmed, Released or Expired
	Phase       uint16
	Flags       uint8
	Lines       []Line
	CreatedMs   int64
	ExpiresMs   int64
	ConfirmedMs int64
	Reference   string // shares the inventory's memory
	Seq         uint64 // what the snapshot shows is durable once this outcome is
}

// Read fills the snapshot, reusing its Lines; false where the reservation failed or is on its way from one state to the
// next. Nothing can be told of it then (I7): somebody may have the units of a released one already, and one that is being
// confirmed may be past its time by now.
func (v *Inventory) Read(row uint32, to *Snapshot) bool {
	r, d := v.reservations.at(row), v.details.at(row)
	state := State(r.state.Load())
	switch state {
	case free, pending, confirming, releasing, expiring, void:
		return false
	}
	v.content(r, d, to)
	to.State, to.Seq = state, d.seq.Load()
	if state == Confirmed {
		to.ConfirmedMs, to.Reference = d.confirmed, v.texts.text(d.reference)
	}
	return true
}

// ReadAs fills the snapshot with a reservation as it stood in a ledger, whatever has happened since.
func (v *Inventory) ReadAs(l LedgerRow, to *Snapshot) {
	r, d := v.reservations.at(l.Row), v.details.at(l.Row)
	v.content(r, d, to)
	to.State, to.Seq = l.State(), d.seq.Load()
	if to.State == Confirmed {
		to.ConfirmedMs, to.Reference = d.confirmed, v.texts.text(d.reference)
	}
}

// Expires returns when the reservation's time is over, in ms.
func (v *Inventory) Expires(row uint32) int64 { return v.reservations.at(row).expires }

// content fills in what never changes.
func (v *Inventory) content(r *reservation, d *detail, to *Snapshot) {
	to.ID, to.Account, to.Phase, to.Flags = r.id, v.accountName(r.account), r.phase, r.flags
	to.CreatedMs, to.ExpiresMs = d.created, r.expires
	to.ConfirmedMs, to.Reference = 0, ""
	to.Lines = to.Lines[:0]
	for i := range int(r.count) {
		to.Lines = append(to.Lines, v.lineAt(r, i))
	}
}

// ReadLogged fills the snapshot with the outcomes that have been drained, whatever has happened since: what a record or a
// checkpoint may say. False when none has.
func (v *Inventory) ReadLogged(row uint32, to *Snapshot) bool {
	d := v.details.find(row)
	if d == nil {
		return false
	}
	logged := d.logged.Load()
	if logged == 0 {
		return false
	}
	r := v.reservations.at(row)
	v.content(r, d, to)
	to.State, to.Seq = Held, d.seq.Load()
	if logged != uint32(Ended)+1 {
		return true
	}
	switch State(r.state.Load()) {
	case confirming, Confirmed:
		to.State, to.ConfirmedMs, to.Reference = Confirmed, d.confirmed, v.texts.text(d.reference)
	case releasing, Released:
		to.State = Released
	case expiring, Expired:
		to.State = Expired
	default:
		panic("BUG: an ended reservation is still open")
	}
	return true
}

// Rows returns the index behind the last reservation: rows 1 to Rows()-1 may hold one.
func (v *Inventory) Rows() uint32 { return v.reservations.end() }
