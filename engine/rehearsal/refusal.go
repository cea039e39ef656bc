package rehearsal

import (
	"errors"
	"fmt"

	"github.com/seathold/seathold/engine"
)

// receiveRefusal decides what a buyer does after a refusal.
func (b *buyer) receiveRefusal(op *engine.Op) error {
	refusal, ok := errors.AsType[*engine.Refusal](op.Err)
	if !ok {
		return op.Err
	}
	b.lane.tally.Refused[refusal.Code]++
	b.refused++
	if temporary(op.Err) && b.refused <= maxRefusals && b.lane.r.engine.Ready() == nil {
		return nil // retry
	}
	if b.next != reserve {
		return fmt.Errorf("%s, %s: %w", b.name, b.id, op.Err)
	}
	switch refusal.Code {
	case engine.NoAccessSlot:
		b.next = leave
		return b.denied(refusal)
	case engine.SlotNotOpen, engine.SlotEnded, engine.PhaseNotOpen:
		b.next = leave
	case engine.PhaseRequired:
		b.phase = b.stage.phase.ID
		b.newRequest()
	case engine.PackShape:
		b.complete()
	case engine.SoldOut:
		b.soldOut(refusal)
	case engine.SalesEnded:
		b.salesEnded(refusal)
	case engine.SessionLimitExceeded:
		b.limited(refusal)
	case engine.AccountCapExceeded:
		b.capped(refusal)
	default:
		return fmt.Errorf("%s, %s: %w", b.name, b.id, op.Err)
	}
	return nil
}

// abandon ends a wish that cannot be fulfilled, and the visit.
func (b *buyer) abandon() {
	b.lane.tally.Unserved++
	b.next = leave
}

// complete adds the missing session to a pack.
func (b *buyer) complete() {
	pool, ok := b.pick(false)
	if !ok {
		b.abandon()
		return
	}
	b.choose(pool, b.lines[0].quantity)
	b.newRequest()
}

// soldOut takes the remaining tickets of the pool, or another session.
func (b *buyer) soldOut(refusal *engine.Refusal) {
	i := b.lineOf(refusal.Session)
	if b.refused >= maxRefusals {
		b.abandon()
		return
	}
	if refusal.Available > 0 && b.chance.perMille(takeTheRest) {
		b.lines[i].quantity = min(b.lines[i].quantity, refusal.Available)
		b.newRequest()
		return
	}
	b.replace(i)
}

// salesEnded takes another session.
func (b *buyer) salesEnded(refusal *engine.Refusal) {
	if b.refused >= maxRefusals {
		b.abandon()
		return
	}
	b.replace(b.lineOf(refusal.Session))
}

// replace replaces a line by another session. If there is none, single tickets do without it and packs are abandoned.
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
		b.abandon()
		return
	}
	b.newRequest()
}

// limited requests what the session's limit still allows, or another session.
func (b *buyer) limited(refusal *engine.Refusal) {
	i := b.lineOf(refusal.Session)
	if room := refusal.Limit - refusal.Held - refusal.Confirmed; room > 0 {
		b.lines[i].quantity = room
		b.newRequest()
		return
	}
	if b.refused >= maxRefusals {
		b.abandon()
		return
	}
	b.replace(i)
}

// capped distributes what the account's cap still allows over the lines. A buyer at the cap leaves.
func (b *buyer) capped(refusal *engine.Refusal) {
	room := refusal.Limit - refusal.Held - refusal.Confirmed
	if room < len(b.lines) && b.stage.phase.PackSessions == 0 {
		b.lines = b.lines[:room]
	}
	if room < len(b.lines) || len(b.lines) == 0 {
		b.lane.tally.Capped++
		b.next = leave
		return
	}
	for i := range b.lines {
		b.lines[i].quantity = min(b.lines[i].quantity, room/len(b.lines))
	}
	b.newRequest()
}

func (b *buyer) lineOf(session string) int {
	for i := range b.request {
		if b.request[i].Session == session {
			return i
		}
	}
	panic("BUG: a refusal names a session that was not requested")
}
