package rules

import (
	"time"

	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/inventory"
)

// Facts are what a request is judged by beside the definition.
type Facts struct {
	Now int64 // on the sale clock, in ms

	// Slot returns the access slot [opens, closes) that an account has won in a draw, by its index in Sale.Draws.
	Slot func(account string, draw int) (opens, closes time.Time, won bool)
	// Member reports whether an account is a member of a group, by its index in Sale.Groups.
	Member func(account string, group int) bool
}

// Judge returns the phase, by its index in Sale.Phases, in which a request may pass to the limits, the caps and the
// stock. CheckShape has passed it, and lines are its own. The error is into, with the first rule that the request
// breaks: phase, access, pauses, what is on sale, pack shape. A pause does not hide what outlasts it: a session that is
// not on sale at all, or whose sales have ended. Of what is on sale, the first line that cannot be bought decides: its
// session is not sold in the phase, or its sales have ended, or the sale does not have it.
//
// A book between two others passes what both pass in the same phase, and refuses all else with Changing.
func (b *Book) Judge(q *Request, lines Resolved, f Facts, into *Refusal) (phase int, err error) {
	phase, err = b.judge(q, lines, f, into)
	if b.next == nil {
		return phase, err
	}
	if err == nil && !b.moves(lines.Pools) && !b.Gains(phase, lines.Pools) {
		var then int
		if then, err = b.next.judge(q, lines, f, into); err == nil && then == phase {
			return phase, nil
		}
	}
	return 0, into.set(Refusal{Code: Changing})
}

func (b *Book) judge(q *Request, lines Resolved, f Facts, into *Refusal) (phase int, err error) {
	lines = lines.onlySold(b.Sale)
	if q.TTL > b.ttl {
		return 0, b.badTTL(into)
	}
	if phase, err = b.choosePhase(q, lines, f.Now, into); err != nil {
		return 0, err
	}
	if err := b.checkAccess(q, lines, phase, f, into); err != nil {
		return 0, err
	}
	if err := b.checkPauses(q, lines, phase, f.Now, into); err != nil {
		return 0, err
	}
	p := &b.Sale.Phases[phase]
	for _, l := range lines.Pools {
		session := b.Sale.Pools[l.Pool].Session
		if !p.Sells(session) {
			return 0, into.set(Refusal{Code: NotOnSale, Session: b.Sale.Sessions[session].ID, Phase: p.ID,
				offer: b.offerOf(q, lines, f.Now)})
		}
		if f.Now >= b.ends[session] {
			return 0, b.refuseEnded(session, into)
		}
	}
	if !lines.Known() {
		return 0, b.refuseNext(lines, into)
	}
	if !lines.shapedFor(p) {
		return 0, into.set(Refusal{Code: PackShape, Phase: p.ID, Limit: p.PackSessions, Requested: lines.sessions,
			offer: b.offerOf(q, lines, f.Now)})
	}
	return phase, nil
}

// JudgeAgain judges an expired reservation of the account and the phase like a new request for what it has. If its
// phase does not sell that any more, and its request did not name the phase, any other may do so. A pause decides
// alone: it ends. A book between two others judges as for Judge.
func (b *Book) JudgeAgain(account string, phase int, named bool, has []inventory.Line, f Facts, into *Refusal) (
	int, error) {
	if b.next != nil && b.lacks(phase, has) {
		return 0, into.set(Refusal{Code: Changing})
	}
	found, err := b.judgeAgain(account, phase, named, has, f, into)
	if b.next == nil {
		return found, err
	}
	if err == nil && !b.moves(has) && !b.Gains(found, has) {
		var then int
		if then, err = b.next.judgeAgain(account, phase, named, has, f, into); err == nil && then == found {
			return found, nil
		}
	}
	return 0, into.set(Refusal{Code: Changing})
}

func (b *Book) judgeAgain(account string, phase int, named bool, has []inventory.Line, f Facts, into *Refusal) (
	int, error) {
	q := Request{Account: account, Phase: b.Sale.Phases[phase].ID}
	lines := Resolved{sale: b.Sale, Pools: has, sessions: shapeOf(b.Sale, has).sessions, listed: -1}
	found, err := b.judge(&q, lines, f, into)
	if err != nil && !named && !decidesAlone(into.Code) {
		q.Phase = ""
		found, err = b.judge(&q, lines, f, into)
	}
	if err != nil {
		into.offer.again = true
	}
	return found, err
}

// decidesAlone reports whether a refusal by one phase holds whatever others say: sales end in all phases.
func decidesAlone(c Code) bool { return c == Paused || c == SalesEnded || c == Changing }

// choosePhase returns the phase of a request: the one that it names, or else the only open one that matches.
//
// Among the open phases it prefers those of the sessions' programme, then those that sell all the sessions, then those
// whose shape the sessions and quantities have. A preference that no phase meets is dropped, so that the refusal that
// follows names what is missing. If several phases remain, the request must name one, unless the sales of a session
// have ended, which no phase changes. If none is open, the refusal names the next one to open.
func (b *Book) choosePhase(q *Request, lines Resolved, now int64, into *Refusal) (int, error) {
	if q.Phase != "" {
		i, ok := b.Sale.PhaseByID(q.Phase)
		if !ok {
			return 0, into.set(Refusal{Code: UnknownPhase, Phase: q.Phase, offer: b.offerOf(q, lines, now)})
		}
		if !b.windows[i].open(now) {
			return 0, into.set(notOpen(&b.Sale.Phases[i], b.offerOf(q, lines, now)))
		}
		return i, nil
	}
	var choices [4]phaseSet // by the number of preferences that are met
	for i := range b.Sale.Phases {
		if !b.windows[i].open(now) {
			continue
		}
		p := &b.Sale.Phases[i]
		choices[0].add(i)
		if !lines.of(p.Programme) {
			continue
		}
		choices[1].add(i)
		if !lines.soldIn(p) {
			continue
		}
		choices[2].add(i)
		if lines.shapedFor(p) {
			choices[3].add(i)
		}
	}
	met := 3
	for met > 0 && choices[met] == 0 {
		met--
	}
	switch fit := choices[met]; {
	case fit == 0:
		return 0, b.noneOpen(q, lines, now, into)
	case fit.len() == 1 || met < 2: // met < 2: no phase sells these sessions, and Judge will refuse them
		return fit.first(), nil
	case b.ended(lines, now) >= 0:
		return 0, b.refuseEnded(b.ended(lines, now), into)
	case !lines.Known(): // the unknown session could decide between the phases
		return 0, b.refuseNext(lines, into)
	default:
		o := b.offerOf(q, lines, now)
		o.fit = fit
		return 0, into.set(Refusal{Code: PhaseRequired, offer: o})
	}
}

// ended returns the first session of the lines whose sales have ended at an instant (ms); -1 for none.
func (b *Book) ended(lines Resolved, now int64) int {
	for _, l := range lines.Pools {
		if session := b.Sale.Pools[l.Pool].Session; now >= b.ends[session] {
			return session
		}
	}
	return -1
}

// refuseEnded refuses a session whose sales have ended.
func (b *Book) refuseEnded(session int, into *Refusal) error {
	s := &b.Sale.Sessions[session]
	return into.set(Refusal{Code: SalesEnded, Session: s.ID, EndedAt: s.SalesEndAt})
}

// noneOpen refuses a request while no phase is open. It names one of those that sell the sessions, or of all if none
// does: the next to open, or else the last to have closed.
func (b *Book) noneOpen(q *Request, lines Resolved, now int64, into *Refusal) error {
	o := b.offerOf(q, lines, now)
	candidates := o.all(func(_ int, p *catalog.Phase) bool { return lines.soldIn(p) })
	if candidates == 0 {
		candidates = o.all(func(int, *catalog.Phase) bool { return true })
	}
	return into.set(notOpen(o.nearest(candidates), o))
}

func notOpen(p *catalog.Phase, o offer) Refusal {
	return Refusal{Code: PhaseNotOpen, Phase: p.ID, OpensAt: p.OpensAt, ClosesAt: p.ClosesAt, offer: o}
}

// checkAccess decides whether the account may buy in the phase now.
func (b *Book) checkAccess(q *Request, lines Resolved, phase int, f Facts, into *Refusal) error {
	p := &b.Sale.Phases[phase]
	switch p.Access {
	case catalog.Open:
		return nil
	case catalog.Members:
		switch {
		case !f.Member(q.Account, p.Group):
			return into.set(Refusal{Code: NoAccessSlot, Phase: p.ID, offer: b.offerOf(q, lines, f.Now)})
		case b.leaving.is(q.Account, p.Group):
			return into.set(Refusal{Code: Changing})
		}
		return nil
	}
	refusal := Refusal{Phase: p.ID}
	opens, closes, won := f.Slot(q.Account, p.Draw)
	switch {
	case !won:
		refusal.Code = NoAccessSlot
	case f.Now < opens.UnixMilli():
		refusal.Code, refusal.OpensAt = SlotNotOpen, opens
	case f.Now >= closes.UnixMilli():
		refusal.Code, refusal.ClosesAt = SlotEnded, closes
	default:
		return nil
	}
	refusal.offer = b.offerOf(q, lines, f.Now)
	return into.set(refusal)
}

// checkPauses refuses a request while the sale, its phase or a session of its lines is paused. The phase was chosen as
// if nothing were paused: a pause moves no buyer to another phase. What is gone passes, to be refused for that: whoever
// is told to retry after the pause would do so in vain.
func (b *Book) checkPauses(q *Request, lines Resolved, phase int, now int64, into *Refusal) error {
	all, session := b.Paused.Sale() || b.Paused.Phase(phase), b.pausedSession(lines)
	switch {
	case !all && session < 0, b.gone(lines, now):
		return nil
	case all:
		return into.set(Refusal{Code: Paused, Phase: b.Sale.Phases[phase].ID, offer: b.offerOf(q, lines, now)})
	}
	return into.set(Refusal{Code: Paused, Session: b.Sale.Sessions[session].ID})
}

// gone reports whether a session of the lines is sold in no phase: it is excluded, removed or only listed, or its sales
// have ended.
func (b *Book) gone(lines Resolved, now int64) bool {
	for _, l := range lines.Pools {
		if !b.Sale.Sessions[b.Sale.Pools[l.Pool].Session].OnSale {
			return true
		}
	}
	return lines.listed >= 0 || b.ended(lines, now) >= 0
}

// pausedSession returns the first session of the lines that is paused; -1 for none.
func (b *Book) pausedSession(lines Resolved) int {
	for _, l := range lines.Pools {
		if session := b.Sale.Pools[l.Pool].Session; b.Paused.Session(session) {
			return session
		}
	}
	return -1
}
