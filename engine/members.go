package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/inventory"
	"github.com/seathold/seathold/engine/members"
	"github.com/seathold/seathold/engine/rules"
)

// ErrNoGroup is the error of calls that name a group which the sale does not have. Nothing has changed.
var ErrNoGroup = errors.New("the sale has no such group")

// Joined counts the accounts of a call of Join.
type Joined struct {
	Entered int // are members now
	Already int // were members before
}

// joinAtOnce is how many accounts join before the next change of the sale gets its turn.
const joinAtOnce = 4096

// Join makes accounts members of a group, by its id: they buy in the phases that are open to it. It returns when that
// is durable. A call that is repeated changes nothing. A membership outlives new definitions; it counts for nothing
// while the sale lacks the group. An account that was named is never forgotten.
//
// Errors are ErrNoGroup, *Refusal with MalformedRequest for a name that is none, before anybody joins, and with
// Overloaded, Full, JournalUnavailable or NotLeader, or ctx's. After those, the accounts that are counted have joined; after
// JournalUnavailable and ctx's they may have. Join them again.
func (e *Engine) Join(ctx context.Context, group string, accounts []string) (joined Joined, err error) {
	for _, account := range accounts {
		if !rules.ValidAccount(account) {
			return joined, &Refusal{Code: MalformedRequest, Where: rules.AccountRule + ", not " + strconv.Quote(account)}
		}
	}
	for some := range slices.Chunk(accounts, joinAtOnce) {
		err := e.changeMembers(ctx, group, func(g int, r *Reservation) error {
			entered, already, err := e.memory.Members.Join(some, g, e.nowMs())
			joined.Entered += entered
			joined.Already += already
			return refuseMembers(err, r)
		})
		if err != nil {
			return joined, err
		}
	}
	return joined, nil
}

// Leave ends an account's membership of a group, and returns when that is durable. What the account holds and has
// bought stays. left is false if the account was no member; nothing changes then. Errors are as for Join.
func (e *Engine) Leave(ctx context.Context, group, account string) (left bool, err error) {
	err = e.changeMembers(ctx, group, func(g int, r *Reservation) error {
		all := e.memory.Members
		row := all.Member(account, g)
		if row == 0 {
			return nil
		}
		// As in alter.go: between these books nothing passes that needs the membership. After the grace period no call is
		// judged by the old one, so every hold that the membership let through has its record before the end of that.
		now := e.book.Load()
		e.book.Store(rules.Between(now, now.Without(account, g)))
		defer func() { e.book.Store(now.AsOf(e.inventory.Placed())) }()
		calls := e.inventory.NewGrace()
		passed := func() bool { return calls.Passed() && all.IsDrained(row, g) }
		if err := e.awaitPast(ctx, passed, &inventory.Wait{Limit: e.o.JournalTimeout}, r); err != nil {
			return err
		}
		err := all.Leave(row, g, e.nowMs())
		left = err == nil
		return refuseMembers(err, r)
	})
	return left, err
}

// changeMembers changes the members of a group. It waits until that is durable, and whatever a refusal reveals (I5).
func (e *Engine) changeMembers(ctx context.Context, group string, change func(group int, r *Reservation) error) error {
	var r Reservation
	end, err := e.beginAltering(ctx, &r)
	if err != nil {
		return err
	}
	g, err := groupOf(e.memory.Judging().Sale, group)
	if err == nil {
		err = change(g, &r)
	}
	end()
	if failure := e.awaitDurable(ctx, e.inventory.Placed(), &r); failure != nil {
		return failure
	}
	return err
}

func groupOf(sale *catalog.Sale, id string) (int, error) {
	g, found := sale.GroupByID(id)
	if !found {
		return 0, fmt.Errorf("%w: %q", ErrNoGroup, id)
	}
	return g, nil
}

// refuseMembers turns an error of package members into a refusal.
func refuseMembers(err error, r *Reservation) error {
	switch {
	case errors.Is(err, members.ErrAccountsFull):
		return r.refuse(Refusal{Code: Full, Table: inventory.Accounts.String()})
	case errors.Is(err, members.ErrNotesFull):
		return r.refuse(Refusal{Code: Full, Table: inventory.Notes.String()})
	}
	return err
}

// Members returns how many members a group has, as far as that is durable (I5). Errors are ErrNoGroup, and *Refusal
// with NotLeader.
func (e *Engine) Members(group string) (int, error) {
	g, err := e.groupShown(group)
	if err != nil {
		return 0, err
	}
	return e.memory.Members.Count(g), nil
}

// Member reports whether an account is a member of a group, as far as that is durable (I5). Errors are as for Members.
func (e *Engine) Member(group, account string) (bool, error) {
	g, err := e.groupShown(group)
	return err == nil && e.memory.Members.Shows(account, g), err
}

func (e *Engine) groupShown(id string) (int, error) {
	if err := e.admitRead(); err != nil {
		return 0, err
	}
	return groupOf(e.Sale(), id)
}
