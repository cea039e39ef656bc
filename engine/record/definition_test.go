package record

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/inventory"
	"github.com/seathold/seathold/engine/journal"
)

// decodeRun decodes a run of records of the journal, from its first sequence or the given one on, and returns the
// last.
func decodeRun(t *testing.T, d *Decoder, run []byte, from ...uint64) (last *Record, err error) {
	t.Helper()
	seq := uint64(0)
	if len(from) > 0 {
		seq = from[0] - 1
	}
	require.NoError(t, each(run, func(b []byte) error {
		if seq++; err == nil {
			last, err = d.Decode(seq, b)
		}
		return nil
	}))
	return last, err
}

// reordered returns the sale with its sessions, phases and draws in the opposite order.
func reordered(t *testing.T, sale *catalog.Sale) *catalog.Sale {
	s, sells := *sale, make([][]bool, len(sale.Phases))
	s.Sessions, s.Pools = slices.Clone(s.Sessions), slices.Clone(s.Pools)
	s.Phases, s.Draws = slices.Clone(s.Phases), slices.Clone(s.Draws)
	for _, reverse := range []func(){func() { slices.Reverse(s.Sessions) }, func() { slices.Reverse(s.Pools) },
		func() { slices.Reverse(s.Phases) }, func() { slices.Reverse(s.Draws) }} {
		reverse()
	}
	for i := range s.Pools {
		s.Pools[i].Session = len(s.Sessions) - 1 - s.Pools[i].Session
	}
	for i := range s.Draws {
		s.Draws[i].Phase = len(s.Phases) - 1 - s.Draws[i].Phase
	}
	for i := range s.Phases {
		if s.Phases[i].Draw >= 0 {
			s.Phases[i].Draw = len(s.Draws) - 1 - s.Phases[i].Draw
		}
		for session := range s.Sessions {
			sells[i] = append(sells[i], s.Phases[i].Sells(len(s.Sessions)-1-session))
		}
	}
	again, err := catalog.Assemble(s, sells)
	require.NoError(t, err)
	return again
}

// A journal whose definition lists the same sale in another order means the same.
func TestDecoderTranslates(t *testing.T) {
	sale := catalog.Paris2024()
	d := NewDecoder(sale)
	require.Nil(t, d.Sale())
	definition := DefinitionOf(sale)
	_, err := decodeRun(t, d, definition.Append(nil, 5))
	require.NoError(t, err)
	in, since := d.InForce()
	require.Equal(t, definition.Digest, in.Digest)
	require.Equal(t, Stamp{AtMs: 5, Seq: 1}, since)
	_, err = d.Decode(7, definition.Append(nil, 6)[3:])
	require.NoError(t, err)
	_, since = d.InForce()
	require.Equal(t, Stamp{AtMs: 5, Seq: 1}, since, "written again")

	was := DefinitionOf(reordered(t, sale))
	require.NotEqual(t, definition.Digest, was.Digest)
	s := inventory.Snapshot{Account: "ann", State: inventory.Held, Phase: 1, ExpiresMs: 1000,
		Lines: []inventory.Line{{Pool: 0, Quantity: 2}, {Pool: 3, Quantity: 1}}}
	r, err := decodeRun(t, d, AppendTaken(was.Append(nil, 0), &s), 8)
	require.NoError(t, err)
	in, _ = d.InForce()
	require.Equal(t, definition.Digest, in.Digest, "in the numbers of the first definition")
	require.EqualValues(t, len(sale.Phases)-2, r.Request.Phase)
	last := uint32(len(sale.Pools) - 1)
	require.Equal(t, []inventory.Line{{Pool: last, Quantity: 2}, {Pool: last - 3, Quantity: 1}}, r.Request.Lines)

	entry := Draw{Index: 0, Group: 1, Account: "ann"}
	r, err = decodeRun(t, d, entry.Append(nil, KindEntry, 0), 10)
	require.NoError(t, err)
	require.Equal(t, Draw{Index: len(sale.Draws) - 1, Group: 1, Account: "ann"}, r.Draw)
}

// A definition of another sale is an error, and so is a number that the definition does not have.
func TestDecoderRefuses(t *testing.T) {
	sale := goldenSale(t)
	held := inventory.Snapshot{Account: "ann", State: inventory.Held, ExpiresMs: 1000,
		Lines: []inventory.Line{{Pool: 0, Quantity: 2}}}
	taken := AppendTaken(nil, &held)
	entry := Draw{Group: 1, Account: "ann"}
	other := goldenSale(t)
	other.Name = "other"
	of := DefinitionOf(other)
	_, err := decodeRun(t, NewDecoder(sale), of.Append(nil, 0))
	require.ErrorContains(t, err, `belongs to the sale "other", not to "games"`)

	few, all := emptyDefinition(), DefinitionOf(sale)
	for _, c := range []struct {
		definition Definition
		record     []byte
		want       string
	}{
		{few, taken, "phase 0 of 0"},
		{few, entry.Append(nil, KindEntry, 0), "draw 0 of 0, group 1"},
		{few, Pause{Of: OnePhase}.Append(nil, 0), "number 0 of 0 is paused"},
		{few, Pause{Of: OneSession, Index: 1}.Append(nil, 0), "number 1 of 0 is paused"},
		{all, Stock{Pool: 3}.Append(nil, 0), "pool 3 of 3"},
	} {
		_, err := decodeRun(t, NewDecoder(nil), append(c.definition.Append(nil, 0), c.record...))
		require.ErrorContains(t, err, ErrInvalid.Error()+": "+c.want)
	}
	held.Lines[0].Pool = 3
	_, err = decodeRun(t, NewDecoder(sale), AppendTaken(all.Append(nil, 0), &held))
	require.ErrorContains(t, err, ErrInvalid.Error()+": pool 3 of 3")
	_, err = decodeRun(t, NewDecoder(sale), taken)
	require.ErrorIs(t, err, ErrInvalid)
	require.ErrorContains(t, err, "before any definition")
}

func emptyDefinition() Definition { return DefinitionOf(&catalog.Sale{Name: "games"}) }

// The digest covers all that outcomes are judged by, and nothing else. It is the same on every machine.
func TestDigest(t *testing.T) {
	digest := func(change func(s *catalog.Sale)) string {
		s := goldenSale(t)
		change(s)
		d := DefinitionOf(s)
		return d.Digest.String()
	}
	is := digest(func(*catalog.Sale) {})
	require.Equal(t, "e869fa8178ab6ef66bb9125d35efccc3b40f885c3c5b19f68d881c729294cabc", is)
	seen := map[string]bool{is: true}
	for i, change := range []func(s *catalog.Sale){
		func(s *catalog.Sale) { s.Programmes[0].AccountCap-- },
		func(s *catalog.Sale) { s.Programmes[0].WithholdReturned = true },
		func(s *catalog.Sale) { s.Programmes[1].WithholdReturned = true },
		func(s *catalog.Sale) { s.Sessions[1].Limit++ },
		func(s *catalog.Sale) { s.Sessions[0].Programme = 1 },
		func(s *catalog.Sale) { s.Sessions[1].SalesEndAt = time.UnixMilli(0) },
		func(s *catalog.Sale) { s.Sessions[1].SalesEndAt = time.UnixMilli(1) },
		func(s *catalog.Sale) { s.Sessions[2].SalesEndAt = time.UnixMilli(1) },
		func(s *catalog.Sale) { s.Pools[0].Capacity-- },
		func(s *catalog.Sale) { s.Pools[0].Withheld++ },
		func(s *catalog.Sale) { s.Pools[0].Category = "F" },
		func(s *catalog.Sale) { s.Phases[0].ClosesAt = s.Phases[0].ClosesAt.Add(time.Minute) },
		func(s *catalog.Sale) { s.Phases[1].PackSessions = 2 },
		func(s *catalog.Sale) { s.Phases[1].PackEqual = true },
		func(s *catalog.Sale) { s.Phases[1].Slots.Step = time.Minute },
		func(s *catalog.Sale) { s.Phases[1].Slots.Group = -1 },
		func(s *catalog.Sale) { s.Draws[0].Beacon.Round++ },
		func(s *catalog.Sale) { s.Draws[0].PublishWithin += time.Minute },
		func(s *catalog.Sale) { s.Draws[0].RegistrationCloses = s.Draws[0].RegistrationOpens },
		func(s *catalog.Sale) { s.Groups[0].ID = "clubs" },
	} {
		now := digest(change)
		require.False(t, seen[now], "change %d", i)
		seen[now] = true
	}
	require.Equal(t, is, digest(func(s *catalog.Sale) {
		s.Title, s.Sessions[0].Venue, s.Pools[0].PriceCents, s.Groups[0].Title = "Games", "Stade", 2400, "Club"
	}), "what only people read")
}

// stored returns the sale as the record of its definition has it.
func stored(t *testing.T, s *catalog.Sale) *catalog.Sale {
	d := DefinitionOf(s)
	b, _, err := journal.Next(d.Append(nil, goldenAt))
	require.NoError(t, err)
	var r Record
	require.NoError(t, r.Decode(b))
	return r.Definition.Rules
}

// A definition keeps which programmes withhold the places of returned reservations, beside the largest cap.
func TestDefinitionKeepsReturnedTickets(t *testing.T) {
	s := goldenSale(t)
	s.Programmes[0].AccountCap, s.Programmes[1].AccountCap = 4095, 1
	s.Programmes[0].WithholdReturned = true
	require.Equal(t, s.Programmes, stored(t, s).Programmes)
}

// A definition keeps which phases sell packs with equally many tickets for each session.
func TestDefinitionKeepsEqualPacks(t *testing.T) {
	for _, equal := range []bool{false, true} {
		s := goldenSale(t)
		s.Phases[1].PackEqual = equal
		require.Equal(t, s.Phases, stored(t, s).Phases)
	}
}

// A definition keeps when sales of sessions end, beside the largest limit, and which have no end.
func TestDefinitionKeepsSalesEnds(t *testing.T) {
	s := goldenSale(t)
	s.Sessions[0].Limit, s.Sessions[0].SalesEndAt = 4095, time.UnixMilli(maxTimeMs).UTC()
	s.Sessions[1].SalesEndAt = time.UnixMilli(0).UTC()
	now := stored(t, s).Sessions
	for i := range s.Sessions {
		require.Equal(t, s.Sessions[i].Limit, now[i].Limit)
		require.Equal(t, s.Sessions[i].SalesEndAt, now[i].SalesEndAt)
	}
	require.True(t, now[2].SalesEndAt.IsZero())
}

// A definition whose digest is not that of its content is no record.
func TestDefinitionDigestIsChecked(t *testing.T) {
	d := DefinitionOf(goldenSale(t))
	b, _, err := journal.Next(d.Append(nil, goldenAt))
	require.NoError(t, err)
	var r Record
	require.NoError(t, r.Decode(b))
	for i := 7; i < len(b)-2; i++ { // after kind and instant, up to what accounts have above the limits
		b[i] ^= 1
		require.ErrorIs(t, r.Decode(b), ErrInvalid, "byte %d", i)
		b[i] ^= 1
	}
}

// The definition of the largest sale that the catalog accepts fits into a record of the journal.
func TestLargestDefinition(t *testing.T) {
	id := func(i int) string { return fmt.Sprintf("%032d", i) }
	s := catalog.Sale{Name: id(0)}
	var sells [][]bool
	at := time.Date(9998, 12, 31, 23, 59, 0, 0, time.UTC)
	for i := range 64 {
		s.Groups = append(s.Groups, catalog.Group{ID: id(i)})
		s.Phases = append(s.Phases, catalog.Phase{ID: id(i), OpensAt: at, ClosesAt: at, Draw: -1,
			Slots: catalog.SlotRule{Group: -1}})
		s.Draws = append(s.Draws, catalog.Draw{ID: id(i), RegistrationOpens: at, RegistrationCloses: at,
			Beacon: catalog.Beacon{ChainHash: strings.Repeat("f", 64), PublicKey: strings.Repeat("f", 192),
				Genesis: at}})
		sells = append(sells, make([]bool, 60_000))
	}
	s.Programmes = []catalog.Programme{{ID: "p", AccountCap: 4095}}
	for i := range 60_000 {
		s.Sessions = append(s.Sessions, catalog.Session{ID: id(i), Limit: 4095, SalesEndAt: at})
		s.Pools = append(s.Pools, catalog.Pool{Session: i, Category: id(i), Capacity: 1<<31 - 1, Withheld: 1<<31 - 1})
	}
	sale, err := catalog.Assemble(s, sells)
	require.NoError(t, err)
	d := DefinitionOf(sale)
	for i := range s.Sessions {
		d.Above.Sessions = append(d.Above.Sessions, Most{Of: i, Tickets: 4095})
	}
	run := d.Append(nil, 0)
	require.Less(t, len(run), journal.MaxRecord)
	paris := DefinitionOf(catalog.Paris2024())
	t.Logf("%d bytes; Paris 2024 has %d", len(run), len(paris.Append(nil, 0)))
	b, _, err := journal.Next(run)
	require.NoError(t, err)
	var r Record
	require.NoError(t, r.Decode(b))
	require.Equal(t, d.Above, r.Definition.Above)
	require.Equal(t, run, r.Definition.Append(nil, 0))
}

// Replay numbers the records of groups, not those of a checkpoint, and names the record of an error.
func TestReplay(t *testing.T) {
	run := journal.AppendRecord(journal.AppendRecord(nil, []byte("a")), []byte("b"))
	var got []uint64
	to := Replay(nil, func(seq uint64, _ []byte) error {
		got = append(got, seq)
		if seq == 8 {
			return ErrInvalid
		}
		return nil
	})
	require.NoError(t, to.Chunk(run))
	require.NoError(t, to.Group(journal.Group{First: 5, Count: 2, Records: run}))
	err := to.Group(journal.Group{First: 7, Count: 2, Records: run})
	require.ErrorIs(t, err, ErrInvalid)
	require.ErrorContains(t, err, "record 8: ")
	require.ErrorIs(t, to.Chunk(run[:1]), journal.ErrDamaged)
	require.Equal(t, []uint64{0, 0, 5, 6, 7, 8}, got)
}
