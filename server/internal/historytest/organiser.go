package historytest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/spec"
	"github.com/seathold/seathold/server/client"
)

// organiserID is the ClientId of the organiser's calls.
const organiserID = 90

// Organiser changes the sale during a history, in calls to the operator's port. A history has one at most.
type Organiser struct {
	Random   *rand.Rand
	Versions []*catalog.Sale // the definitions that it applies

	// Operator returns the URL of the leader's operator's port. It blocks while there is none.
	Operator func() string

	history *History
}

// Organiser returns the organiser of the history.
func (h *History) Organiser(r *rand.Rand, versions []*catalog.Sale, operator func() string) *Organiser {
	return &Organiser{Random: r, Versions: versions, Operator: operator, history: h}
}

// Draw returns a random change: a pause or its end, the stock of a pool, or another definition.
func (o *Organiser) Draw() (op spec.Operation) {
	cell, session := o.history.cell, o.history.cell.session(o.Random.IntN(sessionsOfCell))
	switch o.Random.IntN(3) {
	case 0:
		op.Kind, op.Paused = spec.Pause, o.Random.IntN(3) == 0
		switch o.Random.IntN(8) {
		case 0: // the sale
		case 1, 2:
			op.Phase = []string{cell.singles(), cell.packs()}[o.Random.IntN(2)]
		default:
			op.Session = session
		}
	case 1:
		op.Kind, op.Session, op.Category = spec.SetStock, session, spec.Category(o.Random.IntN(8)/6)
		if capacity, withheld := 1+o.Random.IntN(5), o.Random.IntN(3); o.Random.IntN(3) > 0 {
			op.Capacity = &capacity
		} else {
			op.Withheld = &withheld
		}
	default:
		op.Kind, op.Sale = spec.Apply, o.Versions[o.Random.IntN(len(o.Versions))]
	}
	return op
}

// Change makes the call until it has an answer, and records it. All of these calls are absolute, and nobody else
// changes the sale. So several attempts have one effect together, at some instant between the first one and the
// answer. Only whether that was a change is lost with the first answer.
func (o *Organiser) Change(op spec.Operation) {
	h := o.history
	op.At = spec.Instant(h.clock())
	began := h.ticks.Add(1)
	a, err := o.first(op)
	ended, until := h.ticks.Add(1), spec.Instant(h.clock())
	h.mu.Lock()
	defer h.mu.Unlock()
	if err != nil {
		h.faults = append(h.faults, err)
		return
	}
	h.calls = append(h.calls, porcupine.Operation{ClientId: organiserID, Input: spec.Call{Operation: op, Until: until},
		Call: began, Output: a, Return: ended})
}

// first makes attempts until one has an answer.
func (o *Organiser) first(op spec.Operation) (a spec.Answer, err error) {
	none := op.Kind == spec.Apply // so far: nothing is to be changed
	for attempts := 0; ; attempts++ {
		operator, err := client.NewOperator(client.Options{URL: o.Operator(), Attempts: 1})
		if err != nil {
			return a, err
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		a, err = attempt(ctx, operator, op, attempts == 0, &none)
		cancel()
		operator.Close()
		refused, answered := errors.AsType[*client.Error](err)
		switch {
		case err == nil:
			return a, nil
		case answered && refused.Status < http.StatusInternalServerError:
			return spec.Answer{Refusal: changeRefusal(refused)}, nil
		case attempts == 100:
			return a, fmt.Errorf("%s: no answer in %d attempts: %w", op, attempts, err)
		}
		o.history.mu.Lock()
		o.history.tally.Unknown++
		o.history.mu.Unlock()
	}
}

// attempt makes one call. Before a definition is applied it is planned. If a later plan has no changes, an earlier
// attempt has applied it, unless the first plan had none either. none notes that.
func attempt(ctx context.Context, o *client.Operator, op spec.Operation, first bool, none *bool) (a spec.Answer,
	err error) {
	switch op.Kind {
	case spec.Pause:
		return a, o.SetPaused(ctx, op.Phase, op.Session, op.Paused)
	case spec.SetStock:
		_, err = o.SetStock(ctx, op.Session, op.Category, client.StockWanted{Capacity: op.Capacity, Withheld: op.Withheld})
		return a, err
	}
	archive := op.Sale.Files.AppendTar(nil)
	plan, err := o.PlanSale(ctx, archive)
	if err != nil {
		return a, err
	}
	nothing := len(plan.Changes) == 0
	*none = *none && nothing
	if nothing && !first {
		return spec.Answer{Repeated: *none}, nil
	}
	applied, err := o.ApplySale(ctx, archive, plan.Digest)
	return spec.Answer{Repeated: len(applied.Changes) == 0}, err
}

func changeRefusal(e *client.Error) spec.Refusal {
	return spec.Refusal{Code: e.Code, Phase: e.Text("phase"), Session: e.Text("session"), Category: e.Text("category"),
		Taken: e.Count("taken")}
}
