package record

import (
	"encoding/binary"

	"github.com/seathold/seathold/engine/inventory"
)

// MaxReference is the longest reference of a confirmation or a return, in bytes.
const MaxReference = inventory.MaxReference

// These flags of a reservation record which fields the request itself contained. A repeat is compared with them (I9).
// Package inventory has the others, which only a changed reservation has.
const (
	FlagPhaseGiven = 1 << iota
	FlagTTLGiven

	flagsGiven = FlagPhaseGiven | FlagTTLGiven
)

// AppendTaken appends the record of a new hold to a run of records.
func AppendTaken(run []byte, s *inventory.Snapshot) []byte {
	start := len(run)
	run = append(begin(run, KindTaken, s.CreatedMs), s.ID[:]...)
	return seal(appendLines(appendBody(run, s), s.Lines), start)
}

// AppendEnd appends the record of a reservation whose state is confirmed, released or expired.
func AppendEnd(run []byte, s *inventory.Snapshot) []byte {
	start := len(run)
	run = append(begin(run, endKind(s.State), s.AtMs), s.ID[:]...)
	if s.State == inventory.Confirmed {
		run = appendText(run, s.Reference)
	}
	return seal(run, start)
}

func endKind(of inventory.State) Kind {
	switch of {
	case inventory.Confirmed:
		return KindConfirmed
	case inventory.Released:
		return KindReleased
	case inventory.Expired:
		return KindExpired
	}
	panic("BUG: the record of an end, but the reservation has not ended")
}

// AppendReservation appends the record of a reservation in its present state, for a checkpoint. s.AtMs is the instant
// of its last outcome, and s.Seq its sequence.
func AppendReservation(run []byte, s *inventory.Snapshot) []byte {
	if plain(s) {
		return appendPlain(run, s)
	}
	return appendChanged(run, s)
}

// plain reports whether KindReservation expresses all of the reservation. A held one has the instant of its creation
// there and a confirmed one that of its confirmation, which is before its end unless it was taken again.
func plain(s *inventory.Snapshot) bool {
	switch {
	case s.Flags&^flagsGiven != 0 || s.State == inventory.Returned:
		return false
	case s.State == inventory.Held:
		return s.AtMs == s.CreatedMs
	case s.State == inventory.Confirmed:
		return s.AtMs < s.ExpiresMs
	}
	return true
}

func appendPlain(run []byte, s *inventory.Snapshot) []byte {
	start := len(run)
	run = append(beginRow(run, KindReservation, Stamp{AtMs: s.AtMs, Seq: s.Seq}), s.ID[:]...)
	run = binary.AppendVarint(run, s.AtMs-s.CreatedMs) // small: an absolute instant takes six bytes
	run = append(appendLines(appendBody(run, s), s.Lines), stateByte(s.State))
	if s.State == inventory.Confirmed {
		run = appendText(run, s.Reference)
	}
	return seal(run, start)
}

func appendBody(run []byte, s *inventory.Snapshot) []byte {
	run = binary.AppendUvarint(run, uint64(s.Phase))
	run = append(run, s.Flags)
	run = appendText(run, s.Account)
	return binary.AppendUvarint(run, uint64(s.ExpiresMs-s.CreatedMs))
}

func appendLines(run []byte, lines []inventory.Line) []byte {
	run = append(run, byte(len(lines)))
	for _, l := range lines {
		run = binary.AppendUvarint(run, uint64(l.Pool))
		run = binary.AppendUvarint(run, uint64(l.Quantity))
	}
	return run
}

// states are the states of a reservation by their numbers in records; 0 where a number means none.
var states = [...]inventory.State{2: inventory.Held, 4: inventory.Confirmed, 7: inventory.Released,
	8: inventory.Expired, 9: inventory.Returned}

func stateByte(of inventory.State) byte {
	for number, s := range states {
		if number > 0 && s == of {
			return byte(number)
		}
	}
	panic("BUG: a record of a reservation that is undecided")
}

// state reads a state's number; 0, which is none, for one that is unknown.
func (f *fields) state() inventory.State {
	if n := int(f.byte()); n < len(states) {
		return states[n]
	}
	return 0
}

func (f *fields) outcome(r *Record) {
	copy(r.Request.ID[:], f.take(16))
	r.Request.Lines = r.Request.Lines[:0]
	r.ConfirmedMs, r.Reference, r.Replaces = 0, "", inventory.ID{}
	if r.Kind.ofChange() {
		f.whole(r)
		return
	}
	switch r.Kind {
	case KindTaken:
		r.State = inventory.Held
		f.body(r)
	case KindReservation:
		f.body(r)
		r.State = f.state()
	case KindConfirmed:
		r.State = inventory.Confirmed
	case KindReleased:
		r.State = inventory.Released
	case KindExpired:
		r.State = inventory.Expired
	default:
		f.bad = true
	}
	switch r.State {
	case inventory.Confirmed:
		if r.first() {
			r.AtMs = f.time()
		}
		r.ConfirmedMs = r.AtMs
		r.Reference = string(f.text(MaxReference))
	case inventory.Held:
		if r.first() {
			r.AtMs = r.Request.Created
		}
	case inventory.Released, inventory.Expired:
	default:
		f.bad = true
	}
}

// body reads the content of a reservation.
func (f *fields) body(r *Record) {
	q := &r.Request
	switch {
	case r.first():
	case r.Kind == KindTaken:
		q.Created = r.AtMs
	default:
		q.Created = r.AtMs - f.signed()
		f.bad = f.bad || q.Created < 0 || q.Created > maxTimeMs
	}
	q.Phase = uint16(f.number(1<<16 - 1))
	q.Flags = f.byte()
	f.bad = f.bad || q.Flags&^flagsGiven != 0 && !r.Kind.ofChange()
	q.Account = string(f.text(inventory.MaxAccount))
	f.bad = f.bad || q.Account == ""
	if r.first() {
		q.Created = f.time()
	}
	q.Expires = q.Created + int64(f.number(maxTimeMs))
	f.lines(q)
}
