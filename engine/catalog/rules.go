package catalog

import "strings"

// readRules reads the part of sale.yaml that does not refer to the tables.
func (l *loader) readRules() {
	l.sale.Name = l.yaml["name"].id(namePunctuation)
	l.sale.Title = l.yaml["title"].text()
	l.zone = l.yaml["timezone"].zone()
	l.readProgrammes(l.yaml["programmes"])
	l.readStock(l.yaml["stock"])
	l.sale.groups = l.index(l.yaml["groups"], maxGroups, func(e entry) {
		group := e.at.object("title")
		l.sale.Groups = append(l.sale.Groups, Group{ID: e.key, Title: group["title"].text()})
	})
}

// index reads a mapping keyed by names, calls do for each entry and returns the position of each name.
func (l *loader) index(f field, most int, do func(e entry)) map[string]int {
	positions := map[string]int{}
	for i, e := range f.entries() {
		if i == most {
			e.at.faultf("exceeds the limit of %d per sale", most)
		}
		if rule := idRule(e.key, namePunctuation); rule != "" {
			e.at.faultf("%s", rule)
		}
		positions[e.key] = i
		do(e)
	}
	return positions
}

func (l *loader) readProgrammes(f field) {
	l.programmeIndex = l.index(f, maxProgrammes, func(e entry) {
		keys := e.at.object("title", "account_cap", "session_limit", "session_limit_by_discipline?", "returned_tickets?")
		programme := Programme{
			ID:         e.key,
			Title:      keys["title"].text(),
			AccountCap: keys["account_cap"].number(1, maxAccountCap),

			WithholdReturned: keys["returned_tickets"].oneOf("on_sale", "withheld") == "withheld",
		}
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
		f.faultf("must define at least one programme")
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
			e.at.faultf("has a weight as well; remove one of the two")
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
func (l *loader) readVenueNotes() {
	for _, e := range l.yaml["venues"].entries() {
		keys := e.at.object("timezone?", "share_of?", "parts?")
		venue := l.venues[e.key]
		if venue == nil {
			e.at.faultf("is not in %s", venuesFile)
			return
		}
		if keys["timezone"].present() {
			venue.zone = keys["timezone"].zone()
		}
		share, parts := keys["share_of"], keys["parts"]
		switch {
		case share.present() != parts.present():
			e.at.faultf("must have both share_of and parts, or neither")
		case share.present() && venue.capacity > 0:
			share.faultf("the venue has a capacity in %s as well; remove one of the two", venuesFile)
		case share.present():
			venue.capacity = l.share(share, parts)
		case !keys["timezone"].present():
			e.at.faultf("must have a timezone, or share_of and parts")
		}
		if l.fault != nil {
			return
		}
	}
}

// share returns an equal part of another venue's capacity, rounded down.
func (l *loader) share(of, parts field) int {
	whole := l.venues[of.text()]
	if whole == nil || whole.capacity == 0 {
		of.faultf("must be a venue with a capacity in %s, not %.40q", venuesFile, of.text())
		return 0
	}
	return whole.capacity / max(1, parts.number(1, whole.capacity))
}

func (l *loader) readExclusions() {
	for i, excluded := range l.matching(l.yaml["exclusions"]) {
		if excluded {
			l.sale.Sessions[i].Reason = excludedReason
		}
	}
}

// matching reads a list of selectors and marks each session that matches one of them. It refuses a selector that
// matches no session, which is most likely misspelt.
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
			line.faultf("matches no session; check the spelling")
		}
	}
	return matches
}

// selector picks sessions. An empty text and a negative programme match anything.
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
		s.programme = reference(keys["programme"], l.programmeIndex, "programmes")
	}
	if len(f.entries()) == 0 {
		f.faultf("must have at least one of session, programme, discipline, venue, city")
	}
	return s
}

// reference reads the id of an item in another section of sale.yaml and returns the item's position.
func reference(f field, positions map[string]int, section string) int {
	id := f.id(namePunctuation)
	position, known := positions[id]
	if !known && f.present() {
		ids := make([]string, len(positions))
		for name, i := range positions {
			ids[i] = name
		}
		f.faultf("%q is not one of the %s [%s]", id, section, strings.Join(ids, ", "))
	}
	return position
}
