package engine_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"slices"
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
	"github.com/seathold/seathold/engine/record"
	"github.com/seathold/seathold/engine/saleclock"
	"github.com/seathold/seathold/engine/spec"
)

// Times of the servers of a cluster.
const (
	silence = 3 * time.Second // TakeoverAfter
	timeout = 2 * time.Second // JournalTimeout
	beat    = 500 * time.Millisecond
)

// cluster is servers that share a journal, in virtual time.
type cluster struct {
	testing.TB
	stream *journaltest.Stream
	sale   *catalog.Sale
	began  time.Time
	serial int

	mu   sync.Mutex
	held []*heldBack
}

// inCluster runs a scenario in virtual time. It ends when all goroutines of the scenario have ended.
func inCluster(t *testing.T, scenario func(c *cluster)) {
	synctest.Test(t, func(t *testing.T) {
		c := &cluster{TB: t, stream: journaltest.NewStream(), sale: stressSale(t, 4, 1000), began: time.Now()}
		c.stream.Before = c.beforeSend
		scenario(c)
	})
}

// reordered returns the cluster's sale with a further session, in another order, so that every pool has another
// number.
func reordered(t testing.TB) *catalog.Sale {
	forever := saleStart.Add(1000 * 24 * time.Hour)
	d := spec.Definition{
		Programmes: []spec.DefinedProgramme{{ID: "games", AccountCap: 30, SessionLimit: 6}},
		Phases: []spec.DefinedPhase{{ID: "packs", Programme: "games", PackSessions: 3, OpensAt: saleStart, ClosesAt: forever},
			{ID: "singles", Programme: "games", OpensAt: saleStart, ClosesAt: forever}},
	}
	for i := 4; i >= 0; i-- {
		d.Sessions = append(d.Sessions, spec.DefinedSession{ID: fmt.Sprintf("S%d", i), Programme: "games",
			Places: []int{1000}})
	}
	sale, err := d.Load()
	require.NoError(t, err)
	return sale
}

// renamed returns a sale under another name.
func renamed(sale *catalog.Sale, name string) *catalog.Sale {
	other := *sale
	other.Name = name
	return &other
}

// node is one server: an engine and its journal.
type node struct {
	*engine.Engine
	c       *cluster
	process *journaltest.Process
	log     *syncBuffer
}

// syncBuffer collects log lines.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func (c *cluster) options(n *node) engine.Options {
	return engine.Options{Sale: c.sale, Journal: n.process, JournalTimeout: timeout, TakeoverAfter: silence,
		Address: "http://" + n.process.Name, CheckpointAfter: -1, MaxReservations: 1 << 11, MaxAccounts: 1 << 11,
		Log:   slog.New(slog.NewTextHandler(n.log, nil)),
		Clock: saleclock.From(saleStart.Add(time.Since(c.began)))}
}

// try opens a server that is not a standby.
func (c *cluster) try(ctx context.Context, name string) (*node, error) {
	n := &node{c: c, process: c.stream.Open(name), log: &syncBuffer{}}
	var err error
	if n.Engine, err = engine.Open(ctx, c.options(n)); err == nil {
		c.Cleanup(n.crash)
	}
	return n, err
}

// leader opens a server that is not a standby and leads.
func (c *cluster) leader(name string) *node {
	n, err := c.try(c.Context(), name)
	require.NoError(c, err)
	require.NoError(c, n.Ready())
	return n
}

// standby opens a standby. Each change alters its options.
func (c *cluster) standby(name string, changes ...func(o *engine.Options)) *node {
	n := &node{c: c, process: c.stream.Open(name), log: &syncBuffer{}}
	o := c.options(n)
	o.Standby = true
	for _, change := range changes {
		change(&o)
	}
	var err error
	n.Engine, err = engine.Open(c.Context(), o)
	require.NoError(c, err)
	c.Cleanup(n.crash)
	return n
}

// id returns an id that the cluster has not used.
func (c *cluster) id() uuid.UUID {
	c.serial++
	return uuid.MustParse(spec.IDOf(fmt.Sprintf("r%d", c.serial)))
}

// hold reserves two tickets of a session.
func (n *node) hold(id uuid.UUID, session string) error {
	var r engine.Reservation
	q := engine.Request{ID: id, Account: "ann-" + id.String()[:8], Phase: "singles",
		Lines: []engine.Line{{Session: session, Category: "A", Quantity: 2}}}
	return n.Reserve(n.c.Context(), &q, &r)
}

// sell holds two tickets and returns their id.
func (n *node) sell() uuid.UUID {
	id := n.c.id()
	require.NoError(n.c, n.hold(id, "S0"))
	return id
}

// state returns the state of a reservation, or the code of the refusal.
func (n *node) state(id uuid.UUID) string {
	var r engine.Reservation
	if err := n.Reservation(n.c.Context(), id, &r); err != nil {
		return string(codeOf(n.c, err))
	}
	return r.State.String()
}

// isDeposed reports whether the channel of Deposed is closed.
func (n *node) isDeposed() bool {
	synctest.Wait()
	select {
	case <-n.Deposed():
		return true
	default:
		return false
	}
}

// requireLeads requires that of the nodes exactly this one leads and accepts calls.
func (n *node) requireLeads(others ...*node) {
	n.c.Helper()
	synctest.Wait()
	require.True(n.c, n.Leads())
	require.NoError(n.c, n.Ready())
	require.Empty(n.c, n.Leader())
	for _, o := range others {
		require.False(n.c, o.Leads())
		require.Error(n.c, o.Ready())
		require.Equal(n.c, engine.NotLeader, codeOf(n.c, o.hold(n.c.id(), "S0")))
	}
}

// crash ends a server as kill -9 does. It is a no-op on one that is closed.
func (n *node) crash() {
	n.process.Crash()
	_ = n.Close() // a crash returns nothing
}

// close ends a server that works.
func (n *node) close() { require.NoError(n.c, n.Close()) }

// closeFenced ends a server whose journal was taken over.
func (n *node) closeFenced() { require.ErrorIs(n.c, n.Close(), journal.ErrFenced) }

// heldBack is a message that waits before it is sent.
type heldBack struct {
	kind     journaltest.Kind
	of       *journaltest.Process
	sent     chan struct{} // closed when the message waits
	released chan struct{} // closed to let it go
}

// holdBack makes the process's next message of the kind wait.
func (c *cluster) holdBack(kind journaltest.Kind, of *node) *heldBack {
	h := &heldBack{kind: kind, of: of.process, sent: make(chan struct{}), released: make(chan struct{})}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.held = append(c.held, h)
	return h
}

// await waits until the message is held back. In virtual time a message that is never sent would be waited for without
// an end, since the servers' tickers never stop.
func (c *cluster) await(h *heldBack) {
	select {
	case <-h.sent:
	case <-time.After(time.Minute):
		require.FailNow(c, "nothing is sent", h.kind)
	}
}

// beforeSend is Stream.Before.
func (c *cluster) beforeSend(ctx context.Context, p *journaltest.Process, kind journaltest.Kind,
	_ journal.Group) error {
	c.mu.Lock()
	i := slices.IndexFunc(c.held, func(h *heldBack) bool { return h.kind == kind && h.of == p })
	if i < 0 {
		c.mu.Unlock()
		return nil
	}
	h := c.held[i]
	c.held = slices.Delete(c.held, i, i+1)
	c.mu.Unlock()
	close(h.sent)
	select {
	case <-h.released:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// requireDefinitionsFirst requires that each epoch's first group is of the definition alone, where it has one, and
// that no definition comes later in it.
func (c *cluster) requireDefinitionsFirst() (definitions int) {
	groups, epochs := c.stream.Groups()
	for i, g := range groups {
		first := i == 0 || epochs[i] != epochs[i-1]
		require.NoError(c, eachRecord(g.Records, func(b []byte) {
			var r record.Record
			require.NoError(c, r.Decode(b))
			if r.Kind == record.KindVersion {
				definitions++
				require.True(c, first && g.Count == 1, "a definition in group %d of epoch %d", i, epochs[i])
			}
		}))
	}
	return definitions
}

func eachRecord(run []byte, visit func(b []byte)) error {
	for len(run) > 0 {
		b, rest, err := journal.Next(run)
		if err != nil {
			return err
		}
		visit(b)
		run = rest
	}
	return nil
}

// verify audits the journal.
func (c *cluster) verify() {
	verify(c, c.stream.Open("audit"), c.sale)
}
