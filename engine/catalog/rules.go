package catalog

import (
	"strings"
	"time"
)

// readRules reads what sale.yaml says without reference to the tables.
func (l *loader) readRules() error {
	l.sale.Name = l.yaml["name"].id(namePunctuation)
	l.sale.Title = l.yaml["title"].text()
	l.zone = l.yaml["timezone"].zone()
	l.readProgrammes(l.yaml["programmes"])
	l.readStock(l.yaml["stock"])
	l.sale.groups = l.index(l.yaml["groups"], MaxGroups, func(e entry) {
		group := e.at.object("title")
		l.sale.Groups = append(l.sale.Groups, Group{ID: e.key, Title: group["title"].text()})
	})
	return nil
}

// index reads a mapping keyed by names, calls do for each entry and returns the names' positions.
func (l *loader) index(f field, most int, do func(e entry)) map[string]int {
	positions := map[string]int{}
	for i, e := range f.entries() {
		if i == most {
			e.at.faultf("is one more than the %d a sale can have", most)
		}
		if rule := idRule(e.key, namePunctuation); rule != "" {
			e.at.faultf("%s", rule)
		}
		positions[e.key] = i
		do(e)
	}
	return positions
}

func (f field) zone() *time.Location {
	name := f.text()
	if !f.present() || f.in.fault != nil {
		return time.UTC
	}
	zone, err := loadZone(name)
	if err != nil {
		f.faultf("%s", err)
		return time.UTC
	}
	return zone
}

func (l *loader) readProgrammes(f field) {
	l.sale.programmes = l.index(f, MaxProgrammes, func(e entry) {
		keys := e.at.object("title", "account_cap", "session_limit", "session_limit_by_discipline?")
		programme := Programme{ID: e.key, Title: keys["title"].text(), AccountCap: keys["account_cap"].number(1, MaxAccountCap)}
		rules := programmeRules{
			limit:        keys["session_limit"].number(1, programme.AccountCap),
			byDiscipline: map[string]int{},
			disciplines:  map[string]bool{},
			limits:       keys["session_limit_by_discipline"].entries(),
		}
		for _, limit := range rules.limits {
			rules.byDiscipline[limit.key] = limit.at.number(1, programme.AccountCap)
		}
		l.sale.Programmes = append(l.sale.Programmes, programme)
		l.programmes = append(l.programmes, rules)
	})
	if f.present() && len(l.sale.Programmes) == 0 {
		f.faultf("must name at least one programme")
	}
}

func (l *loader) readStock(f field) {
	keys := f.object("withheld_percent", "weights?", "fixed_per_thousand?")
	l.stock = stockRule{
		withheldPercent: keys["withheld_percent"].number(0, 99),
		weights:         shares(keys["weights"], maxWeight),
		perThousand:     shares(keys["fixed_per_thousand"], 999),
	}
	for _, e := range keys["fixed_per_thousand"].entries() {
		if l.stock.weights[e.key] > 0 {
			e.at.faultf("has a weight, too; one of the two decides")
		}
	}
}

// shares reads a mapping of price categories to numbers.
func shares(f field, most int) map[string]int {
	numbers := map[string]int{}
	for _, e := range f.entries() {
		if rule := idRule(e.key, idPunctuation); rule != "" {
			e.at.faultf("%s", rule)
		}
		numbers[e.key] = e.at.number(1, most)
	}
	return numbers
}

// readVenueNotes reads what sale.yaml adds to venues.csv.
func (l *loader) readVenueNotes() error {
	for _, e := range l.yaml["venues"].entries() {
		keys := e.at.object("timezone?", "share_of?", "parts?")
		venue := l.venues[e.key]
		if venue == nil {
			e.at.faultf("is not in %s", venuesFile)
			return nil
		}
		if keys["timezone"].present() {
			venue.zone = keys["timezone"].zone()
		}
		share, parts := keys["share_of"], keys["parts"]
		switch {
		case share.present() != parts.present():
			e.at.faultf("needs both share_of and parts, or neither")
		case share.present() && venue.capacity > 0:
			share.faultf("%s gives the venue a capacity of its own", venuesFile)
		case share.present():
			venue.capacity = l.share(share, parts)
		case !keys["timezone"].present():
			e.at.faultf("says nothing of the venue")
		}
		if l.doc.fault != nil {
			return nil
		}
	}
	return nil
}

// share returns an equal part of another venue's published capacity, rounded down.
func (l *loader) share(of, parts field) int {
	whole := l.venues[of.text()]
	if whole == nil || whole.capacity == 0 {
		of.faultf("%.40q has no capacity in %s", of.text(), venuesFile)
		return 0
	}
	n := parts.number(1, whole.capacity)
	if n == 0 {
		return 0
	}
	return whole.capacity / n
}

func (l *loader) readExclusions() error {
	for i, excluded := range l.matching(l.yaml["exclusions"]) {
		if excluded {
			l.sale.Sessions[i].Reason = Excluded
		}
	}
	return nil
}

// matching reads a list of selectors and marks the sessions that match one of them. A selector without a session is a
// mistake in its spelling.
func (l *loader) matching(f field) []bool {
	matches := make([]bool, len(l.sale.Sessions))
	for _, line := range f.list() {
		selector := l.readSelector(line)
		found := false
		for i := range l.sale.Sessions {
			if selector.matches(&l.sale.Sessions[i]) {
				matches[i], found = true, true
			}
		}
		if !found {
			line.faultf("matches no session")
		}
	}
	return matches
}

// selector picks sessions; what is empty, or negative for the programme, may be anything.
type selector struct {
	session, discipline, venue, city string
	programme                        int
}

func (s *selector) matches(session *Session) bool {
	is := func(wanted, actual string) bool { return wanted == "" || wanted == actual }
	return is(s.session, session.ID) && is(s.discipline, session.Discipline) && is(s.venue, session.Venue) &&
		is(s.city, session.City) && (s.programme < 0 || s.programme == session.Programme)
}

func (l *loader) readSelector(f field) selector {
	keys := f.object("session?", "programme?", "discipline?", "venue?", "city?")
	s := selector{
		session:    keys["session"].id(idPunctuation),
		discipline: keys["discipline"].text(),
		venue:      keys["venue"].text(),
		city:       keys["city"].text(),
		programme:  -1,
	}
	if keys["programme"].present() {
		s.programme = reference(keys["programme"], l.sale.programmes, "programmes")
	}
	if len(f.entries()) == 0 {
		f.faultf("must say at least one of session, programme, discipline, venue, city")
	}
	return s
}

// reference reads the id of something defined elsewhere in sale.yaml and returns its position.
func reference(f field, positions map[string]int, section string) int {
	id := f.id(namePunctuation)
	position, known := positions[id]
	if !known && f.present() {
		ids := make([]string, len(positions))
		for name, i := range positions {
			ids[i] = name
		}
		f.faultf("%q is not among the %s: %s", id, section, strings.Join(ids, ", "))
	}
	return position
}
