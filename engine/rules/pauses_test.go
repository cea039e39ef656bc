package rules_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/rules"
)

// A change of pauses leaves the earlier ones as they are, and the same things paused are equal, whatever came before.
func TestPausesAreImmutable(t *testing.T) {
	var none rules.Pauses
	one := none.WithSession(200, true).WithPhase(63, true)
	two := one.WithSession(3, true).WithSale(true)
	require.Equal(t, []int{200}, one.Sessions())
	require.Equal(t, []int{63}, one.Phases())
	require.False(t, one.Sale())
	require.Equal(t, []int{3, 200}, two.Sessions())
	require.True(t, two.Sale() && two.Phase(63) && two.Session(3) && two.Session(200))
	require.False(t, two.Phase(62) || two.Session(199) || two.Session(59_999))
	require.False(t, two.Equal(one))
	require.True(t, two.WithSession(3, false).WithSale(false).Equal(one))
	require.True(t, one.WithSession(200, false).WithPhase(63, false).Equal(none))
	require.Zero(t, testing.AllocsPerRun(20, func() { _ = two.Sale() && two.Phase(1) && two.Session(300) }))
}

// A pause refuses what the phase and the access let pass, before it is judged what is on sale, unless that outlasts it.
// The phase is chosen as if nothing were paused. No detail offers what is paused.
func TestPausesStopWhatIsNew(t *testing.T) {
	sale, err := catalog.Load("../spec/testdata/sale")
	require.NoError(t, err)
	phase := func(ids ...string) (p rules.Pauses) {
		for _, id := range ids {
			i, _ := sale.PhaseByID(id)
			p = p.WithPhase(i, true)
		}
		return p
	}
	swim, _ := sale.SessionByID("SWIM")
	session := rules.Pauses{}.WithSession(swim, true)
	all := rules.Pauses{}.WithSale(true)
	const listed = "session LIST is listed without tickets; no phase sells it"
	const unsold = "phase late does not sell session SURF; no phase sells session SURF"
	const retry = "is paused; retry later, with the same id"
	for _, c := range []struct {
		paused    rules.Pauses
		at, phase string
		lines     []rules.Line
		code      rules.Code
		fact      string
		detail    string
	}{
		{all, "2024-05-10", "late", lines("SWIM", 1), rules.Paused, "late", "the sale " + retry},
		{all, "2024-05-10", "", lines("SWIM", 1), rules.Paused, "late", "the sale " + retry},
		{all, "2024-03-20", "later", lines("JUDO", 1), rules.UnknownPhase, "later", `the sale has no phase "later"`},
		{phase("late"), "2024-05-10", "", lines("SWIM", 1), rules.Paused, "late",
			"phase late " + retry + "; phase extra sells the requested session from 2024-06-01T10:00:00Z"},
		{phase("late"), "2024-06-10", "late", lines("SWIM", 1), rules.Paused, "late",
			"phase late " + retry + "; phase extra is open and sells the requested session"},
		{phase("late"), "2024-05-10", "late", lines("LIST", 1), rules.NotOnSale, "", listed},
		{all, "2024-05-10", "late", lines("SURF", 1), rules.NotOnSale, "late", unsold},
		{session, "2024-05-10", "late", lines("SWIM", 1, "SURF", 1), rules.NotOnSale, "late", unsold},
		{all, "2024-06-30", "late", lines("ATHL", 1), rules.SalesEnded, "",
			"sales of session ATHL ended at 2024-06-30T10:00:00Z"},
		{phase("late"), "2024-03-20", "late", lines("JUDO", 1), rules.PhaseNotOpen, "late",
			"phase late is open from 2024-05-01T10:00:00Z until 2024-07-01T10:00:00Z; phase early is open and sells the " +
				"requested session"},
		{phase("early"), "2024-03-20", "later", lines("JUDO", 1), rules.UnknownPhase, "later",
			`the sale has no phase "later"; phase late sells the requested session from 2024-05-01T10:00:00Z`},
		{phase("late"), "2024-04-10", "early", lines("SWIM", 1), rules.NotOnSale, "early",
			"phase early does not sell session SWIM; phase extra sells session SWIM from 2024-06-01T10:00:00Z"},
		{phase("equal"), "2024-10-20", "", lines("SWIM", 1, "GALA", 1), rules.PhaseRequired, "",
			`phase loose is open and fits; name it in "phase"`},
		{phase("equal", "loose"), "2024-10-20", "", lines("SWIM", 1, "GALA", 1), rules.PhaseRequired, "",
			"what was requested " + retry},
		{session, "2024-05-10", "", lines("ATHL", 1, "SWIM", 1), rules.Paused, "", "the sale of session SWIM " + retry},
		{session, "2024-05-10", "", lines("SWIM", 1, "LIST", 1), rules.NotOnSale, "", listed},
		{session, "2024-03-20", "early", lines("SWIM", 1), rules.Paused, "", "the sale of session SWIM " + retry},
		{session, "2024-03-20", "later", lines("SWIM", 1), rules.UnknownPhase, "later", `the sale has no phase "later"`},
		{session, "2024-05-10", "", lines("ATHL", 1), "", "", ""},
		{phase("early"), "2024-05-10", "", lines("ATHL", 1), "", "", ""},
	} {
		b := rules.NewBook(sale, time.Hour, c.paused, 7)
		at, err := time.Parse("2006-01-02", c.at)
		require.NoError(t, err)
		f := rules.Facts{Now: at.UnixMilli() + 12*3600*1000, Slot: noSlots}
		q := rules.Request{Account: "ann", Phase: c.phase, Lines: c.lines}
		var refusal rules.Refusal
		has := b.Resolve(q.Lines, nil)
		_, err = b.Judge(&q, has, f, &refusal)
		require.Equal(t, c.code, refusal.Code, "%+v: %v", c, err)
		if c.code == "" {
			require.NoError(t, err)
			continue
		}
		require.Equal(t, c.detail, refusal.Detail())
		require.Equal(t, c.fact, refusal.Phase)
		if c.code == rules.Paused && refusal.Phase == "" {
			require.Equal(t, "SWIM", refusal.Session)
		}
		dst := slices.Clone(has.Pools)
		require.Zero(t, testing.AllocsPerRun(20, func() { b.Judge(&q, b.Resolve(q.Lines, dst[:0]), f, &refusal) }))
	}
}

// What is paused is not taken again after its expiry, even if another phase sells it and the request named none.
func TestNothingPausedIsTakenAgain(t *testing.T) {
	sale, err := catalog.Load("../spec/testdata/sale")
	require.NoError(t, err)
	late, _ := sale.PhaseByID("late")
	f := rules.Facts{Now: time.Date(2024, 7, 1, 0, 0, 0, 0, time.UTC).UnixMilli(), Slot: noSlots}
	for _, named := range []bool{false, true} {
		b := rules.NewBook(sale, time.Hour, rules.Pauses{}.WithPhase(late, true), 0)
		var refusal rules.Refusal
		has := b.Resolve(lines("SWIM", 1), nil)
		_, err = b.JudgeAgain("ann", late, named, has.Pools, f, &refusal)
		require.Error(t, err)
		require.Equal(t, rules.Paused, refusal.Code)
		require.Equal(t, "late", refusal.Phase)
	}
}
