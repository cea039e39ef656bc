package catalog

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// TestApportion checks the properties that make largest remainder a fair split: the parts add up, each part is its
// quota rounded down or up, larger remainders are rounded up first, and a larger weight never gets a smaller part.
func TestApportion(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		total := rapid.IntRange(0, maxPlaces).Draw(t, "total")
		weights := rapid.SliceOfN(rapid.IntRange(0, maxPlaces), 1, 12).Draw(t, "weights")
		sum := 0
		for _, w := range weights {
			sum += w
		}
		parts := apportion(total, weights)
		given := 0
		for i, part := range parts {
			given += part
			if sum == 0 {
				continue
			}
			roundedUp := part - total*weights[i]/sum
			require.True(t, roundedUp == 0 || (roundedUp == 1 && total*weights[i]%sum > 0), "part %d of %v", i, parts)
			for j := range parts {
				if roundedUp == 1 && total*weights[j]%sum > total*weights[i]%sum {
					require.Equal(t, total*weights[j]/sum+1, parts[j], "a larger remainder")
				}
				if weights[i] > weights[j] {
					require.GreaterOrEqual(t, part, parts[j])
				}
			}
		}
		if sum == 0 {
			require.Zero(t, given)
		} else {
			require.Equal(t, total, given)
		}
	})
}

func TestStockRule(t *testing.T) {
	rule := stockRule{
		withheldPercent: 20,
		weights:         map[string]int{"A": 1, "B": 1, "C": 1},
		perThousand:     map[string]int{"PFR-A": 4, "PFR-B": 999},
	}
	for _, c := range []struct {
		capacity   int
		categories []string
		places     []int
		withheld   []int
		why        string
	}{
		{10, []string{"A", "B", "C"}, []int{4, 3, 3}, []int{1, 1, 0}, ""}, // remainders: 8, 6 and 6 tenths
		{1000, []string{"PFR-A", "A"}, []int{4, 996}, []int{1, 199}, ""},
		{2, []string{"PFR-A", "A"}, []int{1, 1}, []int{0, 0}, ""}, // a fixed share is at least one place
		{2, []string{"A", "B", "C"}, nil, nil, "needs at least one place in each of A, B, C; the venue has 2"},
		{1000, []string{"PFR-A", "PFR-B", "A"}, nil, nil,
			"needs at least one place in each of PFR-A, PFR-B, A; the venue has 1000"},
		{1000, []string{"PFR-A"}, nil, nil,
			"needs a category with a weight, because fixed shares alone do not fill a venue"},
	} {
		places, why := rule.split(c.capacity, c.categories)
		require.Equal(t, c.why, why)
		require.Equal(t, c.places, places)
		if why == "" {
			require.Equal(t, c.withheld, rule.withhold(places))
		}
	}
}
