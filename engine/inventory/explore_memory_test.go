//go:build seathold_yield

package inventory

import (
	"slices"

	"github.com/seathold/seathold/engine/inventory/internal/table"
)

// finishedMemory checks that what is free is not in use, and that nothing else is lost. It is called while nobody is at
// work.
func (e *explorer) finishedMemory() {
	for _, n := range e.none {
		e.must(n.explained, "I5: a caller was told that %s is not there when only record %d of %v was durable", n.id,
			n.durable, e.order)
	}
	if !e.recycles {
		return
	}
	v := e.v
	rows, overflows := newUses(e, "row"), newUses(e, "overflow")
	accounts, texts := newUses(e, "account"), newUses(e, "text")
	for row := uint32(1); row < v.Rows(); row++ {
		r, d := v.reservations.At(row), v.details.At(row)
		state := State(r.state.Load())
		if state == free {
			e.must(r.id == ID{} && r.next.Load() == 0 && r.account == 0 && r.more == 0 && d.seq.Load() == 0 &&
				d.logged.Load() == 0 && d.successor.Load() == 0 && d.old.Load() == 0 && d.reference == 0,
				"the free row %d is not empty", row)
			continue
		}
		rows.has(row)
		if next := d.successor.Load(); next != 0 && next != closed {
			rows.named(next)
		}
		if next := r.next.Load() &^ linkFrozen; next != 0 && !state.Dead() {
			rows.named(next)
		}
		accounts.named(r.account)
		overflows.has(r.more)
		texts.named(textOf(d.reference))
		if state == Held {
			earliest := v.earliest[row>>table.ChunkBits].Peek()
			e.must(earliest <= uint64(r.expires), "no sweep looks at row %d, due at %d, before %d", row, r.expires, earliest)
		}
	}
	for _, row := range v.byID.Rows() {
		rows.named(row)
	}
	for _, row := range v.accounts.Index.Rows() {
		accounts.named(row)
	}
	freeAccounts := e.rings[2].Rows()
	for row := uint32(1); row < v.accounts.End(); row++ {
		if slices.Contains(freeAccounts, row) {
			continue
		}
		accounts.has(row)
		a := v.accounts.At(row)
		if head := uint32(a.Head.Load() & headRow); head != 0 {
			rows.named(head)
		}
		texts.has(textOf(a.LongName()))
	}
	for cell := range texts.names {
		texts.has(cell)
	}
	var freeTexts []uint32
	freeTexts = append(freeTexts, e.rings[3].Rows()...)
	for _, cell := range e.rings[4].Rows() {
		freeTexts = append(freeTexts, cell+exploredRows)
	}
	rows.check(e.rings[0].Rows(), v.reservations.InUse())
	overflows.check(e.rings[1].Rows(), v.overflows.InUse())
	accounts.check(freeAccounts, v.accounts.InUse())
	texts.check(freeTexts, v.texts.InUse())
}

// textOf returns the number of a text's cell among those of both sizes; 0 for none.
func textOf(ref table.Ref) uint32 {
	if ref&0xff > 32 {
		return uint32(ref>>8) + exploredRows
	}
	return uint32(ref >> 8)
}

// inUse are the rows of a table that somebody has or names.
type inUse struct {
	e     *explorer
	what  string
	rows  map[uint32]bool
	names map[uint32]bool
}

func newUses(e *explorer, what string) *inUse {
	return &inUse{e, what, map[uint32]bool{}, map[uint32]bool{}}
}

// has notes that one has the row; 0 for none.
func (u *inUse) has(row uint32) {
	u.e.must(!u.rows[row], "two have %s %d", u.what, row)
	if row != 0 {
		u.rows[row] = true
	}
}

// named notes that a word names the row; 0 for none.
func (u *inUse) named(row uint32) {
	if row != 0 {
		u.names[row] = true
	}
}

// check compares with what is free, and with how many rows are not.
func (u *inUse) check(free []uint32, count int) {
	slices.Sort(free)
	for i, row := range free {
		u.e.must(i == 0 || free[i-1] != row, "%s %d is free twice", u.what, row)
		u.e.must(!u.rows[row] && !u.names[row], "%s %d is free, and in use", u.what, row)
	}
	for row := range u.names {
		u.e.must(u.rows[row], "%s %d is named, and nobody has it", u.what, row)
	}
	u.e.must(len(u.rows) == count, "%d of table %s are in use, and %d of them are known: %v", count, u.what, len(u.rows),
		u.rows)
}

// freesAll checks that all that ended comes back, at the latest when no call runs. It is the last check of a schedule.
func (e *explorer) freesAll() {
	if !e.recycles {
		return
	}
	v, terms := e.v, Terms{Before: 1 << 40, Durable: e.v.placed.Drained.Peek()}
	e.reclaimer.FreeAll(terms)
	for range 3 { // for accounts
		e.reclaimer.pass(terms)
	}
	alive, names := 0, map[uint32]bool{}
	for row := uint32(1); row < v.Rows(); row++ {
		r := v.reservations.At(row)
		state := State(r.state.Load())
		if state == Held || state == Confirmed || state == Returned && r.flags&FlagWithheld != 0 {
			alive++
			names[r.account] = true
		}
	}
	e.must(v.reservations.InUse() == alive, "%d rows are in use, and %d are alive", v.reservations.InUse(), alive)
	e.must(v.accounts.InUse() == len(names), "%d accounts are in use, and %d have reservations", v.accounts.InUse(),
		len(names))
	e.finishedMemory()
}
