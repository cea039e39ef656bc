package engine

import (
	"context"

	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/inventory"
	"github.com/seathold/seathold/engine/members"
	"github.com/seathold/seathold/engine/outcomes"
)

// Joined counts the accounts of a call of Join.
type Joined = members.Joined

// ErrNoGroup is the error of calls that name a group which the sale does not have. Nothing has changed.
var ErrNoGroup = members.ErrNoGroup

func (e *Engine) newMembers() *members.Members {
	return members.New(&members.Host{Inventory: e.inventory, Accounts: e.inventory.MostAccounts(),
		Journalled: e.o.Durability != None, ShowsAtOnce: e.o.Durability != Sync, Book: &e.book, Now: e.nowMs,
		Await: func(ctx context.Context, passed func() bool) error {
			return e.awaitPast(ctx, passed, &inventory.Wait{Limit: e.o.JournalTimeout}, &Reservation{})
		}})
}

// Join makes accounts members of a group, by its id: they buy in the phases that are open to it. It returns when that
// is durable. Joining again changes nothing. A membership outlives new definitions; while the sale lacks the group, it
// counts for nothing. An account that has joined is never forgotten.
//
// Errors are ErrNoGroup, *Refusal with MalformedRequest, which names a text that is no account before anybody joins,
// and with Overloaded, Full, JournalUnavailable or NotLeader, or ctx's. After those, the accounts that are counted have
// joined; after JournalUnavailable and ctx's that is uncertain, so join them again.
func (e *Engine) Join(ctx context.Context, group string, accounts []string) (Joined, error) {
	change := func(join func(*catalog.Sale) error) error { return e.changeMembers(ctx, join) }
	return e.memory.Members.Join(group, accounts, change)
}

// Leave ends an account's membership of a group, and returns when that is durable. What the account holds and has
// bought stays. left is false if the account was no member; nothing changes then. Errors are as for Join.
func (e *Engine) Leave(ctx context.Context, group, account string) (left bool, err error) {
	err = e.changeMembers(ctx, func(sale *catalog.Sale) error {
		left, err = e.memory.Members.Leave(ctx, sale, group, account)
		return err
	})
	return left, err
}

// changeMembers makes a change of members while nothing else changes what is in force. It waits until that is durable,
// and whatever a refusal reveals (I5).
func (e *Engine) changeMembers(ctx context.Context, change func(*catalog.Sale) error) error {
	var r Reservation
	admitted := false
	_, _, err := e.alterOnce(ctx, &r, func(now *outcomes.InForce) (*alteration, error) {
		admitted = true
		return nil, change(now.Sale)
	})
	if admitted {
		if failure := e.awaitDurable(ctx, e.inventory.Placed(), &r); failure != nil {
			return failure
		}
	}
	return err
}

// Members returns how many members a group has, as far as that is durable (I5). Errors are ErrNoGroup, and *Refusal
// with NotLeader.
func (e *Engine) Members(group string) (int, error) {
	if err := e.admitRead(); err != nil {
		return 0, err
	}
	return e.memory.Members.Count(e.Sale(), group)
}

// Member reports whether an account is a member of a group, as far as that is durable (I5). Errors are as for Members.
func (e *Engine) Member(group, account string) (bool, error) {
	if err := e.admitRead(); err != nil {
		return false, err
	}
	return e.memory.Members.Shows(e.Sale(), group, account)
}
