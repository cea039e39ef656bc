package engine

import (
	"encoding/binary"

	"github.com/seathold/seathold/engine/draw"
)

// entryFields is what records about draws hold, as far as their kind has it.
type entryFields struct {
	draw    int
	group   int // 0 for none, or 1 + the index of the group
	account string
	rank    uint32
	slot    int // 0 for none, or 1 + the number of the slot
	size    int
	root    draw.Digest
	terms   draw.Digest // termsDigest of what the draw was announced with
	beacon  draw.Beacon
}

const (
	maxDraws  = 255
	maxGroups = draw.MaxGroups
	maxSlot   = 1 << 20
)

func (f *fields) entry(kind recordKind) (e entryFields) {
	e.draw = int(f.number(maxDraws - 1))
	switch kind {
	case entryRecord, rankedRecord:
		e.group = int(f.number(maxGroups))
		e.account = string(f.text(MaxAccount))
		f.bad = f.bad || e.account == ""
		if kind == rankedRecord {
			e.rank = uint32(f.number(draw.MaxEntries))
			e.slot = int(f.number(maxSlot))
		}
	case frozenRecord:
		e.size = int(f.number(draw.MaxEntries))
		copy(e.root[:], f.take(len(e.root)))
		copy(e.terms[:], f.take(len(e.terms)))
	case drawnRecord:
		e.beacon.Round = f.number(1 << 40)
		copy(e.beacon.Randomness[:], f.take(len(e.beacon.Randomness)))
		copy(e.beacon.Signature[:], f.take(len(e.beacon.Signature)))
	default:
		f.bad = true
	}
	return e
}

// append appends the record, behind its length, to a run of records.
func (e *entryFields) append(run []byte, kind recordKind) []byte {
	start := len(run)
	run = append(run, 0, byte(kind))
	run = binary.AppendUvarint(run, uint64(e.draw))
	switch kind {
	case entryRecord, rankedRecord:
		run = binary.AppendUvarint(run, uint64(e.group))
		run = binary.AppendUvarint(run, uint64(len(e.account)))
		run = append(run, e.account...)
		if kind == rankedRecord {
			run = binary.AppendUvarint(run, uint64(e.rank))
			run = binary.AppendUvarint(run, uint64(e.slot))
		}
	case frozenRecord:
		run = binary.AppendUvarint(run, uint64(e.size))
		run = append(run, e.root[:]...)
		run = append(run, e.terms[:]...)
	case drawnRecord:
		run = binary.AppendUvarint(run, e.beacon.Round)
		run = append(run, e.beacon.Randomness[:]...)
		run = append(run, e.beacon.Signature[:]...)
	}
	return sealRecord(run, start)
}
