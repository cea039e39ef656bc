package catalog

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// randomFiles returns the files of a small random sale, of parts that other random sales have as well. S0 is always on
// sale, and every phase sells it.
func randomFiles(t *rapid.T) fstest.MapFS {
	some := func(label string, ids ...string) []string {
		ids = rapid.Permutation(ids).Draw(t, label)
		return ids[:rapid.IntRange(0, len(ids)).Draw(t, label)]
	}
	number := func(label string, least, most int) int { return rapid.IntRange(least, most).Draw(t, label) }
	maybe := func(label string) bool { return rapid.Bool().Draw(t, label) }
	var y, sessions, prices, stock strings.Builder
	programmes := append([]string{"main"}, some("programmes", "youth", "elders")...)
	y.WriteString("name: games\ntitle: Games " + fmt.Sprint(number("title", 1, 2)) + "\ntimezone: UTC\nprogrammes:\n")
	for _, p := range programmes {
		limit := number("limit", 1, 3)
		fmt.Fprintf(&y, "  %s: {title: P%d, account_cap: %d, session_limit: %d}\n", p, number("title", 1, 2),
			limit+number("cap", 1, 2), limit)
	}
	sessions.WriteString("session,programme,discipline,venue,city,date,start_local,end_local,medal_session,events\n")
	currency := rapid.SampledFrom([]string{"eur", "gbp"}).Draw(t, "currency")
	prices.WriteString("session,category,price_" + currency + ",places\n")
	stock.WriteString("session,category,capacity,withheld\n")
	excluded := ""
	for i, s := range append([]string{"S0"}, some("sessions", "S1", "S2", "S3", "S4")...) {
		programme, categories := "main", append([]string{"Z"}, some("categories", "A", "B", "C")...)
		if i > 0 {
			programme, categories = rapid.SampledFrom(programmes).Draw(t, "programme"), categories[1:]
			if maybe("excluded") {
				excluded += fmt.Sprintf("  - {session: %s}\n", s)
			}
		}
		fmt.Fprintf(&sessions, "%s,%s,Judo,Hall,Paris,2024-07-%02d,09:00,1%d:00,%d,\n", s, programme, number("day", 1, 28),
			number("end", 0, 9), number("medal", 0, 1))
		for _, c := range categories {
			fmt.Fprintf(&prices, "%s,%s,%d,%d\n", s, c, number("price", 0, 3), number("places", 5, 20))
			if maybe("stated") {
				fmt.Fprintf(&stock, "%s,%s,%d,%d\n", s, c, number("places", 5, 20), number("withheld", 0, 5))
			}
		}
	}
	if excluded != "" {
		y.WriteString("exclusions:\n" + excluded)
	}
	fmt.Fprintf(&y, "stock: {withheld_percent: %d}\n", number("withheld", 0, 40))
	groups := some("groups", "club", "friends")
	if len(groups) > 0 {
		y.WriteString("groups:\n")
	}
	for _, g := range groups {
		fmt.Fprintf(&y, "  %s: {title: G%d}\n", g, number("title", 1, 2))
	}
	randomPhases(t, &y, groups, some, number)
	return fstest.MapFS{saleFile: {Data: []byte(y.String())}, sessionsFile: {Data: []byte(sessions.String())},
		pricesFile: {Data: []byte(prices.String())}, venuesFile: {Data: []byte("venue,gross_capacity\nHall,\n")},
		stockFile: {Data: []byte(stock.String())}}
}

// randomPhases writes the draws and phases of a random sale.
func randomPhases(t *rapid.T, y *strings.Builder, groups []string, some func(string, ...string) []string,
	number func(string, int, int) int) {
	phases := append([]string{"first"}, some("phases", "second", "third", "last")...)
	draws := some("draws", "d1", "d2", "d3")
	draws = draws[:min(len(draws), len(phases))]
	if len(draws) > 0 {
		fmt.Fprintf(y, "beacons:\n  chain: {chain_hash: %064x, public_key: %0192x, genesis: 1, period: 3}\ndraws:\n", 1, 2)
	}
	for _, d := range draws {
		fmt.Fprintf(y, "  %s: {title: D, registration_opens: 2024-01-01 0%d:00, registration_closes: 2024-01-02 00:00, "+
			"beacon: {chain: chain, round: %d, stand_in: true}}\n", d, number("opens", 0, 9), number("round", 1, 3))
	}
	y.WriteString("phases:\n")
	for i, p := range rapid.Permutation(phases).Draw(t, "phases") {
		access := "access: open"
		if i < len(draws) {
			group := ""
			if len(groups) > 0 && number("group", 0, 1) == 1 {
				group = ", priority_days: 1, priority_group: " + rapid.SampledFrom(groups).Draw(t, "group")
			}
			access = fmt.Sprintf("access: slots, draw: %s, slots: {length: 24h, step: %dh, places: 5%s}", draws[i],
				number("step", 1, 9), group)
		}
		if i >= len(draws) && len(groups) > 0 && number("members", 0, 1) == 1 {
			access = "access: group, group: " + rapid.SampledFrom(groups).Draw(t, "group")
		}
		only := rapid.SampledFrom([]string{"", ", only: [{session: S0}]", ", only: [{session: S0, places: %d}]",
			", only: [{discipline: Judo}, {session: S0, places: %d}]", ", only: [{discipline: Judo, places: %d}]"}).
			Draw(t, "only")
		if strings.Contains(only, "%") {
			only = fmt.Sprintf(only, number("places", 1, 9))
		}
		fmt.Fprintf(y, "  %s: {title: F%d, programme: main, kind: single, opens_at: 2024-02-01 00:00, "+
			"closes_at: 2024-02-0%d 00:00, %s%s}\n", p, number("title", 1, 2), number("closes", 4, 9), access, only)
	}
}

func randomSale(t *rapid.T) *Sale {
	sale, err := LoadFS(randomFiles(t))
	require.NoError(t, err)
	return sale
}

// A chain of versions keeps all numbers, says what the last one says, and keeps what that one lacks as it was.
func TestContinue(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := randomSale(t)
		for range rapid.IntRange(1, 4).Draw(t, "versions") {
			was, now := in, randomSale(t)
			next, err := Continue(was, now)
			require.NoError(t, err)
			checkParts(t, was, now, next)
			checkPools(t, was, now, next)
			checkSells(t, now, next)
			checkQuotas(t, was, now, next)
			again, err := Continue(next, now)
			require.NoError(t, err)
			require.Equal(t, next, again, "a second time")
			again, err = Continue(next, next)
			require.NoError(t, err)
			require.Equal(t, next, again, "with itself")
			require.Same(t, now.Files, next.Files)
			in = next
		}
	})
}

// checkParts checks all parts but pools: in the numbers of was, those of now with its facts, the others as they were.
func checkParts(t *rapid.T, was, now, next *Sale) {
	checkMerged(t, was.Programmes, now.Programmes, next.Programmes,
		func(_ *Sale, p *Programme) string { return p.ID }, was, now, next,
		func(p *Programme) { p.Removed = true })
	checkMerged(t, was.Groups, now.Groups, next.Groups,
		func(_ *Sale, g *Group) string { return g.ID }, was, now, next, func(g *Group) { g.Removed = true })
	checkMerged(t, was.Sessions, now.Sessions, next.Sessions, func(s *Sale, x *Session) string {
		plain := *x
		plain.Programme, plain.Pools = 0, nil
		return x.ID + "|" + s.Programmes[x.Programme].ID + fmt.Sprintf("%+v", plain)
	}, was, now, next, func(x *Session) { x.Removed, x.OnSale, x.Reason = true, false, "removed" })
	checkMerged(t, was.Draws, now.Draws, next.Draws, func(s *Sale, d *Draw) string {
		plain := *d
		plain.Phase = 0
		return d.ID + "|" + s.Phases[d.Phase].ID + fmt.Sprintf("%+v", plain)
	}, was, now, next, func(d *Draw) { d.Removed = true })
	checkMerged(t, was.Phases, now.Phases, next.Phases, func(s *Sale, p *Phase) string {
		plain, draw, group, members := *p, "", "", ""
		if p.Draw >= 0 {
			draw = s.Draws[p.Draw].ID
		}
		if p.Slots.Group >= 0 {
			group = s.Groups[p.Slots.Group].ID
		}
		if p.Group >= 0 {
			members = s.Groups[p.Group].ID
		}
		plain.Programme, plain.Draw, plain.Slots.Group, plain.Group, plain.sells = 0, 0, 0, 0, nil
		return p.ID + "|" + s.Programmes[p.Programme].ID + draw + group + members + fmt.Sprintf("%+v", plain)
	}, was, now, next, func(p *Phase) { p.Removed = true })
	for i := range next.Phases {
		at, found := next.PhaseByID(next.Phases[i].ID)
		require.Equal(t, found, !next.Phases[i].Removed)
		require.True(t, !found || at == i)
	}
	for i := range next.Draws {
		_, found := next.DrawByID(next.Draws[i].ID)
		require.Equal(t, found, !next.Draws[i].Removed)
	}
	for i := range next.Groups {
		_, found := next.GroupByID(next.Groups[i].ID)
		require.Equal(t, found, !next.Groups[i].Removed)
	}
	for i := range next.Sessions {
		at, found := next.SessionByID(next.Sessions[i].ID)
		require.True(t, found && at == i)
	}
}

// checkMerged checks the parts of one kind. text returns all facts of a part, the id first, with ids for references.
func checkMerged[T any](t *rapid.T, was, now, next []T, text func(*Sale, *T) string, wasIn, nowIn, nextIn *Sale,
	remove func(*T)) {
	id := func(text string) string { before, _, _ := strings.Cut(text, "|"); return before }
	latest := map[string]string{}
	for i := range now {
		latest[id(text(nowIn, &now[i]))] = text(nowIn, &now[i])
	}
	require.GreaterOrEqual(t, len(next), len(was))
	for i := range next {
		at := text(nextIn, &next[i])
		if i < len(was) {
			require.Equal(t, id(text(wasIn, &was[i])), id(at), "the number is kept")
		}
		if want, there := latest[id(at)]; there {
			require.Equal(t, want, at)
			delete(latest, id(at))
			continue
		}
		require.Less(t, i, len(was), "neither sale has %s", at)
		removed := was[i]
		remove(&removed)
		require.Equal(t, text(wasIn, &removed), at)
	}
	require.Empty(t, latest, "missing")
}

// checkPools checks the pools' numbers, facts and stock.
func checkPools(t *rapid.T, was, now, next *Sale) {
	listed := make([][]int, len(next.Sessions))
	for i := range next.Pools {
		p := next.Pools[i]
		listed[p.Session] = append(listed[p.Session], i)
		session := &next.Sessions[p.Session]
		var before *Pool
		if i < len(was.Pools) {
			before = &was.Pools[i]
			require.Equal(t, before.Category, p.Category)
			require.Equal(t, was.Sessions[before.Session].ID, session.ID)
		}
		if n, there := now.SessionByID(session.ID); there {
			if j, there := now.PoolOf(n, p.Category); there {
				want := now.Pools[j]
				want.Session = p.Session
				if before != nil && !session.OnSale && !states(t, now, session.ID, p.Category) {
					want.Capacity, want.Withheld, want.Derived = before.Capacity, before.Withheld, before.Derived
				}
				require.Equal(t, want, p, "%s %s", session.ID, p.Category)
				continue
			}
			require.True(t, p.Removed || before != nil && len(now.Sessions[n].Pools) == 0, "%s %s", session.ID, p.Category)
		}
		want := *before
		if want.Removed = p.Removed; was.Currency != now.Currency {
			want.PriceCents = NoPrice
		}
		require.Equal(t, want, p, "%s %s", session.ID, p.Category)
		_, found := next.PoolOf(p.Session, p.Category)
		require.Equal(t, found, !p.Removed)
	}
	for i := range next.Sessions {
		require.Equal(t, listed[i], next.Sessions[i].Pools)
	}
}

// states reports whether stock.csv states the stock of a pool.
func states(t *rapid.T, sale *Sale, session, category string) bool {
	rows, err := sale.Files.Stock()
	require.NoError(t, err)
	return slices.ContainsFunc(rows, func(r StockRow) bool { return r.Session == session && r.Category == category })
}

// checkSells checks that the phases sell what those of now sell.
func checkSells(t *rapid.T, now, next *Sale) {
	for i := range next.Phases {
		n, there := now.PhaseByID(next.Phases[i].ID)
		for j := range next.Sessions {
			m, listed := now.SessionByID(next.Sessions[j].ID)
			require.Equal(t, there && listed && now.Phases[n].Sells(m), next.Phases[i].Sells(j))
		}
	}
}

// checkQuotas checks the quotas: those of was keep their numbers, those of now hold, and all others are removed.
func checkQuotas(t *rapid.T, was, now, next *Sale) {
	names := func(s *Sale, q *Quota) [2]string { return [2]string{s.Phases[q.Phase].ID, s.Sessions[q.Session].ID} }
	latest := map[[2]string]int{}
	for i := range now.Quotas {
		latest[names(now, &now.Quotas[i])] = now.Quotas[i].Places
	}
	require.GreaterOrEqual(t, len(next.Quotas), len(was.Quotas))
	for i := range next.Quotas {
		q := next.Quotas[i]
		at, found := next.QuotaOf(q.Phase, q.Session)
		require.True(t, found && at == i && next.HasQuotas(q.Phase))
		want, there := latest[names(next, &q)]
		require.Equal(t, !there, q.Removed)
		if i < len(was.Quotas) {
			require.Equal(t, names(was, &was.Quotas[i]), names(next, &q), "the number is kept")
		}
		if !there {
			want = was.Quotas[i].Places
		}
		require.Equal(t, want, q.Places)
		delete(latest, names(next, &q))
	}
	require.Empty(t, latest, "missing")
}

// What was removed counts, since it keeps its number.
func TestContinueLimits(t *testing.T) {
	named := func(of string) (*Sale, [][]bool) {
		sale := &Sale{Programmes: []Programme{{ID: "p"}}}
		for i := range 40 {
			sale.Phases = append(sale.Phases, Phase{ID: fmt.Sprint(of, i), Draw: -1, Slots: SlotRule{Group: -1}})
			sale.Groups = append(sale.Groups, Group{ID: fmt.Sprint(of, i)})
		}
		return sale, slices.Repeat([][]bool{{}}, 40)
	}
	a, marks := named("a")
	was, err := Assemble(*a, marks)
	require.NoError(t, err)
	b, marks := named("b")
	now, err := Assemble(*b, marks)
	require.NoError(t, err)
	_, err = Continue(was, now)
	const why = " with those that were removed, which count because they keep their numbers; at most 64 are allowed"
	require.EqualError(t, err, "the sale would have 80 phases"+why+"\nthe sale would have 80 groups"+why)
}
