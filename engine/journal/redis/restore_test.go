package redis

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/seathold/seathold/engine/journal"
	"github.com/seathold/seathold/engine/journal/redis/redistest"
	"github.com/stretchr/testify/require"
)

// damages are what can happen to each key that is made again: its value is removed, or another one replaces it.
var damages = []struct {
	key     string
	name    string
	command []any // after the key is removed
}{
	{"tail", "is removed", nil},
	{"tail", "is a list", []any{"lpush", "x"}},
	{"tail", "is garbage", []any{"set", "garbage"}},
	{"tail", "is another position", []any{"set", "9-0:0123456789abcdef"}},
	{"leader", "is removed", nil},
	{"leader", "is a list", []any{"lpush", "x"}},
	{"leader", "is garbage", []any{"set", "garbage"}},
	{"leader", "is another claim", []any{"set", "9-0:0123456789abcdef http://elsewhere.test"}},
	{"checkpoints", "is removed", nil},
	{"checkpoints", "is a string", []any{"set", "garbage"}},
	{"checkpoints", "has other fields", []any{"hset", "x", "y", "1-1", "checkpoint.1 garbage"}},
}

// damage applies one of damages, in one step.
func damage(t *testing.T, l *link, key string, command []any) {
	_, err := l.client.TxPipelined(t.Context(), func(p redis.Pipeliner) error {
		key = map[string]string{"tail": l.tail, "leader": l.leader, "checkpoints": l.checkpoints}[key]
		p.Del(t.Context(), key)
		if command != nil {
			p.Do(t.Context(), append([]any{command[0], key}, command[1:]...)...)
		}
		return nil
	})
	require.NoError(t, err)
}

// eachDamage runs a test for each of damages, with a journal that has two checkpoints.
func eachDamage(t *testing.T, test func(t *testing.T, leader *Journal, o Options, damaged func(l *link))) {
	t.Parallel()
	s := redistest.Start(t)
	for _, d := range damages {
		t.Run(d.key+" "+d.name, func(t *testing.T) {
			leader, o := filled(t, s, 6, 20, 40)
			test(t, leader, o, func(l *link) { damage(t, l, d.key, d.command) })
		})
	}
}

// requireWhole requires that the keys hold what the leader's do, and that a recovery uses the checkpoint at start and
// delivers everything up to the leader's last record.
func requireWhole(t *testing.T, leader *Journal, o Options, start uint64) {
	t.Helper()
	l := leader.link
	require.Equal(t, leader.tail.String(), l.client.Get(t.Context(), l.tail).Val())
	require.Equal(t, leader.claim.leaderValue(), l.client.Get(t.Context(), l.leader).Val())
	require.Subset(t, starts(t, l), []uint64{leader.intact[0].start, leader.intact[1].start})
	got := contentsOf(t, o)
	require.Equal(t, start, got.recovered.Checkpoint.Start)
	require.Equal(t, chunksAt(start), got.chunks)
	require.Equal(t, leader.Status().Last, got.recovered.Last)
	require.Empty(t, got.recovered.Notes)
}

// TestDamagedKeysWhileLeading damages a key under a leader. It continues to append and beat, makes the key again, and
// writes its next checkpoint.
func TestDamagedKeysWhileLeading(t *testing.T) {
	eachDamage(t, func(t *testing.T, leader *Journal, o Options, damage func(l *link)) {
		for range 2 {
			damage(leader.link)
			leader.restoredAt = time.Time{} // a second has passed
			require.NoError(t, leader.Append(t.Context(), testGroup(leader.Status().Last+1, 10)))
			requireWhole(t, leader, o, 40)
			damage(leader.link)
			leader.restoredAt = time.Time{}
			require.NoError(t, leader.Beat(t.Context()))
			require.NoError(t, leader.Beat(t.Context())) // the first may only have found the journal's end
			requireWhole(t, leader, o, 40)
		}
		checkpointAt(t, leader, 80)
		requireWhole(t, leader, o, 80)
	})
}

// TestStreamDecidesWhoLeads removes the tail, so that the leader reads the end of the stream itself, while the leader
// key names a later epoch. The stream ends with the leader's own entry, so it is not deposed.
func TestStreamDecidesWhoLeads(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	leader, o := filled(t, s, 6, 20, 40)
	for range 2 {
		damage(t, leader.link, "leader", []any{"set", "9-0:0123456789abcdef http://elsewhere.test"})
		damage(t, leader.link, "tail", nil)
		require.NoError(t, leader.Append(t.Context(), testGroup(leader.Status().Last+1, 10)))
	}
	leader.restoredAt = time.Time{}
	require.NoError(t, leader.Beat(t.Context()))
	requireWhole(t, leader, o, 40)
}

// TestDamagedKeysDuringCheckpoint damages a key before each step of a checkpoint, while the leader beats. The
// checkpoint completes, and nothing of another one is left.
func TestDamagedKeysDuringCheckpoint(t *testing.T) {
	eachDamage(t, func(t *testing.T, leader *Journal, o Options, damage func(l *link)) {
		stop, done := make(chan struct{}), make(chan error, 1)
		go func() {
			for {
				select {
				case <-stop:
					done <- nil
					return
				default:
				}
				if err := leader.Beat(context.WithoutCancel(t.Context())); err != nil {
					done <- err
					return
				}
			}
		}()
		withoutPace(leader)
		damage(leader.link)
		c, err := leader.Checkpoint(t.Context(), 60)
		require.NoError(t, err)
		for _, count := range []int{1, 60_000, 1} {
			damage(leader.link)
			require.NoError(t, c.Write(testGroup(60, count).Records))
			require.NoError(t, c.(*checkpoint).flush(pieceBytes))
		}
		damage(leader.link)
		require.NoError(t, c.Commit(60))
		close(stop)
		require.NoError(t, <-done)
		leader.restoredAt = time.Time{}
		require.NoError(t, leader.Beat(t.Context()))
		requireWhole(t, leader, o, 60)
		require.Equal(t, []uint64{40, 60}, starts(t, leader.link))
		require.Len(t, leader.link.client.HKeys(t.Context(), leader.link.checkpoints).Val(), 2)
		next := keysOf(t, leader.link)
		checkpointAt(t, leader, 60)
		require.Equal(t, next, keysOf(t, leader.link))
	})
}

// TestDamagedKeysWhileFollowing damages a key under a leader and a follower. The follower receives every group, and the
// next one as well, which begins with the damaged key.
func TestDamagedKeysWhileFollowing(t *testing.T) {
	eachDamage(t, func(t *testing.T, leader *Journal, o Options, damage func(l *link)) {
		f := startFollower(t, o, time.Minute)
		until(t, "the follower has caught up", func() bool { return f.journal.Status().Last == 60 })
		damage(leader.link)
		late := startFollower(t, o, time.Minute)
		leader.restoredAt = time.Now() // the key stays damaged while the second follower begins
		until(t, "the second follower has caught up or failed", func() bool {
			select {
			case <-late.done:
				return true
			default:
				return late.journal.Status().Last == 60
			}
		})
		require.NoError(t, leader.Append(t.Context(), testGroup(61, 10)))
		for _, follower := range []*follower{f, late} {
			until(t, "the follower has the new group", func() bool { return follower.journal.Status().Last == 70 })
			require.EqualValues(t, 1, follower.journal.Status().Epoch)
		}
	})
}

// TestDamagedKeysWhileClaiming damages a key after the leader has died. The standby claims the next epoch, makes the
// key again, and loses nothing.
func TestDamagedKeysWhileClaiming(t *testing.T) {
	eachDamage(t, func(t *testing.T, leader *Journal, o Options, damage func(l *link)) {
		f := startFollower(t, o, 30*time.Millisecond)
		<-f.done
		require.NoError(t, f.err)
		abandon(leader)
		damage(f.journal.link)
		require.NoError(t, f.journal.Claim(t.Context(), "http://standby.test:8080"))
		require.EqualValues(t, 2, f.journal.Epoch())
		require.NoError(t, f.journal.Append(t.Context(), testGroup(61, 10)))
		checkpointAt(t, f.journal, 70)
		got := contentsOf(t, o)
		require.EqualValues(t, 70, got.recovered.Checkpoint.Start)
		require.EqualValues(t, 70, got.recovered.Last)
	})
}

// TestRecoverWithDamagedKeys damages a key of a journal without a leader. Without the hash of checkpoints, recovery
// replays the stream, which still has every entry here.
func TestRecoverWithDamagedKeys(t *testing.T) {
	eachDamage(t, func(t *testing.T, leader *Journal, o Options, damage func(l *link)) {
		abandon(leader)
		l, err := newLink(o)
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, l.close()) })
		damage(l)
		got := contentsOf(t, o)
		require.EqualValues(t, 60, got.recovered.Last)
		require.True(t, got.recovered.Led, "a leader may be alive")
		next := claimed(t, o)
		require.EqualValues(t, 2, next.Epoch())
		require.NoError(t, next.Append(t.Context(), testGroup(61, 1)))
		require.EqualValues(t, 61, contentsOf(t, o).recovered.Last)
	})
}

// TestDamagedStreamWhileLeading changes the stream, which is the truth, under a leader that cannot append all of it
// again. Nothing more is acknowledged, every error names the fault, and nothing begins anew.
func TestDamagedStreamWhileLeading(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		damage func(ctx context.Context, l *link) error
		want   error
		text   string
	}{
		"everything is removed": {func(ctx context.Context, l *link) error { return l.client.FlushAll(ctx).Err() }, ErrLost,
			"Redis restarted with less"},
		"the stream is removed": {func(ctx context.Context, l *link) error {
			return l.client.Del(ctx, l.stream).Err()
		}, ErrLost, "Redis restarted with less"},
		"the stream is trimmed to nothing": {func(ctx context.Context, l *link) error {
			return l.client.XTrimMaxLen(ctx, l.stream, 0).Err()
		}, ErrLost, "Redis restarted with less"},
		"the stream is a list": {func(ctx context.Context, l *link) error {
			const list = "redis.call('DEL', KEYS[1]) return redis.call('LPUSH', KEYS[1], 'x')"
			return l.client.Eval(ctx, list, []string{l.stream}).Err()
		}, journal.ErrForeign, "WRONGTYPE"},
		"an entry of another program": {func(ctx context.Context, l *link) error {
			return l.client.Do(ctx, "xadd", l.stream, "*", "temperature", "21").Err()
		}, journal.ErrForeign, "FOREIGN entry"},
		"an entry with a high id, which is removed": {func(ctx context.Context, l *link) error {
			l.client.Do(ctx, "xadd", l.stream, "99-0", "temperature", "21")
			return l.client.XDel(ctx, l.stream, "99-0").Err()
		}, journal.ErrDamaged, "Redis refuses entry"},
	} {
		for _, call := range []string{"append", "beat"} {
			s := redistest.Start(t) // a Redis that was flushed takes no new journal
			o := Options{Address: s.URL(), Name: freshName(), ResendBytes: 200}
			j := claimed(t, o)
			for i := range uint64(20) {
				require.NoError(t, j.Append(t.Context(), testGroup(10*i+1, 10)))
			}
			require.NoError(t, c.damage(t.Context(), j.link))
			before := fmt.Sprint(j.link.client.Type(t.Context(), j.link.stream).Val())
			do := func() error { return j.Append(t.Context(), testGroup(201, 1)) }
			if call == "beat" {
				do = func() error { return j.Beat(t.Context()) }
			}
			for range 2 {
				err := do()
				require.ErrorIs(t, err, c.want, "%s: %s", name, call)
				require.ErrorContains(t, err, c.text)
			}
			require.Equal(t, before, j.link.client.Type(t.Context(), j.link.stream).Val())
			require.ErrorIs(t, j.Status().Failed, c.want)
			_, err := j.Checkpoint(t.Context(), 200)
			require.ErrorIs(t, err, c.want)
		}
	}
}
