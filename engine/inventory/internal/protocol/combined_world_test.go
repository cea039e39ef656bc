package protocol

import "fmt"

// The shared memory of the combined model, and what each process keeps. Every field is one byte or an array of bytes,
// except the masks: see model.

const (
	mostRows    = 5 // rows 1 to 5
	mostSlots   = 5 // of the index; all ids have one hash
	mostProcs   = 6
	mostRecords = 12
	mostIDs     = 4
	mostCells   = 4 // of texts, 1 to 4
)

const (
	closed    = 0xff // a successor word: no row follows under the id, which is free
	tombstone = 0xff // an index slot
	frozen    = 0x80 // bit of next: the link never changes again
)

type state uint8

const (
	free state = iota
	pending
	held
	confirming
	confirmed
	releasing
	expiring
	yielding
	released
	returned
	expired
	void
	superseded
	forgotten
)

var stateNames = [...]string{"free", "pending", "held", "confirming", "confirmed", "releasing", "expiring", "yielding",
	"released", "returned", "expired", "void", "superseded", "forgotten"}

func (s state) String() string  { return stateNames[s] }
func (s state) dead() bool      { return s >= released }
func (s state) doubtful() bool  { return s == pending || s >= releasing && s <= yielding }
func (s state) undecided() bool { return s.doubtful() || s == confirming }
func (s state) ended() bool     { return s == released || s == returned || s == expired }

// row is a reservation with its detail.
type row struct {
	state     state
	id, qty   uint8
	origin    kind  // the call that made it
	next      uint8 // link of the ledger, with the bit frozen
	successor uint8
	old       uint8 // the row that it follows
	named     bool  // bit 31 of old
	reference uint8 // cell of the text; 0 for none
	seq       uint8
	logged    uint8 // the sequence and the state of the word logged
	loggedAs  state
	tenant    uint8 // the model's: a number for each use of the row
	oldTenant uint8 // the model's: of old
}

// ref is a row number with the use of the row that was meant when the number was loaded.
type ref struct{ row, tenant uint8 }

// process is what a process keeps between two steps.
type process struct {
	at     uint8 // calls done
	pc     pc
	target uint8 // id that is looked for
	slot   uint8
	row    ref // that was found
	mine   ref // made by this call
	old    ref // to be followed by mine
	seen   state
	first  ref   // of a chain; only without a rule
	second uint8 // after it
	cur    ref   // of a walk
	next   ref   // after cur
	before ref
	live   ref
	doubt  ref
	head   [2]uint8
	sum    uint8
	seq    uint8
	answer answer
	why    answer
	flags  flags
	record record
	began  uint16 // events that were over when the call began
}

type flags uint8

const (
	entering    flags = 1 << iota // the walk serves enter, not foresee
	twice                         // replace has looked for its new id again
	refusing                      // a refusal waits for the look whether the id is free
	foundBefore                   // the call has found the reservation before
)

// record is what the journal has of an outcome. ref is the reference of a confirmation or return.
type record struct {
	kind         kind
	id, qty, ref uint8
	old          uint8 // replace: the id of the old row
}

type entry struct {
	id, seq, qty, ref uint8
	state             state
}

type world struct {
	rows      [mostRows + 1]row
	index     [mostSlots]uint8
	head      [2]uint8 // version, row
	free      uint8    // mask of rows
	available uint8
	unsettled uint8
	cells     [mostCells + 1]uint8 // text of each cell; 0 is a free one
	stack     [mostRecords]outcome // by record, until it is drained
	placed    [mostRecords]record
	count     uint8 // records placed
	journal   uint8 // records written, each equal to the one that was placed
	drained   uint8
	durable   uint8
	dump      [mostRows + 1]entry
	dumped    uint8 // entries of the dump
	start     uint8 // of the dump; 0 before it begins
	over      uint8 // of the dump: the records that it may hold; 0 before it is complete
	procs     [mostProcs]process
	batch     batch
	history   history
	waiting   uint8 // processes that a grace period waits for
	root      uint8 // of the index: another one after a move
}

type outcome struct {
	ended bool
	row   ref
}

func (w *world) ref(row uint8) ref {
	if row == 0 || row == closed {
		return ref{}
	}
	return ref{row, w.rows[row].tenant}
}

// at returns the row that was meant.
func (w *world) at(r ref) *row {
	if r.row == 0 || w.rows[r.row].tenant != r.tenant {
		panic(broken(fmt.Sprintf("a process uses row %d, which another reservation has now", r.row)))
	}
	return &w.rows[r.row]
}

// move adds to the pool's units.
func (w *world) move(available, unsettled int) {
	a, u := int(w.available)+available, int(w.unsettled)+unsettled
	breakIf(a < 0 || u < 0, "a pool is below zero (I1)")
	w.available, w.unsettled = uint8(a), uint8(u)
}

// put stores a text in a free cell.
func (w *world) put(text uint8) uint8 {
	if text == 0 {
		return 0
	}
	for c := 1; c <= mostCells; c++ {
		if w.cells[c] == 0 {
			w.cells[c] = text
			return uint8(c)
		}
	}
	panic(broken("the texts have no room: a cell is leaked, or the case needs more"))
}

// text reads a row's text.
func (w *world) text(r *row) uint8 {
	if r.reference == 0 {
		return 0
	}
	breakIf(w.cells[r.reference] == 0, "a row's text is read after its cell was freed")
	return w.cells[r.reference]
}

// drop frees a cell.
func (w *world) drop(cell uint8) {
	breakIf(w.cells[cell] == 0, "a cell of texts is freed twice")
	w.cells[cell] = 0
}

type kind uint8

const (
	reserve kind = iota + 1
	confirm
	release
	expire
	reduce
	refund // return
	replace
	again
	sweep      // expires the row with a number
	reduceSold // the origin of a row that reduce made after a confirmed one
)

var kindNames = [...]string{"", "reserve", "confirm", "release", "expire", "reduce", "return", "replace", "again",
	"sweep", "reduce sold"}

func (k kind) String() string { return kindNames[k] }

// follows reports whether the call makes a row that has the id after the old one.
func (k kind) follows() bool { return k == reduce || k == refund || k == again }

// begins returns the state in which a row begins that the call has made.
func (k kind) begins() state {
	switch k {
	case again, reduceSold:
		return confirmed
	case refund:
		return returned
	}
	return held
}

// during and to are the states that an end of a held reservation passes and reaches.
func (k kind) during() state {
	return [...]state{confirm: confirming, release: releasing, expire: expiring}[k]
}
func (k kind) to() state {
	return [...]state{confirm: confirmed, release: released, expire: expired}[k]
}

// call is one call of a caller. ids are 'x' and so on.
type call struct {
	kind kind
	id   uint8
	qty  uint8
	new  uint8 // replace: the new id
	ref  uint8 // confirm, again, return: the reference; 0 for none
	row  uint8 // sweep
}

func (c call) String() string {
	if c.kind == sweep {
		return fmt.Sprintf("sweep row %d", c.row)
	}
	return fmt.Sprintf("%v %c", c.kind, c.id)
}

type answer uint8

const (
	nothing answer = iota // a sweep that found nothing to do
	ok
	full
	atCap
	soldOut
	notReduction
	none
	known = answer(0x10) // + state: the id is in use
	was   = answer(0x20) // + state: too late
)

func (a answer) String() string {
	switch {
	case a >= was:
		return "was " + state(a-was).String()
	case a >= known:
		return "known " + state(a-known).String()
	}
	return [...]string{"nothing", "ok", "full", "cap", "sold out", "not a reduction", "none"}[a]
}

func (r record) String() string {
	return fmt.Sprintf("%v %c %d ref %d", r.kind, r.id, r.qty, r.ref)
}
