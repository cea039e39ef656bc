package rehearsal

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/seathold/seathold/engine"
	"github.com/seathold/seathold/engine/draw"
)

// Shares per mille.
const (
	groupShare   = 150 // of entrants: belong to the phase's priority group
	againShare   = 10  // of entrants: enter twice
	packBuyers   = 160 // of winners: use their slot in a phase of packs
	singleBuyers = 230 // of winners: use their slot in a phase of single tickets
	earlyShare   = 20  // of buyers: also come before their slot
	lateShare    = 10  // of buyers: come only after their slot
	loserShare   = 50  // of would-be buyers without a slot: come nevertheless
)

// callersOfWorker is the number of entries that a worker has in flight, each of which awaits the journal.
const callersOfWorker = 1024

// register enters all entrants of the crowd for a draw, as fast as possible.
func (r *rehearsal) register(ctx context.Context, i int) error {
	d := &r.sale.Draws[i]
	slots := &r.sale.Phases[d.Phase].Slots
	group := ""
	if slots.Group >= 0 {
		group = r.sale.Groups[slots.Group].ID
	}
	r.progress.begin(d.ID+" entries", r.crowd.entrants)
	var priority, again atomic.Int64
	err := r.each(ctx, r.crowd.entrants, callersOfWorker, func(entrant int) error {
		number := r.crowd.entrant(i, entrant)
		chance, of := newDice(r.o.Seed, uint64(i), uint64(number)), ""
		if group != "" && chance.perMille(groupShare) {
			of = group
			priority.Add(1)
		}
		times := 1
		if chance.perMille(againShare) {
			times = 2
			again.Add(1)
		}
		for time := range times {
			entry, err := r.enter(ctx, d.ID, account(number), of)
			if err != nil {
				return fmt.Errorf("entry of %s for %s: %w", account(number), d.ID, err)
			}
			if entry.Repeated != (time > 0) || entry.Group != of {
				return fmt.Errorf("entry of %s for %s: got repeated %t and group %q for call %d in group %q", account(number), d.ID,
					entry.Repeated, entry.Group, time+1, of)
			}
		}
		r.progress.one()
		return nil
	})
	r.draws[i] = drawReport{Draw: d.ID, Entries: r.crowd.entrants, Priority: int(priority.Load()),
		Repeated: int(again.Load())}
	return err
}

// enter enters an account, and retries while the engine is overloaded.
func (r *rehearsal) enter(ctx context.Context, drawID, name, group string) (entry engine.Entry, err error) {
	for range maxRefusals {
		if entry, err = r.engine.Enter(ctx, drawID, name, group); !temporary(err) || r.engine.Ready() != nil {
			break
		}
	}
	return entry, err
}

// temporary reports whether a retry of the call may succeed.
func temporary(err error) bool {
	return refusedFor(err, engine.Overloaded) || refusedFor(err, engine.JournalUnavailable)
}

// each calls do for every number below n from many goroutines, and returns the first error.
func (r *rehearsal) each(ctx context.Context, n, callers int, do func(i int) error) error {
	const run = 64
	var next atomic.Int64
	var failed atomic.Pointer[error]
	var wait sync.WaitGroup
	for range min(r.o.Workers*callers, n/run+1) {
		wait.Go(func() {
			for failed.Load() == nil && ctx.Err() == nil {
				from := int(next.Add(run)) - run
				if from >= n {
					return
				}
				for i := from; i < min(from+run, n); i++ {
					if err := do(i); err != nil {
						failed.CompareAndSwap(nil, &err)
						return
					}
				}
			}
		})
	}
	wait.Wait()
	if err := failed.Load(); err != nil {
		return *err
	}
	return ctx.Err()
}

// draw checks that the registration is closed, freezes the entries, runs the draw with the beacon of the sale
// definition, and plans the visits of its entrants.
func (r *rehearsal) draw(ctx context.Context, i int) error {
	d := &r.sale.Draws[i]
	outsider := account(r.crowd.entrant(i, r.crowd.entrants))
	if _, err := r.engine.Enter(ctx, d.ID, outsider, ""); !refusedFor(err, engine.RegistrationClosed) {
		return fmt.Errorf("draw %s: an entry after the close: %w", d.ID, orAccepted(err))
	}
	beacon, err := r.beacon(i)
	if err != nil {
		return err
	}
	if _, err := r.engine.FreezeDraw(ctx, d.ID); err != nil {
		return err
	}
	status, err := r.engine.RunDraw(ctx, d.ID, beacon)
	if err != nil {
		return err
	}
	if status.Entries != r.draws[i].Entries {
		return fmt.Errorf("draw %s has %d entries, want %d", d.ID, status.Entries, r.draws[i].Entries)
	}
	r.draws[i].Root, r.draws[i].Seed = status.Root.String(), status.Seed.String()
	return r.stages[d.Phase].invite(ctx, i)
}

// beacon returns the published round of the draw, or the one that stands in for it.
func (r *rehearsal) beacon(i int) (draw.Beacon, error) {
	d := &r.sale.Draws[i]
	b := draw.Beacon{Round: d.Beacon.Round}
	if n, err := hex.Decode(b.Signature[:], []byte(d.Beacon.Signature)); err != nil || n != len(b.Signature) {
		return b, fmt.Errorf("draw %s: the beacon's signature is malformed", d.ID)
	}
	b.Randomness = sha256.Sum256(b.Signature[:])
	return b, nil
}

func refusedFor(err error, code engine.Code) bool {
	var refusal *engine.Refusal
	return errors.As(err, &refusal) && refusal.Code == code
}

var errAccepted = errors.New("it was accepted")

func orAccepted(err error) error {
	if err == nil {
		return errAccepted
	}
	return err
}
