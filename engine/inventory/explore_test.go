//go:build seathold_yield

package inventory

import (
	"fmt"
	"iter"
	"os"
	"slices"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

// The explorer runs the real code, one atomic step at a time: every caller is a coroutine that comes back at each seam
// (yield), and a depth-first search goes through all ways to take turns with at most so many preemptions. What the callers
// are told is judged by the sequential rules, and every prefix of what was placed must be legal. It is to the code what
// the model of the protocol is to its idea.

// plan is one case: what there is, and what each caller does one thing after the other.
type plan struct {
	pools        []uint32 // units; each pool is a session of its own
	reservations map[string]wish
	programs     [][]do
	preemptions  int
}

type wish struct {
	account string
	expires int64
	lines   []Line // pools as in the plan
	id      string // another's name: the same id
}

type do struct {
	kind string // reserve, confirm, release, expire, read, ledger, drain
	name string // of a wish, or an account
	now  int64
}

const exploredCap, exploredLimit = 4, 3 // tickets an account, tickets a session and account

// told is one operation of a history.
type told struct {
	do
	call, ret int
	answer    string
}

// explorer goes through the schedules of one plan.
type explorer struct {
	t *testing.T
	plan
	v     *Inventory
	pause func(int) bool
	cell  int // schedules run on this inventory

	choices []choice // the schedule, as far as it is decided in advance
	at      int
	strayed bool // this run did not follow it

	callers []*coroutine
	scratch []*coroutine
	running *coroutine
	clock   int
	history []told
	order   []Outcome

	schedules, steps int
	strays           int
	judged           map[string]bool
	most             int // preemptions in one schedule
}

type choice struct{ taken, of int }

// coroutine is a caller.
type coroutine struct {
	next    func() (struct{}, bool)
	stop    func()
	yield   func(struct{}) bool
	done    bool
	waiting bool // until another caller has made a step
	looking bool // it has had to wait in this operation
}

const cellsOfInventory = 4096

func (e *explorer) fresh() {
	sessions := make([]SessionConfig, len(e.pools)*cellsOfInventory)
	pools := make([]PoolConfig, len(sessions))
	for i := range pools {
		sessions[i].Limit = exploredLimit
		pools[i] = PoolConfig{Session: uint32(i), Units: e.pools[i%len(e.pools)]}
	}
	v, err := New(Config{Pools: pools, Sessions: sessions, Caps: []int{exploredCap}, Journalled: true, ExpectAccounts: 1 << 17,
		MaxReservations: 1 << 17, MaxAccounts: 1 << 15, Pause: func(attempt int) bool { return e.pause(attempt) }})
	require.NoError(e.t, err)
	e.v, e.cell = v, 0
}

// explore runs every schedule and returns how many there were.
func (e *explorer) explore() {
	e.judged = map[string]bool{}
	e.pause = func(attempt int) bool {
		require.Less(e.t, attempt, 10_000, "a caller looks again for ever")
		e.running.waiting, e.running.looking = true, true
		e.running.yield(struct{}{})
		return true
	}
	Yield = func() {
		if e.running != nil {
			e.running.yield(struct{}{})
		}
	}
	for more := true; more; {
		if e.v == nil || e.cell == cellsOfInventory {
			e.fresh()
		}
		e.schedule()
		e.cell++
		e.schedules++
		if e.strayed {
			// Two keys met in the index, whose hashes are random: the same schedule once more, with other keys.
			e.strays++
			require.Less(e.t, e.strays, 10+e.schedules/1000, "the code does not do the same twice")
			continue
		}
		more = e.backtrack()
	}
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

// choose takes the next decision: 0 where the schedule says nothing yet.
func (e *explorer) choose(of int) int {
	if e.strayed {
		return 0
	}
	if e.at == len(e.choices) {
		e.choices = append(e.choices, choice{of: of})
	}
	c := e.choices[e.at]
	if c.of != of {
		e.strayed = true
	}
	e.at++
	return min(c.taken, of-1)
}

func (e *explorer) schedule() {
	e.strayed, e.at, e.clock, e.history, e.order, e.callers = false, 0, 0, nil, nil, nil
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
			// What they wait for may have come about between their look and their waiting.
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
		// Going on with the same caller is free, and so is any turn when it cannot go on, but for letting one look again
		// while there is one that need not.
		free := 1
		if last == nil || able[0] != last {
			for free < len(able) && able[free].looking == able[0].looking {
				free++
			}
		}
		if preemptions < e.preemptions {
			free = len(able)
		}
		pick := 0
		if free > 1 {
			pick = e.choose(free)
		}
		if pick > 0 && (able[0] == last || able[pick].looking && !able[0].looking) {
			preemptions++
		}
		last = able[pick]
		e.step(last)
	}
	e.most = max(e.most, preemptions)
	e.judge()
}

// able lists who can make a step: the one that made the last one first, then those that did not have to wait, then those
// that did.
func (e *explorer) able(last *coroutine) []*coroutine {
	able := e.scratch[:0]
	if last != nil && !last.done && !last.waiting {
		able = append(able, last)
	}
	for _, looking := range []bool{false, true} {
		for _, c := range e.callers {
			if c != last && !c.done && !c.waiting && c.looking == looking {
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
		available, unsettled := unpackPool(e.v.stock[e.cell*len(e.pools)+i].word.Load())
		if available+unsettled > e.pools[i] {
			e.t.Fatalf("I1: pool %d of %d has %d available, %d unsettled", i, e.pools[i], available, unsettled)
		}
	}
}

func (e *explorer) caller(i int) *coroutine {
	c := &coroutine{}
	c.next, c.stop = iter.Pull(func(yield func(struct{}) bool) {
		c.yield = yield
		for _, op := range e.programs[i] {
			e.clock++
			h := told{do: op, call: e.clock}
			h.answer = e.do(op)
			c.looking = false
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
	copy(id[:], fmt.Sprintf("%d.%s", e.cell, name))
	return id
}

func (e *explorer) account(name string) string { return fmt.Sprintf("%d.%s", e.cell, name) }

// do carries out an operation as the engine does.
func (e *explorer) do(op do) string {
	switch op.kind {
	case "reserve":
		return e.reserve(op)
	case "ledger":
		return e.ledger(op)
	case "drain":
		e.v.Drain(func(o Outcome) { e.order = append(e.order, o) })
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
	return map[Verdict]string{Done: "done", AlreadyDone: "already", NotFound: "none", WasConfirmed: "confirmed", WasReleased: "released", WasExpired: "expired"}[res.Verdict]
}

func (e *explorer) reserve(op do) string {
	w := e.reservations[op.name]
	q := Request{ID: e.id(op.name), Account: e.account(w.account), Expires: w.expires}
	for _, l := range w.lines {
		q.Lines = append(q.Lines, Line{Pool: uint32(e.cell*len(e.pools)) + l.Pool, Quantity: l.Quantity})
	}
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
			return "done"
		case Known:
		case SoldOut:
			return fmt.Sprintf("sold out %d %d", int(res.Pool)%len(e.pools), res.Available)
		case SessionLimitExceeded:
			return fmt.Sprintf("limit %d %d %d", int(res.Session)%len(e.pools), res.Held, res.Confirmed)
		case AccountCapExceeded:
			return fmt.Sprintf("cap %d %d", res.Held, res.Confirmed)
		default:
			return fmt.Sprintf("verdict %d", res.Verdict)
		}
	}
}

func (e *explorer) ledger(op do) string {
	row := e.v.FindAccount(e.account(op.name))
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

// TestExplore (I1 to I4, I6, I7, I9) goes through the interleavings of small cases on the code itself. SEATHOLD_PREEMPTIONS
// raises the bound.
func TestExplore(t *testing.T) {
	defer func(yield func()) { Yield = yield }(Yield)
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
				e.preemptions = 2
			}
			e.preemptions += more - fewerPreemptions
			e.explore()
			t.Logf("%d schedules with up to %d preemptions, %d steps, %d different histories", e.schedules, e.most, e.steps, len(e.judged))
			require.Greater(t, e.schedules, 1)
			require.Greater(t, len(e.judged), 1)
		})
	}
}
