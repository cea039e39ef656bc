package catalog

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// stockRule derives the capacity of a session's price categories from the gross capacity of its venue, because no
// source states it:
//
//  1. A session has as many places as its venue's gross capacity.
//  2. A category with a fixed share gets that many of every thousand places, rounded down, but at least one.
//  3. The other categories share the rest in proportion to their weights, by largest remainder. The categories of a
//     session therefore add up to its venue's capacity.
//  4. A percentage of the session's places, rounded down, is withheld from the public. It is spread over the categories
//     in proportion to their places, by largest remainder.
//
// The figures are data of sale.yaml, which gives their sources. Pools filled by steps 1 to 3 are marked Derived.
type stockRule struct {
	withheldPercent int
	weights         map[string]int // by category, 1 to maxWeight
	perThousand     map[string]int // by category, 1 to 999
	order           []string       // the categories as sale.yaml has them
}

const maxWeight = 10_000

// covers reports whether the rule has a weight or a fixed share for the category.
func (r *stockRule) covers(category string) bool {
	return r.weights[category] > 0 || r.perThousand[category] > 0
}

// split returns the places of each category of a session, in the given order. The rule must cover every category. If it
// cannot be applied, why states what it requires.
func (r *stockRule) split(capacity int, categories []string) (places []int, why string) {
	places = make([]int, len(categories))
	weights := make([]int, len(categories))
	rest, weighted := capacity, false
	for i, category := range categories {
		if share := r.perThousand[category]; share > 0 {
			places[i] = max(1, capacity*share/1000)
			rest -= places[i]
			continue
		}
		weights[i] = r.weights[category]
		weighted = true
	}
	if !weighted {
		return nil, "needs a category with a weight, because fixed shares alone do not fill a venue"
	}
	for i, n := range apportion(max(0, rest), weights) {
		places[i] += n
	}
	if rest < 0 || slices.Contains(places, 0) {
		return nil, fmt.Sprintf("needs at least one place in each of %s; the venue has %d", strings.Join(categories, ", "),
			capacity)
	}
	return places, ""
}

// withhold returns how many places of each category are not sold to the public, at most all of them.
func (r *stockRule) withhold(places []int) []int {
	total := 0
	for _, n := range places {
		total += n
	}
	return apportion(total*r.withheldPercent/100, places)
}

// apportion splits total in proportion to weights by largest remainder (Hamilton's method): each part is its exact
// quota rounded down or up, and the parts add up to total. Of equal remainders the first is rounded up first. Total and
// weights are at most a few times maxPlaces, so products fit in 64 bits. If all weights are 0, all parts are 0.
func apportion(total int, weights []int) []int {
	parts := make([]int, len(weights))
	sum := 0
	for _, w := range weights {
		sum += w
	}
	if sum == 0 {
		return parts
	}
	remainders := make([]int, len(weights))
	byRemainder := make([]int, len(weights))
	left := total
	for i, w := range weights {
		parts[i], remainders[i] = total*w/sum, total*w%sum
		byRemainder[i] = i
		left -= parts[i]
	}
	slices.SortStableFunc(byRemainder, func(a, b int) int { return cmp.Compare(remainders[b], remainders[a]) })
	for _, i := range byRemainder[:left] {
		parts[i]++
	}
	return parts
}
