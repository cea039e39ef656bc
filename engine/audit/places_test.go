package audit

import (
	"slices"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/inventory"
	"github.com/seathold/seathold/engine/record"
)

// bound makes n tickets of the first session the most that the story's phase sells of it; 0 removes the bound.
func (s *story) bound(n int) *story {
	s.sale.Quotas = []catalog.Quota{{Phase: s.phase, Session: s.sale.Pools[0].Session, Places: max(n, 1), Removed: n == 0}}
	return s
}

// another makes another phase of the first session one like the story's, and returns it.
func (s *story) another() int {
	phase := slices.IndexFunc(s.sale.Phases, func(p catalog.Phase) bool {
		return p.ID != s.sale.Phases[s.phase].ID && p.Sells(s.sale.Pools[0].Session)
	})
	like, p := s.sale.Phases[s.phase], &s.sale.Phases[phase]
	p.Kind, p.PackSessions, p.PackEqual = like.Kind, like.PackSessions, like.PackEqual
	p.Access, p.Draw, p.OpensAt, p.ClosesAt = like.Access, like.Draw, like.OpensAt, like.ClosesAt
	return phase
}

// I1: A phase takes no more of a session than its places, in all categories together, whatever is left of the stock.
func TestVerifyJudgesPlaces(t *testing.T) {
	first := newStory(t)
	ofPhase := "I1: phase " + first.sale.Phases[first.phase].ID + ", session " +
		first.sale.Sessions[first.sale.Pools[0].Session].ID + ": "
	other := func(s *story) int { return s.sale.Sessions[s.sale.Pools[0].Session].Pools[1] }
	in := func(phase int) func(*inventory.Snapshot) {
		return func(r *inventory.Snapshot) { r.Phase = uint16(phase) }
	}
	for what, c := range map[string]struct {
		write func(s *story)
		want  string // "" for no problem
	}{
		"all places": {func(s *story) {
			s.bound(3).first()
			s.take(1, "ann", 2).takeOf(2, "bob", other(s), 1)
		}, ""},
		"one more, of another category": {func(s *story) {
			s.bound(3).first()
			s.take(1, "ann", 2).takeOf(2, "bob", other(s), 2)
		}, "record 3: " + ofPhase + "4 of 3 places taken"},
		"places are given back": {func(s *story) {
			s.bound(3).first()
			s.take(1, "ann", 3).end(1, released).take(2, "bob", 3).end(2, expired).take(3, "cat", 3).end(3, confirmed)
		}, ""},
		"sold ones count": {func(s *story) {
			s.bound(3).first()
			s.take(1, "ann", 3).end(1, confirmed).take(2, "bob", 1)
		}, "record 4: " + ofPhase + "4 of 3"},
		"reduced ones do not": {func(s *story) {
			s.bound(3).first()
			s.take(1, "ann", 3).change(reduce, 300, s.of(1)).take(2, "bob", 2)
		}, ""},
		"returned ones do not": {func(s *story) {
			s.bound(3).first()
			s.take(1, "ann", 3).end(1, confirmed).change(giveBack, 600, s.of(3)).take(2, "bob", 3)
		}, ""},
		"returned and withheld ones do": {func(s *story) {
			s.bound(3).withhold().first()
			s.take(1, "ann", 3).end(1, confirmed).change(giveBack, 600, s.of(3), withheld).take(2, "bob", 1)
		}, "record 5: " + ofPhase + "4 of 3"},
		"a replacement within the places": {func(s *story) {
			s.bound(3).first()
			s.take(1, "ann", 3).change(replace, 300, s.reservation(2, "ann", 3, 0))
		}, ""},
		"what is taken again beyond the places": {func(s *story) {
			s.bound(3).first()
			s.take(1, "ann", 2).end(1, expired).take(2, "bob", 2).change(again, 2000, s.of(2))
		}, "record 5: " + ofPhase + "4 of 3"},
		"another phase has its own": {func(s *story) {
			next := s.another()
			s.bound(3).first()
			r := s.reservation(2, "bob", 3, 0)
			in(next)(&r)
			s.take(1, "ann", 3).place(&r)
		}, ""},
		"what is taken again in another phase": {func(s *story) {
			next := s.another()
			s.bound(3).first()
			s.take(1, "ann", 3).end(1, expired).change(again, 2000, s.of(3), in(next)).take(2, "bob", 3)
		}, ""},
		"fewer places than are taken": {func(s *story) {
			d := s.bound(3).first()
			s.take(1, "ann", 3).bound(2).version(d)
		}, "record 3: " + ofPhase + "3 of 2"},
		"as many places as are taken": {func(s *story) {
			d := s.bound(5).first()
			s.take(1, "ann", 3).bound(3).version(d)
		}, ""},
		"places are removed, and come back": {func(s *story) {
			d := s.bound(3).first()
			d = s.take(1, "ann", 3).bound(0).version(d)
			s.take(2, "bob", 1).bound(4).version(d)
		}, ""},
		"places come back, and are too few": {func(s *story) {
			d := s.bound(3).first()
			d = s.take(1, "ann", 3).bound(0).version(d)
			s.take(2, "bob", 1).bound(3).version(d)
		}, "record 5: " + ofPhase + "4 of 3"},
		"places are set once all is given back": {func(s *story) {
			d := s.first()
			s.take(1, "ann", 3).end(1, released).bound(1).version(d)
		}, ""},
		"places are set while tickets are held": {func(s *story) {
			d := s.first()
			s.take(1, "ann", 3).bound(5).version(d)
		}, "record 3: " + ofPhase + "its places are set while 3 tickets are held or sold"},
	} {
		requireProblem(t, what, c.write, c.want)
	}
}

// I1: What a checkpoint has taken in a phase is within its places.
func TestVerifyPlacesOfACheckpoint(t *testing.T) {
	for places, broken := range map[int]int{3: 0, 2: 1} {
		s := newStory(t).bound(places)
		d := s.first()
		ann := s.of(3)
		ann.Seq = 2
		s.checkpoint = record.AppendReservation(d.AppendRow(nil, record.Stamp{AtMs: s.at, Seq: 1}), &ann)
		s.info.End = 2
		s.pause(record.Pause{}).pause(record.Pause{})
		found := s.verify()
		require.Equal(t, broken, found.Broken)
		if broken > 0 {
			require.Contains(t, found.Problems[0], "3 of "+strconv.Itoa(places)+" places taken")
		}
	}
}
