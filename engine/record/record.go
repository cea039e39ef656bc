// Package record is the vocabulary of the engine's journal: the kinds of records, their bytes, and the definition that
// gives the numbers in them a meaning. It encodes and decodes; it reads no file and keeps no state of a sale.
package record

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/seathold/seathold/engine/inventory"
	"github.com/seathold/seathold/engine/journal"
)

// Kind is the first byte of a record. A record holds one outcome, absolute and per reservation, so replaying a record
// twice changes nothing. Integers are unsigned varints unless a width is given. Times are milliseconds since 1970 on
// the sale clock. A string is its length, then its bytes.
//
//	taken       kind 2 | id 16 bytes | body
//	confirmed   kind 3 | id 16 bytes | confirmed at | reference string
//	released    kind 4 | id 16 bytes
//	expired     kind 5 | id 16 bytes
//	reservation kind 6 | id 16 bytes | body | state 1 byte | confirmed at, reference string if confirmed
//	entry       kind 7 | draw | group | account string
//	frozen      kind 8 | draw | entries | root 32 bytes | digest of the terms 32 bytes
//	drawn       kind 9 | draw | round | randomness 32 bytes | signature 48 bytes
//	ranked      kind 10 | draw | group | account string | rank | slot
//	definition  kind 1 | version 1 byte | sale string | lists of strings, each after its count: phases, draws, groups,
//	            pools (session and category alternate)
//
//	body        phase | flags 1 byte | account string | created at | time to live in ms |
//	            lines 1 byte | (pool, quantity)…
//
// Phases, pools, draws and groups are numbers of the last definition before the record; a checkpoint begins with a
// definition. Group 0 means no group and groups count from 1; the same holds for slots. Reservation and ranked records
// occur in checkpoints only. A kind is never reused; a changed body gets a new kind.
type Kind byte

// The kinds of records.
const (
	KindDefinition  Kind = 1
	KindTaken       Kind = 2
	KindConfirmed   Kind = 3
	KindReleased    Kind = 4
	KindExpired     Kind = 5
	KindReservation Kind = 6
	KindEntry       Kind = 7
	KindFrozen      Kind = 8
	KindDrawn       Kind = 9
	KindRanked      Kind = 10
)

// String returns the kind's name, as `journal dump` prints it.
func (k Kind) String() string {
	names := [...]string{"", "definition", "taken", "confirmed", "released", "expired", "reservation",
		"entry", "frozen", "drawn", "ranked"}
	if k == 0 || int(k) >= len(names) {
		return fmt.Sprintf("kind %d", byte(k))
	}
	return names[k]
}

// MaxReference is the longest reference of a confirmation, in bytes.
const MaxReference = inventory.MaxReference

// Flags of a reservation record which fields the request itself contained. A repeat is compared with them (I9).
const (
	FlagPhaseGiven = 1 << iota
	FlagTTLGiven
)

// ErrInvalid is the error of bytes that are not a record.
var ErrInvalid = errors.New("not a record of this program")

// Record is a decoded record. Its kind determines which fields are set.
type Record struct {
	Kind Kind

	// Of KindTaken to KindReservation. The end of a reservation has only the request's ID.
	Request     inventory.Request
	State       inventory.State // after this record
	ConfirmedMs int64           // 0 unless State is Confirmed
	Reference   string

	Definition Definition // of KindDefinition
	Draw       Draw       // of KindEntry to KindRanked
}

// AppendTaken appends the record of a new hold to a run of records.
func AppendTaken(run []byte, s *inventory.Snapshot) []byte { return appendOutcome(run, s, KindTaken) }

// AppendEnd appends the record of a reservation whose state is confirmed, released or expired.
func AppendEnd(run []byte, s *inventory.Snapshot) []byte {
	switch s.State {
	case inventory.Confirmed:
		return appendOutcome(run, s, KindConfirmed)
	case inventory.Released:
		return appendOutcome(run, s, KindReleased)
	case inventory.Expired:
		return appendOutcome(run, s, KindExpired)
	}
	panic("BUG: the record of an end, but the reservation has not ended")
}

// AppendReservation appends the record of a reservation in its present state, for a checkpoint.
func AppendReservation(run []byte, s *inventory.Snapshot) []byte {
	return appendOutcome(run, s, KindReservation)
}

func appendOutcome(run []byte, s *inventory.Snapshot, kind Kind) []byte {
	start := len(run)
	run = append(begin(run, kind), s.ID[:]...)
	if kind == KindTaken || kind == KindReservation {
		run = appendBody(run, s)
	}
	if kind == KindReservation {
		run = append(run, byte(s.State))
	}
	if kind == KindConfirmed || kind == KindReservation && s.State == inventory.Confirmed {
		run = binary.AppendUvarint(run, uint64(s.ConfirmedMs))
		run = appendText(run, s.Reference)
	}
	return seal(run, start)
}

// begin reserves one byte for the record's length, which is enough for most, and appends the kind.
func begin(run []byte, kind Kind) []byte { return append(run, 0, byte(kind)) }

// seal writes the length of the record that begins after start. It moves the record if the length needs more than one
// byte.
func seal(run []byte, start int) []byte {
	size := len(run) - start - 1
	if size < 0x80 {
		run[start] = byte(size)
		return run
	}
	var length [binary.MaxVarintLen64]byte
	n := binary.PutUvarint(length[:], uint64(size))
	run = append(run, length[:n-1]...)
	copy(run[start+n:], run[start+1:start+1+size])
	copy(run[start:], length[:n])
	return run
}

func appendBody(run []byte, s *inventory.Snapshot) []byte {
	run = binary.AppendUvarint(run, uint64(s.Phase))
	run = append(run, s.Flags)
	run = appendText(run, s.Account)
	run = binary.AppendUvarint(run, uint64(s.CreatedMs))
	run = binary.AppendUvarint(run, uint64(s.ExpiresMs-s.CreatedMs))
	run = append(run, byte(len(s.Lines)))
	for _, l := range s.Lines {
		run = binary.AppendUvarint(run, uint64(l.Pool))
		run = binary.AppendUvarint(run, uint64(l.Quantity))
	}
	return run
}

func appendText(run []byte, s string) []byte {
	return append(binary.AppendUvarint(run, uint64(len(s))), s...)
}

// Decode reads one record. Strings are copied out of b; r.Request.Lines is reused. The numbers of phases, pools, draws
// and groups are those of the journal's definition; a Decoder returns those of a sale. Errors are ErrInvalid.
func (r *Record) Decode(b []byte) error {
	f := fields{rest: b}
	r.Kind = Kind(f.byte())
	switch {
	case r.Kind == KindDefinition:
		r.Definition = f.definition()
	case r.Kind >= KindEntry:
		r.Draw = f.draw(r.Kind)
	default:
		f.outcome(r)
	}
	if f.bad || len(f.rest) > 0 {
		return fmt.Errorf("%w: kind %d", ErrInvalid, r.Kind)
	}
	return nil
}

func (f *fields) outcome(r *Record) {
	copy(r.Request.ID[:], f.take(16))
	r.Request.Lines = r.Request.Lines[:0]
	switch r.Kind {
	case KindTaken:
		r.State = inventory.Held
		f.body(&r.Request)
	case KindReservation:
		f.body(&r.Request)
		r.State = inventory.State(f.byte())
	case KindConfirmed:
		r.State = inventory.Confirmed
	case KindReleased:
		r.State = inventory.Released
	case KindExpired:
		r.State = inventory.Expired
	default:
		f.bad = true
	}
	r.ConfirmedMs, r.Reference = 0, ""
	switch r.State {
	case inventory.Confirmed:
		r.ConfirmedMs, r.Reference = f.time(), string(f.text(MaxReference))
	case inventory.Held, inventory.Released, inventory.Expired:
	default:
		f.bad = true
	}
}

// Replay returns the callbacks for journal.Reader that pass every record to apply, with its sequence; 0 for the records
// of the checkpoint. It stops at the first error.
func Replay(begin func(journal.CheckpointInfo) error, apply func(seq uint64, b []byte) error) journal.Recovery {
	return journal.Recovery{
		Begin: begin,
		Chunk: func(run []byte) error { return each(run, func(b []byte) error { return apply(0, b) }) },
		Group: func(g journal.Group) error {
			seq := g.First - 1
			return each(g.Records, func(b []byte) error {
				seq++
				if err := apply(seq, b); err != nil {
					return fmt.Errorf("record %d: %w", seq, err)
				}
				return nil
			})
		},
	}
}

// each calls apply with the bytes of every record of a run.
func each(run []byte, apply func(b []byte) error) error {
	for len(run) > 0 {
		b, rest, err := journal.Next(run)
		if err != nil {
			return err
		}
		if err := apply(b); err != nil {
			return err
		}
		run = rest
	}
	return nil
}
