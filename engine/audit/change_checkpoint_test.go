package audit

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine/inventory"
	"github.com/seathold/seathold/engine/record"
)

// A checkpoint may have one of a replacement's two outcomes, or none, as the sequences of its rows say: the record then
// completes it. A checkpoint that ends with one half of it is at fault.
func TestVerifyReplacementInCheckpoint(t *testing.T) {
	for _, c := range []struct {
		name     string
		old, new bool // whether its row shows the replacement; there is no row of the new one before
		record   bool // of the replacement comes after the checkpoint's start
		problem  bool
	}{
		{name: "both", old: true, new: true},
		{name: "both, and the record", old: true, new: true, record: true},
		{name: "the new one, and the record", new: true, record: true},
		{name: "the old one, and the record", old: true, record: true},
		{name: "none, and the record", record: true},
		{name: "the new one", new: true, problem: true},
	} {
		s := newStory(t).units(4).limit(4)
		if c.problem {
			s.units(8).limit(8) // so that this is all that is wrong
		}
		s.define()
		d := record.DefinitionOf(s.sale)
		s.checkpoint = d.AppendRow(nil, record.Stamp{AtMs: s.at, Seq: 1})
		old, now := s.of(4), s.reservation(2, "ann", 4, 600)
		old.Seq = 2
		if c.old {
			old.State, old.AtMs, old.Seq = released, s.at+600, 3
		}
		now.Flags, now.Replaces, now.Seq = inventory.FlagReplaces, inventory.ID{1}, 3
		s.checkpoint = record.AppendReservation(s.checkpoint, &old)
		if c.new {
			s.checkpoint = record.AppendReservation(s.checkpoint, &now)
		}
		s.info.End = 3
		if c.record {
			s.take(1, "ann", 4).change(replace, 600, s.reservation(2, "ann", 4, 0))
		}
		found := s.verify()
		if c.problem {
			require.Len(t, found.Problems, 1, c.name)
			require.Contains(t, found.Problems[0],
				"I6: reservation 01000000-0000-0000-0000-000000000000 is held beside 02000000-")
			continue
		}
		require.Empty(t, found.Problems, c.name)
		require.Equal(t, map[inventory.State]int{held: 1, released: 1}, found.ByState, c.name)
	}
}

// A checkpoint leaves out what ended long ago. A leader that still knew it may take it again, but only what was over.
func TestVerifyTakenAgainAfterCheckpoint(t *testing.T) {
	for clock, want := range map[int64]string{1000: "", 999: "is taken again but was never taken"} {
		s := newStory(t).define()
		d := record.DefinitionOf(s.sale)
		s.checkpoint = record.AppendClock(d.AppendRow(nil, record.Stamp{AtMs: s.at, Seq: 1}), s.at+clock, 1)
		s.info.End = 1
		problems := s.change(again, 90_000, s.of(2)).verify().Problems
		if want == "" {
			require.Empty(t, problems)
			continue
		}
		require.Len(t, problems, 1)
		require.Contains(t, problems[0], want)
	}
}

// Up to a checkpoint's end the records of changes are taken as they are, in whatever state the rows are: a checkpoint
// may have none of them, or leave out a confirmed reservation whose change follows.
func TestVerifyChangesBeforeCheckpointsEnd(t *testing.T) {
	for name, c := range map[string]struct {
		row   func(r *inventory.Snapshot) // nil for none
		write func(s *story)
		end   uint64
		want  inventory.State
	}{
		"confirmed and reduced, without a row": {nil, func(s *story) {
			s.end(1, confirmed).change(reduceSold, 600, s.of(1)).change(giveBack, 700, s.of(1), flagged)
		}, 3, inventory.Returned},
		"the row of a later change": {func(r *inventory.Snapshot) {
			r.State, r.ConfirmedMs, r.AtMs, r.Seq = confirmed, r.CreatedMs+500, r.CreatedMs+700, 4
			r.Flags = inventory.FlagReduced
		}, func(s *story) {
			s.end(1, confirmed).change(reduceSold, 600, s.of(2)).change(reduceSold, 700, s.of(1))
			s.change(giveBack, 800, s.of(1), flagged)
		}, 1, inventory.Returned},
		"the row before": {func(r *inventory.Snapshot) { r.Seq = 1 }, func(s *story) {
			s.change(extend, 500, s.of(1)).endAt(1, expired, 2000)
		}, 3, expired},
	} {
		s := newStory(t).define()
		d := record.DefinitionOf(s.sale)
		s.checkpoint = d.AppendRow(nil, record.Stamp{AtMs: s.at, Seq: 1})
		if r := s.of(1); c.row != nil {
			c.row(&r)
			s.checkpoint = record.AppendReservation(s.checkpoint, &r)
		}
		s.info.End = c.end
		c.write(s)
		found := s.verify()
		require.Empty(t, found.Problems, name)
		require.Equal(t, map[inventory.State]int{c.want: 1}, found.ByState, name)
	}
}

// Each of the two ids of a replacement is judged by the sequence of its own row: one that shows later outcomes stays as
// it is.
func TestVerifyReplacementBeforeRows(t *testing.T) {
	s := newStory(t).limit(4).define()
	d := record.DefinitionOf(s.sale)
	s.checkpoint = d.AppendRow(nil, record.Stamp{AtMs: s.at, Seq: 1})
	later := s.reservation(1, "bob", 1, 5000) // the replaced one was forgotten, and its id used again
	later.Seq = 5
	now := s.reservation(2, "ann", 4, 600)
	now.State, now.AtMs, now.Flags, now.Replaces, now.Seq = released, s.at+700, inventory.FlagReplaces, inventory.ID{1}, 4
	other := s.reservation(3, "ann", 4, 800)
	other.Seq = 6
	for _, r := range []inventory.Snapshot{later, now, other} {
		s.checkpoint = record.AppendReservation(s.checkpoint, &r)
	}
	s.info.End = 1
	found := s.take(1, "ann", 4).change(replace, 600, s.reservation(2, "ann", 4, 0)).verify()
	require.Empty(t, found.Problems)
	require.Equal(t, map[inventory.State]int{held: 2, released: 1}, found.ByState)
}

func flagged(r *inventory.Snapshot) { r.Flags |= inventory.FlagReduced }
