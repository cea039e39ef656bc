package spec

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/seathold/seathold/engine/catalog"
)

// The model numbers the parts of changed definitions as the catalog does. Both are written by themselves.
func TestNumbersOfChangedDefinitions(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := func(n int, label string) int { return rapid.IntRange(0, n-1).Draw(t, label) }
		opens := time.Date(2024, 5, 1, 10, 0, 0, 0, time.UTC)
		d := Definition{
			Programmes: []DefinedProgramme{{ID: "p", AccountCap: 5, SessionLimit: 3}, {ID: "q", AccountCap: 4, SessionLimit: 4}},
			Sessions: []DefinedSession{{ID: "S0", Programme: "p", Places: []int{3, 2}}, {ID: "S1", Programme: "q",
				Places: []int{4}}, {ID: "S2", Programme: "p", Places: []int{5}}},
			Phases: []DefinedPhase{{ID: "f0", Programme: "p", OpensAt: opens, ClosesAt: opens.Add(time.Hour)},
				{ID: "f1", Programme: "q", OpensAt: opens, ClosesAt: opens.Add(time.Hour)}},
		}
		sale, err := d.Load()
		require.NoError(t, err)
		m := New(&Rules{Sale: sale, TTL: ScenarioTTL, MaxHold: ScenarioMaxHold})
		for range 6 {
			d = d.Changed(draw)
			now, err := d.Load()
			require.NoError(t, err)
			next, err := catalog.Continue(m.Sale(), now)
			require.NoError(t, err)
			before := m.Sale()
			answer := m.Do(Operation{Kind: Apply, Sale: now})
			require.True(t, answer.OK(), "nothing is taken")
			require.Equal(t, len(catalog.Difference(before, next)) == 0, answer.Repeated)
			require.Equal(t, next.Programmes, m.Sale().Programmes)
			require.Equal(t, next.Sessions, m.Sale().Sessions)
			require.Equal(t, next.Pools, m.Sale().Pools)
			require.Equal(t, next.Phases, m.Sale().Phases)
			require.Equal(t, next.Groups, m.Sale().Groups)
			require.Equal(t, next.Quotas, m.Sale().Quotas)
			require.True(t, m.Do(Operation{Kind: Apply, Sale: now}).Repeated, "a definition in force changes nothing")
		}
	})
}
