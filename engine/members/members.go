// Package members keeps which accounts are members of which groups of a sale, places their records in the journal, and
// restores them. Members of a group alone buy in a phase with access Members; entries for draws are another thing.
package members

import (
	"errors"
	"math/bits"
	"sync/atomic"

	"github.com/seathold/seathold/engine/internal/pages"
	"github.com/seathold/seathold/engine/inventory"
	"github.com/seathold/seathold/engine/record"
)

// Errors of Join and Leave for a table of the inventory that is full.
var (
	ErrAccountsFull = errors.New("no room for another account")
	ErrNotesFull    = errors.New("no room for another change of a member")
)

// Members are the members of all groups of a sale. An account has three words, by its row in the inventory, with a bit
// for each group. They differ only while a change is on its way to the disk:
//
//   - judging is what calls are judged by. An account that joins gets its bit once its record is placed, so a hold that
//     the bit lets through has its record after that (I6). One that leaves loses it while no call of it passes.
//   - drained is as of the record that the journal's writer drained last. Checkpoints have it, since a caller may be
//     stalled between its record and its bit.
//   - durable is as of the last durable record. Reads show it (I5).
//
// One goroutine at a time calls Join and Leave. Without a journal there is judging alone.
type Members struct {
	inventory  *inventory.Inventory
	journalled bool

	judging, drained, durable pages.Words

	shown  *pages.Words                         // judging or durable
	counts [record.MaxMemberGroups]atomic.Int64 // of shown, by group
	spread atomic.Uint32                        // of calls, see inventory.Begin
	group  []change                             // appended to the group of records that is being made durable; the writer's
}

// change is a record that is drained and not yet durable.
type change struct {
	kind  record.Kind
	group int
	row   uint32
}

// New returns groups without members, for an inventory of so many accounts at most. journalled is whether the writer
// of a journal drains what is placed, showsAtOnce whether reads may show what is not durable.
func New(v *inventory.Inventory, accounts int, journalled, showsAtOnce bool) *Members {
	m := &Members{inventory: v, journalled: journalled, judging: pages.New(accounts), drained: pages.New(accounts),
		durable: pages.New(accounts)}
	m.shown = &m.durable
	if showsAtOnce {
		m.shown = &m.judging
	}
	return m
}

// Join makes accounts members of a group, by its index, one after the other, and counts those that are new
// and those that were members already. It stops at its first error, ErrAccountsFull or ErrNotesFull: those before stay
// members. All is durable once everything placed so far is.
func (m *Members) Join(accounts []string, group int, atMs int64) (entered, already int, err error) {
	for _, account := range accounts {
		row, ok := m.keep(account)
		if !ok {
			return entered, already, ErrAccountsFull
		}
		if has(&m.judging, row, group) {
			already++
			continue
		}
		if !m.place(record.KindJoined, group, row, atMs) {
			return entered, already, ErrNotesFull
		}
		m.set(&m.judging, record.KindJoined, group, row)
		entered++
	}
	return entered, already, nil
}

// Leave ends the membership of the account in a row. The caller has seen to it that calls of the account are not
// judged by its membership meanwhile, and that the record with which it joined is drained: see IsDrained. The error is
// ErrNotesFull.
func (m *Members) Leave(row uint32, group int, atMs int64) error {
	if !m.place(record.KindLeft, group, row, atMs) {
		return ErrNotesFull
	}
	m.set(&m.judging, record.KindLeft, group, row)
	return nil
}

// place gives a record its place in the journal; false if there is no room.
func (m *Members) place(kind record.Kind, group int, row uint32, atMs int64) bool {
	if !m.journalled {
		return true
	}
	_, ok := m.inventory.Note(inventory.Note{Subject: row, What: uint16(group)<<8 | uint16(kind), AtMs: atMs})
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

func has(words *pages.Words, row uint32, group int) bool { return words.Of(row)&(1<<group) != 0 }

// set sets or clears the account's bit in the words, and counts.
func (m *Members) set(words *pages.Words, kind record.Kind, group int, row uint32) {
	bit, change := uint64(1)<<group, int64(0)
	if kind == record.KindJoined {
		if words.At(row).Or(bit)&bit == 0 {
			change = 1
		}
	} else if words.At(row).And(^bit)&bit != 0 {
		change = -1
	}
	if words == m.shown && change != 0 {
		m.counts[group].Add(change)
	}
}

// Judges reports whether calls of an account are judged as those of a member. The call that asks is announced to the
// inventory.
func (m *Members) Judges(account string, group int) bool {
	return has(&m.judging, m.inventory.FindAccount(account), group)
}

// Member returns the row of an account that is a member for calls; 0 for another one.
func (m *Members) Member(account string, group int) uint32 {
	if row := m.find(account); has(&m.judging, row, group) {
		return row
	}
	return 0
}

// IsDrained reports whether the writer has drained the record with which a member has joined.
func (m *Members) IsDrained(row uint32, group int) bool {
	return !m.journalled || has(&m.drained, row, group)
}

// Shows reports whether an account is shown as a member of a group, by its index.
func (m *Members) Shows(account string, group int) bool { return m.ShowsRow(m.find(account), group) }

// ShowsRow is Shows for an account's row; 0 is no member.
func (m *Members) ShowsRow(row uint32, group int) bool { return has(m.shown, row, group) }

// Count returns how many members of a group are shown.
func (m *Members) Count(group int) int { return int(m.counts[group].Load()) }

// Append appends the record that was placed with this note to a run of records. Only the journal's writer calls it.
//
// It gives an account that joins its bit for calls too: the call that placed the record may be stalled before it does,
// and the record is about to be shown. The account does not leave before that: see Leave.
func (m *Members) Append(run []byte, n inventory.Note) []byte {
	c := change{kind: record.Kind(n.What & 0xff), group: int(n.What >> 8), row: n.Subject}
	if c.kind == record.KindJoined {
		m.set(&m.judging, c.kind, c.group, c.row)
	}
	m.set(&m.drained, c.kind, c.group, c.row)
	m.group = append(m.group, c)
	return record.Member{Group: c.group, Account: m.inventory.AccountName(c.row)}.Append(run, c.kind, n.AtMs)
}

// MadeDurable shows what was appended. Only the journal's writer calls it.
func (m *Members) MadeDurable() {
	for _, c := range m.group {
		m.set(&m.durable, c.kind, c.group, c.row)
	}
	m.group = m.group[:0]
}

// Write passes every member to a checkpoint.
func (m *Members) Write(add func(record.Member) error) error {
	end := m.inventory.Accounts()
	for row := uint32(1); row < end; row++ {
		for word := m.drained.Of(row); word != 0; word &= word - 1 {
			member := record.Member{Group: bits.TrailingZeros64(word), Account: m.inventory.AccountName(row)}
			if err := add(member); err != nil {
				return err
			}
		}
	}
	return nil
}

// Restore restores what a record says. Restoring it twice changes nothing. It returns false if there is no room for the
// account.
func (m *Members) Restore(kind record.Kind, member record.Member) bool {
	row := m.inventory.FindAccount(member.Account)
	if kind == record.KindJoined {
		var ok bool
		if row, ok = m.inventory.Keep(member.Account); !ok {
			return false
		}
	}
	if row == 0 {
		return true // it has left, and whoever never was a member has no row
	}
	for _, words := range []*pages.Words{&m.judging, &m.drained, &m.durable} {
		m.set(words, kind, member.Group, row)
	}
	return true
}
