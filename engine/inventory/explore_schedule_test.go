//go:build seathold_yield

package inventory

import (
	"errors"
	"fmt"
	"iter"
	"slices"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine/inventory/internal/epoch"
	"github.com/seathold/seathold/engine/inventory/internal/table"
)

// explorer visits the schedules of one plan.
//
// Each caller is a coroutine that yields before it accesses a shared word (word_yield.go). A depth-first search
// visits every schedule with a bounded number of preemptions, as CHESS does. A preemption takes the turn from a
// caller in the middle of an operation that it could continue, or lets a caller retry while another one need not.
// Three rules keep the search small.
//
// Choice only where accesses race: at words that several callers access in one schedule, at least one of them by a
// write, without an order that other words of choice decide. A caller knows the steps of another one up to a write when
// it accesses the word of that write. Any other access commutes with the steps that its caller does not know. To make
// it together with the step before it reaches the same states, makes no operation longer and needs no more preemptions.
//
// Races are learned. The search starts over with each word on which a schedule shows a new race. The last search misses
// none: consider the shortest schedule that shows a race on another word. The accesses before it commute as above, so a
// visited schedule brings the callers to the same states, and there the same access is next.
//
// A schedule is abandoned in a state that the search has been in with as few preemptions (seen).
//
// Row numbers decide nothing but where rows are in memory, so the counters of the slabs are no words of choice.
type explorer struct {
	t *testing.T
	plan
	v *Inventory

	shared  map[uintptr]bool  // words at which callers race
	uses    map[uintptr]*uses // the other words
	found   []uintptr         // words on which this schedule showed a new race
	visited map[uint64]int    // by state: the fewest preemptions with which the search was there
	writes  map[uintptr]write // by shared word: its last write

	choices []choice // the schedule, as far as it is decided in advance
	at      int

	callers   []*coroutine
	scratch   []*coroutine
	running   *coroutine
	clock     int
	history   []answered
	completed uint64 // the operations that have returned, as the sum of their callers' pasts
	order     []Outcome
	journal   []logged
	awaited   []awaited

	ledgers     []shownLedger
	checkpoints []checkpoint
	census      Counter
	sweep       *Sweep
	recycled
	redefined
	known entries   // room
	rows  []Decided // room

	schedules, steps int
	judged           map[string]bool
	deepest          int // preemptions in one schedule
	idle             int // times that all callers waited, in this schedule
	failure          string
}

type choice struct{ taken, of int }

// mostCallers is how many callers a plan may have.
const mostCallers = 4

// clock counts for each caller the steps that are known to have come before.
type clock [mostCallers]uint32

// write is the last write of a word: the past of its caller, and what that knew.
type write struct {
	past uint64
	by   clock
}

// uses are the accesses to one word in one schedule: by caller, one more than the step in which it read or wrote last.
type uses struct {
	schedule    int
	read, wrote clock
}

// races notes an access, and reports whether an access of another caller conflicts with it that is not known to have
// come before.
func (u *uses) races(c *coroutine, writes bool) bool {
	found := false
	for i := range u.wrote {
		if i != c.number && (u.wrote[i] > c.known[i] || writes && u.read[i] > c.known[i]) {
			found = true
		}
	}
	now := c.known[c.number] + 1
	if writes {
		u.wrote[c.number] = now
	} else {
		u.read[c.number] = now
	}
	return found
}

// coroutine is a caller.
type coroutine struct {
	number  int
	next    func() (struct{}, bool)
	stop    func()
	yield   func(struct{}) bool
	past    uint64 // hash of what it has done and seen
	known   clock  // the steps that came before, its own included
	done    bool
	between bool // two operations: switching to another caller is no preemption
	waiting bool // until another caller has made a step
	backed  bool // it has backed off in this operation
	counts  bool // it looks at all rows, so it sees how many there are
	touched touched
}

// errAbandoned ends a caller whose schedule is not continued.
var errAbandoned = errors.New("abandoned")

// pass lets the scheduler decide who makes the next step.
func (c *coroutine) pass() {
	if !c.yield(struct{}{}) {
		panic(errAbandoned)
	}
}

// knows adds what a step that came before knew.
func (c *coroutine) knows(of clock) {
	for i, steps := range of {
		c.known[i] = max(c.known[i], steps)
	}
}

// saw adds to the past of the caller.
func (c *coroutine) saw(what, of uint64) {
	for _, n := range [...]uint64{what, of} {
		c.past = (c.past ^ n) * 0x9e3779b97f4a7c15
		c.past ^= c.past >> 29
	}
}

// explore visits every schedule.
func (e *explorer) explore() {
	e.start()
	table.Yield = e.access
	for {
		e.schedule()
		e.schedules++
		if len(e.found) > 0 {
			for _, word := range e.found {
				e.shared[word] = true
			}
			e.choices, e.steps, e.deepest = nil, 0, 0
			clear(e.visited)
		} else if !e.backtrack() {
			return
		}
	}
}

// start makes the inventory in which all schedules run.
func (e *explorer) start() {
	e.shared, e.uses, e.judged = map[uintptr]bool{}, map[uintptr]*uses{}, map[string]bool{}
	e.visited, e.writes = map[uint64]int{}, map[uintptr]write{}
	c := Config{Caps: []int{max(exploredCap, e.recap)}, Journalled: true, MaxReservations: exploredRows,
		MaxAccounts: exploredRows, Pause: e.pause}
	c.MaxQuotas = len(e.quotas)
	for i, units := range e.pools {
		c.Sessions = append(c.Sessions, SessionConfig{Limit: exploredLimit})
		c.Pools = append(c.Pools, PoolConfig{Session: e.sessionOf(uint32(i)), Units: units})
	}
	var err error
	e.v, err = New(c)
	require.NoError(e.t, err)
	if e.long {
		e.v.long = shortest
	}
	e.startBounds()
	e.census, e.sweep = NewCounter(e.v), e.v.NewSweep()
	e.startRecycling()
	e.startDefinition()
}

// reset empties the inventory. Every word keeps its address.
func (e *explorer) reset() {
	for i, units := range e.pools {
		e.v.stock[i].Fill(units, units, 0, 0)
	}
	e.v.reservations.Reset(exploredRows)
	e.v.details.Reset(exploredRows)
	e.v.overflows.Reset(exploredRows)
	e.v.accounts.Reset(exploredRows)
	e.v.texts.Reset(exploredRows)
	e.v.notes.Reset(exploredRows)
	e.v.calls = epoch.Epoch{}
	for i := range e.v.earliest {
		e.v.earliest[i].Store(0)
	}
	for i := range e.v.summaries {
		e.v.summaries[i].Store(nil)
	}
	e.v.byID.Reset()
	e.v.accounts.Index.Reset()
	e.v.Resume(0)
	e.sweep.at = 0
	e.resetRecycling()
	e.resetDefinition()
	e.list(false)
}

const exploredRows = 100

// access is called before each access to a word.
func (e *explorer) access(word unsafe.Pointer, writes bool) {
	c, address := e.running, uintptr(word)
	if e.recycles {
		e.touch(c, word, writes)
	}
	switch {
	case c == nil:
	case e.recycles && e.decidesNothing(c, word, writes):
	case e.uncounted(word):
		if c.counts {
			c.saw(e.v.reservations.Counter().Peek(), 3)
		}
	case e.shared[address]:
		c.pass()
		last := e.writes[address]
		c.saw(uint64(address), last.past)
		c.knows(last.by)
		c.known[c.number]++
		if writes {
			e.writes[address] = write{c.past, c.known}
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
		if u.races(c, writes) && !slices.Contains(e.found, address) {
			e.found = append(e.found, address)
		}
	}
}

// uncounted reports whether the word is the counter of a slab or a statistic.
func (e *explorer) uncounted(word unsafe.Pointer) bool {
	short, long := e.v.texts.Counters()
	switch (*table.Word64)(word) {
	case e.v.reservations.Counter(), e.v.details.Counter(), e.v.overflows.Counter(), e.v.accounts.Counter(),
		e.v.notes.Counter(), short, long, &e.v.ended.expired, &e.v.ended.replaced, &e.v.ended.again, &e.reclaimer.freed:
		return true
	}
	return false
}

// pause makes the caller wait for a step of another one.
func (e *explorer) pause(w Wait) (Wait, bool) {
	c := e.running
	e.must(w.Attempts < 10_000, "a caller retries forever")
	c.waiting, c.backed = true, true
	c.saw(uint64(w.Attempts), 2)
	c.pass()
	w.Attempts++
	return w, true
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
	e.must(c.of == of, "the code is not deterministic")
	e.at++
	return c.taken
}

func (e *explorer) schedule() {
	e.reset()
	clear(e.writes)
	e.at, e.clock, e.completed, e.idle = 0, 0, 0, 0
	e.history, e.order, e.awaited, e.callers, e.found = nil, nil, nil, nil, nil
	e.journal, e.checkpoints, e.ledgers = e.journal[:0], nil, e.ledgers[:0]
	for _, op := range e.before {
		h := answered{do: op, call: e.clock + 1, ret: e.clock + 2}
		h.answer = e.do(op)
		e.answered(h, 0)
		e.clock += 2
	}
	for i := range e.programs {
		e.callers = append(e.callers, e.caller(i))
	}
	defer func() {
		for _, c := range e.callers {
			c.stop()
		}
	}()
	preemptions, began := 0, e.steps
	defer func() { e.deepest = max(e.deepest, preemptions) }()
	var last *coroutine
	for {
		able := e.able(last)
		if len(able) == 0 {
			break
		}
		// Continuing with the same caller is free. Where it cannot continue, or is between two operations, any caller is
		// free, except one that retries while another need not.
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
				return
			}
			pick = e.choose(of)
		}
		if pick >= free {
			preemptions++
		}
		last = able[pick]
		e.step(last)
		e.must(e.steps < began+10_000, "a caller looks forever")
	}
	e.judge()
}

// seen reports whether the search has been in this state with as few preemptions: then it visits from there all that
// can follow. A state is what each caller has done and seen. A past contains the accesses of the caller and, for each
// one, the past of the last writer of the word. So equal pasts mean equal memory, but for row numbers, and the
// callers do the same next. A past also contains which operations had returned at each call, since the rules see
// that.
func (e *explorer) seen(last *coroutine, preemptions int) bool {
	var state coroutine
	for _, c := range e.callers {
		flags := uint64(0)
		if c.waiting {
			flags |= 1
		}
		if c == last {
			flags |= 2
		}
		state.saw(c.past, flags)
	}
	if before, ok := e.visited[state.past]; ok && before <= preemptions {
		return true
	}
	e.visited[state.past] = preemptions
	return false
}

// able lists the callers that can make a step: the one that made the last step, then those that have not backed off,
// then those that have. None can when all are done.
func (e *explorer) able(last *coroutine) []*coroutine {
	for {
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
		waiting := slices.ContainsFunc(e.callers, func(c *coroutine) bool { return c.waiting })
		if len(able) > 0 || !waiting {
			return able
		}
		// All wait. What they wait for may have happened between the look and the wait.
		e.idle++
		e.must(e.idle < 100, "stuck: every caller waits for another; %v", e.history)
		for _, c := range e.callers {
			c.waiting = false
		}
	}
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
		available, unsettled := e.v.stock[i].Units()
		e.must(available+unsettled <= e.most[i], "I1: pool %d of %d has %d available, %d unsettled", i, e.most[i],
			available, unsettled)
	}
	links := 0
	for top, _ := e.v.placed.Peek(); top != 0; top = *e.v.below(top.Outcome()) {
		links++
		e.must(links < exploredRows, "I3: an outcome is placed twice")
	}
}

// must is require.True without its walk of the stack, which would take a third of the time.
func (e *explorer) must(ok bool, format string, args ...any) {
	if !ok {
		e.failure = fmt.Sprintf(format, args...)
		e.t.Fatal(e.failure)
	}
}

// caller makes the coroutine of one program.
func (e *explorer) caller(i int) *coroutine {
	c := &coroutine{number: i}
	c.next, c.stop = iter.Pull(func(yield func(struct{}) bool) {
		c.yield = yield
		defer func() {
			if cause := recover(); cause != nil && cause != errAbandoned {
				panic(cause)
			}
		}()
		for n, op := range e.programs[i] {
			if n > 0 {
				c.between = true
				c.pass()
				c.between = false
			}
			c.saw(uint64(n), e.completed)
			e.clock++
			h := answered{do: op, call: e.clock}
			_, placed := e.v.placed.Peek()
			c.counts = slices.Contains([]string{"census", "checkpoint", "sweep", "reclaim"}, op.kind)
			c.touched = touched{none: op.kind == "reclaim"}
			h.answer = e.do(op)
			c.backed = false
			c.saw(uint64(n), 1)
			e.completed += c.past
			e.clock++
			h.ret = e.clock
			e.answered(h, uint64(placed))
		}
	})
	return c
}
