package draw

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// honestTerms are those of a draw whose registration closes 12 minutes before round 1000 of quicknet, and whose phase
// opens a day later.
func honestTerms() Terms {
	terms := sealed(paris())
	terms.StandIn = false
	due := quicknet()
	terms.ClosesAt = due.RoundTime(1000).Add(-12 * time.Minute)
	terms.Slots.OpensAt = terms.ClosesAt.Add(24 * time.Hour)
	terms.Slots.ClosesAt = terms.Slots.OpensAt.Add(28 * 24 * time.Hour)
	return terms
}

// at is an instant after the close by both clocks.
func (t *Terms) at(after time.Duration) Moment {
	return Moment{Sale: t.ClosesAt.Add(after), Machine: t.ClosesAt.Add(after)}
}

// Run refuses entries that were not frozen between the close and the round. That is how a result is ground: with the
// beacon in hand, the operator freezes again and again with another invented entry.
func TestLateFreezeIsRefused(t *testing.T) {
	terms, beacon := honestTerms(), published(t, 1000)
	run := func(terms Terms, timing Timing) error {
		_, err := Run(sealAs(t, []entry{{"ann", ""}, {"bob", ""}}, nil), terms, timing, beacon)
		return err
	}
	for after, want := range map[time.Duration]error{
		-time.Millisecond: ErrMoment, 0: nil, 12*time.Minute - time.Millisecond: nil,
		12 * time.Minute: ErrLate, time.Hour: ErrLate,
	} {
		err := run(terms, Timing{Frozen: terms.at(after)})
		require.ErrorIs(t, err, want, "frozen %s after the close", after)
	}
	require.ErrorIs(t, run(terms, Timing{}), ErrMoment, "the freeze has no date")
	require.ErrorContains(t, run(terms, Timing{Frozen: terms.at(12 * time.Minute)}),
		"frozen at 2023-08-23T15:59:24.000Z, round 1000 due at 2023-08-23T15:59:24Z")

	standIn := terms
	standIn.StandIn = true
	require.NoError(t, run(standIn, Timing{Frozen: terms.at(time.Hour)}), "a stand-in shows the method only")
	soon := terms
	soon.PublishWithin = 13 * time.Minute
	require.ErrorIs(t, run(soon, Timing{Frozen: terms.at(0)}), errPublishWithin)
}

// A sale clock that was set back dates the freeze before the round. The clock of the machine contradicts it.
func TestBackdatedFreeze(t *testing.T) {
	terms := honestTerms()
	timing := Timing{Frozen: terms.at(time.Minute)}
	require.NoError(t, timing.Backdated(&terms))
	timing.Frozen.Machine = terms.ClosesAt.Add(12 * time.Minute)
	require.NoError(t, timing.check(&terms))
	require.ErrorIs(t, timing.Backdated(&terms), ErrBackdated)
	require.ErrorContains(t, timing.Backdated(&terms), "round 1000 was public since 2023-08-23T15:59:24Z")

	postponed := Timing{Frozen: terms.at(time.Minute)}
	require.NoError(t, postponed.Postpone(&terms, 2000, terms.at(2*time.Minute)))
	require.NoError(t, postponed.Backdated(&terms))
	postponed.Postponed[0].At.Machine = terms.ClosesAt.Add(12 * time.Minute)
	require.ErrorIs(t, postponed.Backdated(&terms), ErrBackdated, "the round is chosen among those that are public")
	terms.StandIn = true
	require.NoError(t, postponed.Backdated(&terms), "a stand-in claims nothing")
}

// The round is postponed in the open: before it is due, and with the time to publish the root.
func TestPostponing(t *testing.T) {
	terms := honestTerms()
	for _, c := range []struct {
		name  string
		round uint64
		after time.Duration // of the postponement, since the close
		want  error
	}{
		{"before the close", 1000, -time.Hour, ErrPostponing},
		{"before the close, to a later round", 1001, -time.Hour, nil},
		{"to the same round", 1000, 0, ErrPostponing},
		{"to an earlier round", 999, 0, ErrPostponing},
		{"ten minutes ahead", 1160, 10 * time.Minute, nil}, // due at 20m
		{"three seconds less", 1159, 10 * time.Minute, ErrPostponing},
		{"at the last moment", 1200, 12*time.Minute - time.Millisecond, nil},
		{"when the round is due", 1200, 12 * time.Minute, ErrRoundDue},
		{"before the phase opens", 1000 + (24*60-12)*20 - 1, 0, nil},
		{"when the phase opens", 1000 + (24*60-12)*20, 0, ErrPostponing},
		{"to no round", maxRound + 1, 0, ErrPostponing},
	} {
		var timing Timing
		require.ErrorIs(t, timing.Postpone(&terms, c.round, terms.at(c.after)), c.want, c.name)
		require.Equal(t, c.want == nil, len(timing.Postponed) == 1, c.name)
	}
	var timing Timing
	require.ErrorContains(t, timing.Postpone(&terms, 1159, terms.at(10*time.Minute)), "the first one 10m0s ahead is 1160")
	for i := range MaxPostponements {
		require.NoError(t, timing.Postpone(&terms, 1001+uint64(i), terms.at(0)))
	}
	require.ErrorIs(t, timing.Postpone(&terms, 2000, terms.at(0)), ErrPostponing)
	require.ErrorIs(t, timing.Postpone(&terms, 2000, Moment{Sale: terms.ClosesAt}), ErrMoment)
	terms.StandIn = true
	require.ErrorIs(t, new(Timing).Postpone(&terms, 2000, terms.at(0)), ErrPostponing)
}

// A postponed draw is decided by the last round, exported with every postponement, and verified.
func TestPostponedDraw(t *testing.T) {
	terms := honestTerms()
	later := terms.Chain.RoundTime(1000)
	terms.Round, terms.ClosesAt = 500, later.Add(-40*time.Minute)
	var timing Timing
	require.NoError(t, timing.Postpone(&terms, 900, terms.at(5*time.Minute)))
	require.NoError(t, timing.Postpone(&terms, 1000, terms.at(20*time.Minute)))
	timing.Frozen = terms.at(39 * time.Minute)
	entries := sealAs(t, []entry{{"ann", ""}, {"bob", "club"}}, []string{"club"})
	result, err := Run(entries, terms, timing, published(t, 1000))
	require.NoError(t, err)
	files := export(t, result)
	summary, err := Verify(files)
	require.NoError(t, err)
	require.Equal(t, timing, summary.Timing)
	require.EqualValues(t, 1000, summary.Timing.Round(&summary.Terms))
	require.Contains(t, string(files["draw.json"].Data),
		`{"round": 900, "round_at": "2023-08-23T15:54:24Z", "at": "2023-08-23T15:24:24.000Z"`)

	for _, c := range []fault{
		{"hidden", replace("draw.json", line(string(files["draw.json"].Data), `    {"round": 900`), ""), ErrRoundDue.Error()},
		{"undone", replace("terms.json", `"round": 500`, `"round": 1000`), ErrPostponing.Error()},
		{"too late", replace("draw.json", `"at": "2023-08-23T15:24`, `"at": "2023-08-23T15:36`), ErrRoundDue.Error()},
	} {
		c.check(t, export(t, result))
	}
	_, err = Run(entries, terms, timing, published(t, 123))
	require.ErrorIs(t, err, ErrOtherRound)
	timing.Frozen = terms.at(40 * time.Minute)
	_, err = Run(entries, terms, timing, published(t, 1000))
	require.ErrorIs(t, err, ErrLate)
}

// line returns the line of a text that begins so, with its line feed.
func line(text, start string) string {
	_, rest, _ := strings.Cut(text, start)
	rest, _, _ = strings.Cut(rest, "\n")
	return start + rest + "\n"
}
