package inventory

import (
	"slices"
	"time"

	"github.com/seathold/seathold/engine/inventory/internal/accounts"
	"github.com/seathold/seathold/engine/inventory/internal/epoch"
	"github.com/seathold/seathold/engine/inventory/internal/order"
	"github.com/seathold/seathold/engine/inventory/internal/table"
)

// Reclaimer makes the rows of what has ended free again, while calls run. One goroutine at a time uses it.
//
// It goes over the reservations in passes. Dead rows go through these stages, in batches:
//
//  1. The last outcome of the row is durable. So it may be visible, and the drainer does not visit the row again. If
//     the row has a reservation that has ended, that was long enough ago. No successor word leads to the row.
//  2. A grace period. Every call that saw the row alive has returned.
//  3. The conditions of the first stage are checked once more: a call that took an expired reservation again has placed
//     a record that is about the old row too. Then a compare-and-swap closes the successor word, unless a row follows.
//     From here on the id is free.
//  4. No word leads to the row any more: the index has a tombstone, or leads to the row that follows; the ledger passes
//     over it; a checkpoint and a sweep, which visit rows by number, find that it is forgotten.
//  5. A grace period. Every call that could still access the row has returned, and the row is free.
//
// Rows that follow each other under one id go together: the index is led past all of them. If a row has a follower that
// it did not have at the first stage, it begins anew.
//
// Accounts follow: see accounts.Closer.
type Reclaimer struct {
	v     *Inventory
	terms Terms // of the step
	next  step

	grace      epoch.Grace
	graceAt    time.Duration // when the grace period began
	afterGrace step          // the step after it

	chunk     uint32 // the next one of the pass
	passedAt  uint64 // claims of rows when the last pass began
	all       bool   // the pass also takes rows of chunks in which few are dead
	busy      bool   // a pass, or the shortening of a long way, has begun and not ended
	shortened bool   // a long way was shortened since the last pass

	batch   []candidate
	at      int        // the next one of the batch
	ids     table.Root // of the index, when the grace period began
	ledgers []uint32   // accounts of the batch
	freed   table.Word64
	forgot  [endedStates]table.Word64 // reservations, by the state in which they ended
	passes  uint64                    // begun
	counts  reclaimCounts

	accounts *accounts.Closer
}

// step is a method of the reclaimer: a method value would be allocated each time.
type step func(*Reclaimer, *Terms) bool

// candidate is a dead row in a batch.
type candidate struct {
	row     uint32 // 0: it begins anew
	follows bool   // the successor word of the one before it leads to it
	leads   uint32 // its successor word
}

// Terms are what may be forgotten.
type Terms struct {
	Before  int64  // ms since 1970: what was over before then
	Durable uint64 // outcomes up to this sequence; not used without a journal
	All     bool   // at once and all that may be; otherwise when and where that is worth the work

	At time.Duration // the instant, on any clock that does not go back: for Reclaimed.Grace alone
}

const (
	batchRows = 1 << 16
	pieceRows = 1 << 10 // of a step in which rows change
)

// NewReclaimer returns the reclaimer of the inventory, which has one.
func (v *Inventory) NewReclaimer() *Reclaimer {
	c := &Reclaimer{v: v, grace: v.calls.Grace(), accounts: v.accounts.NewCloser()}
	c.next = (*Reclaimer).begin
	return c
}

// Step does the next piece of work, a fraction of a millisecond, and never waits. It returns false if there is nothing
// to do now: then the next step is due a little later.
func (c *Reclaimer) Step(t Terms) bool {
	c.v.byID.Prepare(c.v.reservations.Claims())
	c.v.accounts.Index.Prepare(c.v.accounts.Claims())
	c.terms = t
	return c.next(c, &c.terms)
}

// FreeAll frees all that may be, while no call runs.
func (c *Reclaimer) FreeAll(t Terms) {
	for more := true; more; { // a row may be named until the one before it is free, and an account takes three passes
		freed := c.Freed()
		c.pass(t)
		more = c.Freed() > freed || c.accounts.Moved()
	}
}

// pass makes a whole pass, while no call runs.
func (c *Reclaimer) pass(t Terms) {
	for passes := c.passes; c.passes == passes || c.busy; {
		t.All = c.passes == passes
		c.Step(t)
	}
}

// Freed returns how many rows of reservations were made free.
func (c *Reclaimer) Freed() uint64 { return c.freed.Load() }

// endedStates are Released, Returned and Expired.
const endedStates = 3

// Forgotten returns how many reservations were forgotten that had ended in the state.
func (c *Reclaimer) Forgotten(state State) uint64 { return c.forgot[state-Released].Load() }

// Passes returns how many passes have begun. Only the goroutine that steps calls it.
func (c *Reclaimer) Passes() uint64 { return c.passes }

// Busy reports whether the reclaimer is at a pass. If a step then finds nothing to do, it waits for calls that run.
// Only the goroutine that steps calls it.
func (c *Reclaimer) Busy() bool { return c.busy }

// begin begins a pass if one is due. It shortens a long way first, but only once before a pass: there may always be
// another one. While nothing is due, entries that are moving come to their new table, so that the old one is not kept
// where no call comes.
func (c *Reclaimer) begin(t *Terms) bool {
	c.busy = false
	claims := c.v.reservations.Claims()
	due, pressed := c.due(t, claims)
	if row := c.v.longWay.Load(); row != 0 && !(due && c.shortened) {
		c.v.longWay.Store(0)
		if c.consider(row, t); len(c.batch) > 0 {
			c.busy, c.shortened, c.chunk = true, true, uint32(c.v.reservations.Chunks()) // no more than this
			return c.await(t, (*Reclaimer).forget)
		}
	}
	if !due {
		return c.v.byID.MoveOn() || c.v.accounts.Index.MoveOn()
	}
	c.passedAt, c.chunk, c.all, c.busy, c.shortened = claims, 0, t.All || pressed, true, false
	c.passes++
	c.accounts.Begin(c.all)
	c.next = (*Reclaimer).look
	return true
}

// due reports whether a pass is: a sixteenth of the rows in use was claimed since the last one, so that passes cost a
// few nanoseconds a reservation; or a sixty-fourth of the table, if that is pressed, which is three quarters full.
func (c *Reclaimer) due(t *Terms, claims uint64) (due, pressed bool) {
	inUse, limit := c.v.reservations.InUse(), c.v.reservations.Limit()
	after := max(inUse/16, min(limit/16, 1024))
	if pressed = inUse > limit/4*3; pressed {
		after = limit / 64
	}
	return t.All || claims-c.passedAt >= uint64(max(after, 1)), pressed
}

// look searches one chunk for candidates.
func (c *Reclaimer) look(t *Terms) bool {
	if c.v.byID.MoveOn() { // entries that are moving cannot be changed
		return true
	}
	first, end := c.chunk<<table.ChunkBits, c.v.reservations.End()
	if first >= end {
		if len(c.batch) == 0 {
			c.next = (*Reclaimer).lookAtAccounts
			return true
		}
		return c.await(t, (*Reclaimer).forget)
	}
	before := len(c.batch)
	last := min(end, first+table.ChunkRows)
	for row := max(first, 1); row < last; row++ {
		c.consider(row, t)
	}
	if !c.all && len(c.batch)-before < int(last-first)/4 {
		c.batch = c.batch[:before] // few of them: the sweep would have to visit the chunk for a few reservations
	}
	c.chunk++
	if len(c.batch) >= batchRows {
		return c.await(t, (*Reclaimer).forget)
	}
	return true
}

// lookAtAccounts makes the rows of accounts free, if that is due. A grace period ends the pass.
func (c *Reclaimer) lookAtAccounts(t *Terms) bool {
	switch {
	case !c.accounts.Due():
		c.next = (*Reclaimer).begin
	case !c.accounts.Step():
		return c.await(t, (*Reclaimer).begin)
	}
	return true
}

// await begins a grace period, after which the step is next.
func (c *Reclaimer) await(t *Terms, next step) bool {
	c.ids, c.at = c.v.byID.Root(), 0 // before the grace period begins: see table.Index
	c.grace.Begin()
	c.counts.waiting.Store(int64(len(c.batch)))
	c.graceAt, c.afterGrace, c.next = t.At, next, (*Reclaimer).endGrace
	return true
}

// endGrace ends the grace period if it has passed.
func (c *Reclaimer) endGrace(t *Terms) bool {
	if !c.grace.Passed() {
		c.counts.grace.Store(int64(t.At - c.graceAt))
		return false
	}
	c.counts.grace.Store(0)
	c.next = c.afterGrace
	return true
}

// consider adds the row to the batch if it may go, with those that follow it.
func (c *Reclaimer) consider(row uint32, t *Terms) {
	r := c.v.reservations.Find(row)
	if r == nil {
		return
	}
	state := State(r.state.Load())
	if state == free || state == pending {
		return
	}
	c.accounts.Mark(r.account)
	if !state.Dead() {
		return
	}
	d := c.v.details.At(row)
	leads := d.successor.Load()
	if d.old.Load()&named != 0 || !c.settled(d, state, t) ||
		leads == 0 && state != void && !MayForget(state, r.flags, d.over(state, r.expires), t.Before) {
		return
	}
	c.batch = append(c.batch, candidate{row: row, leads: leads})
	for leads != 0 && leads != closed {
		d = c.v.details.At(leads)
		state = State(c.v.reservations.At(leads).state.Load())
		next := d.successor.Load()
		if !state.Dead() || next == 0 || !c.settled(d, state, t) {
			return
		}
		c.batch = append(c.batch, candidate{row: leads, follows: true, leads: next})
		leads = next
	}
}

// settled reports whether the last outcome of a dead row is durable. A row that failed has none.
func (c *Reclaimer) settled(d *detail, state State, t *Terms) bool {
	return state == void || !c.v.journalled || d.seq.Load() <= t.Durable
}

// MayForget reports whether a reservation may be forgotten: it was over before an instant, see Over.
func MayForget(state State, flags uint8, over, before int64) bool {
	switch state {
	case Held, Confirmed:
		return false
	case Returned: // withheld places are accounted for by who returned them
		return flags&FlagWithheld == 0 && over < before
	}
	return over < before
}

// Over returns when a reservation was over: a released or returned one when it came to that state, at an instant that
// is 0 where it is not known; any other one when its time was over. Instants are in ms since 1970.
func Over(state State, expires, at int64) int64 {
	if (state == Released || state == Returned) && at != 0 {
		return at
	}
	return expires
}

// over returns when the reservation of a row in the state was over.
func (d *detail) over(state State, expires int64) int64 {
	if state == Released {
		return Over(state, expires, d.ended)
	}
	return Over(state, expires, d.began)
}

// forget takes the next rows of the batch through stages 3 and 4, up to their ledgers.
func (c *Reclaimer) forget(t *Terms) bool {
	for end := c.at + pieceRows; c.at < len(c.batch) && c.at < end; {
		to := c.at + 1
		for to < len(c.batch) && c.batch[to].follows {
			to++
		}
		chain := c.batch[c.at:to]
		for i := c.forgetChain(chain, t); i < len(chain); i++ {
			chain[i].row = 0
		}
		c.at = to
	}
	if c.at == len(c.batch) {
		slices.Sort(c.ledgers)
		c.ledgers = slices.Compact(c.ledgers)
		c.at, c.next = 0, (*Reclaimer).passOver
	}
	return true
}

// forgetChain forgets the first rows of a chain, and returns how many.
func (c *Reclaimer) forgetChain(chain []candidate, t *Terms) (count int) {
	for count < len(chain) && c.stillSettled(chain[count].row, t) {
		count++
	}
	if count == 0 {
		return 0
	}
	first, last := &chain[0], &chain[count-1]
	v := c.v
	to := last.leads
	if to == 0 || to == closed {
		// From here on the id is free.
		if to == 0 && !v.details.At(first.row).successor.CompareAndSwap(0, closed) {
			return 0
		}
		to = 0
	}
	r := v.reservations.At(first.row)
	if _, ok := v.byID.Change(v.hashID(&r.id), first.row, to, c.ids); !ok {
		return 0
	}
	if state := State(r.state.Load()); to == 0 && state <= Expired {
		c.forgot[state-Released].Add(1)
	}
	if to != 0 {
		old := &v.details.At(to).old
		old.Store(old.Load() &^ named)
	}
	for i := range chain[:count] {
		row := chain[i].row
		r := v.reservations.At(row)
		c.ledgers = append(c.ledgers, r.account)
		v.details.At(row).logged.Store(0)
		r.state.Store(uint32(forgotten))
	}
	return count
}

func (c *Reclaimer) stillSettled(row uint32, t *Terms) bool {
	return c.settled(c.v.details.At(row), State(c.v.reservations.At(row).state.Load()), t)
}

// passOver leads the ledgers of the next accounts past the rows of the batch.
func (c *Reclaimer) passOver(t *Terms) bool {
	for end := c.at + pieceRows/4; c.at < len(c.ledgers) && c.at < end; c.at++ {
		account := c.ledgers[c.at]
		if account == 0 { // a row without content
			continue
		}
		if summary := &c.v.summaries[account%summarySlots]; c.v.summaryOf(account) != nil {
			summary.Store(nil)
		}
		c.v.unlinkDead(account)
	}
	if c.at < len(c.ledgers) {
		return true
	}
	c.ledgers = c.ledgers[:0]
	return c.await(t, (*Reclaimer).free)
}

// free gives the next rows of the batch back.
func (c *Reclaimer) free(*Terms) bool {
	if !c.v.PauseFreeing() {
		return false // a census relies on rows that it has seen
	}
	for end := c.at + pieceRows; c.at < len(c.batch) && c.at < end; c.at++ {
		if row := c.batch[c.at].row; row != 0 {
			c.v.freeRow(row)
			c.freed.Add(1)
		}
	}
	c.v.ResumeFreeing()
	if c.at == len(c.batch) {
		c.batch, c.next = c.batch[:0], (*Reclaimer).look
		c.counts.waiting.Store(0)
	}
	return true
}

// keepsReference reports whether the row after a sold one has the same reference. If there is one, it was written
// before the row was published.
func (v *Inventory) keepsReference(row uint32, of table.Ref) bool {
	return row != 0 && row != closed && v.details.At(row).reference == of
}

// freeRow gives a row back, with its text and its overflow, and with all words zero.
func (v *Inventory) freeRow(row uint32) {
	r, d := v.reservations.At(row), v.details.At(row)
	if d.reference != 0 && !v.keepsReference(d.successor.Load(), d.reference) {
		v.texts.Free(d.reference)
	}
	if r.more != 0 {
		v.overflows.Free(r.more)
	}
	d.created, d.began, d.ended, d.reference, d.below = 0, 0, 0, 0, [2]order.Link{}
	d.seq.Store(0)
	d.successor.Store(0)
	d.old.Store(0)
	r.id, r.expires, r.account, r.more, r.lines, r.count, r.flags = ID{}, 0, 0, 0, [inlineLines]uint32{}, 0, 0
	r.next.Store(0)
	r.state.Store(uint32(free))
	v.reservations.Free(row)
}
