package engine

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/seathold/seathold/engine/inventory"
	"github.com/seathold/seathold/engine/journal"
)

// Records are what the journal keeps: outcomes, absolute and per reservation, so that replaying one twice changes
// nothing. Each begins with its kind. Integers are unsigned varints but where a width is given; times are milliseconds
// since 1970 on the sale clock; a string is its length and its bytes.
//
//	taken       kind 2 | id 16 bytes | body
//	confirmed   kind 3 | id 16 bytes | confirmed at | reference string
//	released    kind 4 | id 16 bytes
//	expired     kind 5 | id 16 bytes
//	reservation kind 6 | id 16 bytes | body | state 1 byte | confirmed at, reference string where confirmed
//	entry       kind 7 | draw | group | account string
//	frozen      kind 8 | draw | entries | root 32 bytes | digest of the terms 32 bytes
//	drawn       kind 9 | draw | round | randomness 32 bytes | signature 48 bytes
//	ranked      kind 10 | draw | group | account string | rank | slot
//	definition  kind 1 | version 1 byte | sale string | lists of strings, each behind its count: phases, draws, groups,
//	            pools (session and category in turn)
//
//	body        phase | flags 1 byte | account string | created at | time to live in ms | lines 1 byte | (pool, quantity)…
//
// Phases, pools, draws and groups are numbers in the definition that precedes them in the journal; a checkpoint begins
// with one. A group of 0 is none, others count from 1; so do slots. Reservation and ranked records stand only in
// checkpoints. Kinds are never reused; a new body gets a new kind.
type recordKind byte

const (
	definitionRecord  recordKind = 1
	takenRecord       recordKind = 2
	confirmedRecord   recordKind = 3
	releasedRecord    recordKind = 4
	expiredRecord     recordKind = 5
	reservationRecord recordKind = 6
	entryRecord       recordKind = 7
	frozenRecord      recordKind = 8
	drawnRecord       recordKind = 9
	rankedRecord      recordKind = 10
)

const definitionVersion = 1

// Flags kept with a reservation: what the request said itself, for comparing a repeat with the original (I9).
const (
	flagPhaseGiven = 1 << iota
	flagTTLGiven
)

// record is one decoded record.
type record struct {
	kind        recordKind
	request     inventory.Request // id alone for confirmed, released, expired
	state       State             // for reservation
	confirmedMs int64
	reference   string
	definition  definition
	entry       entryFields // for entry, frozen, drawn and ranked
}

// appendOutcome appends the record of an outcome to a run of records, behind its length.
func appendOutcome(run []byte, s *inventory.Snapshot, kind recordKind) []byte {
	// The length goes before the record; most are shorter than 128 bytes, so one byte is kept free for it.
	start := len(run)
	run = append(run, 0, byte(kind))
	run = append(run, s.ID[:]...)
	if kind == takenRecord || kind == reservationRecord {
		run = appendBody(run, s)
	}
	if kind == reservationRecord {
		run = append(run, byte(s.State))
	}
	if kind == confirmedRecord || kind == reservationRecord && s.State == Confirmed {
		run = binary.AppendUvarint(run, uint64(s.ConfirmedMs))
		run = binary.AppendUvarint(run, uint64(len(s.Reference)))
		run = append(run, s.Reference...)
	}
	return sealRecord(run, start)
}

// sealRecord writes the length of the record that begins behind start, moving it where one byte is too few.
func sealRecord(run []byte, start int) []byte {
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
	run = binary.AppendUvarint(run, uint64(len(s.Account)))
	run = append(run, s.Account...)
	run = binary.AppendUvarint(run, uint64(s.CreatedMs))
	run = binary.AppendUvarint(run, uint64(s.ExpiresMs-s.CreatedMs))
	run = append(run, byte(len(s.Lines)))
	for _, l := range s.Lines {
		run = binary.AppendUvarint(run, uint64(l.Pool))
		run = binary.AppendUvarint(run, uint64(l.Quantity))
	}
	return run
}

// endRecord returns the kind of record that says how a reservation ended.
func endRecord(s State) recordKind {
	switch s {
	case Confirmed:
		return confirmedRecord
	case Released:
		return releasedRecord
	case Expired:
		return expiredRecord
	}
	panic("BUG: a reservation that has not ended")
}

// errRecord is what every fault of a record's bytes is.
var errRecord = errors.New("not a record of this program")

// decode reads one record. It keeps no part of b but strings it copies; Lines are reused. Phases and pools are as in the
// record, not yet those of the present sale.
func (r *record) decode(b []byte) error {
	f := fields{rest: b}
	r.kind = recordKind(f.byte())
	if r.kind == definitionRecord {
		r.definition = f.definition()
		return f.end(r.kind)
	}
	if r.kind >= entryRecord {
		r.entry = f.entry(r.kind)
		return f.end(r.kind)
	}
	copy(r.request.ID[:], f.take(16))
	r.request.Lines = r.request.Lines[:0]
	r.confirmedMs, r.reference = 0, ""
	switch r.kind {
	case takenRecord:
		f.body(&r.request)
	case reservationRecord:
		f.body(&r.request)
		r.state = State(f.byte())
		if r.state != Held && r.state != Confirmed && r.state != Released && r.state != Expired {
			f.bad = true
		}
		if r.state == Confirmed {
			r.confirmedMs, r.reference = f.time(), string(f.text(MaxReference))
		}
	case confirmedRecord:
		r.confirmedMs, r.reference = f.time(), string(f.text(MaxReference))
	case releasedRecord, expiredRecord:
	default:
		f.bad = true
	}
	return f.end(r.kind)
}

// fields takes a record apart. After a fault everything it gives is zero and end reports it.
type fields struct {
	rest []byte
	bad  bool
}

func (f *fields) take(n int) []byte {
	if f.bad || n > len(f.rest) {
		f.bad = true
		return nil
	}
	b := f.rest[:n]
	f.rest = f.rest[n:]
	return b
}

func (f *fields) byte() byte {
	if b := f.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (f *fields) number(limit uint64) uint64 {
	n, size := binary.Uvarint(f.rest)
	// A number has one spelling: a last byte of zero would only make it longer.
	if f.bad || size <= 0 || n > limit || size > 1 && f.rest[size-1] == 0 {
		f.bad = true
		return 0
	}
	f.rest = f.rest[size:]
	return n
}

// time is a number of milliseconds; the year 9999 bounds it.
func (f *fields) time() int64 { return int64(f.number(maxTimeMs)) }

const maxTimeMs = 253_402_300_799_999

func (f *fields) text(limit int) []byte { return f.take(int(f.number(uint64(limit)))) }

func (f *fields) body(q *inventory.Request) {
	q.Phase = uint16(f.number(1<<16 - 1))
	q.Flags = f.byte()
	q.Account = string(f.text(MaxAccount))
	q.Created = f.time()
	q.Expires = q.Created + int64(f.number(maxTimeMs))
	n := int(f.byte())
	if n < 1 || n > MaxLines || q.Account == "" {
		f.bad = true
		return
	}
	for range n {
		l := inventory.Line{Pool: uint32(f.number(inventory.MaxPools - 1)), Quantity: uint32(f.number(MaxQuantity))}
		f.bad = f.bad || l.Quantity == 0
		q.Lines = append(q.Lines, l)
	}
}

func (f *fields) end(kind recordKind) error {
	if f.bad || len(f.rest) > 0 {
		return fmt.Errorf("%w: kind %d", errRecord, kind)
	}
	return nil
}

// eachRecord calls apply with every record of a run.
func eachRecord(run []byte, apply func(b []byte) error) error {
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
