package main

import "time"

// wheel holds buyers by the tick in which they are due. It is much cheaper than a heap where hundreds of thousands
// wait.
type wheel struct {
	at    time.Duration // everything due before is out
	slots []slot        // of the ticks from at on
	spare []slot        // empty ones with the arrays of slots that are over
	room  int           // for newcomers in a new slot, so that it grows seldom
}

// slot is the buyers of a tick.
type slot struct {
	buyers    []buyer
	newcomers []time.Duration // buyers that have had no connection yet, by their arrivals; all are due at the tick's end
}

// add adds a buyer. One that is due already comes out next.
func (w *wheel) add(b buyer) {
	s := &w.from(b.due, 1)[0]
	s.buyers = append(s.buyers, b)
}

// from returns the slots of n ticks from that of a time on, for adding to them.
func (w *wheel) from(due time.Duration, n int) []slot {
	i := int(max(due-w.at, 0) / tick)
	for len(w.slots) < i+n {
		if last := len(w.spare) - 1; last >= 0 {
			w.slots, w.spare = append(w.slots, w.spare[last]), w.spare[:last]
		} else {
			w.slots = append(w.slots, slot{newcomers: make([]time.Duration, 0, w.room)})
		}
	}
	return w.slots[i : i+n]
}

// until yields the slot of each tick that is over, with at as the tick's end. Buyers may be added meanwhile.
func (w *wheel) until(now time.Duration) func(yield func(slot) bool) {
	return func(yield func(slot) bool) {
		for w.at+tick <= now {
			var out slot
			if len(w.slots) > 0 {
				out, w.slots = w.slots[0], w.slots[1:]
			}
			w.at += tick
			if !yield(out) {
				return
			}
			if cap(out.buyers)+cap(out.newcomers) > 0 {
				w.spare = append(w.spare, slot{out.buyers[:0], out.newcomers[:0]})
			}
		}
	}
}
