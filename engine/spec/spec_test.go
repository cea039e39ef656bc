package spec

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestScenarios plays the scenarios on the model.
func TestScenarios(t *testing.T) {
	sale, err := ScenarioSale()
	require.NoError(t, err)
	all, err := Scenarios()
	require.NoError(t, err)
	for i := range all {
		t.Run(all[i].title, func(t *testing.T) {
			m := New(&Rules{Sale: sale, TTL: ScenarioTTL})
			require.NoError(t, all[i].Play(sale, m))
			require.NoError(t, m.Check())
		})
	}
}
