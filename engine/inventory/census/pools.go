package census

import "github.com/seathold/seathold/engine/inventory"

// poolSums are the units of one pool by what their rows showed at the two looks.
type poolSums struct {
	taken, takenAtMost int // held or confirmed
	gone, goneAtMost   int
	units              int // by the words, as the next two
	wordTaken          int
	wordGone           int
}

// Pools is what a count of all pools found.
type Pools struct {
	Reservations int // rows looked at
	Exact        int // pools in which nothing changed during the count
	Difference   int // units by which sums and words, or words and capacity, disagree (I1): 0
	Pool         int // the first pool that disagrees, of a quota perhaps; meaningful if Difference is not 0
}

// restRows is how many rows are visited between two calls of rest: a fraction of a millisecond.
const restRows = 16 << 10

// Pools counts all pools, those of quotas too. A quota that comes while they are counted is left out: no row takes of
// it before, so what rows took of it meanwhile is at most uncertain. It calls rest every fraction of a millisecond, so
// that the owner can yield the processor. When rest returns false the count ends without a result. The reclaimer frees
// no row until the count ends.
func (c *Census) Pools(rest func() bool) (found Pools, ok bool) {
	for !c.v.PauseFreeing() {
		if !rest() {
			return found, false
		}
	}
	defer c.v.ResumeFreeing()
	first := c.v.Rows()
	if int(first) > len(c.seen) {
		c.seen = make([]inventory.Look, int(first)+int(first)/4)
	}
	c.pools = c.v.Pools()
	c.sums = append(c.sums[:0], make([]poolSums, c.pools+c.v.Quotas())...)
	// The first look.
	if !c.eachRow(first, rest, func(row uint32, look inventory.Look) { c.seen[row] = look }) {
		return found, false
	}
	for i := range c.sums {
		p := &c.sums[i]
		p.units, p.wordTaken, p.wordGone = c.v.Words(c.poolAt(i))
	}
	// The second look, also at the rows that were claimed since the first.
	second := c.v.Rows()
	if !c.eachRow(second, rest, func(row uint32, look inventory.Look) {
		before := inventory.Look(0)
		if row < first {
			before = c.seen[row]
		}
		c.add(row, before, look)
	}) {
		return found, false
	}
	found.Reservations = int(second) - 1
	c.compare(&found)
	return found, true
}

// poolAt returns the pool of the i-th sums: those of quotas follow the others.
func (c *Census) poolAt(i int) int {
	if i < c.pools {
		return i
	}
	return int(c.v.QuotaPool(i - c.pools))
}

// sumsOf returns the sums of a pool; nil if it came since the words were read.
func (c *Census) sumsOf(pool uint32) *poolSums {
	i := int(pool)
	if quota := i - int(c.v.QuotaPool(0)); quota >= 0 {
		i = c.pools + quota
	} else if i >= c.pools {
		return nil
	}
	if i >= len(c.sums) {
		return nil
	}
	return &c.sums[i]
}

// eachRow visits the rows below end with what they show.
func (c *Census) eachRow(end uint32, rest func() bool, visit func(row uint32, look inventory.Look)) bool {
	for row := uint32(1); row < end; row++ {
		visit(row, c.v.Look(row))
		if row%restRows == 0 && !rest() {
			return false
		}
	}
	return true
}

// add adds one reservation to the sums of its pools, by what its row showed before and after the words were read.
func (c *Census) add(row uint32, before, now inventory.Look) {
	if now&inventory.LookWasTaken == 0 || before&inventory.LookOver != 0 {
		return
	}
	both := before & now
	c.lines = c.v.AppendTakes(c.lines[:0], row)
	for _, l := range c.lines {
		p, units := c.sumsOf(l.Pool), int(l.Quantity)
		if p == nil {
			continue
		}
		p.takenAtMost += units
		if both&inventory.LookTaken != 0 {
			p.taken += units
		}
		if both&inventory.LookGone != 0 {
			p.gone += units
		}
		if now&inventory.LookWasGone != 0 {
			p.goneAtMost += units
		}
	}
}

// compare adds up by how much the words are outside what the sums allow.
func (c *Census) compare(found *Pools) {
	for i := range c.sums {
		p := &c.sums[i]
		if p.taken == p.takenAtMost && p.gone == p.goneAtMost {
			found.Exact++
		}
		wrong := outside(p.wordTaken, p.taken, p.takenAtMost) + outside(p.wordGone, p.gone, p.goneAtMost) +
			max(p.wordTaken, p.taken, p.units) - p.units
		if wrong != 0 && found.Difference == 0 {
			found.Pool = c.poolAt(i)
		}
		found.Difference += wrong
	}
}

// outside returns the distance of n from the range.
func outside(n, low, high int) int { return max(low-n, n-high, 0) }
