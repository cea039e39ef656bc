package rehearsal

import (
	"context"
	"fmt"

	"github.com/seathold/seathold/engine"
	"github.com/seathold/seathold/engine/catalog"
)

// Shares per mille.
const (
	memberShare   = 150 // of all accounts: are members of a group that has a phase of its own
	rejoinShare   = 10  // of members: join twice
	outsiderShare = 50  // of the visits of a phase for members: by any account
)

// joinAtOnce is the number of accounts in a call of Join.
const joinAtOnce = 4096

// memberships returns the event of each group that has phases of its own. Its members join before the first of them.
func (r *rehearsal) memberships() []event {
	var all []event
	of := map[int]int{} // the position in all, by group
	for _, s := range r.stages {
		if s.phase.Access != catalog.Members {
			continue
		}
		if i, known := of[s.phase.Group]; known {
			if s.first().Before(all[i].at) {
				all[i].at = s.first()
			}
			continue
		}
		of[s.phase.Group] = len(all)
		all = append(all, once(s.first(), func(ctx context.Context) error { return r.join(ctx, s.phase.Group) }))
	}
	return all
}

// member reports whether an account is to be a member of a group, which the seed decides.
func (r *rehearsal) member(group int, number uint32) bool {
	chance := newDice(r.o.Seed, 4000+uint64(group), uint64(number))
	return chance.perMille(memberShare)
}

// join makes the members of a group join it.
func (r *rehearsal) join(ctx context.Context, group int) error {
	g := groupReport{Group: r.sale.Groups[group].ID}
	r.progress.begin(g.Group+" members", r.crowd.all)
	var some []string
	for number := range uint32(r.crowd.all) {
		if r.member(group, number) {
			g.Members++
			some = append(some, account(number))
			if chance := newDice(r.o.Seed, 5000+uint64(group), uint64(number)); chance.perMille(rejoinShare) {
				g.Repeated++
				some = append(some, account(number))
			}
		}
		if len(some) >= joinAtOnce || int(number) == r.crowd.all-1 {
			if err := r.joinSome(ctx, g.Group, some); err != nil {
				return fmt.Errorf("members of %s: %w", g.Group, err)
			}
			some = some[:0]
		}
		r.progress.one()
	}
	found, err := r.engine.Members(g.Group)
	if err != nil {
		return err
	}
	if found != g.Members {
		return fmt.Errorf("group %s has %d members, want %d", g.Group, found, g.Members)
	}
	r.report.Groups = append(r.report.Groups, g)
	return ctx.Err()
}

// joinSome makes accounts join, and retries while the engine is overloaded.
func (r *rehearsal) joinSome(ctx context.Context, group string, accounts []string) (err error) {
	for range maxRefusals {
		if _, err = r.engine.Join(ctx, group, accounts); !temporary(err) || r.engine.Ready() != nil {
			break
		}
	}
	return err
}

// visitor returns the account of a visit to an open phase, or to one for members: a member then, except for a few.
func (s *stage) visitor(chance *dice) uint32 {
	number := uint32(chance.below(s.r.crowd.all))
	if s.phase.Access == catalog.Members && !chance.perMille(outsiderShare) {
		for !s.r.member(s.phase.Group, number) {
			number = uint32(chance.below(s.r.crowd.all))
		}
	}
	return number
}

// outside reports whether the buyer is no member of the group that a phase is for.
func (b *buyer) outside(phase *catalog.Phase) bool {
	return phase.Access == catalog.Members && !b.lane.r.member(phase.Group, b.visit.account)
}

// checkAccess compares the phase of an answer with the buyer's groups.
func (b *buyer) checkAccess(r *engine.Reservation) error {
	phase, known := b.lane.r.sale.PhaseByID(r.Phase)
	if !known || b.outside(&b.lane.r.sale.Phases[phase]) {
		return fmt.Errorf("%s of %s is %s in phase %q, where the account may not buy", r.ID, r.Account, r.State, r.Phase)
	}
	return nil
}

// denied checks that a refusal for the lack of access is not one of a member.
func (b *buyer) denied(refusal *engine.Refusal) error {
	phase := b.stage.phase
	if phase.Access == catalog.Members && refusal.Phase == phase.ID && !b.outside(phase) {
		return fmt.Errorf("%s is a member of %s: %w", b.name, b.lane.r.sale.Groups[phase.Group].ID, refusal)
	}
	return nil
}
