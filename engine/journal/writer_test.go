package journal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const timeout = 5 * time.Second

// scripted is a backend whose Append the test provides.
type scripted struct {
	Backend // nil: the writer calls nothing else of it
	append  func(ctx context.Context, g Group) error
}

func (s scripted) Append(ctx context.Context, g Group) error { return s.append(ctx, g) }

// scriptedShared is a Shared backend whose Append and Beat the test provides.
type scriptedShared struct {
	Shared
	append func(ctx context.Context, g Group) error
	beat   func(ctx context.Context) error
}

func (s scriptedShared) Append(ctx context.Context, g Group) error { return s.append(ctx, g) }

func (s scriptedShared) Beat(ctx context.Context) error { return s.beat(ctx) }

// scriptedBeater is a backend that is not shared and has something to do while it is idle.
type scriptedBeater struct {
	scripted
	beat func(ctx context.Context) error
}

func (s scriptedBeater) Beat(ctx context.Context) error { return s.beat(ctx) }

// feeding is a writer and its source, the records that the test places.
type feeding struct {
	t       *testing.T
	w       *Writer
	mu      sync.Mutex
	placed  uint64
	waiting []byte
	count   int
	durable []Group // passed to Feed.Durable
}

func newFeeding(t *testing.T, b Backend, last uint64) *feeding {
	f := &feeding{t: t, placed: last}
	f.w = NewWriter(b, Feed{Fill: f.fill, Durable: func(g Group) {
		require.Less(t, f.w.Durable(), g.Last(), "Feed.Durable was called too late")
		f.durable = append(f.durable, Group{First: g.First, Count: g.Count})
	}}, last, timeout)
	return f
}

// place places one record and returns its sequence.
func (f *feeding) place(record []byte) uint64 {
	f.mu.Lock()
	f.waiting = AppendRecord(f.waiting, record)
	f.count++
	f.placed++
	seq := f.placed
	f.mu.Unlock()
	f.w.Wake()
	return seq
}

func (f *feeding) fill(run []byte) ([]byte, int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	run, count := append(run, f.waiting...), f.count
	f.waiting, f.count = f.waiting[:0], 0
	return run, count
}

// held is an Append that keeps the groups it is given and returns when the test lets it.
type held struct {
	given   chan Group
	results chan error
}

func newHeld() *held { return &held{given: make(chan Group, 1000), results: make(chan error, 1000)} }

func (h *held) append(ctx context.Context, group Group) error {
	h.given <- Group{First: group.First, Count: group.Count, Records: bytes.Clone(group.Records)}
	select {
	case err := <-h.results:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// waits starts a waiter for the sequence. The channel receives what Wait returns.
func (f *feeding) waits(ctx context.Context, seq uint64) chan error {
	result := make(chan error, 1)
	go func() { result <- f.w.Wait(ctx, seq) }()
	return result
}

// requireWaiting requires that none of the waiters has returned.
func requireWaiting(t *testing.T, waiters ...chan error) {
	t.Helper()
	synctest.Wait()
	for _, c := range waiters {
		require.Empty(t, c, "returned too early")
	}
}

func (f *feeding) close() {
	require.NoError(f.t, f.w.Close(context.Background()))
}

// TestGroupCommit: the records placed while a group is in flight make the next group. The waiters of a group wake when
// it is durable, not before and not with another group.
func TestGroupCommit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := newHeld()
		f := newFeeding(t, scripted{append: disk.append}, 40)
		first := f.waits(t.Context(), f.place([]byte("a")))
		require.Equal(t, Group{First: 41, Count: 1, Records: AppendRecord(nil, []byte("a"))}, <-disk.given)
		var second []chan error
		for i := range 3 {
			second = append(second, f.waits(t.Context(), f.place([]byte{byte(i)})))
		}
		requireWaiting(t, append(second, first)...)
		disk.results <- nil
		require.NoError(t, <-first)
		require.EqualValues(t, 41, f.w.Durable())
		g := <-disk.given
		require.Equal(t, Group{First: 42, Count: 3}, Group{First: g.First, Count: g.Count})
		third := f.waits(t.Context(), f.place([]byte("z")))
		requireWaiting(t, append(second, third)...)
		disk.results <- nil
		for _, waiter := range second {
			require.NoError(t, <-waiter)
		}
		requireWaiting(t, third)
		disk.results <- nil
		require.NoError(t, <-third)
		require.NoError(t, f.w.Wait(t.Context(), 45), "durable before the call")
		require.Equal(t, []Group{{First: 41, Count: 1}, {First: 42, Count: 3}, {First: 45, Count: 1}}, f.durable)
		require.EqualValues(t, 5, f.w.Stats().Records)
		f.close()
	})
}

// TestStall: after the writer's timeout all waiters get ErrStalled, and later ones get it at once. The group stays in
// flight, and once the journal responds the writer continues as before.
func TestStall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := newHeld()
		f := newFeeding(t, scripted{append: disk.append}, 0)
		began := time.Now()
		inFlight := f.waits(t.Context(), f.place([]byte("a")))
		<-disk.given
		filling := f.waits(t.Context(), f.place([]byte("b")))
		time.Sleep(timeout - 1)
		requireWaiting(t, inFlight, filling)
		require.NoError(t, f.w.Err())
		require.ErrorIs(t, <-inFlight, ErrStalled)
		require.ErrorIs(t, <-filling, ErrStalled)
		require.Equal(t, timeout, time.Since(began))
		require.ErrorIs(t, f.w.Err(), ErrStalled)
		require.ErrorIs(t, f.w.Wait(t.Context(), f.place([]byte("c"))), ErrStalled)
		require.ErrorIs(t, f.w.Wait(context.Background(), 1), ErrStalled)

		disk.results <- nil
		synctest.Wait()
		require.NoError(t, f.w.Err())
		require.NoError(t, f.w.Wait(t.Context(), 1))
		again := f.waits(t.Context(), 3)
		require.Equal(t, 2, (<-disk.given).Count, "records placed during the stall")
		requireWaiting(t, again)
		disk.results <- nil
		require.NoError(t, <-again)
		f.close()
	})
}

// TestSlowIsNotStalled: the timeout is for one group, however many follow one another.
func TestSlowIsNotStalled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFeeding(t, scripted{append: func(context.Context, Group) error { time.Sleep(timeout - 1); return nil }}, 0)
		for range 5 {
			require.NoError(t, f.w.Wait(t.Context(), f.place([]byte("a"))))
		}
		f.close()
	})
}

// TestFailureIsFinal (I5): after a failed append nothing more is appended or acknowledged, ever.
func TestFailureIsFinal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := newHeld()
		f := newFeeding(t, scripted{append: disk.append}, 0)
		require.NoError(t, f.w.Err())
		inFlight := f.waits(t.Context(), f.place([]byte("a")))
		<-disk.given
		filling := f.waits(context.Background(), f.place([]byte("b")))
		requireWaiting(t, inFlight, filling)
		failure := fmt.Errorf("%w: for the test", ErrFull)
		disk.results <- failure
		late := f.waits(t.Context(), f.place([]byte("c")))
		for _, waiter := range []chan error{inFlight, filling, late, f.waits(t.Context(), 1)} {
			require.Equal(t, failure, <-waiter)
		}
		<-f.w.Failed()
		require.Equal(t, failure, f.w.Err())
		time.Sleep(10 * timeout)
		require.Empty(t, disk.given)
		require.Empty(t, f.durable)
		require.Zero(t, f.w.Durable())
		require.Equal(t, failure, f.w.Err(), "the first error is kept")
		require.Equal(t, failure, f.w.Close(t.Context()))
	})
}

// TestFailureAfterStall: a stalled journal that then fails has failed for good.
func TestFailureAfterStall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := newHeld()
		f := newFeeding(t, scripted{append: disk.append}, 0)
		require.ErrorIs(t, f.w.Wait(t.Context(), f.place([]byte("a"))), ErrStalled)
		disk.results <- ErrFenced
		<-f.w.Failed()
		require.ErrorIs(t, f.w.Wait(t.Context(), 1), ErrFenced)
		require.ErrorIs(t, f.w.Close(t.Context()), ErrFenced)
	})
}

// TestCallerStopsWaiting: when a caller's context is done, that caller returns and no other, and the outcome is kept.
func TestCallerStopsWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := newHeld()
		f := newFeeding(t, scripted{append: disk.append}, 0)
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		one := f.waits(short, f.place([]byte("a")))
		<-disk.given
		two := f.waits(short, f.place([]byte("b")))
		stays := f.waits(t.Context(), 2)
		require.ErrorIs(t, <-one, context.DeadlineExceeded)
		require.ErrorIs(t, <-two, context.DeadlineExceeded)
		requireWaiting(t, stays)
		disk.results <- nil
		disk.results <- nil
		require.NoError(t, <-stays)
		require.NoError(t, f.w.Wait(short, 1), "the outcome is durable all the same")
		f.close()
	})
}

// TestCloseDrains: Close makes all placed records durable and wakes their waiters before it returns.
func TestCloseDrains(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := newHeld()
		f := newFeeding(t, scripted{append: disk.append}, 0)
		one := f.waits(t.Context(), f.place([]byte("a")))
		<-disk.given
		two := f.waits(t.Context(), f.place([]byte("b")))
		closed := make(chan error, 1)
		go func() { closed <- f.w.Close(t.Context()) }()
		requireWaiting(t, one, two, closed)
		disk.results <- nil
		require.NoError(t, <-one)
		requireWaiting(t, two, closed)
		disk.results <- nil
		require.NoError(t, <-two)
		require.NoError(t, <-closed)
		require.EqualValues(t, 2, f.w.Durable())
	})
}

// TestCloseTimesOut: when the context of Close is done, Close cancels the Append in flight and returns its error.
func TestCloseTimesOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := newHeld()
		f := newFeeding(t, scripted{append: disk.append}, 0)
		one := f.waits(t.Context(), f.place([]byte("a")))
		<-disk.given
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, f.w.Close(short), context.Canceled)
		require.ErrorIs(t, <-one, context.Canceled)
	})
}

// TestBeats: the writer beats while it is idle, not while it is busy. An error of a beat ends it.
func TestBeats(t *testing.T) {
	durable := func(context.Context, Group) error { return nil }
	t.Run("shared", func(t *testing.T) {
		testBeats(t, ErrFenced, func(beat func(context.Context) error) Backend {
			return scriptedShared{append: durable, beat: beat}
		})
	})
	t.Run("not shared", func(t *testing.T) {
		testBeats(t, ErrGone, func(beat func(context.Context) error) Backend {
			return scriptedBeater{scripted{append: durable}, beat}
		})
	})
}

func testBeats(t *testing.T, fault error, backend func(beat func(context.Context) error) Backend) {
	synctest.Test(t, func(t *testing.T) {
		var beats atomic.Int64
		var faulty atomic.Bool
		f := newFeeding(t, backend(func(context.Context) error {
			beats.Add(1)
			if faulty.Load() {
				return fault
			}
			return nil
		}), 0)
		time.Sleep(3*beatEvery + 1)
		synctest.Wait()
		require.EqualValues(t, 3, beats.Load())
		for range 20 { // always before a beat is due
			require.NoError(t, f.w.Wait(t.Context(), f.place([]byte("a"))))
			time.Sleep(beatEvery / 2)
		}
		require.LessOrEqual(t, beats.Load(), int64(4))
		faulty.Store(true)
		<-f.w.Failed()
		require.ErrorIs(t, f.w.Err(), fault)
		require.ErrorIs(t, f.w.Close(t.Context()), fault)
	})
}

// TestLargeFill: records that are too large for one group become several, in order and without a gap, and are
// acknowledged together.
func TestLargeFill(t *testing.T) {
	var groups []Group
	f := newFeeding(t, scripted{append: func(_ context.Context, g Group) error {
		groups = append(groups, Group{First: g.First, Count: g.Count, Records: bytes.Clone(g.Records)})
		return nil
	}}, 7)
	f.mu.Lock() // so that one Fill returns all of it
	var want []byte
	for i := range 40 {
		record := bytes.Repeat([]byte{byte(i)}, maxGroup/8+i)
		f.waiting, want = AppendRecord(f.waiting, record), AppendRecord(want, record)
		f.count++
		f.placed++
	}
	f.mu.Unlock()
	f.w.Wake()
	require.NoError(t, f.w.Wait(t.Context(), 47))
	f.close()
	require.Greater(t, len(groups), 4)
	next, got := uint64(8), []byte(nil)
	for _, g := range groups {
		require.Equal(t, next, g.First)
		require.LessOrEqual(t, len(g.Records), maxGroup)
		next, got = g.Last()+1, append(got, g.Records...)
	}
	require.EqualValues(t, 48, next)
	require.True(t, bytes.Equal(want, got))
}

// TestManyWaiters (I5): each of thousands of waiters wakes once its record is durable, and not before.
func TestManyWaiters(t *testing.T) {
	var synced atomic.Uint64
	f := newFeeding(t, scripted{append: func(_ context.Context, g Group) error { synced.Store(g.Last()); return nil }}, 0)
	var all sync.WaitGroup
	for i := range 64 {
		all.Go(func() {
			random := rand.New(rand.NewPCG(uint64(i), 0))
			ctx := context.Background()
			if i%2 == 0 {
				ctx = t.Context()
			}
			for range 500 {
				seq := f.place([]byte{byte(i)})
				if random.IntN(4) == 0 {
					seq -= min(seq-1, uint64(random.IntN(50)))
				}
				if err := f.w.Wait(ctx, seq); err != nil || synced.Load() < seq {
					t.Errorf("record %d: %v, %d are durable", seq, err, synced.Load())
				}
			}
		})
	}
	all.Wait()
	f.close()
	require.EqualValues(t, 64*500, f.w.Durable())
	require.EqualValues(t, 64*500, f.w.Stats().Records)
}

// TestCallersShareGroups: woken callers run before the next group is written, even where a group takes no time. Without
// that each group would hold one record here.
func TestCallersShareGroups(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	const callers, each = 64, 500
	f := newFeeding(t, scripted{append: func(context.Context, Group) error { return nil }}, 0)
	var all sync.WaitGroup
	for i := range callers {
		all.Go(func() {
			for range each {
				if err := f.w.Wait(context.Background(), f.place([]byte{byte(i)})); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	f.close()
	stats := f.w.Stats()
	records, groups := stats.Records, stats.Syncs.Count()
	t.Logf("%d records in %d groups", records, groups)
	require.EqualValues(t, callers*each, records)
	require.Less(t, groups, records/(callers/4))
}

// TestWaitAllocatesNothing: Wait allocates nothing for a record that is durable or a journal that has failed.
func TestWaitAllocatesNothing(t *testing.T) {
	fail := atomic.Bool{}
	f := newFeeding(t, scripted{append: func(context.Context, Group) error {
		if fail.Load() {
			return errors.New("failed for the test")
		}
		return nil
	}}, 0)
	seq := f.place([]byte("a"))
	require.NoError(t, f.w.Wait(t.Context(), seq))
	require.Zero(t, testing.AllocsPerRun(100, func() {
		if f.w.Wait(context.Background(), seq) != nil {
			t.Error("not durable")
		}
	}))
	fail.Store(true)
	seq = f.place([]byte("b"))
	<-f.w.Failed()
	require.Zero(t, testing.AllocsPerRun(100, func() {
		if f.w.Wait(context.Background(), seq) == nil {
			t.Error("acknowledged after a failure")
		}
	}))
	require.Error(t, f.w.Close(t.Context()))
}
