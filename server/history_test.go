package server

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine"
	"github.com/seathold/seathold/engine/audit"
	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/journal"
	"github.com/seathold/seathold/engine/journal/embedded"
	"github.com/seathold/seathold/engine/journal/redis"
	"github.com/seathold/seathold/engine/journal/redis/redistest"
	"github.com/seathold/seathold/engine/spec"
	"github.com/seathold/seathold/server/internal/historytest"
)

// rounds returns n times SEATHOLD_ROUNDS, or n without it.
func rounds(t testing.TB, n int) int {
	if s := os.Getenv("SEATHOLD_ROUNDS"); s != "" {
		return n * must(strconv.Atoi(s))(t)
	}
	return n
}

// seeded returns a source of randomness and logs its seed.
func seeded(t testing.TB) *rand.Rand {
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("SEATHOLD_SEED"); s != "" {
		seed = must(strconv.ParseUint(s, 10, 64))(t)
	}
	t.Logf("seed %d (repeat with SEATHOLD_SEED=%d)", seed, seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// stage is a server with a journal, and the histories that are played on it.
type stage struct {
	*fixture
	random    *rand.Rand
	rules     *spec.Rules
	step      sync.Mutex // orders the steps of the clock
	histories []*historytest.History
	tally     historytest.Tally
	next      historytest.Cell

	requests int // of a caller at least

	passes time.Duration // of the sale clock at once, less than that
	forget time.Duration // what the histories require, see History.Forget
	tables func(*engine.Options)
}

// newStage returns a stage without a server.
func newStage(t testing.TB, random *rand.Rand, cells int) *stage {
	now := instantOf(t, early)
	s := &stage{fixture: &fixture{t: t, clock: clockAt(now)}, random: random, requests: 4, passes: 1200 * time.Millisecond,
		tables: func(o *engine.Options) { o.MaxReservations, o.MaxAccounts = 1<<16, 1<<16 }}
	s.rules = &spec.Rules{Sale: must(historytest.SaleOf(cells, now).Load())(t), TTL: spec.ScenarioTTL,
		MaxHold: spec.ScenarioMaxHold}
	return s
}

// serve starts a server on the journal.
func (s *stage) serve(j journal.Backend, patience time.Duration) {
	e := newEngine(s.t, s.clock, func(o *engine.Options) {
		o.Sale, o.Journal, o.Durability, o.JournalTimeout = s.rules.Sale, j, engine.Sync, patience
		o.SweepEvery = -1        // the histories trigger sweeps
		o.CheckpointAfter = 1000 // so that checkpoints run at the same time
		s.tables(o)
	})
	s.fixture = startWith(s.t, s.clock, e, nil)
	s.server.turns.longest = time.Minute // a busy machine is no reason for a refusal here
}

// play plays the histories of the next cells concurrently. A caller without an answer may let time pass, reads
// something, waits until the journal responds again, and then often retries.
func (s *stage) play(cells int) {
	var all sync.WaitGroup
	begin := make(chan struct{})
	for range cells {
		h := historytest.New(s.next, s.rules, s.clock.read)
		h.Forget(s.forget)
		s.next++
		s.histories = append(s.histories, h)
		requests := s.requests + s.random.IntN(5)
		for i := range 3 + s.random.IntN(2) {
			c := h.Caller(i, rand.New(rand.NewPCG(s.random.Uint64(), 0)), time.Minute)
			all.Go(func() {
				defer c.Close()
				<-begin
				for range requests {
					s.request(c)
				}
			})
		}
	}
	close(begin)
	all.Wait()
}

func (s *stage) request(c *historytest.Caller) {
	if c.Random.IntN(12) == 0 {
		s.passTime(c.Random)
		return
	}
	for ops := c.Draw(); ; {
		reply := c.Call(s.address, ops, nil)
		if !reply.Unknown() {
			return
		}
		if c.Random.IntN(3) == 0 {
			s.passTime(c.Random)
		}
		c.Call(s.address, c.DrawRead(), nil)
		s.awaitJournal()
		if c.Random.IntN(2) == 0 {
			return
		}
	}
}

// drain makes everything durable and closes the engine. A background task that is stuck may outlast a short timeout;
// its result does not matter.
func (s *stage) drain() {
	for s.engine.Flush(s.t.Context()) != nil {
		s.awaitJournal()
	}
	if err := s.engine.Close(); !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) {
		require.NoError(s.t, err)
	}
}

func (s *stage) awaitJournal() {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for s.engine.Ready() != nil {
		<-tick.C
	}
}

// passTime advances the sale clock, or ends expired holds. Neither is part of a history: a call has the interval of
// time in which it was made, and an expired hold may end at any time.
func (s *stage) passTime(r *rand.Rand) {
	if r.IntN(2) == 0 {
		s.engine.ExpireDue()
		return
	}
	s.step.Lock()
	defer s.step.Unlock()
	s.clock.advance(time.Duration(r.Int64N(s.passes.Milliseconds())) * time.Millisecond)
}

// judge stops the server, and reads the end of all histories from a new one that has recovered from the journal.
func (s *stage) judge(again func() journal.Backend) {
	s.stop()
	s.serve(again(), time.Minute)
	require.NoError(s.t, historytest.Finish(s.histories, s.address))
	s.tally = historytest.Judge(s.t, s.histories, false)
	s.stop()
}

// requireConsistent requires that a journal is consistent (I1 to I4, I6, I9).
func requireConsistent(t testing.TB, r journal.Reader, sale *catalog.Sale) {
	found := must(audit.Verify(r, sale))(t)
	require.Zero(t, found.Broken, found.Problems)
	require.Positive(t, found.Reservations)
}

// TestHistories (I7) checks histories over a real socket and the embedded journal: packs with opposite scarcity, single
// tickets, caps, one id sent by several callers at once, confirm against release against expiry, changes of
// reservations against all of these, single calls and batches, and reads. A restarted server reports how they ended.
func TestHistories(t *testing.T) {
	noLeaks(t)
	const life, atOnce = 500, 50
	random, total := seeded(t), historytest.Tally{}
	for played := 0; played < rounds(t, 2000); played += life {
		dir := t.TempDir()
		s := newStage(t, random, life)
		open := func() journal.Backend { return must(embedded.Open(dir, embedded.Options{}))(t) }
		s.serve(open(), time.Minute)
		for range life / atOnce {
			s.play(atOnce)
		}
		s.judge(open)
		kept := must(embedded.OpenReadOnly(dir))(t)
		requireConsistent(t, kept, s.rules.Sale)
		require.NoError(t, kept.Close())
		total.Add(s.tally)
	}
	t.Log(total)
	require.Zero(t, total.Unknown)
	require.LessOrEqual(t, total.Undone, total.Calls/1000, "only a caller whose thread is suspended causes overloaded")
	require.Greater(t, total.Refused, total.Calls/10)
	require.Greater(t, total.Expired, total.Calls/100)
	require.Greater(t, total.Beside, total.Calls/4)
	require.InDelta(t, 1./3, float64(total.Batched)/float64(total.Writes), 0.05)
	require.NoError(t, total.Answers.Untried())
	require.Greater(t, total.Answers.Share(), 0.3)
}

// TestHistoriesDetectWrongAnswers changes one answer in each of many correct histories: the check must detect it.
func TestHistoriesDetectWrongAnswers(t *testing.T) {
	noLeaks(t)
	const cells, enough = 300, 4
	s := newStage(t, seeded(t), cells)
	dir := t.TempDir()
	open := func() journal.Backend { return must(embedded.Open(dir, embedded.Options{}))(t) }
	s.serve(open(), time.Minute)
	s.play(cells)
	s.judge(open)
	for title, spoil := range map[string]func(c spec.Call, a *spec.Answer) bool{
		"a lost confirmation": func(c spec.Call, a *spec.Answer) bool {
			found := c.Kind == spec.Confirm && a.OK()
			a.Reservation.State = "released"
			return found
		},
		"an acknowledged reservation without a call": func(c spec.Call, a *spec.Answer) bool {
			found := c.Kind == spec.Reserve && a.OK() && !a.Repeated
			*a = spec.Answer{Refusal: spec.Refusal{Code: spec.Overloaded}}
			return found
		},
		"one id with two effects": func(_ spec.Call, a *spec.Answer) bool {
			found := a.Repeated
			a.Repeated = false
			return found
		},
		"another instant": func(c spec.Call, a *spec.Answer) bool {
			found := c.Kind == spec.ReadReservation && a.OK()
			a.Reservation.CreatedAt = a.Reservation.CreatedAt.Add(time.Millisecond)
			return found
		},
		"more tickets available than exist": func(_ spec.Call, a *spec.Answer) bool {
			found := a.Code == "sold_out"
			a.Available = 5
			return found
		},
		"an account without one of its reservations": func(c spec.Call, a *spec.Answer) bool {
			found := c.Kind == spec.ReadAccount && len(a.Account.Reservations) > 0
			if found {
				a.Account.Reservations = a.Account.Reservations[1:]
			}
			return found
		},
		"another end": func(c spec.Call, a *spec.Answer) bool {
			found := c.Kind == spec.ReadReservation && a.OK()
			a.Reservation.ExpiresAt = a.Reservation.ExpiresAt.Add(time.Millisecond)
			return found
		},
		"a longer hold than may be": func(_ spec.Call, a *spec.Answer) bool {
			a.MaxExpiresAt = a.MaxExpiresAt.Add(time.Second)
			return a.Code == "hold_limit_exceeded"
		},
		"a reduction to what it never had": func(c spec.Call, a *spec.Answer) bool {
			found := c.Kind == spec.Reduce && a.OK()
			if found {
				a.Reservation.Lines = slices.Clone(a.Reservation.Lines)
				a.Reservation.Lines[0].Quantity += 5
			}
			return found
		},
		"a replaced hold that remains": func(c spec.Call, a *spec.Answer) bool {
			found := c.Kind == spec.Reserve && c.Replaces != "" && a.OK() && !a.Repeated
			*a = spec.Answer{Refusal: spec.Refusal{Code: spec.Overloaded}}
			return found
		},
		"sold after the end without again": func(c spec.Call, a *spec.Answer) bool {
			found := c.Kind == spec.Confirm && a.OK() && a.Reservation.ConfirmedAt.Before(a.Reservation.ExpiresAt)
			a.Reservation.ConfirmedAt = a.Reservation.ExpiresAt
			return found
		},
		"a cap one ticket too low": func(_ spec.Call, a *spec.Answer) bool {
			a.Limit--
			return a.Code == "account_cap_exceeded"
		},
	} {
		t.Run(title, func(t *testing.T) {
			spoiled := 0
			for _, h := range s.histories {
				calls := h.Calls()
				i := slices.IndexFunc(calls, func(o porcupine.Operation) bool {
					a := o.Output.(spec.Answer)
					return spoil(o.Input.(spec.Call), &a)
				})
				if i < 0 || spoiled == enough {
					continue
				}
				a := calls[i].Output.(spec.Answer)
				spoil(calls[i].Input.(spec.Call), &a)
				calls[i].Output = a
				result, _ := h.Check(calls, false)
				require.Equal(t, porcupine.Illegal, result, "%v", calls[i])
				spoiled++
			}
			require.Equal(t, enough, spoiled)
		})
	}
}

// TestHistoriesWithNetworkFaults (I5, I7, I9) checks histories while the network to the journal's Redis has faults.
// Callers whose outcome the journal does not acknowledge in time receive journal_unavailable and retry.
func TestHistoriesWithNetworkFaults(t *testing.T) {
	noLeaks(t)
	const cells = 12
	r := redistest.Start(t)
	for i, f := range []struct {
		name     string
		oneIn    int // pieces on average; after twice as many one is certain
		fault    redistest.Fault
		answers  bool          // only they are affected
		timeout  time.Duration // of the first attempt at a call to Redis
		patience time.Duration
		groups   int
	}{
		{"replies are dropped", 4, redistest.Fault{Lose: true}, true, time.Second, 40 * time.Millisecond, 12},
		{"200 ms of delay", 1, redistest.Fault{Delay: 200 * time.Millisecond}, false, time.Second, 450 * time.Millisecond, 2},
		{"10 kB a second", 1, redistest.Fault{BytesPerSecond: 10_000}, false, time.Second, 100 * time.Millisecond, 4},
		{"resets", 8, redistest.Fault{Lose: true}, false, time.Second, 40 * time.Millisecond, 12},
		{"black holes", 20, redistest.Fault{BlackHole: true}, false, 150 * time.Millisecond, 60 * time.Millisecond, 8},
	} {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			groups := rounds(t, f.groups)
			s := newStage(t, seeded(t), groups*cells)
			proxy := redistest.NewProxy(t, r.Addr())
			o := redis.Options{Address: proxy.URL(), Name: strconv.Itoa(i), Timeout: f.timeout}
			s.serve(must(redis.Open(o))(t), time.Minute) // begins the journal, which may take longer than a short timeout
			s.stop()
			s.serve(must(redis.Open(o))(t), f.patience)
			faults, since, fate := 0, 0, rand.New(rand.NewPCG(s.random.Uint64(), 0))
			proxy.Plan(func(p redistest.Piece) redistest.Fault {
				if since++; f.answers && p.ToServer || fate.IntN(f.oneIn) > 0 && since < 2*f.oneIn {
					return redistest.Fault{}
				}
				faults, since = faults+1, 0
				return f.fault
			})
			for range groups {
				s.play(cells)
			}
			proxy.Plan(nil)
			proxy.Cut()
			s.drain()
			o.Address = r.URL()
			s.judge(func() journal.Backend { return must(redis.Open(o))(t) })
			kept := must(redis.OpenReadOnly(o))(t)
			requireConsistent(t, kept, s.rules.Sale)
			require.NoError(t, kept.Close())
			t.Logf("%d faults; %v", faults, s.tally)
			require.Greater(t, faults, 1)
			require.Greater(t, s.tally.Beside, s.tally.Calls/4)
			require.Positive(t, s.tally.Expired)
		})
	}
}
