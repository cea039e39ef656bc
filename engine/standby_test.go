package engine_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine"
	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/internal/journaltest"
	"github.com/seathold/seathold/engine/journal"
)

// TestStandby plays takeovers on a shared journal in virtual time (I5, I8).
func TestStandby(t *testing.T) {
	scenarios := []struct {
		name string
		play func(c *cluster)
	}{
		{"a standby follows, and leads at once when the leader steps down", handover},
		{"a standby leads after the leader's silence", takeover},
		{"a standby of an empty journal leads after the silence", emptyTakeover},
		{"fenced while the definition is stored", fencedDefinition},
		{"the journal stalls while the definition is stored, for less than its timeout",
			func(c *cluster) { stalledDefinition(c, timeout/2) }},
		{"the journal stalls while the definition is stored, for longer",
			func(c *cluster) { stalledDefinition(c, 5*timeout) }},
		{"fenced while callers wait", fencedWithCallers},
		{"fenced between the definition and the first record", fencedBeforeFirstRecord},
		{"of two standbys one leads, and the other goes on following", twoStandbys},
		{"a standby that was slower follows the one that was faster", slowerStandby},
		{"a leader that was only slow goes on leading", slowLeader},
		{"a fenced leader comes back as a standby, and leads again", comeback},
		{"a definition that has more is stored before any record of the term", largerDefinition},
		{"a standby is closed before it has heard of a leader", closedFollowing},
		{"a standby is closed while it claims", func(c *cluster) { closedIn(c, journaltest.Claimed) }},
		{"a standby is closed while it stores the definition", func(c *cluster) { closedIn(c, journaltest.Appended) }},
		{"a leader is closed while the journal does not respond", closedStalled},
		{"a standby refuses reads until it has caught up", firstReads},
	}
	for _, s := range scenarios {
		t.Run(s.name, func(t *testing.T) { inCluster(t, s.play) })
	}
	t.Logf("%d scenarios", len(scenarios))
}

func handover(c *cluster) {
	a := c.leader("a")
	b := c.standby("b")
	sold := a.sell()
	time.Sleep(beat)
	a.requireLeads(b)
	require.Equal(c, "held", b.state(sold))
	require.Equal(c, "http://a", b.Leader())
	require.EqualError(c, b.Ready(), "this server is a standby; another one leads")
	stepped := time.Now()
	a.close()
	b.requireLeads()
	require.Equal(c, stepped, time.Now())
	require.EqualValues(c, 2, b.Epoch())
	require.Equal(c, "held", b.state(sold))
	b.sell()
	require.EqualValues(c, 4, b.Stock(0).Held)
	b.close()
	c.verify()
}

func takeover(c *cluster) {
	a := c.leader("a")
	b := c.standby("b")
	sold := a.sell()
	time.Sleep(10 * time.Second)
	a.requireLeads(b)
	a.crash()
	time.Sleep(silence - beat - 1)
	require.False(c, b.Leads())
	time.Sleep(beat + 1)
	b.requireLeads()
	require.Equal(c, "held", b.state(sold))
	require.Contains(c, b.log.String(), "this server leads")
	b.close()
	c.verify()
}

func emptyTakeover(c *cluster) {
	b := c.standby("b")
	require.Equal(c, engine.NotLeader, codeOf(c, b.hold(c.id(), "S0")))
	time.Sleep(silence)
	b.requireLeads()
	b.sell()
	b.close()
	require.Equal(c, 1, c.requireDefinitionsFirst())
}

// fencedDefinition: another standby claims between a standby's claim and its definition.
func fencedDefinition(c *cluster) {
	a := c.standby("a")
	held := c.holdBack(journaltest.Appended, a)
	c.await(held)
	require.False(c, a.Leads())
	require.ErrorContains(c, a.Ready(), "is taking over")
	b := c.standby("b")
	time.Sleep(silence)
	b.requireLeads(a)
	b.sell()
	close(held.released)
	require.True(c, a.isDeposed())
	require.ErrorIs(c, a.Ready(), journal.ErrFenced)
	b.requireLeads(a)
	a.close()
	b.close()
	require.Equal(c, 1, c.requireDefinitionsFirst())
	c.verify()
}

func stalledDefinition(c *cluster, lasts time.Duration) {
	a := c.standby("a")
	held := c.holdBack(journaltest.Appended, a)
	c.await(held)
	time.Sleep(lasts)
	require.False(c, a.Leads())
	require.False(c, a.isDeposed())
	require.ErrorContains(c, a.Ready(), "is taking over")
	require.Equal(c, engine.NotLeader, codeOf(c, a.hold(c.id(), "S0")))
	warned := 0
	if lasts > timeout {
		warned = 1
	}
	require.Equal(c, warned, strings.Count(a.log.String(), "the journal does not respond"))
	close(held.released)
	a.requireLeads()
	require.False(c, a.isDeposed())
	a.sell()
	a.close()
	c.verify()
}

// fencedWithCallers: the leader's group is refused while callers wait for it and for the next one.
func fencedWithCallers(c *cluster) {
	a := c.leader("a")
	kept := a.sell()
	b := c.standby("b")
	held := c.holdBack(journaltest.Appended, a)
	var callers sync.WaitGroup
	codes := make(chan engine.Code, 10)
	var ids []uuid.UUID
	for range cap(codes) {
		id := c.id()
		ids = append(ids, id)
		callers.Go(func() { codes <- codeOf(c, a.hold(id, "S0")) })
	}
	c.await(held)
	time.Sleep(silence)
	b.requireLeads()
	close(held.released)
	callers.Wait()
	for range ids {
		require.Equal(c, engine.JournalUnavailable, <-codes)
	}
	require.True(c, a.isDeposed())
	require.ErrorIs(c, a.Ready(), journal.ErrFenced)
	b.requireLeads(a)
	require.True(c, a.MayLag())
	require.False(c, b.MayLag())
	require.Zero(c, a.Epoch())
	require.Equal(c, engine.NotLeader, codeOf(c, a.Confirm(c.Context(), kept, "", &engine.Reservation{})))
	require.Equal(c, "held", a.state(kept), "it was acknowledged")
	require.EqualValues(c, 2, a.Stock(0).Held)
	require.Zero(c, a.ExpireDue())
	_, err := a.Checkpoint(c.Context())
	require.ErrorIs(c, err, journal.ErrFenced)
	for _, id := range ids {
		require.Equal(c, string(engine.JournalUnavailable), a.state(id), "it was refused")
		require.Equal(c, string(engine.ReservationNotFound), b.state(id))
	}
	require.Equal(c, 1, strings.Count(a.log.String(), "the journal has failed"))
	a.closeFenced()
	b.close()
	c.verify()
}

// fencedBeforeFirstRecord: a new leader is cut off right after its definition.
func fencedBeforeFirstRecord(c *cluster) {
	a := c.standby("a")
	time.Sleep(silence)
	a.requireLeads()
	a.process.Cut(true)
	b := c.standby("b")
	refused := make(chan engine.Code, 1)
	go func() { refused <- codeOf(c, a.hold(c.id(), "S0")) }()
	time.Sleep(silence)
	b.requireLeads()
	require.Equal(c, engine.JournalUnavailable, <-refused)
	require.ErrorIs(c, a.Ready(), journal.ErrStalled)
	require.True(c, a.Leads(), "it does not know yet, and acknowledges nothing")
	b.sell()
	a.process.Cut(false)
	require.True(c, a.isDeposed())
	b.requireLeads(a)
	a.closeFenced()
	b.close()
	c.verify()
}

func twoStandbys(c *cluster) {
	a := c.leader("a")
	sold := a.sell()
	nodes := []*node{c.standby("b"), c.standby("c")}
	time.Sleep(beat)
	a.crash()
	time.Sleep(silence + beat)
	if nodes[1].Leads() {
		nodes[0], nodes[1] = nodes[1], nodes[0]
	}
	nodes[0].requireLeads(nodes[1])
	require.EqualValues(c, 2, c.stream.Epoch())
	require.Equal(c, "http://"+nodes[0].process.Name, nodes[1].Leader())
	require.False(c, nodes[1].isDeposed(), "it goes on following")
	more := nodes[0].sell()
	time.Sleep(beat)
	require.Equal(c, "held", nodes[1].state(more))
	nodes[0].close()
	nodes[1].requireLeads()
	require.Equal(c, "held", nodes[1].state(sold))
	require.Equal(c, "held", nodes[1].state(more))
	nodes[1].close()
	c.verify()
}

// slowerStandby: a standby's claim arrives after that of another one.
func slowerStandby(c *cluster) {
	a := c.leader("a")
	b := c.standby("b")
	time.Sleep(beat)
	held := c.holdBack(journaltest.Claimed, b)
	a.close()
	c.await(held)
	d := c.standby("d")
	d.requireLeads(b)
	sold := d.sell()
	close(held.released)
	time.Sleep(beat)
	d.requireLeads(b)
	require.False(c, b.isDeposed())
	require.Equal(c, "held", b.state(sold))
	require.Equal(c, "http://d", b.Leader())
	require.EqualValues(c, 2, c.stream.Epoch())
	d.close()
	b.requireLeads()
	b.close()
	c.verify()
}

// slowLeader: the leader responds again after its silence has ended, and before the standby's claim arrives.
func slowLeader(c *cluster) {
	a := c.leader("a")
	b := c.standby("b")
	time.Sleep(beat)
	held := c.holdBack(journaltest.Claimed, b)
	a.process.Cut(true)
	c.await(held)
	a.process.Cut(false)
	time.Sleep(silence)
	close(held.released)
	time.Sleep(2 * silence)
	a.requireLeads(b)
	require.EqualValues(c, 1, c.stream.Epoch())
	a.close()
	b.requireLeads()
	b.close()
}

func comeback(c *cluster) {
	a := c.leader("a")
	b := c.standby("b")
	time.Sleep(beat)
	a.process.Cut(true)
	lost := c.id()
	code := make(chan engine.Code, 1)
	go func() { code <- codeOf(c, a.hold(lost, "S1")) }()
	time.Sleep(silence)
	b.requireLeads()
	sold := b.sell()
	require.Equal(c, engine.JournalUnavailable, <-code)
	a.process.Cut(false)
	require.True(c, a.isDeposed())
	again := c.standby("a")
	time.Sleep(beat)
	a.closeFenced()
	b.requireLeads(again)
	require.Equal(c, "held", again.state(sold))
	require.Equal(c, string(engine.ReservationNotFound), again.state(lost))
	b.close()
	again.requireLeads()
	require.EqualValues(c, 3, again.Epoch())
	require.NoError(c, again.hold(lost, "S1"), "its caller may repeat it")
	again.close()
	c.verify()
}

// largerDefinition: callers press while a standby with another definition takes over.
func largerDefinition(c *cluster) {
	c.stream.Delay = func() time.Duration { return 10 * time.Millisecond }
	a := c.leader("a")
	sold := a.sell()
	larger := reordered(c)
	b := c.standby("b", func(o *engine.Options) { o.Sale = larger })
	time.Sleep(2 * beat)
	var callers sync.WaitGroup
	for i := range 8 {
		ids := make([]uuid.UUID, 400)
		for j := range ids {
			ids[j] = c.id()
		}
		callers.Go(func() {
			for _, id := range ids {
				if err := b.hold(id, []string{"S1", "S2", "S3"}[i%3]); err == nil {
					return
				}
				time.Sleep(time.Millisecond)
			}
		})
	}
	a.close()
	callers.Wait()
	b.requireLeads()
	require.Equal(c, "held", b.state(sold))
	require.Equal(c, 1, c.requireDefinitionsFirst(), "a standby follows the journal's definition")
	b.close()
	c.verify()
}

func closedFollowing(c *cluster) {
	b := c.standby("b")
	synctest.Wait()
	b.close()
	require.False(c, b.isDeposed())
	require.ErrorIs(c, b.Ready(), journal.ErrClosed)
}

// closedIn closes a standby while its message of the kind waits.
func closedIn(c *cluster, kind journaltest.Kind) {
	b := c.standby("b")
	held := c.holdBack(kind, b)
	c.await(held)
	began := time.Now()
	b.close()
	require.Equal(c, began, time.Now())
	require.False(c, b.isDeposed())
	require.False(c, b.Leads())
	d := c.standby("d")
	time.Sleep(silence)
	d.requireLeads()
	d.close()
}

func closedStalled(c *cluster) {
	a := c.leader("a")
	held := c.holdBack(journaltest.Appended, a)
	code := make(chan engine.Code, 1)
	go func() { code <- codeOf(c, a.hold(c.id(), "S0")) }()
	c.await(held)
	require.ErrorIs(c, a.Close(), context.Canceled)
	require.Equal(c, engine.JournalUnavailable, <-code)
	require.NoError(c, a.Close(), "closing again")
}

func firstReads(c *cluster) {
	a := c.leader("a")
	sold := a.sell()
	time.Sleep(time.Millisecond)
	b := c.standby("b")
	synctest.Wait()
	require.False(c, b.CanRead())
	require.Equal(c, string(engine.NotLeader), b.state(sold))
	_, err := b.Account(c.Context(), "ann")
	require.Equal(c, engine.NotLeader, codeOf(c, err))
	time.Sleep(beat)
	require.True(c, b.CanRead())
	require.Equal(c, "held", b.state(sold))
	a.close()
	b.requireLeads()
	b.close()
}

// TestStandbyWithAnotherSale: a standby of another sale than the journal's says so, never claims, and refuses all
// calls. One with another definition of the same sale follows the journal's.
func TestStandbyWithAnotherSale(t *testing.T) {
	inCluster(t, func(c *cluster) {
		a := c.leader("a")
		require.NoError(c, a.hold(c.id(), "S3"))
		for want, other := range map[string]*catalog.Sale{
			`the journal belongs to the sale "defined", not to "another"`: renamed(c.sale, "another"),
		} {
			b := c.standby("b", func(o *engine.Options) { o.Sale = other })
			time.Sleep(beat)
			require.True(c, b.isDeposed())
			require.EqualError(c, b.Ready(), "this standby cannot take over: its sale definition does not fit the journal: "+
				want+"; start it with the leader's definition")
			require.False(c, b.Leads())
			require.False(c, b.CanRead())
			require.Equal(c, "http://a", b.Leader())
			var refusal *engine.Refusal
			require.ErrorAs(c, b.hold(c.id(), "S0"), &refusal)
			require.Equal(c, engine.NotLeader, refusal.Code)
			require.Equal(c, "http://a", refusal.Leader)
			require.ErrorAs(c, b.Reservation(c.Context(), c.id(), &engine.Reservation{}), &refusal)
			require.Equal(c, engine.NotLeader, refusal.Code)
			b.close()
		}
		for _, other := range []*catalog.Sale{stressSale(c, 3, 1000), stressSale(c, 4, 1)} {
			b := c.standby("b", func(o *engine.Options) { o.Sale = other })
			time.Sleep(2 * beat)
			require.True(c, b.CanRead(), "%v", b.Ready())
			require.Len(c, b.Sale().Sessions, 4)
			require.Equal(c, 2, b.Stock(3).Held)
			b.close()
		}
		late := c.standby("late", func(o *engine.Options) { o.Sale = renamed(c.sale, "another") })
		a.crash()
		time.Sleep(10 * silence)
		require.EqualValues(c, 1, c.stream.Epoch(), "a standby that cannot lead must not claim")
		require.False(c, late.Leads())
		late.close()
		b := c.standby("b")
		time.Sleep(silence)
		b.requireLeads()
		b.close()
		c.verify()
	})
}

// TestStartBesideLeader: a server that is not a standby deposes nobody. It leads at once after a clean end, and after a
// crash once the silence has passed.
func TestStartBesideLeader(t *testing.T) {
	inCluster(t, func(c *cluster) {
		a := c.leader("a")
		require.Equal(c, c.began, time.Now(), "an empty journal is led at once")
		for range 5 { // a crash loop
			_, err := c.try(c.Context(), "b")
			require.ErrorIs(c, err, journal.ErrNotSilent)
			require.ErrorContains(c, err, "http://a")
			a.requireLeads()
		}
		require.EqualValues(c, 1, c.stream.Epoch())
		sold := a.sell()
		a.close()
		closed := time.Now()
		a = c.leader("a")
		require.Equal(c, closed, time.Now(), "a leader that has stepped down is not waited for")

		// The last group of a crashed server arrives after the next one has begun to read.
		held := c.holdBack(journaltest.Appended, a)
		code := make(chan engine.Code, 1)
		id := c.id()
		go func() { code <- codeOf(c, a.hold(id, "S1")) }()
		c.await(held)
		crashed := time.Now()
		opened := make(chan *node, 1)
		go func() { opened <- c.leader("a") }()
		time.Sleep(silence / 2)
		close(held.released)
		synctest.Wait()
		a.crash()
		require.Empty(c, <-code)
		a = <-opened
		require.Equal(c, crashed.Add(silence/2+silence), time.Now())
		a.requireLeads()
		require.Equal(c, "held", a.state(sold))
		require.Equal(c, "held", a.state(id))
		require.Contains(c, a.log.String(), "waiting for its silence")

		// A start that waits can be cancelled.
		a.crash()
		ctx, cancel := context.WithTimeout(c.Context(), silence/2)
		defer cancel()
		_, err := c.try(ctx, "a")
		require.ErrorIs(c, err, context.DeadlineExceeded)

		// Of two that start at once, one leads.
		results := make(chan error, 2)
		nodes := make(chan *node, 2)
		for _, name := range []string{"a", "b"} {
			go func() {
				n, err := c.try(c.Context(), name)
				results <- err
				if err == nil {
					nodes <- n
				}
			}()
		}
		require.ErrorIs(c, errors.Join(<-results, <-results), journal.ErrNotSilent)
		(<-nodes).close()
		c.verify()
	})
}
