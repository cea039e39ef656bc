package redis

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestBoundariesThinOut looks up the boundaries of old records long after they were appended.
func TestBoundariesThinOut(t *testing.T) {
	var b boundaries
	const many = 10 * maxBoundaries
	for i := range uint64(many) {
		b.add(boundary{i * 3, position{id: id{1, i}}})
	}
	require.LessOrEqual(t, len(b.list), maxBoundaries)
	for record := range uint64(many * 3) {
		at, ok := b.atOrBefore(record)
		require.True(t, ok)
		require.LessOrEqual(t, at.record, record)
	}
	newest, _ := b.atOrBefore(many * 3)
	require.EqualValues(t, many-1, newest.at.id.number)
	for back := range uint64(maxBoundaries / 8) {
		at, _ := b.atOrBefore((many - 1 - back) * 3)
		require.EqualValues(t, many-1-back, at.at.id.number, "the newest boundaries must all be kept")
	}
	b.dropBefore(newest)
	require.Len(t, b.list, 1)
	_, ok := b.atOrBefore(0)
	require.False(t, ok)
}
