package engine

import (
	"context"
	"fmt"
	"time"

	"github.com/seathold/seathold/engine/inventory"
)

// OpKind is the call that an operation of a batch stands for.
type OpKind uint8

// The kinds of operations.
const (
	OpReserve OpKind = iota // Engine.Reserve of Request
	OpConfirm               // Engine.Confirm of ID with Reference
	OpRelease               // Engine.Release of ID
)

func (k OpKind) call() call { return [...]call{callReserve, callConfirm, callRelease}[k] }

// Op is one operation of a batch with its answer. A caller that uses its operations again allocates nothing.
type Op struct {
	Kind      OpKind
	Request   Request
	ID        ID
	Reference string

	// The answer, exactly as the single call gives it: Err is nil, a *Refusal that belongs to Result, or the context's
	// error.
	Result Reservation
	Err    error

	seq   uint64           // the outcome that must be durable before the answer is given; 0 for none
	ended inventory.Result // of one that was to end
	began time.Duration    // instants at which deciding began and was done, where calls are timed
	until time.Duration
}

// Batch carries out operations that do not depend on each other: in their order, each on its own, whatever became of the
// ones before, and each as its single call would. What the batch saves is the waiting: it waits for the journal once, for
// all of its outcomes, and nothing of it is told before (I5). Other callers may come in between any two of its operations.
//
// It decides everything before it waits, so the longer the batch, the longer its first operation waits for its answer; a
// thousand operations take about a millisecond. Options.Backlog bounds what may wait for the journal, of one batch too.
func (e *Engine) Batch(ctx context.Context, ops []Op) {
	now := e.counts.instant()
	for i := range ops {
		e.prefetchAhead(ops, i)
		ops[i].began = now
		e.decideOp(&ops[i])
		now = e.counts.instant()
		ops[i].until = now
	}
	// From the last to the first: the outcome placed last is durable last, so the first wait is the only one.
	for i := len(ops) - 1; i >= 0; i-- {
		e.answerOp(ctx, &ops[i])
	}
	e.counts.endBatch(ops, now)
}

// aheadOps is how many operations pass between what a later one needs being asked for and being there.
const aheadOps = 8

// prefetchAhead has the memory begin to bring what the operations behind the i-th will look up: first where, then what.
func (e *Engine) prefetchAhead(ops []Op, i int) {
	if ahead := i + 2*aheadOps; ahead < len(ops) {
		e.inventory.PrefetchIndex(ops[ahead].looksUp())
	}
	if ahead := i + aheadOps; ahead < len(ops) {
		e.inventory.PrefetchRows(ops[ahead].looksUp())
	}
}

// looksUp returns the id and, for a reservation, the account that the operation begins with.
func (op *Op) looksUp() (id *inventory.ID, account string) {
	if op.Kind == OpReserve {
		return (*inventory.ID)(&op.Request.ID), op.Request.Account
	}
	return (*inventory.ID)(&op.ID), ""
}

func (e *Engine) decideOp(op *Op) {
	op.seq, op.ended, op.Err = 0, inventory.Result{}, nil
	switch op.Kind {
	case OpReserve:
		op.seq, op.Err = e.reserve(&op.Request, &op.Result)
	case OpConfirm:
		if op.Err = checkReference(op.Reference, &op.Result); op.Err == nil {
			op.ended, op.Err = e.decideEnd(op.ID, &op.Result, func(row uint32, now int64) inventory.Result {
				return e.inventory.Confirm(row, now, op.Reference)
			})
		}
	case OpRelease:
		op.ended, op.Err = e.decideEnd(op.ID, &op.Result, e.inventory.Release)
	default:
		panic(fmt.Sprintf("BUG: an operation of kind %d", op.Kind))
	}
}

func (e *Engine) answerOp(ctx context.Context, op *Op) {
	switch {
	case op.Kind != OpReserve && op.Err == nil:
		op.Err = e.answerEnd(ctx, op.Kind.call(), &op.ended, &op.Result)
	case op.seq != 0:
		if err := e.awaitDurable(ctx, op.seq, &op.Result); err != nil {
			if op.Err == nil && !op.Result.Repeated {
				e.counts.unacknowledged[callReserve].Add(1)
			}
			op.Err = err
		}
	}
}

// Flush waits until all that any caller has decided so far is durable, expiries too, whatever the durability: from then on
// every read shows it. Errors are the journal's, or ctx's.
func (e *Engine) Flush(ctx context.Context) error {
	t := e.term.Load()
	if t == nil || t.writer == nil {
		return nil
	}
	return t.writer.Wait(ctx, e.inventory.Placed())
}
