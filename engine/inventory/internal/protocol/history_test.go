package protocol

import (
	"encoding/binary"
	"fmt"
	"strings"
)

// What calls answer must be what they would answer one after the other, in an order that keeps every call that was
// over before another began (I7, I9). Forgetting an id is a call of its own: it happens in one step.

const (
	mostEvents  = 16 // calls, then forgettings
	firstForget = 10
)

// event is a call that is over, or a forgetting.
type event struct {
	answer answer
	ref    uint8 // of the reservation in the answer
	id     uint8 // of a forgetting, or of what a sweep expired
	_      uint8
	began  uint16 // events that were over when it began
}

// history is the events so far.
type history struct {
	events [mostEvents]event
	done   uint16 // events that are over
}

// add notes that a call is over.
func (h *history) add(n int, e event) {
	h.events[n] = e
	h.done |= 1 << n
}

// forget notes that an id was forgotten.
func (h *history) forget(id uint8) {
	n := firstForget
	for n < mostEvents && h.done>>n&1 != 0 {
		n++
	}
	boundIf(n == mostEvents, "the case forgets too often")
	h.add(n, event{answer: ok, id: id, began: h.done})
}

// judge judges histories by a specification: the facts F, and apply, which makes the call of an event alone and
// reports whether it answers what the event has.
type judge[F any] struct {
	apply  func(f *F, n int, e event) bool
	name   func(n int, e event) string
	judged map[string]bool // histories that fit
}

// check fails unless the history fits an order that begins with these facts.
func (j *judge[F]) check(h *history, f F) {
	var key []byte
	for n, e := range h.events {
		if h.done>>n&1 != 0 {
			key = append(key, byte(n), byte(e.answer), e.ref, e.id)
			key = binary.LittleEndian.AppendUint16(key, e.began)
		}
	}
	if j.judged[string(key)] {
		return
	}
	if !j.fits(h, h.done, f) {
		var answers []string
		for n, e := range h.events {
			if h.done>>n&1 != 0 {
				answers = append(answers, fmt.Sprintf("%s: %v", j.name(n, e), e.answer))
			}
		}
		panic(broken("the history fits no order (I7, I9): " + strings.Join(answers, "; ")))
	}
	if j.judged == nil {
		j.judged = map[string]bool{}
	}
	j.judged[string(key)] = true
}

// fits searches for an order of the events that are left.
func (j *judge[F]) fits(h *history, left uint16, f F) bool {
	if left == 0 {
		return true
	}
	for n, e := range h.events {
		if left>>n&1 == 0 || e.began&left != 0 {
			continue
		}
		after := f
		if j.apply(&after, n, e) && j.fits(h, left&^(1<<n), after) {
			return true
		}
	}
	return false
}
