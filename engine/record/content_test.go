package record

import (
	"encoding/hex"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine/catalog"
)

// The content covers all that a sale says, and neither what is removed nor the stock of sessions off sale. It is the
// same on every machine.
func TestContent(t *testing.T) {
	content := func(change func(s *catalog.Sale)) uint64 {
		s := goldenSale(t)
		for i := range s.Sessions {
			s.Sessions[i].OnSale = true
		}
		change(s)
		return ContentOf(s)
	}
	is := content(func(*catalog.Sale) {})
	require.Equal(t, uint64(0x51ed7a76bd4c2c4f), is)
	seen := map[uint64]bool{is: true}
	for i, change := range []func(s *catalog.Sale){
		func(s *catalog.Sale) { s.Title = "Games" },
		func(s *catalog.Sale) { s.Currency.Code = "CHF" },
		func(s *catalog.Sale) { s.Programmes[0].AccountCap-- },
		func(s *catalog.Sale) { s.Programmes[0].WithholdReturned = true },
		func(s *catalog.Sale) { s.Programmes[1].Title = "Winter" },
		func(s *catalog.Sale) { s.Sessions[1].Limit++ },
		func(s *catalog.Sale) { s.Sessions[0].Programme = 1 - s.Sessions[0].Programme },
		func(s *catalog.Sale) { s.Sessions[1].SalesEndAt = time.UnixMilli(0) },
		func(s *catalog.Sale) { s.Sessions[1].Venue = "Stade" },
		func(s *catalog.Sale) { s.Sessions[1].OnSale = false },
		func(s *catalog.Sale) { s.Sessions[2].Removed = true },
		func(s *catalog.Sale) { s.Pools[0].Capacity-- },
		func(s *catalog.Sale) { s.Pools[0].Withheld++ },
		func(s *catalog.Sale) { s.Pools[0].Category = "F" },
		func(s *catalog.Sale) { s.Pools[0].PriceCents = 2400 },
		func(s *catalog.Sale) { s.Pools[0].Removed = true },
		func(s *catalog.Sale) { s.Phases[0].ClosesAt = s.Phases[0].ClosesAt.Add(time.Minute) },
		func(s *catalog.Sale) { s.Phases[0].Title = "Packs" },
		func(s *catalog.Sale) { s.Phases[0].Removed = true },
		func(s *catalog.Sale) { s.Phases[1].PackEqual = true },
		func(s *catalog.Sale) { s.Phases[1].Slots.Step = time.Minute },
		func(s *catalog.Sale) { s.Phases[1].Slots.Group = -1 },
		func(s *catalog.Sale) { s.Draws[0].Beacon.Round++ },
		func(s *catalog.Sale) { s.Draws[0].Beacon.Chain = "quick" },
		func(s *catalog.Sale) { s.Draws[0].PublishWithin += time.Minute },
		func(s *catalog.Sale) { s.Groups[0].Title = "Club" },
		func(s *catalog.Sale) { s.Quotas = []catalog.Quota{{Phase: 1, Session: 2, Places: 7}} },
		func(s *catalog.Sale) { s.Quotas = []catalog.Quota{{Phase: 1, Session: 2, Places: 8}} },
	} {
		now := content(change)
		require.False(t, seen[now], "change %d", i)
		seen[now] = true
	}
	off := func(s *catalog.Sale) { s.Sessions[s.Pools[0].Session].OnSale = false }
	require.Equal(t, content(off), content(func(s *catalog.Sale) { off(s); s.Pools[0].Capacity-- }))
	require.Equal(t, is, content(func(s *catalog.Sale) { s.Pools[0].Derived = true }))
}

// The content of a sale is the same in all numbers, and a pool's stock changes it by its own part.
func TestContentInOtherNumbers(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	continued := 0
	for range 300 {
		was, s := randomSale(t, rng), randomSale(t, rng)
		for i := range s.Sessions {
			x := &s.Sessions[i]
			x.OnSale = x.OnSale && len(x.Pools) > 0 // as files have it
		}
		content := ContentOf(s)
		if now, err := catalog.Continue(was, s); err == nil {
			require.Equal(t, content, ContentOf(now))
			continued++
		}
		for i := range s.Pools {
			p := &s.Pools[i]
			content -= ContentOfStock(s, i, p.Capacity, p.Withheld)
			p.Capacity, p.Withheld = rng.IntN(9), 0
			content += ContentOfStock(s, i, p.Capacity, 0)
		}
		require.Equal(t, ContentOf(s), content)
	}
	require.Greater(t, continued, 100)
}

// What was in force before keeps its bytes: older journals must stay readable.
func TestEarlierBytes(t *testing.T) {
	e := Earlier{Versions: []Content{{1, 0x0102030405060708}}, Stock: []Content{{1, 9}, {300, 1 << 63}}}
	run := e.AppendRow(nil, Stamp{AtMs: 7, Seq: 9})
	require.Equal(t, "21"+"7a"+"07"+"09"+"01"+"01"+"0102030405060708"+"02"+"01"+"0000000000000009"+"ac02"+
		"8000000000000000", hex.EncodeToString(run))
	var r Record
	require.NoError(t, r.Decode(run[1:]))
	require.Equal(t, e, r.Earlier)
	require.Equal(t, run, encode(&r))
	requireFaults(t, "earlier", run[1:])
	run[1] &^= checkpointBit
	require.ErrorIs(t, r.Decode(slices.Delete(run[1:], 2, 3)), ErrInvalid, "only checkpoints have it")
}

// The latest contents are kept, each once. The largest record has both lists full.
func TestEarlierIsBounded(t *testing.T) {
	var e Earlier
	for i := range MaxEarlier + 2 {
		e.Versions = Push(e.Versions, Content{maxUnits, uint64(i)})
		e.Stock = Push(e.Stock, Content{1 + i%3, uint64(i % 5)})
	}
	require.Len(t, e.Versions, MaxEarlier)
	require.Len(t, e.Stock, 5)
	require.Zero(t, e.VersionOf(MaxEarlier+2))
	require.Equal(t, maxUnits, e.VersionOf(2), "the later version of both")
	require.Zero(t, (&Earlier{Versions: e.Versions}).VersionOf(1))
	e.Stock = e.Versions
	run := e.AppendRow(nil, Stamp{AtMs: 7, Seq: 9})
	require.Equal(t, e, decoded(t, run).Earlier)
	require.Less(t, len(run), 128<<10)
}
