// Package record is the vocabulary of the engine's journal: the kinds of records, their bytes, and the definition that
// gives the numbers in them a meaning. It encodes and decodes; it reads no file and keeps no state of a sale.
//
// # Version 2
//
// A record holds one outcome, absolute and per reservation, so replaying a record twice changes nothing. It is decoded
// without other records. It begins with a head:
//
//	   7     6   5   4           0
//	+-----------+---+-------------+------------------+----------------------+
//	|version − 1| c |    kind     | at: varint       | sequence: varint     |
//	+-----------+---+-------------+------------------+----------------------+
//	                               ms on the clock    only in a checkpoint: c = 1
//
// Integers are unsigned varints unless a width is given. A string is its length, then its bytes. at is the instant on
// the sale clock, in milliseconds since 1970, that the outcome was decided by. Callers read the clock before their
// records get a position, so instants are not strictly ascending.
//
// A record of a checkpoint stands for the last outcome of its subject. It has the sequence that this outcome has in the
// journal, and its instant. Either is 0 where the journal does not have it: in what comes from records of version 1,
// and in entries and members, of which neither is kept.
//
//	kind 1  definition   digest 32 bytes | content | above: programmes, sessions      both
//	kind 2  taken        id 16 bytes | body | lines                                   journal; created at is at
//	kind 3  confirmed    id 16 bytes | reference string                               journal
//	kind 4  released     id 16 bytes                                                  journal
//	kind 5  expired      id 16 bytes                                                  journal
//	kind 6  reservation  id 16 bytes | age: at − created at, zigzag | body | lines |
//	                     state 1 byte | reference string, if confirmed                checkpoint
//	kind 7  entry        draw | group | account string                                both
//	kind 8  frozen       draw | entries | root 32 bytes | digest of the terms 32 |
//	                     ms on the machine's clock, 0 for entries that are not sealed  both
//	kind 9  drawn        draw | round | randomness 32 bytes | signature 48 bytes      both
//	kind 10 ranked       draw | group | account string | rank | slot                  checkpoint
//	kind 11 clock        nothing: the clock had reached at                            checkpoint
//	kind 12 announced    draw | secret 32 bytes                                       both
//	kind 13 postponed    draw | round | ms on the machine's clock                     both
//	kind 14 extended     whole; held                                                  journal
//	kind 15 reduced      whole; held or confirmed                                     journal
//	kind 16 replaced     whole; held, created at is at                                journal
//	kind 17 taken again  whole; confirmed, confirmed at is at                         journal
//	kind 18 returned     whole; returned                                              journal
//	kind 19 changed      whole; any state                                             checkpoint
//	kind 20 withdrawn    draw | account string: its entry is taken back               journal
//	kind 21 version      number | digests | compressed: a whole definition            both
//	kind 22 paused       what 1 byte: 0 the sale, 1 a phase, 2 a session | its
//	                     number, 0 for the sale | 1 byte: 1 paused, 0 no longer       both
//	kind 23 stock        pool | capacity | withheld | places that are freed, if any   both
//	kind 24 joined       group | account string: it is a member from here on          both
//	kind 25 left         group | account string: it is no member any more             journal
//	kind 26 earlier      lists of what was in force before                            checkpoint
//
//	body         phase | flags 1 byte | account string | time to live in ms
//	lines        count 1 byte | (pool, quantity)…
//	whole        id 16 bytes | age: at − created at, zigzag | body | lines | state 1 byte |
//	             at − confirmed at, zigzag; reference string, both if confirmed or returned |
//	             id 16 bytes of the reservation that it replaces, if flag 4 is set
//
// The states are held 2, confirmed 4, released 7, expired 8, returned 9; kind 6 has no returned ones. The flags are 1
// for a phase and 2 for a time to live in the request, and, in a whole one only, 4 for one that replaces another, 8 for
// one that was extended, 16 for one that was reduced, and 32 for a returned one whose tickets are withheld. at is the
// instant of the last outcome. The replaced id may be zero in a checkpoint of an earlier release, which did not keep it
// for ever. The time to live is from the creation to the present end, so that an extension changes it.
//
// A checkpoint has kind 19 for what kind 6 cannot express: flags from 4 on, the state returned, a held reservation
// whose last outcome is not its taking, and one that was confirmed when its time was over, as it was taken again.
//
// Phases, sessions, pools, draws and groups are numbers of the last definition before the record. A checkpoint begins
// with the definition in force and the clock. Group 0 means no group and groups count from 1; the same holds for
// slots. The files of Definition and of its versions have their content. No new record has kind 1.
//
// A checkpoint has the definition as it was applied, then a record of kind 26 if anything was in force before, one of
// kind 23 for every pool whose stock was changed since, and one of kind 22 for everything that is paused. It has all of
// them again where another definition came into force while it was written. A record of kinds 21 to 23 in the groups
// after it changes nothing if its sequence is not above all of theirs.
//
// A kind is never reused. A changed body gets a new kind, or a new version.
//
// # Version 1
//
// Records of version 1 are read and not written. Their head is the kind alone, so a journal may have records of both
// versions, and so may a checkpoint and the groups after it.
//
//	kind 1  definition   version 1 byte | sale string | lists of strings, each after its count: phases, draws, groups,
//	                     pools (session and category alternate)
//	kind 2  taken        id 16 bytes | body 1
//	kind 3  confirmed    id 16 bytes | confirmed at | reference string
//	kind 6  reservation  id 16 bytes | body 1 | state 1 byte | confirmed at, reference string if confirmed
//
//	body 1       phase | flags 1 byte | account string | created at | time to live in ms | lines
//
//	kind 8  frozen       draw | entries | root 32 bytes | digest of the terms 32
//
// Kinds 4, 5, 7, 9 and 10 have the bodies of version 2.
package record

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/seathold/seathold/engine/inventory"
	"github.com/seathold/seathold/engine/journal"
)

// Kind is what a record is about.
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
	KindClock       Kind = 11
	KindAnnounced   Kind = 12
	KindPostponed   Kind = 13
	KindExtended    Kind = 14
	KindReduced     Kind = 15
	KindReplaced    Kind = 16
	KindTakenAgain  Kind = 17
	KindReturned    Kind = 18
	KindChanged     Kind = 19
	KindWithdrawn   Kind = 20
	KindVersion     Kind = 21
	KindPaused      Kind = 22
	KindStock       Kind = 23
	KindJoined      Kind = 24
	KindLeft        Kind = 25
	KindEarlier     Kind = 26
)

// The fields of the first byte.
const (
	kindMask      = 1<<5 - 1
	checkpointBit = 1 << 5
	versionShift  = 6
	version       = 2
)

// String returns the kind's name, as `journal dump` prints it.
func (k Kind) String() string {
	names := [...]string{"", "definition", "taken", "confirmed", "released", "expired", "reservation",
		"entry", "frozen", "drawn", "ranked", "clock", "announced", "postponed", "extended", "reduced", "replaced",
		"taken_again", "returned", "changed", "withdrawn", "version", "paused", "stock",
		"joined", "left", "earlier"}
	if k == 0 || int(k) >= len(names) {
		return fmt.Sprintf("kind %d", byte(k))
	}
	return names[k]
}

// KindOf returns the kind of a record's bytes, which may still be no record; 0 for no bytes.
func KindOf(b []byte) Kind {
	if len(b) == 0 {
		return 0
	}
	return Kind(b[0] & kindMask)
}

// ofDraw reports whether the record has the fields of Draw.
func (k Kind) ofDraw() bool {
	return k >= KindEntry && k <= KindPostponed && k != KindClock || k == KindWithdrawn
}

// ofChange reports whether the record has the body of a change.
func (k Kind) ofChange() bool { return k >= KindExtended && k <= KindChanged }

// OfReservation reports whether a record of the kind is about a reservation, and has the fields of one.
func (k Kind) OfReservation() bool { return k >= KindTaken && k <= KindReservation || k.ofChange() }

// Complete reports whether a record of the kind has all of a reservation, and not only its id and how it ended.
func (k Kind) Complete() bool { return k == KindTaken || k == KindReservation || k.ofChange() }

// OfDefinition reports whether a record of the kind changes what is in force: a definition, what is paused or a stock;
// or what was before.
func (k Kind) OfDefinition() bool {
	return k == KindDefinition || k >= KindVersion && k <= KindStock || k == KindEarlier
}

// OfMember reports whether the record has the fields of Member.
func (k Kind) OfMember() bool { return k == KindJoined || k == KindLeft }

// inJournal and inCheckpoint report where records of the kind occur.
func (k Kind) inJournal() bool {
	return k != KindReservation && k != KindRanked && k != KindClock && k != KindChanged && k != KindEarlier
}

func (k Kind) inCheckpoint() bool {
	return k < KindTaken || k > KindExpired && k < KindExtended || k == KindChanged || k == KindJoined || k.OfDefinition()
}

// ErrInvalid is the error of bytes that are not a record.
var ErrInvalid = errors.New("not a record of this program")

// Stamp is when an outcome was decided, and where it is in the journal.
type Stamp struct {
	AtMs int64  // ms since 1970 on the sale clock; 0 if it is not known
	Seq  uint64 // of the outcome that a record of a checkpoint stands for; 0 if it is not known, and in groups
}

// Record is a decoded record. Its kind determines which fields are set.
type Record struct {
	Kind Kind
	Stamp

	// Of KindTaken to KindReservation, and of KindExtended to KindChanged. The end of a reservation has only the
	// request's ID.
	Request     inventory.Request
	State       inventory.State // after this record
	ConfirmedMs int64           // ms since 1970 on the sale clock; of a confirmed or returned one
	Reference   string          // of a confirmed or returned one
	Replaces    inventory.ID    // with inventory.FlagReplaces; zero if a checkpoint does not have it

	Definition Definition // of KindDefinition and KindVersion
	Pause      Pause      // of KindPaused
	Stock      Stock      // of KindStock
	Earlier    Earlier    // of KindEarlier
	Member     Member     // of KindJoined and KindLeft

	// Stale is set by a Decoder, for a record that is to change what is in force: the checkpoint had it already, or a
	// later one. It changes nothing, but the numbers of the next records are those of a stale definition.
	Stale bool
	Draw  Draw // of KindEntry to KindRanked, KindAnnounced, KindPostponed and KindWithdrawn

	head byte
}

// AppendClock appends the record of a checkpoint that the sale clock had reached an instant (ms).
func AppendClock(run []byte, atMs int64, seq uint64) []byte {
	start := len(run)
	return seal(beginRow(run, KindClock, Stamp{AtMs: atMs, Seq: seq}), start)
}

// begin reserves one byte for the record's length, which is enough for most, and appends the head of a record of the
// journal.
func begin(run []byte, kind Kind, atMs int64) []byte {
	run = append(run, 0, (version-1)<<versionShift|byte(kind))
	return binary.AppendUvarint(run, uint64(atMs))
}

// beginRow is begin for a record of a checkpoint.
func beginRow(run []byte, kind Kind, s Stamp) []byte {
	run = append(run, 0, (version-1)<<versionShift|checkpointBit|byte(kind))
	return binary.AppendUvarint(binary.AppendUvarint(run, uint64(s.AtMs)), s.Seq)
}

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

func appendText(run []byte, s string) []byte {
	return append(binary.AppendUvarint(run, uint64(len(s))), s...)
}

// Decode reads one record, of either version. Strings are copied out of b; r.Request.Lines is reused. The numbers of
// phases, pools, draws and groups are those of the journal's definition; a Decoder returns those of a sale. Errors are
// ErrInvalid.
func (r *Record) Decode(b []byte) error {
	f := fields{rest: b}
	f.head(r)
	switch {
	case f.bad || r.Kind == KindClock:
	case r.Kind == KindDefinition:
		r.Definition = f.definition(r.first())
	case r.Kind == KindVersion:
		r.Definition = f.version()
	case r.Kind == KindPaused:
		r.Pause = f.pause()
	case r.Kind == KindStock:
		r.Stock = f.stock()
	case r.Kind == KindEarlier:
		r.Earlier = f.earlier()
	case r.Kind.OfMember():
		r.Member = f.member()
	case r.Kind.ofDraw():
		r.Draw = f.draw(r.Kind, r.first())
	default:
		f.outcome(r)
	}
	if f.bad || len(f.rest) > 0 {
		return fmt.Errorf("%w: kind %d", ErrInvalid, r.Kind)
	}
	return nil
}

// first reports whether the record has version 1.
func (r *Record) first() bool { return r.head>>versionShift == 0 }

// head reads what comes before the body.
func (f *fields) head(r *Record) {
	r.head = f.byte()
	r.Kind, r.Stamp = Kind(r.head&kindMask), Stamp{}
	inCheckpoint := r.head&checkpointBit != 0
	switch {
	case r.first():
		f.bad = f.bad || inCheckpoint || r.Kind >= KindClock
		return
	case r.head>>versionShift != version-1:
		f.bad = true
		return
	}
	r.AtMs = f.time()
	if inCheckpoint {
		r.Seq = f.number(1<<64 - 1)
		f.bad = f.bad || !r.Kind.inCheckpoint()
	} else {
		f.bad = f.bad || !r.Kind.inJournal()
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
