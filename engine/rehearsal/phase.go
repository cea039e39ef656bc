package rehearsal

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/seathold/seathold/engine/catalog"
)

// Shape of an open phase, and of one for members.
const (
	waves         = 48  // from the rush at the opening to the last call
	earlyShareOf  = 2   // per mille of the visits: come before the opening
	wantedPercent = 125 // tickets wanted before the last call, of those available at the opening
	laterPercent  = 60  // likewise, in a phase whose sessions are sold by a later one too
	ticketsAVisit = 3   // approximately
	lastCallEvery = time.Hour
	maxInstants   = 100_000 // of a phase with slots
)

// visit is one visit of an account to a phase.
type visit struct {
	account uint32
	number  uint32 // among all visits of the stage; it seeds the dice
}

// stage is a phase of the sale in the rehearsal.
type stage struct {
	r       *rehearsal
	index   int // of the phase
	phase   *catalog.Phase
	demand  demand
	listing listing
	final   bool // no later phase sells its sessions

	instant int           // the next one: the number of instants already served
	step    time.Duration // between two instants of a phase with slots
	planned [][]visit     // by instant, in a phase with slots
	wave    []int         // number of visits by instant, in a phase without slots; the first is before the opening
	visits  uint32        // number of visits so far
	soldOut int           // sessions, at the end of the stage
	served  time.Time     // the last instant that was served
	tally   *tally
	took    time.Duration
}

func newStage(r *rehearsal, index int) *stage {
	p := &r.sale.Phases[index]
	s := &stage{r: r, index: index, phase: p, demand: newDemand(r.sale, index, r.places), final: true,
		tally: newTally(r.sale)}
	for i := range r.sale.Phases {
		later := &r.sale.Phases[i]
		for session := range r.sale.Sessions {
			if later.ClosesAt.After(p.ClosesAt) && later.Sells(session) && p.Sells(session) {
				s.final = false
			}
		}
	}
	if p.Access == catalog.Slots {
		span := p.ClosesAt.Sub(p.OpensAt)
		s.step = max(p.Slots.Length/8, span/maxInstants, time.Second)
		s.planned = make([][]visit, (span+s.step-1)/s.step)
	}
	return s
}

// number returns a new visit of an account.
func (s *stage) number(account uint32) visit {
	s.visits++
	return visit{account: account, number: s.visits}
}

// invite plans the visits of the entrants of a draw by their access slots.
func (s *stage) invite(ctx context.Context, drawIndex int) error {
	var lock sync.Mutex
	var plans []plan
	crowd := &s.r.crowd
	s.r.progress.begin(s.r.sale.Draws[drawIndex].ID+" slots", crowd.entrants)
	err := s.r.each(ctx, crowd.entrants, 1, func(entrant int) error {
		s.r.progress.one()
		p := plan{entrant: entrant, account: crowd.entrant(drawIndex, entrant)}
		if comes, err := s.plan(ctx, &p); !comes {
			return err
		}
		lock.Lock()
		defer lock.Unlock()
		plans = append(plans, p)
		return nil
	})
	slices.SortFunc(plans, func(a, b plan) int { return a.entrant - b.entrant }) // independent of the workers' timing
	for _, p := range plans {
		for _, instant := range p.instants {
			s.planned[instant] = append(s.planned[instant], s.number(p.account))
		}
	}
	s.r.draws[drawIndex].Buyers = len(plans)
	return err
}

// plan is the instants of the stage at which an entrant comes.
type plan struct {
	entrant  int
	account  uint32
	instants []int
}

// plan decides whether and when an entrant comes.
func (s *stage) plan(ctx context.Context, p *plan) (comes bool, err error) {
	chance := newDice(s.r.o.Seed, 1000+uint64(s.index), uint64(p.account))
	share := singleBuyers
	if s.phase.Kind == catalog.Pack {
		share = packBuyers
	}
	if !chance.perMille(share) {
		return false, nil
	}
	a, err := s.r.engine.Account(ctx, account(p.account))
	if err != nil {
		return false, err
	}
	for _, slot := range a.Access {
		if slot.Phase != s.phase.ID {
			continue
		}
		first := int((slot.OpensAt.Sub(s.phase.OpensAt) + s.step - 1) / s.step)
		end := int((slot.ClosesAt.Sub(s.phase.OpensAt) + s.step - 1) / s.step)
		if end < len(s.planned) && chance.perMille(lateShare) {
			p.instants = []int{end + chance.below(len(s.planned)-end)}
			return true, nil
		}
		p.instants = []int{min(first+chance.below(max(1, end-first)), len(s.planned)-1)}
		if first > 0 && chance.perMille(earlyShare) {
			p.instants = append(p.instants, chance.below(first))
		}
		return true, nil
	}
	if !chance.perMille(loserShare) {
		return false, nil
	}
	p.instants = []int{chance.below(len(s.planned))}
	return true, nil
}

// first returns the time of the first instant.
func (s *stage) first() time.Time {
	if s.phase.Access == catalog.Slots {
		return s.phase.OpensAt
	}
	return s.phase.OpensAt.Add(-s.r.engine.TTL())
}

// opened reports whether the phase is open. Until then, a request that names no phase would be for another one.
func (s *stage) opened() bool { return s.phase.Access == catalog.Slots || s.instant > 0 }

// serve plays one instant and returns the time of the next.
func (s *stage) serve(ctx context.Context) (next time.Time, more bool, err error) {
	began := time.Now()
	s.served = s.r.engine.Now()
	if s.instant == 0 {
		s.r.takeStock(s.phase.ID)
	}
	lastCall := s.phase.Access != catalog.Slots && s.instant > waves
	s.listing.fill(&s.demand, s.r.stock, s.r.engine.Now(), lastCall)
	err = s.r.attend(ctx, s, s.arrivals(lastCall))
	s.instant++
	s.took += time.Since(began)
	next, more = s.next()
	if !more {
		s.close()
	}
	return next, more && err == nil, err
}

// next returns the time of the next instant; false if there is none.
func (s *stage) next() (time.Time, bool) {
	if s.phase.Access == catalog.Slots {
		return s.phase.OpensAt.Add(time.Duration(s.instant) * s.step), s.instant < len(s.planned)
	}
	// The intervals between waves grow over nine tenths of the phase; the last call has the rest.
	span := s.phase.ClosesAt.Sub(s.phase.OpensAt) / 10 * 9
	if wave := time.Duration(s.instant - 1); wave < waves {
		return s.phase.OpensAt.Add(span / (waves * waves) * wave * wave), true
	}
	s.listing.fill(&s.demand, s.r.stock, s.r.engine.Now(), true)
	at := s.phase.OpensAt.Add(span).Add(time.Duration(s.instant-waves) * lastCallEvery)
	return at, s.final && s.listing.left > 0 && at.Before(s.phase.ClosesAt)
}

// arrivals returns the visits of the current instant.
func (s *stage) arrivals(lastCall bool) []visit {
	if s.phase.Access == catalog.Slots {
		return s.planned[s.instant]
	}
	if s.instant == 0 {
		s.wave = waveSizes(s.listing.left, s.final)
	}
	n := s.listing.left/ticketsAVisit*2 + 8
	if !lastCall {
		n = s.wave[s.instant]
	}
	chance := newDice(s.r.o.Seed, 2000+uint64(s.index), uint64(s.instant))
	all := make([]visit, n)
	for i := range all {
		all[i] = s.number(s.visitor(&chance))
	}
	return all
}

// waveSizes returns the visits of each instant of a phase without slots: a few before the opening, then the rush, then
// a half, a third, a quarter… of the rush.
func waveSizes(left int, final bool) []int {
	percent := laterPercent
	if final {
		percent = wantedPercent
	}
	visits := left * percent / 100 / ticketsAVisit
	sum := 0.0
	for k := range waves {
		sum += 1 / float64(k+1)
	}
	sizes := make([]int, 0, 1+waves)
	sizes = append(sizes, visits*earlyShareOf/1000+1)
	for k := range waves {
		sizes = append(sizes, int(float64(visits)/float64(k+1)/sum)+1)
	}
	return sizes
}

// revisit plans another visit at the next instant of a phase with slots. Without slots the planned waves suffice.
func (s *stage) revisit(all []visit) {
	if s.instant+1 < len(s.planned) {
		next := &s.planned[s.instant+1]
		for _, v := range all {
			*next = append(*next, s.number(v.account))
		}
	}
}

// close counts the sold-out sessions at the end of the phase.
func (s *stage) close() {
	for i := range s.r.sale.Sessions {
		session := &s.r.sale.Sessions[i]
		left := int32(0)
		for _, pool := range session.Pools {
			left += s.r.stock[pool]
		}
		if s.phase.Sells(i) && (left == 0 || s.r.places.left(s.index, i) == 0) {
			s.soldOut++
		}
	}
}
