package draw

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// chiSquareTail returns the probability that a chi-square variable with df degrees of freedom exceeds x: one minus the
// regularized lower incomplete gamma function of (df/2, x/2), by its power series (Abramowitz and Stegun 6.5.29).
func chiSquareTail(x float64, df int) float64 {
	a, z := float64(df)/2, x/2
	term := 1 / a
	sum := term
	for n := 1.0; term > sum*1e-17; n++ {
		term *= z / (a + n)
		sum += term
	}
	logGamma, _ := math.Lgamma(a)
	return max(0, 1-math.Exp(a*math.Log(z)-z-logGamma)*sum) // rounding may yield less than zero
}

// Upper critical values from the NIST/SEMATECH e-Handbook of Statistical Methods, section 1.3.6.7.4.
func TestChiSquareTail(t *testing.T) {
	for _, c := range []struct {
		df       int
		critical float64
		tail     float64
	}{{1, 3.841, 0.05}, {10, 18.307, 0.05}, {10, 29.588, 0.001}, {30, 59.703, 0.001}, {100, 124.342, 0.05},
		{100, 149.449, 0.001}} {
		require.InEpsilon(t, c.tail, chiSquareTail(c.critical, c.df), 0.002, "df %d, x %v", c.df, c.critical)
	}
}

const (
	fairSeeds  = 1000
	fairLevel  = 0.001 // the probability that a fair draw fails; with fixed seeds it either always or never fails
	fairCrowd  = 24    // entries
	fairMember = 8     // of them are members of the priority group
)

// fairRule has one priority slot and two others, of four places each: 4 of 8 members get the first, and 8 of the other
// 20 entries get the others.
func fairRule() SlotRule {
	opens := time.Date(2023, 2, 15, 9, 0, 0, 0, time.UTC)
	return SlotRule{
		OpensAt: opens, ClosesAt: opens.Add(120 * time.Hour), Length: 24 * time.Hour, Step: 48 * time.Hour,
		Places: 4, PriorityDays: 2, Group: "club",
	}
}

// fairTables counts over all seeds which account gets which rank and which slot, with rank as the ranking. The last
// column of slots is none.
func fairTables(t *testing.T, rank func(*Entries, Digest) []uint32) (ranks, slots [][]int) {
	entries := make([]entry, fairCrowd)
	for i := range entries {
		entries[i].account = fmt.Sprintf("account-%02d", i)
		if i < fairMember {
			entries[i].group = "club"
		}
	}
	frozen := sealAs(t, entries, []string{"club"})
	plan, err := fairRule().schedule()
	require.NoError(t, err)
	require.Equal(t, []int32{3, 1}, []int32{plan.slots, plan.priority})
	for range fairCrowd {
		ranks = append(ranks, make([]int, fairCrowd))
		slots = append(slots, make([]int, plan.slots+1))
	}
	for i := range fairSeeds {
		byRank := rank(frozen, sha(fmt.Appendf(nil, "fairness %d", i)))
		for i, position := range byRank {
			ranks[frozen.order[position]][i]++
		}
		for account, slot := range plan.assign(frozen, byRank) {
			if slot < 0 {
				slot = plan.slots
			}
			slots[account][slot]++
			require.False(t, slot == 0 && account >= fairMember, "seed %d: a non-member in a priority slot", i)
		}
	}
	return ranks, slots
}

// fairness returns the probability that a fair draw gives counts at least as uneven as these. Each row is an account
// and each column a rank or slot; in every draw each account has one column and each column the same number of
// accounts. Dealing n accounts without replacement correlates them: Pearson's statistic times (n-1)/n is then
// chi-square with (rows-1)(columns-1) degrees of freedom. The number of members after the priority slot varies from
// draw to draw, which makes their statistic slightly smaller, so the test does not fail more often than stated.
func fairness(table [][]int) float64 {
	rows, columns := len(table), len(table[0])
	statistic := 0.0
	df := (rows - 1) * (columns - 1)
	for column := range columns {
		total := 0
		for row := range rows {
			total += table[row][column]
		}
		if total == 0 { // a column that none of these rows can have
			df -= rows - 1
			continue
		}
		expected := float64(total) / float64(rows)
		for row := range rows {
			off := float64(table[row][column]) - expected
			statistic += off * off / expected
		}
	}
	return chiSquareTail(statistic*float64(rows-1)/float64(rows), df)
}

// Over 1,000 seeds every account gets every rank equally often, all members have equal chances at the priority slot and
// at the slots after it, and all others have equal chances at the latter.
func TestFairness(t *testing.T) {
	ranks, slots := fairTables(t, rank)
	for _, c := range []struct {
		what  string
		table [][]int
	}{{"ranks", ranks}, {"members' slots", slots[:fairMember]}, {"others' slots", slots[fairMember:]}} {
		p := fairness(c.table)
		t.Logf("%s over seeds SHA-256(\"fairness 0\") to %d: p = %.4f", c.what, fairSeeds-1, p)
		require.Greater(t, p, fairLevel, c.what)
	}
	for account := range fairMember {
		require.Positive(t, slots[account][0])
	}
}

// The same test detects a draw that slightly favours one account: in every second draw, if its rank is in the second
// half, it swaps that rank for the mirrored one in the first half.
func TestFairnessDetectsAFavourite(t *testing.T) {
	biased := func(entries *Entries, seed Digest) []uint32 {
		byRank := rank(entries, seed)
		for i, position := range byRank {
			if position == 3 && seed[0]%2 == 0 && i >= fairCrowd/2 {
				byRank[i], byRank[fairCrowd-1-i] = byRank[fairCrowd-1-i], byRank[i]
				break
			}
		}
		return byRank
	}
	ranks, slots := fairTables(t, biased)
	t.Logf("p = %g for the ranks, %g for the members' slots", fairness(ranks), fairness(slots[:fairMember]))
	require.Less(t, fairness(slots[:fairMember]), fairLevel)
}
