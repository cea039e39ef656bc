package catalog

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// readRules reads the part of sale.yaml that does not refer to the tables.
func (l *loader) readRules() {
	l.sale.Name = l.yaml["name"].id(namePunctuation)
	l.sale.Title = l.yaml["title"].text()
	l.zone = l.yaml["timezone"].zone()
	l.readProgrammes(l.yaml["programmes"])
	l.readStock(l.yaml["stock"])
	l.sale.groups = l.index(l.yaml["groups"], maxGroups, &l.names.groups, func(e entry) {
		group := e.at.object("title")
		l.sale.Groups = append(l.sale.Groups, Group{ID: e.key, Title: group["title"].text()})
	})
}

// index reads a mapping keyed by names of one kind, calls do for each entry and returns the position of each name.
func (l *loader) index(f field, most int, kind *spellings, do func(e entry)) map[string]int {
	positions := map[string]int{}
	for i, e := range f.entries() {
		if i == most {
			e.at.faultf("exceeds the limit of %d per sale", most)
			break
		}
		if rule := idRule(e.key, namePunctuation); rule != "" && !e.faulty {
			e.at.faultf("%s", rule)
		}
		if rule := kind.note(e.key, saleFile, e.at.line); rule != "" {
			e.at.faultf("%s", rule)
		}
		positions[e.key] = i
		do(e)
	}
	return positions
}

func (l *loader) readProgrammes(f field) {
	l.programmeIndex = l.index(f, maxProgrammes, &l.names.programmes, func(e entry) {
		keys := e.at.object("title", "account_cap", "session_limit", "returned_tickets?")
		programme := Programme{
			ID:         e.key,
			Title:      keys["title"].text(),
			AccountCap: keys["account_cap"].number(1, maxAccountCap),

			WithholdReturned: keys["returned_tickets"].oneOf("on_sale", "withheld") == "withheld",
		}
		most := programme.AccountCap
		if most == 0 { // not known
			most = maxAccountCap
		}
		l.sale.Programmes = append(l.sale.Programmes, programme)
		l.sessionLimits = append(l.sessionLimits, keys["session_limit"].number(1, most))
	})
	if len(l.sale.Programmes) == 0 && f.isEmpty() {
		f.faultf("must define at least one programme")
	}
}

func (l *loader) readStock(f field) {
	before := l.count()
	keys := f.object("withheld_percent", "weights?", "fixed_per_thousand?")
	l.stock = stockRule{withheldPercent: keys["withheld_percent"].number(0, 99)}
	l.stock.weights = l.shares(keys["weights"], maxWeight)
	l.stock.perThousand = l.shares(keys["fixed_per_thousand"], 999)
	l.stockFaulty = !f.present() || l.count() > before
}

// shares reads a mapping of price categories to numbers.
func (l *loader) shares(f field, most int) map[string]int {
	numbers := map[string]int{}
	for _, e := range f.entries() {
		if rule := idRule(e.key, idPunctuation); rule != "" && !e.faulty {
			e.at.faultf("%s", rule)
		}
		if rule := l.names.categories.note(e.key, saleFile, e.at.line); rule != "" {
			e.at.faultf("%s", rule)
		}
		if l.stock.weights[e.key] > 0 {
			e.at.faultf("has a weight as well; remove one of the two")
		}
		numbers[e.key] = e.at.number(1, most)
		l.stock.order = append(l.stock.order, e.key)
	}
	return numbers
}

// readVenueNotes reads what sale.yaml adds to venues.csv.
func (l *loader) readVenueNotes() {
	for _, e := range l.yaml["venues"].entries() {
		before := l.count()
		keys := e.at.object("timezone?", "share_of?", "parts?")
		zone := keys["timezone"].zone()
		share, parts := keys["share_of"], keys["parts"]
		venue := l.venues[e.key]
		if venue == nil {
			if !l.unread[venuesFile] && !e.faulty {
				e.at.faultf("is not in %s%s", venuesFile, l.names.venues.hint(e.key))
			}
			continue
		}
		if zone != nil {
			venue.zone = zone
		}
		switch {
		case share.present() != parts.present():
			e.at.faultf("must have both share_of and parts, or neither")
		case share.present() && venue.capacity > 0:
			share.faultf("the venue has a capacity in %s as well; remove one of the two", venuesFile)
		case share.present():
			venue.capacity = l.share(share, parts)
		case !keys["timezone"].present() && l.count() == before:
			e.at.faultf("must have a timezone, or share_of and parts")
		}
		venue.faulty = venue.faulty || l.count() > before
	}
}

// share returns an equal part of another venue's capacity, rounded down; 0 if it is not known.
func (l *loader) share(of, parts field) int {
	name := of.text()
	whole := l.venues[name]
	known := whole != nil && whole.capacity > 0
	if !known && name != "" && !l.unread[venuesFile] && (whole == nil || !whole.faulty) {
		of.faultf("must be a venue with a capacity in %s, not %.40q%s", venuesFile, name, l.names.venues.hint(name))
	}
	most := maxPlaces
	if known {
		most = whole.capacity
	}
	n := parts.number(1, most)
	if !known || n == 0 {
		return 0
	}
	return whole.capacity / n
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
		selector, _, ok := l.readSelector(line)
		if !ok {
			continue
		}
		found := false
		for i := range l.sale.Sessions {
			if selector.matches(&l.sale.Sessions[i]) {
				matches[i], found = true, true
			}
		}
		if !found && !l.unread[sessionsFile] {
			line.faultf("matches no session; check the spelling%s", l.hints(&selector))
		}
	}
	return matches
}

// hints names what a selector has that is written differently in sessions.csv.
func (l *loader) hints(s *selector) string {
	return l.names.sessions.hint(s.session) + l.names.disciplines.hint(s.discipline) + l.names.venues.hint(s.venue) +
		l.names.cities.hint(s.city)
}

// selector picks sessions. An empty text and a negative programme match anything.
type selector struct {
	session, discipline, venue, city string
	programme                        int
	keys                             int // that it sets
}

// selectorKeys are the keys of a selector; it has at least one of them.
var selectorKeys = []string{"session", "programme", "discipline", "venue", "city"}

func (s *selector) matches(session *Session) bool {
	is := func(wanted, actual string) bool { return wanted == "" || wanted == actual }
	return is(s.session, session.ID) && is(s.discipline, session.Discipline) && is(s.venue, session.Venue) &&
		is(s.city, session.City) &&
		(s.programme < 0 || s.programme == session.Programme || session.Programme == unknownProgramme)
}

// readSelector reads a selector, which may have more keys than those of selectors. ok is false if it is faulty.
func (l *loader) readSelector(f field, more ...string) (s selector, keys map[string]field, ok bool) {
	before := l.count()
	allowed := slices.Clone(more)
	for _, key := range selectorKeys {
		allowed = append(allowed, key+"?")
	}
	keys = f.object(allowed...)
	s = selector{
		session:    keys["session"].id(idPunctuation),
		discipline: keys["discipline"].text(),
		venue:      keys["venue"].text(),
		city:       keys["city"].text(),
		programme:  -1,
	}
	if keys["programme"].present() {
		s.programme = l.programme(keys["programme"])
	}
	for _, key := range selectorKeys {
		if keys[key].present() {
			s.keys++
		}
	}
	if s.keys == 0 && l.count() == before {
		f.faultf("must have at least one of %s", strings.Join(selectorKeys, ", "))
	}
	return s, keys, l.count() == before
}

// programme reads the id of a programme and returns its position; -1 if it is not known.
func (l *loader) programme(f field) int {
	if len(l.programmeIndex) == 0 {
		f.id(namePunctuation) // that there is none was reported
		return -1
	}
	return reference(f, l.yaml["programmes"], l.programmeIndex)
}

// reference reads the id of an item of another section of sale.yaml and returns the item's position; -1 if it is not
// known. It does not check the id if that section cannot be read.
func reference(f, section field, positions map[string]int) int {
	id := f.id(namePunctuation)
	if position, known := positions[id]; known {
		return position
	}
	if id != "" && (!section.present() || section.node.Kind == yaml.MappingNode) {
		ids := make([]string, len(positions))
		for name, i := range positions {
			ids[i] = name
		}
		f.faultf("%q is not one of the %s [%s]", id, section.path, strings.Join(ids, ", "))
	}
	return -1
}
