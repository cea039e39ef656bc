package engine

import (
	"bytes"
	"cmp"
	"context"
	"slices"

	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/inventory"
	"github.com/seathold/seathold/engine/outcomes"
	"github.com/seathold/seathold/engine/rules"
)

// Reservation reads a reservation into r. What it shows is durable (I5). From its ExpiresAt on, a hold is shown as
// expired, except on a standby, whose reads lag.
//
// Errors are *Refusal with ReservationNotFound, Overloaded, JournalUnavailable or NotLeader, or ctx's.
func (e *Engine) Reservation(ctx context.Context, id ID, r *Reservation) error {
	began := e.counts.begin(r)
	return e.counts.end(callReservation, began, r, e.readReservation(ctx, id, r))
}

func (e *Engine) readReservation(ctx context.Context, id ID, r *Reservation) error {
	if err := e.admitRead(); err != nil {
		return err
	}
	if err := e.findReservation(id, r); err != nil {
		return err
	}
	return e.awaitDurable(ctx, r.snapshot.Seq, r)
}

// findReservation fills r without waiting for the journal.
func (e *Engine) findReservation(id ID, r *Reservation) error {
	defer e.inventory.Begin(r.spread()).End()
	row := e.inventory.Find(inventory.ID(id))
	if row == 0 {
		return r.refuse(Refusal{Code: ReservationNotFound})
	}
	now := e.nowMs()
	for {
		if e.inventory.Read(row, &r.snapshot) {
			if r.snapshot.State != Held || r.snapshot.ExpiresMs > now || e.term.Load() == nil {
				break
			}
			if !e.expireNow(row, now) {
				return r.refuse(Refusal{Code: JournalUnavailable})
			}
			continue
		}
		// The reservation failed, or is between two states. Another one may have taken over the id of a failed one.
		if row = e.inventory.Find(inventory.ID(id)); row == 0 {
			return r.refuse(Refusal{Code: ReservationNotFound})
		}
		if !e.waits.Again(&r.wait) {
			return r.refuse(Refusal{Code: Overloaded})
		}
	}
	r.fill(e.named()) // r waits for the row's outcome (I5)
	return nil
}

// Account reads an account's ledger as it was at one instant. An account that never reserved has an empty ledger.
//
// Errors are *Refusal with MalformedRequest, Overloaded, JournalUnavailable or NotLeader, or ctx's.
func (e *Engine) Account(ctx context.Context, account string) (Account, error) {
	var refused Reservation
	began := e.counts.begin(&refused)
	a, err := e.readAccount(ctx, account, &refused)
	return a, e.counts.end(callAccount, began, &refused, err)
}

func (e *Engine) readAccount(ctx context.Context, account string, refused *Reservation) (Account, error) {
	if !rules.ValidAccount(account) {
		return Account{}, refused.refuse(Refusal{Code: MalformedRequest, Where: rules.AccountRule})
	}
	if err := e.admitRead(); err != nil {
		return Account{}, err
	}
	a := Account{Account: account}
	placed, err := e.fillAccount(&a, refused)
	if err == nil {
		err = e.awaitDurable(ctx, placed, refused)
	}
	if err != nil {
		return Account{}, err
	}
	return a, nil
}

// fillAccount fills in what the account has, without waiting for the journal. It returns the outcome that must be
// durable before that may be shown.
func (e *Engine) fillAccount(a *Account, refused *Reservation) (seq uint64, err error) {
	defer e.inventory.Begin(refused.spread()).End()
	row := e.inventory.FindAccount(a.Account)
	if row == 0 {
		a.Programmes = programmesOf(e.Sale(), nil)
		return 0, nil
	}
	ledger, why := e.ledger(row, &refused.wait)
	if why != "" {
		return 0, refused.refuse(Refusal{Code: why})
	}
	// A reservation that is missing from the ledger reveals an outcome too: its release or expiry. So everything placed
	// must be durable, not only what is shown (I5).
	placed := e.inventory.Placed()
	now := e.memory.Judging() // after the ledger, so that it has the numbers of all rows
	placed, sale := max(placed, now.Since.Seq), now.Sale
	for i := range sale.Phases {
		switch p := &sale.Phases[i]; {
		case p.Removed:
		case p.Access == catalog.Slots:
			if slot, ok := e.ballots.Of(p.Draw).AccessSlot(row); ok {
				a.Access = append(a.Access, slot)
			}
		case p.Access == catalog.Members && e.memory.Members.ShowsRow(row, p.Group):
			a.Access = append(a.Access, AccessSlot{Phase: p.ID, OpensAt: p.OpensAt, ClosesAt: p.ClosesAt})
		}
	}
	tickets := make([]ProgrammeTickets, len(sale.Programmes))
	a.Reservations = make([]Reservation, len(ledger))
	for i, l := range ledger {
		r := &a.Reservations[i]
		e.inventory.ReadAs(l, &r.snapshot)
		r.fill(sale)
		for _, line := range r.snapshot.Lines { // a session may be in another programme now than the phase it was sold in
			t := &tickets[sale.Sessions[sale.Pools[line.Pool].Session].Programme]
			if r.State == Held {
				t.Held += int(line.Quantity)
			} else {
				t.Confirmed += int(line.Quantity)
			}
		}
	}
	a.Programmes = programmesOf(sale, tickets)
	slices.SortFunc(a.Reservations, func(r, s Reservation) int {
		return cmp.Or(s.CreatedAt.Compare(r.CreatedAt), bytes.Compare(s.ID[:], r.ID[:]))
	})
	return placed, nil
}

// programmesOf returns an account's programmes with its tickets, by programme; nil if it has none. Those that a later
// definition has removed are listed while it has tickets of them.
func programmesOf(sale *catalog.Sale, tickets []ProgrammeTickets) (all []ProgrammeTickets) {
	for i := range sale.Programmes {
		p, t := &sale.Programmes[i], ProgrammeTickets{}
		if tickets != nil {
			t = tickets[i]
		}
		if !p.Removed || t.Held+t.Confirmed > 0 {
			t.Programme, t.Cap = p.ID, p.AccountCap
			all = append(all, t)
		}
	}
	return all
}

// ledger returns the account's reservations that count, without expired holds, or the code of the refusal. It ends
// expired holds that no sweep has ended yet, and then reads the ledger again.
func (e *Engine) ledger(row uint32, w *inventory.Wait) (ledger []inventory.Decided, why Code) {
	now := e.nowMs() // one instant for all holds, so that none is shown as held after one that expires later has expired
	for over := true; over; {
		var ok bool
		if ledger, ok = e.inventory.Ledger(row, ledger[:0], w); !ok {
			return nil, Overloaded
		}
		over = false
		for _, l := range ledger {
			if l.State != Held || e.inventory.Expires(l.Row) > now || e.term.Load() == nil {
				continue
			}
			if over = true; !e.expireNow(l.Row, now) {
				return nil, JournalUnavailable
			}
		}
	}
	return ledger, ""
}

// Stock reads a pool of the sale, by its index in Sale().Pools. It never blocks. With durability Sync it shows what is
// durable (I5), which includes every acknowledged outcome.
func (e *Engine) Stock(pool int) Stock {
	for f := e.memory.Shown(); ; {
		s := e.stockIn(f, pool)
		again := e.memory.Shown()
		if f == again {
			return s
		}
		f = again // the numbers may be of different instants
	}
}

func (e *Engine) stockIn(f *outcomes.InForce, pool int) Stock {
	s := Stock{Capacity: f.Sale.Pools[pool].Capacity}
	held, sold, returned := e.taken(pool)
	s.Held, s.Sold, s.Withheld = held, sold, f.Withheld(pool, returned)
	s.Available = s.Capacity - s.Withheld - s.Held - s.Sold
	return s
}

// taken returns how many tickets of a pool are held, sold, and withheld after a return, as far as that may be shown.
func (e *Engine) taken(pool int) (held, sold, withheld int) {
	if t := e.term.Load(); t != nil && t.drain != nil && e.o.Durability == Sync {
		return t.drain.Stock(pool)
	}
	s := e.inventory.Stock(pool)
	return s.Held, s.Sold, s.Withheld
}

// PhasePlaces are the tickets that a phase sells of a session at most, and how many of them it has left.
type PhasePlaces = outcomes.Places

// PhasePlaces reads the places of a phase, by its index in Sale().Phases. It never blocks, and shows what Stock does.
func (e *Engine) PhasePlaces(phase int) []PhasePlaces { return e.AppendPhasePlaces(nil, phase) }

// AppendPhasePlaces is PhasePlaces for a caller with memory of its own, to which it appends.
func (e *Engine) AppendPhasePlaces(to []PhasePlaces, phase int) []PhasePlaces {
	return e.memory.AppendPlaces(to, phase, e.taken)
}

// StockVersion returns a number that changes after the stock has changed, for a caller that keeps a copy: it reads the
// version first and the stock after it. While the version is the same, the copy is right on a leader with durability
// Sync. With Async and on a standby it may miss changes, so such a copy must be read again from time to time. Without a
// journal nothing is known.
func (e *Engine) StockVersion() (version uint64, known bool) {
	t := e.term.Load()
	switch {
	case e.o.Durability == None:
		return 0, false
	case t != nil && t.drain != nil && e.o.Durability == Sync:
		return t.drain.Version(), true
	}
	return e.inventory.Placed(), true
}

// expireNow ends a hold that has expired at now (ms). It returns false if the journal takes no outcome: the hold must
// not be shown as held, and its expiry, which is not durable, must not be shown either (I5).
func (e *Engine) expireNow(row uint32, now int64) bool {
	t := e.term.Load()
	if t == nil || !e.accepts(t) {
		return false
	}
	e.inventory.Expire(row, now)
	return true
}
