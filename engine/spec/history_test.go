package spec

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/stretchr/testify/require"
)

// story is a handwritten history: calls with the times at which they began and returned.
type story struct {
	t       *testing.T
	model   *Model
	history History
	calls   []porcupine.Operation
}

var storyStart = time.Date(2024, 5, 2, 10, 0, 0, 0, time.UTC)

func newStory(t *testing.T) *story {
	sale, err := ScenarioSale()
	require.NoError(t, err)
	return &story{t: t, model: New(&Rules{Sale: sale, TTL: ScenarioTTL, MaxHold: ScenarioMaxHold})}
}

// call adds a call that lasted from one tick to another and returned a, at the given second of the sale clock.
func (s *story) call(from, to int64, second int, op Operation, a Answer) *story {
	op.At = storyStart.Add(time.Duration(second) * time.Second)
	s.calls = append(s.calls, porcupine.Operation{ClientId: len(s.calls), Input: Call{Operation: op, Until: op.At},
		Call: from, Output: a, Return: to})
	return s
}

func (s *story) check() porcupine.CheckResult {
	s.history.Start = s.model
	result, _ := s.history.Check(s.calls, time.Minute)
	return result
}

func take(id, account string, lines ...Line) Operation {
	return Operation{Kind: Reserve, ID: IDOf(id), Account: account, Lines: lines, Phase: "late"}
}

func on(kind Kind, id string) Operation { return Operation{Kind: kind, ID: IDOf(id)} }

// is returns an answer with the operation's reservation in a state.
func is(op Operation, state string) Answer {
	r := Reservation{ID: op.ID, Account: op.Account, Phase: "late", State: state, Lines: op.Lines,
		CreatedAt: storyStart, ExpiresAt: storyStart.Add(ScenarioTTL)}
	if state == "confirmed" {
		r.ConfirmedAt = storyStart
	}
	return Answer{Reservation: r}
}

func soldOut(l Line, available int) Answer {
	return Answer{Refusal: Refusal{Code: "sold_out", Session: l.Session, Category: l.Category, Requested: l.Quantity,
		Available: available}}
}

func ledger(account string, held, confirmed int, reservations ...Reservation) Answer {
	return Answer{Account: Account{Account: account, Reservations: reservations, Programmes: []ProgrammeTickets{
		{Programme: "summer", Cap: 12, Held: held, Confirmed: confirmed}, {Programme: "winter", Cap: 4}}}}
}

// TestChecker has legal and illegal histories that the checker must distinguish. The stock is SWIM A 4, B 8; JUDO A 4.
func TestChecker(t *testing.T) {
	swim, judo := Line{"SWIM", "A", 4}, Line{"JUDO", "A", 4}
	one := Line{"SWIM", "A", 1}
	a, b := take("a", "ann", swim), take("b", "bob", swim)
	pack, single := take("p", "ann", swim, judo), take("s", "bob", one)
	twelve := take("t", "ann", Line{"ATHL", "A", 6}, Line{"SWIM", "B", 6})
	capped := Answer{Refusal: Refusal{Code: "account_cap_exceeded", Programme: "summer", Limit: 12, Held: 12,
		Requested: 1}}
	unknown, notFound := Answer{Refusal: Refusal{Code: Unknown}}, Answer{Refusal: Refusal{Code: "reservation_not_found"}}
	for title, c := range map[string]struct {
		want  porcupine.CheckResult
		write func(s *story)
	}{
		"one after the other": {porcupine.Ok, func(s *story) {
			s.call(0, 1, 0, a, is(a, "held")).call(2, 3, 0, b, soldOut(swim, 0)).
				call(4, 5, 0, on(Release, "a"), is(a, "released")).call(6, 7, 0, b, is(b, "held"))
		}},
		"both at once, either may win": {porcupine.Ok, func(s *story) {
			s.call(0, 9, 0, a, soldOut(swim, 0)).call(1, 2, 0, b, is(b, "held"))
		}},
		"I1: oversold": {porcupine.Illegal, func(s *story) {
			s.call(0, 9, 0, a, is(a, "held")).call(1, 2, 0, b, is(b, "held"))
		}},
		"I7: a false sold out, due to a pack that failed": {porcupine.Illegal, func(s *story) {
			s.call(0, 1, 0, take("j", "cat", judo), Answer{Reservation: is(take("j", "cat", judo), "held").Reservation})
			s.call(2, 9, 0, pack, soldOut(judo, 0)).call(3, 4, 0, single, soldOut(one, 0))
		}},
		"I7: sold out with a wrong number available": {porcupine.Illegal, func(s *story) {
			s.call(0, 1, 0, single, is(single, "held")).call(2, 3, 0, a, soldOut(swim, 2))
		}},
		"I7: sold out due to the second of two short pools": {porcupine.Ok, func(s *story) {
			s.call(0, 1, 0, take("x", "cat", one, Line{"JUDO", "A", 1}), is(take("x", "cat", one, Line{"JUDO", "A", 1}), "held"))
			s.call(2, 3, 0, pack, soldOut(judo, 3))
		}},
		"I4: half a pack": {porcupine.Illegal, func(s *story) {
			s.call(0, 1, 0, take("j", "cat", judo), is(take("j", "cat", judo), "held"))
			s.call(2, 5, 0, pack, soldOut(judo, 0)).call(6, 7, 0, a, soldOut(swim, 0))
		}},
		"I4: a pack that took one line only": {porcupine.Illegal, func(s *story) {
			s.call(0, 1, 0, pack, is(pack, "held")).call(2, 3, 0, take("j", "cat", judo), is(take("j", "cat", judo), "held"))
		}},
		"I2: over the cap": {porcupine.Illegal, func(s *story) {
			more := take("m", "ann", Line{"JUDO", "A", 1})
			s.call(0, 9, 0, twelve, is(twelve, "held")).call(1, 8, 0, more, is(more, "held"))
		}},
		"I2: the cap holds": {porcupine.Ok, func(s *story) {
			s.call(0, 9, 0, twelve, is(twelve, "held")).call(1, 8, 0, take("m", "ann", Line{"JUDO", "A", 1}), capped)
		}},
		"I7: a false cap, due to a reservation that failed": {porcupine.Illegal, func(s *story) {
			s.call(0, 9, 0, twelve, soldOut(Line{"ATHL", "A", 6}, 0)).
				call(1, 8, 0, take("m", "ann", Line{"JUDO", "A", 1}), capped)
		}},
		"I3: confirmed and released": {porcupine.Illegal, func(s *story) {
			s.call(0, 1, 0, a, is(a, "held")).call(2, 9, 0, on(Confirm, "a"), is(a, "confirmed")).
				call(3, 8, 0, on(Release, "a"), is(a, "released"))
		}},
		"I9: one id, two effects": {porcupine.Illegal, func(s *story) {
			s.call(0, 9, 0, single, is(single, "held")).call(1, 8, 0, single, is(single, "held"))
		}},
		"I9: one id, one effect": {porcupine.Ok, func(s *story) {
			again := is(single, "held")
			again.Repeated = true
			s.call(0, 9, 0, single, again).call(1, 8, 0, single, is(single, "held"))
		}},
		"a stale read": {porcupine.Illegal, func(s *story) {
			s.call(0, 1, 0, a, is(a, "held")).call(2, 3, 0, on(Release, "a"), is(a, "released")).
				call(4, 5, 0, on(ReadReservation, "a"), is(a, "held"))
		}},
		"a ledger without a hold that another call has seen": {porcupine.Illegal, func(s *story) {
			s.call(0, 9, 0, a, is(a, "held")).call(1, 2, 0, single, soldOut(one, 0)).
				call(3, 4, 0, Operation{Kind: ReadAccount, Account: "ann"}, ledger("ann", 0, 0))
		}},
		"a ledger with that hold": {porcupine.Ok, func(s *story) {
			s.call(0, 9, 0, a, is(a, "held")).call(1, 2, 0, single, soldOut(one, 0)).
				call(3, 4, 0, Operation{Kind: ReadAccount, Account: "ann"}, ledger("ann", 4, 0, is(a, "held").Reservation))
		}},
		"expiry: confirmed when overdue": {porcupine.Illegal, func(s *story) {
			late := is(a, "confirmed")
			late.Reservation.ConfirmedAt = storyStart.Add(ScenarioTTL)
			s.call(0, 1, 0, a, is(a, "held")).call(2, 3, 17*60, on(Confirm, "a"), late)
		}},
		"expiry: its tickets are available some time later": {porcupine.Ok, func(s *story) {
			later := is(b, "held")
			later.Reservation.CreatedAt, later.Reservation.ExpiresAt = storyStart.Add(ScenarioTTL), storyStart.Add(2*ScenarioTTL)
			s.call(0, 1, 0, a, is(a, "held")).call(2, 3, 17*60, single, soldOut(one, 0)).call(4, 5, 17*60, b, later)
		}},
		"expiry: its tickets are available too early": {porcupine.Illegal, func(s *story) {
			s.call(0, 1, 0, a, is(a, "held")).call(2, 3, 0, b, is(b, "held"))
		}},
		"a lost answer, its effect seen": {porcupine.Ok, func(s *story) {
			s.call(0, 9, 0, a, unknown).call(2, 3, 0, single, soldOut(one, 0))
		}},
		"a lost answer, its effect not seen": {porcupine.Ok, func(s *story) {
			s.call(0, 9, 0, a, unknown).call(2, 3, 0, single, is(single, "held"))
		}},
		"a lost answer, its effect seen and then not": {porcupine.Illegal, func(s *story) {
			s.call(0, 9, 0, a, unknown).call(2, 3, 0, single, soldOut(one, 0)).call(4, 5, 0, on(Confirm, "a"), notFound)
		}},
	} {
		t.Run(title, func(t *testing.T) {
			s := newStory(t)
			c.write(s)
			require.Equal(t, c.want, s.check())
		})
	}
}

// TestCrashedHistory distinguishes what a crash may undo from what it must not (I5).
func TestCrashedHistory(t *testing.T) {
	one := Line{"SWIM", "A", 4}
	a, b := take("a", "ann", one), take("b", "bob", one)
	unknown, notFound := Answer{Refusal: Refusal{Code: Unknown}}, Answer{Refusal: Refusal{Code: "reservation_not_found"}}
	check := func(s *story) porcupine.CheckResult {
		result, _ := History{Start: s.model, Crashed: true}.Check(s.calls, time.Minute)
		return result
	}
	s := newStory(t).call(0, 5, 0, a, unknown).call(1, 2, 0, b, soldOut(one, 0)).
		call(7, 8, 0, on(ReadReservation, "a"), notFound)
	require.Equal(t, porcupine.Ok, check(s), "a refusal may be due to an outcome that the crash undid")
	s = newStory(t).call(0, 5, 0, a, unknown).call(1, 2, 0, on(ReadReservation, "a"), is(a, "held")).
		call(7, 8, 0, on(ReadReservation, "a"), notFound)
	require.Equal(t, porcupine.Illegal, check(s), "a read must not show an outcome that a crash can undo")
}

// TestUnansweredTimes requires that a call without an answer took effect between its two readings of the clock, at the
// instant that a later answer shows.
func TestUnansweredTimes(t *testing.T) {
	one := take("a", "ann", Line{"SWIM", "A", 4})
	results := map[int]porcupine.CheckResult{-1: porcupine.Illegal, 0: porcupine.Ok, 3: porcupine.Ok, 5: porcupine.Ok,
		6: porcupine.Illegal}
	for second, want := range results {
		seen := is(one, "held")
		seen.Reservation.CreatedAt = storyStart.Add(time.Duration(second) * time.Second)
		seen.Reservation.ExpiresAt = seen.Reservation.CreatedAt.Add(ScenarioTTL)
		s := newStory(t).call(0, 1, 0, one, Answer{Refusal: Refusal{Code: Unknown}}).
			call(2, 3, 9, on(ReadReservation, "a"), seen)
		s.calls[0].Input = Call{Operation: s.calls[0].Input.(Call).Operation, Until: storyStart.Add(5 * time.Second)}
		require.Equal(t, want, s.check(), "created at second %d", second)
	}
}

// TestUnmarkedEnds requires that with OverHTTP a repeated confirm may have the same answer as the first one, but a
// repeated reserve may not.
func TestUnmarkedEnds(t *testing.T) {
	one := take("a", "ann", Line{"SWIM", "A", 1})
	sold := is(one, "confirmed")
	s := newStory(t).call(0, 1, 0, one, is(one, "held")).call(2, 3, 0, on(Confirm, "a"), sold).
		call(4, 5, 0, on(Confirm, "a"), sold)
	require.Equal(t, porcupine.Illegal, s.check())
	s.history.OverHTTP = true
	require.Equal(t, porcupine.Ok, s.check())
	require.Equal(t, porcupine.Illegal, s.call(6, 7, 0, one, sold).check())
}

// TestPartition requires that calls are checked separately exactly if they have nothing in common.
func TestPartition(t *testing.T) {
	s := newStory(t)
	s.call(0, 1, 0, take("a", "ann", Line{"SWIM", "A", 1}), Answer{}).
		call(0, 1, 0, take("b", "bob", Line{"JUDO", "A", 1}), Answer{}).
		call(0, 1, 0, on(Confirm, "a"), Answer{}).call(0, 1, 0, take("c", "cat", Line{"SWIM", "B", 1}), Answer{})
	sizes := func() []int {
		var all []int
		for _, part := range (History{Start: s.model}).partition(s.calls) {
			all = append(all, len(part))
		}
		return all
	}
	require.ElementsMatch(t, []int{3, 1}, sizes())
	s.call(0, 1, 0, take("d", "ann", Line{"JUDO", "A", 1}), Answer{})
	require.ElementsMatch(t, []int{5}, sizes())
	other := take("e", "eve", Line{"SKI", "A", 1})
	s.call(0, 1, 0, other, Answer{}).call(0, 1, 0, on(Extend, "e"), Answer{})
	require.ElementsMatch(t, []int{5, 2}, sizes())
	other.ID, other.Replaces = IDOf("f"), IDOf("a")
	s.call(0, 1, 0, other, Answer{})
	require.ElementsMatch(t, []int{8}, sizes())
}

// The page of a history that no order explains can be made, although the instant of a call is known from answers only.
func TestVisualize(t *testing.T) {
	s := newStory(t)
	a := take("a", "ann", Line{"SWIM", "A", 4})
	held := is(a, "held")
	held.Reservation.CreatedAt = storyStart.Add(5 * time.Second)
	held.Reservation.ExpiresAt = held.Reservation.CreatedAt.Add(ScenarioTTL)
	s.call(0, 1, 0, a, held).call(2, 3, 9, on(ReadReservation, "a"), is(a, "released"))
	call := s.calls[0].Input.(Call)
	call.Until = storyStart.Add(9 * time.Second)
	s.calls[0].Input = call
	require.Equal(t, porcupine.Illegal, s.check())
	_, info := s.history.Check(s.calls, time.Minute)
	require.NoError(t, s.history.Visualize(s.calls, info, filepath.Join(t.TempDir(), "history.html")))
}
