package spec

import (
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/stretchr/testify/require"
)

// changed returns the answer to an operation on a reservation that it changed.
func changed(of Answer, change func(*Reservation)) Answer {
	change(&of.Reservation)
	return of
}

// TestCheckerOfChanges has legal and illegal histories of calls that change a reservation. The stock is SWIM A 4, B 8;
// JUDO A 4.
func TestCheckerOfChanges(t *testing.T) {
	swim, one := Line{"SWIM", "A", 4}, Line{"SWIM", "A", 1}
	a, b, single := take("a", "ann", swim), take("b", "bob", swim), take("s", "bob", one)
	swap := take("c", "ann", Line{"SWIM", "A", 3})
	swap.Replaces = IDOf("a")
	held, sold, bought := is(a, "held"), is(a, "confirmed"), is(single, "held")
	reduce := on(Reduce, "a")
	reduce.Lines = []Line{one}
	reduced := changed(held, func(r *Reservation) { r.Lines = reduce.Lines })
	returned := changed(sold, func(r *Reservation) { r.State = "returned" })
	end := storyStart.Add(time.Hour)
	extend := on(Extend, "a")
	extend.ExpiresAt = end
	extended := changed(held, func(r *Reservation) { r.ExpiresAt = end })
	again := on(Confirm, "a")
	again.Again = true
	const late = 17 * 60
	taken := changed(sold, func(r *Reservation) { r.ConfirmedAt = storyStart.Add(ScenarioTTL) })
	bob := changed(is(b, "held"), func(r *Reservation) {
		r.CreatedAt, r.ExpiresAt = storyStart.Add(ScenarioTTL), storyStart.Add(2*ScenarioTTL)
	})
	expired := func(canTakeAgain bool) Answer {
		return Answer{Refusal: Refusal{Code: "reservation_expired", CanTakeAgain: canTakeAgain}}
	}
	unknown := Answer{Refusal: Refusal{Code: Unknown}}
	notFound := Answer{Refusal: Refusal{Code: "reservation_not_found"}}
	twelve := take("t", "ann", Line{"ATHL", "A", 6}, Line{"SWIM", "B", 6})
	capped := Answer{Refusal: Refusal{Code: "account_cap_exceeded", Programme: "summer", Limit: 12, Held: 12,
		Requested: 4}}
	edit := take("e", "ann", swim)
	edit.Replaces = IDOf("t")
	for title, c := range map[string]struct {
		want  porcupine.CheckResult
		write func(s *story)
	}{
		"I1: units of a reduction are sold before it": {porcupine.Illegal, func(s *story) {
			s.call(0, 1, 0, a, held).call(2, 3, 0, single, bought).call(4, 5, 0, reduce, reduced)
		}},
		"units of a reduction are sold while it runs": {porcupine.Ok, func(s *story) {
			s.call(0, 1, 0, a, held).call(2, 9, 0, reduce, reduced).call(3, 4, 0, single, bought)
		}},
		"I7: sold out, after a reduction": {porcupine.Illegal, func(s *story) {
			s.call(0, 1, 0, a, held).call(2, 3, 0, reduce, reduced).call(4, 5, 0, single, soldOut(one, 0))
		}},
		"I3: reduced after the release": {porcupine.Illegal, func(s *story) {
			s.call(0, 1, 0, a, held).call(2, 3, 0, on(Release, "a"), is(a, "released")).call(4, 5, 0, reduce, reduced)
		}},
		"I3: released and confirmed while it is reduced": {porcupine.Illegal, func(s *story) {
			s.call(0, 1, 0, a, held).call(2, 9, 0, reduce, reduced).call(2, 9, 0, on(Confirm, "a"), sold).
				call(2, 9, 0, on(Release, "a"), is(a, "released"))
		}},
		"the lines before a reduction are shown after it": {porcupine.Illegal, func(s *story) {
			s.call(0, 1, 0, a, held).call(2, 3, 0, reduce, reduced).call(4, 5, 0, on(ReadReservation, "a"), held)
		}},
		"expiry: a hold that was extended is confirmed late": {porcupine.Ok, func(s *story) {
			s.call(0, 1, 0, a, held).call(2, 3, 1, extend, extended).
				call(4, 5, late, on(Confirm, "a"), changed(taken, func(r *Reservation) { r.ExpiresAt = end }))
		}},
		"I3: an extension revives what has expired": {porcupine.Illegal, func(s *story) {
			s.call(0, 1, 0, a, held).call(2, 3, late, on(ReadReservation, "a"), is(a, "expired")).
				call(4, 5, late, extend, extended)
		}},
		"expiry: extended when overdue": {porcupine.Illegal, func(s *story) {
			s.call(0, 1, 0, a, held).call(2, 3, late, extend, extended)
		}},
		"expiry: its tickets are available before the extended end": {porcupine.Illegal, func(s *story) {
			s.call(0, 1, 0, a, held).call(2, 3, 1, extend, extended).call(4, 5, late, b, bob)
		}},
		"what is returned is sold again": {porcupine.Ok, func(s *story) {
			s.call(0, 1, 0, a, held).call(2, 3, 0, on(Confirm, "a"), sold).call(4, 9, 0, on(Return, "a"), returned).
				call(5, 6, 0, single, bought)
		}},
		"I1: what is not returned is sold again": {porcupine.Illegal, func(s *story) {
			s.call(0, 1, 0, a, held).call(2, 3, 0, on(Confirm, "a"), sold).call(4, 5, 0, single, bought).
				call(6, 9, 0, on(Return, "a"), returned)
		}},
		"I3: returned twice": {porcupine.Illegal, func(s *story) {
			s.call(0, 1, 0, a, held).call(2, 3, 0, on(Confirm, "a"), sold).call(4, 9, 0, on(Return, "a"), returned).
				call(5, 8, 0, on(Return, "a"), returned)
		}},
		"replaced by fewer of the last units": {porcupine.Ok, func(s *story) {
			s.call(0, 1, 0, a, held).call(2, 9, 0, swap, is(swap, "held")).call(3, 8, 0, single, bought).
				call(10, 11, 0, on(ReadReservation, "a"), is(a, "released"))
		}},
		"I4: a replaced hold remains": {porcupine.Illegal, func(s *story) {
			s.call(0, 1, 0, a, held).call(2, 3, 0, swap, is(swap, "held")).call(4, 5, 0, on(ReadReservation, "a"), held)
		}},
		"I4: a moment between the two": {porcupine.Illegal, func(s *story) {
			s.call(0, 1, 0, a, held).call(2, 9, 0, swap, is(swap, "held")).
				call(3, 4, 0, on(ReadReservation, "a"), is(a, "released")).call(5, 6, 0, on(ReadReservation, "c"), notFound)
		}},
		"I3: replaced and confirmed": {porcupine.Illegal, func(s *story) {
			s.call(0, 1, 0, a, held).call(2, 9, 0, swap, is(swap, "held")).call(3, 8, 0, on(Confirm, "a"), sold)
		}},
		"I7: a cap that counts the replaced hold": {porcupine.Illegal, func(s *story) {
			s.call(0, 1, 0, twelve, is(twelve, "held")).call(2, 3, 0, edit, capped)
		}},
		"I2: a cap that counts neither": {porcupine.Illegal, func(s *story) {
			more := take("m", "ann", Line{"ATHL", "A", 6}, Line{"SWIM", "A", 3})
			s.call(0, 1, 0, twelve, is(twelve, "held")).call(2, 9, 0, edit, is(edit, "held")).
				call(3, 8, 0, more, is(more, "held"))
		}},
		"taken again": {porcupine.Ok, func(s *story) {
			s.call(0, 1, 0, a, held).call(2, 3, late, on(Confirm, "a"), expired(true)).call(4, 5, late, again, taken).
				call(6, 7, late, b, soldOut(swim, 0))
		}},
		"I1: taken again, and by another account": {porcupine.Illegal, func(s *story) {
			s.call(0, 1, 0, a, held).call(2, 9, late, b, bob).call(2, 9, late, again, taken)
		}},
		"can_take_again is not judged when calls race": {porcupine.Ok, func(s *story) {
			s.call(0, 1, 0, a, held).call(2, 3, late, b, bob).call(4, 5, late, on(Confirm, "a"), expired(true)).
				call(6, 7, late, on(Confirm, "a"), expired(false))
		}},
		"again, sold out due to the second of two short pools": {porcupine.Ok, func(s *story) {
			pack := take("a", "ann", swim, Line{"JUDO", "A", 4})
			rest := changed(is(take("x", "cat", one, Line{"JUDO", "A", 1}), "held"), func(r *Reservation) {
				r.CreatedAt, r.ExpiresAt = storyStart.Add(ScenarioTTL), storyStart.Add(2*ScenarioTTL)
			})
			s.call(0, 1, 0, pack, is(pack, "held")).call(2, 3, late, on(ReadReservation, "a"), is(pack, "expired")).
				call(4, 5, late, take("x", "cat", one, Line{"JUDO", "A", 1}), rest).
				call(6, 7, late, again, soldOut(Line{"JUDO", "A", 4}, 3)).call(8, 9, late, again, soldOut(swim, 3))
		}},
		"a lost answer of a replacement, its effect seen on both": {porcupine.Ok, func(s *story) {
			s.call(0, 1, 0, a, held).call(2, 20, 0, swap, unknown).call(3, 4, 0, single, bought).
				call(5, 6, 0, on(ReadReservation, "a"), is(a, "released"))
		}},
		"a lost answer of a replacement, half of its effect seen": {porcupine.Illegal, func(s *story) {
			s.call(0, 1, 0, a, held).call(2, 20, 0, swap, unknown).call(3, 4, 0, single, bought).
				call(5, 6, 0, on(ReadReservation, "a"), held)
		}},
	} {
		t.Run(title, func(t *testing.T) {
			s := newStory(t)
			c.write(s)
			require.Equal(t, c.want, s.check())
		})
	}
}

// TestExtendDuringAMove requires that an extension to an instant is refused from that instant on, and accepted before
// it, if the sale clock passed it during the call. So it is if the hold has ended when the call returns.
func TestExtendDuringAMove(t *testing.T) {
	one := take("a", "ann", Line{"SWIM", "A", 1})
	one.TTL = 8 * time.Second
	held := changed(is(one, "held"), func(r *Reservation) { r.ExpiresAt = storyStart.Add(one.TTL) })
	extend := on(Extend, "a")
	extend.ExpiresAt = storyStart.Add(5 * time.Second)
	extended := changed(held, func(r *Reservation) { r.ExpiresAt = extend.ExpiresAt })
	tooLate := Answer{Refusal: Refusal{Code: "malformed_request"}}
	for until, want := range map[int][2]porcupine.CheckResult{
		4: {porcupine.Ok, porcupine.Illegal}, 5: {porcupine.Ok, porcupine.Ok}, 9: {porcupine.Ok, porcupine.Ok}} {
		for i, got := range []Answer{extended, tooLate} {
			s := newStory(t).call(0, 1, 0, one, held).call(2, 3, 0, extend, got)
			s.calls[1].Input = Call{Operation: s.calls[1].Input.(Call).Operation,
				Until: storyStart.Add(time.Duration(until) * time.Second)}
			require.Equal(t, want[i], s.check(), "until second %d: %s", until, got)
		}
	}
}

// TestNewestFirst requires the order of an account's reservations: by creation, then by id, whatever has changed since.
func TestNewestFirst(t *testing.T) {
	m := newStory(t).model
	do := func(second int, op Operation) {
		op.At = storyStart.Add(time.Duration(second) * time.Second)
		a := m.Do(op)
		require.True(t, a.OK(), "%s: %s", op, a)
	}
	order := func() (names string) {
		a := m.Do(Operation{Kind: ReadAccount, Account: "ann", At: storyStart})
		for _, r := range a.Account.Reservations {
			for _, name := range []string{"a", "b", "c", "d"} {
				if r.ID == IDOf(name) {
					names += name
				}
			}
		}
		return names
	}
	do(0, take("a", "ann", Line{"ATHL", "A", 2}))
	do(1, take("b", "ann", Line{"ATHL", "A", 2}))
	do(1, take("c", "ann", Line{"ATHL", "A", 2}))
	together := "cb"
	if IDOf("b") > IDOf("c") {
		together = "bc"
	}
	require.Equal(t, together+"a", order())
	extend := on(Extend, "a")
	extend.ExpiresAt = storyStart.Add(time.Minute)
	do(2, extend)
	reduce := on(Reduce, "b")
	reduce.Lines = []Line{{"ATHL", "A", 1}}
	do(2, reduce)
	require.Equal(t, together+"a", order())
	replace := take("d", "ann", Line{"ATHL", "A", 1})
	replace.Replaces = IDOf("c")
	do(2, replace)
	require.Equal(t, "dba", order())
}
