package record

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/inventory"
)

// translation maps the numbers of a definition to those of a sale that has all of its parts; -1 for what is missing,
// which happens in version 1 only.
type translation struct {
	from       *Definition
	programmes []int
	sessions   []int
	phases     []int
	draws      []int
	groups     []int
	pools      []int
}

func translate(from *Definition, to *catalog.Sale) *translation {
	t := &translation{from: from, phases: indices(from.Phases, phaseIDs(to)), draws: indices(from.Draws, drawIDs(to)),
		groups: indices(from.Groups, GroupNames(to)), pools: indices(from.Pools, poolNames(to))}
	if from.Rules != nil {
		t.programmes = indices(programmeIDs(from.Rules), programmeIDs(to))
		t.sessions = indices(sessionIDs(from.Rules), sessionIDs(to))
	}
	return t
}

// indices looks names up in a list; -1 for those that are missing.
func indices[N comparable](names, in []N) []int {
	found := make([]int, len(names))
	var positions map[N]int
	for i, name := range names {
		if i < len(in) && in[i] == name {
			found[i] = i
			continue
		}
		if positions == nil {
			positions = make(map[N]int, len(in))
			for at, is := range in {
				positions[is] = at
			}
		}
		at, there := positions[name]
		if !there {
			at = -1
		}
		found[i] = at
	}
	return found
}

// prefix reports whether a list begins with another one.
func prefix[N comparable](list, of []N) bool {
	return len(list) <= len(of) && slices.Equal(list, of[:len(list)])
}

// The names of a sale's parts, also of removed ones.

func programmeIDs(s *catalog.Sale) []string {
	return namesOf(s.Programmes, func(p *catalog.Programme) string { return p.ID })
}

func sessionIDs(s *catalog.Sale) []string {
	return namesOf(s.Sessions, func(x *catalog.Session) string { return x.ID })
}

func phaseIDs(s *catalog.Sale) []string {
	return namesOf(s.Phases, func(p *catalog.Phase) string { return p.ID })
}

func drawIDs(s *catalog.Sale) []string {
	return namesOf(s.Draws, func(d *catalog.Draw) string { return d.ID })
}

func poolNames(s *catalog.Sale) []Pool {
	return namesOf(s.Pools, func(p *catalog.Pool) Pool { return Pool{s.Sessions[p.Session].ID, p.Category} })
}

func namesOf[T any, N comparable](parts []T, name func(*T) N) []N {
	var names []N
	for i := range parts {
		names = append(names, name(&parts[i]))
	}
	return names
}

// definition returns the definition in the numbers of the sale, which is what it says.
func (t *translation) definition(from *Definition, sale *catalog.Sale) Definition {
	d := DefinitionOf(sale)
	d.Version, d.FilesDigest, d.Earlier, d.Files = from.Version, from.FilesDigest, from.Earlier, from.Files
	d.content = from.content // whatever the numbers
	d.Above = Above{Programmes: translated(from.Above.Programmes, t.programmes),
		Sessions: translated(from.Above.Sessions, t.sessions)}
	for _, freed := range from.Freed {
		d.Freed = append(d.Freed, Freed{Pool: t.pools[freed.Pool], Tickets: freed.Tickets})
	}
	slices.SortFunc(d.Freed, func(a, b Freed) int { return cmp.Compare(a.Pool, b.Pool) })
	return d
}

func translated(list []Most, to []int) (now []Most) {
	for _, m := range list {
		now = append(now, Most{Of: to[m.Of], Tickets: m.Tickets})
	}
	slices.SortFunc(now, func(a, b Most) int { return cmp.Compare(a.Of, b.Of) })
	return now
}

// number translates a number; ok is false if the definition does not have it.
func number(n int, to []int) (now int, ok bool) {
	if n >= len(to) {
		return 0, false
	}
	return to[n], true
}

func (t *translation) pause(p *Pause) (err error) {
	of := t.phases
	switch p.Of {
	case WholeSale:
		return nil
	case OneSession:
		of = t.sessions
	}
	now, ok := number(p.Index, of)
	if !ok {
		return fmt.Errorf("%w: number %d of %d is paused", ErrInvalid, p.Index, len(of))
	}
	p.Index = now
	return nil
}

func (t *translation) stock(s *Stock) (err error) {
	s.Pool, err = t.pool(s.Pool)
	return err
}

func (t *translation) pool(n int) (int, error) {
	now, ok := number(n, t.pools)
	switch {
	case !ok:
		return 0, fmt.Errorf("%w: pool %d of %d", ErrInvalid, n, len(t.pools))
	case now < 0:
		p := t.from.Pools[n]
		return 0, fmt.Errorf("the sale no longer has session %s, category %s, of which tickets are taken", p.Session,
			p.Category)
	}
	return now, nil
}

func (t *translation) request(q *inventory.Request) error {
	phase, ok := number(int(q.Phase), t.phases)
	switch {
	case !ok:
		return fmt.Errorf("%w: phase %d of %d", ErrInvalid, q.Phase, len(t.phases))
	case phase < 0:
		return fmt.Errorf("the sale no longer has the phase %q, which reservations of the journal name",
			t.from.Phases[q.Phase])
	}
	q.Phase = uint16(phase)
	for i, l := range q.Lines {
		pool, err := t.pool(int(l.Pool))
		if err != nil {
			return err
		}
		q.Lines[i].Pool = uint32(pool)
	}
	return nil
}

func (t *translation) draw(kind Kind, d *Draw) error {
	if d.Index >= len(t.draws) || d.Group > len(t.groups) {
		return fmt.Errorf("%w: draw %d of %d, group %d of %d", ErrInvalid, d.Index, len(t.draws), d.Group, len(t.groups))
	}
	switch {
	case t.draws[d.Index] >= 0:
	case kind == KindAnnounced || kind == KindPostponed:
		d.Index = -1
		return nil
	default:
		return fmt.Errorf("the sale no longer has the draw %q, for which the journal has entries", t.from.Draws[d.Index])
	}
	d.Index = t.draws[d.Index]
	if d.Group > 0 {
		now := t.groups[d.Group-1]
		if now < 0 {
			return fmt.Errorf("the sale no longer has the priority group %q, which entries of the journal name",
				t.from.Groups[d.Group-1])
		}
		d.Group = now + 1
	}
	return nil
}

func (t *translation) member(m *Member) error {
	now, ok := number(m.Group, t.groups)
	switch {
	case !ok:
		return fmt.Errorf("%w: group %d of %d", ErrInvalid, m.Group, len(t.groups))
	case now < 0:
		return fmt.Errorf("the sale no longer has the group %q, which members of the journal name", t.from.Groups[m.Group])
	}
	m.Group = now
	return nil
}
