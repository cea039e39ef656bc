package inventory

import (
	"github.com/seathold/seathold/engine/inventory/internal/listing"
	"github.com/seathold/seathold/engine/inventory/internal/stock"
)

// A quota bounds how many tickets a phase sells of a session, over all its pools. It has a pool of its own, beside
// those of the session: its units are the tickets that the phase may sell. So a row takes its lines, and of each
// session that has a quota in its phase as many units of the quota as it has tickets of the session. All that is true
// of a row's lines is true of these units: they are taken before the record and given back after it (I6), they are
// unsettled while that is not decided (I7), and Stock counts them. A request of one line that has a quota takes two
// pools, so it is unsettled like one of several lines. Pools of quotas have higher numbers than all others, and come
// last in the ascending order of the takes. A replace from one phase to another one takes of the one quota and gives
// back to the other. To the protocol a quota is one more line, which its models have already.
//
// A row does not note its quotas. They follow from its phase and its lines, which do not change, and from the listing,
// which does. So this must hold: while a row takes units, or is about to give some back, its session has a quota in its
// phase at each of these steps or at none. Then what is given back is what was taken. A quota that is there stays; one
// that has been removed has no bound and counts on. A session gets a quota in a phase in this order:
//
//  1. Calls make no row any more that has the phase and a line of the session: no new one, and none that follows
//     another one. The caller of ExtendListing refuses such calls until the change is over.
//  2. A grace period passes. Calls that did not know of that have returned.
//  3. TakenIn finds no such row that takes units or is undecided. Otherwise the change is refused.
//  4. ExtendListing lists the quota, whose pool has no units. ChangeStock and the record of the change follow.
//
// From step 2 on, a row that takes units is where it was: it leaves only by a row that follows it. So TakenIn may walk
// the rows by number. Without that rule, a hold that is extended into a row that the walk has passed would be missed,
// and would later give back what it never took. The records of all rows that ended precede that of the change, so no
// prefix of the journal has such a row at that point either, and a restore that counts each row by the listing of the
// moment is right.

// Quota is a phase and a session of which it sells no more than the units of the quota's pool.
type Quota = listing.Quota

// QuotaPool returns the number that the pool of a quota has in ChangeStock, Stock, Words and verdicts. Numbers from
// QuotaPool(0) on are of quotas; no line has them.
func (v *Inventory) QuotaPool(quota int) uint32 { return v.firstQuota + uint32(quota) }

// Quotas returns how many quotas there are; see ExtendListing.
func (v *Inventory) Quotas() int { return v.listing.Quotas().Len() }

// withQuotas appends to the lines of a phase what they take of quotas, each once. It is not inlined: the rows of most
// phases take nothing of quotas.
//
//go:noinline
func (v *Inventory) withQuotas(lines []Line, phase uint16) []Line {
	quotas, count := v.listing.Quotas(), len(lines)
	if !quotas.Has(phase) {
		return lines
	}
	for i := range count {
		l := lines[i]
		quota, found := quotas.Of(phase, v.listing.SessionOf(l.Pool))
		if !found {
			continue
		}
		at := count
		for at < len(lines) && lines[at].Pool != v.QuotaPool(int(quota)) {
			at++
		}
		if at == len(lines) {
			lines = append(lines, Line{Pool: v.QuotaPool(int(quota))})
		}
		lines[at].Quantity += l.Quantity
	}
	return lines
}

// takes appends what a row takes: its lines, and units of quotas.
func (v *Inventory) takes(to []Line, r *reservation) []Line {
	return v.withQuotas(v.appendLines(to, r), r.phase)
}

// eachQuota calls do with the pool of each quota of which the row takes units, and with how many.
//
//go:noinline
func (v *Inventory) eachQuota(r *reservation, do func(p *stock.Pool, units uint32)) {
	var room [2 * MaxLines]Line
	for _, l := range v.takes(room[:0], r)[r.count:] {
		do(&v.stock[l.Pool], l.Quantity)
	}
}

// sell counts units as sold.
func sell(p *stock.Pool, units uint32) { p.Sold.Add(uint64(units)) }

// unitsOfQuota returns how many units of a quota's pool the row takes.
func (v *Inventory) unitsOfQuota(r *reservation, pool uint32) (units uint32) {
	v.eachQuota(r, func(p *stock.Pool, takes uint32) {
		if p == &v.stock[pool] {
			units = takes
		}
	})
	return units
}

// walkedRows is how many rows TakenIn visits in one call: a few microseconds.
const walkedRows = 1 << 10

// TakenIn reports for each quota of a list, of different phases and sessions, whether a row with its phase and a line
// of its session takes units, or is undecided. The answer stays true until such a row is made: see quotas.go. Otherwise
// it is a hint.
func (v *Inventory) TakenIn(list []Quota) []bool {
	taken := make([]bool, len(list))
	wanted, err := listing.QuotasOf(list)
	if err != nil {
		panic("BUG: " + err.Error())
	}
	for row, end := uint32(1), v.reservations.End(); row < end; {
		call := v.Begin(row)
		for piece := min(end, row+walkedRows); row < piece; row++ {
			v.markTaken(row, wanted, taken)
		}
		call.End()
	}
	return taken
}

// markTaken marks the quotas of which a row takes units, or would.
func (v *Inventory) markTaken(row uint32, wanted *listing.Quotas, taken []bool) {
	r := v.reservations.Find(row)
	if r == nil {
		return
	}
	state := State(r.state.Load())
	if state == free || state.Dead() && state != Returned || !wanted.Has(r.phase) {
		return // what a free row has may be written just now
	}
	if takes, _, _ := state.Takes(r.flags); !takes && !state.Undecided() {
		return
	}
	for i := range int(r.count) {
		if n, found := wanted.Of(r.phase, v.listing.SessionOf(v.lineAt(r, i).Pool)); found {
			taken[n] = true
		}
	}
}
