package protocol

import "testing"

// again1 are row 1, which has the id k and is dead, row 2, which has another id and lives, and the rows of callers
// that reserve k again.
func again1(callers int) []movesRow {
	rows := []movesRow{{id: 'k', dead: true}, {id: 'o'}}
	for range callers {
		rows = append(rows, movesRow{id: 'k'})
	}
	return rows
}

var movesCases = map[string]moves{
	"larger": {sizes: []uint8{4, 8}, made: 2, stripes: 1, rows: again1(1), first: []uint8{1, 2}, callers: 1, finders: 1,
		sought: 2, movers: 1},
	"equal": {sizes: []uint8{4, 4, 8}, made: 2, stripes: 1, rows: again1(2), first: []uint8{1, 2},
		callers: 2, movers: 1},
	"smaller": {sizes: []uint8{4, 2, 8}, made: 2, stripes: 1, rows: again1(2), first: []uint8{1, 2},
		callers: 2, movers: 1},
	"no power of two": {sizes: []uint8{6, 4, 8}, made: 2, stripes: 2, rows: again1(2), first: []uint8{1, 2},
		callers: 2, movers: 1},
	"two stalled movers": {sizes: []uint8{4, 4, 8}, made: 2, stripes: 1, rows: again1(1), first: []uint8{1, 2}, callers: 1,
		movers: 2},
	"one call copies one stripe": {sizes: []uint8{4, 4, 8}, made: 2, stripes: 2, rows: again1(1), first: []uint8{1, 2},
		finders: 1, sought: 2, movers: 1},
	"the move begins": {sizes: []uint8{4, 2, 8}, made: 1, stripes: 2, starter: true, rows: again1(2), first: []uint8{1, 2},
		callers: 2, finders: 1, sought: 2},
	"three callers": {sizes: []uint8{4, 2, 8}, made: 2, stripes: 1, rows: again1(3), first: []uint8{1, 2}, callers: 3},
	"a row that follows": {sizes: []uint8{4, 4, 8}, made: 2, stripes: 1,
		rows:  []movesRow{{id: 'k', dead: true, successor: 3}, {id: 'o', hash: 2}, {id: 'k'}, {id: 'k'}},
		first: []uint8{1, 2}, callers: 1, finders: 1, sought: 3, movers: 1},
	"a full table": {sizes: []uint8{2, 4, 8}, made: 2, stripes: 2,
		rows:  []movesRow{{id: 'k', dead: true}, {id: 'o'}, {id: 'p', hash: 4}, {id: 'k'}, {id: 'k'}},
		first: []uint8{2, 3}, second: []uint8{1}, callers: 2, finders: 1, sought: 2},
	"two ids are forgotten": {sizes: []uint8{4, 4, 8}, made: 2, stripes: 2,
		rows:  []movesRow{{id: 'k', dead: true}, {id: 'o'}, {id: 'p', hash: 4, dead: true}, {id: 'k'}, {id: 'p', hash: 4}},
		first: []uint8{1, 2, 3}, callers: 2, movers: 1},
}

func (m moves) explore(rule string) (found, int) {
	m.rule = rule
	f := explore[movesWorld](&m, m.begin())
	return f, m.freed
}

// TestMoves explores the index while its entries move to another table.
func TestMoves(t *testing.T) {
	exploreCases(t, movesCases, moves.explore)
}

// TestMovesRules leaves each rule out.
func TestMovesRules(t *testing.T) {
	exploreRules(t, movesCases, moves.explore, map[string]string{
		"freeze before copying":       "the move begins",
		"a frozen entry stays":        "the move begins",
		"root since before grace A":   "two stalled movers",
		"a tombstone is never filled": "equal",
		"the reclaimer copies":        "one call copies one stripe",
	})
}
