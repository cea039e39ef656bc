package inventory

import (
	"unsafe"

	"github.com/seathold/seathold/engine/inventory/internal/accounts"
	"github.com/seathold/seathold/engine/inventory/internal/stock"
	"github.com/seathold/seathold/engine/inventory/internal/table"
)

// Request describes a reservation to make. The caller has checked its shape: 1 to MaxLines lines of 1 to MaxQuantity
// units, of different pools, all of one programme; an account name of 1 to MaxAccount bytes.
type Request struct {
	ID      ID
	Account string
	Lines   []Line
	Phase   uint16 // the caller's, kept as it is
	Flags   uint8  // the caller's, kept as it is
	Created int64  // ms since 1970
	Expires int64  // ms since 1970: from then on it cannot be confirmed
	Wait    *Wait  // how long the call has waited for others; nil if it has not

	// Limits are those of the definition by which the caller judged the request. They do not change while it has them.
	// Nil stands for those of the Config.
	Limits *Limits

	origin   Origin // of the row; set by the calls of the inventory
	old      uint32 // the row that it follows
	replaces ID     // with OriginReplace: the id of the old row
}

// Limits are how many tickets an account may hold or have confirmed.
type Limits struct {
	Caps     []int // by programme
	Sessions []int // by session
}

// Verdict is the answer to an operation.
type Verdict uint8

const (
	Done                 Verdict = iota // it took effect now
	Known                               // a reservation has the id already: Row
	AlreadyDone                         // the reservation had this outcome already
	NotFound                            // there is no such reservation
	SessionLimitExceeded                // the account would have too many tickets of one session
	AccountCapExceeded                  // the account would have too many tickets of one programme
	SoldOut                             // a pool, or a quota, has too few units
	WasConfirmed                        // a release, or a confirmation with another reference, came after the confirmation
	WasReleased                         // a confirmation came after the release
	WasReturned                         // a confirmation or release came after the return
	WasExpired                          // the time of the reservation was over
	Moved                               // another call changed the reservation first; nothing was done: look at it again
	Overloaded                          // another caller's step stayed undecided too long; nothing was done
	Full                                // a table is full; nothing was done. Calls that need a row answer so
)

// Table is a table of limited size (I10).
type Table uint8

const (
	Reservations Table = iota + 1 // Config.MaxReservations
	Accounts                      // Config.MaxAccounts
	Notes                         // Config.MaxNotes
)

// String returns the table's name for people and for the HTTP contract.
func (t Table) String() string {
	return [...]string{"", "reservations", "accounts", "notes"}[t]
}

// Fill is how full a table is, in rows.
type Fill struct {
	Table       Table
	Used, Limit int
}

// Fills returns how full each table is.
func (v *Inventory) Fills() [3]Fill {
	return [...]Fill{
		{Reservations, v.reservations.InUse(), v.reservations.Limit()},
		{Accounts, v.accounts.InUse(), v.accounts.Limit()},
		{Notes, v.notes.InUse(), v.notes.Limit()},
	}
}

// Result is a verdict with its facts. Numbers are tickets.
type Result struct {
	Verdict   Verdict
	Row       uint32 // of the reservation, for Done, Known, AlreadyDone and the Was… verdicts
	Seq       uint64 // the outcome that must be durable before the verdict is visible to anyone
	Pool      uint32 // SoldOut; perhaps that of a quota: see QuotaPool
	Session   uint32 // SessionLimitExceeded
	Programme uint8  // AccountCapExceeded
	Table     Table  // Full
	Limit     int    // the session limit or account cap
	Held      int
	Confirmed int
	Requested int
	Available int // SoldOut
}

// Find returns the row of the reservation with the id; 0 if there is none. The reservation may be undecided.
func (v *Inventory) Find(id ID) uint32 { return v.find(v.hashID(&id), &id) }

func (v *Inventory) find(hash uint32, id *ID) uint32 {
	row := v.byID.Find(hash, func(row uint32) bool { return v.hasID(row, id) })
	return v.current(row)
}

// hasID reports whether the row is under the id, or leads to the one that is.
func (v *Inventory) hasID(row uint32, id *ID) bool {
	r := v.reservations.At(row)
	return r.id == *id && (!State(r.state.Load()).Dead() || v.details.At(row).successor.Load() != closed)
}

// current returns the row that has the id of this one now; 0 for none.
func (v *Inventory) current(row uint32) uint32 {
	if row == 0 || State(v.reservations.At(row).state.Load()) < Expired {
		return row
	}
	return v.follow(row)
}

// manyRows is how many rows that have passed their id on are a long way for a look-up.
const manyRows = 64

// follow leads from a row that has passed its id on to the one that has it now; 0 for none. Three kinds of rows do: one
// that failed, one that changed, and one that expired and was taken again. If the way is long, the reclaimer shortens
// it next. It is not inlined: most look-ups do not need it.
//
//go:noinline
func (v *Inventory) follow(first uint32) uint32 {
	row := first
	for rows := 1; ; rows++ {
		if rows == manyRows {
			v.longWay.Store(first)
		}
		state := State(v.reservations.At(row).state.Load())
		if state < Expired {
			return row
		}
		switch next := v.details.At(row).successor.Load(); {
		case next == closed:
			return 0
		case next != 0:
			row = next
		case state == Expired:
			return row
		default:
			return 0
		}
	}
}

// PrefetchIndex prefetches the index slots of the id and of the account, unless the account is "". In a sale of
// millions neither is in a processor's cache. A caller that knows its next operations calls it some operations ahead.
func (v *Inventory) PrefetchIndex(id *ID, account string) {
	v.byID.Prefetch(v.hashID(id))
	if account != "" {
		v.accounts.PrefetchIndex(account)
	}
}

// PrefetchRows prefetches the rows that the index slots name. It is called some operations after PrefetchIndex, once
// those slots have been loaded.
func (v *Inventory) PrefetchRows(id *ID, account string) {
	if row := v.byID.Guess(v.hashID(id)); row != 0 {
		table.Prefetch(unsafe.Pointer(v.reservations.At(row)))
		table.Prefetch(unsafe.Pointer(v.details.Find(row)))
	}
	if account != "" {
		v.accounts.PrefetchRow(account)
	}
}

// Reserve takes every line or none (I4). Each step is decided by one compare-and-swap on one word:
//
//  1. A request that cannot succeed is refused by looking alone. It leaves no trace.
//  2. The reservation is published under its id as pending (I9).
//  3. It enters the account's ledger, which confirms the caps in the same step (I2).
//  4. Its pools are taken in ascending order (I1). The fixed order keeps waiting acyclic, as in lock ordering: a
//     caller at a pool waits only for callers that have taken this pool, and those wait only at higher pools or not
//     at all. A caller that waits at a ledger is in no ledger and has taken no pool yet, so no caller waits for it.
//  5. Its record gets its place in the journal (I6: take before logging).
//  6. Its units are settled, and it becomes held.
//
// After step 4 nothing can fail. When step 3 or 4 fails, its effects are undone and the reservation is void.
func (v *Inventory) Reserve(q *Request) (res Result) {
	if len(q.Lines) > inlineLines || v.listing.Quotas().Has(q.Phase) {
		v.reserveLong(q, &res)
		return res
	}
	var room [inlineLines]sessionSum
	v.reserve(q, q.Lines, room[:], &res)
	return res
}

// reserveLong serves requests of many lines, or in a phase with quotas. It is not inlined, so that only they need its
// room on the stack.
//
//go:noinline
func (v *Inventory) reserveLong(q *Request, res *Result) {
	var room [MaxLines]sessionSum
	var takes [2 * MaxLines]Line
	v.reserve(q, v.withQuotas(append(takes[:0], q.Lines...), q.Phase), room[:], res)
}

// reserve takes the lines of a request, and units of quotas. It fills in the result, as do those of its steps that can
// refuse. Each return of a result by value would cost as much as a compare-and-swap: it would be copied in wider words
// than it was written in.
func (v *Inventory) reserve(q *Request, takes []Line, room []sessionSum, res *Result) {
	hash := v.hashID(&q.ID)
	v.byID.Prefetch(hash)
	s, tickets := sums{wait: begun(q.Wait), limits: v.limitsOf(q)}, 0
	s.bySession, tickets = v.requested(q.Lines, room)
	programme := v.programmeOf(q.Lines[0].Pool)
	accountRow := v.FindAccount(q.Account)
	head, ok := v.foresee(q, takes, &s, accountRow, programme, tickets, hash, res) // step 1
	if !ok {
		return
	}
	if accountRow == 0 {
		if v.reservations.Full(false) { // before an account is made, so that a refusal leaves none
			*res = Result{Verdict: Full, Table: Reservations}
			return
		}
		if accountRow, ok = v.EnsureAccount(q.Account); !ok {
			*res = Result{Verdict: Full, Table: Accounts}
			return
		}
	}
	row, other, ok := v.publish(q, hash, accountRow) // step 2
	if !ok {
		*res = Result{Verdict: Full, Table: Reservations}
		return
	}
	if other != 0 {
		*res = Result{Verdict: Known, Row: other}
		return
	}
	r := v.reservations.At(row)
	if !v.enter(r, row, head, &s, programme, tickets, res) || // step 3
		!v.takeAll(takes, s.wait, res) { // step 4
		r.state.Store(uint32(void))
		return
	}
	seq := v.place(Outcome{Kind: Took, Index: row}) // step 5
	v.setSequence(row, seq)
	*res = Result{Verdict: Done, Row: row, Seq: seq}
	if len(takes) > 1 { // step 6
		v.stock.Settle(takes)
	}
	r.state.Store(uint32(Held))
}

// foresee refuses what cannot succeed now, without a trace: then it is not ok. Otherwise it returns the head of the
// ledger from which the sums were found within the caps. A refusal was true at one instant at which the id was free: an
// id in use stays in use, so an id that is free afterwards was free then (I7). A change takes other lines than those of
// the request, and its refusal was true only if the row that it follows had not changed yet.
func (v *Inventory) foresee(q *Request, lines []Line, s *sums, accountRow uint32, programme uint8, tickets int,
	hash uint32, res *Result) (head uint64, ok bool) {
	for {
		if accountRow != 0 {
			if head = v.accounts.At(accountRow).Head.Load(); head&headClosed != 0 {
				accountRow, head = v.FindAccount(q.Account), 0
				continue
			}
		}
		check := v.checkCaps(s, head, programme, tickets, res)
		if check == granted {
			check = v.checkStock(lines, res)
		}
		if check == granted {
			return head, true
		}
		if !v.stands(s.old) {
			*res = Result{Verdict: Moved}
			return head, false
		}
		if check == refused && v.unchanged(q.Account, accountRow, head) {
			if row := v.find(hash, &q.ID); row != 0 && row != s.old.Row {
				*res = Result{Verdict: Known, Row: row}
			}
			return head, false
		}
		if !v.backOff(s.wait) {
			*res = Result{Verdict: Overloaded}
			return head, false
		}
		if accountRow == 0 {
			accountRow = v.FindAccount(q.Account)
		}
	}
}

// checkStock checks that every pool has enough, in the order of the request, and quotas after that.
func (v *Inventory) checkStock(lines []Line, res *Result) decision {
	check := granted
	for _, l := range lines {
		available, unsettled := v.stock[l.Pool].Units()
		if stock.Enough(available, l.Quantity) {
			continue
		}
		if unsettled == 0 {
			*res = Result{Verdict: SoldOut, Pool: l.Pool, Requested: int(l.Quantity), Available: int(available)}
			return refused
		}
		check = inDoubt
	}
	return check
}

// unchanged reports whether no reservation entered the account's ledger since its head was read.
func (v *Inventory) unchanged(name string, accountRow uint32, head uint64) bool {
	if accountRow == 0 {
		return v.FindAccount(name) == 0
	}
	return v.accounts.At(accountRow).Head.Load() == head
}

// publish makes a pending row under the request's id, unless another row has the id: then it returns that one. Not ok
// means that the table of reservations is full.
func (v *Inventory) publish(q *Request, hash, accountRow uint32) (row, other uint32, ok bool) {
	row, ok = v.claim()
	if !ok {
		return 0, 0, false
	}
	r := v.reservations.At(row)
	v.fill(row, accountRow, q)
	v.pend(r, row)
	for {
		// The insertion decides who has the id (I9).
		other = v.byID.Insert(hash, row, v.reservations.Claims(), func(row uint32) bool { return v.hasID(row, &q.ID) })
		for other != 0 && other != closed {
			if State(v.reservations.At(other).state.Load()) != void {
				r.state.Store(uint32(void))
				return 0, other, true
			}
			if other = v.takeOver(other, row, q.old); other == row {
				return row, 0, true
			}
		}
		if other == 0 {
			return row, 0, true
		}
	}
}

// takeOver makes the row follow one that had its id and failed. It returns the row that follows that one, or closed.
func (v *Inventory) takeOver(failed, row, old uint32) uint32 {
	word, successor := &v.details.At(row).old, &v.details.At(failed).successor
	word.Store(old | named)
	// From here on the id is this row's (I9).
	if successor.CompareAndSwap(0, row) {
		return row
	}
	word.Store(old)
	return successor.Load()
}

// claim claims a row and its detail.
func (v *Inventory) claim() (row uint32, ok bool) {
	row, ok = v.reservations.Claim()
	if !ok && v.sparing {
		row, ok = v.reservations.ClaimSpare()
	}
	if ok {
		v.details.Grow(row)
	}
	return row, ok
}

// pend makes a row that is filled pending, and notes for the sweep that its chunk has changed.
func (v *Inventory) pend(r *reservation, row uint32) {
	r.state.Store(uint32(pending))
	if earliest := &v.earliest[row>>table.ChunkBits]; earliest.Load() != 0 {
		earliest.Store(0)
	}
}

// enter puts the reservation at the head of its account's ledger if the caps allow it. The sums were found within the
// caps from head on; they are made again only if the head has changed.
func (v *Inventory) enter(r *reservation, row uint32, head uint64, s *sums, programme uint8, tickets int,
	res *Result) (entered bool) {
	word := &v.accounts.At(r.account).Head
	check := granted
	for {
		switch check {
		case granted:
			if r.next.Load() != s.live {
				r.next.Store(s.live)
			}
			// From here on the reservation counts (I2): no other has entered since the sums were made.
			if word.CompareAndSwap(head, accounts.NewHead(head, row)) {
				return true
			}
		case refused:
			if word.Load() == head {
				return false
			}
		default:
			if !v.backOff(s.wait) {
				*res = Result{Verdict: Overloaded}
				return false
			}
		}
		for head = word.Load(); head&headClosed != 0; head = word.Load() {
			// The account was closed since it was looked up. Nobody reads whose a pending row is that is in no ledger.
			account, ok := v.accounts.Ensure(v.accounts.Name(r.account))
			if !ok {
				*res = Result{Verdict: Full, Table: Accounts}
				return false
			}
			r.account, word = account, &v.accounts.At(account).Head
		}
		check = v.checkCaps(s, head, programme, tickets, res)
	}
}

// takeAll takes every line, in ascending order of the pools, or none.
func (v *Inventory) takeAll(lines []Line, w *Wait, res *Result) (took bool) {
	if len(lines) <= inlineLines {
		var room [inlineLines]Line
		return v.takeSorted(stock.Sort(room[:], lines), len(lines) > 1, w, res)
	}
	return v.takeLong(lines, w, res)
}

// takeLong is not inlined, like reserveLong.
//
//go:noinline
func (v *Inventory) takeLong(lines []Line, w *Wait, res *Result) (took bool) {
	var room [2 * MaxLines]Line
	return v.takeSorted(stock.Sort(room[:], lines), true, w, res)
}

// takeSorted takes every line or gives back what it took. Units are unsettled unless the take cannot fail any more:
// that of the only line of a new reservation.
func (v *Inventory) takeSorted(sorted []Line, unsettled bool, w *Wait, res *Result) (took bool) {
	for i := 0; i < len(sorted); {
		l := sorted[i]
		available, open, took := v.stock[l.Pool].Take(l.Quantity, unsettled)
		if took {
			i++
			continue
		}
		if open > 0 && v.backOff(w) {
			continue
		}
		*res = Result{Verdict: Overloaded}
		if open == 0 {
			*res = Result{Verdict: SoldOut, Pool: l.Pool, Requested: int(l.Quantity), Available: int(available)}
		}
		v.stock.GiveBack(sorted[:i])
		return false
	}
	return true
}
