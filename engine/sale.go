package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/draw"
	"github.com/seathold/seathold/engine/outcomes"
)

// Definition is the sale's definition as it is durable, and what is paused.
type Definition struct {
	Version     int         // 1 is the first; a change of a pool's stock and a pause make no new one
	Digest      draw.Digest // of all that is in force, the stock included, and what is paused excluded
	FilesDigest draw.Digest // of the organiser's files, as they were applied
	Since       time.Time   // of the last change, on the sale clock
	Sale        *catalog.Sale
	Files       *catalog.Files // with the stock that SetStock has changed; nil if the sale was not loaded from files
	Paused      Pauses
}

// Pauses are what takes no new holds for now, by id, in the order of the definition. A phase that was paused and then
// removed is not among them, and is paused again when it comes back. A removed session is, since it is still listed
// and can be resumed.
type Pauses struct {
	Sale     bool // nothing does
	Phases   []string
	Sessions []string
}

// Pausable names what can be paused: a phase, a session, or the whole sale if both are "".
type Pausable struct{ Phase, Session string }

// Plan is what Apply of a definition would change.
type Plan struct {
	Digest     draw.Digest      // of what is in force. Apply takes it, so that nothing comes between
	Changes    []catalog.Change // empty if the definition says what is in force
	Objections []string         // why Apply would refuse it, each a sentence; empty if it would not
	Same       bool             // the files are those in force
	Next       int              // the version that Apply would make, unless it changes nothing
	Earlier    int              // the last version in which the same was in force before, see Start; 0 for none
}

// Applied is what Apply has changed.
type Applied struct {
	Version int         // in force now
	Digest  draw.Digest // likewise
	Changes []catalog.Change
}

// Errors of Apply, for the operator. Nothing has changed.
var (
	// ErrOtherDefinition: what is in force is not what the caller has seen. Plan again, and then apply.
	ErrOtherDefinition = errors.New("another definition is in force than the one that this change was planned for")
)

// ChangeRefused is the error of a definition that does not fit what was sold, or what was drawn. Nothing has changed.
type ChangeRefused struct {
	Objections []string // all of them, each a sentence
}

func (r *ChangeRefused) Error() string {
	return "the definition cannot be applied: " + strings.Join(r.Objections, "; ")
}

// StockTaken is the error of a pool that was to have fewer tickets on sale than are taken. Nothing has changed.
type StockTaken struct {
	Session, Category  string
	Capacity, Withheld int // that it was to have
	Taken              int // tickets that are held or sold
}

func (t *StockTaken) Error() string {
	if t.Withheld > t.Capacity {
		return fmt.Sprintf("session %s, category %s: of a capacity of %d, %d tickets cannot be withheld; %d are taken",
			t.Session, t.Category, t.Capacity, t.Withheld, t.Taken)
	}
	return fmt.Sprintf("session %s, category %s: %d tickets are taken, so a capacity of %d less %d withheld is too low",
		t.Session, t.Category, t.Taken, t.Capacity, t.Withheld)
}

// Definition returns what is in force, as far as it is durable (I5). Errors are *Refusal with NotLeader, as for every
// read, and that of files of the journal that cannot be read.
func (e *Engine) Definition() (Definition, error) {
	if err := e.admitRead(); err != nil {
		return Definition{}, err
	}
	f := e.memory.Shown()
	d := Definition{Version: f.Definition.Version, Digest: f.Digest(), FilesDigest: f.Definition.FilesDigest,
		Since: instant(f.Since.AtMs), Sale: f.Sale, Paused: Pauses{Sale: f.Paused.Sale()}}
	for _, i := range f.Paused.Phases() {
		if f.Sale.Phases[i].Removed {
			continue
		}
		d.Paused.Phases = append(d.Paused.Phases, f.Sale.Phases[i].ID)
	}
	for _, i := range f.Paused.Sessions() {
		d.Paused.Sessions = append(d.Paused.Sessions, f.Sale.Sessions[i].ID)
	}
	var err error
	d.Files, err = f.Files()
	return d, err
}

// Plan returns what Apply of a sale would change, and what stands against it. Nothing changes. A moment later, other
// things may stand against it: calls go on. The error is *Refusal with NotLeader.
func (e *Engine) Plan(sale *catalog.Sale) (Plan, error) {
	if err := e.admitRead(); err != nil {
		return Plan{}, err
	}
	f := e.memory.Shown()
	p := e.memory.Plan(f, sale)
	return Plan{Digest: f.Digest(), Changes: p.Changes, Objections: p.Objections, Same: p.Same,
		Next: f.Definition.Version + 1, Earlier: p.Earlier}, nil
}

// Apply puts a sale into force in one step, and returns when that is durable. Calls go on meanwhile. What is paused
// stays paused. If on is not zero, it must be the digest in force, see Plan. Applying the files in force changes
// nothing and writes nothing, unless SetStock has changed the stock since; Changes is then empty.
//
// Errors are *ChangeRefused, ErrOtherDefinition, *Refusal with Overloaded, Full, JournalUnavailable or NotLeader, or
// ctx's. After JournalUnavailable and ctx's the definition may be in force: ask for it, or apply again.
func (e *Engine) Apply(ctx context.Context, sale *catalog.Sale, on draw.Digest) (Applied, error) {
	var changes []catalog.Change
	now, err := e.alter(ctx, func(was *outcomes.InForce) (*alteration, error) {
		if on != (draw.Digest{}) && on != was.Digest() {
			return nil, ErrOtherDefinition
		}
		p := e.memory.Plan(was, sale)
		if p.Same && len(p.Changes) == 0 {
			return nil, nil
		}
		if len(p.Objections) > 0 {
			return nil, &ChangeRefused{Objections: p.Objections}
		}
		changes = p.Changes
		a := &alteration{Change: outcomes.Change{Version: &p.Next}}
		a.stands = func() error { return e.objectionsTo(was, p.Next.Rules) }
		a.lines = outcomes.Lines(changes)
		return a, nil
	})
	if err != nil {
		return Applied{}, err
	}
	return Applied{Version: now.Definition.Version, Digest: now.Digest(), Changes: changes}, nil
}

// objectionsTo returns what stands against a sale that has the numbers of the one in force, as *ChangeRefused.
func (e *Engine) objectionsTo(was *outcomes.InForce, next *catalog.Sale) error {
	if all := e.memory.Objections(was, next); len(all) > 0 {
		return &ChangeRefused{Objections: all}
	}
	return nil
}

// nothingStands is for changes that have no objections but those of the stock.
func nothingStands() error { return nil }

// Pause stops new holds of a phase, of a session or of the whole sale, or lets them go on, and returns when that is
// durable. Holds stay, and everything else goes on. Pausing what is paused changes nothing and writes nothing. A pause
// outlives restarts and new definitions.
//
// Errors are *Refusal with UnknownPhase, SessionNotFound, Overloaded, Full, JournalUnavailable or NotLeader, or ctx's.
func (e *Engine) Pause(ctx context.Context, what Pausable, paused bool) error {
	_, err := e.alter(ctx, func(was *outcomes.InForce) (*alteration, error) {
		p, is, err := was.PauseOf(what.Phase, what.Session)
		if err != nil || is == paused {
			return nil, err
		}
		p.Paused = paused
		line := what.String() + " is paused"
		if !paused {
			line = what.String() + " goes on"
		}
		return &alteration{Change: outcomes.Change{Pause: &p}, stands: nothingStands, lines: []string{line}}, nil
	})
	return err
}

// String returns the part's name for people.
func (p Pausable) String() string {
	switch {
	case p.Phase != "":
		return "phase " + p.Phase
	case p.Session != "":
		return "session " + p.Session
	}
	return "the sale"
}

// SetStock sets the capacity of a pool, or how many of its tickets are withheld, or both; nil leaves a number as it
// is. It returns the pool's stock when that is durable. The numbers are absolute, in the words of Stock: what was
// withheld after a return is among the withheld, and is on sale again as far as fewer are to be withheld. A later
// return may withhold more. Stock never falls below what is held and sold. Setting the present numbers changes nothing
// and writes nothing. The next version states the stock anew; freed places of returned tickets stay free. A session
// that was removed has no stock to set, until it comes back.
//
// Errors are *StockTaken, also if more would be withheld than the capacity, *Refusal with SessionNotFound,
// UnknownCategory, MalformedRequest, Overloaded, Full, JournalUnavailable or NotLeader, or ctx's.
func (e *Engine) SetStock(ctx context.Context, session, category string, capacity, withheld *int) (Stock, error) {
	var r *outcomes.Restock
	_, err := e.alter(ctx, func(was *outcomes.InForce) (a *alteration, err error) {
		if r, err = was.RestockOf(session, category, capacity, withheld); err != nil {
			return nil, err
		}
		return e.restocking(was, r), nil
	})
	if err != nil {
		return Stock{}, err
	}
	return e.Stock(r.Stock.Pool), nil
}

// restocking returns the change of a pool's stock. It is complete once it is found that nothing stands against it.
func (e *Engine) restocking(was *outcomes.InForce, r *outcomes.Restock) *alteration {
	a := &alteration{Change: outcomes.Change{Stock: &r.Stock}, restock: r}
	a.stands = func() error {
		r.Count(e.inventory.Stock(r.Stock.Pool).Withheld)
		a.lines = []string{r.String()}
		switch {
		case r.Same():
			return errUnchanged
		case r.Withheld <= r.Stock.Capacity:
			return nil
		}
		// The number that the call leaves as it is stands against the other one.
		taken, err := e.takenOf(r.Stock.Pool)
		if err != nil {
			return err
		}
		return stockTaken(was.Sale, r, taken)
	}
	return a
}

// stockTaken returns the error of a pool that cannot have another stock, since so many of its tickets are taken, those
// included that are withheld after a return.
func stockTaken(sale *catalog.Sale, r *outcomes.Restock, taken int) *StockTaken {
	p := &sale.Pools[r.Stock.Pool]
	return &StockTaken{Session: sale.Sessions[p.Session].ID, Category: p.Category, Capacity: r.Stock.Capacity,
		Withheld: r.Withheld, Taken: taken - r.Returned}
}
