package ballot

import (
	"slices"
	"sync/atomic"

	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/draw"
	"github.com/seathold/seathold/engine/record"
)

// drawRules is what a definition of the sale says about a draw. It is immutable; another definition has others.
type drawRules struct {
	sale  *catalog.Sale
	draw  *catalog.Draw
	terms draw.Terms // without the commitment to the secret
}

func rulesOf(sale *catalog.Sale, index int) *drawRules {
	return &drawRules{sale: sale, draw: &sale.Draws[index], terms: record.DrawTerms(sale, index)}
}

func (b *Ballot) sale() *catalog.Sale { return b.rules.Load().sale }
func (b *Ballot) draw() *catalog.Draw { return b.rules.Load().draw }
func (b *Ballot) terms() *draw.Terms  { return &b.rules.Load().terms }

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

// Follow gives the draws the terms of a definition, as far as their entries are not frozen, and adds ballots for those
// that it has more. It has the numbers of the definitions before it. One goroutine at a time calls it.
func (b *Ballots) Follow(sale *catalog.Sale) {
	all := b.All()
	for i, known := range all {
		known.follow(rulesOf(sale, i))
	}
	more := slices.Clip(all)
	for i := len(all); i < len(sale.Draws); i++ {
		added := &Ballot{host: b.host, index: i, register: newRegister(b.host.Accounts)}
		added.rules.Store(rulesOf(sale, i))
		more = append(more, added)
	}
	b.all.Store(&more)
}

// follow changes the terms, unless the entries are frozen: then the draw has those that were published with their
// digest.
func (b *Ballot) follow(rules *drawRules) {
	b.freezeLock.Lock()
	defer b.freezeLock.Unlock()
	if b.frozen.Load() == nil {
		b.rules.Store(rules)
	}
}
