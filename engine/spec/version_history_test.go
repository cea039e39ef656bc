package spec

import (
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine/catalog"
)

// scenarioSaleWith returns the sale of the scenarios with another text in one of its files.
func scenarioSaleWith(t *testing.T, file, text, other string) *catalog.Sale {
	files := fstest.MapFS{}
	for _, name := range []string{"sale.yaml", "sessions.csv", "prices.csv", "venues.csv"} {
		data, err := fs.ReadFile(testdata, "testdata/sale/"+name)
		require.NoError(t, err)
		if name == file {
			require.Contains(t, string(data), text)
			data = []byte(strings.Replace(string(data), text, other, 1))
		}
		files[name] = &fstest.MapFile{Data: data}
	}
	sale, err := catalog.LoadFS(files)
	require.NoError(t, err)
	return sale
}

func pausing(phase, session string, paused bool) Operation {
	return Operation{Kind: Pause, Phase: phase, Session: session, Paused: paused}
}

func withholding(l Line) Operation {
	return Operation{Kind: SetStock, Session: l.Session, Category: l.Category, Withheld: &l.Quantity}
}

// TestCheckerOfVersions has legal and illegal histories in which the sale is paused, its stock set, and another
// definition applied. The stock is SWIM A 5, of which 1 is withheld; JUDO A 4.
func TestCheckerOfVersions(t *testing.T) {
	swim, one, judo := Line{"SWIM", "A", 4}, Line{"SWIM", "A", 1}, Line{"JUDO", "A", 1}
	a, single, other := take("a", "ann", swim), take("s", "bob", one), take("j", "cat", judo)
	again := take("g", "cat", Line{"JUDO", "A", 2})
	held, bought, done := is(a, "held"), is(single, "held"), Answer{}
	unknown := Answer{Refusal: Refusal{Code: Unknown}}
	paused := func(phase, session string) Answer {
		return Answer{Refusal: Refusal{Code: "paused", Phase: phase, Session: session}}
	}
	stop, goOn := pausing("", "SWIM", true), pausing("", "SWIM", false)
	all, none := withholding(Line{"SWIM", "A", 5}), withholding(Line{"SWIM", "A", 0})
	taken := func(n int) Answer {
		return Answer{Refusal: Refusal{Code: "stock_taken", Session: "SWIM", Category: "A", Taken: n}}
	}
	apply := func(file, text, other string) Operation {
		return Operation{Kind: Apply, Sale: scenarioSaleWith(t, file, text, other)}
	}
	same := Operation{Kind: Apply, Sale: scenarioSaleWith(t, "sale.yaml", "", "")}
	lower := apply("sale.yaml", "session_limit: 6", "session_limit: 3")
	gone := apply("sale.yaml", "session: SURF}", "session: SURF}\n  - {session: SWIM}")
	later := apply("sale.yaml", "opens_at: 2024-05-01 10:00", "opens_at: 2024-05-03 10:00")
	fewer := apply("prices.csv", "SWIM,A,50,5", "SWIM,A,50,4") // one is withheld
	more := apply("sessions.csv", "SKI,winter", "NEW,summer,Judo,Hall,Town,2024-08-02,10:00,12:00,0,\nSKI,winter")
	refused, repeated := Answer{Refusal: Refusal{Code: "change_refused"}}, Answer{Repeated: true}
	limited := Answer{Refusal: Refusal{Code: "session_limit_exceeded", Session: "SWIM", Limit: 3, Requested: 4}}
	notOnSale := Answer{Refusal: Refusal{Code: "not_on_sale", Session: "SWIM", Phase: "late"}}
	notOpen := Answer{Refusal: Refusal{Code: "phase_not_open", Phase: "late",
		OpensAt: time.Date(2024, 5, 3, 10, 0, 0, 0, time.UTC), ClosesAt: time.Date(2024, 7, 1, 10, 0, 0, 0, time.UTC)}}
	listed := take("n", "ann", Line{"NEW", "A", 1})
	isListed := Answer{Refusal: Refusal{Code: "not_on_sale", Session: "NEW"}}
	notKnown := Answer{Refusal: Refusal{Code: "unknown_session", Session: "NEW"}}
	for title, c := range map[string]struct {
		want  porcupine.CheckResult
		write func(s *story)
	}{
		"no holds after a pause": {porcupine.Ok, func(s *story) {
			s.call(0, 1, 0, stop, done).call(2, 3, 0, a, paused("", "SWIM")).call(4, 5, 0, other, is(other, "held"))
		}},
		"a hold after a pause that was answered": {porcupine.Illegal, func(s *story) {
			s.call(0, 1, 0, stop, done).call(2, 3, 0, a, held)
		}},
		"a hold while a pause begins": {porcupine.Ok, func(s *story) {
			s.call(0, 9, 0, stop, done).call(1, 2, 0, a, held).call(3, 4, 0, single, paused("", "SWIM"))
		}},
		"a hold during a pause that another call has seen": {porcupine.Illegal, func(s *story) {
			s.call(0, 9, 0, stop, done).call(1, 2, 0, a, paused("", "SWIM")).call(3, 4, 0, a, held)
		}},
		"paused before the pause began": {porcupine.Illegal, func(s *story) {
			s.call(0, 1, 0, a, paused("", "SWIM")).call(2, 3, 0, stop, done)
		}},
		"paused after it ended": {porcupine.Illegal, func(s *story) {
			s.call(0, 1, 0, stop, done).call(2, 3, 0, goOn, done).call(4, 5, 0, a, paused("", "SWIM"))
		}},
		"a pause of the phase names the phase": {porcupine.Ok, func(s *story) {
			s.call(0, 1, 0, pausing("late", "", true), done).call(2, 3, 0, a, paused("late", ""))
		}},
		"a pause of the sale and of a session end by themselves": {porcupine.Ok, func(s *story) {
			s.call(0, 1, 0, pausing("", "", true), done).call(2, 3, 0, stop, done).
				call(4, 5, 0, pausing("", "", false), done).call(6, 7, 0, a, paused("", "SWIM")).
				call(8, 9, 0, other, is(other, "held"))
		}},
		"a pause of another phase refuses nothing": {porcupine.Illegal, func(s *story) {
			s.call(0, 1, 0, pausing("snow", "", true), done).call(2, 3, 0, a, paused("late", ""))
		}},
		"what is held is confirmed during a pause": {porcupine.Ok, func(s *story) {
			s.call(0, 1, 0, a, held).call(2, 3, 0, stop, done).call(4, 5, 0, on(Confirm, "a"), is(a, "confirmed"))
		}},
		"a lost answer of a pause, its effect seen and then not": {porcupine.Illegal, func(s *story) {
			s.call(0, 20, 0, stop, unknown).call(2, 3, 0, a, paused("", "SWIM")).call(4, 5, 0, a, held)
		}},
		"a lost answer of a pause, its effect not seen, and later seen": {porcupine.Ok, func(s *story) {
			s.call(0, 20, 0, stop, unknown).call(2, 3, 0, a, held).call(4, 5, 0, single, paused("", "SWIM"))
		}},

		"I1: withheld, and sold": {porcupine.Illegal, func(s *story) {
			s.call(0, 1, 0, all, done).call(2, 3, 0, a, held)
		}},
		"I1: sold, and withheld": {porcupine.Illegal, func(s *story) {
			s.call(0, 1, 0, a, held).call(2, 3, 0, all, done)
		}},
		"what is taken is not withheld": {porcupine.Ok, func(s *story) {
			s.call(0, 1, 0, a, held).call(2, 3, 0, all, taken(4)).call(4, 5, 0, none, done).
				call(6, 7, 0, single, bought)
		}},
		"taken before anything was": {porcupine.Illegal, func(s *story) {
			s.call(0, 1, 0, all, taken(4)).call(2, 3, 0, a, held)
		}},
		"I7: sold out, due to a change of the stock that was refused": {porcupine.Illegal, func(s *story) {
			s.call(0, 1, 0, take("b", "bob", one), is(take("b", "bob", one), "held")).call(2, 9, 0, all, taken(1)).
				call(3, 4, 0, take("c", "cat", Line{"SWIM", "A", 3}), soldOut(Line{"SWIM", "A", 3}, 0))
		}},

		"a limit is lowered, and what was taken stays": {porcupine.Ok, func(s *story) {
			s.call(0, 1, 0, a, held).call(2, 3, 0, lower, done).call(4, 5, 0, on(Confirm, "a"), is(a, "confirmed"))
		}},
		"I2: over a limit that was lowered": {porcupine.Illegal, func(s *story) {
			s.call(0, 1, 0, lower, done).call(2, 3, 0, a, held)
		}},
		"a limit before it was lowered": {porcupine.Illegal, func(s *story) {
			s.call(0, 1, 0, a, limited).call(2, 3, 0, lower, done)
		}},
		"a limit while it is lowered": {porcupine.Ok, func(s *story) {
			s.call(0, 9, 0, lower, done).call(1, 2, 0, single, bought).call(3, 4, 0, a, limited)
		}},
		"half of a definition": {porcupine.Illegal, func(s *story) {
			s.call(0, 9, 0, Operation{Kind: Apply, Sale: lower.Sale}, done).call(1, 2, 0, a, limited).call(3, 4, 0, a, held)
		}},
		"a session is taken off sale and comes back": {porcupine.Ok, func(s *story) {
			s.call(0, 1, 0, gone, done).call(2, 3, 0, a, notOnSale).call(4, 5, 0, same, done).call(6, 7, 0, a, held)
		}},
		"sold when it was off sale": {porcupine.Illegal, func(s *story) {
			s.call(0, 1, 0, gone, done).call(2, 3, 0, a, held)
		}},
		"a phase opens later": {porcupine.Ok, func(s *story) {
			s.call(0, 1, 0, other, is(other, "held")).call(2, 3, 0, later, done).call(4, 5, 0, a, notOpen)
		}},
		"a phase was moved, and sells": {porcupine.Illegal, func(s *story) {
			s.call(0, 1, 0, later, done).call(2, 3, 0, a, held)
		}},
		"a session is added": {porcupine.Ok, func(s *story) {
			s.call(0, 1, 0, listed, notKnown).call(2, 9, 0, more, done).call(3, 4, 0, listed, isListed)
		}},
		"a session that was added is unknown": {porcupine.Illegal, func(s *story) {
			s.call(0, 1, 0, more, done).call(2, 3, 0, listed, notKnown)
		}},
		"a session that was removed is known": {porcupine.Ok, func(s *story) {
			s.call(0, 1, 0, more, done).call(2, 3, 0, same, done).call(4, 5, 0, listed, isListed)
		}},
		"a pause outlives a definition": {porcupine.Illegal, func(s *story) {
			s.call(0, 1, 0, stop, done).call(2, 3, 0, lower, done).call(4, 5, 0, single, bought)
		}},
		"fewer places than are taken": {porcupine.Ok, func(s *story) {
			s.call(0, 1, 0, a, held).call(2, 3, 0, fewer, refused).call(4, 5, 0, again, is(again, "held"))
		}},
		"I1: fewer places than are taken, applied": {porcupine.Illegal, func(s *story) {
			s.call(0, 1, 0, a, held).call(2, 3, 0, fewer, done)
		}},
		"refused though nothing stood against it": {porcupine.Illegal, func(s *story) {
			s.call(0, 1, 0, fewer, refused)
		}},
		"nothing new": {porcupine.Ok, func(s *story) {
			s.call(0, 1, 0, same, repeated).call(2, 3, 0, lower, done).call(4, 5, 0, lower, repeated)
		}},
		"a change is said to be none": {porcupine.Illegal, func(s *story) {
			s.call(0, 1, 0, lower, repeated)
		}},
		"a lost answer of a definition, half of its effect seen": {porcupine.Illegal, func(s *story) {
			s.call(0, 20, 0, lower, unknown).call(2, 3, 0, a, limited).call(4, 5, 0, lower, done)
		}},
	} {
		t.Run(title, func(t *testing.T) {
			s := newStory(t)
			c.write(s)
			require.Equal(t, c.want, s.check())
		})
	}
}
