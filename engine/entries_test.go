package engine_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine"
	"github.com/seathold/seathold/engine/journal"
)

// crowd enters accounts from many goroutines, each account from two of them and with different groups, and counts the
// answers.
type crowd struct {
	t       *testing.T
	e       *engine.Engine
	begun   atomic.Int64
	half    chan struct{} // closed when half of the calls are answered
	mu      sync.Mutex
	made    map[string]int    // answers by which the account has just entered
	groups  map[string]string // of the accounts that entered
	refused map[string]bool
}

const crowdCallers, crowdEach = 16, 60

func (c *crowd) enter(caller int) {
	for i := range crowdEach {
		account, group := fmt.Sprintf("a%d", i*crowdCallers/2+caller/2), []string{"", "club"}[caller%2]
		entry, err := c.e.Enter(context.Background(), "draw1", account, group)
		if c.begun.Add(1) == crowdCallers*crowdEach/2 {
			close(c.half)
		}
		c.count(account, entry, err)
	}
}

func (c *crowd) count(account string, entry engine.Entry, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		if refusal := (*engine.Refusal)(nil); !errors.As(err, &refusal) || refusal.Code != engine.RegistrationClosed {
			c.t.Errorf("%s: %v", account, err)
		}
		c.refused[account] = true
		return
	}
	if !entry.Repeated {
		c.made[account]++
	}
	if was, known := c.groups[account]; known && was != entry.Group {
		c.t.Errorf("%s has the group %q and the group %q", account, was, entry.Group)
	}
	c.groups[account] = entry.Group
}

// I5, I7: Entries race with each other, with checkpoints and with the freeze. The frozen entries are exactly those that
// were acknowledged, before and after a restart.
func TestEnterRacesTheFreeze(t *testing.T) {
	r := newBallotRun(t)
	require.NoError(t, r.open())
	r.at(r.draw1.RegistrationCloses.Add(-time.Second))
	c := &crowd{t: t, e: r.e, half: make(chan struct{}), made: map[string]int{}, groups: map[string]string{},
		refused: map[string]bool{}}
	var entered sync.WaitGroup
	for caller := range crowdCallers {
		entered.Go(func() { c.enter(caller) })
	}
	stop, stopped := make(chan struct{}), make(chan error)
	go func() { stopped <- checkpointUntil(r.e, stop) }()
	<-c.half
	r.at(r.draw1.RegistrationCloses)
	frozen, err := r.e.FreezeDraw(t.Context(), "draw1")
	require.NoError(t, err)
	entered.Wait()
	close(stop)
	require.NoError(t, <-stopped)
	t.Logf("%d entered, %d refused", len(c.groups), len(c.refused))
	require.Equal(t, len(c.groups), frozen.Entries)
	for account := range c.groups {
		require.Equal(t, 1, c.made[account], account)
	}
	for range 2 {
		now, err := r.e.Draw("draw1")
		require.NoError(t, err)
		require.Equal(t, frozen, now)
		for account := range c.groups {
			again := r.enter(account, "")
			require.True(t, again.Repeated)
			require.Equal(t, c.groups[account], again.Group)
		}
		for account := range c.refused {
			if _, in := c.groups[account]; !in {
				_, err := r.e.Entry(t.Context(), "draw1", account)
				require.Equal(t, engine.EntryNotFound, code(t, err))
			}
		}
		r.restart()
	}
	require.Equal(t, len(c.groups), r.audit().Entries[0])
}

func checkpointUntil(e *engine.Engine, stop <-chan struct{}) error {
	for {
		if _, err := e.Checkpoint(context.Background()); err != nil {
			return err
		}
		select {
		case <-stop:
			return nil
		default:
		}
	}
}

// heldJournal blocks every group while it is held; once broken, it fails instead.
type heldJournal struct {
	journal.Backend
	mu        sync.Mutex
	broken    atomic.Bool
	appending chan struct{} // receives a value for every group
}

func (h *heldJournal) Append(ctx context.Context, g journal.Group) error {
	h.appending <- struct{}{}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.broken.Load() {
		return errors.New("the disk is gone")
	}
	return h.Backend.Append(ctx, g)
}

// I5: Until its record is durable, an entry, a root or a result is not visible, and a crash undoes it.
func TestDrawRevealsNothingEarly(t *testing.T) {
	r := newBallotRun(t)
	held := &heldJournal{appending: make(chan struct{}, 100)}
	r.wrap = func(b journal.Backend) journal.Backend { held.Backend = b; return held }
	require.NoError(t, r.open())
	r.enter("first", "")
	r.at(r.draw1.RegistrationCloses.Add(-time.Second))

	held.mu.Lock()
	for len(held.appending) > 0 {
		<-held.appending
	}
	answers := make(chan error, 4)
	call := func(f func() error) { go func() { answers <- f() }() }
	// place makes a call that places a record, and returns once that has its place.
	place := func(f func() error) {
		placed := r.e.Stats().Journal.Placed
		call(f)
		require.Eventually(t, func() bool { return r.e.Stats().Journal.Placed > placed }, time.Minute, time.Millisecond)
	}
	closedWithOneEntry := func() {
		status, err := r.e.Draw("draw1")
		require.NoError(t, err)
		require.Equal(t, engine.DrawClosed, status.State)
		require.Equal(t, 1, status.Entries)
		require.Zero(t, status.Root)
		require.Empty(t, answers)
	}
	ctx, cancel := context.WithCancel(t.Context())
	place(func() error { _, err := r.e.Enter(ctx, "draw1", "second", ""); return err })
	<-held.appending
	call(func() error { _, err := r.e.Enter(ctx, "draw1", "second", ""); return err })
	r.at(r.draw1.RegistrationCloses)
	closedWithOneEntry()
	place(func() error { _, err := r.e.FreezeDraw(ctx, "draw1"); return err })
	closedWithOneEntry()
	place(func() error { _, err := r.e.RunDraw(ctx, "draw1", standIn(t, r.draw1)); return err })
	closedWithOneEntry()
	held.broken.Store(true)
	held.mu.Unlock()
	for range 4 {
		var refusal *engine.Refusal
		require.ErrorAs(t, <-answers, &refusal)
		require.Equal(t, engine.JournalUnavailable, refusal.Code)
	}
	cancel()
	require.Error(t, r.e.Close())

	r.wrap = nil
	require.NoError(t, r.open())
	status, err := r.e.Draw("draw1")
	require.NoError(t, err)
	require.Equal(t, engine.DrawClosed, status.State)
	require.Equal(t, 1, status.Entries)
	require.Equal(t, 1, r.audit().Entries[0])
}
