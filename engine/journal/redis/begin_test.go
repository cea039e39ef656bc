package redis

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine/journal"
	"github.com/seathold/seathold/engine/journal/redis/redistest"
)

// recovering opens a journal and recovers it.
func recovering(t *testing.T, o Options) error {
	t.Helper()
	j, err := Open(o)
	require.NoError(t, err)
	_, err = j.Recover(discard())
	require.NoError(t, j.Close())
	return err
}

// following opens a journal and follows it until the silence of its leader ends.
func following(t *testing.T, o Options) error {
	t.Helper()
	j, err := Open(o)
	require.NoError(t, err)
	_, err = j.Follow(t.Context(), discard(), 10*time.Millisecond, func(string) {})
	require.NoError(t, j.Close())
	return err
}

// An empty journal is not begun in a Redis that may have lost one.
func TestEmptyPlaceIsNoNewJournal(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		lose func(t *testing.T, s *redistest.Server)
		sign string
	}{
		"FLUSHALL": {func(t *testing.T, s *redistest.Server) { do(t, s, "flushall") }, "FLUSHALL was called"},
		"FLUSHDB": {func(t *testing.T, s *redistest.Server) { do(t, s, "flushdb") },
			"FLUSHDB was called, for this database or another one"},
		"a promoted replica": {func(t *testing.T, s *redistest.Server) {
			do(t, s, "replicaof", "127.0.0.1", "1") // nothing listens there, so it never synced
			do(t, s, "replicaof", "no", "one")
		}, "REPLICAOF was called"},
		"a snapshot of a server with replicas": {func(t *testing.T, s *redistest.Server) {
			replica := redistest.Start(t)
			do(t, replica, "replicaof", "127.0.0.1", fmt.Sprint(s.Port))
			until(t, "the replica is connected", func() bool { return infoOf(t, s)["connected_slaves"] == "1" })
			do(t, s, "save")
			s.Kill()
			s.Restart("--appendonly", "no")
		}, "it was a replica, or has loaded the snapshot of a server with replicas"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := redistest.Start(t)
			o := Options{Address: s.URL(), Name: freshName()}
			require.NoError(t, recovering(t, o), "a new Redis")
			require.NoError(t, following(t, o), "a new Redis")
			c.lose(t, s)
			for _, open := range []func(*testing.T, Options) error{recovering, following} {
				err := open(t, o)
				require.ErrorIs(t, err, journal.ErrGone)
				require.ErrorContains(t, err, o.Name)
				require.ErrorContains(t, err, c.sign)
			}
			o.New = true
			require.NoError(t, recovering(t, o))
			require.NoError(t, claimed(t, o).Append(t.Context(), testGroup(1, 1)))
			o.New = false
			require.NoError(t, recovering(t, o), "there is a journal now")
		})
	}
}

// What a program has read before it does not begin anew.
func TestExpectedJournal(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	o := Options{Address: s.URL(), Name: freshName(), Expected: true}
	require.ErrorIs(t, recovering(t, o), journal.ErrGone)
	require.ErrorIs(t, following(t, o), journal.ErrGone)
	o.Expected = false
	require.NoError(t, claimed(t, o).Append(t.Context(), testGroup(1, 1)))
	o.Expected = true
	require.NoError(t, recovering(t, o))
}

// What Redis has refused has removed nothing.
func TestRefusedFlushIsNoLoss(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	do(t, s, "acl", "setuser", "default", "-flushall")
	l, err := newLink(Options{Address: s.URL()})
	require.NoError(t, err)
	defer l.close()
	require.ErrorContains(t, l.client.FlushAll(t.Context()).Err(), "NOPERM")
	require.Contains(t, infoOf(t, s)["cmdstat_flushall"], "rejected_calls=1")
	require.NoError(t, recovering(t, Options{Address: s.URL(), Name: freshName()}))
	do(t, s, "acl", "setuser", "default", "+flushall")
	do(t, s, "flushall")
	require.ErrorIs(t, recovering(t, Options{Address: s.URL(), Name: freshName()}), journal.ErrGone)
}

// A user who may not call INFO can begin a journal.
func TestBeginWithoutInfo(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	do(t, s, "flushall")
	do(t, s, "acl", "setuser", "default", "-info")
	require.NoError(t, recovering(t, Options{Address: s.URL(), Name: freshName()}))
}

// do sends a command.
func do(t *testing.T, s *redistest.Server, args ...any) {
	t.Helper()
	l, err := newLink(Options{Address: s.URL()})
	require.NoError(t, err)
	_, err = l.read(context.Background(), time.Second, args...)
	require.NoError(t, err)
	require.NoError(t, l.close())
}

// infoOf returns what INFO shows.
func infoOf(t *testing.T, s *redistest.Server) settings {
	t.Helper()
	l, err := newLink(Options{Address: s.URL()})
	require.NoError(t, err)
	defer l.close()
	text, err := l.client.Info(t.Context(), "everything").Result()
	require.NoError(t, err)
	return parseInfo(text)
}
