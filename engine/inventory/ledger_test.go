package inventory

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// shortest makes nearly every ledger long.
var shortest = longLedgers{look: 1, skip: 1, most: 1, gain: 1}

// TestSummaries (I2): whatever the length from which ledgers have summaries, every reservation is granted or refused as
// by exact sums, with their facts.
func TestSummaries(t *testing.T) {
	seed := rand.Uint64()
	t.Log("seed", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for round := range 200 {
		long := longLedgers{look: 1 + random.IntN(3), most: 1 + random.IntN(8), gain: 1 + random.IntN(4)}
		long.skip = long.look + random.IntN(3)
		sales := ledgerSales{T: t, random: random, limit: 4 + random.IntN(8), cap: 20 + random.IntN(40)}
		c := Config{Caps: []int{sales.cap, sales.cap}, Pause: yieldingPause(0), MaxReservations: 1 << 12, MaxAccounts: 10}
		for s := range 8 {
			c.Sessions = append(c.Sessions, SessionConfig{Programme: uint8(s % 2), Limit: sales.limit})
			c.Pools = append(c.Pools, PoolConfig{Session: uint32(s), Units: 1 << 20})
		}
		var err error
		sales.v, err = New(c)
		require.NoError(t, err)
		sales.v.long = long
		for n := range 300 {
			sales.step(uint64(round<<16 + n))
		}
		require.NotNil(t, sales.v.summaryOf(sales.v.FindAccount("gateway")))
	}
}

// TestSummaryIsMadeAnew: while a summary is made of an old one, another walk may unlink the row where that one begins.
// No row is summed up twice then.
func TestSummaryIsMadeAnew(t *testing.T) {
	v := testInventory(t, 1, 1<<20, false)
	v.long = shortest
	const live = 20
	for n := range uint64(live) {
		reserveIn(t, v, n, 0)
	}
	row := v.FindAccount("gateway")
	old := v.summaryOf(row)
	require.Greater(t, len(old.rows), live/2)
	v.summaries[row%summarySlots].Store(nil)
	v.long = usualLedgers
	require.Equal(t, Done, v.Release(old.rows[0], 0, nil).Verdict)
	reserveIn(t, v, live, 0) // unlinks it
	v.long = shortest
	v.summarize(uint32(v.accounts.At(row).Head.Load()), old)
	made := v.summaryOf(row)
	require.Len(t, made.rows, live-1) // without the newest
	require.Equal(t, []int32{live - 1}, made.tickets[:1])
	require.EqualValues(t, live-1, made.sessions[0])
}

// ledgerSales are random reservations of one account and their ends, beside the exact sums.
type ledgerSales struct {
	*testing.T
	v          *Inventory
	random     *rand.Rand
	limit, cap int
	live       []soldRow
}

type soldRow struct {
	row       uint32
	lines     []Line
	confirmed bool
}

// count returns the account's tickets in the pools for which counts is true.
func (s *ledgerSales) count(counts func(pool uint32) bool) (held, confirmed int) {
	for _, r := range s.live {
		for _, l := range r.lines {
			switch {
			case !counts(l.Pool):
			case r.confirmed:
				confirmed += int(l.Quantity)
			default:
				held += int(l.Quantity)
			}
		}
	}
	return held, confirmed
}

func (s *ledgerSales) step(n uint64) {
	if len(s.live) > 0 && s.random.IntN(5) < 2 {
		at := s.random.IntN(len(s.live))
		if r := &s.live[at]; s.random.IntN(3) == 0 && !r.confirmed {
			require.Equal(s, Done, s.v.Confirm(r.row, 0, "", nil).Verdict)
			r.confirmed = true
		} else if !r.confirmed {
			require.Equal(s, Done, s.v.Release(r.row, 0, nil).Verdict)
			s.live = append(s.live[:at], s.live[at+1:]...)
		}
		return
	}
	programme := uint32(s.random.IntN(2))
	q := Request{ID: idOf(n), Account: "gateway", Expires: math.MaxInt64}
	for pool := programme; pool < 8; pool += 2 {
		if s.random.IntN(3) == 0 || len(q.Lines) == 0 && pool >= 6 {
			q.Lines = append(q.Lines, Line{Pool: pool, Quantity: 1 + s.random.Uint32N(2)})
		}
	}
	require.Equal(s, s.wanted(&q, programme), s.reserve(&q), "%+v", q.Lines)
}

// reserve returns the result without what the exact sums do not know.
func (s *ledgerSales) reserve(q *Request) Result {
	res := s.v.Reserve(q)
	if res.Verdict == Done {
		s.live = append(s.live, soldRow{row: res.Row, lines: q.Lines})
	}
	res.Row = 0
	return res
}

func (s *ledgerSales) wanted(q *Request, programme uint32) Result {
	tickets := 0
	for _, l := range q.Lines {
		held, confirmed := s.count(func(pool uint32) bool { return pool == l.Pool })
		tickets += int(l.Quantity)
		if held+confirmed+int(l.Quantity) > s.limit {
			return Result{Verdict: SessionLimitExceeded, Session: l.Pool, Limit: s.limit, Held: held, Confirmed: confirmed,
				Requested: int(l.Quantity)}
		}
	}
	if held, confirmed := s.count(func(pool uint32) bool { return pool%2 == programme }); held+confirmed+tickets > s.cap {
		return Result{Verdict: AccountCapExceeded, Programme: uint8(programme), Limit: s.cap, Held: held,
			Confirmed: confirmed, Requested: tickets}
	}
	return Result{Verdict: Done}
}

// TestLongLedgersStayCheap: with 4,000 live reservations of an account, a reservation and its end cost at most 40 times
// as much as with 30 (without summaries, more than 400 times), whichever reservations end. The fastest of many short
// runs is compared, so that other work on the machine does not count.
func TestLongLedgersStayCheap(t *testing.T) {
	for _, ends := range []string{"newest", "random"} {
		fastest := func(live int) time.Duration {
			v, rows := longLedger(t, live, live+95)
			random := rand.New(rand.NewPCG(1, 2))
			best, n := time.Hour, uint64(0)
			for range 60 {
				began := time.Now()
				for range 200 {
					n++
					row := reserveIn(t, v, n|1<<42, int(n%1000))
					if ends == "random" {
						at := random.IntN(live)
						rows[at], row = row, rows[at]
					}
					v.Release(row, 0, nil)
				}
				best = min(best, time.Since(began)/200)
			}
			return best
		}
		short, long := fastest(30), fastest(4000)
		t.Logf("ends=%s: %v with 30 live reservations, %v with 4,000", ends, short, long)
		require.Less(t, long, 40*short)
	}
}

// linked returns the number of rows in an account's list.
func linked(v *Inventory, account string) (n int) {
	for row := uint32(v.accounts.At(v.FindAccount(account)).Head.Load()); row != 0; n++ {
		row = v.reservations.At(row).next.Load() &^ linkFrozen
	}
	return n
}

// TestDeadRowsAreUnlinked: a ledger's list stays about as long as what counts in it, however many reservations have
// ended and wherever in the list they were, in a live sale and after a replay.
func TestDeadRowsAreUnlinked(t *testing.T) {
	for _, live := range []int{1, 29, 300} {
		v := testInventory(t, 1, 1<<20, false)
		random := rand.New(rand.NewPCG(3, uint64(live)))
		rows := make([]uint32, live)
		for n := range 20 * live {
			row := reserveIn(t, v, uint64(n+1), 0)
			at := random.IntN(live)
			rows[at], row = row, rows[at]
			if row != 0 {
				require.Equal(t, Done, v.Release(row, 0, nil).Verdict)
			}
			// A walk unlinks what died before it. Behind a summary a quarter more may be dead.
			require.LessOrEqual(t, linked(v, "gateway"), 2+len(rows)+len(rows)/2, "after %d reservations, %d alive", n, live)
		}
	}
	v := testInventory(t, 1, 1<<20, false)
	for n := range uint64(1000) {
		q := Request{ID: idOf(n), Account: "gateway", Lines: []Line{{Quantity: 1}}, Expires: 10}
		require.NoError(t, v.RestoreTaken(Restored{Request: &q, State: Held}))
		if n > 2 {
			require.NoError(t, v.RestoreEnded(Restored{Request: &q, State: Released}))
		}
		require.LessOrEqual(t, linked(v, "gateway"), 4, "a replay")
	}
}

// TestFactsOfACapRefusal (I7): the facts of a refusal by the cap were true together at one instant. Two reservations
// far apart in a ledger are confirmed, the newer one first, while another caller is refused again and again. Its facts
// must be those before both, between them, or after both.
func TestFactsOfACapRefusal(t *testing.T) {
	const rounds, between = 1500, 25
	for _, long := range []longLedgers{usualLedgers, shortest} {
		v := testInventory(t, 1, 1<<20, false)
		v.long = long
		v.limits.Caps[0] = 4 + between
		reserve := func(round, n, tickets uint32) Result {
			return v.Reserve(&Request{ID: idOf(uint64(round)<<32 | uint64(n)), Account: fmt.Sprint("a", round),
				Lines: []Line{{Quantity: tickets}}, Expires: 10})
		}
		rows := make(chan [2]uint32)
		var begun, ended atomic.Uint32 // rounds
		go func() {
			for pair := range rows {
				began := begun.Add(1)
				for range began % 64 * 50 { // after another time in each round
					_ = ended.Load()
				}
				v.Confirm(pair[1], 0, "", nil)
				v.Confirm(pair[0], 0, "", nil)
				ended.Store(began)
			}
		}()
		seen := map[[2]int]int{}
		for round := uint32(1); round <= rounds; round++ {
			older := reserve(round, 1, 1).Row
			for n := range uint32(between) {
				require.Equal(t, Done, reserve(round, 10+n, 1).Verdict)
			}
			rows <- [2]uint32{older, reserve(round, 2, 2).Row}
			for begun.Load() < round {
				runtime.Gosched()
			}
			for n, over := uint32(100), false; !over; n++ {
				over = ended.Load() == round
				res := reserve(round, n, 2)
				if want := (Result{Verdict: AccountCapExceeded, Limit: 4 + between, Held: res.Held, Confirmed: res.Confirmed,
					Requested: 2}); res != want {
					require.Equal(t, want, res)
				}
				seen[[2]int{res.Held - between, res.Confirmed}]++
			}
		}
		close(rows)
		t.Log("held and confirmed of the two, and how often:", seen)
		require.GreaterOrEqual(t, seen[[2]int{0, 3}], rounds)
		for _, together := range [][2]int{{3, 0}, {1, 2}, {0, 3}} {
			delete(seen, together)
		}
		require.Empty(t, seen, "facts that were never true together")
	}
}
