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

// laneWidth is how many buyers of a worker wait for their answers together. Each wait is a sync of the journal, so the
// more the better, until a batch no longer fits into the cache.
const laneWidth = 1024

// lane is a worker: it plays many buyers, who speak in turn and wait for the journal together.
type lane struct {
	r      *rehearsal
	buyers [laneWidth]buyer
	ops    []engine.Op
	at     []int    // the buyer of each operation
	tally  *tally   // of the stage at hand
	count  []*tally // by stage
	late   []tardy
}

// tardy is somebody who pays when the time of the hold is over.
type tardy struct {
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

// attend plays everybody who comes at this instant to the end, and what follows when the time of their holds is over.
func (r *rehearsal) attend(ctx context.Context, s *stage, guests []visit) error {
	var next atomic.Int64
	errs := make([]error, len(r.lanes))
	var wait sync.WaitGroup
	for i, l := range r.lanes {
		wait.Go(func() { errs[i] = l.serve(ctx, s, guests, &next) })
	}
	wait.Wait()
	var late []tardy
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

// serve plays buyers until none is left. next is shared with the other lanes: the first visit that nobody has taken.
func (l *lane) serve(ctx context.Context, s *stage, guests []visit, next *atomic.Int64) error {
	l.tally = l.count[s.index]
	for {
		n := l.collect(s, guests, next)
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
			if err := l.buyers[l.at[i]].hear(&l.ops[i]); err != nil {
				return err
			}
		}
	}
}

// collect fills the places of those who have left and asks everybody.
func (l *lane) collect(s *stage, guests []visit, next *atomic.Int64) (n int) {
	l.at = l.at[:0]
	for i := range l.buyers {
		b := &l.buyers[i]
		if b.next == leave {
			if next.Load() >= int64(len(guests)) {
				continue
			}
			guest := next.Add(1) - 1
			if guest >= int64(len(guests)) {
				continue
			}
			b.enter(l, s, guests[guest])
		}
		b.say(&l.ops[n])
		l.at = append(l.at, i)
		n++
	}
	return n
}

// payLate confirms holds whose time is over: half of them before anything has swept them, half after. All are refused,
// and come back.
func (r *rehearsal) payLate(ctx context.Context, s *stage, late []tardy) error {
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
				return fmt.Errorf("I3: %s was confirmed after its time: %w", late[i].id, orTaken(ops[i].Err))
			}
			back[i] = late[i].visit
		}
		s.tally.refused[engine.ReservationExpired] += n
		s.comeBack(back)
		late = late[n:]
	}
	return nil
}
