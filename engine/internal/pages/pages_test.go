package pages

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestWords: each number up to the limit has a word of its own, and reading one takes no memory.
func TestWords(t *testing.T) {
	for _, most := range []int{0, 1, size - 1, size, 3*size - 1} {
		w := New(most)
		require.Zero(t, w.Of(uint32(most)))
		require.Nil(t, w.pages[most/size].Load())
		w.At(uint32(most)).Store(7)
		w.At(0).Or(8)
		if most > 0 {
			require.EqualValues(t, 7, w.Of(uint32(most)))
			require.EqualValues(t, 8, w.Of(0))
			require.Zero(t, w.Of(uint32(most)-1)&7)
		}
	}
}
