package engine_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/seathold/seathold/engine"
	"github.com/seathold/seathold/engine/spec"
)

// caller is one goroutine of a history.
type caller struct {
	*histories
	random *rand.Rand
	number int
	cell   int
	known  map[string]string // states, by id
	r      engine.Reservation
}

// calls makes one random call, or several as a batch. Those of a batch are concurrent in the history.
func (c *caller) calls(ticks *atomic.Int64) []porcupine.Operation {
	if c.random.IntN(12) != 0 {
		return []porcupine.Operation{c.call(ticks)}
	}
	at, began := c.system.clock.now(), ticks.Add(1)
	var ops []spec.Operation
	var batch []engine.Op
	for len(batch) < 2 {
		if op := c.draw(); op.Kind <= spec.Return {
			op.At = at
			ops, batch = append(ops, op), append(batch, batchOp(op))
		}
	}
	c.system.e.Batch(context.Background(), batch)
	ended, until := ticks.Add(1), c.system.clock.now()
	var answered []porcupine.Operation
	for i := range batch {
		a := answer(ops[i], &batch[i].Result, batch[i].Err)
		c.learn(ops[i], a)
		answered = append(answered, porcupine.Operation{ClientId: 10*c.number + i, Input: spec.Call{Operation: ops[i],
			Until: until}, Call: began, Output: a, Return: ended})
	}
	return answered
}

// call makes one random call.
func (c *caller) call(ticks *atomic.Int64) porcupine.Operation {
	return c.record(c.draw(), ticks)
}

// record makes a call and returns it with its answer, its times, and the interval of the sale clock that it ran in.
func (c *caller) record(op spec.Operation, ticks *atomic.Int64) porcupine.Operation {
	op.At = c.system.clock.now()
	began := ticks.Add(1)
	a := c.system.call(op, &c.r)
	ended := ticks.Add(1)
	c.learn(op, a)
	return porcupine.Operation{ClientId: c.number, Input: spec.Call{Operation: op, Until: c.system.clock.now()},
		Call: began, Output: a, Return: ended}
}

func (c *caller) draw() spec.Operation {
	// Six ids for all callers: most are used by several of them, some with other content.
	id := c.random.IntN(idsOfCell)
	if len(c.versions) > 0 && c.random.IntN(5) == 0 {
		return c.drawVersion()
	}
	op := spec.Operation{ID: c.idOf(id)}
	switch n := c.random.IntN(27); {
	case n < 9:
		c.drawReserve(&op, id)
	case n < 12:
		op.Kind = spec.Confirm
	case n < 14:
		op.Kind = spec.Release
	case n < 16:
		op.Kind = spec.ReadReservation
	case n < 18:
		op.Kind, op.ID, op.Account = spec.ReadAccount, "", cellAccount(c.cell, c.random.IntN(3))
	default:
		c.drawChange(&op, id)
	}
	return op
}

// drawVersion draws a call of the organiser: a pause or its end, the stock of a pool, a member of a group, or another
// definition.
func (c *caller) drawVersion() (op spec.Operation) {
	session := cellSession(c.cell, c.random.IntN(3))
	if c.random.IntN(12) == 0 {
		session = "GONE"
	}
	switch c.random.IntN(5) {
	case 3, 4:
		op.Kind = []spec.Kind{spec.Join, spec.Join, spec.Leave}[c.random.IntN(3)]
		op.Group, op.Account = []string{"g0", "g1", "gone"}[c.random.IntN(9)/4], cellAccount(c.cell, c.random.IntN(3))
	case 0:
		op.Kind, op.Paused = spec.Pause, c.random.IntN(3) == 0
		switch singles, packs := cellPhases(c.cell); c.random.IntN(8) {
		case 0: // the sale
		case 1, 2:
			op.Phase = []string{singles, packs}[c.random.IntN(2)]
		default:
			op.Session = session
		}
	case 1:
		op.Kind, op.Session, op.Category = spec.SetStock, session, spec.Category(c.random.IntN(8)/6)
		number := func(least, n int) *int { i := least + c.random.IntN(n); return &i }
		if what := c.random.IntN(3); what > 0 {
			op.Capacity = number(1, 5)
		} else {
			op.Withheld = number(0, 3)
		}
	default:
		op.Kind, op.Sale = spec.Apply, c.versions[c.random.IntN(len(c.versions))]
	}
	return op
}

func (c *caller) idOf(i int) string { return spec.IDOf(fmt.Sprintf("%d-%d", c.cell, i)) }

// drawReserve draws a request of the id's account and with its lines, or others.
func (c *caller) drawReserve(op *spec.Operation, id int) {
	op.Kind, op.Account = spec.Reserve, cellAccount(c.cell, id%3)
	if c.random.IntN(8) == 0 {
		op.Account = cellAccount(c.cell, c.random.IntN(3))
	}
	c.drawLines(op, id)
	if c.random.IntN(2) == 0 {
		op.TTL = time.Second
	}
}

// drawChange draws a call that changes a reservation, often one whose last known state permits it.
func (c *caller) drawChange(op *spec.Operation, id int) {
	kind := c.random.IntN(5)
	if c.random.IntN(3) > 0 {
		id = c.idIn([][]string{{"held"}, {"held", "confirmed"}, {"confirmed"}, {""}, {"expired"}}[kind], id)
	}
	if held := c.idIn([]string{"held"}, id); kind == 3 && c.known[c.idOf((held+3)%idsOfCell)] == "" {
		id = (held + 3) % idsOfCell // its account is the same
	}
	op.ID = c.idOf(id)
	switch kind {
	case 0:
		op.Kind = spec.Extend
		ends := []time.Duration{time.Millisecond, 700 * time.Millisecond, time.Second, 20 * time.Minute, time.Hour}
		op.ExpiresAt = c.system.clock.now().Add(ends[c.random.IntN(len(ends))])
	case 1:
		op.Kind = spec.Reduce
		c.drawLines(op, id)
		op.Phase = ""
		if n := len(op.Lines); n > 1 && c.random.IntN(3) == 0 {
			op.Lines = op.Lines[:n-1]
		} else if c.random.IntN(6) > 0 {
			kept := 1 + c.random.IntN(len(op.Lines)) // a pack must keep its equal quantities
			for i := range op.Lines[:kept] {
				op.Lines[i].Quantity = 1
			}
		}
	case 2:
		op.Kind = spec.Return
		op.Reference = []string{"", "back"}[c.random.IntN(2)]
	case 3:
		c.drawReserve(op, id)
		op.Replaces = c.idOf((id + 3) % idsOfCell) // of the same account
		if c.random.IntN(8) == 0 {
			op.Replaces = c.idOf(c.random.IntN(idsOfCell))
		}
	default:
		op.Kind, op.Again = spec.Confirm, true
	}
}

// idIn returns an id whose last known state is one of these; "" is that of an id without a known state. If there is
// none, it returns the other id.
func (c *caller) idIn(states []string, other int) int {
	var ids []int
	for i := range idsOfCell {
		if slices.Contains(states, c.known[c.idOf(i)]) {
			ids = append(ids, i)
		}
	}
	if len(ids) == 0 {
		return other
	}
	return ids[c.random.IntN(len(ids))]
}

// learn notes the states that an answer shows.
func (c *caller) learn(op spec.Operation, a spec.Answer) {
	if c.known == nil {
		c.known = map[string]string{}
	}
	for _, r := range append(slices.Clip(a.Account.Reservations), a.Reservation) {
		c.known[r.ID] = r.State
	}
	if state, ok := strings.CutPrefix(a.Code, "reservation_"); ok && state != "not_found" && op.Replaces == "" {
		c.known[op.ID] = state
	}
}

func (c *caller) drawLines(op *spec.Operation, id int) {
	first, quantity := id%3, 1+id%2
	if c.random.IntN(4) == 0 {
		first, quantity = c.random.IntN(3), 1+c.random.IntN(3)
	}
	line := func(i int, category string) spec.Line {
		return spec.Line{Session: cellSession(c.cell, (first+i)%3), Category: category, Quantity: quantity}
	}
	singles, packs := cellPhases(c.cell)
	switch id / 2 {
	case 0:
		op.Phase, op.Lines = singles, []spec.Line{line(0, "A")}
	case 1:
		op.Phase, op.Lines = packs, []spec.Line{line(0, "A"), line(1, "A")}
	default:
		op.Phase, op.Lines = packs, []spec.Line{line(1, "A"), line(0, "A"), line(0, "B")}
	}
}

// moveTime advances the sale clock, or ends expired holds. Neither is part of the history: a call has the interval of
// time that it ran in, and an expiry may happen at any instant.
func (c *caller) moveTime() {
	if c.random.IntN(4) > 0 {
		c.system.clock.ms.Add(int64(c.random.IntN(1200)))
		return
	}
	c.system.e.ExpireDue()
}
