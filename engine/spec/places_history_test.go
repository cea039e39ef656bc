package spec

import (
	"testing"

	"github.com/anishathalye/porcupine"
	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine/catalog"
)

// TestCheckerOfMembersAndPlaces has legal and illegal histories of a phase that is for the members of the club, or
// sells 3 tickets of SWIM at most. The stock is SWIM A 4, B 8; JUDO A 4.
func TestCheckerOfMembersAndPlaces(t *testing.T) {
	const late = "title: Everything\n    programme: summer\n    kind: single\n    opens_at: 2024-05-01 10:00\n" +
		"    closes_at: 2024-07-01 10:00\n    access: "
	open := scenarioSaleWith(t, "sale.yaml", "", "")
	forMembers := scenarioSaleWith(t, "sale.yaml", late+"open", late+"group\n    group: club")
	bounded := func(places string) *catalog.Sale {
		return scenarioSaleWith(t, "sale.yaml", late+"open", late+
			"open\n    only: [{programme: summer}, {session: SWIM, places: "+places+"}]")
	}
	three, two := bounded("3"), bounded("2")
	apply := func(sale *catalog.Sale) Operation { return Operation{Kind: Apply, Sale: sale} }
	join := Operation{Kind: Join, Group: "club", Account: "ann"}
	leave := Operation{Kind: Leave, Group: "club", Account: "ann"}
	a, b := take("a", "ann", Line{"SWIM", "A", 2}), take("b", "bob", Line{"SWIM", "B", 2})
	pack := take("p", "cat", Line{"SWIM", "B", 2}, Line{"JUDO", "A", 2})
	judo := take("j", "dan", Line{"JUDO", "A", 3})
	held, bought := is(a, "held"), is(b, "held")
	done, repeated, unknown := Answer{}, Answer{Repeated: true}, Answer{Refusal: Refusal{Code: Unknown}}
	stranger := Answer{Refusal: Refusal{Code: "no_access_slot", Phase: "late"}}
	refused := Answer{Refusal: Refusal{Code: "change_refused"}}
	short := func(l Line, left int) Answer {
		answer := soldOut(l, left)
		answer.Phase, answer.Limit = "late", 3
		return answer
	}
	for title, c := range map[string]struct {
		sale  *catalog.Sale
		want  porcupine.CheckResult
		write func(s *story)
	}{
		"a member buys": {forMembers, porcupine.Ok, func(s *story) {
			s.call(0, 1, 0, a, stranger).call(2, 3, 0, join, done).call(4, 5, 0, a, held)
		}},
		"a stranger buys": {forMembers, porcupine.Illegal, func(s *story) { s.call(0, 1, 0, a, held) }},
		"a member buys while it joins": {forMembers, porcupine.Ok, func(s *story) {
			s.call(0, 9, 0, join, done).call(1, 2, 0, a, stranger).call(3, 4, 0, a, held)
		}},
		"a stranger again while it joins": {forMembers, porcupine.Illegal, func(s *story) {
			s.call(0, 9, 0, join, done).call(1, 2, 0, a, held).call(3, 4, 0, take("c", "ann", Line{"SWIM", "A", 1}), stranger)
		}},
		"refused after it has joined": {forMembers, porcupine.Illegal, func(s *story) {
			s.call(0, 1, 0, join, done).call(2, 3, 0, a, stranger)
		}},
		"a hold after it has left": {forMembers, porcupine.Illegal, func(s *story) {
			s.call(0, 1, 0, join, done).call(2, 3, 0, leave, done).call(4, 5, 0, a, held)
		}},
		"a hold while it leaves": {forMembers, porcupine.Ok, func(s *story) {
			s.call(0, 1, 0, join, done).call(2, 9, 0, leave, done).call(3, 4, 0, a, held).
				call(5, 6, 0, take("c", "ann", Line{"SWIM", "A", 1}), stranger)
		}},
		"it joins twice": {forMembers, porcupine.Illegal, func(s *story) {
			s.call(0, 1, 0, join, done).call(2, 3, 0, join, done)
		}},
		"it joins, and is said to have been a member": {forMembers, porcupine.Illegal, func(s *story) {
			s.call(0, 1, 0, join, repeated)
		}},
		"a lost answer of a join, its effect seen and then not": {forMembers, porcupine.Illegal, func(s *story) {
			s.call(0, 20, 0, join, unknown).call(2, 3, 0, a, held).call(4, 5, 0, join, done)
		}},
		"of two at once one joins": {forMembers, porcupine.Ok, func(s *story) {
			s.call(0, 9, 0, join, repeated).call(1, 2, 0, join, done)
		}},

		"I1: more than the places": {three, porcupine.Illegal, func(s *story) {
			s.call(0, 9, 0, a, held).call(1, 2, 0, b, bought)
		}},
		"sold out while tickets are left": {three, porcupine.Ok, func(s *story) {
			s.call(0, 1, 0, a, held).call(2, 3, 0, b, short(b.Lines[0], 1)).call(4, 5, 0, on(Release, "a"), is(a, "released")).
				call(6, 7, 0, b, bought)
		}},
		"I7: sold out with a wrong number left": {three, porcupine.Illegal, func(s *story) {
			s.call(0, 1, 0, a, held).call(2, 3, 0, b, short(b.Lines[0], 0))
		}},
		"I7: sold out before anything is taken": {three, porcupine.Illegal, func(s *story) {
			s.call(0, 1, 0, b, short(b.Lines[0], 1)).call(2, 3, 0, a, held)
		}},
		"I7: a false sold out, due to a pack that failed": {three, porcupine.Illegal, func(s *story) {
			s.call(0, 1, 0, judo, is(judo, "held")).call(2, 9, 0, pack, soldOut(pack.Lines[1], 1)).
				call(3, 4, 0, a, short(a.Lines[0], 1))
		}},
		"of a pack, the places or the stock is short": {three, porcupine.Ok, func(s *story) {
			s.call(0, 1, 0, judo, is(judo, "held")).call(2, 3, 0, a, held).call(4, 9, 0, pack, short(pack.Lines[0], 1))
		}},
		"I4: a pack that was short keeps its places": {three, porcupine.Illegal, func(s *story) {
			s.call(0, 1, 0, judo, is(judo, "held")).call(2, 3, 0, pack, soldOut(pack.Lines[1], 1)).
				call(4, 5, 0, a, short(a.Lines[0], 1))
		}},
		"fewer places, before and after": {three, porcupine.Ok, func(s *story) {
			s.call(0, 9, 0, apply(two), done).call(1, 2, 0, a, held).
				call(3, 4, 0, take("c", "cat", Line{"SWIM", "A", 1}), Answer{Refusal: Refusal{Code: "sold_out", Phase: "late",
					Session: "SWIM", Category: "A", Limit: 2, Requested: 1}})
		}},
		"I1: fewer places, and one too many": {three, porcupine.Illegal, func(s *story) {
			s.call(0, 1, 0, apply(two), done).call(2, 3, 0, take("c", "cat", Line{"SWIM", "A", 3}),
				is(take("c", "cat", Line{"SWIM", "A", 3}), "held"))
		}},
		"places below what is taken": {three, porcupine.Illegal, func(s *story) {
			c := take("c", "cat", Line{"SWIM", "A", 3})
			s.call(0, 1, 0, c, is(c, "held")).call(2, 3, 0, apply(two), done)
		}},
		"places are set while something is held": {open, porcupine.Illegal, func(s *story) {
			s.call(0, 1, 0, a, held).call(2, 3, 0, apply(three), done)
		}},
		"places are refused while something is held": {open, porcupine.Ok, func(s *story) {
			s.call(0, 1, 0, a, held).call(2, 3, 0, apply(three), refused).
				call(4, 5, 0, on(Release, "a"), is(a, "released")).call(6, 7, 0, apply(three), done)
		}},
	} {
		t.Run(title, func(t *testing.T) {
			s := newStory(t)
			s.model = New(&Rules{Sale: c.sale, TTL: ScenarioTTL, MaxHold: ScenarioMaxHold})
			c.write(s)
			require.Equal(t, c.want, s.check())
		})
	}
}

// Over HTTP, sold_out does not show the phase whose places are short.
func TestPlacesOverHTTP(t *testing.T) {
	short := Answer{Refusal: Refusal{Code: "sold_out", Phase: "late", Session: "SWIM", Category: "A", Requested: 2}}
	short.short = []Refusal{short.Refusal, {Code: "sold_out", Phase: "late", Session: "JUDO", Category: "A", Requested: 1}}
	seen := short
	for _, over := range []bool{false, true} {
		require.True(t, History{OverHTTP: over}.matches(Call{}, short, Answer{Refusal: seen.Refusal}))
		seen.Phase = ""
	}
	seen.Session, seen.Requested = "JUDO", 1
	require.True(t, History{OverHTTP: true}.matches(Call{}, short, Answer{Refusal: seen.Refusal}))
	require.False(t, History{}.matches(Call{}, short, Answer{Refusal: seen.Refusal}))
}
