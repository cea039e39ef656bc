package draw

import (
	"bufio"
	"fmt"
	"time"
)

// The headers of format 1.
const (
	accountsEntriesHeader = "account,group\n"
	accountsResultHeader  = "rank,account,group,hmac,slot,opens_at,closes_at,priority\n"
)

// writeAccountsDraw writes draw.json of format 1, which has the terms too. As in [Terms.text], no value needs escaping.
func (r *Result) writeAccountsDraw(w *bufio.Writer) {
	t, second := &r.Terms, time.Second
	fmt.Fprintf(w, `{
  "format": 1,
  "draw": "%s",
  "registration_closes_at": "%s",
  "entries": %d,
  "root": "%s",
  "chain_hash": "%s",
  "public_key": "%s",
  "genesis": "%s",
  "period_seconds": %d,
  "round": %d,
  "round_at": "%s",
  "stand_in": %t,
  "randomness": "%s",
  "signature": "%x",
  "seed": "%s",
  "phase": "%s",
  "phase_opens_at": "%s",
  "phase_closes_at": "%s",
  "slot_length_seconds": %d,
  "slot_step_seconds": %d,
  "slot_places": %d,
  "priority_days": %d,
  "priority_group": "%s",
  "slots": %d,
  "priority_slots": %d
}
`, t.Draw, stamp(t.ClosesAt), r.entries.Len(), r.Root, t.Chain.Hash, t.Chain.PublicKey, stamp(t.Chain.Genesis),
		t.Chain.Period/second, t.Round, stamp(t.Chain.RoundTime(t.Round)), t.StandIn, r.Beacon.Randomness,
		r.Beacon.Signature, r.Seed, t.Phase, stamp(t.Slots.OpensAt), stamp(t.Slots.ClosesAt), t.Slots.Length/second,
		t.Slots.Step/second, t.Slots.Places, t.Slots.PriorityDays, t.Slots.Group, r.schedule.slots, r.schedule.priority)
}
