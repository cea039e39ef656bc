package catalog

import (
	"fmt"
	"strings"
)

// Change is one difference between two versions of a sale, in words for people.
type Change struct {
	// What is `sale`, `session ATH10`, `session ATH10, category A`, `phase single`, `phase single, session ATH10`,
	// `programme summer`, `draw d1`.
	What     string
	Field    string // `session_limit`, `starts_at`, `withheld` …, or added or removed for a part as a whole
	From, To string // "" for nothing; To describes what was added
	Tickets  int    // of what is removed or goes off sale: held and sold, which stay. See DifferenceWith
}

// The values of Change.Field for a part as a whole.
const (
	partAdded   = "added"
	partRemoved = "removed"
)

// String returns the change on one line: `session ATH10: limit 41 → 40`, `session ATH12: removed`.
func (c Change) String() string { return c.withoutTickets() + ticketsStay(c.Tickets) }

// ticketsStay is empty for no tickets.
func ticketsStay(n int) string {
	switch n {
	case 0:
		return ""
	case 1:
		return "; its held or sold ticket stays"
	}
	return "; its " + grouped(n) + " held and sold tickets stay"
}

func (c Change) withoutTickets() string {
	switch {
	case c.Field == partAdded && c.To != "":
		return fmt.Sprintf("%s: added, %s", c.What, c.To)
	case c.Field == partAdded, c.Field == partRemoved:
		return fmt.Sprintf("%s: %s", c.What, c.Field)
	}
	field := strings.ReplaceAll(strings.TrimSuffix(c.Field, "_at"), "_", " ")
	if c.Field == "session_limit" {
		field = "limit"
	}
	return fmt.Sprintf("%s: %s %s → %s", c.What, field, orNone(c.From), orNone(c.To))
}

func orNone(text string) string {
	if text == "" {
		return "none"
	}
	return text
}

// Difference returns all that differs between a sale and its next version, which must be in its numbers: a result of
// Continue. A part that was added or removed is one change; of all others each fact that differs is one. They are in
// the order of numbers: first the sale, then programmes, sessions with their pools, phases, draws and groups.
func Difference(was, now *Sale) []Change { return DifferenceWith(was, now, func(int) int { return 0 }) }

// DifferenceWith is Difference with the tickets of sessions and categories that are removed or go off sale. taken
// returns how many of a pool of was are held and sold.
func DifferenceWith(was, now *Sale, taken func(pool int) int) []Change {
	d := difference{was: was, now: now, taken: taken}
	d.facts("sale", saleFacts(was), saleFacts(now))
	compare(&d, was.Programmes, now.Programmes, kind[Programme]{
		name:     func(p *Programme) (string, bool) { return "programme " + p.ID, p.Removed },
		facts:    programmeFacts,
		describe: describeProgramme,
	})
	compare(&d, was.Sessions, now.Sessions, kind[Session]{
		name:     func(s *Session) (string, bool) { return "session " + s.ID, s.Removed },
		facts:    sessionFacts,
		describe: describeSession,
		tickets:  d.tickets,
		parts:    func(i int) { d.offSale(i); d.pools(i) },
	})
	compare(&d, was.Phases, now.Phases, kind[Phase]{
		name:     func(p *Phase) (string, bool) { return "phase " + p.ID, p.Removed },
		facts:    phaseFacts,
		describe: describePhase,
		parts:    func(i int) { d.sells(i); d.places(i) },
	})
	compare(&d, was.Draws, now.Draws, kind[Draw]{
		name:     func(x *Draw) (string, bool) { return "draw " + x.ID, x.Removed },
		facts:    drawFacts,
		describe: describeDraw,
	})
	compare(&d, was.Groups, now.Groups, kind[Group]{
		name:     func(g *Group) (string, bool) { return "group " + g.ID, g.Removed },
		facts:    func(_ *Sale, g *Group) []fact { return []fact{{"title", g.Title}} },
		describe: func(_ *Sale, g *Group) string { return g.Title },
	})
	return d.changes
}

type difference struct {
	was, now *Sale
	taken    func(pool int) int
	changes  []Change
}

// kind is how the parts of one kind are compared.
type kind[T any] struct {
	name     func(*T) (name string, removed bool)
	facts    func(*Sale, *T) []fact // the same fields for every part
	describe func(*Sale, *T) string // what was added
	tickets  func(i int) int        // held and sold of part i; may be nil
	parts    func(i int)            // compares what belongs to part i of both sales; may be nil
}

// fact is one field of a part as text.
type fact struct{ field, text string }

// compare adds the changes of the parts of one kind.
func compare[T any](d *difference, was, now []T, k kind[T]) {
	for i := range now {
		name, gone := k.name(&now[i])
		wasGone := true
		if i < len(was) {
			_, wasGone = k.name(&was[i])
		}
		switch {
		case gone && wasGone:
		case gone:
			d.add(name, partRemoved, "", "")
			if k.tickets != nil {
				d.stay(k.tickets(i))
			}
		case wasGone:
			d.add(name, partAdded, "", k.describe(d.now, &now[i]))
		default:
			d.facts(name, k.facts(d.was, &was[i]), k.facts(d.now, &now[i]))
			if k.parts != nil {
				k.parts(i)
			}
		}
	}
}

func (d *difference) add(what, field, from, to string) {
	d.changes = append(d.changes, Change{What: what, Field: field, From: from, To: to})
}

// facts adds the facts that differ.
func (d *difference) facts(what string, was, now []fact) {
	for i := range now {
		if was[i].text != now[i].text {
			d.add(what, now[i].field, was[i].text, now[i].text)
		}
	}
}

// stay notes the tickets of what the last change has removed or taken off sale.
func (d *difference) stay(tickets int) { d.changes[len(d.changes)-1].Tickets = tickets }

// tickets returns how many tickets of a session are held and sold.
func (d *difference) tickets(session int) (n int) {
	for _, pool := range d.was.Sessions[session].Pools {
		n += d.taken(pool)
	}
	return n
}

// offSale notes the tickets of a session that goes off sale. That is the last of its facts.
func (d *difference) offSale(session int) {
	if d.was.Sessions[session].OnSale && !d.now.Sessions[session].OnSale {
		d.stay(d.tickets(session))
	}
}

// pools adds the changes of the pools of a session that both sales have.
func (d *difference) pools(session int) {
	s := &d.now.Sessions[session]
	for _, i := range s.Pools {
		p, name := &d.now.Pools[i], "session "+s.ID+", category "+d.now.Pools[i].Category
		var was *Pool
		if i < len(d.was.Pools) && !d.was.Pools[i].Removed {
			was = &d.was.Pools[i]
		}
		switch {
		case p.Removed && was != nil:
			d.add(name, partRemoved, "", "")
			d.stay(d.taken(i))
		case p.Removed:
		case was == nil:
			d.add(name, partAdded, "", describePool(d.now, p))
		default:
			d.facts(name, poolFacts(d.was, was), poolFacts(d.now, p))
			d.price(name, was, p)
		}
	}
}

// price adds a change of a price. If the currency has changed, that is a change of the sale; the same number in
// another currency is no further one.
func (d *difference) price(name string, was, now *Pool) {
	if was.PriceCents != now.PriceCents {
		d.add(name, "price", priceText(d.was, was), priceText(d.now, now))
	}
}

// namedSessions is how many sessions a change of what a phase sells names.
const namedSessions = 10

// sells adds a change of what a phase sells, which names the sessions.
func (d *difference) sells(phase int) {
	was, now := &d.was.Phases[phase], &d.now.Phases[phase]
	var more, less []string
	before, after := 0, 0
	for i := range d.now.Sessions {
		sold, sells := i < len(d.was.Sessions) && was.Sells(i), now.Sells(i)
		if sold {
			before++
		}
		if sells {
			after++
		}
		if id := d.now.Sessions[i].ID; sells && !sold {
			more = append(more, id)
		} else if sold && !sells {
			less = append(less, id)
		}
	}
	if len(more)+len(less) == 0 {
		return
	}
	var names []string
	if len(more) > 0 {
		names = append(names, "now also "+firstOf(more))
	}
	if len(less) > 0 {
		names = append(names, "no longer "+firstOf(less))
	}
	d.add("phase "+now.ID, "sells", counted(before, "session", "sessions"),
		counted(after, "session", "sessions")+": "+strings.Join(names, "; "))
}

// places adds the changes of how many tickets a phase sells of sessions that both sales have.
func (d *difference) places(phase int) {
	if !d.now.HasQuotas(phase) {
		return
	}
	for i := range d.now.Sessions {
		if s := &d.now.Sessions[i]; !s.Removed {
			d.facts("phase "+d.now.Phases[phase].ID+", session "+s.ID, []fact{{"places", placesText(d.was, phase, i)}},
				[]fact{{"places", placesText(d.now, phase, i)}})
		}
	}
}

// firstOf names the first few of a list.
func firstOf(names []string) string {
	if len(names) <= namedSessions {
		return strings.Join(names, ", ")
	}
	return strings.Join(names[:namedSessions], ", ") + fmt.Sprintf(" and %s more", grouped(len(names)-namedSessions))
}
