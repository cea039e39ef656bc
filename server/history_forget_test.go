package server

import (
	"cmp"
	"slices"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine"
	"github.com/seathold/seathold/engine/journal/embedded"
	"github.com/seathold/seathold/engine/spec"
	"github.com/seathold/seathold/server/internal/historytest"
)

// TestHistoriesThatForget (I7, I9) checks histories on servers that forget what has ended while they run. Within the
// life of one, what was forgotten stays so until its id is taken again. Where the table fills, what has ended is
// remembered for less than elsewhere, but for a minute. Wrong answers are detected.
func TestHistoriesThatForget(t *testing.T) {
	for _, c := range []struct {
		name   string
		forget time.Duration // of the server
		least  time.Duration // for which it remembers
		passes time.Duration
	}{
		{"a second", time.Second, time.Second, 1200 * time.Millisecond},
		{"an hour, less in a table that fills", time.Hour, time.Minute, time.Minute},
	} {
		t.Run(c.name, func(t *testing.T) {
			noLeaks(t)
			const atOnce, room = 20, 100
			s := newStage(t, seeded(t), rounds(t, 10)*atOnce)
			s.requests, s.passes, s.forget = 8, c.passes, c.least
			s.tables = func(o *engine.Options) { o.Forget, o.MaxReservations, o.MaxAccounts = c.forget, room, 1<<16 }
			dir := t.TempDir()
			s.serve(must(embedded.Open(dir, embedded.Options{}))(t), time.Minute)
			for range rounds(t, 10) {
				s.play(atOnce)
			}
			require.NoError(t, historytest.Finish(s.histories, s.address)) // by the same server
			total := historytest.Judge(t, s.histories, false)
			s.stop()
			kept := must(embedded.OpenReadOnly(dir))(t)
			requireConsistent(t, kept, s.rules.Sale)
			require.NoError(t, kept.Close())
			t.Logf("%v; %v", total.Forgetting, total)
			require.Positive(t, total.Remembered)
			require.Positive(t, total.Forgotten)
			require.Positive(t, total.Reused)
			require.NoError(t, total.Answers.Untried())
			for title, lie := range liesOfForgetting {
				t.Run(title, func(t *testing.T) { s.requireDetected(t, lie) })
			}
		})
	}
}

// lie returns a wrong answer to a read of a reservation, given the calls that returned before it began, in the order in
// which they returned, and those that began before it returned; false if there is none here.
type lie func(before, begun []porcupine.Operation, read spec.Call, truth spec.Answer, least time.Duration,
) (wrong spec.Answer, ok bool)

var notFound = spec.Answer{Refusal: spec.Refusal{Code: "reservation_not_found"}}

var liesOfForgetting = map[string]lie{
	"forgotten too early": func(before, begun []porcupine.Operation, read spec.Call, truth spec.Answer,
		least time.Duration) (spec.Answer, bool) {
		was, _ := lastShown(before, read.ID)
		forgets := truth.Reservation.ExpiresAt.Add(least)
		// A call that ends it, which may be long before it would expire, or at which it may be forgotten.
		perhaps := slices.ContainsFunc(begun, func(o porcupine.Operation) bool {
			c := o.Input.(spec.Call)
			ends := c.Kind == spec.Release || c.Kind == spec.Return
			return c.ID == read.ID && (ends || c.Until.After(forgets)) || c.Replaces == read.ID
		})
		return notFound, truth.OK() && !perhaps && was.CreatedAt.Equal(truth.Reservation.CreatedAt)
	},
	"remembered again": func(before, _ []porcupine.Operation, read spec.Call, truth spec.Answer, _ time.Duration,
	) (spec.Answer, bool) {
		was, shown := lastShown(before, read.ID)
		gone := slices.ContainsFunc(before, func(o porcupine.Operation) bool {
			c := o.Input.(spec.Call)
			return o.Call > shown && c.ID == read.ID && c.Kind == spec.ReadReservation &&
				o.Output.(spec.Answer).Code == notFound.Code
		})
		was.State = cmp.Or(map[string]string{"held": "expired"}[was.State], was.State)
		return spec.Answer{Reservation: was}, truth.Code == notFound.Code && shown > 0 && gone
	},
	"what had the id before": func(before, _ []porcupine.Operation, read spec.Call, truth spec.Answer, _ time.Duration,
	) (spec.Answer, bool) {
		now, _ := lastShown(before, read.ID)
		at := slices.IndexFunc(before, func(o porcupine.Operation) bool {
			r := o.Output.(spec.Answer).Reservation
			return r.ID == read.ID && r.CreatedAt.Before(now.CreatedAt)
		})
		if at < 0 || !truth.OK() {
			return truth, false
		}
		return before[at].Output.(spec.Answer), true
	},
}

// lastShown returns the reservation with the id that the last answer shows, and when that returned.
func lastShown(calls []porcupine.Operation, id string) (r spec.Reservation, returned int64) {
	for _, o := range slices.Backward(calls) {
		if r = o.Output.(spec.Answer).Reservation; r.ID == id {
			return r, o.Return
		}
	}
	return spec.Reservation{}, 0
}

// requireDetected changes one answer in one of the histories: no order explains the answers then.
func (s *stage) requireDetected(t *testing.T, lie lie) {
	for _, h := range s.histories {
		calls := h.Calls()
		slices.SortFunc(calls, func(a, b porcupine.Operation) int { return cmp.Compare(a.Return, b.Return) })
		for i, o := range calls {
			c, truth := o.Input.(spec.Call), o.Output.(spec.Answer)
			if c.Kind != spec.ReadReservation {
				continue
			}
			before := slices.DeleteFunc(slices.Clone(calls[:i]), func(b porcupine.Operation) bool { return b.Return > o.Call })
			begun := slices.DeleteFunc(slices.Clone(calls), func(b porcupine.Operation) bool { return b.Call > o.Return })
			wrong, found := lie(before, begun, c, truth, s.forget)
			if !found {
				continue
			}
			calls[i].Output = wrong
			result, _ := h.Check(calls, false)
			require.Equal(t, porcupine.Illegal, result, "%v", calls[i])
			return
		}
	}
	require.Fail(t, "no history has a call for this lie")
}
