//go:build seathold_yield

package inventory

import "slices"

// boundPlan is the part of a plan that is about quotas. Their pools have the numbers after those of the plan.
type boundPlan struct {
	quotas   []exploredQuota
	sessions []uint32 // by pool; nil if each is a session of its own
	real     int      // pools that are not of quotas
}

// exploredQuota has units from the beginning, or is late: then "places" sets it.
type exploredQuota struct {
	Quota
	units uint32
	late  bool
}

// unbounded is how many units a late quota has before it is set.
const unbounded = 1 << 30

// startBounds lists the quotas, and from here on e.pools has their pools too.
func (e *explorer) startBounds() {
	e.real, e.pools = len(e.pools), slices.Clone(e.pools)
	for _, q := range e.quotas {
		e.pools = append(e.pools, q.units)
	}
	e.list(false)
}

// list lists the quotas: those that are late too, or without them.
func (e *explorer) list(late bool) {
	var listed []Quota
	for _, q := range e.quotas { // a late one is the last
		if late || !q.late {
			listed = append(listed, q.Quota)
		}
	}
	sessionOf, programmeOf := make([]uint32, e.real), make([]uint8, e.real)
	for pool := range sessionOf {
		sessionOf[pool] = e.sessionOf(uint32(pool))
	}
	err := e.v.ExtendListing(sessionOf, programmeOf, listed)
	e.must(err == nil, "the quotas are not listed: %v", err)
}

func (e *explorer) sessionOf(pool uint32) uint32 {
	if e.sessions == nil {
		return pool
	}
	return e.sessions[pool]
}

func (e *explorer) isLate(pool uint32) bool {
	return int(pool) >= e.real && e.quotas[int(pool)-e.real].late
}

func (e *explorer) hasLate() bool {
	return slices.ContainsFunc(e.quotas, func(q exploredQuota) bool { return q.late })
}

// firstUnits returns the units of all pools by the definition before all changes.
func (e *explorer) firstUnits() []uint32 {
	units := slices.Clone(e.pools)
	for pool := range units {
		if e.isLate(uint32(pool)) {
			units[pool] = unbounded
		}
	}
	return units
}

// ticketsIn returns how many tickets of a session the lines have.
func (e *explorer) ticketsIn(session uint32, lines []Line) (tickets int) {
	for _, l := range lines {
		if e.sessionOf(l.Pool) == session {
			tickets += int(l.Quantity)
		}
	}
	return tickets
}

// takenBy returns how many units of a pool lines of a phase take, by the rules.
func (e *explorer) takenBy(phase uint16, lines []Line, pool uint32) int {
	if int(pool) < e.real {
		return quantity(lines, pool)
	}
	q := &e.quotas[int(pool)-e.real]
	if q.Phase != phase {
		return 0
	}
	return e.ticketsIn(q.Session, lines)
}

// changing is the answer of a call that the book between two others does not pass.
const changing = "changing"

// callByBook makes attempts at a call, each by the book that is in force then.
func (e *explorer) callByBook(op do) string {
	for w := (Wait{}); ; w, _ = e.pause(w) {
		if answer := e.call(op); answer != changing {
			return answer
		}
	}
}

// gains reports whether a book is the one between two others, and a row with the phase and the lines would take of a
// quota that only the later one has.
func (e *explorer) gains(book uint32, phase uint16, lines []Line) bool {
	return book == bookBetween && slices.ContainsFunc(e.quotas, func(q exploredQuota) bool {
		return q.late && q.Phase == phase && e.ticketsIn(q.Session, lines) > 0
	})
}

// setPlaces sets the quotas that are late, unless their tickets are held or sold.
func (e *explorer) setPlaces(op do) string {
	e.book.Store(bookBetween)
	e.awaitGrace()
	if e.placesTaken() {
		e.book.Store(bookBefore)
		return "taken"
	}
	e.list(true)
	var to []Units
	for _, l := range e.reservations[op.name].lines {
		to = append(to, Units{Pool: l.Pool, Units: l.Quantity})
	}
	change, err := e.v.ChangeStock(to, nil)
	e.must(err == nil, "a quota that has no units cannot get some: %v", err)
	_, ok := e.v.Note(Note{Subject: e.numberOf(op.name), What: noteStock})
	e.must(ok, "no room for a note")
	change.Commit()
	e.book.Store(bookAfter)
	return "done"
}

// placesTaken reports whether a row takes, or may take, what a late quota would count.
func (e *explorer) placesTaken() bool {
	var late []Quota
	for _, q := range e.quotas {
		if q.late {
			late = append(late, q.Quota)
		}
	}
	e.forgetTouched()
	return slices.Contains(e.v.TakenIn(late), true)
}
