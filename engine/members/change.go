package members

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/inventory"
	"github.com/seathold/seathold/engine/record"
	"github.com/seathold/seathold/engine/rules"
)

// ErrNoGroup is the error of calls that name a group which the sale does not have. Nothing has changed.
var ErrNoGroup = errors.New("the sale has no such group")

// Joined counts the accounts of a call of Join.
type Joined struct {
	Entered int // are members now
	Already int // were members before
}

// joinAtOnce is how many accounts join before other changes of the sale get their turn.
const joinAtOnce = 4096

// Join makes accounts members of a group, by its id. It makes changes, one after the other: change calls its argument
// with the sale in force while no other change is made, waits until that is durable, and returns its error.
//
// Errors are ErrNoGroup, *rules.Refusal with MalformedRequest, before anybody joins, and with Full: those before stay
// members.
func (m *Members) Join(group string, accounts []string, change func(func(*catalog.Sale) error) error) (
	joined Joined, err error) {
	for _, account := range accounts {
		if err := requireAccount(account); err != nil {
			return joined, err
		}
	}
	for some := range slices.Chunk(accounts, joinAtOnce) {
		err := change(func(sale *catalog.Sale) error {
			g, err := groupOf(sale, group)
			for i := 0; i < len(some) && err == nil; i++ {
				err = m.join(some[i], g, &joined)
			}
			return err
		})
		if err != nil {
			return joined, err
		}
	}
	return joined, nil
}

// requireAccount returns the refusal of a text that is no account.
func requireAccount(account string) error {
	if rules.ValidAccount(account) {
		return nil
	}
	return &rules.Refusal{Code: rules.MalformedRequest, Where: rules.AccountRule + ", not " + strconv.Quote(account)}
}

func groupOf(sale *catalog.Sale, id string) (int, error) {
	g, found := sale.GroupByID(id)
	if !found {
		return 0, fmt.Errorf("%w: %q", ErrNoGroup, id)
	}
	return g, nil
}

// join makes an account a member. A hold that its bit lets through is placed after its record (I6), so there is no
// grace period.
func (m *Members) join(account string, group int, joined *Joined) error {
	row, ok := m.keep(account)
	switch {
	case !ok:
		return full(inventory.Accounts)
	case has(&m.judging, row, group):
		joined.Already++
		return nil
	case !m.place(record.KindJoined, group, row):
		return full(inventory.Notes)
	}
	m.set(&m.judging, record.KindJoined, group, row)
	joined.Entered++
	return nil
}

func full(table inventory.Table) error {
	return &rules.Refusal{Code: rules.Full, Table: table.String()}
}

// Leave ends an account's membership of a group, by its id. left is false if the account was no member. No other change
// of the sale is made meanwhile. All is durable once everything placed so far is.
//
// As for a new definition, there is a transition and a grace period. By the book of the transition nothing passes that
// needs the membership. After the grace period no call is judged by the old book: so every hold that the membership let
// through is placed before its end. All other calls are judged as ever. Errors are ErrNoGroup, *rules.Refusal with
// MalformedRequest and Full, and Host.Await's. Nothing has changed then.
func (m *Members) Leave(ctx context.Context, sale *catalog.Sale, group, account string) (left bool, err error) {
	if err := requireAccount(account); err != nil {
		return false, err
	}
	g, err := groupOf(sale, group)
	if err != nil {
		return false, err
	}
	row := m.find(account)
	if !has(&m.judging, row, g) {
		return false, nil
	}
	// The writer gives the account its bit once more when it drains a record of its joining: see Append. The transition
	// comes after that: it must not last for as long as a journal that does not respond.
	if err := m.host.Await(ctx, func() bool { return m.inventory.Drained() >= m.joined }); err != nil {
		return false, err
	}
	book := m.host.Book.Load()
	m.host.Book.Store(book.Leaving(account, g))
	defer m.host.Book.Store(book)
	if err := m.host.Await(ctx, m.inventory.NewGrace().Passed); err != nil {
		return false, err
	}
	if !m.place(record.KindLeft, g, row) {
		return false, full(inventory.Notes)
	}
	m.set(&m.judging, record.KindLeft, g, row)
	return true, nil
}

// place gives a record its place in the journal; false if there is no room.
func (m *Members) place(kind record.Kind, group int, row uint32) bool {
	if !m.host.Journalled {
		return true
	}
	m.moving.Add(1)
	seq, ok := m.inventory.Note(inventory.Note{Subject: row, What: uint16(group)<<8 | uint16(kind), AtMs: m.host.Now()})
	switch {
	case !ok:
		m.moving.Add(-1)
	case kind == record.KindJoined:
		m.joined = seq
	}
	return ok
}

// keep returns the row of an account, and makes sure that it stays.
func (m *Members) keep(account string) (row uint32, ok bool) {
	defer m.inventory.Begin(m.spread.Add(1)).End()
	return m.inventory.Keep(account)
}

// find returns the row of an account that is kept; 0 if there is none.
func (m *Members) find(account string) uint32 {
	defer m.inventory.Begin(m.spread.Add(1)).End()
	if row := m.inventory.FindAccount(account); m.inventory.IsKept(row) {
		return row
	}
	return 0
}

// Count returns how many members of a group, by its id, are shown. The error is ErrNoGroup.
func (m *Members) Count(sale *catalog.Sale, group string) (int, error) {
	g, err := groupOf(sale, group)
	if err != nil {
		return 0, err
	}
	return int(m.counts[g].Load()), nil
}

// Shows reports whether an account is shown as a member of a group, by its id. The error is ErrNoGroup.
func (m *Members) Shows(sale *catalog.Sale, group, account string) (bool, error) {
	g, err := groupOf(sale, group)
	if err != nil {
		return false, err
	}
	return m.ShowsRow(m.find(account), g), nil
}
