package ballot

import (
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/draw"
	"github.com/seathold/seathold/engine/record"
)

// drawRules is what a definition of the sale says about a draw. Another definition has others. It is stored before the
// record of its definition is placed, and shown once that is durable (I5).
type drawRules struct {
	sale  *catalog.Sale
	draw  *catalog.Draw
	terms draw.Terms // without the commitment to the secret

	record   announcement
	previous atomic.Pointer[drawRules] // shown until then; nil once that was seen
}

func rulesOf(sale *catalog.Sale, index int) *drawRules {
	return &drawRules{sale: sale, draw: &sale.Draws[index], terms: record.DrawTerms(sale, index)}
}

func (b *Ballot) sale() *catalog.Sale { return b.rules.Load().sale }
func (b *Ballot) draw() *catalog.Draw { return b.rules.Load().draw }
func (b *Ballot) terms() *draw.Terms  { return &b.rules.Load().terms }

// shownRules returns the rules that may be shown.
func (b *Ballot) shownRules() *drawRules {
	rules := b.rules.Load()
	for !b.visible(&rules.record) {
		previous := rules.previous.Load()
		if previous == nil {
			break // they have become visible meanwhile, or the draw is new
		}
		rules = previous
	}
	return rules
}

// registers reports whether the draw accepts entries at an instant.
func (r *drawRules) registers(now time.Time) bool {
	d := r.draw
	return !d.Removed && !now.Before(d.RegistrationOpens) && now.Before(d.RegistrationCloses)
}

// differ reports whether other rules have other terms, or whether only one of them has the draw.
func (r *drawRules) differ(other *drawRules) bool {
	return record.TermsDigest(&r.terms) != record.TermsDigest(&other.terms) ||
		r.terms.PublishWithin != other.terms.PublishWithin || r.draw.Removed != other.draw.Removed
}

// judgesOtherwise reports whether entries or the freeze are judged otherwise by other rules.
func (r *drawRules) judgesOtherwise(other *drawRules) bool {
	return r.differ(other) || !r.draw.RegistrationOpens.Equal(other.draw.RegistrationOpens) || r.losesGroup(other)
}

// losesGroup reports whether other rules lack a group that the accounts may enter with.
func (r *drawRules) losesGroup(other *drawRules) bool {
	return slices.ContainsFunc(r.sale.Groups, func(g catalog.Group) bool {
		_, there := other.sale.GroupByID(g.ID)
		return !g.Removed && !there
	})
}

// Ballots are those of all draws of a sale, by draw. A definition may add some; none is ever removed.
type Ballots struct {
	host *Host
	all  atomic.Pointer[[]*Ballot] // replaced, never changed
}

// New returns the ballots of the sale's draws.
func New(h *Host, sale *catalog.Sale) *Ballots {
	b := &Ballots{host: h}
	b.all.Store(new([]*Ballot))
	b.Follow(sale)
	return b
}

// All returns the ballots, in the order of the draws. They must not be changed.
func (b *Ballots) All() []*Ballot { return *b.all.Load() }

// Of returns the ballot of a draw, by its number.
func (b *Ballots) Of(draw int) *Ballot { return b.All()[draw] }

// Follow gives the draws what a durable definition says, and adds ballots for those that it has more. It has the
// numbers of the definitions before it. Only a replay and the start of a sale call it.
func (b *Ballots) Follow(sale *catalog.Sale) {
	b.grow(sale)
	for _, known := range b.All() {
		rules := rulesOf(sale, known.index)
		rules.record.markPlaced(0)
		if known.frozen.Load() == nil || !known.rules.Load().differ(rules) {
			known.rules.Store(rules)
		}
	}
}

// grow adds ballots for the draws that a definition has more.
func (b *Ballots) grow(sale *catalog.Sale) {
	all := slices.Clip(b.All())
	for i := len(all); i < len(sale.Draws); i++ {
		added := &Ballot{host: b.host, index: i, register: newRegister(b.host.Accounts)}
		added.rules.Store(rulesOf(sale, i))
		all = append(all, added)
	}
	b.all.Store(&all)
}

// ErrTermsStand is the error of Change for a draw that cannot have the terms of the definition. Nothing has changed.
var ErrTermsStand = errors.New("a draw stands against the definition")

// Change gives the draws what a definition says, and places its record in the journal by place. It returns the
// record's sequence. The definition has the numbers of the one before. New draws get their secrets after it: see
// Announce.
//
// The draws whose terms change are locked meanwhile, and all of them if a group goes. So the journal has no record of
// theirs that another definition explains. Errors are ErrTermsStand, for what Objections would list, and ErrNotesFull.
// One goroutine at a time calls it.
func (b *Ballots) Change(sale *catalog.Sale, place func() (seq uint64, ok bool)) (seq uint64, err error) {
	before := b.All()
	for _, known := range before {
		rules := rulesOf(sale, known.index)
		if !known.rules.Load().judgesOtherwise(rules) {
			continue
		}
		known.freezeLock.Lock()
		defer known.freezeLock.Unlock()
		if objection := known.objection(rules); objection != "" {
			return 0, fmt.Errorf("%w: %s", ErrTermsStand, objection)
		}
	}
	if objections := b.groupObjections(sale); len(objections) > 0 {
		return 0, fmt.Errorf("%w: %s", ErrTermsStand, objections[0])
	}
	b.grow(sale)
	for _, known := range before {
		rules, was := rulesOf(sale, known.index), known.rules.Load()
		rules.previous.Store(was)
		if known.visible(&was.record) {
			was.previous.Store(nil)
		}
		known.rules.Store(rules)
	}
	seq, ok := place()
	if !ok {
		for _, known := range before {
			known.rules.Store(known.rules.Load().previous.Load())
		}
		b.all.Store(&before)
		return 0, ErrNotesFull
	}
	for _, known := range b.All() {
		known.rules.Load().record.markPlaced(seq)
	}
	return seq, nil
}

// Announce gives a secret to each draw that needs one, and places its record.
func (b *Ballots) Announce() error {
	for _, known := range b.All() {
		if err := known.announce(); err != nil {
			return err
		}
	}
	return nil
}

// Announcements returns a record for each draw that needs a secret. Only the start of a term calls it.
func (b *Ballots) Announcements() (all []*record.Draw, err error) {
	for _, known := range b.All() {
		if !known.NeedsSecret() {
			continue
		}
		f, err := known.Announcement()
		if err != nil {
			return nil, err
		}
		all = append(all, f)
	}
	return all, nil
}

// Announced gives the draws the secrets of these records, the first of which has the stamp.
func (b *Ballots) Announced(all []*record.Draw, s record.Stamp) error {
	for _, f := range all {
		if err := b.Of(f.Index).Restore(record.KindAnnounced, f, s); err != nil {
			return err
		}
		s.Seq++
	}
	return nil
}

// Objections returns what stands against the terms of a definition, each a sentence. It has the numbers of the one in
// force, or of an earlier one, which may lack the latest draws.
func (b *Ballots) Objections(sale *catalog.Sale) (all []string) {
	for _, known := range b.All() {
		if known.index >= len(sale.Draws) {
			break
		}
		if objection := known.objection(rulesOf(sale, known.index)); objection != "" {
			all = append(all, objection)
		}
	}
	return append(all, b.groupObjections(sale)...)
}

// groupObjections returns what stands against the groups that a definition removes.
func (b *Ballots) groupObjections(sale *catalog.Sale) (all []string) {
	groups := make([]bool, len(sale.Groups))
	for _, known := range b.All() {
		known.groupsInUse(sale, groups)
	}
	for i, used := range groups {
		if used && sale.Groups[i].Removed {
			all = append(all, fmt.Sprintf("group %s: accounts have entered a draw with it; keep it", sale.Groups[i].ID))
		}
	}
	return all
}

// objection returns what stands against other rules; "" if nothing does.
func (b *Ballot) objection(next *drawRules) string {
	was := b.rules.Load()
	if !was.differ(next) {
		return ""
	}
	id := next.draw.ID
	switch removed := next.draw.Removed && !was.draw.Removed; {
	case b.frozen.Load() != nil && removed:
		return fmt.Sprintf("draw %s: its entries are frozen; keep it", id)
	case b.frozen.Load() != nil:
		return fmt.Sprintf("draw %s: its entries are frozen under other terms; "+
			"keep its closing time, publish_within, beacon, phase and slots", id)
	case removed && b.count.Load() > 0:
		return fmt.Sprintf("draw %s: it has %d entries; keep it", id, b.count.Load())
	case len(b.postponements()) > 0:
		return fmt.Sprintf("draw %s: its round is postponed under other terms; "+
			"keep its closing time, publish_within, beacon, phase and slots", id)
	}
	if err := b.checkRevival(&was.terms, &next.terms, b.host.Now()); err != nil {
		return err.Error()
	}
	return ""
}

// groupsInUse marks the groups with which accounts have entered the draw, if the definition removes any group.
func (b *Ballot) groupsInUse(sale *catalog.Sale, used []bool) {
	if b.count.Load() == 0 || !slices.ContainsFunc(sale.Groups, func(g catalog.Group) bool { return g.Removed }) {
		return
	}
	b.register.each(b.host.Inventory.Accounts(), func(_ uint32, p entryState) {
		if p.group > 0 && p.group <= len(used) && !p.withdrawn {
			used[p.group-1] = true
		}
	})
}
