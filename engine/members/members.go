// Package members keeps which accounts are members of which groups of a sale, places their records in the journal, and
// restores them. Members of a group alone buy in a phase with access Members; entries for draws are another thing.
package members

import (
	"context"
	"math/bits"
	"sync/atomic"

	"github.com/seathold/seathold/engine/internal/pages"
	"github.com/seathold/seathold/engine/inventory"
	"github.com/seathold/seathold/engine/record"
	"github.com/seathold/seathold/engine/rules"
)

// Host is what the members need of the engine that runs the sale.
type Host struct {
	Inventory   *inventory.Inventory // names the accounts
	Accounts    int                  // bound of the rows of accounts
	Journalled  bool                 // the writer of a journal drains what is placed
	ShowsAtOnce bool                 // reads may show what is not durable

	Book *atomic.Pointer[rules.Book] // by which calls are judged
	Now  func() int64                // the sale clock, in ms
	// Await waits until something has passed. The error is that it took too long, or ctx's.
	Await func(ctx context.Context, passed func() bool) error
}

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
	host      *Host
	inventory *inventory.Inventory // the host's

	judging, drained, durable pages.Words

	shown  *pages.Words                         // judging or durable
	counts [record.MaxMemberGroups]atomic.Int64 // of shown, by group
	spread atomic.Uint32                        // of calls, see inventory.Begin
	group  []change                             // appended to the group that is being made durable; the writer's
	joined uint64                               // sequence of the last record with which an account joined
	moving atomic.Int64                         // records that are placed, or about to be, and not durable
}

// change is a record that is drained and not yet durable.
type change struct {
	kind  record.Kind
	group int
	row   uint32
}

// New returns groups without members.
func New(h *Host) *Members {
	m := &Members{host: h, inventory: h.Inventory, judging: pages.New(h.Accounts), drained: pages.New(h.Accounts),
		durable: pages.New(h.Accounts)}
	m.shown = &m.durable
	if h.ShowsAtOnce {
		m.shown = &m.judging
	}
	return m
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

// Reveals returns the outcome that must be durable before a refusal of an account may be answered: its calls may be
// judged by a membership, or by the end of one, that a crash would undo (I5). It returns 0 for none. The call is
// announced to the inventory, as that of Judges was.
func (m *Members) Reveals(account string) (seq uint64) {
	if m.moving.Load() == 0 {
		return 0
	}
	row := m.inventory.FindAccount(account)
	if m.judging.Of(row) == m.durable.Of(row) {
		return 0
	}
	return m.inventory.Placed()
}

// ShowsRow reports whether the account in a row is shown as a member of a group, by its index. Row 0 is no account.
func (m *Members) ShowsRow(row uint32, group int) bool { return has(m.shown, row, group) }

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
	m.moving.Add(-int64(len(m.group)))
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
