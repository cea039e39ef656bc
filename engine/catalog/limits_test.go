package catalog

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Sales of a session end at its start, or as many minutes before or after as the line in most detail says.
func TestSalesEnd(t *testing.T) {
	starts := []string{"2024-07-26T18:00:00Z", "2024-07-27T07:00:00Z", "2024-07-27T17:00:00Z", "2024-07-28T07:00:00Z"}
	for lines, want := range map[string][]int{
		"": {0, 0, 0, 0},
		"  - {programme: summer, minutes: -30}\n":                                                    {-30, -30, -30, -30},
		"  - {programme: summer, minutes: -30}\n  - {programme: summer, city: Paris, minutes: 0}\n":  {0, 0, -30, 0},
		"  - {session: S2, minutes: 120}\n  - {discipline: Judo, venue: Hall 1, minutes: -524160}\n": {0, 120, 0, 0},
		"  - {discipline: Judo, minutes: 15}\n  - {venue: Hall 1, minutes: 15}\n":                    {0, 15, 0, 15},
	} {
		files := smallSale(t)
		if lines != "" {
			text := string(files["sale.yaml"].Data)
			files["sale.yaml"].Data = []byte(strings.Replace(text, "exclusions:\n", "sales_end:\n"+lines+"exclusions:\n", 1))
		}
		sale, err := LoadFS(files)
		require.NoError(t, err)
		for i, minutes := range want {
			start, err := time.Parse(time.RFC3339, starts[i])
			require.NoError(t, err)
			require.Equal(t, start.Add(time.Duration(minutes)*time.Minute), sale.Sessions[i].SalesEndAt, "%q %d", lines, i)
		}
	}
}

// Nothing of the bundled sale is sold of a session that has begun.
func TestSalesEndOfParis2024(t *testing.T) {
	for _, s := range Paris2024().Sessions {
		require.Equal(t, s.StartsAt, s.SalesEndAt, s.ID)
	}
}
