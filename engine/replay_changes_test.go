package engine_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine"
	"github.com/seathold/seathold/engine/inventory"
	"github.com/seathold/seathold/engine/journal"
	"github.com/seathold/seathold/engine/record"
)

// changeRecords are records about reservation a, two tickets that ann holds for a second, and about b, which takes its
// place. Each outcome is a millisecond later than the one that it can follow.
type changeRecords struct {
	taken, confirmed, released, expired           []byte
	extended, longer, reduced, reducedSold, again []byte // longer: until five hours after the start
	returned, returnedLate, withheld              []byte
	takenB, replaced, expiredB                    []byte

	// Rows of a checkpoint, whose last outcome is record 4.
	releasedRow, reducedRow, soldRow, replacedRow, expiredRow, withheldRow []byte

	hold inventory.Snapshot
}

func newChangeRecords() *changeRecords {
	at := saleStart.UnixMilli()
	hold := inventory.Snapshot{ID: inventory.ID(idOf("a")), Account: "ann", State: engine.Held,
		Lines: []inventory.Line{{Pool: 0, Quantity: 2}}, CreatedMs: at, AtMs: at, ExpiresMs: at + 1000}
	b := hold
	b.ID = inventory.ID(idOf("b"))
	c := &changeRecords{hold: hold, taken: record.AppendTaken(nil, &hold), takenB: record.AppendTaken(nil, &b)}
	c.confirmed, c.released = c.end(hold, engine.Confirmed, 5), c.end(hold, engine.Released, 5)
	c.expired, c.expiredB = c.end(hold, engine.Expired, 1000), c.end(b, engine.Expired, 1000)
	c.extended = c.change(c.as(engine.Held, 4, inventory.FlagExtended), inventory.OriginExtend)
	longer := c.as(engine.Held, 4, inventory.FlagExtended)
	longer.ExpiresMs += (5 * time.Hour).Milliseconds()
	c.longer = c.change(longer, inventory.OriginExtend)
	c.reduced = c.change(c.as(engine.Held, 4, inventory.FlagReduced), inventory.OriginReduce)
	c.reducedSold = c.change(c.as(engine.Confirmed, 6, inventory.FlagReduced), inventory.OriginReduceSold)
	again := c.as(engine.Confirmed, 2000, 0)
	again.ConfirmedMs = again.AtMs
	c.again = c.change(again, inventory.OriginAgain)
	c.returned = c.change(c.as(engine.Returned, 2001, 0), inventory.OriginReturn)
	c.returnedLate = c.change(c.as(engine.Returned, (2*time.Hour+time.Minute).Milliseconds(), 0), inventory.OriginReturn)
	c.withheld = c.change(c.as(engine.Returned, 2001, inventory.FlagWithheld), inventory.OriginReturn)
	replaced := c.as(engine.Held, 4, inventory.FlagReplaces)
	replaced.ID, replaced.Replaces, replaced.CreatedMs = b.ID, hold.ID, replaced.AtMs
	c.replaced = c.change(replaced, inventory.OriginReplace)
	c.releasedRow, c.replacedRow = c.row(c.as(engine.Released, 4, 0), 4), c.row(replaced, 4)
	c.reducedRow = c.row(c.as(engine.Held, 4, inventory.FlagReduced), 4)
	c.soldRow = c.row(c.as(engine.Confirmed, 5, 0), 4)
	c.expiredRow = c.row(c.as(engine.Expired, 1000, inventory.FlagExtended), 4)
	c.withheldRow = c.row(c.as(engine.Returned, 2001, inventory.FlagWithheld), 4)
	return c
}

// as returns a in this state, so many milliseconds after it was taken. One that was reduced keeps a ticket.
func (c *changeRecords) as(state engine.State, after int64, flags uint8) inventory.Snapshot {
	s := c.hold
	s.State, s.AtMs, s.Flags = state, s.CreatedMs+after, flags
	if flags == inventory.FlagReduced {
		s.Lines = []inventory.Line{{Pool: 0, Quantity: 1}}
	}
	if state == engine.Confirmed || state == engine.Returned {
		s.ConfirmedMs = s.CreatedMs + 5
	}
	return s
}

func (*changeRecords) end(s inventory.Snapshot, as engine.State, after int64) []byte {
	s.State, s.AtMs = as, s.CreatedMs+after
	return record.AppendEnd(nil, &s)
}

func (*changeRecords) change(s inventory.Snapshot, origin inventory.Origin) []byte {
	s.Origin = origin
	return record.AppendChange(nil, &s)
}

// row returns the record of a checkpoint.
func (*changeRecords) row(s inventory.Snapshot, seq uint64) []byte {
	s.Seq = seq
	return record.AppendReservation(nil, &s)
}

// found describes a and b as they are read.
func (s *seller) found(t *testing.T) string {
	t.Helper()
	var text []string
	for _, name := range []string{"a", "b"} {
		var r engine.Reservation
		if err := s.e.Reservation(t.Context(), idOf(name), &r); err != nil {
			require.Equal(t, engine.ReservationNotFound, codeOf(t, err))
			continue
		}
		text = append(text, fmt.Sprintf("%s %s %d", name, r.State, r.Tickets))
	}
	return strings.Join(text, ", ")
}

// changeCase is a journal with changes, and what is found after its replay.
type changeCase struct {
	replayCase
	found    string // a and b; "" for neither
	withheld int    // of the first pool
}

func refused(want string, records ...[]byte) changeCase {
	return changeCase{replayCase{records: records, want: want}, "", 0}
}

func replayed(found string, records ...[]byte) changeCase {
	return changeCase{replayCase{records: records}, found, 0}
}

// after adds a checkpoint with these rows; see replayCase.
func (x changeCase) after(rows ...[]byte) changeCase {
	x.checkpoint = bytes.Join(rows, nil)
	if x.checkpoint == nil {
		x.checkpoint = []byte{}
	}
	return x
}

func (x changeCase) withholds(tickets int) changeCase {
	x.withheld = tickets
	return x
}

func (x *changeCase) requireFound(t *testing.T, name string, s *seller) {
	require.Equal(t, x.found, s.found(t), name)
	require.Equal(t, x.withheld, s.e.Stock(0).Withheld, name)
}

const neverTaken = " but was never taken"

// The replay of a change that no engine can have made fails.
func TestReplayRefusesIllegalChanges(t *testing.T) {
	c := newChangeRecords()
	const changes = ", and changes as if it were "
	requireReplays(t, map[string]changeCase{
		"extended, never taken":         refused("is extended"+neverTaken, c.extended),
		"reduced, never taken":          refused("is reduced"+neverTaken, c.reduced),
		"returned, never taken":         refused("is returned"+neverTaken, c.returned),
		"replaced, never taken":         refused("is released"+neverTaken, c.replaced),
		"extended after its end":        refused("is released"+changes+"held", c.taken, c.released, c.extended),
		"extended when sold":            refused("is confirmed"+changes+"held", c.taken, c.confirmed, c.longer),
		"reduced as if it is sold":      refused("is held"+changes+"confirmed", c.taken, c.reducedSold),
		"returned while it is held":     refused("is held"+changes+"confirmed", c.taken, c.returned),
		"returned twice":                refused("is returned"+changes, c.taken, c.confirmed, c.returned, c.returned),
		"held, and confirmed again":     refused("is held"+changes+"expired", c.taken, c.again),
		"released, and confirmed again": refused(changes+"expired", c.taken, c.released, c.again),
		"replaced when sold":            refused("is confirmed and then released", c.taken, c.confirmed, c.replaced),
		"replaced by one that is held":  refused("is taken again while it is held", c.taken, c.takenB, c.replaced),
		"returned and confirmed": refused("is returned and then confirmed",
			c.taken, c.confirmed, c.returned, c.confirmed),

		"after the end: extended": refused("record 5: reservation ", nil, nil, nil, c.extended).after(),
		"after the end: replaced": refused("record 5: reservation ", nil, nil, nil, c.replaced).after(),
		"sold, reduced too late":  refused("record 5: reservation ", nil, c.confirmed, nil, c.reducedSold).after(),
		"sold, and not changed":   refused("record 3: reservation ", nil, c.confirmed, nil, nil).after(),
		"reduced as if it was sold": refused("is held"+changes+"confirmed", c.taken, nil, c.reduced, c.reducedSold).
			after(c.reducedRow),
	})
}

// A journal with changes replays to what they made. Up to a checkpoint's end a reservation that was changed may be
// missing, since the record of its change has all of it. A checkpoint may have a reservation as it was before a change,
// or after it, or both, and one of the two of a replacement.
func TestReplayOfChanges(t *testing.T) {
	c := newChangeRecords()
	held := c.row(c.hold, 2)
	requireReplays(t, map[string]changeCase{
		"extended":            replayed("a held 2", c.taken, c.extended),
		"reduced":             replayed("a held 1", c.taken, c.extended, c.reduced),
		"confirmed":           replayed("a confirmed 1", c.taken, c.reduced, c.confirmed),
		"reduced when sold":   replayed("a confirmed 1", c.taken, c.confirmed, c.reducedSold),
		"returned":            replayed("a returned 2", c.taken, c.confirmed, c.returned),
		"withheld":            replayed("a returned 2", c.taken, c.confirmed, c.withheld).withholds(2),
		"replaced":            replayed("a released 2, b held 2", c.taken, c.replaced),
		"confirmed again":     replayed("a confirmed 2", c.taken, c.expired, c.again),
		"again and returned":  replayed("a returned 2", c.taken, c.expired, c.again, c.returned),
		"taken anew":          replayed("a held 2", c.taken, c.extended, c.released, c.taken),
		"forgotten and again": replayed("a confirmed 2", c.again),

		"extended, left out":      replayed("a held 2", nil, c.extended).after(),
		"sold and then reduced":   replayed("a confirmed 1", nil, c.confirmed, c.reducedSold).after(),
		"the row is newer":        replayed("a held 1", nil, c.extended, c.reduced).after(c.reducedRow),
		"newer, and then sold":    replayed("a confirmed 1", nil, c.extended, c.reduced, c.confirmed).after(c.reducedRow),
		"the row is older":        replayed("a confirmed 1", nil, nil, c.reduced, c.confirmed).after(held),
		"both rows":               replayed("a released 1", nil, nil, c.reduced, c.released).after(held, c.reducedRow),
		"replaced, both held":     replayed("a released 2, b held 2", nil, nil, c.replaced).after(held, c.replacedRow),
		"replaced, only the new":  replayed("b held 2", nil, nil, c.replaced).after(c.replacedRow),
		"replaced, only the old":  replayed("a released 2, b held 2", nil, nil, c.replaced).after(c.releasedRow),
		"returned after its row":  replayed("a returned 2", nil, c.confirmed, c.reducedSold, c.returned).after(c.soldRow),
		"withheld after its row":  replayed("a returned 2", nil, nil, nil, c.withheld).after(c.soldRow).withholds(2),
		"withheld within the row": replayed("a returned 2", nil, nil, c.withheld).after(c.withheldRow).withholds(2),
	})
}

func requireReplays(t *testing.T, cases map[string]changeCase) {
	sale := cellSale(t, 1)
	for name, x := range cases {
		s := sellerOn(sale, x.journal(sale))
		s.clock.set(saleStart)
		if x.replay(t, name, s) != nil {
			x.requireFound(t, name, s)
			require.NoError(t, s.e.Close())
		}
	}
}

// Of the changed reservations whose time was over Options.Forget before the start, those that ended are forgotten, and
// no other. Those that a replay had to restore are remembered until the next start.
func TestForgettingChanges(t *testing.T) {
	c := newChangeRecords()
	held := c.row(c.hold, 2)
	requireForgotten(t, map[string]forgottenCase{
		"extended":             {replayed("a expired 2", c.taken, c.extended), ""},
		"extended to later":    {replayed("a held 2", c.taken, c.longer), "a held 2"},
		"extended and ended":   {replayed("", c.taken, c.extended, c.released), ""},
		"extended, then sold":  {replayed("a confirmed 2", c.taken, c.extended, c.confirmed), "a confirmed 2"},
		"reduced":              {replayed("a expired 1", c.taken, c.reduced), ""},
		"reduced and expired":  {replayed("", c.taken, c.reduced, c.expired), ""},
		"reduced when sold":    {replayed("a confirmed 1", c.taken, c.confirmed, c.reducedSold), "a confirmed 1"},
		"replaced":             {replayed("b expired 2", c.taken, c.replaced), ""},
		"replaced and expired": {replayed("", c.taken, c.replaced, c.expiredB), ""},
		"confirmed again":      {replayed("a confirmed 2", c.taken, c.expired, c.again), "a confirmed 2"},
		"returned":             {replayed("", c.taken, c.confirmed, c.returned), ""},
		"returned lately":      {replayed("a returned 2", c.taken, c.confirmed, c.returnedLate), "a returned 2"},
		"withheld": {replayed("a returned 2", c.taken, c.confirmed, c.withheld).withholds(2),
			"a returned 2"},

		"the row is newer":     {replayed("a expired 1", nil, c.taken, c.reduced).after(c.reducedRow), ""},
		"newer, and released":  {replayed("", nil, c.taken, c.reduced, c.released).after(c.reducedRow), ""},
		"the next row expired": {replayed("", nil, c.extended, c.expired).after(held, c.expiredRow), ""},
		"returned, left out":   {replayed("", nil, c.confirmed, c.returned).after(), ""},
		"withheld, left out":   {replayed("a returned 2", nil, c.confirmed, c.withheld).after().withholds(2), "a returned 2"},
	})
	for name, x := range map[string]changeCase{
		"returned while it is held": refused("is held, and changes", c.taken, c.returned),
		"again while it is held":    refused("is held, and changes", c.taken, c.again),
		"reduced as if it is sold":  refused("is held, and changes", c.taken, c.reducedSold),
		"taken twice":               refused("is taken again while it is held", c.taken, c.taken),
		"extended after its end":    refused("is expired, and changes as if it were held", c.taken, c.expired, c.extended),
		"replaced after its end":    refused("is expired and then released", c.taken, c.expired, c.replaced),
	} {
		require.Nil(t, x.replay(t, name, threeHoursLater(t, &x)))
	}
}

// A held reservation of the past keeps the instant and the sequence of its change.
func TestPastChangeKeepsItsInstant(t *testing.T) {
	c := newChangeRecords()
	x := replayed("", c.taken, c.extended)
	kept := x.journal(cellSale(t, 1))
	s := threeHoursLater(t, &x)
	s.open = func() (journal.Backend, error) { return kept.open(), nil }
	require.NoError(t, s.start())
	_, err := s.e.Checkpoint(t.Context())
	require.NoError(t, err)
	rows, _ := kept.records(t)
	require.Equal(t, record.Stamp{AtMs: c.hold.CreatedMs + 4, Seq: 3}, rows[len(rows)-1].Stamp)
	require.NoError(t, s.e.Close())
}

// forgottenCase has what is found after a further checkpoint and start, too.
type forgottenCase struct {
	changeCase
	then string
}

func requireForgotten(t *testing.T, cases map[string]forgottenCase) {
	for name, x := range cases {
		s := x.replay(t, name, threeHoursLater(t, &x.changeCase))
		x.requireFound(t, name, s)
		_, err := s.e.Checkpoint(t.Context())
		require.NoError(t, err)
		require.NoError(t, s.Restart())
		x.found = x.then
		x.requireFound(t, name, s)
		require.NoError(t, s.e.Close())
	}
}

// threeHoursLater returns a seller of the journal that forgets after an hour.
func threeHoursLater(t *testing.T, x *changeCase) *seller {
	sale := cellSale(t, 1)
	s := sellerOn(sale, x.journal(sale))
	s.options.Forget = time.Hour
	s.clock.set(saleStart.Add(3 * time.Hour))
	return s
}
