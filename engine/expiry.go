package engine

import (
	"context"
	"time"
)

// sweepPiece is how many holds a sweep ends between two looks at the backlog: a fraction of a millisecond's work.
const sweepPiece = 4096

// ExpireDue ends holds that have expired on the sale clock, and returns how many it ended. The engine calls it every
// Options.SweepEvery. An expired hold that no sweep has ended yet cannot be confirmed either.
//
// However many holds end together, their outcomes fill at most half of Options.Backlog, so that no buyer is refused
// because of them (I10). The rest stays due. A caller that sweeps by itself calls Flush and then ExpireDue again, until
// that ends nothing.
func (e *Engine) ExpireDue() int {
	ended, _ := e.expireDue()
	return ended
}

// expireDue is ExpireDue. It also reports whether nothing more is due.
func (e *Engine) expireDue() (ended int, all bool) {
	e.sweepLock.Lock()
	defer e.sweepLock.Unlock()
	t := e.term.Load()
	if t == nil || t.err() != nil {
		return 0, true // a standby leaves it to the leader; with a failed journal the outcomes would only wait
	}
	now := e.nowMs()
	for {
		// Callers may place outcomes meanwhile, so the limit is exceeded by at most one piece.
		piece := min(sweepPiece, max(e.o.Backlog/2, 1)-t.backlog())
		if piece <= 0 {
			return ended, false
		}
		n := e.sweep.Expire(now, piece)
		if ended += n; n < piece {
			return ended, true
		}
	}
}

// sweepLoop sweeps every Options.SweepEvery. While more holds are due than the backlog has room for, it sweeps again as
// soon as a quarter of the backlog is left, so they end as fast as the journal makes them durable.
func (e *Engine) sweepLoop() {
	ctx, cancel := context.WithCancel(context.Background())
	e.background.Go(func() { <-e.stop; cancel() })
	tick := time.NewTicker(e.o.SweepEvery)
	defer tick.Stop()
	for ctx.Err() == nil {
		if _, all := e.expireDue(); !all {
			placed := e.inventory.Placed()
			if e.term.Load().writer.Wait(ctx, placed-min(placed, uint64(e.o.Backlog/4))) == nil {
				continue
			}
		}
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
}
