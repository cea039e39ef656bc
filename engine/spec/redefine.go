package spec

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// Draw returns a number from 0 to n-1. The label says what it decides.
type Draw func(n int, label string) int

// Changed returns another definition of the same sale: one to three random changes of anything that an organiser may
// change while it runs. It can be loaded. What was removed by an earlier change may come back, under its id.
func (d *Definition) Changed(draw Draw) Definition {
	for range 10 {
		next := d.clone()
		for range 1 + draw(3, "changes") {
			next.change(draw)
		}
		if _, err := next.Load(); err == nil {
			return next
		}
	}
	return d.clone()
}

func (d *Definition) clone() Definition {
	next := Definition{Programmes: slices.Clone(d.Programmes), Groups: slices.Clone(d.Groups),
		Sessions: slices.Clone(d.Sessions), Phases: slices.Clone(d.Phases)}
	for i := range next.Sessions {
		s := &next.Sessions[i]
		s.Places, s.Withheld = slices.Clone(s.Places), slices.Clone(s.Withheld)
	}
	for i := range next.Phases {
		p := &next.Phases[i]
		p.Only, p.Places = slices.Clone(p.Only), maps.Clone(p.Places)
	}
	return next
}

// change makes one change. It may make a definition that cannot be loaded.
func (d *Definition) change(draw Draw) {
	switch draw(4, "change of") {
	case 0:
		d.changeProgramme(&d.Programmes[draw(len(d.Programmes), "programme")], draw)
	case 1:
		d.changePhases(draw)
	case 2:
		d.changeSessions(draw)
	default:
		d.Sessions[draw(len(d.Sessions), "session")].changeStock(draw)
	}
}

func (d *Definition) changeProgramme(p *DefinedProgramme, draw Draw) {
	switch draw(3, "change of the programme") {
	case 0:
		p.AccountCap = 1 + draw(9, "cap")
		p.SessionLimit = min(p.SessionLimit, p.AccountCap)
	case 1:
		p.SessionLimit = 1 + draw(p.AccountCap, "limit")
	default:
		p.WithholdReturned = !p.WithholdReturned
	}
}

func (d *Definition) changePhases(draw Draw) {
	i := draw(len(d.Phases), "phase")
	p := &d.Phases[i]
	switch draw(9, "change of the phase") {
	case 0:
		p.OpensAt = p.OpensAt.Add(time.Duration(draw(5, "opens")-2) * 10 * time.Minute)
	case 1:
		p.ClosesAt = p.ClosesAt.Add(time.Duration(draw(9, "closes")-4) * 10 * time.Minute)
	case 2:
		p.PackSessions, p.PackEqual = 0, false
		if draw(2, "pack") == 1 {
			p.PackSessions, p.PackEqual = 2, draw(2, "equal") == 1
		}
	case 3:
		p.Only = nil
		if draw(2, "only") == 1 {
			p.Only = []string{d.Sessions[draw(len(d.Sessions), "session")].ID}
		}
	case 4:
		if len(d.Phases) > 1 {
			d.Phases = slices.Delete(d.Phases, i, i+1)
		}
	case 5, 6:
		p.changePlaces(d.Sessions[draw(len(d.Sessions), "session")].ID, draw)
	case 7:
		d.changeGroup(p, draw)
	default:
		added := *p
		added.Only, added.Places = slices.Clone(p.Only), maps.Clone(p.Places)
		added.ID = fmt.Sprintf("f%d", draw(6, "id"))
		if !slices.ContainsFunc(d.Phases, func(q DefinedPhase) bool { return q.ID == added.ID }) {
			d.Phases = slices.Insert(d.Phases, draw(len(d.Phases)+1, "place"), added)
		}
	}
}

// changePlaces sets, changes or removes the places of a session, or removes those of all.
func (p *DefinedPhase) changePlaces(session string, draw Draw) {
	places := maps.Clone(p.Places)
	if places == nil {
		places = map[string]int{}
	}
	switch draw(6, "change of the places") {
	case 0:
		places = nil
	case 1:
		delete(places, session)
	default:
		places[session] = 1 + draw(5, "places")
	}
	p.Places = places
}

// changeGroup opens a phase to everybody, or to the members of a group alone, which may be new. Groups that no phase
// names are removed now and then.
func (d *Definition) changeGroup(p *DefinedPhase, draw Draw) {
	p.Group = ""
	if group := draw(4, "group"); group > 0 {
		p.Group = fmt.Sprintf("g%d", group%2)
		if !slices.Contains(d.Groups, p.Group) {
			d.Groups = append(d.Groups, p.Group)
		}
	}
	if draw(3, "groups without a phase") == 0 {
		d.Groups = slices.DeleteFunc(d.Groups, func(id string) bool {
			return !slices.ContainsFunc(d.Phases, func(q DefinedPhase) bool { return q.Group == id })
		})
	}
}

func (d *Definition) changeSessions(draw Draw) {
	i := draw(len(d.Sessions), "session")
	s := &d.Sessions[i]
	switch draw(6, "change of the session") {
	case 0:
		s.Excluded = !s.Excluded
	case 1:
		if len(d.Sessions) > 1 {
			d.Sessions = slices.Delete(d.Sessions, i, i+1)
		}
	case 2:
		added := DefinedSession{ID: fmt.Sprintf("S%d", draw(8, "id")), Programme: s.Programme, StartsAt: s.StartsAt,
			Places: []int{1 + draw(6, "places")}}
		if !slices.ContainsFunc(d.Sessions, func(t DefinedSession) bool { return t.ID == added.ID }) {
			d.Sessions = slices.Insert(d.Sessions, draw(len(d.Sessions)+1, "place"), added)
		}
	case 3:
		opens := d.Phases[0].OpensAt
		s.StartsAt = opens.Add(time.Duration(draw(24, "starts")) * 5 * time.Minute)
	case 4:
		s.Limit = draw(1+d.capOf(s.Programme), "limit") // 0 for the programme's
	default:
		s.Programme = d.Programmes[draw(len(d.Programmes), "programme")].ID
	}
}

func (d *Definition) capOf(programme string) int {
	i := slices.IndexFunc(d.Programmes, func(p DefinedProgramme) bool { return p.ID == programme })
	return d.Programmes[i].AccountCap
}

// changeStock changes the pools of a session.
func (s *DefinedSession) changeStock(draw Draw) {
	i := draw(min(len(s.Places)+1, 5), "category")
	if i == len(s.Places) {
		s.Places = append(s.Places, 0)
	}
	for len(s.Withheld) < len(s.Places) {
		s.Withheld = append(s.Withheld, 0)
	}
	switch draw(4, "change of the stock") {
	case 0:
		s.Places[i] = 0 // the category is removed
	case 1:
		s.Withheld[i] = draw(s.Places[i]+1, "withheld")
	default:
		s.Places[i] = max(1, s.Places[i]+draw(9, "places")-4)
	}
	s.Withheld[i] = min(s.Withheld[i], s.Places[i])
}
