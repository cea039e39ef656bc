//go:build unix

package main

import (
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine/journal/redis/redistest"
	"github.com/seathold/seathold/engine/spec"
	"github.com/seathold/seathold/server/internal/historytest"
)

// histories run on the real program, which sells cells on wall time.
type histories struct {
	t          *testing.T
	random     *rand.Rand
	rules      *spec.Rules
	args       []string // of every server
	definition *spec.Definition
	forget     time.Duration // of the servers, if histories see it
	next       historytest.Cell
	tally      historytest.Tally
	begun      atomic.Int64            // requests
	reached    map[int64]chan struct{} // closed when so many have begun
}

// newHistories writes the sale and prepares histories of so many cells on servers with these arguments.
func newHistories(t *testing.T, cells int, args ...string) *histories {
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("SEATHOLD_SEED"); s != "" {
		var err error
		seed, err = strconv.ParseUint(s, 10, 64)
		require.NoError(t, err)
	}
	t.Logf("seed %d (SEATHOLD_SEED=%d repeats the random choices, not the timing)", seed, seed)
	definition := historytest.SaleOf(cells, time.Now().UTC())
	sale, err := definition.Load()
	require.NoError(t, err)
	dir := t.TempDir()
	require.NoError(t, os.CopyFS(dir, definition.Files()))
	return &histories{t: t, random: rand.New(rand.NewPCG(seed, 0)),
		definition: definition,
		rules:      &spec.Rules{Sale: sale, TTL: spec.ScenarioTTL, MaxHold: spec.ScenarioMaxHold},
		args:       append([]string{"--sale", dir}, args...)}
}

// milestones returns channels that are closed when so many requests have begun from now on.
func (h *histories) milestones(at ...int) (reached []chan struct{}) {
	h.begun.Store(0)
	h.reached = map[int64]chan struct{}{}
	for _, n := range at {
		passed := make(chan struct{})
		h.reached[int64(n)] = passed
		reached = append(reached, passed)
	}
	return reached
}

// begin counts a request.
func (h *histories) begin() {
	if passed := h.reached[h.begun.Add(1)]; passed != nil {
		close(passed)
	}
}

// play starts the histories of the next cells. played is done when all their callers are.
func (h *histories) play(cells, callers int, timeout time.Duration,
	call func(*historytest.Caller)) (all []*historytest.History, played *sync.WaitGroup) {
	played = &sync.WaitGroup{}
	for range cells {
		one := historytest.New(h.next, h.rules, time.Now)
		one.Forget(h.forget)
		h.next++
		all = append(all, one)
		for i := range callers {
			c := one.Caller(i, rand.New(rand.NewPCG(h.random.Uint64(), 0)), timeout)
			played.Go(func() {
				defer c.Close()
				call(c)
			})
		}
	}
	return all, played
}

// verify checks the journal against the invariants while no server runs.
func (h *histories) verify(journal ...string) {
	code, out := tool(h.t, append([]string{"verify", h.args[0], h.args[1]}, journal...)...)
	require.Equal(h.t, exitDone, code, out)
}

// address is where a client of package historytest connects.
func (s *program) address() string { return strings.TrimPrefix(s.api, "http://") }

// door gives callers the running server, and blocks them while there is none.
type door struct {
	mu     sync.Mutex
	open   chan struct{}
	server *program
}

func (d *door) shut() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.open = make(chan struct{})
}

func (d *door) leadTo(s *program) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.server = s
	close(d.open)
}

func (d *door) enter() *program {
	d.mu.Lock()
	open := d.open
	d.mu.Unlock()
	<-open
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.server
}

// callThrough makes the requests of one caller at the server that the door leads to. After a call without an answer it
// retries in half of the cases. In the middle the caller waits until that long after it began: until holds of a second
// that it made at first have ended.
func (h *histories) callThrough(d *door, c *historytest.Caller, requests int, pause time.Duration) {
	ended := time.NewTimer(pause)
	defer ended.Stop()
	for i := range requests {
		if i == requests/2 {
			<-ended.C
		}
		for ops := c.Draw(); ; {
			h.begin()
			reply := c.Call(d.enter().address(), ops, nil)
			if reply.Sent() && (!reply.Unknown() || c.Random.IntN(2) == 0) {
				break
			}
		}
	}
}

// crashes are histories during which the server, Redis or both are killed.
type crashes struct {
	*histories
	door   door
	server *program
	redis  *redistest.Server // nil for the embedded journal
	kills  [3]int            // of the server, of Redis alone, of both
}

// Each sitting plays so many cells, with so many crashes during their histories.
const (
	crashCells    = 24
	crashCallers  = 3
	crashRequests = 10
	crashesOfOne  = 3
)

// TestHistoriesThroughCrashes (I5, I6, I7, I9) kills the server with -9 during histories, and also Redis if the journal
// is there. The histories continue on the next server. An acknowledged outcome stays; any other may have happened or
// not.
func TestHistoriesThroughCrashes(t *testing.T) {
	for _, c := range []struct {
		name     string
		sittings int
		journal  func(*testing.T) (*redistest.Server, []string)
	}{
		{"embedded", 17, func(t *testing.T) (*redistest.Server, []string) { return nil, []string{"--data", t.TempDir()} }},
		{"redis", 17, func(t *testing.T) (*redistest.Server, []string) {
			r := redistest.Start(t)
			return r, []string{"--redis", r.URL()}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			sittings := rounds(t, c.sittings)
			redis, journal := c.journal(t)
			args := journal
			if redis != nil { // a start waits for the silence of the server that was killed
				args = append([]string{"--takeover-after", "1s"}, journal...)
			}
			h := &crashes{histories: newHistories(t, sittings*crashCells, args...), redis: redis}
			h.door.shut()
			h.launch()
			for range sittings {
				h.sit()
			}
			require.Equal(t, exitDone, h.server.stop())
			h.verify(journal...)
			t.Logf("%d sittings, kill -9 of the server %d times, of Redis under a living server %d, of both %d; %v", sittings,
				h.kills[0], h.kills[1], h.kills[2], h.tally)
			require.Positive(t, h.tally.Unknown)
			require.NoError(t, h.tally.Answers.Untried())
		})
	}
}

func (h *crashes) launch() {
	h.server = start(h.t, h.args...)
	h.door.leadTo(h.server)
}

// sit plays the histories of one sitting.
func (h *crashes) sit() {
	const requests = crashCells * crashCallers * crashRequests
	var at []int
	for i := range crashesOfOne {
		at = append(at, requests*(2*i+1)/(2*crashesOfOne+1)+h.random.IntN(requests/(2*crashesOfOne+1)))
	}
	reached := h.milestones(at...)
	all, played := h.play(crashCells, crashCallers, time.Minute, func(c *historytest.Caller) {
		h.callThrough(&h.door, c, crashRequests, time.Second)
	})
	for _, passed := range reached {
		<-passed
		h.crash()
	}
	played.Wait()
	require.NoError(h.t, historytest.Finish(all, h.server.address()))
	h.tally.Add(historytest.Judge(h.t, all, true))
}

func (h *crashes) crash() {
	kind := 0
	if h.redis != nil {
		kind = h.random.IntN(3)
	}
	h.kills[kind]++
	if kind == 1 {
		h.redis.Kill()
		h.redis.Restart()
		return
	}
	h.door.shut()
	if kind == 2 {
		h.redis.Kill()
	}
	h.server.kill()
	if kind == 2 {
		h.redis.Restart()
	}
	h.launch()
}

// takeovers are histories on two servers that share a journal.
type takeovers struct {
	*histories
	servers [2]*program
	leader  atomic.Int32 // as the test believes
	doubt   atomic.Int64 // odd while that may be wrong
	astray  int          // rounds with a takeover that the test did not cause
}

// Each round plays so many cells, with one takeover during their histories.
const (
	takeoverAfter    = time.Second
	takeoverCells    = 16
	takeoverCallers  = 3
	takeoverRequests = 5 // before the leader is resumed, and as many after
)

// TestHistoriesThroughTakeovers (I5, I7, I8, I9) stops the leader during histories, lets the standby take over, and
// resumes the deposed leader, which finds requests and callers waiting. A caller without an answer sends the same ids
// to the other server, and some callers use the wrong server at any time.
//
// The verdict counts every outcome that either server acknowledged, and every other answer of a
// server that certainly led: from its takeover until it is stopped. A standby's reads, which are marked, lag behind the
// leader by design. A resumed leader believes in its term until its next write to the journal. Until then its reads,
// its refusals and its answers to repeats, which need no such write, may show the state at which it was stopped.
func TestHistoriesThroughTakeovers(t *testing.T) {
	for pair := range 4 {
		t.Run(strconv.Itoa(pair), func(t *testing.T) {
			t.Parallel()
			played := rounds(t, 4)
			r := redistest.Start(t)
			h := &takeovers{histories: newHistories(t, played*takeoverCells, "--redis", r.URL(),
				"--takeover-after", takeoverAfter.String())}
			h.servers = [2]*program{start(t, h.args...), launch(t, append(h.args, "--standby")...)}
			for range played {
				h.round()
			}
			h.verify("--redis", r.URL())
			t.Logf("%d takeovers, %d rounds with further ones; %v", played, h.astray, h.tally)
			require.Positive(t, h.tally.Unknown)
			require.Positive(t, h.tally.Undone)
			require.Positive(t, h.tally.Doubted)
			require.Positive(t, h.tally.Expired)
			require.NoError(t, h.tally.Answers.Untried())
		})
	}
}

func (h *takeovers) round() {
	h.awaitOneLeader()
	epoch := h.epoch()
	const requests = takeoverCells * takeoverCallers * takeoverRequests
	stop := h.milestones(requests/5 + h.random.IntN(requests/2))[0]
	var half sync.WaitGroup
	half.Add(takeoverCells * takeoverCallers)
	resumed := make(chan struct{})
	all, played := h.play(takeoverCells, takeoverCallers, 300*time.Millisecond, func(c *historytest.Caller) {
		home := h.call(c, h.leader.Load(), true)
		half.Done()
		<-resumed
		h.call(c, home, false)
	})
	<-stop
	h.doubt.Add(1)
	old := h.leader.Load()
	h.signal(old, syscall.SIGSTOP)
	next := h.servers[1-old]
	next.await(next.ready)
	h.leader.Store(1 - old)
	h.doubt.Add(1)
	half.Wait()
	h.signal(old, syscall.SIGCONT)
	close(resumed)
	played.Wait()
	h.awaitOneLeader()
	if h.epoch() != epoch+1 { // a busy machine: it is unknown which server led when
		h.astray++
		for _, one := range all {
			one.Distrust()
		}
	}
	require.NoError(h.t, historytest.Finish(all, h.servers[h.leader.Load()].address()))
	h.tally.Add(historytest.Judge(h.t, all, true))
}

func (h *takeovers) signal(server int32, s syscall.Signal) {
	require.NoError(h.t, h.servers[server].command.Process.Signal(s))
}

// awaitOneLeader waits until exactly one of the servers leads.
func (h *takeovers) awaitOneLeader() {
	h.servers[0].await(func() bool {
		first, second := h.servers[0].ready(), h.servers[1].ready()
		h.leader.Store(0)
		if second {
			h.leader.Store(1)
		}
		return first != second
	})
}

// epoch reads the leader's term number.
func (h *takeovers) epoch() int { return int(h.servers[h.leader.Load()].gauge("seathold_epoch")) }

// call makes half of the requests of a caller. The caller has a home server and moves to the other one when a call has
// no answer. In the first half the other server is a standby, and must mark its answers.
func (h *takeovers) call(c *historytest.Caller, home int32, first bool) int32 {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for range takeoverRequests {
		for ops, answered := c.Draw(), false; !answered; {
			h.begin()
			at := home
			if c.Random.IntN(4) == 0 {
				at = 1 - home
			}
			leads, follows := h.watch(at)
			reply := c.Call(h.servers[at].address(), ops, leads)
			if first && reply.Sent() && !reply.Unknown() && follows() && !reply.Standby {
				h.t.Errorf("an answer of a standby without the mark: %v", reply)
			}
			switch {
			case reply.Unknown():
				home = 1 - at
			case !reply.Sent() || reply.Refused(historytest.NotLeader):
				if at == home {
					<-tick.C
				}
			default:
				answered = true
				if !reply.Standby {
					home = at
				}
			}
		}
	}
	return home
}

// watch starts to watch a server. leads and follows report whether it certainly led, or followed, since then.
func (h *takeovers) watch(server int32) (leads, follows func() bool) {
	doubt, leading := h.doubt.Load(), server == h.leader.Load()
	sure := func() bool { return doubt%2 == 0 && h.doubt.Load() == doubt }
	return func() bool { return leading && sure() }, func() bool { return !leading && sure() }
}
