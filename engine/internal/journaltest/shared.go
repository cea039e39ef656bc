package journaltest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/seathold/seathold/engine/journal"
	"github.com/stretchr/testify/require"
)

// SharedStore is where a test keeps one journal that several processes share.
type SharedStore struct {
	// Open begins a process. The test closes it.
	Open func() (journal.Shared, error)
	// Silence is after how long a leader counts as silent: short, but long enough for a few beats.
	Silence time.Duration
}

// RunShared holds a backend to what journal.Shared guarantees beyond journal.Backend. fresh returns an empty journal.
func RunShared(t *testing.T, fresh func(t *testing.T) SharedStore) {
	cases := []struct {
		name string
		run  func(t *testing.T, s *sharing)
	}{
		{"a journal is led from a claim until its leader steps down", led},
		{"a claim fences the leader before it", fencing},
		{"a claim is only for what was delivered, and Follow continues after it", claimDelivered},
		{"of several processes that claim after one silence, one leads", oneClaims},
		{"a leader that beats is not silent", beating},
		{"a leader that steps down is not waited for", steppingDown},
		{"nothing follows a resignation", nothingAfterResignation},
		{"Follow delivers the checkpoint and every group once", followAll},
		{"Follow ends with its context", followEnds},
		{"a fenced leader completes no checkpoint", fencedCheckpoint},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) { c.run(t, &sharing{T: t, store: fresh(t)}) })
	}
}

// sharing is one case.
type sharing struct {
	*testing.T
	store SharedStore
}

// member is one process and what was delivered to it.
type member struct {
	journal.Shared
	t      *sharing
	got    contents
	heard  int
	leader string
}

func (s *sharing) open() *member {
	j, err := s.store.Open()
	require.NoError(s, err)
	s.Cleanup(func() { require.NoError(s, j.Close()) })
	return &member{Shared: j, t: s}
}

// leading opens a process that leads at once.
func (s *sharing) leading(address string) *member {
	m := s.open()
	m.recover()
	require.NoError(s, m.Claim(s.Context(), address))
	return m
}

func (m *member) recover() journal.Recovered {
	found, err := m.Recover(m.got.into(m.t))
	require.NoError(m.t, err)
	return found
}

// follow follows until the leader is silent.
func (m *member) follow(silence time.Duration) journal.Recovered {
	found, err := m.Follow(m.t.Context(), m.got.into(m.t), silence, func(leader string) { m.heard++; m.leader = leader })
	require.NoError(m.t, err)
	require.Equal(m.t, len(m.got.groups), found.Groups)
	return found
}

func (m *member) append(first uint64, counts ...int) (groups []journal.Group) {
	for _, n := range counts {
		g := group(first, n)
		require.NoError(m.t, m.Append(m.t.Context(), g))
		groups = append(groups, g)
		first = g.Last() + 1
	}
	return groups
}

func led(t *testing.T, s *sharing) {
	look := func(led bool, leader string) {
		found := s.open().recover()
		require.Equal(t, led, found.Led)
		require.Equal(t, leader, found.Leader)
	}
	look(false, "")
	m := s.open()
	m.recover()
	require.Zero(t, m.Epoch())
	look(false, "")
	require.NoError(t, m.Claim(t.Context(), "http://a:1"))
	require.EqualValues(t, 1, m.Epoch())
	look(true, "http://a:1")
	m.append(1, 3)
	require.NoError(t, m.Beat(t.Context()))
	look(true, "http://a:1")
	require.NoError(t, m.StepDown(t.Context()))
	look(false, "http://a:1")
	require.EqualValues(t, 2, s.leading("").Epoch())
	look(true, "")
}

func fencing(t *testing.T, s *sharing) {
	old := s.leading("http://a:1")
	groups := old.append(1, 2, 1)
	now := s.open()
	found := now.follow(0)
	require.EqualValues(t, 3, found.Last)
	require.True(t, found.Led)
	require.NoError(t, now.Claim(t.Context(), "http://b:1"))
	require.ErrorIs(t, old.Append(t.Context(), group(4, 1)), journal.ErrFenced)
	require.ErrorIs(t, old.Beat(t.Context()), journal.ErrFenced)
	require.ErrorIs(t, old.StepDown(t.Context()), journal.ErrFenced)
	require.ErrorIs(t, old.Append(t.Context(), group(4, 1)), journal.ErrFenced, "the error is final")
	groups = append(groups, now.append(4, 5)...)
	m := s.open()
	require.EqualValues(t, 8, m.recover().Last)
	require.Equal(t, groups, m.got.groups)
}

func claimDelivered(t *testing.T, s *sharing) {
	leader := s.leading("http://a:1")
	groups := leader.append(1, 1)
	m := s.open()
	m.recover()
	for i, add := range []func(){
		func() { groups = append(groups, leader.append(2, 4, 1)...) },
		func() { require.NoError(t, leader.Beat(t.Context())) },
		func() { require.NoError(t, leader.Beat(t.Context())) },
		func() {
			other := s.open()
			other.follow(0)
			require.NoError(t, other.Claim(t.Context(), "http://b:1"))
			leader = other
		},
		func() { require.NoError(t, leader.StepDown(t.Context())) },
	} {
		add()
		require.ErrorIs(t, m.Claim(t.Context(), "http://c:1"), journal.ErrNotSilent, "step %d", i)
		m.follow(0)
		require.Equal(t, min(i+1, 4), m.heard, "step %d", i)
	}
	require.Equal(t, "http://b:1", m.leader)
	require.Equal(t, groups, m.got.groups)
	require.NoError(t, m.Claim(t.Context(), "http://c:1"))
	require.EqualValues(t, 3, m.Epoch(), "a refused claim claims nothing")
	m.append(7, 1)
}

func oneClaims(t *testing.T, s *sharing) {
	s.leading("").append(1, 3)
	const processes = 4
	results := make(chan error, processes)
	var all []*member
	for range processes {
		m := s.open()
		m.follow(0)
		all = append(all, m)
	}
	for _, m := range all {
		go func() { results <- m.Claim(t.Context(), "") }()
	}
	leaders := 0
	for range all {
		if err := <-results; err == nil {
			leaders++
		} else {
			require.ErrorIs(t, err, journal.ErrNotSilent)
		}
	}
	require.Equal(t, 1, leaders)
}

func beating(t *testing.T, s *sharing) {
	leader, m := s.leading("http://a:1"), s.open()
	silent := make(chan time.Time, 1)
	go func() {
		m.follow(s.store.Silence)
		silent <- time.Now()
	}()
	var last time.Time
	tick := time.NewTicker(s.store.Silence / 4)
	defer tick.Stop()
	for range 16 {
		<-tick.C
		require.Empty(t, silent, "Follow has returned beside a leader that beats")
		require.NoError(t, leader.Beat(t.Context()))
		last = time.Now()
	}
	require.GreaterOrEqual(t, (<-silent).Sub(last), s.store.Silence-s.store.Silence/4)
	require.Equal(t, "http://a:1", m.leader)
	require.Positive(t, m.heard)
}

func steppingDown(t *testing.T, s *sharing) {
	leader, m := s.leading("http://a:1"), s.open()
	followed := make(chan journal.Recovered, 1)
	go func() { followed <- m.follow(time.Hour) }()
	leader.append(1, 2)
	require.NoError(t, leader.StepDown(t.Context()))
	require.False(t, (<-followed).Led)
	require.NoError(t, m.Claim(t.Context(), ""))
	next := s.open()
	go func() { followed <- next.follow(time.Hour) }()
	m.append(3, 1)
	require.NoError(t, m.StepDown(t.Context()))
	require.EqualValues(t, 3, (<-followed).Last, "an earlier resignation ends nothing")
}

func nothingAfterResignation(t *testing.T, s *sharing) {
	m := s.leading("")
	m.append(1, 2)
	require.NoError(t, m.StepDown(t.Context()))
	require.ErrorIs(t, m.Append(t.Context(), group(3, 1)), journal.ErrClosed)
	require.ErrorIs(t, m.Beat(t.Context()), journal.ErrClosed)
	require.EqualValues(t, 2, s.open().recover().Last)
}

func followAll(t *testing.T, s *sharing) {
	leader := s.leading("http://a:1")
	groups := leader.append(1, 2, 3)
	writeCheckpoint(t, leader, 5, 5, chunk(1, 10))
	tail := leader.append(6, 1, 1)
	m := s.open()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		_, err := m.Follow(ctx, m.got.into(m.t), time.Hour, func(string) {
			if len(m.got.groups) > 0 && m.got.groups[len(m.got.groups)-1].Last() == 12 {
				cancel()
			}
		})
		ended <- err
	}()
	tail = append(tail, leader.append(8, 4, 1)...)
	for err := error(nil); err == nil; { // until the follower has heard of the last group
		require.NoError(t, leader.Beat(t.Context()))
		select {
		case err = <-ended:
			require.ErrorIs(t, err, context.Canceled)
		case <-time.After(s.store.Silence / 4):
		}
	}
	require.Equal(t, chunk(1, 10), m.got.chunks)
	require.Equal(t, tail, m.got.groups)
	require.Len(t, groups, 2)
}

func followEnds(t *testing.T, s *sharing) {
	s.leading("").append(1, 1)
	m := s.open()
	ctx, cancel := context.WithTimeout(t.Context(), s.store.Silence/4)
	defer cancel()
	_, err := m.Follow(ctx, m.got.into(m.t), time.Hour, func(string) {})
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Error(t, m.Claim(t.Context(), ""), "the error is final")
	require.False(t, errors.Is(m.Claim(t.Context(), ""), journal.ErrNotSilent))
}

func fencedCheckpoint(t *testing.T, s *sharing) {
	old := s.leading("")
	groups := old.append(1, 3)
	c, err := old.Checkpoint(t.Context(), 3)
	require.NoError(t, err)
	now := s.open()
	now.follow(0)
	require.NoError(t, now.Claim(t.Context(), ""))
	if err = c.Write(chunk(1, 10)); err == nil {
		err = c.Commit(3)
	}
	require.Error(t, err)
	c.Abort()
	m := s.open()
	m.recover()
	require.False(t, m.got.begun)
	require.Equal(t, groups, m.got.groups)
}
