package rehearsal

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine"
)

// A phase sells its places of a session, then refuses more of it, and the next phase sells the rest.
func TestPlacesOfAPhase(t *testing.T) {
	sale := fullSale(t, [2]string{"session: JUD02, places", "session: JUD01, places"})
	r := run(t, journalled(t, t.TempDir(), Options{Sale: sale, Scale: 0.1, Seed: 1, Workers: 2}))
	requireSold(t, r)
	p := r.phase(t, "presale")
	require.NotZero(t, p.Tickets)
	require.NotZero(t, p.Refused[engine.SoldOut])
	require.NotZero(t, p.SoldOutSessions)
	require.NotZero(t, r.phase(t, "general").Tickets)
}

// No later phase sells what the last one has no places for: it stays, and the rehearsal is clean.
func TestPlacesOfTheLastPhase(t *testing.T) {
	sale := fullSale(t, [2]string{"    access: open\n  youth:",
		"    access: open\n    only:\n      - {session: TEN01, places: 200}\n      - {programme: summer}\n  youth:"})
	r := run(t, journalled(t, t.TempDir(), Options{Sale: sale, Scale: 0.1, Seed: 1, Workers: 2}))
	require.Empty(t, r.Audit.Problems)
	require.True(t, r.Clean())
	require.NotZero(t, r.Places.Left)
	require.NotZero(t, r.phase(t, "general").Refused[engine.SoldOut])
}

// Buyers see no more tickets of a session than the phase has places left.
func TestListingOfPlaces(t *testing.T) {
	sale := fullSale(t)
	phase, _ := sale.PhaseByID("presale")
	session, _ := sale.SessionByID("JUD02")
	other, _ := sale.SessionByID("JUD01")
	p := newPlaces(sale)
	require.Equal(t, 100, p.left(phase, session))
	require.Equal(t, math.MaxInt32, p.left(phase, other))
	require.Equal(t, math.MaxInt32, p.left(phase+1, session), "the next phase")

	pool := uint32(sale.Sessions[session].Pools[0])
	p.count(phase, []choice{{pool: pool, quantity: 60}, {pool: uint32(sale.Sessions[other].Pools[0]), quantity: 60}})
	p.count(phase+1, []choice{{pool: pool, quantity: 60}})
	require.Equal(t, 40, p.left(phase, session))
	p.count(phase, []choice{{pool: pool, quantity: 40}})

	d, l := newDemand(sale, phase, p), listing{}
	stock := make([]int32, len(sale.Pools))
	stock[pool] = 500
	l.fill(&d, stock, time.Time{}, false)
	require.Zero(t, l.left)
	d.places = newPlaces(sale)
	l.fill(&d, stock, time.Time{}, false)
	require.Equal(t, 100, l.left)
}

func TestPlacesAuditFindsDamage(t *testing.T) { // I1
	sale := fullSale(t)
	phase, _ := sale.PhaseByID("presale")
	session, _ := sale.SessionByID("JUD02")
	p := newPlaces(sale)
	p.count(phase, []choice{{pool: uint32(sale.Sessions[session].Pools[0]), quantity: 100}})
	for sold, problems := range map[int64][]string{
		100: nil,
		99:  {"I4: phase presale, session JUD02: the accounts have 99 tickets, the buyers counted 100"},
		101: {"I1: phase presale has sold 101 tickets of session JUD02, it has 100 places",
			"I4: phase presale, session JUD02: the accounts have 101 tickets, the buyers counted 100"},
	} {
		var a findings
		auditPlaces(&a, p, []int64{sold})
		require.Equal(t, problems, a.Problems)
	}
}
