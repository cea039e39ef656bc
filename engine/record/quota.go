package record

import "github.com/seathold/seathold/engine/catalog"

// The quotas of a version end its text:
//
//	count | (phase, session, places, plus 2,147,483,648 if the quota is removed)…
//
// They are there only if the sale has any, or if freed places follow. A version without them is as it was before there
// were quotas, and so is the digest of such a sale.

// removedQuota is added to the places of a removed quota. Places are fewer.
const removedQuota = maxUnits + 1

// maxQuotas bounds the quotas of a version; those of a sale are not more.
const maxQuotas = 60_000

func appendQuotas(run []byte, s *catalog.Sale) []byte {
	if len(s.Quotas) == 0 {
		return run
	}
	run = appendCount(run, len(s.Quotas))
	for i := range s.Quotas {
		q := &s.Quotas[i]
		places := q.Places
		if q.Removed {
			places += removedQuota
		}
		run = appendCount(appendCount(appendCount(run, q.Phase), q.Session), places)
	}
	return run
}

// quotas reads the rest of a version's text.
func (f *fields) quotas() (all []catalog.Quota) {
	if f.bad || len(f.rest) == 0 {
		return nil
	}
	n := f.most(maxQuotas)
	f.bad = f.bad || n == 0 && len(f.rest) == 0 // none have another encoding
	for ; n > 0 && !f.bad; n-- {
		q := catalog.Quota{Phase: f.int(maxFew), Session: f.int(maxSessions), Places: f.int(2*removedQuota - 1)}
		q.Removed = q.Places >= removedQuota
		q.Places %= removedQuota
		all = append(all, q)
	}
	return all
}

// quotaNames names quotas by their positions, which are the same parts in sales that are compared by them.
func quotaNames(s *catalog.Sale) [][2]int {
	return namesOf(s.Quotas, func(q *catalog.Quota) [2]int { return [2]int{q.Phase, q.Session} })
}
