package redis

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seathold/seathold/engine/journal"
	"github.com/seathold/seathold/engine/journal/redis/redistest"
	"github.com/stretchr/testify/require"
)

// appender appends groups, one after the other, until it fails or is stopped.
type appender struct {
	journal *Journal
	random  *rand.Rand
	stop    chan struct{}
	done    chan struct{}
	acked   chan struct{} // receives a token for each acknowledged group, while there is room
	groups  []journal.Group
	err     error
}

func startAppender(j *Journal, seed uint64) *appender {
	a := &appender{journal: j, random: rand.New(rand.NewPCG(seed, 1)), stop: make(chan struct{}),
		done: make(chan struct{}), acked: make(chan struct{}, 1)}
	last := j.Status().Last
	go func() {
		defer close(a.done)
		for {
			select {
			case <-a.stop:
				return
			default:
			}
			g := testGroup(last+1, 1+a.random.IntN(40))
			if a.err = j.Append(context.Background(), g); a.err != nil {
				return
			}
			last = g.Last()
			a.groups = append(a.groups, g)
			select {
			case a.acked <- struct{}{}:
			default:
			}
		}
	}()
	return a
}

// wait waits until n more groups are acknowledged.
func (a *appender) wait(t *testing.T, n int) {
	t.Helper()
	late := time.NewTimer(time.Minute)
	defer late.Stop()
	for range n {
		select {
		case <-a.acked:
		case <-a.done:
			return
		case <-late.C:
			require.FailNow(t, "timed out waiting for a group to be acknowledged", "%+v", a.journal.Status())
		}
	}
}

// finish stops the appender, requires that it has not failed, and returns what it appended.
func (a *appender) finish(t *testing.T) []journal.Group {
	t.Helper()
	close(a.stop)
	<-a.done
	require.NoError(t, a.err)
	return a.groups
}

// yield yields the processor a random number of times, so that the next step interleaves with other goroutines at any
// point.
func yield(r *rand.Rand) {
	for range r.IntN(300) {
		runtime.Gosched()
	}
}

// TestRedisKilledWhileAppending kills Redis while groups are appended and restarts it. The leader continues by itself,
// and the journal contains every group once, in order (I5).
func TestRedisKilledWhileAppending(t *testing.T) {
	r := seeded(t)
	s := redistest.Start(t)
	o := Options{Address: s.URL(), Name: freshName(), Timeout: 500 * time.Millisecond}
	j := claimed(t, o)
	a := startAppender(j, r.Uint64())
	for range rounds(t, 50) {
		a.wait(t, 1+r.IntN(5))
		yield(r)
		s.Kill()
		s.Restart()
	}
	a.wait(t, 2)
	want := a.finish(t)
	require.Equal(t, want, contentsOf(t, o).groups)
	require.Zero(t, j.Status().Resent, "Redis lost what it had synced")
	require.EqualValues(t, 1, j.Epoch())
}

// TestRedisRestartsWithLess cuts off the end of Redis's file while it is down, sometimes all of it. The leader appends
// the missing entries again, under the same ids, before it acknowledges anything more.
func TestRedisRestartsWithLess(t *testing.T) {
	r := seeded(t)
	s := redistest.Start(t, "--appendonly", "yes", "--appendfsync", "everysec", "--auto-aof-rewrite-percentage", "0")
	o := Options{Address: s.URL(), Name: freshName(), Timeout: 500 * time.Millisecond}
	j := claimed(t, o)
	var groups []journal.Group
	for round := range rounds(t, 50) {
		a := startAppender(j, r.Uint64())
		a.wait(t, 3+r.IntN(10))
		s.Kill()
		cutFile(t, s, r, round%10 == 9)
		s.Restart()
		a.wait(t, 2)
		groups = append(groups, a.finish(t)...)
		if r.IntN(2) == 0 {
			require.NoError(t, j.Beat(t.Context()))
		}
	}
	require.Equal(t, groups, contentsOf(t, o).groups)
	require.NotZero(t, j.Status().Resent)
	t.Logf("%d entries were appended again", j.Status().Resent)
}

// cutFile cuts up to 10 kB off the end of Redis's append-only file, or truncates it to zero.
func cutFile(t *testing.T, s *redistest.Server, r *rand.Rand, all bool) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(s.Dir, "appendonlydir", "*.incr.aof"))
	require.NoError(t, err)
	require.Len(t, files, 1)
	info, err := os.Stat(files[0])
	require.NoError(t, err)
	size := max(0, info.Size()-r.Int64N(10_000))
	if all {
		size = 0
	}
	require.NoError(t, os.Truncate(files[0], size))
}

// TestBeatDetectsLoss requires that a beat detects that Redis has lost entries.
func TestBeatDetectsLoss(t *testing.T) {
	s := redistest.Start(t)
	o := Options{Address: s.URL(), Name: freshName()}
	j := claimed(t, o)
	want := []journal.Group{testGroup(1, 5), testGroup(6, 5)}
	for _, g := range want {
		require.NoError(t, j.Append(t.Context(), g))
	}
	require.NoError(t, j.link.client.FlushAll(t.Context()).Err())
	require.NoError(t, j.Beat(t.Context()))
	require.EqualValues(t, 3, j.Status().Resent, "the claim and two groups")
	require.Equal(t, want, contentsOf(t, o).groups)
}

// TestLossBeyondMemory requires that the loss of entries that are no longer in memory is final.
func TestLossBeyondMemory(t *testing.T) {
	s := redistest.Start(t)
	for name, lose := range map[string]func(j *Journal) error{
		"everything": func(j *Journal) error { return j.link.client.FlushAll(t.Context()).Err() },
		"the stream": func(j *Journal) error { return j.link.client.Del(t.Context(), j.link.stream).Err() },
	} {
		o := Options{Address: s.URL(), Name: freshName(), ResendBytes: 200, New: true}
		j := claimed(t, o)
		for i := range uint64(20) {
			require.NoError(t, j.Append(t.Context(), testGroup(10*i+1, 10)))
		}
		require.NoError(t, lose(j), name)
		err := j.Append(t.Context(), testGroup(201, 1))
		require.ErrorIs(t, err, ErrLost, name)
		require.ErrorIs(t, err, journal.ErrDamaged, name)
		require.ErrorIs(t, j.Append(t.Context(), testGroup(201, 1)), ErrLost, name)
		require.ErrorIs(t, j.Beat(t.Context()), ErrLost, name)
	}
}

// TestLossWithinMemory deletes only the stream, then only the tail.
func TestLossWithinMemory(t *testing.T) {
	s := redistest.Start(t)
	o := Options{Address: s.URL(), Name: freshName()}
	j := claimed(t, o)
	var want []journal.Group
	for _, key := range []string{j.link.stream, j.link.tail} {
		for range 3 {
			g := testGroup(j.Status().Last+1, 10)
			require.NoError(t, j.Append(t.Context(), g))
			want = append(want, g)
		}
		require.NoError(t, j.link.client.Del(t.Context(), key).Err())
	}
	g := testGroup(j.Status().Last+1, 1)
	require.NoError(t, j.Append(t.Context(), g))
	require.Equal(t, append(want, g), contentsOf(t, o).groups)
}

// TestDeposedLeader claims the journal for another program while the leader appends, is delayed by the network, or has
// lost its connection. After the claim, no group of the old leader is appended, and it acknowledges none (I8).
func TestDeposedLeader(t *testing.T) {
	r := seeded(t)
	s := redistest.Start(t)
	for round := range rounds(t, 50) {
		proxy := redistest.NewProxy(t, s.Addr())
		name := freshName()
		old := claimed(t, Options{Address: proxy.URL(), Name: name, Timeout: 20 * time.Millisecond})
		a := startAppender(old, r.Uint64())
		a.wait(t, 1+r.IntN(5))
		yield(r)
		switch round % 3 {
		case 1:
			proxy.Plan(func(redistest.Piece) redistest.Fault { return redistest.Fault{BlackHole: true} })
		case 2:
			proxy.Plan(func(p redistest.Piece) redistest.Fault {
				if p.ToServer {
					return redistest.Fault{Delay: 10 * time.Millisecond}
				}
				return redistest.Fault{Lose: true}
			})
		}
		yield(r)
		now := claimed(t, Options{Address: s.URL(), Name: name})
		require.EqualValues(t, 2, now.Epoch())
		own := testGroup(now.Status().Last+1, 3)
		require.NoError(t, now.Append(t.Context(), own))
		proxy.Plan(nil)
		<-a.done
		require.ErrorIs(t, a.err, journal.ErrFenced)
		require.ErrorIs(t, old.Beat(t.Context()), journal.ErrFenced)

		got := contentsOf(t, Options{Address: s.URL(), Name: name}).groups
		require.GreaterOrEqual(t, len(got), len(a.groups)+1, "an acknowledged group is lost")
		require.LessOrEqual(t, len(got), len(a.groups)+2, "more than the group in flight was appended")
		require.Equal(t, a.groups, got[:len(a.groups)])
		require.Equal(t, own, got[len(got)-1], "a group of the old leader follows the claim")
		require.NoError(t, now.Close())
		require.NoError(t, old.Close())
	}
}

// TestManyClaims (I8) has several programs claim after a short silence, concurrently and repeatedly. The journal
// contains every acknowledged group once.
func TestManyClaims(t *testing.T) {
	s := redistest.Start(t)
	o := Options{Address: s.URL(), Name: freshName()}
	var running sync.WaitGroup
	acknowledged := make([][]journal.Group, 4)
	for i := range acknowledged {
		running.Go(func() {
			for range 10 {
				j, err := Open(o)
				if err != nil {
					t.Error(err)
					return
				}
				for err = journal.ErrNotSilent; errors.Is(err, journal.ErrNotSilent); {
					if _, err = j.Follow(t.Context(), discard(), time.Millisecond, func(string) {}); err == nil {
						err = j.Claim(t.Context(), "")
					}
				}
				for err == nil && len(acknowledged[i])%7 != 6 {
					g := testGroup(j.Status().Last+1, 1+i)
					if err = j.Append(t.Context(), g); err == nil {
						acknowledged[i] = append(acknowledged[i], g)
					}
				}
				if err != nil && !errors.Is(err, journal.ErrFenced) {
					t.Error(err)
				}
				if err := j.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	running.Wait()
	got := map[uint64]journal.Group{}
	for _, g := range contentsOf(t, o).groups {
		got[g.First] = g
	}
	for _, list := range acknowledged {
		for _, g := range list {
			require.Equal(t, g, got[g.First])
		}
	}
}

// TestStalledRedis requires that callers of the writer receive ErrStalled after its timeout, and that appending
// continues without a restart.
func TestStalledRedis(t *testing.T) {
	s := redistest.Start(t)
	o := Options{Address: s.URL(), Name: freshName(), Timeout: 50 * time.Millisecond}
	j := claimed(t, o)
	var q queue
	w := journal.NewWriter(j, journal.Feed{Fill: q.fill, Durable: func(journal.Group) {}}, 0, 100*time.Millisecond)
	put := func() uint64 {
		seq := q.add([]byte("a record"))
		w.Wake()
		return seq
	}
	require.NoError(t, w.Wait(t.Context(), put()))
	s.Stop()
	seq := put()
	require.ErrorIs(t, w.Wait(t.Context(), seq), journal.ErrStalled)
	require.ErrorIs(t, w.Err(), journal.ErrStalled)
	until(t, "the cause of the retries is visible", func() bool { return j.Status().Retrying != nil })
	s.Continue()
	until(t, "the record is durable", func() bool { return w.Durable() >= seq })
	require.NoError(t, w.Wait(t.Context(), put()))
	require.NoError(t, w.Err())
	require.NoError(t, j.Status().Retrying)

	s.Stop()
	put()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	began := time.Now()
	require.Error(t, w.Close(ctx))
	require.NoError(t, j.Close())
	require.Less(t, time.Since(began), time.Second, "closing must not wait for a Redis that does not respond")
	s.Continue()
}

// TestTransientErrors requires that appending is retried while Redis responds with an error that may pass.
func TestTransientErrors(t *testing.T) {
	s := redistest.Start(t)
	o := Options{Address: s.URL(), Name: freshName()}
	j := claimed(t, o)
	client := j.link.client
	ctx := t.Context()
	for _, c := range []struct {
		want          string
		cause, remedy []any
	}{
		{"OOM", []any{"config", "set", "maxmemory", "1"}, []any{"config", "set", "maxmemory", "0"}},
		{"READONLY", []any{"replicaof", "127.0.0.1", "1"}, []any{"replicaof", "no", "one"}},
		{"NOREPLICAS", []any{"config", "set", "min-replicas-to-write", "1"},
			[]any{"config", "set", "min-replicas-to-write", "0"}},
		{"", []any{"script", "flush"}, []any{"ping"}},
	} {
		require.NoError(t, client.Do(ctx, c.cause...).Err())
		appended := make(chan error, 1)
		go func() { appended <- j.Append(ctx, testGroup(j.Status().Last+1, 3)) }()
		if c.want != "" {
			until(t, c.want, func() bool {
				err := j.Status().Retrying
				return err != nil && strings.Contains(err.Error(), c.want)
			})
		}
		require.NoError(t, client.Do(ctx, c.remedy...).Err())
		require.NoError(t, <-appended, c.want)
	}
	require.Len(t, contentsOf(t, o).groups, 4)

	require.NoError(t, client.Set(ctx, j.link.stream, "something else", 0).Err())
	err := j.Append(ctx, testGroup(13, 1))
	require.ErrorIs(t, err, journal.ErrForeign)
}
