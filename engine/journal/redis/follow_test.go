package redis

import (
	"context"
	"errors"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/seathold/seathold/engine/journal"
	"github.com/seathold/seathold/engine/journal/redis/redistest"
	"github.com/stretchr/testify/require"
)

// follower follows a journal in the background.
type follower struct {
	journal *Journal
	cancel  context.CancelFunc
	done    chan struct{}
	ended   time.Time // when Follow returned

	mu    sync.Mutex
	got   contents
	alive int // calls of Follow's callback
	err   error
}

func startFollower(t *testing.T, o Options, silence time.Duration) *follower {
	t.Helper()
	j, err := Open(o)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	f := &follower{journal: j, cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(f.done)
		_, f.err = j.Follow(ctx, f.into(), silence, func(string) {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.alive++
		})
		f.ended = time.Now()
	}()
	t.Cleanup(func() {
		cancel()
		<-f.done
		require.NoError(t, j.Close())
	})
	return f
}

func (f *follower) into() journal.Recovery {
	to := f.got.into()
	keep := to.Group
	to.Group = func(g journal.Group) error {
		f.mu.Lock()
		defer f.mu.Unlock()
		return keep(g)
	}
	return to
}

func (f *follower) groups() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.got.groups)
}

func (f *follower) signs() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.alive
}

// TestTakeover follows a leader that is busy, then idle, then dead, and claims in its place.
func TestTakeover(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	o := Options{Address: s.URL(), Name: freshName()}
	leader := claimed(t, o)
	var q queue
	w := journal.NewWriter(leader, journal.Feed{Fill: q.fill, Durable: func(journal.Group) {}}, 0, time.Minute)
	put := func() {
		for range 50 {
			seq := q.add([]byte("a record"))
			w.Wake()
			require.NoError(t, w.Wait(t.Context(), seq))
		}
	}
	put()
	const silence = 800 * time.Millisecond // longer than a beat's interval; the leader is idle for several times as long
	f := startFollower(t, o, silence)
	put()
	until(t, "the follower has all groups", func() bool { return f.groups() == 100 })
	until(t, "the follower receives four beats", func() bool { return f.signs() >= 5 })
	require.Equal(t, "http://leader.test:8080", f.journal.Status().Leader)
	require.Zero(t, f.journal.Epoch())
	put()

	died := time.Now()
	abandon(leader)
	if err := w.Close(t.Context()); err != nil { // the writer tried to send a beat
		require.ErrorIs(t, err, journal.ErrClosed)
	}
	<-f.done
	require.NoError(t, f.err)
	require.InDelta(t, silence.Seconds(), f.ended.Sub(died).Seconds(), 0.7)
	require.NoError(t, f.journal.Claim(t.Context(), "http://standby.test:8080"))
	require.EqualValues(t, 150, f.journal.Status().Last)
	require.EqualValues(t, 2, f.journal.Epoch())
	require.NoError(t, f.journal.Append(t.Context(), testGroup(151, 1)))
	require.Equal(t, append(f.got.groups, testGroup(151, 1)), contentsOf(t, o).groups)
}

// TestStepDown requires that a follower takes over without waiting for silence.
func TestStepDown(t *testing.T) {
	s := redistest.Start(t)
	o := Options{Address: s.URL(), Name: freshName()}
	leader := claimed(t, o)
	f := startFollower(t, o, time.Minute)
	require.NoError(t, leader.Append(t.Context(), testGroup(1, 5)))
	began := time.Now()
	require.NoError(t, leader.StepDown(t.Context()))
	require.ErrorIs(t, leader.Append(t.Context(), testGroup(6, 1)), journal.ErrClosed)
	<-f.done
	require.NoError(t, f.err)
	require.NoError(t, f.journal.Claim(t.Context(), ""))
	require.Less(t, time.Since(began), time.Second)
	require.Equal(t, []journal.Group{testGroup(1, 5)}, f.got.groups)

	second := startFollower(t, o, time.Minute) // the old leader's resignation must not end it
	require.NoError(t, f.journal.Append(t.Context(), testGroup(6, 1)))
	until(t, "the next follower has both groups", func() bool { return second.groups() == 2 })
}

// losesReply is a client's hook that loses the first reply 1 of a script whose last argument is the given one, after a
// call of then.
type losesReply struct {
	script *redis.Script
	last   string
	then   func()
	lost   bool
}

func (l *losesReply) DialHook(next redis.DialHook) redis.DialHook { return next }

func (l *losesReply) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (l *losesReply) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		args := cmd.Args()
		ours := len(args) > 1 && args[1] == l.script.Hash() && args[len(args)-1] == l.last
		if err != nil || !ours || cmd.(*redis.Cmd).Val() != int64(1) || l.lost {
			return err
		}
		l.lost = true
		l.then()
		cmd.SetErr(io.EOF)
		return io.EOF
	}
}

// TestResignationRepeated loses the reply of a resignation, whose first attempt has only corrected the tail. StepDown
// succeeds, whether or not a follower claims before it repeats the resignation.
func TestResignationRepeated(t *testing.T) {
	s := redistest.Start(t)
	for _, claims := range []bool{false, true} {
		o := Options{Address: s.URL(), Name: freshName()}
		leader := claimed(t, o)
		require.NoError(t, leader.Append(t.Context(), testGroup(1, 5)))
		damage(t, leader.link, "tail", []any{"set", "garbage"})
		f := startFollower(t, o, time.Minute)
		hook := &losesReply{script: beatScript, last: resignType, then: func() {
			<-f.done
			if f.err == nil && claims {
				f.err = f.journal.Claim(t.Context(), "")
			}
		}}
		leader.link.client.AddHook(hook)
		require.NoError(t, leader.StepDown(t.Context()))
		require.True(t, hook.lost)
		require.NoError(t, f.err)
		require.ErrorIs(t, leader.Append(t.Context(), testGroup(6, 1)), journal.ErrClosed)
	}
}

// TestClaimRepeated loses the reply of a claim. The repeated claim finds its entry and succeeds.
func TestClaimRepeated(t *testing.T) {
	s := redistest.Start(t)
	o := Options{Address: s.URL(), Name: freshName()}
	for epoch := range uint64(2) {
		f := startFollower(t, o, time.Millisecond)
		<-f.done
		require.NoError(t, f.err)
		warm := claimScript.Load(t.Context(), f.journal.link.client) // so that the hook meets the hash
		require.NoError(t, warm.Err())
		hook := &losesReply{script: claimScript, last: f.journal.reader.newest.String(), then: func() {}}
		f.journal.link.client.AddHook(hook)
		require.NoError(t, f.journal.Claim(t.Context(), ""))
		require.True(t, hook.lost)
		require.Equal(t, epoch+1, f.journal.Epoch())
		require.NoError(t, f.journal.Append(t.Context(), testGroup(epoch+1, 1)))
	}
	require.Len(t, contentsOf(t, o).groups, 2)
}

// TestClaimOnlyWhatWasRead (I8) claims after the leader has added something that Follow did not deliver: a group, a
// beat, a resignation, or after another program has claimed. The claim changes nothing, and Follow continues.
func TestClaimOnlyWhatWasRead(t *testing.T) {
	s := redistest.Start(t)
	o := Options{Address: s.URL(), Name: freshName()}
	leader := claimed(t, o)
	require.NoError(t, leader.Append(t.Context(), testGroup(1, 5)))
	j, err := Open(o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, j.Close()) })
	var got contents
	heard := 0
	follow := func() {
		found, err := j.Follow(t.Context(), got.into(), 0, func(leader string) {
			require.Equal(t, "http://leader.test:8080", leader)
			heard++
		})
		require.NoError(t, err)
		require.Equal(t, len(got.groups), found.Groups)
		require.EqualValues(t, j.Status().Last, found.Last)
	}
	follow()
	for i, add := range []func() error{
		func() error { return leader.Append(t.Context(), testGroup(6, 5)) },
		func() error { return leader.Beat(t.Context()) },
		func() error { return leader.Beat(t.Context()) },
		func() error { leader = claimed(t, o); return nil },
		func() error { return leader.StepDown(t.Context()) },
	} {
		require.NoError(t, add())
		before := messagesOf(t, j.link)
		require.ErrorIs(t, j.Claim(t.Context(), ""), journal.ErrNotSilent, "step %d", i)
		require.Equal(t, before, messagesOf(t, j.link), "a refused claim changes nothing")
		follow()
	}
	require.Equal(t, 4, heard, "a resignation is no sign of life")
	require.NoError(t, j.Claim(t.Context(), ""))
	require.Equal(t, []journal.Group{testGroup(1, 5), testGroup(6, 5)}, got.groups)
	require.EqualValues(t, 3, j.Epoch())
	require.NoError(t, j.Append(t.Context(), testGroup(11, 5)))
}

// TestStalledRedisIsNotSilence stalls Redis for longer than the silence. The follower must not take over.
func TestStalledRedisIsNotSilence(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	o := Options{Address: s.URL(), Name: freshName(), Timeout: 100 * time.Millisecond}
	leader := claimed(t, o)
	const silence = 300 * time.Millisecond
	f := startFollower(t, o, silence)
	beat := func(n int) {
		for range n {
			require.NoError(t, leader.Beat(t.Context()))
		}
	}
	until(t, "the follower receives a beat", func() bool { beat(1); return f.signs() > 0 })
	s.Stop()
	pause := time.NewTimer(2 * silence)
	<-pause.C
	s.Continue()
	tick := time.NewTicker(silence / 6)
	defer tick.Stop()
	for range 20 {
		<-tick.C
		beat(1)
	}
	select {
	case <-f.done:
		require.Fail(t, "the follower must not give up on the leader", "%v", f.err)
	default:
	}
	require.Greater(t, f.signs(), 10)
}

// TestBeatsDoNotAccumulate counts the entries after many beats.
func TestBeatsDoNotAccumulate(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	o := Options{Address: s.URL(), Name: freshName()}
	j := claimed(t, o)
	for i := range uint64(5) {
		for range 50 {
			require.NoError(t, j.Beat(t.Context()))
		}
		require.NoError(t, j.Append(t.Context(), testGroup(i+1, 1)))
	}
	require.Len(t, messagesOf(t, j.link), 1+5+5, "a claim, groups, and a beat before each")
	require.Len(t, contentsOf(t, o).groups, 5)
}

// TestFollowerDiverges follows a leader whose Redis loses entries for good.
func TestFollowerDiverges(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	o := Options{Address: s.URL(), Name: freshName()}
	leader := claimed(t, o)
	require.NoError(t, leader.Append(t.Context(), testGroup(1, 5)))
	f := startFollower(t, o, 300*time.Millisecond)
	g := startFollower(t, o, time.Minute)
	until(t, "both have followed", func() bool { return f.groups() == 1 && g.groups() == 1 })
	require.NoError(t, f.journal.link.client.FlushAll(t.Context()).Err())
	<-f.done
	require.NoError(t, f.err)
	require.ErrorIs(t, f.journal.Claim(t.Context(), ""), ErrDiverged)

	o.New = true // the Redis was flushed
	other := claimed(t, o)
	for i := range uint64(3) {
		require.NoError(t, other.Append(t.Context(), testGroup(i+1, 1)))
	}
	<-g.done
	require.ErrorIs(t, g.err, ErrDiverged)
}

// TestFollowerOfShorterJournal (I5): the leader has died, and Redis has lost a group that it had acknowledged and that
// a follower has read. The follower does not claim, and where Redis was required to be safe it learns that it may have
// the only copy.
func TestFollowerOfShorterJournal(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	for _, required := range []bool{true, false} {
		o := Options{Address: s.URL(), Name: freshName()}
		leader := claimed(t, o)
		l := leader.link
		require.NoError(t, leader.Append(t.Context(), testGroup(1, 5)))
		shorter, err := l.client.Dump(t.Context(), l.stream).Result()
		require.NoError(t, err)
		require.NoError(t, leader.Append(t.Context(), testGroup(6, 1)))
		o.RequireSafe = required
		f := startFollower(t, o, 300*time.Millisecond)
		until(t, "it has followed", func() bool { return f.groups() == 2 })
		require.NoError(t, l.client.RestoreReplace(t.Context(), l.stream, 0, shorter).Err())
		<-f.done
		require.NoError(t, f.err)
		err = f.journal.Claim(t.Context(), "")
		require.ErrorIs(t, err, ErrDiverged)
		require.Equal(t, required, errors.Is(err, journal.ErrGone), err)
	}
}

// TestFollowFromCheckpoint follows a journal that begins with a checkpoint, and one that is damaged.
func TestFollowFromCheckpoint(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	leader, o := filled(t, s, 6, 20, 40)
	f := startFollower(t, o, time.Minute)
	until(t, "the follower has caught up", func() bool { return f.groups() == 2 })
	require.NoError(t, leader.Append(t.Context(), testGroup(61, 1)))
	until(t, "the follower has the new group", func() bool { return f.groups() == 3 })
	f.cancel()
	<-f.done
	require.ErrorIs(t, f.err, context.Canceled)
	require.Equal(t, chunksAt(40), f.got.chunks)

	require.NoError(t, leader.link.client.XDel(t.Context(), leader.link.stream, "1-5").Err())
	broken := startFollower(t, o, time.Minute)
	<-broken.done
	require.ErrorIs(t, broken.err, journal.ErrDamaged)
	require.False(t, errors.Is(broken.err, ErrDiverged), "starting over would not help")
}
