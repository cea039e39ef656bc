package spec

import (
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/anishathalye/porcupine"
)

// Call is one operation of a recorded history. It took effect at some instant of the sale clock between Operation.At,
// which was read before the call, and Until, which was read after it. A call whose answer has the code Unknown may or
// may not have taken effect; the recorder sets its return to the end of the history.
type Call struct {
	Operation
	Until time.Time
}

// History is the context in which recorded calls are checked.
type History struct {
	Start *Model // the sale before the first call

	// AnyTimes excludes created_at, expires_at and confirmed_at from the comparison, for histories whose sale clock is
	// known only approximately.
	AnyTimes bool

	// EndsUnmarked is for answers that do not show whether a confirm or a release was a repeat, such as those over HTTP.
	EndsUnmarked bool

	// Crashed is for a history that continues after a crash. Refusals for lack of stock or cap room may be due to outcomes
	// that the crash undid, since a refusal need not be durable (I5). They are therefore always accepted.
	Crashed bool

	// seen are the times of each reservation, by id, that any answer showed. A call without an answer took effect at one
	// of them, if its time was ever seen.
	seen map[string][]time.Time
}

// Model wraps the sequential model for porcupine. Inputs are of type Call, outputs of type Answer. A history must not
// contain ReadStock and Sweep: see the package documentation.
func (h History) Model() porcupine.Model {
	m := porcupine.NondeterministicModel{
		Init: func() []any { return []any{h.Start} },
		Step: func(state, input, output any) []any {
			var next []any
			for _, m := range h.step(state.(*Model), input.(Call), output.(Answer)) {
				next = append(next, m)
			}
			return next
		},
		Equal:     func(a, b any) bool { return a.(*Model).equal(b.(*Model)) },
		Hash:      func(state any) uint64 { return state.(*Model).hash() },
		Partition: h.partition,
		DescribeOperation: func(input, output any) string {
			c, a := input.(Call), output.(Answer)
			return c.String() + " → " + a.String()
		},
		DescribeState: func(state any) string { return state.(*Model).describe() },
	}
	return m.ToModel()
}

// Check checks whether the calls are linearizable. The info is for porcupine.Visualize.
func (h History) Check(calls []porcupine.Operation, timeout time.Duration) (porcupine.CheckResult,
	porcupine.LinearizationInfo) {
	h.seen = make(map[string][]time.Time)
	for _, c := range calls {
		a := c.Output.(Answer)
		for _, r := range append(slices.Clip(a.Account.Reservations), a.Reservation) {
			h.seen[r.ID] = append(h.seen[r.ID], r.CreatedAt, r.ConfirmedAt)
		}
	}
	return porcupine.CheckOperationsVerbose(h.Model(), calls, timeout)
}

// step returns every state that the call with this answer can lead to.
func (h History) step(m *Model, c Call, got Answer) []*Model {
	if got.Code == Overloaded {
		return []*Model{m}
	}
	if h.Crashed && slices.Contains([]string{"sold_out", "account_cap_exceeded", "session_limit_exceeded"}, got.Code) {
		return []*Model{m}
	}
	var next []*Model
	for _, before := range m.afterExpiries(c.Until) {
		if got.Code == Unknown { // it may have had no effect
			next = append(next, before)
		}
		// Otherwise it took effect at one of these instants.
		for _, at := range before.instants(c, h.seen[c.ID]) {
			after := before.Clone()
			op := c.Operation
			op.At = at
			var want Answer
			// sold_out may name any of the short pools: the model names the first.
			if got.Code == "sold_out" && slices.Contains(after.shortIfOnlyShort(op), got.Refusal) {
				want = got
			} else {
				want = after.Do(op)
			}
			if got.Code == Unknown {
				after.loosen(c, h.AnyTimes)
			} else if !h.matches(c, want, got) {
				continue
			} else if h.AnyTimes && c.Kind == Reserve && !got.Repeated {
				after.loosen(c, true)
			}
			next = append(next, after)
		}
	}
	return next
}

// loosen sets overAt of the hold that c made to its earliest possible end, if the time of c's effect is unknown.
func (m *Model) loosen(c Call, unknownTimes bool) {
	r := m.reservations[c.ID]
	if c.Kind != Reserve || !unknownTimes || r == nil {
		return
	}
	next := *r
	next.overAt = c.At.Add(r.ExpiresAt.Sub(r.CreatedAt))
	m.reservations[c.ID] = &next
}

// shortIfOnlyShort returns the refusals of the pools with too few tickets, if stock is the only rule the request
// violates.
func (m *Model) shortIfOnlyShort(op Operation) []Refusal {
	if a := m.Clone().reserve(op); a.Code != "sold_out" {
		return nil
	}
	return m.short(op)
}

// afterExpiries returns one model for every subset of the holds overdue at that instant, with that subset expired: a
// sweep or a reading operation may have expired any of them.
func (m *Model) afterExpiries(until time.Time) []*Model {
	all := []*Model{m}
	for _, id := range slices.Sorted(maps.Keys(m.reservations)) {
		if r := m.reservations[id]; r.State != "held" || until.Before(r.overAt) {
			continue
		}
		for _, before := range all {
			ended := before.Clone()
			ended.end(id, "expired")
			all = append(all, ended)
		}
	}
	return all
}

// instants returns the instants during the call at which its effect can differ, given the seen times of its
// reservation.
func (m *Model) instants(c Call, seen []time.Time) []time.Time {
	all := []time.Time{c.At}
	add := func(t time.Time) {
		if t.After(c.At) && !t.After(c.Until) && !slices.ContainsFunc(all, t.Equal) {
			all = append(all, t)
		}
	}
	if !c.Until.After(c.At) {
		return all
	}
	add(c.Until)
	for _, t := range seen {
		add(t)
	}
	for _, r := range m.reservations {
		add(r.overAt)
	}
	for i := range m.rules.Sale.Phases {
		add(m.rules.Sale.Phases[i].OpensAt)
		add(m.rules.Sale.Phases[i].ClosesAt)
	}
	return all
}

// matches compares two answers as the package documentation describes.
func (h History) matches(c Call, want, got Answer) bool {
	if want.Code != got.Code {
		return false
	}
	if !want.OK() {
		return want.Refusal == got.Refusal
	}
	if c.Kind != ReadAccount {
		unmarked := h.EndsUnmarked && (c.Kind == Confirm || c.Kind == Release)
		return (unmarked || want.Repeated == got.Repeated) && want.Reservation.equal(&got.Reservation, h.AnyTimes)
	}
	if want.Account.Account != got.Account.Account || !slices.Equal(want.Account.Programmes, got.Account.Programmes) ||
		len(want.Account.Reservations) != len(got.Account.Reservations) {
		return false
	}
	for _, w := range want.Account.Reservations {
		if !slices.ContainsFunc(got.Account.Reservations, func(r Reservation) bool { return w.equal(&r, h.AnyTimes) }) {
			return false
		}
	}
	return true
}

func (r *Reservation) equal(o *Reservation, anyTimes bool) bool {
	times := r.CreatedAt.Equal(o.CreatedAt) && r.ExpiresAt.Equal(o.ExpiresAt) && r.ConfirmedAt.Equal(o.ConfirmedAt)
	return r.ID == o.ID && r.Account == o.Account && r.Phase == o.Phase && r.State == o.State &&
		r.Reference == o.Reference && (times || anyTimes) && slices.Equal(r.Lines, o.Lines)
}

// equal compares everything that later answers can depend on.
func (m *Model) equal(other *Model) bool {
	return m == other || maps.EqualFunc(m.reservations, other.reservations, func(a, b *reservation) bool {
		return a == b || a.overAt.Equal(b.overAt) && a.phaseGiven == b.phaseGiven && a.ttlGiven == b.ttlGiven &&
			a.Reservation.equal(&b.Reservation, false)
	})
}

// hash does not depend on the map's order.
func (m *Model) hash() uint64 {
	sum := uint64(0)
	h := fnv.New64a()
	for id, r := range m.reservations {
		h.Reset()
		h.Write([]byte(id))
		h.Write([]byte(r.State))
		sum += h.Sum64()
	}
	return sum
}

func (m *Model) describe() string {
	b := &strings.Builder{}
	for _, id := range slices.Sorted(maps.Keys(m.reservations)) {
		r := m.reservations[id]
		fmt.Fprintf(b, "%.8s %s %s", id, r.Account, r.State)
		writeLines(b, r.Lines)
		b.WriteString("\n")
	}
	return b.String()
}

// partition splits a history into parts that have no account, session or id in common, and so cannot affect each other.
func (h History) partition(calls []porcupine.Operation) [][]porcupine.Operation {
	parent := map[string]string{}
	var find func(key string) string
	find = func(key string) string {
		if p, ok := parent[key]; ok && p != key {
			parent[key] = find(p)
			return parent[key]
		}
		parent[key] = key
		return key
	}
	join := func(keys []string) {
		for _, key := range keys {
			parent[find(key)] = find(keys[0])
		}
	}
	for id, r := range h.Start.reservations {
		join(namesOf(Operation{Kind: Reserve, ID: id, Account: r.Account, Lines: r.Lines}))
	}
	for _, c := range calls {
		join(namesOf(c.Input.(Call).Operation))
	}
	parts := map[string][]porcupine.Operation{}
	for _, c := range calls {
		root := find(namesOf(c.Input.(Call).Operation)[0])
		parts[root] = append(parts[root], c)
	}
	return slices.Collect(maps.Values(parts))
}

// namesOf returns the accounts, sessions and ids that an operation names.
func namesOf(op Operation) []string {
	switch op.Kind {
	case ReadAccount:
		return []string{"account " + op.Account}
	case Reserve:
		all := []string{"id " + op.ID, "account " + op.Account}
		for _, l := range op.Lines {
			all = append(all, "session "+l.Session)
		}
		return all
	}
	return []string{"id " + op.ID}
}
