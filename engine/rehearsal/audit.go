package rehearsal

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/seathold/seathold/engine"
	"github.com/seathold/seathold/engine/audit"
	"github.com/seathold/seathold/engine/catalog"
)

// findings is the result of the audit at the end of the sale.
type findings struct {
	Pools        int      `json:"pools"`
	Accounts     int      `json:"accounts"`
	Reservations int      `json:"reservations"` // read in the accounts' ledgers
	Records      int      `json:"records"`      // replayed from the journal
	Broken       int      `json:"broken"`
	Problems     []string `json:"problems"` // the first 20, each with the broken invariant
}

const maxProblems = 20

func (a *findings) problem(format string, facts ...any) {
	a.Broken++
	if len(a.Problems) < maxProblems {
		a.Problems = append(a.Problems, fmt.Sprintf(format, facts...))
	}
}

// audit reads every pool and every account from the engine and compares them with the sale definition, with each other
// and with the buyers' counts.
func (r *rehearsal) audit(ctx context.Context) error {
	began := time.Now()
	a := &r.report.Audit
	a.Problems = []string{}
	sold := make([]int64, len(r.sale.Pools))
	for _, s := range r.stages {
		for i, n := range s.tally.sold {
			sold[i] += n
		}
	}
	auditPools(a, r.sale, r.engine.Stock, sold)
	found, places, err := r.auditAccounts(ctx, a)
	if err != nil {
		return err
	}
	auditPlaces(a, r.places, places)
	for i, n := range found {
		if n != sold[i] {
			a.problem("I4: %s: the accounts have %d tickets, the buyers counted %d", poolName(r.sale, i), n, sold[i])
		}
	}
	r.report.Measured.AuditSeconds = time.Since(began).Seconds()
	return nil
}

// auditPools checks I1: available, held, sold and withheld tickets add up to the capacity, none is negative, and as
// many are sold as the buyers have.
func auditPools(a *findings, sale *catalog.Sale, stock func(pool int) engine.Stock, sold []int64) {
	for i := range sale.Pools {
		p, s := &sale.Pools[i], stock(i)
		a.Pools++
		switch {
		case s.Available+s.Held+s.Sold+s.Withheld != p.Capacity || s.Withheld != p.Withheld,
			s.Available < 0 || s.Held < 0 || s.Sold < 0:
			a.problem("I1: %s: %d available, %d held, %d sold and %d withheld of %d, %d of them withheld", poolName(sale, i),
				s.Available, s.Held, s.Sold, s.Withheld, p.Capacity, p.Withheld)
		case s.Held != 0:
			a.problem("I3: %s: %d tickets are held after the end of all holds", poolName(sale, i), s.Held)
		case int64(s.Sold) != sold[i]:
			a.problem("I1: %s: %d are sold, the buyers counted %d", poolName(sale, i), s.Sold, sold[i])
		}
	}
}

func poolName(sale *catalog.Sale, pool int) string {
	p := &sale.Pools[pool]
	return fmt.Sprintf("session %s, category %s", sale.Sessions[p.Session].ID, p.Category)
}

// auditAccounts checks I2 on all accounts and returns their tickets by pool and by quota.
func (r *rehearsal) auditAccounts(ctx context.Context, a *findings) (sold, places []int64, err error) {
	r.progress.begin("audit", r.crowd.all)
	const share = 1 << 14
	var lock sync.Mutex
	sold, places = make([]int64, len(r.sale.Pools)), make([]int64, len(r.sale.Quotas))
	err = r.each(ctx, r.crowd.all/share+1, 1, func(i int) error {
		ledgers := newLedgerAudit(r.sale)
		for number := i * share; number < min((i+1)*share, r.crowd.all); number++ {
			account, err := r.engine.Account(ctx, account(uint32(number)))
			if err != nil {
				return err
			}
			ledgers.check(&account)
			r.progress.one()
		}
		lock.Lock()
		defer lock.Unlock()
		a.merge(&ledgers.found)
		for pool, n := range ledgers.sold {
			sold[pool] += n
		}
		for quota, n := range ledgers.places {
			places[quota] += n
		}
		return nil
	})
	return sold, places, err
}

func (a *findings) merge(from *findings) {
	a.Accounts += from.Accounts
	a.Reservations += from.Reservations
	a.Broken += from.Broken
	a.Problems = append(a.Problems, from.Problems...)
	slices.Sort(a.Problems)
	a.Problems = a.Problems[:min(len(a.Problems), maxProblems)]
}

// ledgerAudit checks ledgers one by one.
type ledgerAudit struct {
	sale       *catalog.Sale
	found      findings
	sold       []int64     // by pool
	places     []int64     // by quota
	programmes []int       // tickets of the current account by programme
	sessions   map[int]int // likewise, by session
}

func newLedgerAudit(s *catalog.Sale) ledgerAudit {
	return ledgerAudit{sale: s, sold: make([]int64, len(s.Pools)), places: make([]int64, len(s.Quotas))}
}

// check checks I2 on one ledger, and its sums against its reservations.
func (l *ledgerAudit) check(a *engine.Account) {
	l.found.Accounts++
	l.programmes = append(l.programmes[:0], make([]int, len(l.sale.Programmes))...)
	if l.sessions == nil {
		l.sessions = map[int]int{}
	}
	clear(l.sessions)
	for i := range a.Reservations {
		l.count(a.Account, &a.Reservations[i])
	}
	for i, has := range l.programmes {
		p := &l.sale.Programmes[i]
		if sum := a.Programmes[i]; sum.Held != 0 || sum.Confirmed != has || sum.Programme != p.ID {
			l.found.problem("I2: account %s has %d tickets in programme %s, its ledger sums up %d held and %d confirmed in %s",
				a.Account, has, p.ID, sum.Held, sum.Confirmed, sum.Programme)
		}
		if has > p.AccountCap {
			l.found.problem("I2: account %s has %d tickets in programme %s, the cap is %d", a.Account, has, p.ID, p.AccountCap)
		}
	}
	for session, has := range l.sessions {
		if s := &l.sale.Sessions[session]; has > s.Limit {
			l.found.problem("I2: account %s has %d tickets of session %s, the limit is %d", a.Account, has, s.ID, s.Limit)
		}
	}
}

// count counts a reservation, which must be complete (I4) and confirmed (I3).
func (l *ledgerAudit) count(account string, r *engine.Reservation) {
	l.found.Reservations++
	if r.State != engine.Confirmed || r.Account != account {
		l.found.problem("I3: reservation %s of %s in the ledger of %s is %s at the end of the sale", r.ID, r.Account,
			account, r.State)
	}
	tickets, sessions, equal := 0, 0, true
	phase, ok := l.sale.PhaseByID(r.Phase)
	for _, line := range r.Lines {
		session, listed := l.sale.SessionByID(line.Session)
		pool, found := l.sale.PoolOf(session, line.Category)
		if !listed || !found {
			l.found.problem("I4: reservation %s has a line for %s %s, which the sale does not have", r.ID, line.Session,
				line.Category)
			continue
		}
		if s := &l.sale.Sessions[session]; ended(s, r.CreatedAt) {
			l.found.problem("I3: reservation %s of session %s was taken at %s; sales of it ended at %s", r.ID, s.ID,
				r.CreatedAt.Format(time.RFC3339), s.SalesEndAt.Format(time.RFC3339))
		}
		l.sold[pool] += int64(line.Quantity)
		if ok {
			l.countPlaces(phase, session, line.Quantity)
		}
		l.programmes[l.sale.Sessions[session].Programme] += line.Quantity
		l.sessions[session] += line.Quantity
		tickets += line.Quantity
		equal = equal && line.Quantity == r.Lines[0].Quantity
		sessions++
	}
	if !ok || tickets != r.Tickets {
		l.found.problem("I4: reservation %s of phase %q has %d tickets, its lines have %d", r.ID, r.Phase, r.Tickets, tickets)
		return
	}
	p := &l.sale.Phases[phase]
	if p.Kind == catalog.Pack && sessions != p.PackSessions {
		l.found.problem("I4: reservation %s is a pack of %d sessions, not of %d", r.ID, sessions, p.PackSessions)
	}
	if p.PackEqual && !equal {
		l.found.problem("I4: reservation %s is a pack with different numbers of tickets for its sessions", r.ID)
	}
}

// countPlaces counts tickets of a session in a phase.
func (l *ledgerAudit) countPlaces(phase, session, tickets int) {
	if i, bounded := l.sale.QuotaOf(phase, session); bounded {
		l.places[i] += int64(tickets)
	}
}

// verify replays the journal from its first record and compares the result with the buyers' counts.
func (r *rehearsal) verify() error {
	began := time.Now()
	b, err := r.o.Reopen()
	if err != nil {
		return err
	}
	found, err := audit.Verify(b, r.sale)
	if err = errors.Join(err, b.Close()); err != nil {
		return fmt.Errorf("audit of the journal: %w", err)
	}
	r.report.Audit.compare(&found, &r.report)
	r.report.Measured.VerifySeconds = time.Since(began).Seconds()
	return nil
}

// compare adds the findings of audit.Verify and compares its totals with the buyers' counts.
func (a *findings) compare(found *audit.Findings, r *Report) {
	a.Records = found.Records
	a.Broken += found.Broken
	a.Problems = append(a.Problems, found.Problems[:min(len(found.Problems), maxProblems-len(a.Problems))]...)
	sum := phaseReport{Refused: map[engine.Code]int{}}
	for i := range r.Phases {
		sum.add(&r.Phases[i])
	}
	for _, total := range []struct {
		what            string
		journal, buyers int
	}{
		{"reservations", found.Reservations, sum.Held},
		{"confirmed reservations", found.ByState[engine.Confirmed], sum.Confirmed},
		{"released reservations", found.ByState[engine.Released], sum.Released},
		{"expired reservations", found.ByState[engine.Expired], sum.Expired},
		{"returned reservations", found.ByState[engine.Returned], 0},
		{"reservations held", found.ByState[engine.Held], 0},
		{"tickets confirmed", found.Confirmed, sum.Tickets},
	} {
		if total.journal != total.buyers {
			a.problem("I3: the journal has %d %s, the buyers counted %d", total.journal, total.what, total.buyers)
		}
	}
	for _, g := range r.Groups {
		if n := found.Members[g.Group]; n != g.Members {
			a.problem("I9: group %s: the journal has %d members, %d joined", g.Group, n, g.Members)
		}
	}
	for i, n := range found.Entries {
		if n != r.Draws[i].Entries {
			a.problem("I9: draw %s: the journal has %d entries, %d were made", r.Draws[i].Draw, n, r.Draws[i].Entries)
		}
	}
}
