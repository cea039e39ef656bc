package engine_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/seathold/seathold/engine/spec"
)

// The engine and the model answer random calls alike while the sale is paused, gets other stock and other definitions
// (I1, I2). All stock is compared after every call, also of what is removed.
func TestRandomVersions(t *testing.T) {
	var answers spec.Tally
	rapid.Check(t, func(t *rapid.T) {
		r := &random{T: t, def: drawDefinition(t), at: saleStart, tally: &answers}
		r.load()
		r.model = spec.New(&spec.Rules{Sale: r.sale, TTL: spec.ScenarioTTL, MaxHold: spec.ScenarioMaxHold})
		r.system = newSeller(r.sale, nil)
		require.NoError(t, r.system.start())
		defer func() { require.NoError(t, r.system.e.Close()) }() // rapid may end a run early
		for range 60 {
			if below(t, 4, "change the sale") == 0 {
				r.changeSale()
			} else {
				r.step()
			}
			r.same(spec.Operation{Kind: spec.ReadStock, At: r.at})
			require.NoError(t, r.model.Check())
		}
		for _, account := range accounts {
			r.same(spec.Operation{Kind: spec.ReadAccount, Account: account, At: r.at})
		}
	})
	t.Log(&answers)
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
		}
	}
	r.same(op)
}
