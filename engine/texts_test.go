package engine_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine"
)

// The texts of an answer stay as they are whatever is read later, also by a copy of it.
func TestTextsStay(t *testing.T) {
	s := newSeller(stressSale(t, 1, 1000), nil)
	s.clock.set(saleStart)
	require.NoError(t, s.start())
	const accounts = 200
	name := func(n int) string { return fmt.Sprintf("account-%03d", n) }
	var r engine.Reservation
	for n := range accounts {
		q := engine.Request{ID: engine.ID{14: 1, 15: byte(n)}, Account: name(n), Lines: lines("S0/A", 1)}
		require.NoError(t, s.e.Reserve(t.Context(), &q, &r))
	}
	r = engine.Reservation{}
	var copied engine.Reservation
	var kept [2][]string
	for n := range accounts {
		if n == 5 {
			copied = r
		}
		require.NoError(t, s.e.Reservation(t.Context(), engine.ID{14: 1, 15: byte(n)}, &r))
		kept[0] = append(kept[0], r.Account)
		if n >= 5 {
			require.NoError(t, s.e.Reservation(t.Context(), engine.ID{14: 1, 15: byte(accounts - 1 - n)}, &copied))
			kept[1] = append(kept[1], copied.Account)
		}
	}
	for n, text := range kept[0] {
		require.Equal(t, name(n), text)
	}
	for i, text := range kept[1] {
		require.Equal(t, name(accounts-1-5-i), text)
	}
	require.NoError(t, s.e.Close())
}
