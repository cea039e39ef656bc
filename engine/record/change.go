package record

import (
	"encoding/binary"

	"github.com/seathold/seathold/engine/inventory"
)

// A change of a reservation is one record with the whole reservation as the change leaves it, so its replay needs
// nothing that is known before it.

// changes are the kinds of changes, by the origin of the row that a change makes. A reduction has two origins, since
// its row does not show which state it began in.
var changes = [...]Kind{inventory.OriginExtend: KindExtended, inventory.OriginReduce: KindReduced,
	inventory.OriginReduceSold: KindReduced, inventory.OriginReplace: KindReplaced,
	inventory.OriginAgain: KindTakenAgain, inventory.OriginReturn: KindReturned}

// AppendChange appends the record of the change that made the reservation's row, which s.Origin determines. s is the
// reservation after the change, and s.AtMs the instant of the change. A row of inventory.OriginReserve is no change:
// its record is that of AppendTaken.
func AppendChange(run []byte, s *inventory.Snapshot) []byte {
	kind := changes[s.Origin]
	if kind == 0 {
		panic("BUG: the record of a change, but the reservation was taken")
	}
	start := len(run)
	return seal(appendWhole(begin(run, kind, s.AtMs), s), start)
}

// appendChanged appends the record of a checkpoint for a reservation that KindReservation cannot express.
func appendChanged(run []byte, s *inventory.Snapshot) []byte {
	start := len(run)
	return seal(appendWhole(beginRow(run, KindChanged, Stamp{AtMs: s.AtMs, Seq: s.Seq}), s), start)
}

// appendWhole appends the body that all changes share.
func appendWhole(run []byte, s *inventory.Snapshot) []byte {
	run = append(run, s.ID[:]...)
	run = binary.AppendVarint(run, s.AtMs-s.CreatedMs)
	run = append(appendLines(appendBody(run, s), s.Lines), stateByte(s.State))
	if s.State == inventory.Confirmed || s.State == inventory.Returned {
		run = appendText(binary.AppendVarint(run, s.AtMs-s.ConfirmedMs), s.Reference)
	}
	if s.Flags&inventory.FlagReplaces != 0 {
		run = append(run, s.Replaces[:]...)
	}
	return run
}

// whole reads what appendWhole appends, after the id.
func (f *fields) whole(r *Record) {
	f.body(r)
	r.State = f.state()
	if r.State == inventory.Confirmed || r.State == inventory.Returned {
		r.ConfirmedMs = r.AtMs - f.signed()
		f.bad = f.bad || r.ConfirmedMs < 0 || r.ConfirmedMs > maxTimeMs
		r.Reference = string(f.text(MaxReference))
	}
	if r.Request.Flags&inventory.FlagReplaces != 0 {
		copy(r.Replaces[:], f.take(len(r.Replaces)))
	}
	f.bad = f.bad || !r.consistent()
}

// consistent reports whether a reservation can have this state and these flags after a change of this kind.
func (r *Record) consistent() bool {
	const all = flagsGiven | inventory.FlagReplaces | inventory.FlagExtended | inventory.FlagReduced |
		inventory.FlagWithheld
	q, state := &r.Request, r.State
	if state == 0 || q.Flags&^all != 0 || q.Flags&inventory.FlagWithheld != 0 && state != inventory.Returned {
		return false
	}
	switch r.Kind {
	case KindExtended:
		return state == inventory.Held && q.Flags&inventory.FlagExtended != 0
	case KindReduced:
		sold := state == inventory.Confirmed
		return (sold || state == inventory.Held) && q.Flags&inventory.FlagReduced != 0
	case KindReplaced: // a new reservation: nothing has happened to it yet
		fresh := q.Flags&^flagsGiven == inventory.FlagReplaces && q.Created == r.AtMs
		return state == inventory.Held && fresh && r.Replaces != inventory.ID{} && r.Replaces != q.ID
	case KindTakenAgain:
		return state == inventory.Confirmed && r.ConfirmedMs == r.AtMs
	case KindReturned:
		return state == inventory.Returned
	}
	return true
}

// Origin returns the change that the record is of; inventory.OriginReserve for others.
func (r *Record) Origin() inventory.Origin {
	for origin, kind := range changes {
		sold := inventory.Origin(origin) == inventory.OriginReduceSold
		if kind == r.Kind && (kind != KindReduced || sold == (r.State == inventory.Confirmed)) {
			return inventory.Origin(origin)
		}
	}
	return inventory.OriginReserve
}
