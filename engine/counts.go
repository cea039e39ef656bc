package engine

import (
	"errors"
	"runtime"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/seathold/seathold/engine/internal/meter"
	"github.com/seathold/seathold/engine/inventory"
	"github.com/seathold/seathold/engine/rules"
)

// call is a method of the engine whose outcomes are counted.
type call uint8

const (
	callReserve call = iota
	callConfirm
	callRelease
	callExtend
	callReduce
	callReturn
	callReservation
	callAccount
	callEnter
	callEntry
	calls int = iota
)

// String returns the call's name in Stats.
func (c call) String() string {
	return [calls]string{"reserve", "confirm", "release", "extend", "reduce", "return", "reservation", "account", "enter",
		"entry"}[c]
}

// The results of calls that are not refusals.
const (
	codeOK       Code = "ok"
	codeRepeated Code = "repeated" // an earlier call had the same effect
	codeGaveUp   Code = "gave_up"  // the caller's context ended; an outcome that was decided is not undone
)

// The results of a call, as indices of counts. Every refusal has a result of its own: the index of its rule, after the
// first three.
const (
	countOK = iota
	countRepeated
	countGaveUp
	countRefused
	countOther     = countRefused + rules.Codes // a refusal without a rule, which would be a bug
	countedResults = countOther + 1
)

// countedCodes are the names of the results.
var countedCodes = func() (codes [countedResults]Code) {
	codes[countOK], codes[countRepeated], codes[countGaveUp], codes[countOther] = codeOK, codeRepeated, codeGaveUp, "other"
	for i, rule := range rules.Rules() {
		codes[countRefused+i] = rule.Code
	}
	return codes
}()

// counts are the counters that Stats reads. They are spread over stripes of a few kilobytes. The address of the
// caller's Reservation determines its stripe, so most stripes are used by one caller at a time and an addition is
// uncontended.
type counts struct {
	timed   bool
	began   time.Time // the origin of instants
	stripes []countStripe

	// unacknowledged counts outcomes whose callers stopped waiting for the journal. They are not counted under codeOK.
	unacknowledged [calls]atomic.Uint64
	// base is the number of reservations of each state when this engine began to lead.
	base    atomic.Pointer[map[State]uint64]
	atFirst int // reservations that were known then
}

type countStripe struct {
	results [calls][countedResults]atomic.Uint64
	engine  [calls]meter.Histogram // from the call to its answer, without waiting for the journal
	journal [calls]meter.Histogram // waiting for the journal, of calls that had to wait
	_       [64]byte
}

func newCounts(timed bool) *counts {
	n := 8
	for n < 4*runtime.GOMAXPROCS(0) && n < 64 {
		n *= 2
	}
	return &counts{timed: timed, began: time.Now(), stripes: make([]countStripe, n)}
}

// instant reads the monotonic clock if calls are timed.
func (c *counts) instant() time.Duration {
	if !c.timed {
		return 0
	}
	return time.Since(c.began)
}

// begin is the first step of every call.
func (c *counts) begin(r *Reservation) (began time.Duration) {
	r.waitedFrom, r.wait = 0, inventory.Wait{}
	return c.instant()
}

// end counts the result of a call, and returns it.
func (c *counts) end(of call, began time.Duration, r *Reservation, err error) error {
	s := c.stripeOf(r)
	s.results[of][resultOf(r, err)].Add(1)
	if !c.timed {
		return err
	}
	end := c.instant()
	if r.waitedFrom != 0 {
		s.journal[of].Observe(end - r.waitedFrom)
		end = r.waitedFrom
	}
	s.engine[of].Observe(end - began)
	return err
}

// endBatch counts the operations of an answered batch. decided is the instant at which all of them were decided.
func (c *counts) endBatch(ops []Op, decided time.Duration) {
	waited := c.instant() - decided
	for i := range ops {
		op := &ops[i]
		s, of := c.stripeOf(&op.Result), op.Kind.call()
		s.results[of][resultOf(&op.Result, op.Err)].Add(1)
		if !c.timed {
			continue
		}
		s.engine[of].Observe(op.until - op.began)
		if op.seq != 0 {
			s.journal[of].Observe(waited + decided - op.until)
		}
	}
}

func (c *counts) stripeOf(r *Reservation) *countStripe {
	return &c.stripes[int(r.spread())&(len(c.stripes)-1)]
}

// spread returns a number that differs between calls that run at a time.
func (r *Reservation) spread() uint32 {
	return uint32(uint64(uintptr(unsafe.Pointer(r))>>6) * 0x9e3779b97f4a7c15 >> 32)
}

func resultOf(r *Reservation, err error) int {
	if err == nil {
		if r.Repeated {
			return countRepeated
		}
		return countOK
	}
	refusal, ok := errors.AsType[*Refusal](err)
	if !ok {
		return countGaveUp
	}
	if i, ok := refusal.Code.Index(); ok {
		return countRefused + i
	}
	return countOther
}

// sum returns how often a call had a result.
func (c *counts) sum(of call, result int) uint64 {
	n := uint64(0)
	for i := range c.stripes {
		n += c.stripes[i].results[of][result].Load()
	}
	return n
}

// changed returns how many reservations a call has changed since the engine began to lead.
func (c *counts) changed(of call) uint64 { return c.sum(of, countOK) + c.unacknowledged[of].Load() }
