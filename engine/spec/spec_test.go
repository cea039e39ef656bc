package spec

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine/catalog"
)

// TestDefinitionReturnedTickets checks that a test's sale withholds the returned tickets of the programmes that say so.
func TestDefinitionReturnedTickets(t *testing.T) {
	d := Definition{
		Programmes: []DefinedProgramme{{ID: "p", AccountCap: 3, SessionLimit: 2},
			{ID: "q", AccountCap: 3, SessionLimit: 2, WithholdReturned: true}},
		Sessions: []DefinedSession{{ID: "S", Programme: "p", Places: []int{1}}},
		Phases: []DefinedPhase{{ID: "all", Programme: "p", OpensAt: time.Unix(1_700_000_040, 0).UTC(),
			ClosesAt: time.Unix(1_800_000_000, 0).UTC()}},
	}
	sale, err := d.Load()
	require.NoError(t, err)
	require.Equal(t, []catalog.Programme{{ID: "p", Title: "p", AccountCap: 3},
		{ID: "q", Title: "q", AccountCap: 3, WithholdReturned: true}}, sale.Programmes)
}

// TestScenarios plays the scenarios on the model.
func TestScenarios(t *testing.T) {
	sale, err := ScenarioSale()
	require.NoError(t, err)
	all, err := Scenarios()
	require.NoError(t, err)
	for i := range all {
		t.Run(all[i].title, func(t *testing.T) {
			m := New(&Rules{Sale: sale, TTL: ScenarioTTL, MaxHold: ScenarioMaxHold})
			require.NoError(t, all[i].Play(sale, m))
			require.NoError(t, m.Check())
		})
	}
}
