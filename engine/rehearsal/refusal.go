package rehearsal

import (
	"errors"
	"fmt"

	"github.com/seathold/seathold/engine"
)

// hearRefusal decides what a buyer does when the answer is no.
func (b *buyer) hearRefusal(op *engine.Op) error {
	var refusal *engine.Refusal
	if !errors.As(op.Err, &refusal) {
		return op.Err
	}
	b.lane.tally.refuse(refusal.Code)
	b.refused++
	if momentary(op.Err) && b.refused <= patience && b.lane.r.engine.Ready() == nil {
		return nil // the same again
	}
	if b.next != reserve {
		return fmt.Errorf("%s, %s: %w", b.name, b.id, op.Err)
	}
	switch refusal.Code {
	case engine.NoAccessSlot, engine.SlotNotOpen, engine.SlotEnded, engine.PhaseNotOpen:
		b.next = leave
	case engine.PackShape:
		b.complete()
	case engine.SoldOut:
		b.soldOut(refusal)
	case engine.SessionLimitExceeded:
		b.limited(refusal)
	case engine.AccountCapExceeded:
		b.capped(refusal)
	default:
		return fmt.Errorf("%s, %s: %w", b.name, b.id, op.Err)
	}
	return nil
}

// giveUp ends a wish that cannot be met, and with it the visit.
func (b *buyer) giveUp() {
	b.lane.tally.unserved++
	b.next = leave
}

// complete adds the session that a pack lacks.
func (b *buyer) complete() {
	pool, ok := b.pick(false)
	if !ok {
		b.giveUp()
		return
	}
	b.choose(pool, b.lines[0].quantity)
	b.ask()
}

// soldOut takes what is left of the pool, or something else.
func (b *buyer) soldOut(refusal *engine.Refusal) {
	i := b.lineOf(refusal.Session)
	if b.refused >= patience {
		b.giveUp()
		return
	}
	if refusal.Available > 0 && b.chance.perMille(takeTheRest) {
		b.lines[i].quantity = min(b.lines[i].quantity, refusal.Available)
		b.ask()
		return
	}
	b.replace(i)
}

// replace swaps a line for another session; where none is to be found, singles go without it.
func (b *buyer) replace(i int) {
	pool, ok := b.pick(false)
	last := len(b.lines) - 1
	quantity := b.lines[i].quantity
	b.lines[i] = b.lines[last]
	b.lines = b.lines[:last]
	switch {
	case ok:
		b.choose(pool, quantity)
	case last == 0 || b.stage.phase.PackSessions > 0:
		b.giveUp()
		return
	}
	b.ask()
}

// limited asks for what the session's limit still leaves, or for another session.
func (b *buyer) limited(refusal *engine.Refusal) {
	i := b.lineOf(refusal.Session)
	if room := refusal.Limit - refusal.Held - refusal.Confirmed; room > 0 {
		b.lines[i].quantity = room
		b.ask()
		return
	}
	if b.refused >= patience {
		b.giveUp()
		return
	}
	b.replace(i)
}

// capped spreads what the account's cap still leaves over the lines. Who has met the cap leaves.
func (b *buyer) capped(refusal *engine.Refusal) {
	room := refusal.Limit - refusal.Held - refusal.Confirmed
	if room < len(b.lines) && b.stage.phase.PackSessions == 0 {
		b.lines = b.lines[:room]
	}
	if room < len(b.lines) || len(b.lines) == 0 {
		b.lane.tally.capped++
		b.next = leave
		return
	}
	for i := range b.lines {
		b.lines[i].quantity = min(b.lines[i].quantity, room/len(b.lines))
	}
	b.ask()
}

func (b *buyer) lineOf(session string) int {
	for i := range b.request {
		if b.request[i].Session == session {
			return i
		}
	}
	panic("BUG: a refusal names a session that was not asked for")
}
