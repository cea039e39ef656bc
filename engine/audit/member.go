package audit

import (
	"time"

	"github.com/google/uuid"

	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/record"
)

// member applies a record by which an account joins a group or leaves it. The engine writes none that changes nothing.
func (a *auditor) member(r *record.Record) {
	id, account, joins := a.rules.sale.Groups[r.Member.Group].ID, r.Member.Account, r.Kind == record.KindJoined
	of := a.members[id]
	switch {
	case !a.strict || of[account] != joins:
	case joins:
		a.problem("I9: group %s: account %s joins, and is a member", id, account)
	default:
		a.problem("I3: group %s: account %s leaves, and is not a member", id, account)
	}
	switch {
	case !joins:
		delete(of, account)
	case of == nil:
		a.members[id] = map[string]bool{account: true}
	default:
		of[account] = true
	}
}

// checkAccess checks that a reservation was taken by an account that may buy in its phase: a member of the phase's
// group, or one within its access slot.
func (a *auditor) checkAccess(r *record.Record) {
	p, id, account := &a.rules.sale.Phases[r.Request.Phase], uuid.UUID(r.Request.ID), r.Request.Account
	switch p.Access {
	case catalog.Members:
		if group := a.rules.sale.Groups[p.Group].ID; !a.members[group][account] {
			a.problem("access: reservation %s of account %s in phase %s, which is for members of group %s; it is not one", id,
				account, p.ID, group)
		}
	case catalog.Slots:
		a.checkSlot(r, p)
	}
}

// checkSlot checks that a reservation was taken within its account's access slot.
func (a *auditor) checkSlot(r *record.Record, p *catalog.Phase) {
	id, account := uuid.UUID(r.Request.ID), r.Request.Account
	d := a.draws[a.rules.sale.Draws[p.Draw].ID]
	at, entered := d.index[account]
	if !entered || !d.drawn || d.entries[at].slot == 0 {
		a.problem("access: reservation %s of account %s in phase %s, in which it has no slot", id, account, p.ID)
		return
	}
	taken := time.UnixMilli(r.AtMs)
	if opens, closes := p.Slot(int(d.entries[at].slot) - 1); taken.Before(opens) || !taken.Before(closes) {
		a.problem("access: reservation %s of account %s in phase %s was taken at %s; its slot is from %s to %s", id, account,
			p.ID, stamp(taken), stamp(opens), stamp(closes))
	}
}
