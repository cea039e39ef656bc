package rehearsal

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seathold/seathold/engine"
)

// laneWidth is the number of buyers of a worker, which are served in one batch. Each batch awaits a sync of the
// journal, so more is better, until a batch no longer fits into the cache.
const laneWidth = 1024

// lane is a worker: it plays many buyers and makes one batch of their requests.
type lane struct {
	r      *rehearsal
	buyers [laneWidth]buyer
	ops    []engine.Op
	at     []int    // the buyer of each operation
	tally  *tally   // of the current stage
	count  []*tally // by stage
	late   []latePayment
}

// latePayment is a hold whose buyer pays after its end.
type latePayment struct {
	visit visit
	id    engine.ID
}

func newLane(r *rehearsal) *lane {
	l := &lane{r: r, ops: make([]engine.Op, laneWidth)}
	for range r.stages {
		l.count = append(l.count, newTally(r.sale))
	}
	for i := range l.buyers {
		l.buyers[i].next = leave
	}
	return l
}

// attend serves all visits of an instant, then the late payments when their holds are over: half of them before the
// sweep, half after it.
func (r *rehearsal) attend(ctx context.Context, s *stage, visits []visit) error {
	var next atomic.Int64
	errs := make([]error, len(r.lanes))
	var wait sync.WaitGroup
	for i, l := range r.lanes {
		wait.Go(func() { errs[i] = l.serve(ctx, s, visits, &next) })
	}
	wait.Wait()
	var late []latePayment
	for _, l := range r.lanes {
		late = append(late, l.late...)
		l.late = l.late[:0]
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("phase %s: %w", s.phase.ID, err)
	}
	if err := r.lapse(ctx, s.phase.ID, func() error { return r.payLate(ctx, s, late[:len(late)/2]) }); err != nil {
		return err
	}
	return r.payLate(ctx, s, late[len(late)/2:])
}

// serve plays buyers until no visit is left. next is the first visit not yet taken by any lane.
func (l *lane) serve(ctx context.Context, s *stage, visits []visit, next *atomic.Int64) error {
	l.tally = l.count[s.index]
	for {
		n := l.collect(s, visits, next)
		if n == 0 {
			return nil
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		began := time.Now()
		l.r.engine.Batch(ctx, l.ops[:n])
		l.tally.answered(time.Since(began), n)
		for i := range n {
			if err := l.buyers[l.at[i]].receive(&l.ops[i]); err != nil {
				return err
			}
		}
	}
}

// collect replaces buyers who have left by new visits, and collects the request of every buyer.
func (l *lane) collect(s *stage, visits []visit, next *atomic.Int64) (n int) {
	l.at = l.at[:0]
	for i := range l.buyers {
		b := &l.buyers[i]
		if b.next == leave {
			if next.Load() >= int64(len(visits)) {
				continue
			}
			taken := next.Add(1) - 1
			if taken >= int64(len(visits)) {
				continue
			}
			b.enter(l, s, visits[taken])
		}
		b.fill(&l.ops[n])
		l.at = append(l.at, i)
		n++
	}
	return n
}

// payLate confirms holds that are over, each of which must be refused (I3), and sends their buyers back to the stage.
func (r *rehearsal) payLate(ctx context.Context, s *stage, late []latePayment) error {
	ops := r.lanes[0].ops
	for len(late) > 0 {
		n := min(len(late), len(ops))
		for i := range n {
			ops[i].Kind, ops[i].ID, ops[i].Reference = engine.OpConfirm, late[i].id, ""
		}
		r.engine.Batch(ctx, ops[:n])
		back := make([]visit, n)
		for i := range n {
			if !refusedFor(ops[i].Err, engine.ReservationExpired) {
				return fmt.Errorf("I3: %s was confirmed after its end: %w", late[i].id, orAccepted(ops[i].Err))
			}
			back[i] = late[i].visit
		}
		s.tally.Refused[engine.ReservationExpired] += n
		s.revisit(back)
		late = late[n:]
	}
	return nil
}
