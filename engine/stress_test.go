package engine_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine"
	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/spec"
)

// stressSale returns a sale with caps as in Paris, a phase for single tickets and one for packs of three.
func stressSale(t testing.TB, sessions, places int) *catalog.Sale {
	forever := saleStart.Add(1000 * 24 * time.Hour)
	d := spec.Definition{
		Programmes: []spec.DefinedProgramme{{ID: "games", AccountCap: 30, SessionLimit: 6}},
		Phases:     []spec.DefinedPhase{{ID: "singles", Programme: "games", OpensAt: saleStart, ClosesAt: forever}},
	}
	if sessions >= 3 {
		d.Phases = append(d.Phases, spec.DefinedPhase{ID: "packs", Programme: "games", PackSessions: 3, OpensAt: saleStart,
			ClosesAt: forever})
	}
	for i := range sessions {
		d.Sessions = append(d.Sessions, spec.DefinedSession{ID: fmt.Sprintf("S%d", i), Programme: "games",
			Places: []int{places}})
	}
	sale, err := d.Load()
	require.NoError(t, err)
	return sale
}

// stressed opens an engine with a journal in memory, which is verified at the end of the test.
func stressed(t testing.TB, sale *catalog.Sale) *seller {
	kept := newStore()
	s := sellerOn(sale, kept)
	s.clock.set(saleStart)
	require.NoError(t, s.start())
	t.Cleanup(func() {
		require.NoError(t, s.e.Close())
		verify(t, kept.open(), sale)
	})
	return s
}

// codeOf returns a refusal's code, or "" for success.
func codeOf(t testing.TB, err error) engine.Code {
	var refusal *engine.Refusal
	if err != nil && !errors.As(err, &refusal) {
		t.Errorf("an error that is no refusal: %v", err)
	}
	if refusal == nil {
		return ""
	}
	return refusal.Code
}

// tally counts answers by code.
type tally struct {
	mu sync.Mutex
	n  map[engine.Code]int
}

func (c *tally) add(code engine.Code) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n == nil {
		c.n = map[engine.Code]int{}
	}
	c.n[code]++
}

func each(n int, do func(i int)) {
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { do(i) })
	}
	all.Wait()
}

// I1: 64 concurrent callers sell exactly 1,000 single tickets of a pool with 1,000 seats. No call is refused as sold
// out before, and none because of the journal, which responds at once.
func TestHotPool(t *testing.T) {
	for range rounds(t, 3) {
		s := stressed(t, stressSale(t, 1, 1000))
		var answers tally
		var sold atomic.Int64
		each(64, func(i int) {
			var r engine.Reservation
			q := engine.Request{Lines: []engine.Line{{Session: "S0", Category: "A", Quantity: 1}}}
			for n, refused := 0, 0; refused < 3; n++ {
				q.Account = fmt.Sprintf("account-%d-%d", i, n)
				got := codeOf(t, s.e.Reserve(t.Context(), &q, &r))
				answers.add(got)
				if got != "" {
					refused++
					continue
				}
				sold.Add(1)
				if err := s.e.Confirm(t.Context(), r.ID, "", &r); err != nil {
					t.Errorf("confirm: %v", err)
				}
			}
		})
		require.EqualValues(t, 1000, sold.Load())
		require.Equal(t, map[engine.Code]int{"": 1000, engine.SoldOut: 3 * 64}, answers.n)
		require.Equal(t, engine.Stock{Capacity: 1000, Sold: 1000}, s.e.Stock(0))
	}
}

// I1, I4: Of 10,000 concurrent requests for packs of three sessions with far fewer seats, none is taken in part, and
// the sums match.
func TestScarcePacks(t *testing.T) {
	const sessions, places, packs, callers = 12, 100, 10_000, 32
	s := stressed(t, stressSale(t, sessions, places))
	random := seeded(t)
	seeds := make([]uint64, callers)
	for i := range seeds {
		seeds[i] = random.Uint64()
	}
	taken := make([][]engine.Reservation, callers)
	var answers tally
	each(callers, func(i int) {
		random := rand.New(rand.NewPCG(seeds[i], 0))
		for n := range packs / callers {
			q := engine.Request{Account: fmt.Sprintf("account-%d-%d", i, n)}
			for _, session := range random.Perm(sessions)[:3] {
				q.Lines = append(q.Lines, engine.Line{Session: fmt.Sprintf("S%d", session), Category: "A",
					Quantity: 1 + random.IntN(6)})
			}
			q.Phase = "packs"
			var r engine.Reservation
			got := codeOf(t, s.e.Reserve(t.Context(), &q, &r))
			answers.add(got)
			if got != "" {
				continue
			}
			taken[i] = append(taken[i], r)
			if random.IntN(3) == 0 {
				last := random.IntN(len(taken[i]))
				var released engine.Reservation // r's lines are still needed
				if err := s.e.Release(t.Context(), taken[i][last].ID, &released); err != nil {
					t.Errorf("release: %v", err)
				}
				taken[i] = append(taken[i][:last], taken[i][last+1:]...)
			}
		}
	})
	require.Equal(t, packs/callers*callers, answers.n[""]+answers.n[engine.SoldOut], "%v", answers.n)
	require.NotZero(t, answers.n[engine.SoldOut])
	t.Logf("%v", answers.n)
	bySession := map[string]int{}
	for _, of := range taken {
		for _, r := range of {
			require.Len(t, r.Lines, 3)
			for _, l := range r.Lines {
				bySession[l.Session] += l.Quantity
			}
		}
	}
	for i := range sessions {
		held := bySession[fmt.Sprintf("S%d", i)]
		require.Equal(t, engine.Stock{Capacity: places, Held: held, Available: places - held}, s.e.Stock(i))
	}
}

// I2: An account that sends 100 reservations concurrently never has more than 30 tickets, nor more than 6 of a session,
// in any read. In the end it has as many as the rules allow.
func TestOneAccount(t *testing.T) {
	for range rounds(t, 5) {
		s := stressed(t, stressSale(t, 8, 1000))
		stop := make(chan struct{})
		var readers sync.WaitGroup
		var reads atomic.Int64
		for range 2 {
			readers.Go(func() {
				for done := false; !done; {
					select {
					case <-stop:
						done = true // and one more read
					default:
					}
					a, err := s.e.Account(t.Context(), "ann")
					if err != nil {
						t.Errorf("account: %v", err)
						return
					}
					withinLimits(t, &a)
					reads.Add(1)
				}
			})
		}
		var answers tally
		each(100, func(i int) {
			var r engine.Reservation
			q := engine.Request{Account: "ann", Phase: "singles",
				Lines: []engine.Line{{Session: fmt.Sprintf("S%d", i%8), Category: "A", Quantity: 1 + i%3}}}
			got := codeOf(t, s.e.Reserve(t.Context(), &q, &r))
			answers.add(got)
			if got == "" && i%5 == 0 {
				if err := s.e.Release(t.Context(), r.ID, &r); err != nil {
					t.Errorf("release: %v", err)
				}
			}
		})
		for quantity := 3; quantity > 0; quantity-- { // one at a time, so that no other call is undecided
			for i := range 8 {
				var r engine.Reservation
				q := engine.Request{Account: "ann", Phase: "singles",
					Lines: []engine.Line{{Session: fmt.Sprintf("S%d", i), Category: "A", Quantity: quantity}}}
				_ = codeOf(t, s.e.Reserve(t.Context(), &q, &r))
			}
		}
		close(stop)
		readers.Wait()
		a, err := s.e.Account(t.Context(), "ann")
		require.NoError(t, err)
		require.Equal(t, 30, a.Programmes[0].Held)
		require.Zero(t, answers.n[engine.SoldOut]+answers.n[engine.Overloaded]+answers.n[engine.JournalUnavailable], "%v",
			answers.n)
		require.Positive(t, reads.Load())
	}
}

func withinLimits(t testing.TB, a *engine.Account) {
	total, bySession := 0, map[string]int{}
	for i := range a.Reservations {
		for _, l := range a.Reservations[i].Lines {
			total += l.Quantity
			bySession[l.Session] += l.Quantity
		}
	}
	if total > 30 || total != a.Programmes[0].Held+a.Programmes[0].Confirmed {
		t.Errorf("I2: %d tickets, %+v", total, a.Programmes)
	}
	for session, n := range bySession {
		if n > 6 {
			t.Errorf("I2: %d tickets of %s", n, session)
		}
	}
}

// I9: One id sent by 50 callers at once takes effect once, and every caller gets that outcome.
func TestSameRequestFromManyCallers(t *testing.T) {
	s := stressed(t, stressSale(t, 3, 10))
	for range rounds(t, 50) {
		id := uuid.New()
		var first, repeated atomic.Int64
		each(50, func(int) {
			q := engine.Request{ID: id, Account: "ann", Phase: "packs",
				Lines: []engine.Line{{Session: "S0", Category: "A", Quantity: 1},
					{Session: "S1", Category: "A", Quantity: 2}, {Session: "S2", Category: "A", Quantity: 1}}}
			var r engine.Reservation
			if err := s.e.Reserve(context.Background(), &q, &r); err != nil || r.ID != id || r.State != engine.Held {
				t.Errorf("%v %v", err, r.State)
			}
			if r.Repeated {
				repeated.Add(1)
			} else {
				first.Add(1)
			}
		})
		require.EqualValues(t, 1, first.Load())
		require.EqualValues(t, 49, repeated.Load())
		require.Equal(t, 2, s.e.Stock(1).Held)
		var r engine.Reservation
		require.NoError(t, s.e.Release(t.Context(), id, &r))
	}
}
