package peers

import "fmt"

// peer is the part of a peer that the rules are checked on.
type peer struct {
	// reserve holds a quantity of each pool for ttl ms; with 0 the hold expires at once. Pools 0 to 6 have ruleTickets
	// tickets each and belong to ruleSessions.
	reserve   func(id int, account string, quantity int, pools [3]int, ttl int) (verdict, error)
	confirm   func(id int) (verdict, error)
	available func(pool int) (int, error)
}

// ruleTickets is the number of tickets of each pool of checkRules.
const ruleTickets = 20

// ruleSessions returns the sessions of the pools of checkRules.
func ruleSessions() []uint32 { return []uint32{0, 1, 2, 3, 4, 5, 0} }

// checkRules plays a short sale that breaks every rule once. It returns an error for the first step with a wrong
// result.
func checkRules(p peer) error {
	first, rest := [3]int{0, 1, 2}, [3]int{3, 4, 5}
	reserve := func(id int, account string, quantity int, pools [3]int, ttl int) func() (verdict, error) {
		return func() (verdict, error) { return p.reserve(id, account, quantity, pools, ttl) }
	}
	confirm := func(id int) func() (verdict, error) { return func() (verdict, error) { return p.confirm(id) } }
	const minute = 60_000
	for _, step := range []struct {
		what string
		do   func() (verdict, error)
		want verdict
	}{
		{"a pack", reserve(1, "a", 2, first, minute), done},
		{"the same pack again", reserve(1, "a", 2, first, minute), repeated},
		{"its id with other content", reserve(1, "a", 1, first, minute), reused},
		{"up to the session limit", reserve(2, "a", 4, first, minute), done},
		{"beyond the session limit", reserve(3, "a", 1, first, minute), limitExceeded},
		{"beyond it with two pools of a session", reserve(4, "g", 4, [3]int{0, 3, 6}, minute), limitExceeded},
		{"another account", reserve(5, "b", 6, first, minute), done},
		{"up to the account cap", reserve(6, "b", 4, rest, minute), done},
		{"beyond the account cap", reserve(7, "b", 1, rest, minute), capExceeded},
		{"a third account", reserve(8, "c", 6, first, minute), done},
		{"more than are available", reserve(9, "d", 3, first, minute), soldOut},
		{"more than are available in one of three", reserve(10, "d", 3, [3]int{0, 3, 4}, minute), soldOut},
		{"the last two, which expire at once", reserve(11, "d", 2, first, 0), done},
		{"confirming", confirm(1), done},
		{"confirming again", confirm(1), repeated},
		{"confirming an expired hold", confirm(11), expired},
		{"confirming an unknown id", confirm(99), notFound},
		{"the tickets of the expired hold", reserve(12, "e", 2, first, minute), done},
		{"nothing is available", reserve(13, "f", 1, first, minute), soldOut},
	} {
		got, err := step.do()
		if err != nil {
			return fmt.Errorf("%s: %w", step.what, err)
		}
		if got != step.want {
			return fmt.Errorf("%s: got %s, want %s", step.what, got, step.want)
		}
	}
	for pool, want := range []int{0, 0, 0, ruleTickets - 4, ruleTickets - 4, ruleTickets - 4, ruleTickets} {
		got, err := p.available(pool)
		if err != nil {
			return err
		}
		if got != want {
			return fmt.Errorf("pool %d has %d tickets available, want %d", pool, got, want)
		}
	}
	return nil
}
