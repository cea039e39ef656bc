package engine_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/journal"
	"github.com/seathold/seathold/engine/spec"
)

// The engine and the model answer random calls alike while the sale is paused, gets other stock and other definitions
// (I1, I2). With a journal, there are checkpoints and restarts in between, also with files that the journal has never
// seen, or that another version has replaced. All stock is compared after every call, also of what is removed. At the
// end the journal verifies (I6).
func TestRandomVersions(t *testing.T) {
	var answers spec.Tally
	for range rounds(t, 2) {
		rapid.Check(t, func(rt *rapid.T) {
			if below(rt, 3, "no journal") == 0 {
				runVersions(rt, &answers, nil, func(*catalog.Sale) {})
				return
			}
			kept := newStore()
			runVersions(rt, &answers, func() (journal.Backend, error) { return kept.open(), nil },
				func(sale *catalog.Sale) { verify(t, kept.open(), sale) })
		})
	}
	t.Log(&answers)
}

func runVersions(t *rapid.T, answers *spec.Tally, open func() (journal.Backend, error), verify func(*catalog.Sale)) {
	r := newRandom(t, answers, open)
	defer func() { require.NoError(t, r.system.e.Close()) }() // rapid may end a run early
	for range 60 {
		if below(t, 4, "change the sale") == 0 {
			r.changeSale()
		} else {
			r.step()
		}
		r.compare()
	}
	r.finish(verify)
}

// changeSale makes a call of the operator on both sides.
func (r *random) changeSale() {
	draw := func(n int, label string) int { return below(r.T, n, label) }
	op := spec.Operation{At: r.at, Session: r.def.Sessions[draw(len(r.def.Sessions), "session")].ID}
	switch draw(4, "call") {
	case 0:
		op.Kind, op.Paused = spec.Pause, draw(2, "paused") == 1
		if draw(2, "a phase") == 1 {
			op.Phase, op.Session = r.def.Phases[draw(len(r.def.Phases), "phase")].ID, ""
		}
	case 1:
		op.Kind, op.Category = spec.SetStock, spec.Category(draw(2, "category"))
		capacity, withheld := draw(9, "capacity"), draw(4, "withheld")
		op.Capacity = oneOf(r.T, "given", &capacity, nil)
		op.Withheld = oneOf(r.T, "given", &withheld, nil)
	default:
		next := r.def.Changed(draw)
		sale, err := next.Load()
		require.NoError(r, err)
		op = spec.Operation{At: r.at, Kind: spec.Apply, Sale: sale}
		if len(r.model.Objections(sale)) == 0 {
			r.def = next
			r.digests = append(r.digests, sale.Files.Digest())
		}
	}
	r.same(op)
}
