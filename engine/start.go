package engine

import (
	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/outcomes"
	"github.com/seathold/seathold/engine/record"
)

// Start is what became of the sale in Options at the start of an engine that leads at once, or that makes its journal.
// The journal's definition stays in force if it was made of the same files, and also if the given one was in force
// before: by its files, or by what it says, the stock included that SetStock had changed then. A sale that was never in
// force is applied, as Engine.Apply does it.
//
// What was in force is remembered of the last 2,048 versions or more, and before each of the last 4,096 changes of
// stock. What is older, or was forgotten by an earlier release, counts as a sale that was never in force.
type Start struct {
	Version int              // in force now
	Applied bool             // the given sale has become this version
	Changes []catalog.Change // by that; nil for a new journal
	Earlier int              // the given sale was in force before, last in this version, so another stays; 0 otherwise
}

// Replaced reports whether the given sale has come into force instead of another one.
func (s *Start) Replaced() bool { return s.Applied && (s.Version > 1 || len(s.Changes) > 0) }

// startUnrecorded begins the term of an engine without a journal.
func (e *Engine) startUnrecorded() error {
	first, start, err := e.startDefinition(false)
	if err != nil {
		return err
	}
	now := record.Stamp{AtMs: e.nowMs()}
	if err := e.memory.Follow(e.memory.Shown().Apply(*first, now)); err != nil {
		return err
	}
	secrets, err := e.ballots.Announcements()
	if err == nil {
		err = e.ballots.Announced(secrets, now)
	}
	if err == nil {
		e.recovery.Sale = start
		(&term{e: e}).begin()
	}
	return err
}

// startDefinition returns the definition with which the term begins; nil if the journal's stays. defined is whether
// the journal has one. A standby follows that, whatever its own sale says. A definition of an old journal is written
// again as a version, since only those have all of a sale.
//
// The error is a *ChangeRefused for a sale that cannot follow the journal's.
func (e *Engine) startDefinition(defined bool) (*record.Definition, Start, error) {
	f, given := e.memory.Shown(), e.o.Sale
	if !defined {
		first, err := outcomes.FirstOf(given)
		return &first, Start{Version: 1, Applied: true}, err
	}
	version, p := f.Definition.Version, e.memory.Plan(f, given)
	stays := p.Same || e.o.Standby || p.Earlier > 0
	if stays && !p.Same {
		e.o.Log.Warn("the given sale definition is not the one in force, which the journal has and which stays; apply it "+
			"to the running sale if it is meant", "version", version, "given", p.Earlier)
	}
	switch {
	case stays && version > 0:
		return nil, Start{Version: version, Earlier: p.Earlier}, nil
	case stays && !p.Same:
		next := f.Next(f.Sale)
		return &next, Start{Version: next.Version}, next.Pack()
	case len(p.Objections) > 0:
		return nil, Start{}, &ChangeRefused{Objections: p.Objections}
	}
	start := Start{Version: p.Next.Version}
	if !p.Same {
		start.Applied, start.Changes = true, p.Changes
	}
	return &p.Next, start, nil
}
