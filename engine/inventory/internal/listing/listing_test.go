package listing

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestExtend: what is new gets its numbers, a session can change its programme, and what does not fit changes nothing.
func TestExtend(t *testing.T) {
	var l Listing
	l.Init(3, 2)
	require.NoError(t, l.Extend([]uint32{0}, []uint8{0}))
	version := l.Version()
	require.NoError(t, l.Extend([]uint32{0, 1, 0}, []uint8{3, 1}))
	require.NotEqual(t, version, l.Version())
	require.Equal(t, []int{3, 2}, []int{l.Pools(), l.Sessions()})
	require.EqualValues(t, 1, l.SessionOf(1))
	require.EqualValues(t, 3, l.ProgrammeOf(0))
	version = l.Version()
	require.ErrorContains(t, l.Extend(make([]uint32, 4), make([]uint8, 1)), "there is room for 3 and 2")
	require.ErrorContains(t, l.Extend([]uint32{1}, make([]uint8, 1)), "session 1 of 1")
	require.ErrorContains(t, l.Extend(nil, []uint8{MaxProgrammes}), "programme 16")
	require.Equal(t, version, l.Version())
	require.NoError(t, l.Extend([]uint32{0}, []uint8{0}))
	require.Equal(t, 1, l.Pools(), "an extension that was not used")
}
