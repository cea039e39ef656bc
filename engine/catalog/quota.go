package catalog

// Quota is how many tickets a phase sells of a session: all categories together, held and sold. It bounds the phase and
// reserves nothing for it: what the phase does not sell stays in the session's pools for the next one.
type Quota struct {
	Phase   int // index into Sale.Phases
	Session int // index into Sale.Sessions; the phase need not sell it at present
	Places  int // tickets, 1 to 2^31-1

	// Removed: the definition no longer bounds what the phase sells of the session. The quota keeps its number and
	// Places, and counts what the phase sells: the bound may come back. See Continue.
	Removed bool
}

// Units returns how many tickets the phase may sell of the session: Places, or 2^31-1 for a removed quota.
func (q *Quota) Units() int {
	if q.Removed {
		return maxPlaces
	}
	return q.Places
}

// QuotaOf returns the index in Quotas of the one that a phase has of a session; both are indices. It finds removed
// quotas, since they count as well.
func (s *Sale) QuotaOf(phase, session int) (int, bool) {
	if !s.HasQuotas(phase) {
		return 0, false
	}
	i := s.quotas[phase][session]
	return int(i) - 1, i > 0
}

// HasQuotas reports whether a phase has a quota of any session, also a removed one.
func (s *Sale) HasQuotas(phase int) bool { return s.quotas != nil && s.quotas[phase] != nil }

// indexQuotas makes the quotas known to QuotaOf. If two are of one phase and session, it returns their positions;
// otherwise again is negative.
func (s *Sale) indexQuotas() (first, again int) {
	s.quotas = nil
	if len(s.Quotas) > 0 {
		s.quotas = make([][]int32, len(s.Phases))
	}
	for i := range s.Quotas {
		q := &s.Quotas[i]
		of := &s.quotas[q.Phase]
		if *of == nil {
			*of = make([]int32, len(s.Sessions))
		}
		if other := (*of)[q.Session]; other > 0 {
			return int(other) - 1, i
		}
		(*of)[q.Session] = int32(i) + 1
	}
	return 0, -1
}
