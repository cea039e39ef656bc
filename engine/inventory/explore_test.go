//go:build seathold_yield

package inventory

import (
	"errors"
	"fmt"
	"iter"
	"os"
	"slices"
	"strconv"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
)

// The explorer runs the real code one access at a time. Each caller is a coroutine that yields before it accesses a
// shared word (word_yield.go). A depth-first search visits every schedule with a bounded number of preemptions, as
// CHESS does. The sequential rules judge the answers, and every prefix of the journal must be legal. The explorer is
// to the code what the model of the protocol is to the design.
//
// Only accesses that may conflict are points of choice: those to a word that several callers of one schedule access,
// at least one of them writing. The other accesses commute with every step of the other callers. Doing them together
// with the step before them reaches the same states, gives no caller a longer operation and needs no more
// preemptions, so nothing is lost. Which words conflict is learned: a schedule that shows a new one starts the search
// over with that word added. Until then all schedules agree with those of the search with that word, so none of them
// can hide another.
//
// Row numbers decide nothing but the order of rows in memory, so the counters of the slabs are not points of choice.

// plan is one case: the stock, and what each caller does in sequence.
type plan struct {
	pools        []uint32 // units; each pool is a session of its own
	reservations map[string]wish
	programs     [][]do
	preemptions  int // default 3
}

type wish struct {
	account string
	expires int64
	lines   []Line // pools as in the plan
	id      string // the name of another wish, whose id it uses
}

type do struct {
	kind string // reserve, confirm, release, expire, read, ledger, drain
	name string // of a wish, or an account
	now  int64
}

// every is a bound that no schedule reaches: every interleaving is visited.
const every = 1000

const exploredCap, exploredLimit = 4, 3 // tickets an account, tickets a session and account

// answered is one operation of a history.
type answered struct {
	do
	call, ret int
	answer    string
}

// explorer visits the schedules of one plan.
type explorer struct {
	t *testing.T
	plan
	v     *Inventory
	pause func(int) bool

	shared map[uintptr]bool  // words at which callers may conflict
	uses   map[uintptr]*uses // the other words
	found  []uintptr         // words that conflicted in this schedule for the first time

	choices []choice // the schedule, as far as it is decided in advance
	at      int

	callers []*coroutine
	scratch []*coroutine
	running *coroutine
	clock   int
	history []answered
	order   []Outcome          // the journal
	placed  map[Outcome]uint64 // the sequence that the inventory returned for an outcome

	visited   map[uint64]int // by state: the fewest preemptions with which the search went on from there
	writes    map[uintptr]uint64
	completed uint64 // the operations that have returned

	schedules, steps int
	judged           map[string]bool
	most             int // preemptions in one schedule
}

type choice struct{ taken, of int }

// uses are the accesses to one word in one schedule.
type uses struct {
	schedule int
	callers  uint
	written  bool
}

// coroutine is a caller.
type coroutine struct {
	number  int
	next    func() (struct{}, bool)
	stop    func()
	yield   func(struct{}) bool
	past    uint64 // what it has done and seen so far
	done    bool
	between bool // two operations: switching to another caller is no preemption
	waiting bool // until another caller has made a step
	backed  bool // it has backed off in this operation
}

// abandoned ends a caller whose schedule is not continued.
var abandoned = errors.New("abandoned")

// pass lets the scheduler decide who makes the next step.
func (c *coroutine) pass() {
	if !c.yield(struct{}{}) {
		panic(abandoned)
	}
}

// explore visits every schedule.
func (e *explorer) explore() {
	e.start()
	yield = e.access
	for {
		e.schedule()
		e.schedules++
		if len(e.found) > 0 {
			for _, word := range e.found {
				e.shared[word] = true
			}
			e.choices, e.steps, e.most = nil, 0, 0
			clear(e.visited)
		} else if !e.backtrack() {
			return
		}
	}
}

// start makes the inventory in which all schedules run.
func (e *explorer) start() {
	e.shared, e.uses, e.judged = map[uintptr]bool{}, map[uintptr]*uses{}, map[string]bool{}
	e.visited, e.writes = map[uint64]int{}, map[uintptr]uint64{}
	e.pause = func(attempt int) bool {
		require.Less(e.t, attempt, 10_000, "a caller retries forever")
		e.running.waiting, e.running.backed = true, true
		e.running.past = mix(e.running.past, uint64(attempt), 2)
		e.running.pass()
		return true
	}
	c := Config{Caps: []int{exploredCap}, Journalled: true, MaxReservations: 100, MaxAccounts: 100,
		Pause: func(attempt int) bool { return e.pause(attempt) }}
	for i, units := range e.pools {
		c.Sessions = append(c.Sessions, SessionConfig{Limit: exploredLimit})
		c.Pools = append(c.Pools, PoolConfig{Session: uint32(i), Units: units})
	}
	var err error
	e.v, err = New(c)
	require.NoError(e.t, err)
}

// reset empties the inventory. Every word keeps its address.
func (e *explorer) reset() {
	for i, units := range e.pools {
		e.v.stock[i].word.Store(packPool(units, 0))
		e.v.stock[i].sold.Store(0)
	}
	empty(&e.v.reservations)
	empty(&e.v.details)
	empty(&e.v.overflows)
	empty(&e.v.accounts)
	e.v.texts.used.Store(0)
	clear(e.v.byID.root.Load().slots)
	clear(e.v.accountIndex.root.Load().slots)
	e.v.Resume(0)
}

func empty[T any](s *slab[T]) {
	if chunk := s.chunks[0].Load(); chunk != nil {
		clear(chunk[:100])
	}
	s.used.Store(1)
}

// access is called before each access to a word.
func (e *explorer) access(word unsafe.Pointer, writes bool) {
	c, address := e.running, uintptr(word)
	switch {
	case c == nil || e.uncounted(word):
	case e.shared[address]:
		c.pass()
		c.past = mix(c.past, uint64(address), e.writes[address])
		if writes {
			e.writes[address] = c.past
		}
	default:
		u := e.uses[address]
		if u == nil {
			u = &uses{}
			e.uses[address] = u
		}
		if u.schedule != e.schedules {
			*u = uses{schedule: e.schedules}
		}
		u.callers |= 1 << c.number
		u.written = u.written || writes
		if u.written && u.callers&(u.callers-1) != 0 && !slices.Contains(e.found, address) {
			e.found = append(e.found, address)
		}
	}
}

// uncounted reports whether the word is the counter of a slab or a statistic.
func (e *explorer) uncounted(word unsafe.Pointer) bool {
	switch (*word64)(word) {
	case &e.v.reservations.used, &e.v.details.used, &e.v.overflows.used, &e.v.accounts.used, &e.v.texts.used, &e.v.expired:
		return true
	}
	return false
}

// backtrack moves on to the next schedule.
func (e *explorer) backtrack() bool {
	for n := len(e.choices); n > 0; n-- {
		if last := &e.choices[n-1]; last.taken+1 < last.of {
			last.taken++
			e.choices = e.choices[:n]
			return true
		}
	}
	return false
}

// choose takes the next decision: 0 where the schedule does not have one yet.
func (e *explorer) choose(of int) int {
	if e.at == len(e.choices) {
		e.choices = append(e.choices, choice{of: of})
	}
	c := e.choices[e.at]
	require.Equal(e.t, c.of, of, "the code is not deterministic")
	e.at++
	return c.taken
}

func (e *explorer) schedule() {
	e.reset()
	e.at, e.clock, e.history, e.order, e.callers, e.found = 0, 0, nil, nil, nil, nil
	e.placed, e.completed = map[Outcome]uint64{}, 0
	clear(e.writes)
	for i := range e.programs {
		e.callers = append(e.callers, e.caller(i))
	}
	defer func() {
		for _, c := range e.callers {
			c.stop()
		}
	}()
	preemptions, idle := 0, 0
	var last *coroutine
	for {
		able := e.able(last)
		if len(able) == 0 {
			// What they wait for may have happened between the look and the wait.
			waiting := 0
			for _, c := range e.callers {
				if c.waiting {
					c.waiting, waiting = false, waiting+1
				}
			}
			if waiting == 0 {
				break
			}
			idle++
			require.Less(e.t, idle, 100, "stuck: every caller waits for another; %v", e.history)
			continue
		}
		// Continuing with the same caller is free. Where it cannot continue, or is between two operations, any caller is
		// free, except that a retry while another caller can make progress counts as a preemption.
		free := 1
		if last == nil || able[0] != last || last.between {
			for free < len(able) && able[free].backed == able[0].backed {
				free++
			}
		}
		of := free
		if preemptions < e.preemptions {
			of = len(able)
		}
		pick := 0
		if of > 1 {
			if e.at == len(e.choices) && e.seen(last, preemptions) {
				e.most = max(e.most, preemptions)
				return
			}
			pick = e.choose(of)
		}
		if pick >= free {
			preemptions++
		}
		last = able[pick]
		e.step(last)
	}
	e.most = max(e.most, preemptions)
	e.judge()
}

// seen reports whether the search has been in this state with as few preemptions: then all that follows is visited
// there. A state is what each caller has done and seen. The past of a caller is a hash of its accesses and of the
// writes that they met; with the same pasts the memory is the same, too, and so is what the callers do next.
func (e *explorer) seen(last *coroutine, preemptions int) bool {
	state := uint64(0)
	for _, c := range e.callers {
		state = mix(state, c.past, uint64(bit(c.waiting)+2*bit(c == last)))
	}
	if before, ok := e.visited[state]; ok && before <= preemptions {
		return true
	}
	e.visited[state] = preemptions
	return false
}

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}

func mix(past, a, b uint64) uint64 {
	for _, n := range [...]uint64{a, b} {
		past = (past ^ n) * 0x9e3779b97f4a7c15
		past ^= past >> 29
		past *= 0xbf58476d1ce4e5b9
		past ^= past >> 32
	}
	return past
}

// able lists the callers that can make a step: the one that made the last step, then those that have not backed off,
// then those that have.
func (e *explorer) able(last *coroutine) []*coroutine {
	able := e.scratch[:0]
	if last != nil && !last.done && !last.waiting {
		able = append(able, last)
	}
	for _, backed := range []bool{false, true} {
		for _, c := range e.callers {
			if c != last && !c.done && !c.waiting && c.backed == backed {
				able = append(able, c)
			}
		}
	}
	e.scratch = able
	return able
}

func (e *explorer) step(c *coroutine) {
	e.running = c
	_, more := c.next()
	e.running = nil
	c.done, c.waiting = !more, c.waiting && more
	e.steps++
	for _, other := range e.callers {
		if other != c {
			other.waiting = false
		}
	}
	for i := range e.pools {
		available, unsettled := unpackPool(e.v.stock[i].word.Load())
		if available+unsettled > e.pools[i] {
			e.t.Fatalf("I1: pool %d of %d has %d available, %d unsettled", i, e.pools[i], available, unsettled)
		}
	}
}

func (e *explorer) caller(i int) *coroutine {
	c := &coroutine{number: i}
	c.next, c.stop = iter.Pull(func(yield func(struct{}) bool) {
		c.yield = yield
		defer func() {
			if cause := recover(); cause != nil && cause != abandoned {
				panic(cause)
			}
		}()
		for n, op := range e.programs[i] {
			if n > 0 {
				c.between = true
				c.pass()
				c.between = false
			}
			c.past = mix(c.past, uint64(n), e.completed) // the rules see which operations returned before this call
			e.clock++
			h := answered{do: op, call: e.clock}
			h.answer = e.do(op)
			c.backed = false
			c.past = mix(c.past, uint64(n), 1)
			e.completed += c.past
			e.clock++
			h.ret = e.clock
			if op.kind != "drain" {
				e.history = append(e.history, h)
			}
		}
	})
	return c
}

func (e *explorer) id(name string) (id ID) {
	if same := e.reservations[name].id; same != "" {
		name = same
	}
	copy(id[:], name)
	return id
}

// do carries out an operation as the engine does.
func (e *explorer) do(op do) string {
	switch op.kind {
	case "reserve":
		return e.reserve(op)
	case "ledger":
		return e.ledger(op)
	case "drain":
		e.drain()
		return ""
	}
	row := e.v.Find(e.id(op.name))
	if row == 0 {
		return "none"
	}
	var res Result
	switch op.kind {
	case "confirm":
		res = e.v.Confirm(row, op.now, "")
	case "release":
		res = e.v.Release(row, op.now)
	case "expire":
		e.v.Expire(row, op.now)
		return "looked"
	case "read":
		var s Snapshot
		for attempt := 0; !e.v.Read(row, &s); attempt++ {
			if row = e.v.Find(e.id(op.name)); row == 0 {
				return "none"
			}
			e.pause(attempt)
		}
		return s.State.String()
	}
	if res.Verdict == Done {
		e.placed[Outcome{Kind: Ended, Index: row}] = res.Seq
	}
	return map[Verdict]string{Done: "done", AlreadyDone: "already", NotFound: "none", WasConfirmed: "confirmed", WasReleased: "released", WasExpired: "expired"}[res.Verdict]
}

// drain appends to the journal what was placed. The sequences count the outcomes.
func (e *explorer) drain() {
	last := e.v.Drain(func(o Outcome) { e.order = append(e.order, o) })
	require.EqualValues(e.t, len(e.order), last, "I5: the drain covers outcomes that it did not visit")
	require.Equal(e.t, last, e.v.drained.Load())
}

func (e *explorer) reserve(op do) string {
	w := e.reservations[op.name]
	q := Request{ID: e.id(op.name), Account: w.account, Expires: w.expires, Lines: w.lines}
	for attempt := 0; ; attempt++ {
		if row := e.v.Find(q.ID); row != 0 {
			var s Snapshot
			if e.v.Read(row, &s) {
				return "known " + s.State.String()
			}
			e.pause(attempt)
			continue
		}
		switch res := e.v.Reserve(&q); res.Verdict {
		case Done:
			e.placed[Outcome{Kind: Took, Index: res.Row}] = res.Seq
			return "done"
		case Known:
		case SoldOut:
			return fmt.Sprintf("sold out %d %d", res.Pool, res.Available)
		case SessionLimitExceeded:
			return fmt.Sprintf("limit %d %d %d", res.Session, res.Held, res.Confirmed)
		case AccountCapExceeded:
			return fmt.Sprintf("cap %d %d", res.Held, res.Confirmed)
		default:
			return fmt.Sprintf("verdict %d", res.Verdict)
		}
	}
}

func (e *explorer) ledger(op do) string {
	row := e.v.FindAccount(op.name)
	if row == 0 {
		return "[]"
	}
	rows, ok := e.v.Ledger(row, nil)
	require.True(e.t, ok)
	var all []string
	for _, l := range rows {
		id := e.v.reservations.at(l.Row).id
		for name := range e.reservations {
			if e.reservations[name].id == "" && e.id(name) == id {
				all = append(all, name+" "+l.State().String())
			}
		}
	}
	slices.Sort(all)
	return fmt.Sprint(all)
}

// TestExplore (I1 to I7, I9) visits the interleavings of small cases of the code itself. SEATHOLD_PREEMPTIONS raises
// the bound.
func TestExplore(t *testing.T) {
	defer func(random func(unsafe.Pointer, bool)) { yield = random }(yield)
	more := 0
	if text := os.Getenv("SEATHOLD_PREEMPTIONS"); text != "" {
		var err error
		more, err = strconv.Atoi(text)
		require.NoError(t, err)
	}
	for _, c := range explored() {
		t.Run(c.title, func(t *testing.T) {
			e := &explorer{t: t, plan: c.plan}
			if e.preemptions == 0 {
				e.preemptions = 3
			}
			e.preemptions += more - fewerPreemptions
			e.explore()
			t.Logf("%d schedules with up to %d preemptions, %d steps, %d different histories", e.schedules, e.most, e.steps, len(e.judged))
			require.Greater(t, e.schedules, 1)
			require.Greater(t, len(e.judged), 1)
		})
	}
}
