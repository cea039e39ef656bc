package rules_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/rules"
)

// The detail of a refusal about phases names no phase that the request did not name without the reason, and describes
// which phase would accept the request, and when.
func TestDetailsDescribeWhichPhaseWouldBeRight(t *testing.T) {
	sale, err := catalog.Load("../spec/testdata/sale")
	require.NoError(t, err)
	b := rules.NewBook(sale, 17*time.Minute, rules.Pauses{}, 0)
	lines := func(sessions ...string) (all []rules.Line) {
		for _, session := range sessions {
			all = append(all, rules.Line{Session: session, Category: "A", Quantity: 1})
		}
		return all
	}
	uneven := lines("SWIM", "GALA")
	uneven[0].Quantity = 2
	for _, c := range []struct {
		at, phase string
		lines     []rules.Line
		code      rules.Code
		detail    string
	}{
		{at: "2024-01-01", lines: lines("SWIM"), code: rules.PhaseNotOpen,
			detail: "no phase is open; the next that sells the requested session, drawn, is open from " +
				"2024-02-15T10:00:00Z until 2024-02-25T10:00:00Z"},
		{at: "2024-01-01", lines: lines("LIST"), code: rules.PhaseNotOpen,
			detail: "no phase is open; the next, drawn, is open from 2024-02-15T10:00:00Z until " +
				"2024-02-25T10:00:00Z; no phase sells the requested session"},
		{at: "2024-01-01", lines: lines("SKI", "ATHL"), code: rules.PhaseNotOpen,
			detail: "no phase is open; the next, drawn, is open from 2024-02-15T10:00:00Z until " +
				"2024-02-25T10:00:00Z; no phase sells all requested sessions"},
		{at: "2024-09-01", lines: lines("SKI"), code: rules.PhaseNotOpen,
			detail: "no phase is open; the last that sells the requested session, snow, was open from " +
				"2024-05-01T10:00:00Z until 2024-08-01T10:00:00Z"},
		{at: "2024-01-01", phase: "late", lines: lines("SWIM"), code: rules.PhaseNotOpen,
			detail: "phase late is open from 2024-05-01T10:00:00Z until 2024-07-01T10:00:00Z"},
		{at: "2024-03-20", phase: "late", lines: lines("JUDO"), code: rules.PhaseNotOpen,
			detail: "phase late is open from 2024-05-01T10:00:00Z until 2024-07-01T10:00:00Z; phase early is open " +
				"and sells the requested session"},
		{at: "2024-03-20", phase: "later", lines: lines("JUDO"), code: rules.UnknownPhase,
			detail: `the sale has no phase "later"; phase early is open and sells the requested session`},
		{at: "2024-09-20", phase: "later", lines: lines("JUDO"), code: rules.UnknownPhase,
			detail: `the sale has no phase "later"`},
		{at: "2024-02-20", lines: lines("SWIM", "JUDO"), code: rules.NoAccessSlot,
			detail: "phase drawn, which was chosen because it is open and sells all requested sessions, requires an " +
				"access slot, and the account has none; phase packs sells all requested sessions from " +
				"2024-03-01T10:00:00Z"},
		{at: "2024-02-20", lines: lines("SKI"), code: rules.NoAccessSlot,
			detail: "phase drawn, the first open one, requires an access slot, and the account has none; no open " +
				"phase sells the requested session; phase snow sells the requested session from " +
				"2024-05-01T10:00:00Z"},
		{at: "2024-02-20", lines: lines("LIST"), code: rules.NoAccessSlot,
			detail: "phase drawn, the first open one, requires an access slot, and the account has none; no open " +
				"phase sells the requested session"},
		{at: "2024-02-20", phase: "drawn", lines: lines("SWIM"), code: rules.NoAccessSlot,
			detail: "phase drawn requires an access slot, and the account has none; phase late sells the requested " +
				"session from 2024-05-01T10:00:00Z"},
		{at: "2024-03-10", lines: lines("SWIM"), code: rules.PackShape,
			detail: "phase packs, which was chosen because it is open and sells the requested session, takes packs " +
				"of exactly 2 different sessions; the request has 1; phase late sells the requested session from " +
				"2024-05-01T10:00:00Z"},
		{at: "2024-03-10", phase: "packs", lines: lines("SWIM", "JUDO", "ATHL"), code: rules.PackShape,
			detail: "phase packs takes packs of exactly 2 different sessions; the request has 3; phase late sells " +
				"all requested sessions from 2024-05-01T10:00:00Z"},
		{at: "2024-10-10", lines: uneven, code: rules.PackShape,
			detail: "phase equal, which was chosen because it is open and sells all requested sessions, takes packs with " +
				"equally many tickets for each of their 2 sessions; the request has different numbers; phase loose " +
				"sells all requested sessions from 2024-10-15T10:00:00Z"},
		{at: "2024-10-10", phase: "loose", lines: uneven, code: rules.PhaseNotOpen,
			detail: "phase loose is open from 2024-10-15T10:00:00Z until 2024-11-01T10:00:00Z"},
		{at: "2024-10-10", phase: "loose", lines: lines("SWIM", "GALA"), code: rules.PhaseNotOpen,
			detail: "phase loose is open from 2024-10-15T10:00:00Z until 2024-11-01T10:00:00Z; phase equal is open " +
				"and sells all requested sessions"},
		{at: "2024-10-20", phase: "equal", lines: uneven, code: rules.PackShape,
			detail: "phase equal takes packs with equally many tickets for each of their 2 sessions; the request has " +
				"different numbers; phase loose is open and sells all requested sessions"},
		{at: "2024-10-20", lines: lines("SWIM", "GALA"), code: rules.PhaseRequired,
			detail: `phases equal, loose are open and fit; name one of them in "phase"`},
		{at: "2024-03-20", lines: lines("JUDO", "ATHL"), code: rules.PhaseRequired,
			detail: `phases packs, early are open and fit; name one of them in "phase"`},
		{at: "2024-03-20", lines: lines("SKI"), code: rules.NotOnSale,
			detail: "no open phase sells the requested session; phase snow sells it from 2024-05-01T10:00:00Z"},
		{at: "2024-04-10", lines: lines("SWIM"), code: rules.NotOnSale,
			detail: "no open phase sells the requested session; phase late sells it from 2024-05-01T10:00:00Z"},
		{at: "2024-04-10", lines: lines("SWIM", "GALA"), code: rules.NotOnSale,
			detail: "no open phase sells all requested sessions; phase late sells them from 2024-05-01T10:00:00Z"},
		{at: "2024-04-10", lines: lines("SURF"), code: rules.NotOnSale,
			detail: "no phase sells session SURF"},
		{at: "2024-04-10", phase: "early", lines: lines("SWIM"), code: rules.NotOnSale,
			detail: "phase early does not sell session SWIM; phase late sells session SWIM from 2024-05-01T10:00:00Z"},
		{at: "2024-05-10", phase: "snow", lines: lines("SWIM"), code: rules.NotOnSale,
			detail: "phase snow does not sell session SWIM; phase late is open and sells session SWIM"},
		{at: "2024-05-10", lines: lines("SKI", "ATHL"), code: rules.NotOnSale,
			detail: "no phase sells all requested sessions together; phase snow is open and sells session SKI"},
		{at: "2024-05-10", lines: lines("LIST"), code: rules.NotOnSale,
			detail: "session LIST is listed without tickets; no phase sells it"},
		{at: "2024-07-10", lines: lines("ATHL"), code: rules.NotOnSale,
			detail: "no open phase sells the requested session; phase late sold it until 2024-07-01T10:00:00Z"},
		{at: "2024-07-01", lines: lines("ATHL", "SWIM"), code: rules.SalesEnded,
			detail: "sales of session ATHL ended at 2024-06-30T10:00:00Z"},
		{at: "2024-07-01", phase: "packs", lines: lines("ATHL", "SWIM"), code: rules.PhaseNotOpen,
			detail: "phase packs was open from 2024-03-01T10:00:00Z until 2024-04-01T10:00:00Z"},
		{at: "2024-07-01", phase: "packs", lines: lines("JUDO", "SWIM"), code: rules.PhaseNotOpen,
			detail: "phase packs was open from 2024-03-01T10:00:00Z until 2024-04-01T10:00:00Z; phases late, extra are " +
				"open and sell all requested sessions"},
		{at: "2024-05-10", lines: []rules.Line{{Session: "SWIM", Category: "Z", Quantity: 1}}, code: rules.UnknownCategory,
			detail: `session SWIM has no price category "Z"; it has A, B`},
	} {
		at, err := time.Parse("2006-01-02", c.at)
		require.NoError(t, err)
		q := rules.Request{Account: "ann", Phase: c.phase, Lines: c.lines}
		var refusal rules.Refusal
		require.NoError(t, b.CheckShape(&q, &refusal))
		_, err = b.Judge(&q, b.Resolve(q.Lines, nil), rules.Facts{Now: at.UnixMilli(), Slot: noSlots}, &refusal)
		require.ErrorIs(t, err, &refusal, "%+v", c)
		require.Equal(t, c.code, refusal.Code, refusal.Detail())
		require.Equal(t, c.detail, refusal.Detail())
	}
}

func noSlots(string, int) (opens, closes time.Time, won bool) { return opens, closes, false }
