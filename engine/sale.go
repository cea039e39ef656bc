package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/draw"
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

// Pauses are what takes no new holds for now, by id, in the order of the definition.
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
	Changes    []catalog.Change // empty if the definition is in force
	Objections []string         // why Apply would refuse it, each a sentence; empty if it would not
	Same       bool             // the files are those in force
	Earlier    int              // the earlier version that had the same files; 0 for none
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
	Taken              int // tickets that are held, sold, or withheld after a return
}

func (t *StockTaken) Error() string {
	return fmt.Sprintf("session %s, category %s: %d tickets are taken, so a capacity of %d less %d withheld is too low",
		t.Session, t.Category, t.Taken, t.Capacity, t.Withheld)
}

// errNoChange is returned until the definition can be changed while the sale runs.
var errNoChange = errors.New("the definition cannot be changed while the sale runs yet")

// Definition returns what is in force, as far as it is durable (I5). The error is *Refusal with NotLeader, as for every
// read.
func (e *Engine) Definition() (Definition, error) { return Definition{}, errNoChange }

// Plan returns what Apply of a sale would change, and what stands against it. Nothing changes, and what stands against
// it may be another thing a moment later.
//
// Errors are *Refusal with NotLeader, and those of a sale whose numbers do not fit those in force.
func (e *Engine) Plan(sale *catalog.Sale) (Plan, error) { return Plan{}, errNoChange }

// Apply puts a sale into force in one step, and returns when that is durable. Calls go on meanwhile. What is paused
// stays paused. If on is not zero, it must be the digest in force, see Plan. Applying what is in force changes nothing
// and writes nothing; Changes is then empty.
//
// Errors are *ChangeRefused, ErrOtherDefinition, *Refusal with Overloaded, Full, JournalUnavailable or NotLeader, or
// ctx's. After JournalUnavailable and ctx's the definition may be in force: ask for it, or apply again.
func (e *Engine) Apply(ctx context.Context, sale *catalog.Sale, on draw.Digest) (Applied, error) {
	return Applied{}, errNoChange
}

// Pause stops new holds of a phase, of a session or of the whole sale, or lets them go on, and returns when that is
// durable. Holds stay, and everything else goes on. Pausing what is paused changes nothing and writes nothing.
//
// Errors are *Refusal with UnknownPhase, SessionNotFound, Overloaded, Full, JournalUnavailable or NotLeader, or ctx's.
func (e *Engine) Pause(ctx context.Context, what Pausable, paused bool) error { return errNoChange }

// SetStock sets the capacity of a pool, or how many of its tickets are withheld, or both; nil leaves a number as it
// is. It returns the pool's stock when that is durable. Stock never falls below what is taken: held, sold, or withheld
// after a return. Setting the present numbers changes nothing and writes nothing.
//
// Errors are *StockTaken, *Refusal with SessionNotFound, UnknownCategory, MalformedRequest, Overloaded, Full,
// JournalUnavailable or NotLeader, or ctx's.
func (e *Engine) SetStock(ctx context.Context, session, category string, capacity, withheld *int) (Stock, error) {
	return Stock{}, errNoChange
}
