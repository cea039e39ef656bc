package rules_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/inventory"
	"github.com/seathold/seathold/engine/rules"
)

// A book between two others passes a request exactly if both pass it in the same phase, and its sessions stay in their
// programmes; likewise what is taken again. A reduction keeps what both keep. All else is Changing. Nothing allocates.
func TestBetweenPassesWhatBothPass(t *testing.T) {
	passed, differ := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		oldSale := drawSale(t, nil)
		nextSale := drawSale(t, oldSale)
		old := rules.NewBook(oldSale, time.Hour, drawPauses(t, oldSale), 3)
		next := rules.NewBook(nextSale, time.Hour, drawPauses(t, oldSale), 9)
		between := rules.Between(old, next)
		require.True(t, between.Changes())
		require.False(t, next.Changes())
		for range 20 {
			f := rules.Facts{Now: changeDay.UnixMilli() + int64(below(t, 12, "now"))*1000, Slot: noSlots}
			q := rules.Request{Account: "ann", Lines: drawLines(t, nextSale)}
			if below(t, 3, "named") > 0 {
				q.Phase = nextSale.Phases[below(t, len(nextSale.Phases), "phase")].ID
			}
			judge := func(b *rules.Book) (string, rules.Code) {
				var refusal rules.Refusal
				phase, err := b.Judge(&q, b.Resolve(q.Lines, nil), f, &refusal)
				return outcome(phase, err), refusal.Code
			}
			before, _ := judge(old)
			after, _ := judge(next)
			found, code := judge(between)
			if before == after && before != "" && stays(old, next, before, old.Resolve(q.Lines, nil).Pools) {
				passed++
				require.Equal(t, before, found)
			} else {
				require.Equal(t, rules.Changing, code)
			}
			if before != after {
				differ++
			}
			dst, refusal := make([]inventory.Line, 0, inventory.MaxLines), rules.Refusal{}
			require.Zero(t, testing.AllocsPerRun(1, func() {
				between.Judge(&q, between.Resolve(q.Lines, dst), f, &refusal)
			}))
		}
		checkChanges(t, old, next, between)
	})
	require.NotZero(t, passed)
	require.NotZero(t, differ)
}

// checkChanges compares the books on reservations that exist already.
func checkChanges(t *rapid.T, old, next, between *rules.Book) {
	for range 10 {
		has := drawHas(t, old.Sale)
		phase, named := below(t, len(old.Sale.Phases), "phase"), below(t, 2, "named") == 1
		f := rules.Facts{Now: changeDay.UnixMilli() + int64(below(t, 12, "now"))*1000, Slot: noSlots}
		again := func(b *rules.Book) (string, rules.Code) {
			var refusal rules.Refusal
			found, err := b.JudgeAgain("ann", phase, named, has, f, &refusal)
			return outcome(found, err), refusal.Code
		}
		keep := drawLines(t, old.Sale)
		reduce := func(b *rules.Book) (string, rules.Code) {
			var refusal rules.Refusal
			kept, err := b.Keep(keep, phase, has, nil, &refusal)
			if err != nil {
				return "", refusal.Code
			}
			return fmt.Sprint(kept.Pools), ""
		}
		for i, call := range []func(b *rules.Book) (string, rules.Code){again, reduce} {
			before, _ := call(old)
			after, _ := call(next)
			found, code := call(between)
			if before == after && before != "" && (i == 1 || stays(old, next, before, has)) {
				require.Equal(t, before, found)
			} else {
				require.Equal(t, rules.Changing, code)
			}
		}
	}
	for pool := range old.Sale.Pools {
		lines := []inventory.Line{{Pool: uint32(pool), Quantity: 1}}
		before, _ := old.WithholdsReturned(lines)
		after, alike := next.WithholdsReturned(lines)
		require.True(t, alike)
		found, alike := between.WithholdsReturned(lines)
		require.Equal(t, before, found)
		require.Equal(t, before == after, alike)
	}
	for i, limit := range between.Limits().Sessions[:len(old.Sale.Sessions)] {
		require.Equal(t, min(old.Sale.Sessions[i].Limit, next.Sale.Sessions[i].Limit), limit)
	}
	for i, limit := range between.Limits().Caps[:len(old.Sale.Programmes)] {
		require.Equal(t, min(old.Sale.Programmes[i].AccountCap, next.Sale.Programmes[i].AccountCap), limit)
	}
	require.Len(t, between.Limits().Sessions, len(next.Sale.Sessions))
}

// stays reports whether the sessions of the lines have the same programme in both books, and the phase that judged them
// gets places of none.
func stays(old, next *rules.Book, judged string, lines []inventory.Line) bool {
	phase := 0
	fmt.Sscanf(judged, "phase %d", &phase)
	return !gains(old, next, phase, lines) && !slices.ContainsFunc(lines, func(l inventory.Line) bool {
		session := old.Sale.Pools[l.Pool].Session
		return old.Sale.Sessions[session].Programme != next.Sale.Sessions[session].Programme
	})
}

// gains reports whether only the next book has places of a session of the lines in a phase.
func gains(old, next *rules.Book, phase int, lines []inventory.Line) bool {
	return slices.ContainsFunc(lines, func(l inventory.Line) bool {
		of := func(q catalog.Quota) bool { return q.Phase == phase && q.Session == next.Sale.Pools[l.Pool].Session }
		return slices.ContainsFunc(next.Sale.Quotas, of) && !slices.ContainsFunc(old.Sale.Quotas, of)
	})
}

// A book between two others lets no row be made where the next one has places for the first time, also of what only
// that one has. Other books let all be made.
func TestGains(t *testing.T) {
	gained := 0
	rapid.Check(t, func(t *rapid.T) {
		oldSale := drawSale(t, nil)
		nextSale := drawSale(t, oldSale)
		old := rules.NewBook(oldSale, time.Hour, rules.Pauses{}, 3)
		next := rules.NewBook(nextSale, time.Hour, rules.Pauses{}, 9)
		between := rules.Between(old, next)
		for range 20 {
			has, phase := drawHas(t, nextSale), below(t, len(nextSale.Phases), "phase")
			require.Equal(t, gains(old, next, phase, has), between.Gains(phase, has))
			require.False(t, old.Gains(0, has[:0]) || next.Gains(phase, has))
			if between.Gains(phase, has) {
				gained++
			}
		}
	})
	require.NotZero(t, gained)
}

// What is removed is not sold any more, and stays with those that have it.
func TestNothingRemovedIsSold(t *testing.T) {
	day := func(n int) time.Time { return changeDay.AddDate(0, 0, n) }
	sale, err := catalog.Assemble(catalog.Sale{
		Programmes: []catalog.Programme{{ID: "p", AccountCap: 9}},
		Sessions: []catalog.Session{{ID: "S", Limit: 9, OnSale: true}, {ID: "R", Limit: 9, Removed: true},
			{ID: "T", Limit: 9, OnSale: true}},
		Pools: []catalog.Pool{{Session: 0, Category: "A", Capacity: 9, Removed: true},
			{Session: 1, Category: "A", Capacity: 9}, {Session: 0, Category: "B", Capacity: 9},
			{Session: 2, Category: "A", Capacity: 9}},
		Phases: []catalog.Phase{{ID: "gone", OpensAt: day(-9), ClosesAt: day(9), Removed: true},
			{ID: "open", OpensAt: day(-1), ClosesAt: day(1)}},
	}, [][]bool{{false, false, false}, {true, false, true}})
	require.NoError(t, err)
	b := rules.NewBook(sale, time.Hour, rules.Pauses{}, 0)
	require.False(t, b.PhaseOpen(0, changeDay.UnixMilli()))
	f := rules.Facts{Now: changeDay.UnixMilli(), Slot: noSlots}
	two := []rules.Line{{Session: "T", Category: "A", Quantity: 1}, {Session: "S", Category: "A", Quantity: 1}}
	for _, c := range []struct {
		phase  string
		lines  []rules.Line
		at     time.Time
		detail string
	}{
		{"", two, changeDay, `session S has no price category "A"; it has B`},
		{"gone", two[:1], changeDay,
			`the sale has no phase "gone"; phase open is open and sells the requested session`},
		{"", []rules.Line{{Session: "R", Category: "A", Quantity: 1}}, changeDay, "no phase sells session R"},
		{"", two[:1], day(2), "no phase is open; the last that sells the requested session, open, was open from " +
			"2024-06-09T12:00:00Z until 2024-06-11T12:00:00Z"},
		{"", []rules.Line{{Session: "R", Category: "A", Quantity: 1}}, day(-5), "no phase is open; the next, open, is open " +
			"from 2024-06-09T12:00:00Z until 2024-06-11T12:00:00Z; no phase sells the requested session"},
	} {
		q, refusal := rules.Request{Account: "ann", Phase: c.phase, Lines: c.lines}, rules.Refusal{}
		lines := b.Resolve(q.Lines, nil)
		require.True(t, lines.Known(), "a repeat finds what its first request has taken (I9)")
		_, err := b.Judge(&q, lines, rules.Facts{Now: c.at.UnixMilli(), Slot: noSlots}, &refusal)
		require.Error(t, err)
		require.Equal(t, c.detail, refusal.Detail())
	}
	var refusal rules.Refusal
	has := b.Resolve(two, nil).Pools
	_, err = b.JudgeAgain("ann", 0, false, has, f, &refusal)
	require.Error(t, err)
	require.Equal(t, `session S has no price category "A"; it has B`, refusal.Detail())
	_, err = b.JudgeAgain("ann", 0, true, has[:1], f, &refusal)
	require.Error(t, err)
	require.Equal(t, rules.UnknownPhase, refusal.Code)
	kept, err := b.Keep(two[1:], 0, has, nil, &refusal)
	require.NoError(t, err)
	require.Equal(t, has[1:], kept.Pools)
}

var changeDay = time.Date(2024, 6, 10, 12, 0, 0, 0, time.UTC)

func below(t *rapid.T, n int, label string) int { return rapid.IntRange(0, n-1).Draw(t, label) }

func outcome(phase int, err error) string {
	if err != nil {
		return ""
	}
	return fmt.Sprint("phase ", phase)
}

// drawSale returns a sale, or one that follows another: the same numbers, some of them removed, and perhaps new ones.
func drawSale(t *rapid.T, was *catalog.Sale) *catalog.Sale {
	s := catalog.Sale{Programmes: []catalog.Programme{{ID: "p"}, {ID: "q"}}}
	sessions, phases := 3, 3
	if was != nil {
		s.Pools = slices.Clone(was.Pools)
		sessions, phases = sessions+below(t, 2, "sessions"), phases+below(t, 2, "phases")
	}
	for i := range s.Programmes {
		s.Programmes[i].AccountCap = 1 + below(t, 9, "cap")
		s.Programmes[i].WithholdReturned = below(t, 2, "withhold") == 1
	}
	for i := range sessions {
		x := catalog.Session{ID: fmt.Sprint("S", i), Programme: i % 2, Limit: 1 + below(t, 9, "limit"), OnSale: true}
		x.Removed = was != nil && below(t, 6, "removed") == 0
		if was != nil && below(t, 8, "moves") == 0 {
			x.Programme = 1 - x.Programme
		}
		if below(t, 4, "ends") == 0 {
			x.SalesEndAt = changeDay.Add(time.Duration(below(t, 12, "end")) * time.Second)
		}
		s.Sessions = append(s.Sessions, x)
		for _, category := range []string{"A", "B", "C"} {
			known := slices.IndexFunc(s.Pools, func(p catalog.Pool) bool { return p.Session == i && p.Category == category })
			switch {
			case known >= 0:
				s.Pools[known].Removed = below(t, 6, "removed") == 0
			case category != "C" || was != nil && below(t, 3, "new") == 0:
				s.Pools = append(s.Pools, catalog.Pool{Session: i, Category: category, Capacity: 9})
			}
		}
	}
	sells := make([][]bool, phases)
	for i := range phases {
		opens := changeDay.Add(time.Duration(below(t, 8, "opens")-2) * time.Second)
		p := catalog.Phase{ID: fmt.Sprint("f", i), Programme: below(t, 3, "programme") / 2, OpensAt: opens,
			ClosesAt: opens.Add(time.Duration(4+below(t, 12, "lasts")) * time.Second), Draw: -1}
		p.Removed = was != nil && i > 0 && below(t, 6, "removed") == 0 // every definition has a phase
		if below(t, 3, "pack") == 0 {
			p.Kind, p.PackSessions, p.PackEqual = catalog.Pack, 2, below(t, 2, "equal") == 1
		}
		sells[i] = make([]bool, sessions)
		for j := range sells[i] {
			x := &s.Sessions[j]
			sells[i][j] = !p.Removed && !x.Removed && x.Programme == p.Programme && below(t, 5, "sells") > 0
		}
		s.Phases = append(s.Phases, p)
	}
	drawQuotas(t, &s, was)
	sale, err := catalog.Assemble(s, sells)
	require.NoError(t, err)
	return sale
}

// drawQuotas gives phases places of some sessions. Those that were there keep their numbers.
func drawQuotas(t *rapid.T, s, was *catalog.Sale) {
	if was != nil {
		s.Quotas = slices.Clone(was.Quotas)
	}
	for i := range s.Quotas {
		s.Quotas[i].Removed = below(t, 3, "unbounded") == 0
	}
	for phase := range s.Phases {
		for session := range s.Sessions {
			of := func(q catalog.Quota) bool { return q.Phase == phase && q.Session == session }
			if below(t, 8, "bounded") == 5 && !slices.ContainsFunc(s.Quotas, of) {
				s.Quotas = append(s.Quotas, catalog.Quota{Phase: phase, Session: session, Places: 1 + below(t, 9, "places")})
			}
		}
	}
	for i := range s.Quotas {
		q := &s.Quotas[i]
		q.Removed = q.Removed || s.Phases[q.Phase].Removed || s.Sessions[q.Session].Removed
	}
}

func drawPauses(t *rapid.T, sale *catalog.Sale) (p rules.Pauses) {
	switch below(t, 10, "pause") {
	case 0:
		return p.WithSale(true)
	case 1:
		return p.WithPhase(below(t, len(sale.Phases), "paused"), true)
	case 2:
		return p.WithSession(below(t, len(sale.Sessions), "paused"), true)
	}
	return p
}

func drawLines(t *rapid.T, sale *catalog.Sale) []rules.Line {
	var all []rules.Line
	for _, l := range drawHas(t, sale) {
		p := &sale.Pools[l.Pool]
		all = append(all, rules.Line{Session: sale.Sessions[p.Session].ID, Category: p.Category, Quantity: int(l.Quantity)})
	}
	return all
}

// drawHas draws one or two lines, mostly of sessions of one programme.
func drawHas(t *rapid.T, sale *catalog.Sale) []inventory.Line {
	first := below(t, len(sale.Pools), "pool")
	all := []inventory.Line{{Pool: uint32(first), Quantity: uint32(1 + below(t, 2, "quantity"))}}
	var others []int
	programme := func(pool int) int { return sale.Sessions[sale.Pools[pool].Session].Programme }
	for i := range sale.Pools {
		if i != first && programme(i) == programme(first) {
			others = append(others, i)
		}
	}
	if below(t, 3, "lines") > 0 {
		pool := others[below(t, len(others), "pool")]
		all = append(all, inventory.Line{Pool: uint32(pool), Quantity: uint32(1 + below(t, 2, "quantity"))})
	}
	return all
}
