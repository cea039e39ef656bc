package engine_test

import (
	"encoding/hex"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine"
	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/inventory"
	"github.com/seathold/seathold/engine/journal"
	"github.com/seathold/seathold/engine/record"
	"github.com/seathold/seathold/engine/spec"
)

func idOf(name string) uuid.UUID { return uuid.MustParse(spec.IDOf(name)) }

// place appends one group of records to the store.
func (s *store) place(records ...[]byte) {
	first := uint64(1)
	if n := len(s.groups); n > 0 {
		first = s.groups[n-1].Last() + 1
	}
	g := journal.Group{First: first, Count: len(records)}
	for _, r := range records {
		g.Records = append(g.Records, r...)
	}
	s.groups = append(s.groups, g)
}

// records decodes the records of the store that readers get: those of the checkpoint, then all others.
func (s *store) records(t *testing.T) (checkpoint, groups []record.Record) {
	to := record.Replay(func(journal.CheckpointInfo) error { return nil }, func(seq uint64, b []byte) error {
		var r record.Record
		if err := r.Decode(b); err != nil {
			return err
		}
		if seq == 0 {
			checkpoint = append(checkpoint, r)
			return nil
		}
		r.Seq = seq
		groups = append(groups, r)
		return nil
	})
	_, err := s.open().Recover(to)
	require.NoError(t, err)
	return checkpoint, groups
}

// oneTicket reserves one ticket of session and category number i under the name of the reservation.
func (s *seller) oneTicket(t *testing.T, name string, i int) {
	var r engine.Reservation
	q := engine.Request{ID: idOf(name), Account: cellAccount(0, i), Phase: "singles",
		Lines: []engine.Line{{Session: cellSession(0, i), Category: "A", Quantity: 1}}}
	require.NoError(t, s.e.Reserve(t.Context(), &q, &r))
}

// Every record has the instant that its outcome was decided by. A checkpoint keeps the instant and the sequence of each
// reservation's last outcome, a restart restores them, and the next checkpoint has them again.
func TestRecordsHaveTheirInstant(t *testing.T) {
	sale := cellSale(t, 1)
	kept := newStore()
	s := sellerOn(sale, kept)
	tick := func() { s.clock.set(s.clock.now().Add(time.Second)) }
	s.clock.set(saleStart)
	require.NoError(t, s.start())
	var r engine.Reservation
	for i, name := range []string{"released", "confirmed", "swept"} {
		tick()
		s.oneTicket(t, name, i)
	}
	tick()
	require.NoError(t, s.e.Release(t.Context(), idOf("released"), &r))
	tick()
	require.NoError(t, s.e.Confirm(t.Context(), idOf("confirmed"), "", &r))
	s.clock.set(saleStart.Add(spec.ScenarioTTL + time.Minute))
	require.Equal(t, 1, s.e.ExpireDue())
	tick()
	s.oneTicket(t, "held", 0)
	_, groups := kept.records(t)
	seconds := func(r record.Record) string {
		return fmt.Sprintf("%s %d %v", r.Kind, r.Seq, time.UnixMilli(r.AtMs).Sub(saleStart))
	}
	var got []string
	for _, r := range groups {
		got = append(got, seconds(r))
	}
	require.Equal(t, []string{"version 1 0s", "taken 2 1s", "taken 3 2s", "taken 4 3s", "released 5 4s",
		"confirmed 6 5s", "expired 7 18m0s", "taken 8 18m1s"}, got)

	want := []string{"version 1 0s", "clock 8 18m2s", "reservation 5 4s", "reservation 6 5s", "reservation 7 18m0s",
		"reservation 8 18m1s"}
	states := []inventory.State{engine.Released, engine.Confirmed, engine.Expired, engine.Held}
	for round := range 3 {
		if round < 2 { // a restart from the records, then one from the checkpoint
			require.NoError(t, s.e.Close())
			s.open = func() (journal.Backend, error) { return kept.open(), nil }
			require.NoError(t, s.start())
		}
		s.clock.set(saleStart.Add(18*time.Minute + 2*time.Second))
		_, err := s.e.Checkpoint(t.Context())
		require.NoError(t, err)
		rows := decodeChunks(t, kept.checkpoints[len(kept.checkpoints)-1].chunks)
		got = nil
		for i, r := range rows {
			got = append(got, seconds(r))
			if i >= 2 {
				require.Equal(t, states[i-2], r.State)
			}
		}
		require.Equal(t, want, got, "round %d", round)
	}
	require.Equal(t, saleStart.Add(18*time.Minute+2*time.Second), s.e.Recovery().Latest, "of the checkpoint's clock")
	require.NoError(t, s.e.Close())
	verify(t, kept.open(), sale)
}

func decodeChunks(t *testing.T, chunks [][]byte) (rows []record.Record) {
	to := record.Replay(nil, func(_ uint64, b []byte) error {
		rows = append(rows, record.Record{})
		return rows[len(rows)-1].Decode(b)
	})
	for _, chunk := range chunks {
		require.NoError(t, to.Chunk(chunk))
	}
	return rows
}

// The records of a draw have their instant too. A checkpoint keeps that of the freeze and of the draw.
func TestDrawRecordsHaveTheirInstant(t *testing.T) {
	run := newBallotRun(t)
	kept := newStore()
	run.wrap = func(b journal.Backend) journal.Backend {
		require.NoError(t, b.Close())
		return kept.open()
	}
	require.NoError(t, run.open())
	closes := run.draw1.RegistrationCloses
	run.at(closes.Add(-time.Minute))
	run.enter("ann", "")
	run.at(closes.Add(time.Second))
	_, err := run.e.FreezeDraw(t.Context(), "draw1")
	require.NoError(t, err)
	run.at(closes.Add(time.Hour))
	_, err = run.e.RunDraw(t.Context(), "draw1", standIn(t, run.draw1))
	require.NoError(t, err)
	_, groups := kept.records(t)
	want := []record.Stamp{{AtMs: closes.Add(-time.Minute).UnixMilli(), Seq: 4},
		{AtMs: closes.Add(time.Second).UnixMilli(), Seq: 5}, {AtMs: closes.Add(time.Hour).UnixMilli(), Seq: 6}}
	for i, kind := range []record.Kind{record.KindEntry, record.KindFrozen, record.KindDrawn} {
		require.Equal(t, kind, groups[i+3].Kind, "after the definition and two announcements")
		require.Equal(t, want[i], groups[i+3].Stamp, kind)
	}
	for range 2 {
		require.NoError(t, run.e.Close())
		require.NoError(t, run.open())
		require.Equal(t, closes.Add(time.Hour), run.e.Recovery().Latest)
		run.checkpoint()
		rows, _ := kept.records(t)
		require.Len(t, rows, 7, "definition, clock, announcement, entry, freeze, draw, the other announcement")
		for i, want := range []record.Stamp{{}, want[1], want[2]} {
			require.Equal(t, want, rows[i+3].Stamp)
		}
	}
	require.NoError(t, run.e.Close())
}

// journal1 is a journal that the program wrote before version 2 of its records: a checkpoint and the groups around it.
func journal1(t *testing.T) *store {
	text, err := os.ReadFile("testdata/journal1.golden")
	require.NoError(t, err)
	kept := newStore()
	for _, line := range strings.Split(strings.TrimSpace(string(text)), "\n") {
		var what, digits string
		var first uint64
		var second int
		_, err := fmt.Sscan(line, &what, &first, &second, &digits)
		require.NoError(t, err)
		run, err := hex.DecodeString(digits)
		require.NoError(t, err)
		if what == "group" {
			kept.groups = append(kept.groups, journal.Group{First: first, Count: second, Records: run})
			continue
		}
		info := journal.CheckpointInfo{Start: first, End: uint64(second), Bytes: int64(len(run))}
		kept.checkpoints = append(kept.checkpoints, storedCheckpoint{info: info, chunks: [][]byte{run}})
	}
	require.Len(t, kept.checkpoints, 1)
	return kept
}

// A journal of version 1, with or without its checkpoint, is read as it was written. It continues with records of
// version 2, the definition first.
func TestVersion1Continues(t *testing.T) {
	sale := cellSale(t, 1)
	for _, checkpoint := range []bool{true, false} {
		kept := journal1(t)
		if !checkpoint {
			kept.checkpoints = nil
		}
		s := sellerOn(sale, kept)
		s.clock.set(saleStart.Add(20 * time.Minute))
		require.NoError(t, s.start())
		require.Equal(t, saleStart.Add(20*time.Minute), s.e.Recovery().Latest)
		var r engine.Reservation
		states := func() {
			for name, want := range map[string]inventory.State{"released": engine.Released, "confirmed": engine.Confirmed,
				"expired": engine.Expired, "held": engine.Expired, "late": engine.Released, "again": engine.Held} {
				require.NoError(t, s.e.Reservation(t.Context(), idOf(name), &r))
				require.Equal(t, want, r.State, name)
				if want == engine.Confirmed {
					require.Equal(t, saleStart.Add(time.Second), r.ConfirmedAt)
					require.Equal(t, "pay", r.Reference)
				}
			}
		}
		states()
		s.oneTicket(t, "new", 0)
		require.NoError(t, s.e.Release(t.Context(), idOf("new"), &r))
		_, groups := kept.records(t)
		added := groups[len(groups)-3:]
		for i, want := range []record.Kind{record.KindVersion, record.KindTaken, record.KindReleased} {
			require.Equal(t, want, added[i].Kind)
			require.Equal(t, record.Stamp{AtMs: saleStart.Add(20 * time.Minute).UnixMilli(), Seq: uint64(13 + i)},
				added[i].Stamp)
		}
		require.Equal(t, record.DefinitionOf(sale).Digest, added[0].Definition.Digest)
		for range 2 {
			require.NoError(t, s.Restart())
			states()
			_, err := s.e.Checkpoint(t.Context())
			require.NoError(t, err)
		}
		_, groups = kept.records(t)
		require.LessOrEqual(t, len(groups), 15, "the definition is written once")
		rows, _ := kept.records(t)
		for _, row := range rows[2:] {
			fromRecord := row.Request.ID == inventory.ID(idOf("again")) || row.Request.ID == inventory.ID(idOf("new"))
			if fromRecord || !checkpoint {
				require.NotZero(t, row.Seq)
			}
			ended := row.State == engine.Released || row.State == engine.Expired
			if row.Request.ID != inventory.ID(idOf("new")) && ended {
				require.Zero(t, row.AtMs, "version 1 has no instant of a release or an expiry")
			}
		}
		require.NoError(t, s.e.Close())
		verify(t, kept.open(), sale)
	}
}

// The journal's definition is written when the sale has changed, and not otherwise.
func TestDefinitionIsWrittenOnChange(t *testing.T) {
	kept := newStore()
	definitions := func() (n int) {
		_, groups := kept.records(t)
		for _, r := range groups {
			if r.Kind == record.KindVersion {
				n++
			}
		}
		return n
	}
	start := func(sale *catalog.Sale) {
		s := sellerOn(sale, kept)
		s.clock.set(saleStart)
		require.NoError(t, s.start())
		require.NoError(t, s.e.Close())
	}
	for i, change := range []func(*catalog.Sale){
		func(*catalog.Sale) {},
		func(s *catalog.Sale) { s.Pools[0].Capacity++ },
		func(s *catalog.Sale) { s.Pools[0].Withheld++ },
		func(s *catalog.Sale) { s.Programmes[0].AccountCap++ },
		func(s *catalog.Sale) { s.Sessions[0].Limit-- },
		func(s *catalog.Sale) { s.Phases[0].ClosesAt = s.Phases[0].ClosesAt.Add(time.Minute) },
		func(s *catalog.Sale) { s.Title = "another title" },
	} {
		sale := cellSale(t, 1)
		sale.Files = nil // they say something else now
		change(sale)
		for range 2 {
			start(sale)
			require.Equal(t, i+1, definitions(), "once")
		}
	}
}

// The replay of a journal that no engine can have written fails, and names the record: an end of what was never taken,
// a second end, an id that is taken while it is in use. Up to a checkpoint's end a release or expiry may be of a
// reservation that the checkpoint left out; a confirmation may not.
func TestReplayRefusesIllegalRecords(t *testing.T) {
	sale := cellSale(t, 1)
	at := saleStart.UnixMilli()
	hold := inventory.Snapshot{ID: inventory.ID(idOf("a")), Account: "ann", State: engine.Held,
		Lines: []inventory.Line{{Pool: 0, Quantity: 1}}, CreatedMs: at, AtMs: at, ExpiresMs: at + 1000}
	taken := record.AppendTaken(nil, &hold)
	end := func(as inventory.State) []byte {
		s := hold
		s.State, s.AtMs = as, at+5
		return record.AppendEnd(nil, &s)
	}
	row := func(as inventory.State, seq uint64) []byte {
		s := hold
		s.State, s.Seq = as, seq
		return record.AppendReservation(nil, &s)
	}
	const never, twice = " but was never taken", "is taken again while it is "
	released, confirmed, expired := end(engine.Released), end(engine.Confirmed), end(engine.Expired)
	for name, c := range map[string]replayCase{
		"released, never taken":  {nil, [][]byte{released}, "record 2: reservation "},
		"confirmed, never taken": {nil, [][]byte{confirmed}, never},
		"expired, never taken":   {nil, [][]byte{expired}, never},
		"released twice":         {nil, [][]byte{taken, released, released}, "record 4: reservation "},
		"expired and confirmed":  {nil, [][]byte{taken, expired, confirmed}, "is expired and then confirmed"},
		"taken twice":            {nil, [][]byte{taken, taken}, twice + "held"},
		"taken when sold":        {nil, [][]byte{taken, confirmed, taken}, twice + "confirmed"},
		"taken again":            {nil, [][]byte{taken, released, taken, confirmed}, ""},

		"left out by the checkpoint": {[]byte{}, [][]byte{nil, released}, ""},
		"expired, left out":          {[]byte{}, [][]byte{nil, nil, expired}, ""},
		"confirmed, never left out":  {[]byte{}, [][]byte{nil, confirmed}, "record 3: reservation "},
		"released after the end":     {[]byte{}, [][]byte{nil, nil, nil, released}, "record 5: reservation "},
		"in the checkpoint already":  {row(engine.Released, 4), [][]byte{nil, taken, released}, ""},
		"half in the checkpoint":     {row(engine.Held, 3), [][]byte{nil, taken, released}, ""},
		"twice within the checkpoint": {row(engine.Released, 3), [][]byte{nil, nil, confirmed},
			"is released and then confirmed"},
		"taken twice in the checkpoint":   {row(engine.Held, 2), [][]byte{nil, taken}, twice + "held"},
		"of version 1, in the checkpoint": {row(engine.Released, 0), [][]byte{nil, taken, released}, ""},
		"of version 1, after the first": {row(engine.Held, 0), [][]byte{nil, taken, released, released},
			"is released and then released"},
		"taken again under a forgotten id": {row(engine.Expired, 1), [][]byte{nil, taken, confirmed}, ""},
	} {
		s := sellerOn(sale, c.journal(sale))
		s.clock.set(saleStart)
		if c.replay(t, name, s) != nil {
			require.NoError(t, s.e.Close())
		}
	}
}

// replayCase is a journal: the definition, records from 2 on, and perhaps a checkpoint of the records up to 2 that may
// hold effects of records up to 4.
type replayCase struct {
	checkpoint []byte   // rows after the definition; nil for no checkpoint
	records    [][]byte // nil stands for a record that is about no reservation
	want       string   // in the error; "" for none
}

func (c *replayCase) journal(sale *catalog.Sale) *store {
	definition := record.DefinitionOf(sale)
	at := saleStart.UnixMilli()
	kept := newStore()
	kept.place(definition.Append(nil, at))
	for _, r := range c.records {
		if r == nil {
			r = definition.Append(nil, at)
		}
		kept.place(r)
	}
	if c.checkpoint != nil {
		kept.checkpoints = []storedCheckpoint{{info: journal.CheckpointInfo{Start: 2, End: 4},
			chunks: [][]byte{append(definition.AppendRow(nil, record.Stamp{AtMs: at, Seq: 1}), c.checkpoint...)}}}
	}
	return kept
}

// replay requires that the journal is replayed, or refused with the number of a record. Then it returns nil.
func (c *replayCase) replay(t *testing.T, name string, s *seller) *seller {
	err := s.start()
	if c.want != "" {
		require.ErrorContains(t, err, c.want, name)
		require.ErrorContains(t, err, "record ", name)
		return nil
	}
	require.NoError(t, err, name)
	checked, err := s.e.CheckConservation(t.Context())
	require.NoError(t, err, name)
	require.Empty(t, checked.Problem, name)
	return s
}

// A sale with fewer places than the journal has taken is refused, with the pool's name.
// What was taken and given back before does not count.
func TestFewerPlacesAreNoFaultOfARecord(t *testing.T) {
	sale := cellSale(t, 1)
	kept := newStore()
	s := sellerOn(sale, kept)
	s.clock.set(saleStart)
	require.NoError(t, s.start())
	var r engine.Reservation
	s.oneTicket(t, "a", 0)
	require.NoError(t, s.e.Release(t.Context(), idOf("a"), &r))
	s.oneTicket(t, "b", 0)
	s.oneTicket(t, "c", 0)
	require.NoError(t, s.e.Release(t.Context(), idOf("b"), &r))
	require.NoError(t, s.e.Close())
	for _, checkpoint := range []bool{false, true} {
		s.options.Sale = cellSale(t, 1)
		s.options.Sale.Files, s.options.Sale.Pools[0].Capacity = nil, 1 // the files say something else now
		require.NoError(t, s.start())
		require.NoError(t, s.e.Close())
		s.options.Sale = cellSale(t, 1)
		s.options.Sale.Files, s.options.Sale.Pools[0].Withheld = nil, 2
		err := s.start()
		require.EqualError(t, err, "the definition cannot be applied: session "+sale.Sessions[0].ID+
			", category A: 1 tickets are taken, so a capacity of 2 less 2 withheld is too low")
		if !checkpoint {
			s.options.Sale = sale
			require.NoError(t, s.start())
			_, err = s.e.Checkpoint(t.Context())
			require.NoError(t, err)
			require.NoError(t, s.e.Close())
		}
	}
}
