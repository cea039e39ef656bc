package engine_test

import (
	"encoding/binary"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine"
)

// changing holds tickets with one id after another, and changes what it holds.
type changing struct {
	*allocating
	q      engine.Request
	serial uint64
}

// hold reserves with the next id. The id of the one before is the one that it replaces, if it replaces.
func (c *changing) hold(replaces bool) error {
	c.q.Replaces = engine.ID{}
	if replaces {
		c.q.Replaces = c.q.ID
	}
	c.serial++
	binary.LittleEndian.PutUint64(c.q.ID[:], c.serial)
	c.q.ID[15] = 3
	return c.s.e.Reserve(c.Context(), &c.q, &c.r)
}

// after makes the calls one after the other until one fails.
func after(calls ...func() error) error {
	for _, call := range calls {
		if err := call(); err != nil {
			return err
		}
	}
	return nil
}

// changes requires that no change allocates, nor its repeat, nor its refusal.
func (a *allocating) changes() {
	ctx, e := a.Context(), a.s.e
	two := append(lines("ATHL/A", 2), lines("GALA/A", 1)...)
	c := changing{allocating: a, q: engine.Request{Account: "hal", Phase: "late", Lines: two}}
	one, three := lines("ATHL/A", 1), lines("ATHL/A", 3)
	hold := func() error { return c.hold(false) }
	confirm := func() error { return e.Confirm(ctx, c.q.ID, "a reference", &a.r) }
	release := func() error { return e.Release(ctx, c.q.ID, &a.r) }
	giveBack := func() error { return e.Return(ctx, c.q.ID, "another reference", &a.r) }
	reduce := func() error { return e.Reduce(ctx, c.q.ID, one, &a.r) }
	again := func() error { return e.ConfirmAgain(ctx, c.q.ID, "late", &a.r) }

	a.none("reserve, reduce, release", "", func() error { return after(hold, reduce, release) })
	a.none("reserve, confirm, reduce, return", "", func() error { return after(hold, confirm, reduce, giveBack) })
	a.none("repeat of return", "", giveBack)
	a.none("reservation_returned", engine.ReservationReturned, confirm)

	require.NoError(a, hold())
	a.none("replace", "", func() error { return c.hold(true) })
	a.none("repeat of replace", "", func() error { return e.Reserve(ctx, &c.q, &a.r) })
	replaced := c.q
	replaced.ID, replaced.Replaces = c.q.Replaces, engine.ID{}
	other := c.q
	other.ID, other.Replaces = engine.ID{15: 4}, replaced.ID
	a.none("replace of a released one", engine.ReservationReleased, func() error { return e.Reserve(ctx, &other, &a.r) })
	other.Replaces, other.Lines = c.q.ID, lines("JUDO/A", 5)
	a.none("replace when sold out", engine.SoldOut, func() error { return e.Reserve(ctx, &other, &a.r) })

	end := a.r.ExpiresAt
	a.none("extend", "", func() error { end = end.Add(-time.Millisecond); return e.Extend(ctx, c.q.ID, end, &a.r) })
	a.none("repeat of extend", "", func() error { return e.Extend(ctx, c.q.ID, end, &a.r) })
	a.none("hold_limit_exceeded", engine.HoldLimitExceeded,
		func() error { return e.Extend(ctx, c.q.ID, end.Add(2*time.Hour), &a.r) })
	a.none("extend into the past", engine.MalformedRequest,
		func() error { return e.Extend(ctx, c.q.ID, end.Add(-2*time.Hour), &a.r) })
	a.none("repeat of reduce", "", func() error { return e.Reduce(ctx, c.q.ID, two, &a.r) })
	a.none("not_a_reduction", engine.NotAReduction, func() error { return e.Reduce(ctx, c.q.ID, three, &a.r) })
	a.none("reservation_held", engine.ReservationHeld, giveBack)
	require.NoError(a, release())

	c.q.TTL = time.Second
	late := func() error { a.s.clock.ms.Add(1000); return nil }
	a.none("reserve, confirm again, return", "", func() error { return after(hold, late, again, giveBack) })
	require.NoError(a, after(hold, late))
	a.none("can_take_again", engine.ReservationExpired, confirm)
	require.True(a, confirm().(*engine.Refusal).CanTakeAgain)
	require.NoError(a, again())
	a.none("repeat of confirm again", "", again)
	require.NoError(a, giveBack())
	c.q.Lines = lines("ATHL/A", 6)
	require.NoError(a, after(hold, late))
	require.Equal(a, engine.ReservationExpired, codeOf(a, confirm()))
	c.q.Lines, c.q.TTL = lines("ATHL/A", 1), 0
	old := c.q.ID
	require.NoError(a, hold())
	a.none("confirm again over the limit", engine.SessionLimitExceeded,
		func() error { return e.ConfirmAgain(ctx, old, "", &a.r) })
	require.NoError(a, release())
}
