package inventory

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// recycling is a sale in which few rows are used again and again while callers race for few ids.
type recycling struct {
	t       *testing.T
	v       *Inventory
	now     atomic.Int64
	durable atomic.Uint64
	over    atomic.Bool
	known   map[ID]*told // by the journal, of the drainer alone
	done    [6]atomic.Uint64
}

// told is what the journal says of a reservation.
type told struct {
	state   State
	account string
	lines   []Line
	seq     uint64
}

const (
	recycledIDs      = 240
	recycledAccounts = 24
	recycledPools    = 3
	recycledUnits    = 150
	recycledCap      = 20
)

// accountOf returns the only account that uses the id. Some names are texts. The later half of the ids have accounts of
// their own, which are closed and made again and again.
func accountOf(n uint64) string {
	if n < recycledIDs/2 {
		n %= recycledAccounts
	}
	return fmt.Sprintf("%0*d", 1+n%recycledAccounts*3%64, n+100000)
}

// play makes random calls until enough rows were freed.
func (g *recycling) play(random *rand.Rand, enough func() bool) {
	var s Snapshot
	for !enough() {
		n := random.Uint64N(recycledIDs)
		now := g.now.Load()
		if random.IntN(8) == 0 {
			now = g.now.Add(1)
		}
		call := g.v.Begin(random.Uint32())
		if row := g.v.Find(idOf(n)); row != 0 && g.v.Read(row, &s) && (s.ID != idOf(n) || s.Account != accountOf(n)) {
			g.t.Errorf("reservation %x of %q is found as %x of %q", idOf(n), accountOf(n), s.ID, s.Account)
		}
		g.one(random, n, now)
		call.End()
		if random.IntN(16) == 0 {
			runtime.Gosched() // so that the others run as often
		}
	}
}

func (g *recycling) one(random *rand.Rand, n uint64, now int64) {
	v, w := g.v, &Wait{}
	wanted := lines(uint32(n%recycledPools), 1+random.Uint32N(3))
	if random.IntN(2) == 0 {
		wanted = append(wanted, lines(uint32(n+1)%recycledPools, 1+random.Uint32N(2))...)
	}
	q := Request{ID: idOf(n), Account: accountOf(n), Lines: wanted, Created: now, Wait: w,
		Expires: now + 1 + random.Int64N(60)}
	row := v.Find(q.ID)
	if row == 0 {
		g.count(0, v.Reserve(&q))
		return
	}
	found, verdict := v.Decide(row, now, w)
	if verdict != Done {
		return
	}
	reference := fmt.Sprintf("%0*d", 1+random.IntN(MaxReference), n)
	switch kind := random.IntN(6); {
	case found.State == Held && kind == 0:
		g.count(1, v.Confirm(found.Row, now, reference, w))
	case found.State == Held && kind < 3:
		g.count(1, v.Release(found.Row, now, w))
	case found.State == Held && kind == 3:
		g.count(2, v.Extend(found, now, now+random.Int64N(80)))
	case found.State == Held && kind == 4:
		other := n + recycledAccounts*(1+random.Uint64N(3))
		if other < recycledIDs/2 {
			q.ID, q.Flags = idOf(other), FlagReplaces
			g.count(3, v.Replace(&q, found))
		}
	case (found.State == Held || found.State == Confirmed) && kind == 5:
		v.ReadAs(found, &Snapshot{})
		keep := []Line{v.lineAt(v.reservations.At(found.Row), 0)}
		keep[0].Quantity = 1
		g.count(2, v.Reduce(found, now, keep))
	case found.State == Confirmed:
		if kind == 0 {
			reference = ""
		}
		g.count(4, v.Return(found, now, reference, false))
	case found.State == Expired && kind < 2:
		g.count(5, v.ConfirmAgain(&q, found, now, reference))
	}
}

func (g *recycling) count(call int, res Result) {
	if res.Verdict == Done {
		g.done[call].Add(1)
	}
}

// drain applies the outcomes in their order to what is known, and checks each against it.
func (g *recycling) drain() {
	var s, was Snapshot
	for {
		over := g.over.Load()
		last := g.v.Drain(func(o Outcome) {
			require.True(g.t, g.v.ReadLogged(o.Index, &s))
			before := g.known[s.ID]
			if o.Kind == Took && g.v.ReadPrevious(o.Index, &was) {
				old := g.known[was.ID]
				if old == nil || old.state != was.State || old.account != was.Account || !equalLines(old.lines, was.Lines) {
					g.t.Errorf("record %d changes %v, and known is %v", s.Seq, was, old)
				}
				if was.ID != s.ID {
					require.Equal(g.t, was.ID, s.Replaces)
					old.state, old.seq = Released, s.Seq
				}
			}
			switch {
			case o.Kind == Ended:
				if before == nil || before.state != Held || before.account != s.Account || !equalLines(before.lines, s.Lines) {
					g.t.Errorf("record %d ends %v, and known is %v", s.Seq, s, before)
				}
			case s.Origin == OriginReserve || s.Origin == OriginReplace:
				if before != nil && (before.state == Held || before.state == Confirmed) {
					g.t.Errorf("record %d takes %v, and known is %v", s.Seq, s, before)
				}
			}
			g.known[s.ID] = &told{s.State, string(append([]byte(nil), s.Account...)), append([]Line(nil), s.Lines...), s.Seq}
		})
		g.durable.Store(last)
		if over {
			return
		}
		runtime.Gosched()
	}
}

func equalLines(a, b []Line) bool { return fmt.Sprint(a) == fmt.Sprint(b) }

// TestRecyclingUnderLoad (I1 to I3, I6, I9, I10): callers race for few ids and accounts, with every call there is,
// while the rows of what has ended are used again at once. The journal's order is legal, no call answers with another's
// reservation, a census finds no fault, and at the end memory is what the journal says.
func TestRecyclingUnderLoad(t *testing.T) {
	const callers, freed = 4, 40_000
	c := Config{Journalled: true, MaxReservations: 1 << 14, MaxAccounts: 1 << 10, MaxNotes: 1, Caps: []int{recycledCap},
		Pause: yieldingPause(1 << 16)}
	for i := range recycledPools {
		c.Sessions = append(c.Sessions, SessionConfig{Limit: 12})
		c.Pools = append(c.Pools, PoolConfig{Session: uint32(i), Units: recycledUnits})
	}
	v, err := New(c)
	require.NoError(t, err)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	g := &recycling{t: t, v: v, known: map[ID]*told{}}
	rec, sweep, census := v.NewReclaimer(), v.NewSweep(), NewCounter(v)
	var background sync.WaitGroup
	background.Go(g.drain)
	until := func(step func()) {
		background.Go(func() {
			for !g.over.Load() {
				step()
				runtime.Gosched()
			}
		})
	}
	until(func() {
		for rec.Step(Terms{Before: g.now.Load() - 20, Durable: g.durable.Load(), All: true}) && !g.over.Load() {
		}
	})
	until(func() { sweep.Expire(g.now.Load(), 100) })
	counts := 0
	until(func() {
		rest := func() bool { runtime.Gosched(); return !g.over.Load() }
		if counts++; counts%16 != 0 {
			return
		}
		if _, difference, ok := census.Pools(rest); ok && difference != 0 {
			t.Errorf("I1: the census finds a difference of %d units", difference)
		}
		if excess, ok := census.Ledgers(rest, nil); ok && excess != 0 {
			t.Errorf("I2: the census finds an excess of %d tickets", excess)
		}
	})
	each(callers, func(i int) {
		g.play(rand.New(rand.NewPCG(seed, uint64(i))), func() bool { return rec.Freed() >= freed })
	})
	g.over.Store(true)
	background.Wait()
	g.drain()
	t.Logf("reserved %d, ended %d, changed %d, replaced %d, returned %d, taken again %d; %d rows freed, %d rows and %d "+
		"accounts made, %d accounts freed; %d counts", g.done[0].Load(), g.done[1].Load(), g.done[2].Load(),
		g.done[3].Load(), g.done[4].Load(), g.done[5].Load(), rec.Freed(), v.reservations.End()-1, v.accounts.End()-1,
		rec.Reclaimed().FreedAccounts, counts/16)
	require.Positive(t, rec.Reclaimed().FreedAccounts)
	for i := range g.done {
		require.Positive(t, g.done[i].Load())
	}
	taken := make([]int, recycledPools)
	var s Snapshot
	for id, k := range g.known {
		row := v.Find(id)
		if k.state == Held || k.state == Confirmed {
			require.True(t, v.Read(row, &s))
			require.Equal(t, *k, told{s.State, s.Account, s.Lines, s.Seq})
			for _, l := range k.lines {
				taken[l.Pool] += int(l.Quantity)
			}
		} else if row != 0 {
			require.True(t, v.Read(row, &s))
			require.Equal(t, k.state, s.State)
		}
	}
	for i, n := range taken {
		require.Equal(t, recycledUnits-n, v.Stock(i).Available)
	}
	// Everything ends, and every row and text comes back.
	sweep.Expire(1<<40, 1<<20)
	for id, k := range g.known {
		if k.state == Confirmed {
			require.Equal(t, Done, v.Return(Decided{v.Find(id), Confirmed}, 1<<40, "", false).Verdict)
		}
	}
	g.drain()
	for range 5 {
		rec.pass(Terms{Before: 1 << 41, Durable: g.durable.Load()})
	}
	require.Zero(t, v.reservations.InUse())
	require.Zero(t, v.overflows.InUse())
	require.Zero(t, v.accounts.InUse())
	require.Zero(t, v.texts.InUse())
}
