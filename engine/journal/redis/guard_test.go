package redis

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/seathold/seathold/engine/journal"
	"github.com/seathold/seathold/engine/journal/redis/redistest"
	"github.com/stretchr/testify/require"
)

// logBuffer collects log lines. It may be read while they are written.
type logBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *logBuffer) logger() *slog.Logger { return slog.New(slog.NewTextHandler(b, nil)) }

// String returns all lines so far.
func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// count returns how many lines contain the text.
func (b *logBuffer) count(text string) (n int) {
	for line := range strings.Lines(b.String()) {
		if strings.Contains(line, text) {
			n++
		}
	}
	return n
}

const (
	lostLine     = "nothing is acknowledged until it does"
	restoredLine = "guarantees again"
)

func configSet(t testing.TB, s *redistest.Server, setting, value string) {
	t.Helper()
	client := redis.NewClient(&redis.Options{Addr: s.Addr()})
	defer client.Close()
	require.NoError(t, client.ConfigSet(t.Context(), setting, value).Err())
}

// appending is a call of Append that may be held.
type appending struct {
	done chan error
}

func startAppend(j *Journal, g journal.Group) appending {
	a := appending{make(chan error, 1)}
	go func() { a.done <- j.Append(context.Background(), g) }()
	return a
}

func (a appending) held(t testing.TB) {
	t.Helper()
	select {
	case err := <-a.done:
		require.FailNow(t, "a group was acknowledged without the guarantee", "%v", err)
	default:
	}
}

// TestGuaranteeLostWhileLeading changes a setting of Redis while a leader that requires the guarantee appends. No group
// is acknowledged before the setting is restored; meanwhile the leader beats (I5).
func TestGuaranteeLostWhileLeading(t *testing.T) {
	t.Parallel()
	for setting, values := range map[string][2]string{
		"appendfsync":      {"no", "always"},
		"appendonly":       {"no", "yes"},
		"maxmemory-policy": {"allkeys-lru", "noeviction"},
	} {
		t.Run(setting, func(t *testing.T) {
			t.Parallel()
			s := redistest.Start(t, append([]string{"--maxmemory", "100mb"}, redistest.Durable...)...)
			var log logBuffer
			j := claimed(t, Options{Address: s.URL(), RequireSafe: true, CheckEvery: 5 * time.Millisecond, Log: log.logger()})
			require.NoError(t, j.Append(t.Context(), testGroup(1, 5)))
			require.NoError(t, j.Withheld())
			configSet(t, s, setting, values[0])
			until(t, "the change is noticed", func() bool { return j.Withheld() != nil })
			require.ErrorIs(t, j.Withheld(), journal.ErrUnsafe)
			require.NotEmpty(t, j.Condition().Unsafe)
			waiting := startAppend(j, testGroup(6, 5))
			until(t, "the leader beats twice while it waits", func() bool {
				var beats int
				for _, m := range messagesOf(t, j.link) {
					if m.kind() == beatType && m.id.number >= 4 { // after two groups and a beat
						beats++
					}
				}
				return beats > 0
			})
			waiting.held(t)
			before := messagesOf(t, j.link)
			configSet(t, s, setting, values[1])
			require.NoError(t, <-waiting.done)
			after := messagesOf(t, j.link)
			require.Positive(t, after[len(after)-1].id.compare(before[len(before)-1].id), "no beat has synced the group")
			require.NoError(t, j.Withheld())
			require.Empty(t, j.Condition().Unsafe)
			// A file that is new does not count before it has the data, which is another reason and another line.
			require.Contains(t, []int{1, 2}, log.count(lostLine), log.String())
			require.Equal(t, 1, log.count(restoredLine), log.String())
			require.NoError(t, j.Append(t.Context(), testGroup(11, 5)))
			require.Len(t, contentsOf(t, Options{Address: s.URL()}).groups, 3)
		})
	}
}

// TestGuaranteeIsCheckedAfterReconnection changes a setting and resets the connections of a leader that makes no
// periodic checks. The next group is sent over a new connection and is not acknowledged (I5).
func TestGuaranteeIsCheckedAfterReconnection(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	proxy := redistest.NewProxy(t, s.Addr())
	j := claimed(t, Options{Address: proxy.URL(), RequireSafe: true, CheckEvery: -1})
	require.NoError(t, j.Append(t.Context(), testGroup(1, 5)))
	configSet(t, s, "appendfsync", "everysec")
	require.NoError(t, j.Append(t.Context(), testGroup(6, 5)), "nothing has caused a check")
	proxy.Cut()
	waiting := startAppend(j, testGroup(11, 5))
	until(t, "the change is noticed", func() bool { return j.Withheld() != nil })
	waiting.held(t)
	configSet(t, s, "appendfsync", "always")
	require.NoError(t, <-waiting.done)
}

// TestWithoutRequireSafe requires that a lost guarantee is reported, and that groups are acknowledged all the same.
func TestWithoutRequireSafe(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	var log logBuffer
	j := claimed(t, Options{Address: s.URL(), CheckEvery: 5 * time.Millisecond, Log: log.logger()})
	configSet(t, s, "appendfsync", "no")
	until(t, "the change is noticed", func() bool { return len(j.Condition().Unsafe) > 0 })
	require.NoError(t, j.Withheld())
	require.NoError(t, j.Append(t.Context(), testGroup(1, 5)))
	require.Equal(t, []string{"appendfsync is no"}, j.Condition().Unsafe)
	require.Equal(t, 1, log.count("does not guarantee"))
	configSet(t, s, "appendfsync", "always")
	until(t, "the change is noticed", func() bool { return log.count(restoredLine) == 1 })
}

// TestHeldGroupEndsWithContext requires that a group which is not acknowledged does not delay the end of the program.
func TestHeldGroupEndsWithContext(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t, "--appendonly", "yes", "--appendfsync", "everysec")
	j := claimed(t, Options{Address: s.URL(), RequireSafe: true})
	ctx, cancel := context.WithCancel(t.Context())
	failed := make(chan error, 1)
	go func() { failed <- j.Append(ctx, testGroup(1, 5)) }()
	until(t, "the group is in the stream", func() bool { return j.Status().Last == 5 })
	cancel()
	require.ErrorIs(t, <-failed, context.Canceled)
	require.ErrorIs(t, j.Append(t.Context(), testGroup(6, 5)), context.Canceled)
}

// beforeBeat calls a function once before a beat.
type beforeBeat struct {
	call atomic.Pointer[func()]
}

func (b *beforeBeat) DialHook(next redis.DialHook) redis.DialHook { return next }

func (b *beforeBeat) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (b *beforeBeat) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if args := cmd.Args(); len(args) > 1 && args[1] == beatScript.Hash() {
			if call := b.call.Swap(nil); call != nil {
				(*call)()
			}
		}
		return next(ctx, cmd)
	}
}

// TestReconnectionWhileHeld restores the guarantee while a group is held, and takes it away again between the check
// that is satisfied and the beat, with all connections. The beat arrives at a Redis that was not checked, so the group
// is held until the next check (I5).
func TestReconnectionWhileHeld(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	proxy := redistest.NewProxy(t, s.Addr())
	j := claimed(t, Options{Address: proxy.URL(), RequireSafe: true, CheckEvery: -1})
	var beats beforeBeat
	j.link.client.AddHook(&beats)
	configSet(t, s, "appendfsync", "no")
	waiting := startAppend(j, testGroup(1, 5))
	until(t, "the group is held", func() bool { return j.Withheld() != nil })
	lost := make(chan struct{})
	var lose func()
	lose = func() {
		if j.Withheld() != nil { // the check has not seen the setting yet
			beats.call.Store(&lose)
			return
		}
		configSet(t, s, "appendfsync", "no")
		proxy.Cut()
		close(lost)
	}
	beats.call.Store(&lose)
	configSet(t, s, "appendfsync", "always")
	<-lost
	until(t, "the change is noticed", func() bool { return j.Withheld() != nil })
	waiting.held(t)
	configSet(t, s, "appendfsync", "always")
	require.NoError(t, <-waiting.done)
}

// TestHeldLeaderBeatsWithoutRights denies a leader the question whether Redis is safe. Its group is held, and it beats
// meanwhile, so that no standby claims from it.
func TestHeldLeaderBeatsWithoutRights(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	proxy := redistest.NewProxy(t, s.Addr())
	j := claimed(t, Options{Address: proxy.URL(), RequireSafe: true, CheckEvery: -1})
	do(t, s, "acl", "setuser", "default", "-info")
	proxy.Cut()
	waiting := startAppend(j, testGroup(1, 5))
	seen := map[id]bool{}
	until(t, "the leader beats", func() bool {
		for _, m := range messagesOf(t, j.link) {
			if m.kind() == beatType {
				seen[m.id] = true
			}
		}
		return len(seen) > 1
	})
	waiting.held(t)
	require.ErrorContains(t, j.Condition().Retrying, "NOPERM")
	do(t, s, "acl", "setuser", "default", "+info")
	require.NoError(t, <-waiting.done)
}

// TestEpochOfFollower requires that a follower has no epoch of its own, also after it has failed or was closed.
func TestEpochOfFollower(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	o := Options{Address: s.URL(), Name: freshName()}
	leader := claimed(t, o)
	require.NoError(t, leader.Append(t.Context(), testGroup(1, 5)))
	f := startFollower(t, o, time.Hour)
	until(t, "it follows", func() bool { return f.journal.Status().Epoch == leader.Epoch() })
	require.Zero(t, f.journal.Epoch())
	require.NoError(t, leader.link.client.Del(t.Context(), leader.link.stream).Err())
	require.NoError(t, leader.Append(t.Context(), testGroup(6, 5)))
	require.NoError(t, f.journal.Close())
	<-f.done
	require.Error(t, f.err)
	require.Zero(t, f.journal.Epoch())
	require.NotZero(t, leader.Epoch())
	require.NoError(t, leader.Close())
	require.NotZero(t, leader.Epoch())
}
