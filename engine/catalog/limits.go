package catalog

import (
	"strings"
	"time"
)

// The bounds of the minutes of sales_end: 52 weeks before the start of a session, and a day after it. No session is
// longer. Dates begin in 1971, so no end is before 1970.
const (
	earliestEnd = -52 * 7 * 24 * 60
	latestEnd   = 24 * 60
)

// numbered is a line of a list of selectors that gives a number to the sessions that match: of session_limits, of
// sales_end, or of what a phase sells.
type numbered struct {
	selector
	number int
	at     field
	used   bool // it matches a session
	faulty bool // a fault of it was reported
}

// detail orders the lines of one session: the one that names the session comes first, then those that set more keys. A
// programme counts only between lines that are otherwise equal.
func (n *numbered) detail() int {
	detail := 2 * n.keys
	if n.programme >= 0 {
		detail--
	}
	if n.session != "" {
		detail += 2 * len(selectorKeys)
	}
	return detail
}

// faultOnce reports the first fault that sessions show.
func (n *numbered) faultOnce(format string, facts ...any) {
	if !n.faulty {
		n.at.faultf(format, facts...)
	}
	n.faulty = true
}

// readSessionLimits reads the limits of single sessions, disciplines, venues and so on.
func (l *loader) readSessionLimits() {
	l.eachNumbered(l.yaml["session_limits"], "limit", 1, maxAccountCap, func(i int, line *numbered) {
		s := &l.sale.Sessions[i]
		if line == nil || s.Programme == unknownProgramme {
			return
		}
		if p := &l.sale.Programmes[s.Programme]; p.AccountCap > 0 && line.number > p.AccountCap {
			line.faultOnce("the limit of session %s must be at most the account_cap of %s: %d", s.ID, p.ID, p.AccountCap)
		}
		s.Limit = line.number
	})
}

// readSalesEnds reads when sales of sessions end. Without a line that is at their start.
func (l *loader) readSalesEnds() {
	l.eachNumbered(l.yaml["sales_end"], "minutes", earliestEnd, latestEnd, func(i int, line *numbered) {
		s := &l.sale.Sessions[i]
		s.SalesEndAt = s.StartsAt
		if line == nil || s.StartsAt.IsZero() || s.EndsAt.IsZero() { // zero: not known
			return
		}
		s.SalesEndAt = s.StartsAt.Add(time.Duration(line.number) * time.Minute)
		if s.SalesEndAt.After(s.EndsAt) {
			line.faultOnce("sales of session %s must end with the session at the latest, %d minutes after its start", s.ID,
				int(s.EndsAt.Sub(s.StartsAt).Minutes()))
		}
	})
}

// eachNumbered reads a list of selectors that each have a number under a key. With a key given as `key?` they may have
// none, which is 0. It calls do for the index of every session, with the line that holds: of those that match, the one
// in most detail; nil for none. Lines in equal detail must not differ.
func (l *loader) eachNumbered(list field, key string, least, most int, do func(session int, line *numbered)) {
	var lines []numbered
	name := strings.TrimSuffix(key, "?")
	for _, at := range list.list() {
		before := l.count()
		selector, keys, _ := l.readSelector(at, key)
		number := keys[name].number(least, most)
		if l.count() == before {
			lines = append(lines, numbered{selector: selector, number: number, at: at})
		}
	}
	for i := range l.sale.Sessions {
		do(i, mostDetailed(&l.sale.Sessions[i], lines, name))
	}
	for i := range lines {
		if !lines[i].used && !l.unread[sessionsFile] {
			lines[i].at.faultf("matches no session; check the spelling%s", l.hints(&lines[i].selector))
		}
	}
}

// mostDetailed returns the line that holds for the session; nil for none.
func mostDetailed(s *Session, lines []numbered, key string) *numbered {
	var best *numbered
	for i := range lines {
		at := &lines[i]
		if !at.matches(s) {
			continue
		}
		at.used = true
		if best == nil || at.detail() > best.detail() {
			best = at
		}
	}
	for i := range lines {
		if at := &lines[i]; at.matches(s) && at.detail() == best.detail() && at.number != best.number {
			at.faultOnce("session %s has another value of %s on line %d, which names it in as much detail; give the session "+
				"a line of its own, or one of the two another key", s.ID, key, best.at.line)
		}
	}
	return best
}
