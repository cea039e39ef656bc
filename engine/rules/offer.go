package rules

import (
	"fmt"
	"math/bits"
	"strings"
	"time"

	"github.com/seathold/seathold/engine/catalog"
)

// phaseSet is a set of phases by their indexes in the sale, which has at most 64.
type phaseSet uint64

func (s *phaseSet) add(phase int)         { *s |= 1 << phase }
func (s phaseSet) without(p int) phaseSet { return s &^ (1 << p) }
func (s phaseSet) has(p int) bool         { return s&(1<<p) != 0 }
func (s phaseSet) len() int               { return bits.OnesCount64(uint64(s)) }
func (s phaseSet) first() int             { return bits.TrailingZeros64(uint64(s)) }

// offer is what the detail of a refusal needs to describe which phase would be right. It has numbers only, none of the
// request's texts, so a refusal allocates nothing. The texts are made when the detail is read.
type offer struct {
	sale     *catalog.Sale // nil: the detail describes the facts alone
	at       time.Time     // on the sale clock
	named    bool          // the request named the phase; otherwise the book chose the one that is refused
	sessions int           // different ones in the request; with an unknown one, its lines
	selling  phaseSet      // sell or sold all sessions of the request; not those that open after their sales have ended
	fit      phaseSet      // of PhaseRequired: the candidates
	uneven   bool          // the request has different numbers of tickets for its sessions
	paused   phaseSet      // are no alternative now: all, if the sale is paused or a session of the request
	shut     bool          // the whole sale is paused
	again    bool          // of PhaseRequired: a confirmation is refused, which cannot name a phase
}

// offerOf returns the offer for a request at an instant (ms).
func (b *Book) offerOf(q *Request, lines Resolved, now int64) offer {
	o := offer{sale: b.Sale, at: time.UnixMilli(now).UTC(), named: q.Phase != "", sessions: lines.sessions,
		paused: b.pausedFor(lines), shut: b.Paused.Sale()}
	if !lines.Known() { // a session is unknown, so no phase sells them all
		o.sessions = max(len(q.Lines), len(lines.Pools)+1)
		return o
	}
	o.uneven = !lines.even()
	o.selling = o.all(func(i int, p *catalog.Phase) bool {
		w := b.windows[i]
		return lines.soldIn(p) && (w.closes <= now || b.ended(lines, max(now, w.opens)) < 0)
	})
	return o
}

// pausedFor returns the phases in which a pause stops a request for the lines.
func (b *Book) pausedFor(lines Resolved) phaseSet {
	if b.Paused.Sale() || b.pausedSession(lines) >= 0 {
		return ^phaseSet(0)
	}
	return b.Paused.phases
}

// all returns the phases that meet the condition. Removed ones are none of them.
func (o *offer) all(condition func(i int, p *catalog.Phase) bool) (met phaseSet) {
	for i := range o.sale.Phases {
		if p := &o.sale.Phases[i]; !p.Removed && condition(i, p) {
			met.add(i)
		}
	}
	return met
}

// open returns the open phases of a set.
func (o *offer) open(set phaseSet) phaseSet {
	return set & o.all(func(_ int, p *catalog.Phase) bool { return !o.at.Before(p.OpensAt) && o.at.Before(p.ClosesAt) })
}

// nearest returns the phase of a set that opens next, or else the one that closed last, open ones included.
func (o *offer) nearest(set phaseSet) *catalog.Phase {
	best := &o.sale.Phases[set.first()]
	for ; set != 0; set = set.without(set.first()) {
		p := &o.sale.Phases[set.first()]
		switch upcoming := p.OpensAt.After(o.at); {
		case upcoming != best.OpensAt.After(o.at):
			if upcoming {
				best = p
			}
		case upcoming && p.OpensAt.Before(best.OpensAt), !upcoming && p.ClosesAt.After(best.ClosesAt):
			best = p
		}
	}
	return best
}

// names lists the phases of a set.
func (o *offer) names(set phaseSet) string {
	var ids []string
	for ; set != 0; set = set.without(set.first()) {
		ids = append(ids, o.sale.Phases[set.first()].ID)
	}
	return strings.Join(ids, ", ")
}

// requested names what was requested.
func (o *offer) requested() string {
	if o.sessions == 1 {
		return "the requested session"
	}
	return "all requested sessions"
}

// itOrThem refers to what requested names.
func (o *offer) itOrThem() string {
	if o.sessions > 1 {
		return "them"
	}
	return "it"
}

// sellers describes in which phases of a set something is sold: those that are open, or else the next one, or else the
// last one. Paused ones are passed over.
func (o *offer) sellers(set phaseSet, what string) string {
	if set == 0 {
		return "no phase sells " + what
	}
	if set &^= o.paused; set == 0 {
		return "only a paused phase sells " + what
	}
	open := o.open(set)
	switch nearest := o.nearest(set); {
	case open.len() == 1:
		return fmt.Sprintf("phase %s is open and sells %s", o.names(open), what)
	case open != 0:
		return fmt.Sprintf("phases %s are open and sell %s", o.names(open), what)
	case nearest.OpensAt.After(o.at):
		return fmt.Sprintf("phase %s sells %s from %s", nearest.ID, what, stamp(nearest.OpensAt))
	default:
		return fmt.Sprintf("phase %s sold %s until %s", nearest.ID, what, stamp(nearest.ClosesAt))
	}
}

// chosen names the phase of a refusal, with why the book chose it if the request did not name it.
func (o *offer) chosen(r *Refusal) string {
	switch {
	case o.sale == nil || o.named:
		return "phase " + r.Phase
	case o.selling == 0 || !o.sells(r.Phase):
		return fmt.Sprintf("phase %s, the first open one,", r.Phase)
	}
	return fmt.Sprintf("phase %s, which was chosen because it is open and sells %s,", r.Phase, o.requested())
}

// sells reports whether the phase sells all requested sessions.
func (o *offer) sells(phase string) bool {
	i, known := o.sale.PhaseByID(phase)
	return known && o.selling.has(i)
}

// elsewhere describes which other phase would accept the request. It is a clause after a semicolon, or empty.
func (o *offer) elsewhere(r *Refusal) string {
	if o.sale == nil {
		return ""
	}
	others := o.all(func(i int, p *catalog.Phase) bool {
		return o.selling.has(i) && !o.paused.has(i) && p.ID != r.Phase &&
			(p.Kind == catalog.Single || p.PackSessions == o.sessions && !(o.uneven && p.PackEqual))
	})
	if others == 0 {
		return ""
	}
	best := o.nearest(others)
	over := !best.ClosesAt.After(o.at)
	later := r.Code == PhaseNotOpen && r.OpensAt.After(o.at) && best.OpensAt.After(r.OpensAt)
	if o.open(others) == 0 && (over || later) {
		return ""
	}
	return "; " + o.sellers(others, o.requested())
}

// notOnSale is the detail of NotOnSale.
func notOnSale(r *Refusal) string {
	o := &r.offer
	switch {
	case r.Phase == "":
		return fmt.Sprintf("session %s is listed without tickets; no phase sells it", r.Session)
	case o.sale == nil:
		return fmt.Sprintf("session %s is not on sale in phase %s", r.Session, r.Phase)
	}
	session, _ := o.sale.SessionByID(r.Session)
	sellers := o.sellers(o.all(func(_ int, p *catalog.Phase) bool { return p.Sells(session) }), "session "+r.Session)
	switch {
	case o.named:
		return fmt.Sprintf("phase %s does not sell session %s; ", r.Phase, r.Session) + sellers
	case o.selling != 0:
		return fmt.Sprintf("no open phase sells %s; ", o.requested()) + o.sellers(o.selling, o.itOrThem())
	case o.sessions > 1:
		return "no phase sells " + o.requested() + " together; " + sellers
	}
	return sellers
}

// phaseNotOpen is the detail of PhaseNotOpen.
func phaseNotOpen(r *Refusal) string {
	o := &r.offer
	which, was := "next", "is"
	if !r.OpensAt.After(o.at) {
		which, was = "last", "was"
	}
	window := fmt.Sprintf("%s open from %s until %s", was, stamp(r.OpensAt), stamp(r.ClosesAt))
	switch {
	case o.sale == nil || o.named:
		return fmt.Sprintf("phase %s %s", r.Phase, window) + o.elsewhere(r)
	case !o.sells(r.Phase):
		return fmt.Sprintf("no phase is open; the %s, %s, %s; ", which, r.Phase, window) + o.sellers(0, o.requested())
	}
	return fmt.Sprintf("no phase is open; the %s that sells %s, %s, %s", which, o.requested(), r.Phase, window)
}

// phaseRequired is the detail of PhaseRequired.
func phaseRequired(r *Refusal) string {
	if r.offer.sale == nil {
		return `several open phases fit; name one in "phase"`
	}
	what := ""
	if r.offer.again {
		what = "reserve with a new id and "
	}
	fit := r.offer.fit &^ r.offer.paused
	switch fit.len() {
	case 0:
		return "what was requested is paused; retry later, with the same id"
	case 1:
		return fmt.Sprintf(`phase %s is open and fits; %sname it in "phase"`, r.offer.names(fit), what)
	}
	return fmt.Sprintf(`phases %s are open and fit; %sname one of them in "phase"`, r.offer.names(fit), what)
}

// paused is the detail of Paused.
func paused(r *Refusal) string {
	const retry = " is paused; retry later, with the same id"
	switch o := &r.offer; {
	case r.Session != "":
		return "the sale of session " + r.Session + retry
	case o.shut:
		return "the sale" + retry
	}
	return "phase " + r.Phase + retry + r.offer.elsewhere(r)
}

// noSlot is the detail of a refusal for the lack of an open access slot.
func noSlot(r *Refusal, why string) string {
	return noAccess(r, " requires an access slot, and "+why)
}

// noSlotOrMember is the detail of NoAccessSlot: the account has won no slot, or is no member of the phase's group.
func noSlotOrMember(r *Refusal) string {
	if o := &r.offer; o.sale != nil {
		i, there := o.sale.PhaseByID(r.Phase)
		if there && o.sale.Phases[i].Access == catalog.Members {
			return noAccess(r, fmt.Sprintf(" is open to members of the group %s alone, and the account is not one",
				o.sale.Groups[o.sale.Phases[i].Group].ID))
		}
	}
	return noSlot(r, "the account has none")
}

// noAccess continues with where the tickets are to be had.
func noAccess(r *Refusal, why string) string {
	detail := r.offer.chosen(r) + why
	if o := &r.offer; o.sale != nil && !o.named && !o.sells(r.Phase) {
		return fmt.Sprintf("%s; no open phase sells %s", detail, o.requested()) + o.elsewhere(r)
	}
	return detail + r.offer.elsewhere(r)
}

// wrongShape is the detail of PackShape. Where the number of sessions is right, the quantities are not.
func wrongShape(r *Refusal) string {
	switch o := &r.offer; {
	case r.Requested != r.Limit:
		return fmt.Sprintf("%s takes packs of exactly %d different sessions; the request has %d", o.chosen(r), r.Limit,
			r.Requested) + o.elsewhere(r)
	case o.uneven:
		return fmt.Sprintf("%s takes packs with equally many tickets for each of their %d sessions; the request has "+
			"different numbers", o.chosen(r), r.Limit) + o.elsewhere(r)
	}
	return fmt.Sprintf("the pack has equally many tickets for each of its %d sessions, and must keep equally many",
		r.Limit)
}

// unknownCategory is the detail of UnknownCategory.
func unknownCategory(r *Refusal) string {
	detail := fmt.Sprintf("session %s has no price category %q", r.Session, r.Category)
	if r.offer.sale == nil {
		return detail
	}
	i, _ := r.offer.sale.SessionByID(r.Session)
	session := &r.offer.sale.Sessions[i]
	var ids []string
	for _, pool := range session.Pools {
		if p := &r.offer.sale.Pools[pool]; !p.Removed {
			ids = append(ids, p.Category)
		}
	}
	return detail + "; it has " + strings.Join(ids, ", ")
}
