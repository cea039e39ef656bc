package life

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestStates: what a state means agrees with what the others say. What takes units counts or is withheld, what is
// undecided counts, and what is dead does not.
func TestStates(t *testing.T) {
	for s := Free; s <= Forgotten; s++ {
		for _, flags := range []uint8{0, FlagWithheld} {
			taken, gone, withheld := s.Takes(flags)
			require.Equal(t, taken, s.Counts() && !s.Undecided() || withheld, "%d", s)
			require.True(t, taken || !gone, "%d", s)
			for origin := OriginReserve; origin <= OriginReturn; origin++ {
				look := s.Look(origin, flags)
				require.Equal(t, taken, look&LookTaken != 0, "%d", s)
				require.Equal(t, gone, look&LookGone != 0, "%d", s)
				require.False(t, taken && look&LookWasTaken == 0 || gone && look&LookWasGone == 0, "%d", s)
				require.False(t, taken && look&LookOver != 0, "%d", s)
			}
		}
		require.False(t, s.Dead() && s.Counts(), "%d", s)
		require.False(t, s.Undecided() && !s.Counts(), "%d", s)
	}
	for origin := OriginReserve; origin <= OriginReturn; origin++ {
		require.NotEqual(t, "undecided", origin.From().String())
		require.NotEqual(t, "undecided", origin.To().String())
	}
}
