package listing

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestExtend: what is new gets its numbers, a session can change its programme, and what does not fit changes nothing.
func TestExtend(t *testing.T) {
	var l Listing
	l.Init(3, 2, 2)
	require.NoError(t, l.Extend([]uint32{0}, []uint8{0}, nil))
	version := l.Version()
	require.NoError(t, l.Extend([]uint32{0, 1, 0}, []uint8{3, 1}, nil))
	require.NotEqual(t, version, l.Version())
	require.Equal(t, []int{3, 2}, []int{l.Pools(), l.Sessions()})
	require.EqualValues(t, 1, l.SessionOf(1))
	require.EqualValues(t, 3, l.ProgrammeOf(0))
	version = l.Version()
	require.ErrorContains(t, l.Extend(make([]uint32, 4), make([]uint8, 1), nil), "there is room for 3, 2 and 2")
	require.ErrorContains(t, l.Extend([]uint32{1}, make([]uint8, 1), nil), "session 1 of 1")
	require.ErrorContains(t, l.Extend(nil, []uint8{MaxProgrammes}, nil), "programme 16")
	require.Equal(t, version, l.Version())
	require.NoError(t, l.Extend([]uint32{0}, []uint8{0}, nil))
	require.Equal(t, 1, l.Pools(), "an extension that was not used")
}

// TestQuotas: a quota is found by its phase and session. An extension that was not used leaves nothing.
func TestQuotas(t *testing.T) {
	var l Listing
	l.Init(1, 3, 2)
	sold := make([]uint8, 3)
	require.NoError(t, l.Extend(nil, sold, nil))
	require.Nil(t, l.Quotas())
	require.False(t, l.Quotas().Has(0))
	require.Zero(t, l.Quotas().Len())
	require.NoError(t, l.Extend(nil, sold, []Quota{{Phase: 2, Session: 1}, {Phase: 2, Session: 0}}))
	require.Equal(t, 2, l.Quotas().Len())
	for phase := range uint16(4) {
		require.Equal(t, phase == 2, l.Quotas().Has(phase))
		for session := range uint32(4) {
			number, found := l.Quotas().Of(phase, session)
			require.Equal(t, phase == 2 && session < 2, found)
			if found {
				require.Equal(t, 1-session, number)
			}
		}
	}
	before := l.Quotas()
	require.ErrorContains(t, l.Extend(nil, sold, make([]Quota, 3)), "3 quotas: there is room for 1, 3 and 2")
	require.ErrorContains(t, l.Extend(nil, sold, []Quota{{Session: 3}}), "session 3 of 3")
	require.ErrorContains(t, l.Extend(nil, sold, make([]Quota, 2)), "quota 1: another one is of phase 0 and session 0")
	require.Same(t, before, l.Quotas())
	require.NoError(t, l.Extend(nil, sold, nil))
	require.False(t, l.Quotas().Has(2))
}
