package spec

import (
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/stretchr/testify/require"
)

// TestForgetfulChecker has histories on a server that forgets after a minute. A hold that is made at second 0 is over
// at second 1020, and so may be forgotten after second 1080. One that is released or returned may be a minute later.
func TestForgetfulChecker(t *testing.T) {
	const last, free = 18 * 60, 18*60 + 1     // of a hold that expires
	const still, gone, late = 60, 61, 20 * 60 // of one that is released or returned at second 0; a later return
	line := Line{"SWIM", "A", 1}
	a, b := take("a", "ann", line), take("a", "bob", Line{"SWIM", "A", 2})
	notFound := Answer{Refusal: Refusal{Code: "reservation_not_found"}}
	ended := func(state string) Answer { return Answer{Refusal: Refusal{Code: "reservation_" + state}} }
	reused, unknown := Answer{Refusal: Refusal{Code: "id_reused"}}, Answer{Refusal: Refusal{Code: Unknown}}
	at := func(op Operation, second int) Answer { // held from that second on
		held := is(op, "held")
		held.Reservation.CreatedAt = storyStart.Add(time.Duration(second) * time.Second)
		held.Reservation.ExpiresAt = held.Reservation.CreatedAt.Add(ScenarioTTL)
		return held
	}
	held := func(s *story) *story { return s.call(0, 1, 0, a, is(a, "held")) }
	released := func(s *story) *story { return held(s).call(2, 3, 0, on(Release, "a"), is(a, "released")) }
	returned := func(s *story, second int) *story {
		return held(s).call(2, 3, 0, on(Confirm, "a"), is(a, "confirmed")).
			call(4, 5, second, on(Return, "a"), is(a, "confirmed").with("returned"))
	}
	replaced := func(s *story) *story {
		next := take("n", "ann", line)
		next.Replaces = a.ID
		return held(s).call(2, 3, 0, next, is(next, "held"))
	}
	for title, c := range map[string]struct {
		want    porcupine.CheckResult // of a history without a crash
		crashed porcupine.CheckResult
		write   func(s *story)
	}{
		"an expired one is remembered": {porcupine.Ok, porcupine.Ok, func(s *story) {
			held(s).call(2, 3, free, on(Confirm, "a"), ended("expired"))
		}},
		"an expired one is forgotten": {porcupine.Ok, porcupine.Ok, func(s *story) {
			held(s).call(2, 3, free, on(Confirm, "a"), notFound)
		}},
		"an expired one is forgotten too early": {porcupine.Illegal, porcupine.Illegal, func(s *story) {
			held(s).call(2, 3, last, on(Confirm, "a"), notFound)
		}},
		"a released one is forgotten": {porcupine.Ok, porcupine.Ok, func(s *story) {
			released(s).call(4, 5, gone, on(Release, "a"), notFound)
		}},
		"a released one is forgotten too early": {porcupine.Illegal, porcupine.Illegal, func(s *story) {
			released(s).call(4, 5, still, on(Release, "a"), notFound)
		}},
		"a returned one is forgotten": {porcupine.Ok, porcupine.Ok, func(s *story) {
			returned(s, 0).call(6, 7, gone, on(Return, "a"), notFound)
		}},
		"one that was returned late is forgotten": {porcupine.Ok, porcupine.Ok, func(s *story) {
			returned(s, late).call(6, 7, late+gone, on(Return, "a"), notFound)
		}},
		"one that was returned late is forgotten too early": {porcupine.Illegal, porcupine.Illegal, func(s *story) {
			returned(s, late).call(6, 7, late+still, on(Return, "a"), notFound)
		}},
		"a confirmed one is forgotten": {porcupine.Illegal, porcupine.Illegal, func(s *story) {
			held(s).call(2, 3, 0, on(Confirm, "a"), is(a, "confirmed")).call(4, 5, 2*free, on(Confirm, "a"), notFound)
		}},
		"the id is free": {porcupine.Ok, porcupine.Ok, func(s *story) {
			released(s).call(4, 5, gone, b, at(b, gone)).call(6, 7, gone, a, reused)
		}},
		"the id is free too early": {porcupine.Illegal, porcupine.Illegal, func(s *story) {
			released(s).call(4, 5, still, b, at(b, still))
		}},
		"two that have the id at once": {porcupine.Illegal, porcupine.Illegal, func(s *story) {
			released(s).call(4, 5, gone, b, at(b, gone)).call(6, 7, gone, a, at(a, gone))
		}},
		"what had the id before is remembered": {porcupine.Illegal, porcupine.Illegal, func(s *story) {
			released(s).call(4, 5, gone, b, at(b, gone)).call(6, 7, gone, on(ReadReservation, "a"), is(a, "released"))
		}},
		"what is forgotten is remembered again": {porcupine.Illegal, porcupine.Ok, func(s *story) {
			released(s).call(4, 5, gone, on(Confirm, "a"), notFound).call(6, 7, gone, on(Confirm, "a"), ended("released"))
		}},
		"the id is free for a call without an answer": {porcupine.Ok, porcupine.Ok, func(s *story) {
			released(s).call(4, 9, gone, b, unknown).call(5, 6, gone, on(ReadReservation, "a"), at(b, gone))
		}},
		"a repeat is a new reservation": {porcupine.Ok, porcupine.Ok, func(s *story) {
			released(s).call(4, 5, gone, a, at(a, gone)).
				call(6, 7, gone, Operation{Kind: ReadAccount, Account: "ann"}, ledger("ann", 1, 0, at(a, gone).Reservation))
		}},
		"a replaced hold is forgotten": {porcupine.Ok, porcupine.Ok, func(s *story) {
			next := take("n", "ann", line)
			next.Replaces = a.ID
			held(s).call(2, 3, free, next, notFound)
		}},
		"one that was replaced is forgotten": {porcupine.Ok, porcupine.Ok, func(s *story) {
			replaced(s).call(4, 5, gone, on(Release, "a"), notFound)
		}},
		"one that was replaced is forgotten too early": {porcupine.Illegal, porcupine.Illegal, func(s *story) {
			replaced(s).call(4, 5, still, on(Release, "a"), notFound)
		}},
	} {
		t.Run(title, func(t *testing.T) {
			s := newStory(t)
			s.history.Forget = time.Minute
			c.write(s)
			require.Equal(t, c.want, s.check())
			s.history.Crashed = true
			require.Equal(t, c.crashed, s.check(), "crashed")
			s.history.Forget = 0
			if c.want == porcupine.Illegal {
				require.Equal(t, c.want, s.check(), "nothing is forgotten")
			}
		})
	}
}

// What is withheld after a return is never forgotten.
func TestForgetfulCheckerKeepsWithheld(t *testing.T) {
	h := History{Forget: time.Minute}
	r := &reservation{Reservation: Reservation{State: "returned", ExpiresAt: storyStart}}
	later := storyStart.Add(time.Hour)
	require.True(t, h.mayForget(r, later))
	r.withheld = true
	require.False(t, h.mayForget(r, later))
}

// with returns the answer with the reservation in another state.
func (a Answer) with(state string) Answer {
	a.Reservation.State = state
	return a
}

// TestUnansweredTimesOfForgotten requires that a hold without an answer was made at an instant that fits what answers
// show without its time, although nothing else shows it later.
func TestUnansweredTimesOfForgotten(t *testing.T) {
	one := take("a", "ann", Line{"SWIM", "A", 4})
	check := func(second int, op Operation, a Answer) porcupine.CheckResult {
		s := newStory(t).call(0, 1, 0, one, Answer{Refusal: Refusal{Code: Unknown}}).
			call(2, 3, 17*60+4, on(Return, "a"), Answer{Refusal: Refusal{Code: "reservation_held"}}).
			call(4, 5, second, op, a)
		s.calls[0].Input = Call{Operation: s.calls[0].Input.(Call).Operation, Until: storyStart.Add(9 * time.Second)}
		return s.check()
	}
	expired := Answer{Refusal: Refusal{Code: "reservation_expired"}}
	require.Equal(t, porcupine.Illegal, check(17*60+4, on(Release, "a"), expired))
	require.Equal(t, porcupine.Ok, check(17*60+5, on(Release, "a"), expired))
	extend := on(Extend, "a")
	extend.ExpiresAt = storyStart.Add(2 * time.Hour)
	longest := Answer{Refusal: Refusal{Code: "hold_limit_exceeded"}}
	for second, want := range map[int]porcupine.CheckResult{4: porcupine.Illegal, 5: porcupine.Ok, 10: porcupine.Illegal} {
		longest.MaxExpiresAt = storyStart.Add(time.Duration(second)*time.Second + ScenarioMaxHold)
		require.Equal(t, want, check(17*60+4, extend, longest))
	}
}
