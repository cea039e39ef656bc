package protocol

import (
	"fmt"
	"os"
	"slices"
	"testing"
	"time"
)

// Every call beside and after every other, on a reservation in every state.

// histories lead to each state of the reservation x of two units.
var histories = map[string][]call{
	"held":      calls(res('x', 2)),
	"confirmed": calls(res('x', 2), conf('x', 1)),
	"reduced":   calls(res('x', 2), cut('x', 1)),
	"expired":   calls(res('x', 2), exp('x')),
	"released":  calls(res('x', 2), rel('x')),
	"returned":  calls(res('x', 2), conf('x', 1), back('x', 0)),
}

var eachCall = calls(res('x', 1), conf('x', 2), rel('x'), exp('x'), cut('x', 1), swap('x', 1, 'y'), late('x', 2),
	back('x', 0), back('x', 3))

// eachDumped are those after which a dump has something else. A release leaves what an expiry leaves.
var eachDumped = calls(res('x', 1), conf('x', 2), exp('x'), cut('x', 1), swap('x', 1, 'y'), late('x', 2), back('x', 3))

// tally counts what a test explores that generates its cases.
type tally struct {
	t                    *testing.T
	cases, states, freed int
	began                time.Time
}

// explore explores the calls of a first caller after a history, and those of other callers.
func (a *tally) explore(history string, helpers []string, first []call, others ...[]call) {
	before := histories[history]
	programs := append([][]call{slices.Concat(before, first)}, others...)
	f, freed := two(3, 2, helpers, len(before), programs...).explore("")
	a.cases, a.states, a.freed = a.cases+1, a.states+f.states, a.freed+freed
	if f.broken != "" {
		a.t.Log(history, fmt.Sprint(first), fmt.Sprint(others))
		f.holds(a.t)
	}
}

func (a *tally) done() {
	a.t.Logf("%d cases, %d states, %v", a.cases, a.states, time.Since(a.began).Round(time.Millisecond))
	if a.freed == 0 {
		a.t.Fatal("no row comes back: the cases show nothing")
	}
}

// TestCombinedPairs has two callers with a call each.
func TestCombinedPairs(t *testing.T) {
	skipSlow(t)
	a := tally{t: t, began: time.Now()}
	for history := range histories {
		for i, first := range eachCall {
			for _, second := range eachCall[i:] {
				a.explore(history, reclaiming, calls(first), calls(second))
			}
		}
	}
	a.done()
}

// TestCombinedDumps has a dump beside two calls of one caller.
func TestCombinedDumps(t *testing.T) {
	skipSlow(t)
	a := tally{t: t, began: time.Now()}
	for history := range histories {
		for _, first := range eachDumped {
			for _, second := range eachDumped {
				a.explore(history, dumping, calls(first, second))
			}
		}
	}
	a.done()
}

// TestCombinedHuge has two calls of one caller beside a call of another, and the huge cases. It takes five minutes, so
// it runs only with SEATHOLD_ROUNDS.
func TestCombinedHuge(t *testing.T) {
	skipSlow(t)
	if os.Getenv("SEATHOLD_ROUNDS") == "" {
		t.Skip("SEATHOLD_ROUNDS is not set")
	}
	exploreCases(t, hugeCases, combinedCase.explore)
	a := tally{t: t, began: time.Now()}
	for history := range histories {
		for _, first := range eachCall {
			for _, second := range eachCall {
				for _, beside := range eachCall {
					a.explore(history, reclaiming, calls(first, second), calls(beside))
				}
			}
		}
	}
	a.done()
}
