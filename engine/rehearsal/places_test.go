package rehearsal

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

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
