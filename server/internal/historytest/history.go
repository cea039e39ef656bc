// Package historytest records histories of concurrent calls to the HTTP API, and checks them for linearizability (I7,
// which includes I2, I3, I4, I5 and I9) by porcupine, with the sequential specification of engine/spec.
//
// A history is of one Cell. A few callers, with a connection each, reserve, confirm, release, change and read
// reservations concurrently, in single calls and in batches. At the end Finish reads everything. The outcome of a call
// is one of three:
//
//   - An answer, which must be consistent with the specification.
//   - A refusal that nothing was done: overloaded, not_leader, full. The call is not part of the history.
//   - No answer, or journal_unavailable: the call may have taken effect at any time until the end of the history, or
//     not.
//
// Servers may forget what has ended: see Forget.
//
// The operations of a batch are calls of the same duration: calls of others may take effect between any two of them.
package historytest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine/spec"
)

// History is a history that is being recorded. Callers use it concurrently; Finish and Judge are called when they are
// done.
type History struct {
	cell  Cell
	start *spec.Model
	clock func() time.Time // the server's sale clock
	ticks atomic.Int64

	forget time.Duration // see Forget; 0: nothing is forgotten

	mu      sync.Mutex
	calls   []porcupine.Operation
	settled []settling
	tally   Tally
	faults  []error
}

// Tally counts what histories contain.
type Tally struct {
	Histories int
	Calls     int // calls that were checked
	Batched   int // writes in batches
	Writes    int
	Beside    int // calls that overlap with another
	Refused   int
	Expired   int // answers that show an expired reservation
	Unknown   int // calls without an answer
	Undone    int // calls that were refused without effect
	Doubted   int // answers that may be stale by design, and are not checked
	Forgetting
	Answers spec.Tally
	Judging time.Duration
}

// Add adds another tally.
func (t *Tally) Add(o Tally) {
	t.Histories += o.Histories
	t.Calls += o.Calls
	t.Batched += o.Batched
	t.Writes += o.Writes
	t.Beside += o.Beside
	t.Refused += o.Refused
	t.Expired += o.Expired
	t.Unknown += o.Unknown
	t.Undone += o.Undone
	t.Doubted += o.Doubted
	t.Forgetting.add(o.Forgetting)
	t.Answers.Merge(&o.Answers)
	t.Judging += o.Judging
}

func (t Tally) String() string {
	return fmt.Sprintf("%d histories, %d calls (%d concurrent, %d refused, %d expired, %d of %d writes in batches), "+
		"%d without an answer, %d without effect, %d not checked; checked in %v; %v",
		t.Histories, t.Calls, t.Beside, t.Refused, t.Expired, t.Batched, t.Writes,
		t.Unknown, t.Undone, t.Doubted, t.Judging.Round(time.Millisecond), &t.Answers)
}

// New starts the history of a cell of the sale. clock is the server's sale clock.
func New(cell Cell, rules *spec.Rules, clock func() time.Time) *History {
	return &History{cell: cell, start: spec.New(rules), clock: clock}
}

// Caller is one caller of a history. It is not safe for concurrent use.
type Caller struct {
	Client
	Random  *rand.Rand
	history *History
	number  int
	known   map[string]string // states of reservations that answers have shown, by id
}

// Caller returns a new caller. The number distinguishes callers.
func (h *History) Caller(number int, r *rand.Rand, timeout time.Duration) *Caller {
	return &Caller{Client: Client{Timeout: timeout}, Random: r, history: h, number: number,
		known: map[string]string{}}
}

// Draw returns the operations of a random request. A third of the writes are in batches.
func (c *Caller) Draw() []spec.Operation {
	if c.Random.IntN(5) == 0 {
		return c.DrawRead()
	}
	write := func() spec.Operation {
		op := c.history.cell.drawWrite(c.Random, c.known, c.history.clock())
		if c.history.forget > 0 && op.Kind == spec.Reserve && c.Random.IntN(4) > 0 {
			op.TTL = time.Second                            // so that most can be forgotten
			if op.Replaces == "" && c.Random.IntN(3) == 0 { // a free id is for anybody
				op.Account = c.history.cell.account(c.Random.IntN(accountsOfCell))
			}
		}
		return op
	}
	ops := []spec.Operation{write()}
	if c.Random.IntN(6) == 0 { // 1.5 more on average, so five writes of fifteen are in a batch
		for range 1 + c.Random.IntN(2) {
			ops = append(ops, write())
		}
	}
	return ops
}

// DrawRead returns a random request that changes nothing.
func (c *Caller) DrawRead() []spec.Operation {
	return []spec.Operation{c.history.cell.drawRead(c.Random)}
}

// Call sends operations to the server and records their answers. led, if not nil, reports afterwards whether the server
// was certainly the leader throughout. If it was not, its state may be stale, and only what no stale state can show is
// recorded (see trust).
func (c *Caller) Call(address string, ops []spec.Operation, led func() bool) Reply {
	h := c.history
	at, began := spec.Instant(h.clock()), h.ticks.Add(1)
	reply, err := c.Send(address, ops)
	ended, until := h.ticks.Add(1), spec.Instant(h.clock())
	h.mu.Lock()
	defer h.mu.Unlock()
	if err != nil {
		h.faults = append(h.faults, err)
		return reply
	}
	stale := reply.Standby || led != nil && !led()
	for i, a := range reply.Answers {
		op := ops[i]
		c.learn(op, a)
		op.At = at
		if !reads(op) {
			h.tally.Writes++
			if len(ops) > 1 {
				h.tally.Batched++
			}
		}
		if a, recorded := h.recorded(op, a, stale); recorded {
			h.calls = append(h.calls, porcupine.Operation{ClientId: c.number + 100*i,
				Input: spec.Call{Operation: op, Until: until}, Call: began, Output: a, Return: ended})
		}
	}
	return reply
}

// learn notes the states that an answer shows.
func (c *Caller) learn(op spec.Operation, a spec.Answer) {
	if c.known == nil {
		return
	}
	for _, r := range append(slices.Clip(a.Account.Reservations), a.Reservation) {
		c.known[r.ID] = r.State
	}
	if state, ok := strings.CutPrefix(a.Code, "reservation_"); ok && op.Replaces == "" {
		c.known[op.ID] = state
	}
}

// recorded returns the answer with which a call is part of the history, if it is, and counts those that are not.
func (h *History) recorded(op spec.Operation, a spec.Answer, stale bool) (spec.Answer, bool) {
	switch {
	case a.Code == spec.Overloaded || a.Code == NotLeader || a.Code == Full:
		h.tally.Undone++
		return a, false
	case a.Code == spec.Unknown:
		h.tally.Unknown++
		return a, !reads(op)
	case stale:
		return h.trust(op, a)
	}
	return a, true
}

func reads(op spec.Operation) bool {
	return op.Kind == spec.ReadReservation || op.Kind == spec.ReadAccount
}

// trust returns what an answer shows whose server may not have led, and false if it shows nothing. Only a leader
// acknowledges an outcome. But a deposed server may answer from its last state, and answers a repeat without the
// journal. So reads, refusals and repeats are not recorded. A repeat of a release or a return is: the reservation stays
// as it is. An extend or a reduce does not show whether it was a repeat, so it is recorded as a call without an answer.
func (h *History) trust(op spec.Operation, a spec.Answer) (spec.Answer, bool) {
	switch {
	case a.Code == spec.Unknown:
		return a, true
	case reads(op) || !a.OK() || a.Repeated:
	case op.Kind == spec.Confirm && a.Reservation.ConfirmedAt.Before(op.At): // a repeat
	case op.Kind == spec.Extend || op.Kind == spec.Reduce:
		h.tally.Doubted++
		return spec.Answer{Refusal: spec.Refusal{Code: spec.Unknown}}, true
	default:
		return a, true
	}
	h.tally.Doubted++
	return a, false
}

// Distrust drops all answers that may be stale, for a history in which it is unknown who led.
func (h *History) Distrust() {
	var trusted []porcupine.Operation
	for _, o := range h.calls {
		if a, ok := h.trust(o.Input.(spec.Call).Operation, o.Output.(spec.Answer)); ok {
			o.Output = a
			trusted = append(trusted, o)
		}
	}
	h.calls = trusted
}

// Finish reads the final state of the histories from the server, which must be the leader. No call is in progress,
// other than those that can no longer take effect.
func Finish(all []*History, address string) error {
	var faults [8]error // one for each reader
	var readers sync.WaitGroup
	for reader := range faults {
		readers.Go(func() {
			c := Caller{Client: Client{Timeout: time.Minute}}
			defer c.Close()
			for i := reader; i < len(all) && faults[reader] == nil; i += len(faults) {
				c.history = all[i]
				faults[reader] = c.finish(address)
			}
		})
	}
	readers.Wait()
	return errors.Join(faults[:]...)
}

// finish reads the reservations and accounts of the cell.
func (c *Caller) finish(address string) error {
	h := c.history
	var ops []spec.Operation
	for i := range idsOfCell {
		ops = append(ops, spec.Operation{Kind: spec.ReadReservation, ID: h.cell.id(i)})
	}
	for i := range accountsOfCell {
		ops = append(ops, spec.Operation{Kind: spec.ReadAccount, Account: h.cell.account(i)})
	}
	for _, op := range ops {
		known := len(h.calls)
		if c.Call(address, []spec.Operation{op}, nil); len(h.calls) != known+1 {
			return fmt.Errorf("cell %d: the final %s has no answer: %w", h.cell, op, errors.Join(h.faults...))
		}
	}
	return nil
}

// Check checks calls. crashed means that a leader crashed or was deposed meanwhile, see spec.History.
func (h *History) Check(
	calls []porcupine.Operation, crashed bool,
) (porcupine.CheckResult, porcupine.LinearizationInfo) {
	return h.by(crashed).Check(calls, time.Minute)
}

func (h *History) by(crashed bool) spec.History {
	return spec.History{Start: h.start, OverHTTP: true, Crashed: crashed, Forget: h.forget}
}

// Judge fails the test unless, for each history, some order of its calls explains all answers. It keeps a page that
// shows a failed history.
func Judge(t testing.TB, all []*History, crashed bool) (sum Tally) {
	t.Helper()
	verdicts := make([]verdict, len(all))
	var next atomic.Int64
	var judges sync.WaitGroup
	began := time.Now()
	for range runtime.GOMAXPROCS(0) {
		judges.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(all)); i = next.Add(1) - 1 {
				v := &verdicts[i]
				v.calls = all[i].Calls()
				v.result, v.info = all[i].Check(v.calls, crashed)
			}
		})
	}
	judges.Wait()
	sum.Judging = time.Since(began)
	for i, h := range all {
		require.Empty(t, h.faults)
		if verdicts[i].result != porcupine.Ok {
			h.show(t, crashed, &verdicts[i])
		}
		h.count(len(verdicts[i].calls))
		sum.Add(h.tally)
	}
	return sum
}

type verdict struct {
	calls  []porcupine.Operation
	result porcupine.CheckResult
	info   porcupine.LinearizationInfo
}

// show fails the test and shows the history.
func (h *History) show(t testing.TB, crashed bool, v *verdict) {
	t.Helper()
	for _, o := range v.calls {
		c := o.Input.(spec.Call)
		t.Logf("%3d to %3d by %d, %s to %s: %s → %s", o.Call, o.Return, o.ClientId,
			c.At.Format("05.000"), c.Until.Format("05.000"), c, o.Output.(spec.Answer))
	}
	dir, err := os.MkdirTemp("", "seathold-history-")
	require.NoError(t, err)
	page := filepath.Join(dir, "history.html")
	require.NoError(t, h.by(crashed).Visualize(v.calls, v.info, page))
	require.FailNow(t, "no order explains the answers", "cell %d is %v; see %s", h.cell, v.result, page)
}

// count counts the recorded calls.
func (h *History) count(judged int) {
	h.tally.Histories, h.tally.Calls, h.tally.Forgetting = 1, judged, h.Forgetting()
	for _, one := range h.calls {
		a := one.Output.(spec.Answer)
		h.tally.Answers.Add(one.Input.(spec.Call).Operation, a)
		if !a.OK() && a.Code != spec.Unknown {
			h.tally.Refused++
		}
		if a.Code == "reservation_expired" || a.Reservation.State == "expired" {
			h.tally.Expired++
		}
		within := func(o porcupine.Operation) bool { return o.Call < one.Call && one.Call < o.Return }
		if slices.ContainsFunc(h.calls, within) {
			h.tally.Beside++
		}
	}
}
