package protocol

import "testing"

// cycleCase is a recycle with how its first state comes about; see recycle.begin.
type cycleCase struct {
	recycle
	before []int
	failed uint8
}

func cr(id, account uint8) cycleCall { return cycleCall{take1, id, account} }
func cf(id, account uint8) cycleCall { return cycleCall{drop1, id, account} }

var walkOf0 = cycleCall{kind: walk1}

var cycleCases = map[string]cycleCase{
	"one row for two accounts": {recycle: recycle{rows: 1, cap: 1, stripes: []uint8{0, 0}, helpers: reclaiming,
		programs: [][]cycleCall{{cr('a', 0), cf('a', 0)}, {cr('b', 1)}}}},
	"the same id again": {recycle: recycle{rows: 2, cap: 1, stripes: []uint8{0, 0}, helpers: reclaiming,
		programs: [][]cycleCall{{cr('a', 0), cf('a', 0)}, {cr('a', 0)}}}},
	"a refusal beside a forgotten id": {recycle: recycle{rows: 2, cap: 1, stripes: []uint8{0, 0}, helpers: reclaiming,
		programs: [][]cycleCall{{cr('a', 0)}, {cr('a', 0), cf('a', 0)}}}},
	"an id after a failure": {failed: 'a', recycle: recycle{rows: 3, cap: 1, stripes: []uint8{0, 1}, helpers: reclaiming,
		programs: [][]cycleCall{{cr('a', 0)}, {cr('a', 0)}}}},
	"a checkpoint": {recycle: recycle{rows: 1, cap: 1, stripes: []uint8{0}, helpers: dumping,
		programs: [][]cycleCall{{cr('a', 0), cf('a', 0), cr('b', 1)}}}},
	"a checkpoint, the id again": {recycle: recycle{rows: 2, cap: 1, stripes: []uint8{0}, helpers: dumping,
		programs: [][]cycleCall{{cr('a', 0), cf('a', 0), cr('a', 0)}}}},
	"two walks over dead rows": {before: []int{4, 0, 0}, recycle: recycle{rows: 3, cap: 5, stripes: []uint8{0, 0, 1},
		helpers: reclaiming, stand: []stand{{4, "passDead: load head"}},
		programs: [][]cycleCall{{cr('c', 0), cr('a', 0), cr('e', 0), cf('c', 0), cf('a', 0)}, {walkOf0}, {walkOf0}}}},
}

// largeCycles have a million states or more.
var largeCycles = map[string]cycleCase{
	"two rows come back beside a claim": {before: []int{4, 0}, recycle: recycle{rows: 3, cap: 3, stripes: []uint8{0, 1},
		helpers:  reclaiming,
		programs: [][]cycleCall{{cr('a', 0), cr('b', 0), cf('a', 0), cf('b', 0), cr('c', 0)}, {cr('d', 1)}}}},
}

func (c cycleCase) explore(rule string) (found, int) {
	m := c.recycle
	m.rule = rule
	f := explore[cycleWorld](&m, m.begin(c.before, c.failed))
	return f, m.freed
}

func TestRecycle(t *testing.T) { exploreCases(t, cycleCases, cycleCase.explore) }

func TestRecycleLarge(t *testing.T) { exploreCases(t, largeCycles, cycleCase.explore) }

func TestRecycleRules(t *testing.T) {
	skipSlow(t)
	exploreRules(t, cycleCases, cycleCase.explore, map[string]string{
		"announce first":                   "one row for two accounts",
		"same counter":                     "one row for two accounts",
		"both counters":                    "the same id again",
		"all stripes":                      "an id after a failure",
		"one call":                         "the same id again",
		"grace A":                          "a refusal beside a forgotten id",
		"grace B":                          "a refusal beside a forgotten id",
		"index":                            "one row for two accounts",
		"chain":                            "an id after a failure",
		"freeze":                           "two walks over dead rows",
		"freeze, but load the state first": "two walks over dead rows",
		"drained":                          "one row for two accounts",
		"hide":                             "a checkpoint",
		"dump announced":                   "a checkpoint",
		"sequence":                         "a checkpoint, the id again",
	})
}
