package rules_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/inventory"
	"github.com/seathold/seathold/engine/rules"
)

// Of several rules that a request breaks, the first in the order of the contract is reported: shape, phase, access,
// what is on sale, pack shape. The request here breaks all of them, and is mended one rule at a time. Neither a refusal
// nor a pass allocates anything.
func TestTheFirstBrokenRuleIsReported(t *testing.T) {
	sale, err := catalog.Load("../spec/testdata/sale")
	require.NoError(t, err)
	now := time.Date(2024, 2, 20, 0, 0, 0, 0, time.UTC)
	swim, _ := sale.SessionByID("SWIM")
	sale.Sessions[swim].SalesEndAt = now
	b := rules.NewBook(sale, time.Hour, rules.Pauses{}, 0)
	slot := noSlots
	won := func(from time.Duration) func() {
		return func() {
			slot = func(string, int) (opens, closes time.Time, won bool) {
				return now.Add(from), now.Add(from + 48*time.Hour), true
			}
		}
	}
	q := rules.Request{Account: "a n n", Phase: "later", TTL: 2 * time.Hour, Lines: []rules.Line{
		{Session: "SKI", Category: "A", Quantity: 1}, {Session: "SWIM", Category: "A"},
		{Session: "GONE", Category: "A", Quantity: 1}}}
	lines, refusal := make([]inventory.Line, 0, inventory.MaxLines), rules.Refusal{}
	judge := func() rules.Code {
		if b.CheckShape(&q, &refusal) != nil {
			return refusal.Code
		}
		f := rules.Facts{Now: now.UnixMilli(), Slot: slot}
		if _, err := b.Judge(&q, b.Resolve(q.Lines, lines), f, &refusal); err != nil {
			return refusal.Code
		}
		return ""
	}
	for i, step := range []struct {
		code rules.Code
		mend func()
	}{
		{rules.MalformedRequest, func() { q.Account = "ann" }},
		{rules.InvalidQuantity, func() { q.Lines[1].Quantity = 1 }},
		{rules.MalformedRequest, func() { q.TTL = 0 }},
		{rules.UnknownPhase, func() { q.Phase = "packs" }},
		{rules.PhaseNotOpen, func() { q.Phase = "drawn" }},
		{rules.NoAccessSlot, won(time.Hour)},
		{rules.SlotNotOpen, won(-48 * time.Hour)},
		{rules.SlotEnded, won(-47 * time.Hour)},
		{rules.NotOnSale, func() { q.Lines = q.Lines[1:] }},
		{rules.SalesEnded, func() {
			sale.Sessions[swim].SalesEndAt = now.Add(time.Millisecond)
			b = rules.NewBook(sale, time.Hour, rules.Pauses{}, 0)
		}},
		{rules.UnknownSession, func() { q.Lines[1].Session = "LIST" }},
		{rules.NotOnSale, func() { q.Lines[1] = rules.Line{Session: "JUDO", Category: "Z", Quantity: 1} }},
		{rules.UnknownCategory, func() { q.Lines = q.Lines[:1] }},
		{rules.PackShape, func() { q.Lines = append(q.Lines, rules.Line{Session: "ATHL", Category: "A", Quantity: 1}) }},
		{"", func() {}},
	} {
		require.Equal(t, step.code, judge(), "step %d", i)
		require.Zero(t, testing.AllocsPerRun(20, func() { judge() }), "step %d, %s", i, step.code)
		step.mend()
	}
}

// A phase may require equally many tickets for each session of a pack, over all its categories. A request that does not
// name a phase gets another one if that alone takes its quantities.
func TestEqualPacks(t *testing.T) {
	sale, err := catalog.Load("../spec/testdata/sale")
	require.NoError(t, err)
	b := rules.NewBook(sale, time.Hour, rules.Pauses{}, 0)
	twice := append(lines("SWIM", 1, "GALA", 2), rules.Line{Session: "SWIM", Category: "B", Quantity: 1})
	for _, c := range []struct {
		phase string
		day   int
		lines []rules.Line
		code  rules.Code
		chose string
	}{
		{"equal", 10, lines("SWIM", 2, "GALA", 2), "", "equal"},
		{"equal", 10, lines("SWIM", 2, "GALA", 1), rules.PackShape, ""},
		{"equal", 10, twice, "", "equal"},
		{"", 10, lines("SWIM", 2, "GALA", 1), rules.PackShape, ""},
		{"", 20, lines("SWIM", 2, "GALA", 1), "", "loose"},
	} {
		q := rules.Request{Account: "ann", Phase: c.phase, Lines: c.lines}
		f := rules.Facts{Now: time.Date(2024, 10, c.day, 12, 0, 0, 0, time.UTC).UnixMilli(), Slot: noSlots}
		var refusal rules.Refusal
		phase, err := b.Judge(&q, b.Resolve(q.Lines, nil), f, &refusal)
		require.Equal(t, c.code, refusal.Code, "%+v", c)
		if c.code != "" {
			require.Equal(t, []int{2, 2}, []int{refusal.Limit, refusal.Requested}, "the number of sessions is right")
			continue
		}
		require.NoError(t, err)
		require.Equal(t, c.chose, sale.Phases[phase].ID)
	}
}

// An expired reservation of a session whose sales have ended is refused for that, even if a phase that its request did
// not name would refuse it for something else. A session without an end is sold as long as a phase sells it.
func TestNothingIsTakenAgainAfterTheEndOfSales(t *testing.T) {
	sale, err := catalog.Load("../spec/testdata/sale")
	require.NoError(t, err)
	late, _ := sale.PhaseByID("late")
	extra, _ := sale.PhaseByID("extra")
	sale.Phases[late].Kind, sale.Phases[late].PackSessions = catalog.Pack, 3 // so that extra alone has the shape
	sale.Phases[extra].Access = catalog.Slots
	f := rules.Facts{Now: time.Date(2024, 6, 30, 10, 0, 0, 0, time.UTC).UnixMilli(), Slot: noSlots}
	for _, c := range []struct {
		sessions []any
		named    bool
		code     rules.Code
	}{
		{[]any{"ATHL", 1}, false, rules.SalesEnded},
		{[]any{"ATHL", 1}, true, rules.SalesEnded},
		{[]any{"SWIM", 1, "ATHL", 1}, false, rules.SalesEnded},
		{[]any{"SWIM", 1}, true, rules.PackShape},
		{[]any{"SWIM", 1}, false, rules.NoAccessSlot},
	} {
		b := rules.NewBook(sale, time.Hour, rules.Pauses{}, 0)
		var refusal rules.Refusal
		has := b.Resolve(lines(c.sessions...), nil)
		_, err := b.JudgeAgain("ann", late, c.named, has.Pools, f, &refusal)
		require.Equal(t, c.code, refusal.Code, "%+v", c)
		require.Error(t, err)
		if c.code == rules.SalesEnded {
			require.Equal(t, "sales of session ATHL ended at 2024-06-30T10:00:00Z", refusal.Detail())
		}
	}
	athl, _ := sale.SessionByID("ATHL")
	sale.Sessions[athl].SalesEndAt = time.Time{}
	b := rules.NewBook(sale, time.Hour, rules.Pauses{}, 0)
	pack := b.Resolve(lines("ATHL", 1, "SWIM", 1, "JUDO", 1), nil)
	_, err = b.JudgeAgain("ann", late, true, pack.Pools, f, &rules.Refusal{})
	require.NoError(t, err)
}

// A reduction keeps some of the lines, each with no more tickets. A pack keeps all its sessions, and equally many
// tickets for each if it had so.
func TestWhatAReductionMayKeep(t *testing.T) {
	sale, err := catalog.Load("../spec/testdata/sale")
	require.NoError(t, err)
	b := rules.NewBook(sale, time.Hour, rules.Pauses{}, 0)
	even, uneven := lines("SWIM", 2, "ATHL", 2), lines("SWIM", 2, "ATHL", 3)
	for _, c := range []struct {
		phase     string
		has, keep []rules.Line
		code      rules.Code
	}{
		{"late", even, even, ""},
		{"late", even, lines("ATHL", 1), ""},
		{"late", even, lines("ATHL", 3), rules.NotAReduction},
		{"late", even, lines("JUDO", 1), rules.NotAReduction},
		{"late", even, lines("GONE", 1), rules.UnknownSession},
		{"late", even, lines("LIST", 1), rules.UnknownCategory},
		{"packs", even, lines("ATHL", 1, "SWIM", 1), ""},
		{"packs", even, lines("ATHL", 1), rules.PackShape},
		{"packs", even, lines("ATHL", 1, "SWIM", 2), rules.PackShape},
		{"packs", uneven, lines("ATHL", 1, "SWIM", 2), ""},
		{"packs", uneven, lines("ATHL", 3), rules.PackShape},
	} {
		phase, _ := sale.PhaseByID(c.phase)
		var refusal rules.Refusal
		has := b.Resolve(c.has, nil)
		kept, err := b.Keep(c.keep, phase, has.Pools, nil, &refusal)
		require.Equal(t, c.code, refusal.Code, "%+v", c)
		if c.code != "" {
			require.Same(t, &refusal, err)
			continue
		}
		require.NoError(t, err)
		require.True(t, kept.Equal(b.Resolve(c.keep, nil).Pools))
		require.True(t, has.Covers(kept.Pools))
	}
}

// lines makes lines of sessions and quantities in turn.
func lines(pairs ...any) (all []rules.Line) {
	for i := 0; i < len(pairs); i += 2 {
		all = append(all, rules.Line{Session: pairs[i].(string), Category: "A", Quantity: pairs[i+1].(int)})
	}
	return all
}
