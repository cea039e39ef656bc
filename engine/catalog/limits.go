package catalog

// sessionLimit is a line of session_limits.
type sessionLimit struct {
	selector
	limit  int
	at     field
	used   bool // it matches a session
	faulty bool // a fault of it was reported
}

// detail orders the limits of one session: the one that names the session comes first, then those that set more keys.
func (s *sessionLimit) detail() int {
	if s.session != "" {
		return 5 + s.keys
	}
	return s.keys
}

// faultOnce reports the first fault that sessions show.
func (s *sessionLimit) faultOnce(format string, facts ...any) {
	if !s.faulty {
		s.at.faultf(format, facts...)
	}
	s.faulty = true
}

// readSessionLimits reads the limits of single sessions, disciplines, venues and so on. Of those that match a session
// the one in most detail is its limit.
func (l *loader) readSessionLimits() {
	var limits []sessionLimit
	for _, line := range l.yaml["session_limits"].list() {
		before := l.count()
		selector, keys, _ := l.readSelector(line, "limit")
		limit := keys["limit"].number(1, maxAccountCap)
		if l.count() == before {
			limits = append(limits, sessionLimit{selector: selector, limit: limit, at: line})
		}
	}
	for i := range l.sale.Sessions {
		l.limitSession(&l.sale.Sessions[i], limits)
	}
	for i := range limits {
		if !limits[i].used && !l.unread[sessionsFile] {
			limits[i].at.faultf("matches no session; check the spelling%s", l.hints(&limits[i].selector))
		}
	}
}

// limitSession gives a session its limit if one of these matches it.
func (l *loader) limitSession(s *Session, limits []sessionLimit) {
	var best *sessionLimit
	for i := range limits {
		at := &limits[i]
		if !at.matches(s) {
			continue
		}
		at.used = true
		if best == nil || at.detail() > best.detail() {
			best = at
		}
	}
	if best == nil {
		return
	}
	for i := range limits {
		if at := &limits[i]; at.matches(s) && at.detail() == best.detail() && at.limit != best.limit {
			at.faultOnce("session %s has another limit on line %d, which names it in as much detail; give the session a limit "+
				"of its own, or one of the two another key", s.ID, best.at.line)
		}
	}
	if s.Programme == unknownProgramme {
		return
	}
	if p := &l.sale.Programmes[s.Programme]; p.AccountCap > 0 && best.limit > p.AccountCap {
		best.faultOnce("the limit of session %s must be at most the account_cap of %s: %d", s.ID, p.ID, p.AccountCap)
	}
	s.Limit = best.limit
}
