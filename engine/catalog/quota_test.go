package catalog

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"

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

// Of the lines that match a session the one in most detail gives its places. Sessions of the programme that are not on
// sale have places as well.
func TestPlacesOfAPhase(t *testing.T) {
	files := smallSale(t)
	edit(t, files, saleFile, "    access: open\n    only:\n      - {city: Paris}\n",
		"    access: group\n    group: club\n    only:\n      - {city: Paris, places: 2147483647}\n"+
			"      - {session: S2, places: 1}\n      - {city: Paris, discipline: Gala}\n")
	sale, err := LoadFS(files)
	require.NoError(t, err)
	checkSale(t, sale)
	late := &sale.Phases[1]
	require.Equal(t, Members, late.Access)
	require.Equal(t, "club", sale.Groups[late.Group].ID)
	require.Equal(t, []Quota{{Phase: 1, Session: 1, Places: 1}, {Phase: 1, Session: 3, Places: 1<<31 - 1}}, sale.Quotas)
	require.False(t, late.Sells(3), "it is excluded")
	i, there := sale.QuotaOf(1, 3)
	require.True(t, there && i == 1)
	_, there = sale.QuotaOf(1, 0)
	require.False(t, there, "the line in more detail has no places")
	require.False(t, sale.HasQuotas(0))
}

// All phases of a definition together have places for as many sessions as a sale may have quotas, and a chain of
// versions has as many with those that were removed.
func TestTooManyPlaces(t *testing.T) {
	files := func(phases ...int) fstest.MapFS {
		files := smallSale(t)
		table, prices := strings.Builder{}, strings.Builder{}
		table.WriteString("session,programme,discipline,venue,city,date,start_local,end_local,medal_session,events\n")
		prices.WriteString("session,category,price_eur\n")
		for i := range maxQuotas / 2 {
			fmt.Fprintf(&table, "x%d,summer,D%d,Lagoon,Papeete,2024-07-27,07:00,16:30,0,\n", i, min(i, 1))
		}
		prices.WriteString("x0,A,1\nx1,A,1\n")
		text := string(files[saleFile].Data)
		text = text[:strings.Index(text, "session_limits:")] + "stock:\n  withheld_percent: 0\n  weights: {A: 1}\nphases:\n"
		for _, p := range phases {
			only := "{city: Papeete, places: 5}"
			if p == 0 {
				only = "{session: x0, places: 5}"
			}
			text += fmt.Sprintf("  p%d: {title: P, programme: summer, kind: single, opens_at: 2024-01-01 00:00, "+
				"closes_at: 2024-02-01 00:00, access: open, only: [%s]}\n", p, only)
		}
		return fstest.MapFS{saleFile: {Data: []byte(text)}, sessionsFile: {Data: []byte(table.String())},
			pricesFile: {Data: []byte(prices.String())},
			venuesFile: {Data: []byte("venue,gross_capacity\nLagoon,100\n")}}
	}
	was, err := LoadFS(files(1, 2))
	require.NoError(t, err)
	require.Len(t, was.Quotas, maxQuotas)
	_, err = LoadFS(files(1, 2, 3, 0))
	require.ErrorContains(t, err, "phases.p3.only: has places for too many sessions; all phases together may have them "+
		"for 60000")
	require.NotContains(t, err.Error(), "p0")
	now, err := LoadFS(files(0))
	require.NoError(t, err)
	_, err = Continue(was, now)
	require.EqualError(t, err, "the sale would have 60001 pairs of a phase and a session with places with those that "+
		"were removed, which count because they keep their numbers; at most 60000 are allowed")
}
