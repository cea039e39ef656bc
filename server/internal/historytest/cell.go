package historytest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/seathold/seathold/engine/spec"
)

// Cell is the part of the sale that one history uses: three sessions with few tickets and three accounts with low caps.
// One server serves hundreds of histories. The number distinguishes cells.
type Cell int

const (
	sessionsOfCell = 3
	accountsOfCell = 3
	idsOfCell      = 6
)

// SaleOf returns a sale of so many cells, two at least, numbered from 0. It is open from a day before now until a year
// after. Packs have two sessions. The programme of every other cell withholds what is returned.
func SaleOf(cells int, now time.Time) *spec.Definition {
	opens, ends := now.AddDate(0, 0, -1), now.AddDate(1, 0, 0)
	d := &spec.Definition{}
	for c := range Cell(2) {
		d.Programmes = append(d.Programmes, spec.DefinedProgramme{ID: c.programme(), AccountCap: 5, SessionLimit: 3,
			WithholdReturned: c == 1})
		d.Phases = append(d.Phases,
			spec.DefinedPhase{ID: c.singles(), Programme: c.programme(), OpensAt: opens, ClosesAt: ends},
			spec.DefinedPhase{ID: c.packs(), Programme: c.programme(), PackSessions: 2, OpensAt: opens, ClosesAt: ends})
	}
	for cell := range Cell(cells) {
		for i := range sessionsOfCell {
			d.Sessions = append(d.Sessions,
				spec.DefinedSession{ID: cell.session(i), Programme: cell.programme(), Places: []int{2 + i%2, 2}})
		}
	}
	return d
}

func (c Cell) programme() string    { return [2]string{"games", "kept"}[c%2] }
func (c Cell) singles() string      { return c.programme() + "-singles" }
func (c Cell) packs() string        { return c.programme() + "-packs" }
func (c Cell) session(i int) string { return fmt.Sprintf("C%d-%c", c, 'X'+i) }
func (c Cell) account(i int) string { return fmt.Sprintf("account-%d-%d", c, i) }
func (c Cell) id(i int) string      { return spec.IDOf(fmt.Sprintf("%d-%d", c, i)) }

// drawWrite returns a random call that is not a read, a third of the time one that changes a reservation. known are
// the states of reservations that the caller knows, by id, and now is the sale clock's time.
func (c Cell) drawWrite(r *rand.Rand, known map[string]string, now time.Time) spec.Operation {
	id := r.IntN(idsOfCell)
	op := spec.Operation{ID: c.id(id)}
	switch n := r.IntN(24); {
	case n < 9:
		c.drawReserve(&op, r, id)
	case n < 12:
		op.Kind, op.Reference = spec.Confirm, drawReference(r)
	case n < 14:
		op.Kind = spec.Release
	default:
		c.drawChange(&op, r, known, now)
	}
	return op
}

func drawReference(r *rand.Rand) string {
	if r.IntN(3) == 0 {
		return fmt.Sprintf("paid-%d", r.IntN(3))
	}
	return ""
}

// drawChange fills in a random extend, reduce, return, replacement or confirm again, often of a reservation that is
// known to be in a state that permits it.
func (c Cell) drawChange(op *spec.Operation, r *rand.Rand, known map[string]string, now time.Time) {
	idIn := func(states ...string) int {
		var ids []int
		for i := range idsOfCell {
			if slices.Contains(states, known[c.id(i)]) {
				ids = append(ids, i)
			}
		}
		if len(ids) == 0 || r.IntN(3) == 0 {
			return r.IntN(idsOfCell)
		}
		return ids[r.IntN(len(ids))]
	}
	switch r.IntN(5) {
	case 0:
		op.Kind, op.ID = spec.Extend, c.id(idIn("held"))
		ends := []time.Duration{time.Millisecond, 700 * time.Millisecond, time.Second, 20 * time.Minute, time.Hour,
			2 * time.Hour} // longer than a hold may be
		op.ExpiresAt = spec.Instant(now.Add(ends[r.IntN(len(ends))]))
	case 1:
		id := idIn("held", "confirmed")
		c.drawReserve(op, r, id)
		*op = spec.Operation{Kind: spec.Reduce, ID: c.id(id), Lines: op.Lines}
		if n := len(op.Lines); n > 1 && r.IntN(3) == 0 {
			op.Lines = op.Lines[:n-1]
		} else if r.IntN(6) > 0 {
			kept := 1 + r.IntN(len(op.Lines)) // a pack must keep its equal quantities
			for i := range op.Lines[:kept] {
				op.Lines[i].Quantity = 1
			}
		}
	case 2:
		op.Kind, op.ID, op.Reference = spec.Return, c.id(idIn("confirmed")), drawReference(r)
	case 3:
		old := idIn("held")
		id := (old + accountsOfCell) % idsOfCell // its account is the same
		op.ID = c.id(id)
		c.drawReserve(op, r, id)
		op.Replaces = c.id(old)
	default:
		op.Kind, op.Again, op.ID, op.Reference = spec.Confirm, true, c.id(idIn("expired")), drawReference(r)
	}
}

// drawRead returns a random read of a reservation or an account.
func (c Cell) drawRead(r *rand.Rand) spec.Operation {
	if r.IntN(2) == 0 {
		return spec.Operation{Kind: spec.ReadReservation, ID: c.id(r.IntN(idsOfCell))}
	}
	return spec.Operation{Kind: spec.ReadAccount, Account: c.account(r.IntN(accountsOfCell))}
}

// drawReserve fills in a random request with the id: the same content for most callers, another for some.
func (c Cell) drawReserve(op *spec.Operation, r *rand.Rand, id int) {
	op.Kind, op.Account = spec.Reserve, c.account(id%accountsOfCell)
	first, quantity := id%sessionsOfCell, 1+id%2
	if r.IntN(4) == 0 {
		op.Account = c.account(r.IntN(accountsOfCell))
		first, quantity = r.IntN(sessionsOfCell), 1+r.IntN(3)
	}
	line := func(i int, category string) spec.Line {
		return spec.Line{Session: c.session((first + i) % sessionsOfCell), Category: category, Quantity: quantity}
	}
	switch id / 2 {
	case 0:
		op.Phase, op.Lines = c.singles(), []spec.Line{line(0, "A")}
	case 1:
		op.Phase, op.Lines = c.packs(), []spec.Line{line(0, "A"), line(1, "A")}
	default:
		op.Phase, op.Lines = c.packs(), []spec.Line{line(1, "A"), line(0, "A"), line(0, "B")}
	}
	if r.IntN(12) == 0 {
		op.Phase = "" // with one session only singles fit; with two, both phases do
	}
	if r.IntN(2) == 0 {
		op.TTL = time.Second
	}
}
