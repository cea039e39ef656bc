package order

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestNote: a row keeps its note, up to the largest values.
func TestNote(t *testing.T) {
	for _, n := range []Note{{}, {Subject: 1<<32 - 1, What: 1<<16 - 1, AtMs: 1<<48 - 1}, {Subject: 7, What: 1, AtMs: 2}} {
		row := n.Row()
		require.Equal(t, n, row.Note())
	}
}
