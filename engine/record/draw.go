package record

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/draw"
	"github.com/seathold/seathold/engine/inventory"
)

// Draw has the fields of the records about draws. A record's kind determines which of them it has.
type Draw struct {
	Index   int // of the draw
	Group   int // 0 for none, or 1 + the index of the group
	Account string
	Rank    uint32
	Slot    int // 0 for none, or 1 + the number of the slot
	Size    int // number of entries
	Root    draw.Digest
	Terms   draw.Digest // draw.Terms.Digest of the announced terms, or TermsDigest for entries that are not sealed
	Beacon  draw.Beacon
	Secret  draw.Secret // journalled, so that a restart and a standby have it
	Round   uint64      // to which the draw is postponed

	// MachineMs is when the entries were frozen or the draw was postponed, by the clock of the machine. It is 0 for
	// entries that are not sealed, which were frozen in a journal of version 1.
	MachineMs int64
}

// MaxSlot is the largest Draw.Slot.
const MaxSlot = 1 << 20

const maxDraws = 255 // of a sale

func (f *fields) draw(kind Kind, first bool) (d Draw) {
	d.Index = int(f.number(maxDraws - 1))
	switch kind {
	case KindEntry, KindRanked:
		d.Group = int(f.number(draw.MaxGroups))
		d.Account = string(f.text(inventory.MaxAccount))
		f.bad = f.bad || d.Account == ""
		if kind == KindRanked {
			d.Rank = uint32(f.number(draw.MaxEntries))
			d.Slot = int(f.number(MaxSlot))
		}
	case KindFrozen:
		d.Size = int(f.number(draw.MaxEntries))
		copy(d.Root[:], f.take(len(d.Root)))
		copy(d.Terms[:], f.take(len(d.Terms)))
		if !first {
			d.MachineMs = f.time()
		}
	case KindWithdrawn:
		d.Account = string(f.text(inventory.MaxAccount))
		f.bad = f.bad || d.Account == ""
	case KindAnnounced:
		copy(d.Secret[:], f.take(len(d.Secret)))
	case KindPostponed:
		d.Round, d.MachineMs = f.number(1<<40), f.time()
	case KindDrawn:
		d.Beacon.Round = f.number(1 << 40)
		copy(d.Beacon.Randomness[:], f.take(len(d.Beacon.Randomness)))
		copy(d.Beacon.Signature[:], f.take(len(d.Beacon.Signature)))
	default:
		f.bad = true
	}
	return d
}

// Append appends the record of this kind, one of those with fields of Draw but KindRanked, to a run of records of the
// journal.
func (d *Draw) Append(run []byte, kind Kind, atMs int64) []byte {
	return seal(d.appendBody(begin(run, kind, atMs), kind), len(run))
}

// AppendRow appends the record of this kind, one of those with fields of Draw, to a run of records of a checkpoint.
func (d *Draw) AppendRow(run []byte, kind Kind, s Stamp) []byte {
	return seal(d.appendBody(beginRow(run, kind, s), kind), len(run))
}

func (d *Draw) appendBody(run []byte, kind Kind) []byte {
	run = binary.AppendUvarint(run, uint64(d.Index))
	switch kind {
	case KindEntry, KindRanked:
		run = binary.AppendUvarint(run, uint64(d.Group))
		run = appendText(run, d.Account)
		if kind == KindRanked {
			run = binary.AppendUvarint(run, uint64(d.Rank))
			run = binary.AppendUvarint(run, uint64(d.Slot))
		}
	case KindFrozen:
		run = binary.AppendUvarint(run, uint64(d.Size))
		run = append(run, d.Root[:]...)
		run = append(run, d.Terms[:]...)
		run = binary.AppendUvarint(run, uint64(d.MachineMs))
	case KindWithdrawn:
		run = appendText(run, d.Account)
	case KindAnnounced:
		run = append(run, d.Secret[:]...)
	case KindPostponed:
		run = binary.AppendUvarint(run, d.Round)
		run = binary.AppendUvarint(run, uint64(d.MachineMs))
	case KindDrawn:
		run = binary.AppendUvarint(run, d.Beacon.Round)
		run = append(run, d.Beacon.Randomness[:]...)
		run = append(run, d.Beacon.Signature[:]...)
	}
	return run
}

// DrawTerms returns the terms of a draw, by its index in s.Draws, as the sale definition has them: without the
// commitment to the draw's secret.
func DrawTerms(s *catalog.Sale, i int) draw.Terms {
	d := &s.Draws[i]
	p := &s.Phases[d.Phase]
	group := ""
	if p.Slots.Group >= 0 {
		group = s.Groups[p.Slots.Group].ID
	}
	return draw.Terms{Draw: d.ID, ClosesAt: d.RegistrationCloses, PublishWithin: d.PublishWithin, Phase: p.ID,
		Round: d.Beacon.Round, StandIn: d.Beacon.StandIn,
		Chain: draw.Chain{Hash: d.Beacon.ChainHash, PublicKey: d.Beacon.PublicKey, Genesis: d.Beacon.Genesis,
			Period: d.Beacon.Period},
		Slots: draw.SlotRule{OpensAt: p.OpensAt, ClosesAt: p.ClosesAt, Length: p.Slots.Length, Step: p.Slots.Step,
			Places: p.Slots.Places, PriorityDays: p.Slots.PriorityDays, Group: group}}
}

// TermsDigest identifies terms in the record of a freeze whose entries are not sealed, as version 1 had it. Such a draw
// has only the result that it has under the terms that were published with its root, even if the sale definition has
// changed since.
func TermsDigest(t *draw.Terms) draw.Digest {
	return sha256.Sum256(fmt.Appendf(nil, "%q %d %q %q %d %d %d %t %q %d %d %d %d %d %d %q", t.Draw, t.ClosesAt.Unix(),
		t.Chain.Hash, t.Chain.PublicKey, t.Chain.Genesis.Unix(), t.Chain.Period, t.Round, t.StandIn,
		t.Phase, t.Slots.OpensAt.Unix(), t.Slots.ClosesAt.Unix(), t.Slots.Length, t.Slots.Step, t.Slots.Places,
		t.Slots.PriorityDays, t.Slots.Group))
}

// GroupNames returns the ids of the sale's priority groups, in their order.
func GroupNames(s *catalog.Sale) []string {
	names := make([]string, len(s.Groups))
	for i := range names {
		names[i] = s.Groups[i].ID
	}
	return names
}
