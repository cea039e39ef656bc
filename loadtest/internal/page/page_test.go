package page

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestInsertNeedsMarkers(t *testing.T) {
	begin, end := Markers("load")
	for _, page := range []string{"", begin, end + begin, begin + begin + end} {
		_, err := Insert([]byte(page), "load", "table")
		require.Error(t, err, page)
	}
}
