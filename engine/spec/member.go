package spec

import (
	"maps"
	"slices"
)

// Members of groups. A group is known by its id: the members of one that was removed are members again once it is back.

// enrolled are accounts by group. They are replaced, never changed in place.
type enrolled map[string]map[string]bool

// with returns the accounts after one has joined a group, or left it.
func (e enrolled) with(group, account string, joined bool) enrolled {
	next := maps.Clone(e)
	next[group] = maps.Clone(e[group])
	if next[group] == nil {
		next[group] = map[string]bool{}
	}
	delete(next[group], account)
	if joined {
		next[group][account] = true
	}
	if len(next[group]) == 0 {
		delete(next, group) // as before the first one joined
	}
	return next
}

// enrol makes an account a member of a group, or no longer one.
func (m *Model) enrol(op Operation) Answer {
	if !validAccount(op.Account) {
		return refuse("malformed_request")
	}
	if _, ok := m.rules.Sale.GroupByID(op.Group); !ok {
		return refuse("not_found")
	}
	joins := op.Kind == Join
	if m.members[op.Group][op.Account] == joins {
		return Answer{Repeated: true}
	}
	m.members = m.members.with(op.Group, op.Account, joins)
	return Answer{}
}

// Members returns the members of a group, sorted.
func (m *Model) Members(group string) []string {
	return slices.Sorted(maps.Keys(m.members[group]))
}
