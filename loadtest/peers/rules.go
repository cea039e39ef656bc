package peers

import "fmt"

// Peer is one of those that are compared, as far as the rules go.
type Peer struct {
	// Reserve holds a quantity of each pool for ttl ms; with 0 the hold is over at once. Pools 0 to 6 have RulePlaces places
	// each and belong to RuleSessions.
	Reserve func(id int, account string, quantity int, pools [3]int, ttl int) (Verdict, error)
	Confirm func(id int) (Verdict, error)
	Left    func(pool int) (int, error) // places available
}

// RulePlaces is how many places the pools of CheckRules have.
const RulePlaces = 20

// RuleSessions returns the sessions of the pools of CheckRules.
func RuleSessions() []uint32 { return []uint32{0, 1, 2, 3, 4, 5, 0} }

// CheckRules plays a short sale in which every rule is broken once, and tells where the peer does not keep them.
func CheckRules(p Peer) error {
	first, rest := [3]int{0, 1, 2}, [3]int{3, 4, 5}
	reserve := func(id int, account string, quantity int, pools [3]int, ttl int) func() (Verdict, error) {
		return func() (Verdict, error) { return p.Reserve(id, account, quantity, pools, ttl) }
	}
	confirm := func(id int) func() (Verdict, error) { return func() (Verdict, error) { return p.Confirm(id) } }
	const minute = 60_000
	for _, step := range []struct {
		what string
		do   func() (Verdict, error)
		want Verdict
	}{
		{"a pack", reserve(1, "a", 2, first, minute), Done},
		{"the same again", reserve(1, "a", 2, first, minute), Repeated},
		{"its id with other content", reserve(1, "a", 1, first, minute), Reused},
		{"up to the session limit", reserve(2, "a", 4, first, minute), Done},
		{"beyond it", reserve(3, "a", 1, first, minute), LimitExceeded},
		{"beyond it with two pools of a session", reserve(4, "g", 4, [3]int{0, 3, 6}, minute), LimitExceeded},
		{"another account", reserve(5, "b", 6, first, minute), Done},
		{"up to its cap", reserve(6, "b", 4, rest, minute), Done},
		{"beyond it", reserve(7, "b", 1, rest, minute), CapExceeded},
		{"a third account", reserve(8, "c", 6, first, minute), Done},
		{"more than are left", reserve(9, "d", 3, first, minute), SoldOut},
		{"more than are left in one of three", reserve(10, "d", 3, [3]int{0, 3, 4}, minute), SoldOut},
		{"the last two, for no time", reserve(11, "d", 2, first, 0), Done},
		{"confirming", confirm(1), Done},
		{"confirming again", confirm(1), Repeated},
		{"confirming what is over", confirm(11), Expired},
		{"confirming what is not there", confirm(99), NotFound},
		{"what came back", reserve(12, "e", 2, first, minute), Done},
		{"nothing is left", reserve(13, "f", 1, first, minute), SoldOut},
	} {
		got, err := step.do()
		if err != nil {
			return fmt.Errorf("%s: %w", step.what, err)
		}
		if got != step.want {
			return fmt.Errorf("%s: %s, not %s", step.what, got, step.want)
		}
	}
	for pool, want := range []int{0, 0, 0, RulePlaces - 4, RulePlaces - 4, RulePlaces - 4, RulePlaces} {
		got, err := p.Left(pool)
		if err != nil {
			return err
		}
		if got != want {
			return fmt.Errorf("pool %d has %d places left, not %d", pool, got, want)
		}
	}
	return nil
}
