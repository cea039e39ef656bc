package engine_test

import (
	"context"
	"encoding/binary"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine"
	"github.com/seathold/seathold/engine/journal"
	"github.com/seathold/seathold/engine/spec"
)

// Once warm, no call and no refusal allocates, with or without a journal. The journal's writer makes two allocations a
// group, whatever its size. Here the first group stays in flight, so that only the callers' allocations are counted.
func TestAllocations(t *testing.T) {
	sale, err := spec.ScenarioSale()
	require.NoError(t, err)
	curl, _ := sale.SessionByID("CURL")
	sale.Sessions[curl].SalesEndAt = time.Date(2024, 5, 2, 10, 0, 0, 0, time.UTC)
	for _, durability := range []engine.Durability{engine.None, engine.Async} {
		kept := newStore()
		s := newSeller(sale, nil)
		if durability == engine.Async {
			s = sellerOn(sale, kept)
			s.options.Durability = durability
		}
		s.options.TTL = time.Hour
		s.clock.set(time.Date(2024, 5, 2, 10, 0, 0, 0, time.UTC))
		require.NoError(t, s.start())
		open, underWay := make(chan struct{}), make(chan struct{}, 1<<16)
		kept.before = func(context.Context, journal.Group) error {
			underWay <- struct{}{}
			<-open
			return nil
		}
		a := allocating{T: t, s: s}
		require.NoError(t, s.e.Reserve(t.Context(), &engine.Request{Account: "first", Lines: lines("JUDO/A", 1)}, &a.r))
		if durability == engine.Async {
			<-underWay
		}
		a.sales()
		a.changes()
		a.refusals()
		close(open)
		require.NoError(t, s.e.Close())
	}
}

func lines(name string, quantity int) []engine.Line {
	session, category, _ := strings.Cut(name, "/")
	return []engine.Line{{Session: session, Category: category, Quantity: quantity}}
}

type allocating struct {
	*testing.T
	s    *seller
	r    engine.Reservation
	next byte
}

// none requires that the call, after a few warm-up calls, allocates nothing and returns the expected code.
func (a *allocating) none(what string, want engine.Code, call func() error) {
	a.Helper()
	const runs = 50
	n := testing.AllocsPerRun(runs, func() {
		got := engine.Code("")
		if err := call(); err != nil {
			got = err.(*engine.Refusal).Code // returned bare; errors.As would allocate
		}
		if got != want {
			a.Fatalf("%s: %q, want %q", what, got, want)
		}
	})
	require.Zero(a, n, "%s with durability %d", what, a.s.options.Durability)
}

func (a *allocating) id() engine.ID {
	a.next++
	return engine.ID{0: a.next, 1: byte(a.s.options.Durability), 15: 1}
}

func (a *allocating) sales() {
	ctx, e := a.Context(), a.s.e
	pack := engine.Request{Account: "ann", Phase: "late", Lines: append(append(lines("ATHL/A", 1), lines("SWIM/B", 1)...),
		lines("SWIM/A", 1)...)}
	serial := uint64(0)
	a.none("reserve and release a pack", "", func() error {
		serial++
		binary.LittleEndian.PutUint64(pack.ID[:], serial)
		pack.ID[15] = 2
		if err := e.Reserve(ctx, &pack, &a.r); err != nil {
			return err
		}
		return e.Release(ctx, a.r.ID, &a.r)
	})
	single := engine.Request{Account: "bob", Lines: lines("ATHL/A", 1)}
	if !raced {
		a.none("reserve and release a single ticket, with an id that the engine chose", "", func() error {
			if err := e.Reserve(ctx, &single, &a.r); err != nil {
				return err
			}
			return e.Release(ctx, a.r.ID, &a.r)
		})
	}
	single.ID = a.id()
	require.NoError(a, e.Reserve(ctx, &single, &a.r))
	a.none("repeat", "", func() error { return e.Reserve(ctx, &single, &a.r) })
	a.none("read", "", func() error {
		if a.s.options.Durability == engine.None {
			return e.Reservation(ctx, single.ID, &a.r)
		}
		return nil
	})
	a.none("confirm again", "", func() error { return e.Confirm(ctx, single.ID, "a reference", &a.r) })
	a.none("release a confirmed one", engine.ReservationConfirmed, func() error { return e.Release(ctx, single.ID, &a.r) })
	other := single
	other.Account = "cat"
	a.none("id_reused", engine.IDReused, func() error { return e.Reserve(ctx, &other, &a.r) })
	var ids [200]engine.ID
	for i := range ids {
		q := engine.Request{Account: "dan" + string(rune('a'+i%25)) + string(rune('a'+i/25)), Lines: lines("SKI/A", 1)}
		if i >= 8 {
			break // as many as there are
		}
		require.NoError(a, e.Reserve(ctx, &q, &a.r))
		ids[i] = a.r.ID
	}
	n := 0
	require.Zero(a, testing.AllocsPerRun(6, func() {
		if err := e.Confirm(ctx, ids[n], "a reference", &a.r); err != nil {
			a.Fatal(err)
		}
		n++
	}), "confirm")
	stock := 0
	a.none("stock", "", func() error { stock += e.Stock(0).Capacity; return nil })
}

func (a *allocating) refusals() {
	ctx, e := a.Context(), a.s.e
	full := engine.Request{Account: "eve", Lines: lines("JUDO/A", 3)}
	require.NoError(a, e.Reserve(ctx, &full, &a.r))
	eve := a.r.ID
	for _, c := range []struct {
		want engine.Code
		q    engine.Request
	}{
		{engine.SoldOut, engine.Request{Account: "fay", Lines: lines("JUDO/A", 1)}},
		{engine.SoldOut, engine.Request{Account: "new-account", Lines: lines("JUDO/A", 1)}},
		{engine.SessionLimitExceeded, engine.Request{Account: "eve", Lines: lines("JUDO/A", 4)}},
		{engine.AccountCapExceeded, engine.Request{Account: "gus", Phase: "late",
			Lines: append(append(lines("JUDO/A", 5), lines("ATHL/A", 5)...), lines("SWIM/A", 5)...)}},
		{engine.NotOnSale, engine.Request{Account: "eve", Lines: lines("SURF/A", 1)}},
		{engine.SalesEnded, engine.Request{Account: "eve", Lines: lines("CURL/A", 1)}},
		{engine.UnknownSession, engine.Request{Account: "eve", Lines: lines("GONE/A", 1)}},
		{engine.UnknownCategory, engine.Request{Account: "eve", Lines: lines("JUDO/Z", 1)}},
		{engine.UnknownPhase, engine.Request{Account: "eve", Phase: "gone", Lines: lines("JUDO/A", 1)}},
		{engine.PhaseNotOpen, engine.Request{Account: "eve", Phase: "packs", Lines: lines("JUDO/A", 1)}},
		{engine.MalformedRequest, engine.Request{Account: "e v e", Lines: lines("JUDO/A", 1)}},
		{engine.MalformedRequest, engine.Request{Account: "eve", TTL: time.Millisecond, Lines: lines("JUDO/A", 1)}},
		{engine.MalformedRequest, engine.Request{Account: "eve", TTL: 2 * time.Hour, Lines: lines("JUDO/A", 1)}},
		{engine.InvalidQuantity, engine.Request{Account: "eve", Lines: lines("JUDO/A", 0)}},
		{engine.DuplicateLine, engine.Request{Account: "eve", Lines: append(lines("JUDO/A", 1), lines("JUDO/A", 1)...)}},
		{engine.TooManyLines, engine.Request{Account: "eve", Lines: make([]engine.Line, engine.MaxLines+1)}},
	} {
		q := c.q
		q.ID = a.id()
		a.none(string(c.want), c.want, func() error { return e.Reserve(ctx, &q, &a.r) })
	}
	a.none("reservation_not_found", engine.ReservationNotFound,
		func() error { return e.Confirm(ctx, engine.ID{1, 2, 3}, "", &a.r) })
	a.none("a bad reference", engine.MalformedRequest, func() error { return e.Confirm(ctx, eve, "\x00", &a.r) })
	require.NoError(a, e.Release(ctx, eve, &a.r))
	a.none("release again", "", func() error { return e.Release(ctx, eve, &a.r) })
	a.none("reservation_released", engine.ReservationReleased, func() error { return e.Confirm(ctx, eve, "", &a.r) })
	late := engine.Request{Account: "eve", TTL: time.Second, Lines: lines("JUDO/A", 1)}
	require.NoError(a, e.Reserve(ctx, &late, &a.r))
	id := a.r.ID
	a.s.clock.ms.Add(1000)
	a.none("reservation_expired", engine.ReservationExpired, func() error { return e.Confirm(ctx, id, "", &a.r) })
	a.s.clock.set(time.Date(2024, 6, 2, 10, 0, 0, 0, time.UTC))
	required := engine.Request{ID: a.id(), Account: "eve", Lines: lines("JUDO/A", 1)}
	a.none("phase_required", engine.PhaseRequired, func() error { return e.Reserve(ctx, &required, &a.r) })
	a.s.clock.set(time.Date(2024, 2, 16, 10, 0, 0, 0, time.UTC))
	a.none("no_access_slot", engine.NoAccessSlot, func() error { return e.Reserve(ctx, &required, &a.r) })
	a.s.clock.set(time.Date(2024, 3, 2, 10, 0, 0, 0, time.UTC))
	a.none("pack_shape", engine.PackShape, func() error { return e.Reserve(ctx, &required, &a.r) })
}
