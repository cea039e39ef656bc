package client

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestListsAreReadWhenTheyChange checks that an unchanged list is not sent again, and that every field of a filter
// selects.
func TestListsAreReadWhenTheyChange(t *testing.T) {
	f := start(t)
	c, _ := client(t, Options{URL: f.api, Key: sellKey})
	for _, filter := range []Filter{{}, {Phase: "early", Programme: "summer", Discipline: "Athletics", Venue: "Stadium",
		Day: "2024-07-20", Available: 10}} {
		stock, err := c.Stock(t.Context(), filter, nil)
		require.NoError(t, err)
		sessions, err := c.Sessions(t.Context(), filter, nil)
		require.NoError(t, err)
		require.Len(t, sessions.Sessions, len(stock.Available))
		require.Equal(t, Currency{"EUR", 2}, sessions.Currency)
		session, err := c.Session(t.Context(), "ATH01")
		require.NoError(t, err)
		require.Equal(t, sessions.Currency, session.Currency)
		if filter.Phase != "" {
			require.Len(t, stock.Available, 1)
			require.Empty(t, stock.States)
		} else {
			require.Equal(t, "not_on_sale", stock.States["SRF01"])
		}
		for _, s := range sessions.Sessions {
			for _, p := range s.Pools {
				require.Equal(t, p.Available, stock.Available[s.Session][p.Category])
			}
		}
		again, err := c.Stock(t.Context(), filter, stock)
		require.NoError(t, err)
		require.Same(t, stock, again)
		same, err := c.Sessions(t.Context(), filter, sessions)
		require.NoError(t, err)
		require.Same(t, sessions, same)

		_, err = c.Reserve(t.Context(), &Request{Account: "a" + filter.Phase, Lines: []Line{{"ATH01", "B", 1}}})
		require.NoError(t, err)
		require.Eventually(t, func() bool { // the list may lag by a tenth of a second
			now, err := c.Stock(t.Context(), filter, stock)
			return err == nil && now != stock && now.Available["ATH01"]["B"] == stock.Available["ATH01"]["B"]-1
		}, 5*time.Second, 10*time.Millisecond)
	}
	_, err := c.Stock(t.Context(), Filter{Venue: "The Moon"}, nil)
	require.ErrorContains(t, err, "venue")
}
