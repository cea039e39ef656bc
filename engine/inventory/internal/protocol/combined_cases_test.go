package protocol

// combinedCase is a combined with how many calls each caller makes first, one caller after the other.
type combinedCase struct {
	combined
	before []int
}

func (c combinedCase) explore(rule string) (found, int) {
	m := c.combined
	m.rule = rule
	f := explore[world](&m, m.begin(c.before))
	return f, m.freed
}

// two is a case of rows, units and cap that begins after so many calls of the first caller.
func two(rows, units uint8, helpers []string, first int, programs ...[]call) combinedCase {
	before := make([]int, len(programs))
	before[0] = first
	return combinedCase{combined{rows: rows, units: units, cap: units, programs: programs, helpers: helpers}, before}
}

// after is the case with an id whose first reservation failed.
func after(id uint8, c combinedCase) combinedCase {
	c.failed = id
	return c
}

// alone is the case in which no call may need another one to go on.
func alone(c combinedCase) combinedCase {
	c.alone = true
	return c
}

var (
	reclaiming = []string{"drainer", "reclaimer"}
	dumping    = []string{"drainer", "reclaimer", "dumper"}
	moving     = []string{"drainer", "reclaimer", "mover"}
)

func calls(c ...call) []call     { return c }
func res(id, qty uint8) call     { return call{kind: reserve, id: id, qty: qty} }
func conf(id, ref uint8) call    { return call{kind: confirm, id: id, ref: ref} }
func rel(id uint8) call          { return call{kind: release, id: id} }
func exp(id uint8) call          { return call{kind: expire, id: id} }
func cut(id, qty uint8) call     { return call{kind: reduce, id: id, qty: qty} }
func swap(id, qty, n uint8) call { return call{kind: replace, id: id, qty: qty, new: n} }
func late(id, ref uint8) call    { return call{kind: again, id: id, ref: ref} }
func back(id, ref uint8) call    { return call{kind: refund, id: id, ref: ref} }
func sweepOf(n uint8) call       { return call{kind: sweep, row: n} }

// combinedCases are small. Those in which a rule matters are among them.
var combinedCases = map[string]combinedCase{
	"reduce, the old row is used again": two(2, 2, reclaiming, 1,
		calls(res('x', 2), cut('x', 1), rel('x')), calls(res('z', 1))),
	"a finder on the chain": two(2, 2, reclaiming, 1,
		calls(res('x', 2), cut('x', 1)), calls(conf('x', 1), res('z', 1))),
	"a finder on a chain of three": two(3, 3, reclaiming, 1,
		calls(res('x', 3), cut('x', 2), cut('x', 1)), calls(conf('x', 1))),
	"replace, the old row is freed, its repeat comes": two(3, 2, reclaiming, 1,
		calls(res('x', 2), swap('x', 1, 'y')), calls(swap('x', 1, 'y'))),
	"replace and back": two(3, 2, reclaiming, 1,
		calls(res('x', 2), swap('x', 1, 'y'), swap('y', 2, 'x')), calls(rel('x'))),
	"replace beside confirm and a new id": two(3, 2, reclaiming, 1,
		calls(res('x', 2), swap('x', 1, 'y')), calls(conf('x', 1), res('z', 1))),
	"again against the reclaimer": two(3, 1, reclaiming, 2,
		calls(res('x', 1), exp('x'), late('x', 1)), calls(res('x', 1))),
	"two again against the reclaimer": two(3, 1, reclaiming, 2,
		calls(res('x', 1), exp('x'), late('x', 1)), calls(late('x', 2))),
	"again, the old row is used again": two(2, 2, reclaiming, 2, calls(res('x', 1), exp('x'), late('x', 1), res('z', 1))),
	"return, then forgotten, then new": two(2, 1, reclaiming, 2,
		calls(res('x', 1), conf('x', 1), back('x', 2)), calls(res('x', 1))),
	"an old confirm beside the id used again": two(2, 1, reclaiming, 1,
		calls(res('x', 1), rel('x'), res('x', 1)), calls(conf('x', 1))),
	"a sweep beside a reduce": two(2, 2, reclaiming, 1, calls(res('x', 2), cut('x', 1)), calls(sweepOf(2))),
	"a sweep beside reduce and confirm": two(3, 2, reclaiming, 1,
		calls(res('x', 2), cut('x', 1)), calls(sweepOf(2)), calls(conf('x', 1))),
	"reduce beside a return": two(2, 2, reclaiming, 2,
		calls(res('x', 2), conf('x', 1), cut('x', 1)), calls(back('x', 0), res('z', 1))),
	"two changes of what is confirmed": two(4, 2, reclaiming, 2,
		calls(res('x', 2), conf('x', 1), cut('x', 1)), calls(back('x', 0))),
	"an id after a failure": after('x', two(3, 1, reclaiming, 0, calls(res('x', 1), rel('x')), calls(res('x', 1)))),
	"an id after a failure, a sweep": after('x', two(3, 1, reclaiming, 0,
		calls(res('x', 1)), calls(sweepOf(1)), calls(conf('x', 1)))),
	"an id after a failure, replaced": after('y', two(3, 1, reclaiming, 1,
		calls(res('x', 1), swap('x', 1, 'y')), calls(res('y', 1)))),
	"three rows of what is confirmed": two(3, 3, reclaiming, 2,
		calls(res('x', 3), conf('x', 1), cut('x', 2), cut('x', 1))),
	"the index moves while x is forgotten": alone(two(4, 2, moving, 1,
		calls(res('x', 2), rel('x')), calls(res('x', 1)))),
	"the index moves, a chain is left": two(3, 2, moving, 1,
		calls(res('x', 2), cut('x', 1), rel('x')), calls(conf('x', 1))),
	"the index moves, a row of a lower number follows": two(2, 3, moving, 2,
		calls(res('z', 1), res('x', 2), rel('z'), cut('x', 1), rel('x'))),
	"a new x while the old one is forgotten": alone(two(4, 2, reclaiming, 2,
		calls(res('x', 2), cut('x', 1), rel('x')), calls(res('x', 1)))),
	"a new x while the old one is taken again": alone(two(4, 1, reclaiming, 2,
		calls(res('x', 1), exp('x'), late('x', 1)), calls(res('x', 1)))),

	"a dump beside a replace": two(3, 2, dumping, 1, calls(res('x', 2), swap('x', 1, 'y'), rel('y'))),
	"a dump beside a reduce":  two(3, 2, dumping, 1, calls(res('x', 2), cut('x', 1), rel('x'))),
	"a dump beside a replace and a new x": two(3, 2, dumping, 1,
		calls(res('x', 2), swap('x', 1, 'y'), res('x', 1))),
	"a dump beside again and return": two(3, 1, dumping, 2,
		calls(res('x', 1), exp('x'), late('x', 1), back('x', 0))),
	"a dump beside two ends of x":  two(3, 2, dumping, 2, calls(res('x', 2), exp('x'), res('x', 1), rel('x'))),
	"a dump beside two reductions": two(2, 3, dumping, 1, calls(res('x', 3), cut('x', 2), cut('x', 1))),
	"a dump beside replace and release": two(3, 2, dumping, 1,
		calls(res('x', 2), swap('x', 1, 'y')), calls(rel('y'))),
}

// largeCases have a million states or more, or nearly so many.
var largeCases = map[string]combinedCase{
	"a dump beside an x that comes again": two(2, 1, dumping, 1,
		calls(res('x', 1), rel('x'), res('x', 1), conf('x', 1), back('x', 0))),
	"a dump beside again and a forgotten id": two(2, 1, dumping, 2,
		calls(res('x', 1), exp('x'), late('x', 1)), calls(res('x', 1))),
	"a dump beside return and a reduce": two(3, 2, dumping, 2,
		calls(res('x', 2), conf('x', 1), cut('x', 1)), calls(back('x', 2))),
	"three changes of what is confirmed": two(4, 2, reclaiming, 2,
		calls(res('x', 2), conf('x', 1), cut('x', 1)), calls(back('x', 0)), calls(back('x', 2))),
	"a unit for one of three": two(4, 1, reclaiming, 1,
		calls(res('y', 1)), calls(res('x', 1)), calls(res('x', 1)), calls(exp('y'))),
	"three changes of what is held": two(3, 3, reclaiming, 1,
		calls(res('x', 3), cut('x', 2)), calls(cut('x', 1)), calls(swap('x', 1, 'y'))),
	"reduce, return and a new x": two(3, 2, reclaiming, 2,
		calls(res('x', 2), conf('x', 1), cut('x', 1)), calls(back('x', 0)), calls(res('x', 1))),
}

// hugeCases take a minute. They are explored with SEATHOLD_ROUNDS alone.
var hugeCases = map[string]combinedCase{
	"two again and a new x": two(3, 1, reclaiming, 2,
		calls(res('x', 1), exp('x'), late('x', 1)), calls(late('x', 2)), calls(res('x', 1))),
}
