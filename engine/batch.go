package engine

import (
	"context"
	"fmt"
	"time"

	"github.com/seathold/seathold/engine/internal/waits"
	"github.com/seathold/seathold/engine/inventory"
)

// OpKind is the call that an operation of a batch makes.
type OpKind uint8

// The kinds of operations.
const (
	OpReserve OpKind = iota // Engine.Reserve of Request
	OpConfirm               // Engine.Confirm of ID with Reference
	OpRelease               // Engine.Release of ID
	OpExtend                // Engine.Extend of ID to ExpiresAt
	OpReduce                // Engine.Reduce of ID to Lines
	OpReturn                // Engine.Return of ID with Reference
)

func (k OpKind) call() call {
	return [...]call{callReserve, callConfirm, callRelease, callExtend, callReduce, callReturn}[k]
}

// Op is one operation of a batch and its answer. A caller that reuses its operations allocates nothing.
type Op struct {
	Kind      OpKind
	Request   Request
	ID        ID
	Reference string
	Again     bool      // OpConfirm: Engine.ConfirmAgain
	ExpiresAt time.Time // OpExtend
	Lines     []Line    // OpReduce: what the reservation keeps

	// The answer, exactly as the single call returns it: Err is nil, a *Refusal that is part of Result, or the context's
	// error.
	Result Reservation
	Err    error

	seq   uint64        // the outcome that must be durable before the answer is shown; 0 for none
	began time.Duration // when deciding began and ended, if calls are timed
	until time.Duration
}

// Batch executes independent operations in order, each like its single call, whatever the results of those before. A
// batch waits for the journal once, for all of its outcomes; none is visible before it is durable (I5). Operations of
// other callers may come between any two of a batch.
//
// Everything is decided before the wait, so the first operation of a long batch waits longest for its answer; a
// thousand operations take about a millisecond. Options.Backlog bounds the outcomes that wait for the journal, also
// within a batch. An operation waits for other callers like its single call, and all operations of a batch together for
// about a second (see the package documentation). When ctx ends, the operations that are not decided yet are not begun,
// and return its error.
func (e *Engine) Batch(ctx context.Context, ops []Op) {
	now, mayWait := e.counts.instant(), waits.Batch
	for i := range ops {
		e.prefetchAhead(ops, i)
		ops[i].began = now
		ops[i].Result.wait = inventory.Wait{Limit: min(waits.Call, mayWait)}
		e.decideOp(ctx, &ops[i])
		mayWait = max(mayWait-e.waits.Spent(&ops[i].Result.wait), waits.Least)
		now = e.counts.instant()
		ops[i].until = now
	}
	// From the last to the first: the last outcome becomes durable last, so only the first call here waits.
	for i := len(ops) - 1; i >= 0; i-- {
		op := &ops[i]
		op.Err = e.answer(ctx, op.Kind.call(), op.seq, op.Err, &op.Result)
	}
	e.counts.endBatch(ops, now)
}

// aheadOps is how many operations are decided between a prefetch and the use of what it loads.
const aheadOps = 8

// prefetchAhead prefetches what operations after the i-th will look up: first the index, then the rows that it names.
func (e *Engine) prefetchAhead(ops []Op, i int) {
	if ahead := i + 2*aheadOps; ahead < len(ops) {
		e.inventory.PrefetchIndex(ops[ahead].looksUp())
	}
	if ahead := i + aheadOps; ahead < len(ops) {
		e.inventory.PrefetchRows(ops[ahead].looksUp())
	}
}

// looksUp returns the id that the operation looks up first and, for OpReserve, the account.
func (op *Op) looksUp() (id *inventory.ID, account string) {
	if op.Kind == OpReserve {
		return (*inventory.ID)(&op.Request.ID), op.Request.Account
	}
	return (*inventory.ID)(&op.ID), ""
}

func (e *Engine) decideOp(ctx context.Context, op *Op) {
	op.seq = 0
	switch op.Kind {
	case OpReserve:
		op.seq, op.Err = e.reserve(ctx, &op.Request, &op.Result)
	case OpConfirm:
		if op.Again {
			op.seq, op.Err = e.decideConfirmAgain(ctx, op.ID, op.Reference, &op.Result)
		} else {
			op.seq, op.Err = e.decideConfirm(ctx, op.ID, op.Reference, &op.Result)
		}
	case OpRelease:
		op.seq, op.Err = e.decideRelease(ctx, op.ID, &op.Result)
	case OpExtend:
		op.seq, op.Err = e.decideExtend(ctx, op.ID, op.ExpiresAt, &op.Result)
	case OpReduce:
		op.seq, op.Err = e.decideReduce(ctx, op.ID, op.Lines, &op.Result)
	case OpReturn:
		op.seq, op.Err = e.decideReturn(ctx, op.ID, op.Reference, &op.Result)
	default:
		panic(fmt.Sprintf("BUG: a batch operation of kind %d", op.Kind))
	}
}

// Flush waits until everything decided so far by any caller is durable, including expiries, whatever Options.Durability
// is. From then on every read shows it. Errors are the journal's and ctx's.
func (e *Engine) Flush(ctx context.Context) error {
	t := e.term.Load()
	if t == nil || t.writer == nil {
		return nil
	}
	return t.writer.Wait(ctx, e.inventory.Placed())
}
