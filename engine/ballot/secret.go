package ballot

import (
	"fmt"
	"io"

	"github.com/seathold/seathold/engine/draw"
	"github.com/seathold/seathold/engine/record"
)

// The secret of a draw is a record of the journal. Every machine that has the journal therefore has the secret: a
// restart, a standby, a restored backup. The journal has every account in clear as well, so the secret makes a copy
// of it no more dangerous. The secret itself does not leave the process: an entrant receives the salt of its own
// handle, the operator those of the winners, and `journal dump`, logs, metrics and exports show the commitment at
// most.

// announcedDraw is a draw that has a secret.
type announcedDraw struct {
	secret draw.Secret
	record announcement
}

// NeedsSecret reports whether the draw is to be announced: it has no secret, its entries are not frozen, and the
// definition has it.
func (b *Ballot) NeedsSecret() bool {
	return b.announced.Load() == nil && b.frozen.Load() == nil && !b.draw().Removed
}

// Announcement returns the record of KindAnnounced with a new secret. The draw has the secret once the caller has made
// the record durable and restored it. The leader does so before it accepts calls, so the journal has the secret before
// any entry that this program makes. The error is Host.Random's.
func (b *Ballot) Announcement() (*record.Draw, error) {
	f := &record.Draw{Index: b.index}
	if _, err := io.ReadFull(b.host.Random, f.Secret[:]); err != nil {
		return nil, fmt.Errorf("the secret of draw %s: %w", b.draw().ID, err)
	}
	return f, nil
}

// announce gives the draw a secret if it needs one, and places its record. So a draw that a definition adds while the
// sale runs has one before its first entry. The error is Host.Random's, or ErrNotesFull.
func (b *Ballot) announce() error {
	if !b.NeedsSecret() {
		return nil
	}
	b.freezeLock.Lock()
	defer b.freezeLock.Unlock()
	if !b.NeedsSecret() {
		return nil
	}
	f, err := b.Announcement()
	if err != nil {
		return err
	}
	now := b.host.Now()
	a := &announcedDraw{secret: f.Secret}
	a.record.atMs = now.UnixMilli()
	b.announced.Store(a) // before its record is placed, since the writer reads it
	seq, ok := b.host.Place(record.KindAnnounced, b.index, 0, now)
	if !ok {
		b.announced.Store(nil)
		return ErrNotesFull
	}
	a.record.markPlaced(seq)
	return nil
}

// sealedTerms returns the terms with the commitment to the secret, which is there.
func (b *Ballot) sealedTerms() *draw.Terms {
	terms := *b.terms()
	terms.Commitment = b.announced.Load().secret.Commitment()
	return &terms
}

// unsealedTerms returns the terms of entries that were frozen in a journal of version 1.
func (b *Ballot) unsealedTerms() *draw.Terms {
	terms := *b.terms()
	terms.PublishWithin = 0
	return &terms
}

// restoreAnnounced restores the secret. Restoring it twice changes nothing.
func (b *Ballot) restoreAnnounced(f *record.Draw, s record.Stamp) error {
	if a := b.announced.Load(); a != nil {
		if a.secret != f.Secret {
			return fmt.Errorf("%w: draw %s has two secrets", record.ErrInvalid, b.draw().ID)
		}
		return nil
	}
	a := &announcedDraw{secret: f.Secret}
	a.record.restore(s)
	b.announced.Store(a)
	return nil
}
