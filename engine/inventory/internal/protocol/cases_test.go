package protocol

import (
	"maps"
	"slices"
	"testing"
	"time"
)

// exploreCases explores each case with all rules. A case in which no row comes back shows nothing.
func exploreCases[C any](t *testing.T, cases map[string]C, explore func(c C, rule string) (f found, freed int)) {
	skipSlow(t)
	states, began := 0, time.Now()
	for _, name := range slices.Sorted(maps.Keys(cases)) {
		t.Run(name, func(t *testing.T) {
			began := time.Now()
			f, freed := explore(cases[name], "")
			t.Logf("%d states, %d steps that free a row, %v", f.states, freed, time.Since(began).Round(time.Millisecond))
			f.holds(t)
			if freed == 0 {
				t.Fatal("no row comes back: the case shows nothing")
			}
			states += f.states
		})
	}
	t.Logf("%d cases, %d states, %v", len(cases), states, time.Since(began).Round(time.Millisecond))
}

// exploreRules explores a case without each rule. The rules have the case in which they matter.
func exploreRules[C any](t *testing.T, cases map[string]C, explore func(c C, rule string) (f found, freed int),
	rules map[string]string) {
	states, began := 0, time.Now()
	for _, rule := range slices.Sorted(maps.Keys(rules)) {
		t.Run(rule, func(t *testing.T) {
			c, ok := cases[rules[rule]]
			if !ok {
				t.Fatalf("there is no case %q", rules[rule])
			}
			f, _ := explore(c, rule)
			f.caught(t)
			t.Logf("%s: %s (%d states)", rules[rule], f.broken, f.states)
			states += f.states
		})
	}
	t.Logf("%d faults, %d states, %v", len(rules), states, time.Since(began).Round(time.Millisecond))
}
