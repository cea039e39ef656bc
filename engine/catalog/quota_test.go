package catalog

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// Quotas are found by phase and session, removed ones as well, and the look-up takes no memory.
func TestQuotaOf(t *testing.T) {
	s, err := assembled(t, func(s *Sale, _ [][]bool) {
		s.Quotas = []Quota{{Phase: 1, Session: 7, Places: 500}, {Phase: 1, Session: 2, Places: 40, Removed: true}}
	})
	require.NoError(t, err)
	for session, want := range map[int]int{7: 0, 2: 1} {
		i, there := s.QuotaOf(1, session)
		require.True(t, there)
		require.Equal(t, want, i)
	}
	for _, without := range [][2]int{{1, 0}, {0, 7}, {2, 2}} {
		_, there := s.QuotaOf(without[0], without[1])
		require.False(t, there)
	}
	require.True(t, s.HasQuotas(1))
	require.False(t, s.HasQuotas(0))
	require.Equal(t, 500, s.Quotas[0].Units())
	require.Equal(t, 1<<31-1, s.Quotas[1].Units())
	require.Zero(t, testing.AllocsPerRun(100, func() { s.QuotaOf(1, 7) }))
}

// A sale without quotas has none of any phase.
func TestNoQuotas(t *testing.T) {
	s := Paris2024()
	_, there := s.QuotaOf(0, 0)
	require.False(t, there)
	require.False(t, s.HasQuotas(len(s.Phases)-1))
}
