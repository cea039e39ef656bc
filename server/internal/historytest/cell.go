package historytest

import (
	"fmt"
	"math/rand/v2"
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

// SaleOf returns a sale of so many cells, numbered from 0. It is open from a day before now until a year after. Packs
// have two sessions.
func SaleOf(cells int, now time.Time) *spec.Definition {
	opens, ends := now.AddDate(0, 0, -1), now.AddDate(1, 0, 0)
	d := &spec.Definition{
		Programmes: []spec.DefinedProgramme{{ID: "games", AccountCap: 5, SessionLimit: 3}},
		Phases: []spec.DefinedPhase{
			{ID: "singles", Programme: "games", OpensAt: opens, ClosesAt: ends},
			{ID: "packs", Programme: "games", PackSessions: 2, OpensAt: opens, ClosesAt: ends},
		},
	}
	for cell := range Cell(cells) {
		for i := range sessionsOfCell {
			d.Sessions = append(d.Sessions,
				spec.DefinedSession{ID: cell.session(i), Programme: "games", Places: []int{2 + i%2, 2}})
		}
	}
	return d
}

func (c Cell) session(i int) string { return fmt.Sprintf("C%d-%c", c, 'X'+i) }
func (c Cell) account(i int) string { return fmt.Sprintf("account-%d-%d", c, i) }
func (c Cell) id(i int) string      { return spec.IDOf(fmt.Sprintf("%d-%d", c, i)) }

// drawWrite returns a random reserve, confirm or release.
func (c Cell) drawWrite(r *rand.Rand) spec.Operation {
	id := r.IntN(idsOfCell)
	op := spec.Operation{ID: c.id(id)}
	switch n := r.IntN(16); {
	case n < 10:
		c.drawReserve(&op, r, id)
	case n < 13:
		op.Kind = spec.Confirm
		if r.IntN(3) == 0 {
			op.Reference = fmt.Sprintf("paid-%d", r.IntN(3))
		}
	default:
		op.Kind = spec.Release
	}
	return op
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
		op.Phase, op.Lines = "singles", []spec.Line{line(0, "A")}
	case 1:
		op.Phase, op.Lines = "packs", []spec.Line{line(0, "A"), line(1, "A")}
	default:
		op.Phase, op.Lines = "packs", []spec.Line{line(1, "A"), line(0, "A"), line(0, "B")}
	}
	if r.IntN(12) == 0 {
		op.Phase = "" // with one session only singles fit; with two, both phases do
	}
	if r.IntN(3) == 0 {
		op.TTL = time.Second
	}
}
