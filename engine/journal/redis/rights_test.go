package redis

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/seathold/seathold/engine/internal/journaltest"
	"github.com/seathold/seathold/engine/journal"
	"github.com/seathold/seathold/engine/journal/redis/redistest"
	"github.com/stretchr/testify/require"
)

const rightsPassword = "secret"

// documentedRights returns the words of the ACL SETUSER command in the package documentation, after the user's name.
func documentedRights(t *testing.T) []string {
	text, err := os.ReadFile("doc.go")
	require.NoError(t, err)
	_, rest, found := strings.Cut(string(text), "ACL SETUSER seathold ")
	require.True(t, found)
	rest, _, found = strings.Cut(rest, "\n//\n")
	require.True(t, found)
	return strings.Fields(strings.ReplaceAll(strings.ReplaceAll(rest, "//", ""), "PASSWORD", rightsPassword))
}

// withUser gives a user of the server these rights and returns the URL for it.
func withUser(t *testing.T, s *redistest.Server, name string, rights []string) string {
	client := redis.NewClient(&redis.Options{Addr: s.Addr()})
	defer client.Close()
	args := []any{"acl", "setuser", name}
	for _, right := range rights {
		args = append(args, right)
	}
	require.NoError(t, client.Do(t.Context(), args...).Err())
	return strings.Replace(s.URL(), "redis://", "redis://"+name+":"+rightsPassword+"@", 1)
}

// TestRights runs the conformance suite of all backends, a follower and a check as a user with the documented rights.
func TestRights(t *testing.T) {
	s := redistest.Start(t)
	url := withUser(t, s, "seathold", documentedRights(t))
	fewerChecks(t, 10)
	journaltest.Run(t, func(t *testing.T) journaltest.Store {
		store := placeIn(t, s, url, freshName(), 0)
		store.Crash = func(b journal.Backend) { abandon(b.(claiming).Journal) }
		return store
	})
	appendAndRecover(t, url)
	appendAndRecover(t, url+"/5")
	require.True(t, check(t, url).Safe, check(t, url))
	o := Options{Address: url, Name: freshName()}
	leader := claimed(t, o)
	f := startFollower(t, o, 0)
	require.NoError(t, leader.Append(t.Context(), testGroup(1, 5)))
	require.NoError(t, leader.StepDown(t.Context()))
	<-f.done
	require.NoError(t, f.err)

	reader := withUser(t, s, "reader", []string{"on", ">" + rightsPassword, "~{seathold:*", "-@all", "+get", "+mget",
		"+hgetall", "+xrange"})
	o.Address = reader
	require.Len(t, contentsOf(t, o).groups, 1)
}

// TestRightsInCluster adds the rights that a cluster needs, of which none is needless.
func TestRightsInCluster(t *testing.T) {
	t.Parallel()
	s := startCluster(t)
	address := func(name string, more ...string) string {
		url := withUser(t, s, name, append(documentedRights(t), more...))
		return strings.Replace(url, "redis://", "redis+cluster://", 1)
	}
	more := []string{"+cluster|slots", "+cluster|nodes"}
	require.NoError(t, useEverything(t, Options{Address: address("all", more...), Name: freshName()}))
	for i := range more {
		o := Options{Address: address("without"+more[i], slices.Delete(slices.Clone(more), i, i+1)...), Name: freshName(),
			Timeout: 50 * time.Millisecond}
		require.Error(t, useEverything(t, o), more[i])
	}
}

// TestEachRightIsNeeded requires that a journal cannot do without any of the documented rights. Only hello is a matter
// of taste: without it the client logs in by other means, and Redis logs the refusal.
func TestEachRightIsNeeded(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	rights := documentedRights(t)
	for i, right := range rights {
		if !strings.HasPrefix(right, "+") || right == "+hello" {
			continue
		}
		t.Run(right, func(t *testing.T) {
			if right != "+eval" { // it loads the scripts, which nothing has done yet
				t.Parallel()
			}
			others := slices.Delete(slices.Clone(rights), i, i+1)
			url := withUser(t, s, "without"+right, others)
			require.Error(t, useEverything(t, Options{Address: url + "/1", Name: freshName(), Timeout: 50 * time.Millisecond}))
		})
	}
	require.NoError(t, useEverything(t, Options{Address: withUser(t, s, "all", rights) + "/1", Name: freshName()}))
}

// TestRightsTakenWhileLeading takes each right that appends need from a leader. The group is retried until the right is
// restored.
func TestRightsTakenWhileLeading(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	rights := documentedRights(t)
	for _, right := range []string{"evalsha", "xadd", "set"} {
		name := "without-" + right
		j := claimed(t, Options{Address: withUser(t, s, name, rights), Name: freshName(), CheckEvery: -1})
		withUser(t, s, name, []string{"-" + right})
		waiting := startAppend(j, testGroup(1, 5))
		until(t, "the append is retried", func() bool { return j.Condition().Retries > 2 })
		waiting.held(t)
		withUser(t, s, name, []string{"+" + right})
		require.NoError(t, <-waiting.done)
		require.Len(t, contentsOf(t, Options{Address: s.URL(), Name: j.link.options.Name}).groups, 1)
	}
}

// useEverything makes every call to Redis that a journal can make. It returns the first error.
func useEverything(t *testing.T, o Options) error {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	if o.Timeout > 0 { // an error is expected, and denied rights are retried
		ctx, cancel = context.WithTimeout(t.Context(), time.Second)
	}
	defer cancel()
	j, err := Open(o)
	require.NoError(t, err)
	defer j.Close()
	if report, err := j.Check(ctx); err != nil || !report.Safe {
		return cmp.Or(err, errors.New("not safe"))
	}
	if _, err := j.Recover(discard()); err != nil {
		return err
	}
	if err := j.Claim(ctx, "http://leader.test:8080"); err != nil {
		return err
	}
	for i := range uint64(4) {
		if err := j.Append(ctx, testGroup(10*i+1, 10)); err != nil {
			return err
		}
		if err := errors.Join(j.Beat(ctx), j.Condition().Retrying, j.Beat(ctx)); err != nil {
			return err
		}
		c, err := j.Checkpoint(ctx, 10*i+10)
		if err != nil {
			return err
		}
		if err := errors.Join(c.Write([]byte("a piece")), c.Commit(10*i+10)); err != nil {
			return err
		}
	}
	if err := j.StepDown(ctx); err != nil {
		return err
	}
	if n := j.Condition().Retries; n > 0 { // a script that fails halfway can succeed when it is repeated
		return fmt.Errorf("%d calls were retried", n)
	}
	follower, err := Open(o)
	require.NoError(t, err)
	defer follower.Close()
	if _, err = follower.Follow(ctx, discard(), time.Hour, func(string) {}); err != nil {
		return err
	}
	// The first call of another follower waits for entries.
	waiting, err := Open(o)
	require.NoError(t, err)
	defer waiting.Close()
	if _, err = waiting.Recover(discard()); err != nil {
		return err
	}
	_, err = waiting.reader.wait(ctx, time.Millisecond)
	return err
}
