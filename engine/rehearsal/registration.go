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

// Shares of a thousand.
const (
	groupShare   = 150 // entrants that belong to the phase's priority group
	againShare   = 10  // entrants that enter twice
	packBuyers   = 160 // winners that use their slot, in a phase of packs
	singleBuyers = 230 // likewise, of single tickets
	earlyShare   = 20  // buyers that try before their slot, too
	lateShare    = 10  // buyers that come after their slot alone
	loserShare   = 50  // would-be buyers without a slot that try all the same
)

// callersOfWorker is how many entries a worker has in flight: each waits for the journal.
const callersOfWorker = 1024

// register enters the crowd's entrants for a draw, all at once.
func (r *rehearsal) register(ctx context.Context, i int) error {
	d := &r.sale.Draws[i]
	slots := &r.sale.Phases[d.Phase].Slots
	group := ""
	if slots.Group >= 0 {
		group = r.sale.Groups[slots.Group].ID
	}
	r.progress.begin(d.ID+" entries", r.crowd.entrants)
	var grouped, again atomic.Int64
	err := r.each(ctx, r.crowd.entrants, callersOfWorker, func(entrant int) error {
		number := r.crowd.entrant(i, entrant)
		chance, of := throw(r.o.Seed, uint64(i), uint64(number)), ""
		if group != "" && chance.perMille(groupShare) {
			of = group
			grouped.Add(1)
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
				return fmt.Errorf("entry of %s for %s: repeated %t in group %q, the %d. time in group %q", account(number), d.ID,
					entry.Repeated, entry.Group, time+1, of)
			}
		}
		r.progress.one()
		return nil
	})
	r.draws[i] = DrawReport{Draw: d.ID, Entries: r.crowd.entrants, Priority: int(grouped.Load()), Repeated: int(again.Load())}
	return err
}

// enter enters an account, again where the engine says that it was only the moment.
func (r *rehearsal) enter(ctx context.Context, drawID, name, group string) (entry engine.Entry, err error) {
	for range patience {
		if entry, err = r.engine.Enter(ctx, drawID, name, group); !momentary(err) || r.engine.Ready() != nil {
			break
		}
	}
	return entry, err
}

// momentary reports whether the same call may well succeed when it is made again.
func momentary(err error) bool {
	return refusedFor(err, engine.Overloaded) || refusedFor(err, engine.JournalUnavailable)
}

// each calls do for every number below n from many goroutines, and returns its first error.
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

// draw closes the registration, decides the draw by the beacon of the sale definition, and plans who comes when.
func (r *rehearsal) draw(ctx context.Context, i int) error {
	d := &r.sale.Draws[i]
	if _, err := r.engine.Enter(ctx, d.ID, account(r.crowd.entrant(i, r.crowd.entrants)), ""); !refusedFor(err, engine.RegistrationClosed) {
		return fmt.Errorf("draw %s: an entry after the close: %w", d.ID, orTaken(err))
	}
	beacon, err := r.beacon(i)
	if err != nil {
		return err
	}
	status, err := r.engine.RunDraw(ctx, d.ID, beacon)
	if err != nil {
		return err
	}
	if status.Entries != r.draws[i].Entries {
		return fmt.Errorf("draw %s: %d of %d entries were drawn", d.ID, status.Entries, r.draws[i].Entries)
	}
	r.draws[i].Root, r.draws[i].Seed = status.Root.String(), status.Seed.String()
	return r.stages[d.Phase].invite(ctx, i)
}

// beacon is the published round that stands in for the draw's own.
func (r *rehearsal) beacon(i int) (draw.Beacon, error) {
	d := &r.sale.Draws[i]
	b := draw.Beacon{Round: d.Beacon.Round}
	if n, err := hex.Decode(b.Signature[:], []byte(d.Beacon.Signature)); err != nil || n != len(b.Signature) {
		return b, fmt.Errorf("draw %s: the signature of the round that stands in is not one", d.ID)
	}
	b.Randomness = sha256.Sum256(b.Signature[:])
	return b, nil
}

func refusedFor(err error, code engine.Code) bool {
	var refusal *engine.Refusal
	return errors.As(err, &refusal) && refusal.Code == code
}

var errTaken = errors.New("it was taken")

func orTaken(err error) error {
	if err == nil {
		return errTaken
	}
	return err
}
