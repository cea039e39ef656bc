package spec

import (
	"cmp"
	"encoding/binary"
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

	// OverHTTP is for answers of the HTTP API. They do not show whether a call other than a reserve was a repeat, nor the
	// phase with pack_shape, not_on_sale and sold_out.
	OverHTTP bool

	// Crashed is for a history that continues after a crash. Refusals for lack of stock or cap room may be due to outcomes
	// that the crash undid, since a refusal need not be durable (I5). They are therefore always accepted.
	Crashed bool

	// Forget is how long what has ended is remembered: an expired reservation after its ExpiresAt, a released or returned
	// one after the call that ended it. Then it may be forgotten at any instant: its id is unknown, and free for another
	// reservation. If Forget is 0, nothing is forgotten. In a history that is Crashed, what was forgotten may be known
	// again as long as its id is free: the next server may remember it.
	Forget time.Duration

	// seen are the times of each reservation, by id, that any answer showed: those of its effects, and the latest at which
	// a hold was made that had ended. A call without an answer took effect at one of them, if its time was ever seen.
	seen map[string][]time.Time
}

// model wraps the sequential model for porcupine. Inputs are of type Call, outputs of type Answer. A history must not
// contain ReadStock, ReadPlaces and Sweep: see the package documentation.
func (h History) model() porcupine.Model {
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

// Check checks whether the calls are linearizable. The info is for Visualize.
func (h History) Check(calls []porcupine.Operation, timeout time.Duration) (porcupine.CheckResult,
	porcupine.LinearizationInfo) {
	return porcupine.CheckOperationsVerbose(h.withSeen(calls).model(), calls, timeout)
}

// Visualize writes a page to the path that shows what a check of the calls has found.
func (h History) Visualize(calls []porcupine.Operation, info porcupine.LinearizationInfo, path string) error {
	return porcupine.VisualizePath(h.withSeen(calls).model(), info, path)
}

// withSeen returns the history with the times that the answers show.
func (h History) withSeen(calls []porcupine.Operation) History {
	h.seen = make(map[string][]time.Time)
	ttls := map[string][]time.Duration{}
	for _, o := range calls {
		if c := o.Input.(Call); c.Kind == Reserve && !slices.Contains(ttls[c.ID], cmp.Or(c.TTL, h.Start.rules.TTL)) {
			ttls[c.ID] = append(ttls[c.ID], cmp.Or(c.TTL, h.Start.rules.TTL))
		}
	}
	for _, o := range calls {
		c, a := o.Input.(Call), o.Output.(Answer)
		for _, r := range append(slices.Clip(a.Account.Reservations), a.Reservation) {
			h.seen[r.ID] = append(h.seen[r.ID], r.CreatedAt, r.ConfirmedAt)
		}
		switch a.Code {
		case "hold_limit_exceeded":
			h.seen[c.ID] = append(h.seen[c.ID], a.MaxExpiresAt.Add(-h.Start.rules.MaxHold))
		case "reservation_expired": // by the end of the call
			for _, ttl := range ttls[c.ID] {
				h.seen[c.ID] = append(h.seen[c.ID], c.Until.Add(-ttl))
			}
		}
	}
	return h
}

// step returns every state that the call with this answer can lead to.
func (h History) step(m *Model, c Call, got Answer) []*Model {
	if got.Code == Overloaded {
		return []*Model{m}
	}
	if h.Crashed && slices.Contains(undoable, got.Code) {
		return []*Model{m}
	}
	var next []*Model
	for _, before := range m.afterExpiries(c.Until) {
		if got.Code == Unknown { // it may have had no effect
			next = append(next, before)
		}
		for _, known := range h.afterForgetting(before, c) {
			for _, after := range h.effects(known, c, got) {
				if h.Crashed {
					after.recall(before, c)
				}
				next = append(next, after)
			}
		}
	}
	return next
}

// effects returns the states after the call, which took effect at one of several instants.
func (h History) effects(before *Model, c Call, got Answer) (next []*Model) {
	for _, at := range before.instants(c, h.seen[c.ID]) {
		after := before.Clone()
		op := c.Operation
		op.At = at
		want := after.Do(op)
		if got.Code != Unknown && !h.matches(c, want, got) {
			continue
		}
		if h.Forget > 0 && want.OK() && !want.Repeated {
			after.noteEnd(c)
		}
		next = append(next, after)
	}
	return next
}

// phaseless are the refusals that do not show their phase over HTTP.
var phaseless = []string{"pack_shape", "not_on_sale", "sold_out"}

// shown returns a refusal as the system shows it: over HTTP, sold_out has neither the phase nor its places.
func (h History) shown(a Answer) Answer {
	if h.OverHTTP && slices.Contains(phaseless, a.Code) {
		a.Phase = ""
	}
	if h.OverHTTP && a.Code == "sold_out" {
		a.Limit = 0
	}
	return a
}

// undoable are the refusals that an outcome can cause which a crash undoes.
var undoable = []string{"sold_out", "account_cap_exceeded", "session_limit_exceeded", "stock_taken", "change_refused"}

// afterExpiries returns one model for every subset of the holds overdue at that instant, with that subset expired: a
// sweep or a reading operation may have expired any of them.
func (m *Model) afterExpiries(until time.Time) []*Model {
	all := []*Model{m}
	for _, id := range slices.Sorted(maps.Keys(m.reservations)) {
		if !m.reservations[id].overdue(until) {
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
	add(Instant(c.ExpiresAt)) // from then on it is in the past
	for _, r := range m.reservations {
		add(r.ExpiresAt)
	}
	for i := range m.rules.Sale.Phases {
		add(m.rules.Sale.Phases[i].OpensAt)
		add(m.rules.Sale.Phases[i].ClosesAt)
	}
	for i := range m.rules.Sale.Sessions {
		add(m.rules.Sale.Sessions[i].SalesEndAt)
	}
	return all
}

// matches compares two answers as the package documentation describes.
func (h History) matches(c Call, want, got Answer) bool {
	if want.Code != got.Code {
		return false
	}
	if !want.OK() {
		want = h.shown(want)
		want.CanTakeAgain = got.CanTakeAgain // it holds at one instant of the call, not necessarily at its effect
		return want.Refusal == got.Refusal || slices.ContainsFunc(want.short, func(short Refusal) bool {
			return h.shown(Answer{Refusal: short}).Refusal == got.Refusal
		})
	}
	if c.Kind == Pause || c.Kind == SetStock { // the stock that SetStock shows may have changed again
		return true
	}
	if c.Kind != ReadAccount {
		unmarked := h.OverHTTP && c.Kind != Reserve
		return (unmarked || want.Repeated == got.Repeated) && want.Reservation.equal(&got.Reservation)
	}
	if want.Account.Account != got.Account.Account || !slices.Equal(want.Account.Programmes, got.Account.Programmes) ||
		len(want.Account.Reservations) != len(got.Account.Reservations) {
		return false
	}
	for _, w := range want.Account.Reservations {
		if !slices.ContainsFunc(got.Account.Reservations, func(r Reservation) bool { return w.equal(&r) }) {
			return false
		}
	}
	return true
}

func (r *Reservation) equal(o *Reservation) bool {
	return r.ID == o.ID && r.Account == o.Account && r.Phase == o.Phase && r.State == o.State &&
		r.Reference == o.Reference && slices.Equal(r.Lines, o.Lines) && r.CreatedAt.Equal(o.CreatedAt) &&
		r.ExpiresAt.Equal(o.ExpiresAt) && r.ConfirmedAt.Equal(o.ConfirmedAt)
}

// equal compares everything that later answers can depend on. The order of an account's reservations is not compared.
func (m *Model) equal(other *Model) bool {
	if m == other {
		return true
	}
	if !sameSale(m.rules.Sale, other.rules.Sale) || !maps.Equal(m.paused, other.paused) ||
		!maps.Equal(m.freed, other.freed) ||
		!maps.EqualFunc(m.members, other.members, maps.Equal) {
		return false
	}
	return maps.EqualFunc(m.reservations, other.reservations, func(a, b *reservation) bool {
		return a == b || a.phaseGiven == b.phaseGiven && a.ttlGiven == b.ttlGiven && a.replaces == b.replaces &&
			a.extended == b.extended && a.reduced == b.reduced && a.withheld == b.withheld &&
			a.endedAt.Equal(b.endedAt) &&
			a.Reservation.equal(&b.Reservation)
	})
}

// hash does not depend on the map's order. It is most of the work of a check, so numbers are hashed as they are.
func (m *Model) hash() uint64 {
	sum := uint64(0)
	h := fnv.New64a()
	b := make([]byte, 0, 128)
	for id, r := range m.reservations {
		h.Reset()
		b = append(append(b[:0], id...), r.State...)
		b = binary.AppendVarint(binary.AppendVarint(b, int64(r.Tickets())), r.ExpiresAt.UnixMilli())
		h.Write(b)
		sum += h.Sum64()
	}
	h.Reset()
	if len(m.paused) > 0 || len(m.members) > 0 {
		h.Write(fmt.Append(nil, m.paused, m.members)) // maps in the order of their keys
	}
	b = b[:0]
	for i := range m.rules.Sale.Pools {
		p := &m.rules.Sale.Pools[i]
		b = binary.AppendVarint(binary.AppendVarint(b, int64(p.Capacity)), int64(p.Withheld-m.freed[i]))
	}
	h.Write(b)
	return sum + h.Sum64()
}

func (m *Model) describe() string {
	b := &strings.Builder{}
	for _, what := range slices.Sorted(maps.Keys(m.paused)) {
		fmt.Fprintf(b, "%s is paused\n", what)
	}
	for _, group := range slices.Sorted(maps.Keys(m.members)) {
		fmt.Fprintf(b, "group %s: %v\n", group, m.Members(group))
	}
	for _, id := range slices.Sorted(maps.Keys(m.reservations)) {
		r := m.reservations[id]
		fmt.Fprintf(b, "%.8s %s %s", id, r.Account, r.State)
		writeLines(b, r.Lines)
		writeFacts(b, "expires", stamp(r.ExpiresAt), "reference", r.Reference)
		for _, f := range []struct {
			is   bool
			name string
		}{{r.extended, "extended"}, {r.reduced, "reduced"}, {r.withheld, "withheld"}} {
			if f.is {
				b.WriteString(" " + f.name)
			}
		}
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
	ofAll := slices.ContainsFunc(calls, func(c porcupine.Operation) bool { return c.Input.(Call).ofSale() })
	for _, c := range calls {
		names := namesOf(c.Input.(Call).Operation)
		if ofAll {
			names = append(names, "sale") // a change of the sale may affect every other call
		}
		join(names)
	}
	parts := map[string][]porcupine.Operation{}
	for _, c := range calls {
		root := find(namesOf(c.Input.(Call).Operation)[0])
		parts[root] = append(parts[root], c)
	}
	return slices.Collect(maps.Values(parts))
}

// ofSale reports whether the operation may affect the calls of every account.
func (o Operation) ofSale() bool { return o.Kind == Apply || o.Kind == Pause || o.Kind == SetStock }

// namesOf returns the accounts, sessions and ids that an operation names.
func namesOf(op Operation) []string {
	switch op.Kind {
	case ReadAccount, Join, Leave:
		return []string{"account " + op.Account}
	case Reserve:
		all := []string{"id " + op.ID, "account " + op.Account}
		for _, l := range op.Lines {
			all = append(all, "session "+l.Session)
		}
		if op.Replaces != "" {
			all = append(all, "id "+op.Replaces)
		}
		return all
	case Apply, Pause, SetStock:
		return []string{"sale"}
	}
	return []string{"id " + op.ID}
}
