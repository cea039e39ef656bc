package protocol

import (
	"fmt"
	"hash/maphash"
	"testing"
	"time"
)

// The small models explore one table or one question each, beside the models of rows. Positions of processes are
// words, so that a trace can be read.

// smallModel is a protocol as a set of processes that share a state S.
type smallModel[S comparable] struct {
	start     S
	processes []string
	// step calls to with each state that the next step of a process may lead to. One step is one atomic access, with what
	// the process does alone before the next one. A process that polls in vain leads to the same state.
	step func(s S, process int, to func(S))
	// check returns what is wrong with a state, or "". over reports that no process can change it.
	check func(s S, over bool) string
	// at names the position of a process, for traces.
	at func(s S, process int) string
	// reached, unless nil, reports what the case is about. A case in which that never happens shows nothing.
	reached func(s S) bool
	// endless, unless empty, are the processes that call again and again. While they do, and none of them stalls, the
	// last process, which polls, must be able to make a step at last.
	endless []int
}

// smallFound is what an exploration found.
type smallFound struct {
	wrong   string // "" if nothing is
	trace   string
	states  int
	reached int // states with what the case is about
	took    time.Duration
}

// smallMost ends the exploration of a case that is too large.
const (
	smallMost     = 3_000_000
	smallTooLarge = "the case is too large"
)

// smallVisit is how a state was reached first: by which of the next states of a step of a process.
type smallVisit struct {
	from    int32
	process uint8
	branch  uint8
}

// explore visits all states breadth-first, so a trace is a shortest one. It keeps the states of two levels alone, and
// knows the others by a 64-bit hash: among a million the probability that two have the same is 3 in a hundred million.
func (m smallModel[S]) explore() (found smallFound) {
	began, seed := time.Now(), maphash.MakeSeed()
	number, visits := map[uint64]int32{maphash.Comparable(seed, m.start): 0}, []smallVisit{{from: -1}}
	edges, level, deeper := [][]smallEdge(nil), []S{m.start}, []S(nil)
	for at, first := int32(0), int32(0); len(level) > 0 && found.wrong == ""; at++ {
		s, moved, out := level[at-first], false, []smallEdge(nil)
		for p := range m.processes {
			branch := uint8(0)
			m.step(s, p, func(next S) {
				if next != s {
					moved = true
					hash := maphash.Comparable(seed, next)
					n, known := number[hash]
					if !known {
						n = int32(len(visits))
						number[hash], visits, deeper = n, append(visits, smallVisit{at, uint8(p), branch}), append(deeper, next)
					}
					if m.endless != nil {
						out = append(out, smallEdge{int8(p), n})
					}
				}
				branch++
			})
		}
		if m.endless != nil {
			edges = append(edges, out)
		}
		if m.reached != nil && m.reached(s) {
			found.reached++
		}
		if found.wrong = m.check(s, !moved); found.wrong != "" {
			found.trace = m.trace(visits, at)
		} else if len(visits) > smallMost {
			found.wrong = smallTooLarge
		}
		if int(at-first) == len(level)-1 {
			first, level, deeper = at+1, deeper, level[:0]
		}
	}
	if found.wrong == "" && m.endless != nil && smallStarves(edges, len(m.processes)-1, m.endless) {
		found.wrong = "the last process polls in vain for ever although no call stalls"
	}
	found.states, found.took = len(visits), time.Since(began)
	return found
}

// trace makes the steps that lead to a state once more.
func (m smallModel[S]) trace(visits []smallVisit, state int32) string {
	var steps []smallVisit
	for n := state; visits[n].from >= 0; n = visits[n].from {
		steps = append(steps, visits[n])
	}
	s, text := m.start, ""
	for i := len(steps) - 1; i >= 0; i-- {
		p := int(steps[i].process)
		text += m.processes[p] + ": " + m.at(s, p) + "\n"
		branch, before := uint8(0), s
		m.step(before, p, func(next S) {
			if branch == steps[i].branch {
				s = next
			}
			branch++
		})
	}
	return fmt.Sprintf("%s%+v", text, s)
}

// smallEdge is a step of a process to a state.
type smallEdge struct {
	process int8
	to      int32
}

// smallStarves reports whether there is a way on which every endless process makes steps again and again, and at no
// state of which the poller could make one. Such a way is a strongly connected set of the states at which it polls in
// vain.
func smallStarves(edges [][]smallEdge, poller int, endless []int) bool {
	in := func(at int32) bool {
		for _, e := range edges[at] {
			if int(e.process) == poller {
				return false
			}
		}
		return true
	}
	for _, set := range smallComponents(edges, in) {
		member, steps := map[int32]bool{}, map[int8]bool{}
		for _, at := range set {
			member[at] = true
		}
		for _, at := range set {
			for _, e := range edges[at] {
				if member[e.to] {
					steps[e.process] = true
				}
			}
		}
		all := true
		for _, p := range endless {
			all = all && steps[int8(p)]
		}
		if all {
			return true
		}
	}
	return false
}

// smallComponents returns the strongly connected sets of the states that are in, by Tarjan's algorithm with its own
// stack of calls.
func smallComponents(edges [][]smallEdge, in func(int32) bool) (sets [][]int32) {
	type call struct {
		at   int32
		edge int
	}
	index, low, on := make([]int32, len(edges)), make([]int32, len(edges)), make([]bool, len(edges))
	next, stack := int32(1), []int32(nil)
	for root := range int32(len(edges)) {
		if index[root] != 0 || !in(root) {
			continue
		}
		calls := []call{{at: root}}
		for len(calls) > 0 {
			c := &calls[len(calls)-1]
			at := c.at
			if c.edge == 0 {
				index[at], low[at], on[at] = next, next, true
				next++
				stack = append(stack, at)
			}
			if c.edge < len(edges[at]) {
				to := edges[at][c.edge].to
				c.edge++
				if index[to] == 0 && in(to) {
					calls = append(calls, call{at: to})
				} else if on[to] {
					low[at] = min(low[at], index[to])
				}
				continue
			}
			if c.edge == 0 { // no edges: the first visit is also the last
				c.edge++
			}
			calls = calls[:len(calls)-1]
			if len(calls) > 0 {
				low[calls[len(calls)-1].at] = min(low[calls[len(calls)-1].at], low[at])
			}
			if low[at] == index[at] {
				cut := len(stack) - 1
				for stack[cut] != at {
					cut--
				}
				set := append([]int32(nil), stack[cut:]...)
				for _, n := range set {
					on[n] = false
				}
				stack = stack[:cut]
				sets = append(sets, set)
			}
		}
	}
	return sets
}

// smallCase is a model with a name.
type smallCase[S comparable] struct {
	name  string
	model smallModel[S]
}

// exploreSmall explores cases of a protocol, and then faults: the protocol without one of its rules.
func exploreSmall[S comparable](t *testing.T, cases, faults []smallCase[S]) {
	t.Helper()
	skipSlow(t)
	began, states := time.Now(), 0
	for _, c := range cases {
		f := c.model.explore()
		states += f.states
		switch {
		case f.wrong != "":
			t.Fatalf("%s: %s (%d states)\n%s", c.name, f.wrong, f.states, f.trace)
		case f.reached == 0 && c.model.reached != nil:
			t.Fatalf("%s: what the case is about never happens (%d states)", c.name, f.states)
		}
		t.Logf("%s: holds (%d states, %v)", c.name, f.states, f.took.Round(time.Millisecond))
	}
	for _, c := range faults {
		f := c.model.explore()
		states += f.states
		if f.wrong == "" || f.wrong == smallTooLarge {
			t.Fatalf("without %s: not caught in %d states", c.name, f.states)
		}
		t.Logf("without %s: %s (%d states)", c.name, f.wrong, f.states)
	}
	t.Logf("%d cases, %d faults, %d states, %v", len(cases), len(faults), states,
		time.Since(began).Round(time.Millisecond))
}
