package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/seathold/seathold/engine/ballot"
	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/draw"
	"github.com/seathold/seathold/engine/outcomes"
	"github.com/seathold/seathold/engine/record"
	"github.com/seathold/seathold/engine/rules"
)

// DrawState is how far a draw has got.
type DrawState = ballot.State

// The states of a draw, in their order.
const (
	DrawAnnounced    = ballot.Announced    // registration has not opened
	DrawRegistration = ballot.Registration // entries are accepted
	DrawClosed       = ballot.Closed       // registration is over, the entries are about to be frozen
	DrawFrozen       = ballot.Frozen       // the root is published; the draw waits for the beacon's round
	DrawDrawn        = ballot.Drawn
	DrawVoid         = ballot.Void // the round was due before the entries were frozen: the draw cannot be run
)

// DrawStatus is the public state of a draw: its terms, the number of entries, when it was postponed, the root of the
// entries once they are frozen, and the beacon and the seed once it was run.
type DrawStatus = ballot.Status

// Entry is an account's registration for a draw. Once the draw was run, it has the account's rank, its access slot if
// any, and the proof that it was among the entries.
type Entry = ballot.Entry

// DrawWinner is an account that has an access slot: its rank, and the salt with which its handle in the export opens.
type DrawWinner = ballot.Winner

// AccessSlot is the window in which a drawn account may buy in a phase: [OpensAt, ClosesAt).
type AccessSlot = ballot.AccessSlot

// Errors of FreezeDraw, PostponeDraw and RunDraw, for the operator. Nothing has changed.
var (
	ErrRegistrationOpen = ballot.ErrRegistrationOpen
	ErrAlreadyDrawn     = ballot.ErrAlreadyDrawn
	ErrDrawNotFrozen    = ballot.ErrNotFrozen
	ErrRoundNotDue      = ballot.ErrNotDue
	ErrFreezeUndated    = ballot.ErrUndated
)

func (e *Engine) newBallots() *ballot.Ballots {
	return ballot.New(&ballot.Host{Inventory: e.inventory, Accounts: e.inventory.MostAccounts(),
		Sync: e.o.Durability == Sync, Journalled: e.o.Durability != None,
		Now: e.Now, Machine: e.o.MachineClock, Random: e.o.Random, Visible: e.visible, Pause: e.waits.Pause,
		Place: func(kind record.Kind, draw int, accountRow uint32, at time.Time) (seq uint64, ok bool) {
			return e.inventory.Note(outcomes.NoteOf(kind, draw, accountRow, at.UnixMilli()))
		}}, &catalog.Sale{})
}

// ballotOf returns the draw with the id.
func (e *Engine) ballotOf(sale *catalog.Sale, id string) (*ballot.Ballot, error) {
	i, ok := sale.DrawByID(id)
	if !ok {
		return nil, &Refusal{Code: DrawNotFound, Where: id}
	}
	return e.ballots.Of(i), nil
}

// Draw returns how far a draw has got. Errors are *Refusal with DrawNotFound or NotLeader.
func (e *Engine) Draw(id string) (DrawStatus, error) {
	if err := e.admitRead(); err != nil {
		return DrawStatus{}, err
	}
	b, err := e.ballotOf(e.Sale(), id)
	if err != nil {
		return DrawStatus{}, err
	}
	return b.Status(), nil
}

// Enter registers an account for a draw, with the id of its priority group or "". An account has one entry: entering
// again changes nothing, not even the group, and sets Entry.Repeated.
//
// Errors are *Refusal with DrawNotFound, RegistrationClosed, MalformedRequest, Overloaded, Full, JournalUnavailable or
// NotLeader, or ctx's.
func (e *Engine) Enter(ctx context.Context, id, account, group string) (Entry, error) {
	var r Reservation
	began := e.counts.begin(&r)
	entry, err := e.enter(ctx, id, account, group, &r)
	r.Repeated = entry.Repeated
	return entry, e.counts.end(callEnter, began, &r, err)
}

func (e *Engine) enter(ctx context.Context, id, account, group string, r *Reservation) (Entry, error) {
	sale := e.Sale()
	b, err := e.ballotOf(sale, id)
	if err != nil {
		return Entry{}, err
	}
	if !rules.ValidAccount(account) {
		return Entry{}, r.refuse(Refusal{Code: MalformedRequest, Where: rules.AccountRule})
	}
	code := 0
	if group != "" {
		g, ok := sale.GroupByID(group)
		if !ok {
			return Entry{}, r.refuse(noGroup(group))
		}
		code = g + 1
	}
	if err := e.admit(ctx, r); err != nil {
		return Entry{}, err
	}
	entry, seq, err := b.Enter(account, code)
	if err != nil {
		// The refusal reveals the definition (I5).
		if failure := e.awaitDurable(ctx, e.memory.Judging().Since.Seq, r); failure != nil {
			return Entry{}, failure
		}
		if errors.Is(err, ballot.ErrNoGroup) {
			return Entry{}, r.refuse(noGroup(group))
		}
		return Entry{}, ballot.Refuse(e.Sale(), id, err)
	}
	if err := e.awaitDurable(ctx, seq, r); err != nil {
		return Entry{}, err
	}
	return entry, nil
}

func noGroup(id string) Refusal {
	return Refusal{Code: MalformedRequest, Where: "priority_group: the sale has no group " + strconv.Quote(id)}
}

// WithdrawEntry takes an account's entry for a draw back, as its operator, until the entries are frozen. The account
// may enter again.
//
// Errors are *Refusal with DrawNotFound, EntryNotFound, RegistrationClosed once the entries are frozen, Full,
// JournalUnavailable or NotLeader, or ctx's.
func (e *Engine) WithdrawEntry(ctx context.Context, id, account string) error {
	sale := e.Sale()
	b, err := e.ballotOf(sale, id)
	if err != nil {
		return err
	}
	var r Reservation
	if err := e.admit(ctx, &r); err != nil {
		return err
	}
	seq, err := b.Withdraw(account)
	if !errors.Is(err, ballot.ErrNotesFull) { // that it has none, or is frozen, is an outcome too (I5)
		if failure := e.awaitDurable(ctx, seq, &r); failure != nil {
			return failure
		}
	}
	return ballot.Refuse(sale, id, err)
}

// Entry returns an account's entry for a draw that was run: its rank, its access slot, and the proof that it was among
// the entries.
//
// Errors are *Refusal with DrawNotFound, EntryNotFound, DrawNotRun, JournalUnavailable or NotLeader, or ctx's.
func (e *Engine) Entry(ctx context.Context, id, account string) (Entry, error) {
	var r Reservation
	began := e.counts.begin(&r)
	entry, err := e.readEntry(ctx, id, account)
	return entry, e.counts.end(callEntry, began, &r, err)
}

func (e *Engine) readEntry(ctx context.Context, id, account string) (Entry, error) {
	if err := e.admitRead(); err != nil {
		return Entry{}, err
	}
	sale := e.Sale()
	b, err := e.ballotOf(sale, id)
	if err != nil {
		return Entry{}, err
	}
	entry, err := b.Entry(account)
	if errors.Is(err, ballot.ErrNotRun) || errors.Is(err, ballot.ErrNoEntry) && b.Withdrew() {
		// Whether an account has an entry is an outcome too (I5).
		var r Reservation
		if err := e.awaitDurable(ctx, e.inventory.Placed(), &r); err != nil {
			return Entry{}, err
		}
	}
	return entry, ballot.Refuse(sale, id, err)
}

// slotOf returns the access slot that an account has won in a draw, for the rules. A transition judges by the coming
// definition too, which may have a draw that is not there yet: nobody has won in that.
func (e *Engine) slotOf(account string, draw int) (opens, closes time.Time, won bool) {
	all := e.ballots.All()
	if draw >= len(all) {
		return opens, closes, false
	}
	slot, won := all[draw].AccessSlot(e.inventory.FindAccount(account))
	return slot.OpensAt, slot.ClosesAt, won
}

// FreezeDraw ends the registration of a draw for good, once its time is over, and publishes the root of its entries.
// The engine does so by itself at the close, see Options.SweepEvery. Freezing again changes nothing. Once the round is
// due, entries are no longer frozen, and the draw is void. If the round is due by the clock of the machine alone, they
// are frozen, and an error is logged: the export shows it. Four million entries take two to three seconds.
//
// Errors are ErrRegistrationOpen, draw.ErrLate, *Refusal with DrawNotFound, JournalUnavailable or NotLeader, or ctx's.
func (e *Engine) FreezeDraw(ctx context.Context, id string) (DrawStatus, error) {
	status, err := e.decideDraw(ctx, id, (*ballot.Ballot).Freeze)
	if err != nil {
		return status, err
	}
	if err := status.Timing.Backdated(&status.Terms); err != nil {
		e.o.Log.Error("whoever verifies the draw will refuse it; announce another one in the sale definition", "draw", id,
			"error", err)
	}
	return status, nil
}

// PostponeDraw names a later round to decide a draw, before the present one is due: for an outage at the close. The
// new round must be due at least the draw's publish_within from now, and before the phase opens. The postponement is
// part of the status and of the export. Naming the round of the last postponement again changes nothing.
//
// Errors are ErrAlreadyDrawn, draw.ErrRoundDue, draw.ErrPostponing, *Refusal with DrawNotFound, JournalUnavailable or
// NotLeader, or ctx's.
func (e *Engine) PostponeDraw(ctx context.Context, id string, round uint64) (DrawStatus, error) {
	return e.decideDraw(ctx, id, func(b *ballot.Ballot) (uint64, error) { return b.Postpone(round) })
}

// RunDraw decides a draw by the beacon of its round. It verifies the beacon, ranks all entries, and assigns the access
// slots in the order of the ranks until none is left. A draw runs once. Four million entries take about five seconds.
//
// The entries must have been frozen before the round was due. RunDraw does not freeze them: whoever freezes with the
// beacon in hand can choose the result. A draw that a stand-in decides claims nothing of the kind, and is run at any
// time after it was frozen.
//
// Errors are ErrRegistrationOpen, ErrDrawNotFrozen, ErrRoundNotDue, ErrFreezeUndated, ErrAlreadyDrawn, those of
// draw.Run, *Refusal with DrawNotFound, JournalUnavailable or NotLeader, or ctx's.
func (e *Engine) RunDraw(ctx context.Context, id string, beacon draw.Beacon) (DrawStatus, error) {
	return e.decideDraw(ctx, id, func(b *ballot.Ballot) (uint64, error) { return b.Run(beacon) })
}

// decideDraw makes a decision about a draw and waits until it is durable.
func (e *Engine) decideDraw(ctx context.Context, id string,
	decide func(*ballot.Ballot) (uint64, error)) (DrawStatus, error) {
	b, err := e.ballotOf(e.Sale(), id)
	if err != nil {
		return DrawStatus{}, err
	}
	var r Reservation
	if err := e.admit(ctx, &r); err != nil {
		return DrawStatus{}, err
	}
	seq, err := decide(b)
	if err != nil { // it reveals the definition, a postponement, the freeze, or that the draw was run (I5)
		seq = e.inventory.Placed()
	}
	if failure := e.awaitDurable(ctx, seq, &r); failure != nil {
		err = failure
	}
	switch {
	case errors.Is(err, ballot.ErrRemoved):
		return DrawStatus{}, &Refusal{Code: DrawNotFound, Where: id}
	case err != nil:
		return DrawStatus{}, fmt.Errorf("draw %s: %w", id, err)
	}
	return b.Status(), nil
}

// DrawWinners calls visit for each winner of a draw that was run, in the order of their ranks, until it fails. It is
// for the operator only: exports do not have the accounts. Errors are *Refusal with DrawNotFound or DrawNotRun, and
// visit's.
func (e *Engine) DrawWinners(id string, visit func(DrawWinner) error) error {
	sale := e.Sale()
	b, err := e.ballotOf(sale, id)
	if err != nil {
		return err
	}
	return ballot.Refuse(sale, id, b.EachWinner(visit))
}

// ExportDraw writes the files of a draw that was run, see draw.Result.Export. Errors are *Refusal with DrawNotFound or
// DrawNotRun, and create's.
func (e *Engine) ExportDraw(id string, create func(name string) (io.WriteCloser, error)) error {
	sale := e.Sale()
	b, err := e.ballotOf(sale, id)
	if err != nil {
		return err
	}
	return ballot.Refuse(sale, id, b.Export(create))
}

// freezeDue freezes the draws whose registration is over.
func (e *Engine) freezeDue() {
	for _, b := range e.ballots.All() {
		if b.BecameVoid() {
			e.o.Log.Error("a draw is void: its round was due before its entries were frozen; announce another one in the "+
				"sale definition", "draw", b.ID())
		}
		if !b.FreezeDue() || e.Ready() != nil {
			continue
		}
		status, err := e.FreezeDraw(context.Background(), b.ID())
		if err != nil {
			e.o.Log.Error("freezing a draw failed", "draw", b.ID(), "error", err)
			continue
		}
		e.o.Log.Info("registration closed", "draw", status.Draw, "entries", status.Entries, "root", status.Root.String(),
			"round", status.Timing.Round(&status.Terms))
	}
}
