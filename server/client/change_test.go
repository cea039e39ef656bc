package client

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A reservation is extended, replaced, sold, reduced and returned.
func TestChanges(t *testing.T) {
	f := start(t)
	c, slept := client(t, Options{URL: f.api})
	now := *f.now.Load()
	first := two("alice")
	held, err := c.Reserve(t.Context(), first)
	require.NoError(t, err)
	extended, err := c.Extend(t.Context(), held.ID, now.Add(30*time.Minute+time.Microsecond).In(time.FixedZone("", 5400)))
	require.NoError(t, err)
	held.ExpiresAt = now.Add(30 * time.Minute)
	require.Equal(t, held, extended)
	_, err = c.Extend(t.Context(), held.ID, now.Add(time.Hour+time.Millisecond))
	late := refusedWith(t, err, 409, "hold_limit_exceeded")
	require.Equal(t, now.Add(time.Hour), late.Time("max_expires_at"))
	_, err = c.Return(t.Context(), held.ID, "")
	refusedWith(t, err, 409, "reservation_held")

	other := &Request{Account: "alice", Replaces: held.ID, Lines: []Line{{"JUD01", "A", 3}}}
	held, err = c.Reserve(t.Context(), other)
	require.NoError(t, err)
	require.Equal(t, other.Lines, held.Lines)
	old, err := c.Reservation(t.Context(), first.ID)
	require.NoError(t, err)
	require.Equal(t, "released", old.State)
	require.Zero(t, f.stock(t, "ATH01", "B"))

	sold, err := c.Confirm(t.Context(), held.ID, "paid-1")
	require.NoError(t, err)
	_, err = c.Reduce(t.Context(), held.ID, []Line{{"JUD01", "A", 4}})
	more := refusedWith(t, err, 409, "not_a_reduction")
	require.Equal(t, []any{"JUD01", "A", 3, 4}, []any{more.Text("session"), more.Text("category"), more.Count("has"),
		more.Count("requested")})
	_, err = c.Reduce(t.Context(), held.ID, nil)
	require.Equal(t, "lines", refusedWith(t, err, 400, "malformed_request").Text("where"))
	reduced, err := c.Reduce(t.Context(), held.ID, []Line{{"JUD01", "A", 2}})
	require.NoError(t, err)
	sold.Lines, sold.Tickets = []Line{{"JUD01", "A", 2}}, 2
	require.Equal(t, sold, reduced)
	require.Equal(t, 2, f.stock(t, "JUD01", "A"))

	returned, err := c.Return(t.Context(), held.ID, "refund-1")
	require.NoError(t, err)
	reduced.State, reduced.Reference = "returned", "refund-1"
	require.Equal(t, reduced, returned)
	returned, err = c.Return(t.Context(), held.ID, "refund-2")
	require.NoError(t, err)
	require.Equal(t, reduced, returned)
	require.Zero(t, f.stock(t, "JUD01", "A"))
	_, err = c.Confirm(t.Context(), held.ID, "paid-1")
	refusedWith(t, err, 409, "reservation_returned")
	require.Empty(t, *slept, "none of these is retried")
}

// The tickets of an expired reservation are sold to a late payment while nobody else has them.
func TestConfirmAgain(t *testing.T) {
	f := start(t)
	c, _ := client(t, Options{URL: f.api})
	mine := &Request{Account: "alice", TTLSeconds: 60, Lines: []Line{{"ATH01", "A", 5}}}
	held, err := c.Reserve(t.Context(), mine)
	require.NoError(t, err)
	f.at(t, "2024-01-10T09:01:00Z")
	_, err = c.Confirm(t.Context(), held.ID, "late")
	require.True(t, refusedWith(t, err, 409, "reservation_expired").Flag("can_take_again"))
	theirs := &Request{Account: "bob", Lines: []Line{{"ATH01", "A", 5}}}
	_, err = c.Reserve(t.Context(), theirs)
	require.NoError(t, err)
	_, err = c.Confirm(t.Context(), held.ID, "late")
	require.False(t, refusedWith(t, err, 409, "reservation_expired").Flag("can_take_again"))
	_, err = c.ConfirmAgain(t.Context(), held.ID, "late")
	require.Equal(t, 4, refusedWith(t, err, 409, "sold_out").Count("available"))
	_, err = c.Release(t.Context(), theirs.ID)
	require.NoError(t, err)
	for range 2 {
		sold, err := c.ConfirmAgain(t.Context(), held.ID, "late")
		require.NoError(t, err)
		require.Equal(t, "confirmed", sold.State)
		require.Equal(t, *f.now.Load(), sold.ConfirmedAt)
		require.Equal(t, held.ExpiresAt, sold.ExpiresAt)
		require.Equal(t, 5, f.stock(t, "ATH01", "A"))
	}
}

// A batch makes every kind of change, each with its own result.
func TestBatchOfChanges(t *testing.T) {
	f := start(t)
	c, _ := client(t, Options{URL: f.api})
	var ids []string
	for range 2 {
		r := &Request{Account: "alice", TTLSeconds: 60, Lines: []Line{{"SWM01", "A", 3}}}
		_, err := c.Reserve(t.Context(), r)
		require.NoError(t, err)
		ids = append(ids, r.ID)
	}
	on := func(id string) Request { return Request{ID: id} }
	end := f.now.Load().Add(10 * time.Minute)
	results, err := c.Batch(t.Context(), []Operation{
		{Op: Extend, Request: on(ids[0]), ExpiresAt: end},
		{Op: Reduce, Request: Request{ID: ids[0], Lines: []Line{{"SWM01", "A", 1}}}},
		{Op: Return, Request: on(ids[0])},
		{Op: Confirm, Request: on(ids[0]), Reference: "paid"},
		{Op: Return, Request: on(ids[0])},
		{Op: Reserve, Request: Request{Account: "alice", Replaces: ids[1], Lines: []Line{{"SWM01", "A", 4}}}},
	})
	require.NoError(t, err)
	require.Len(t, results, 6)
	require.Equal(t, end, results[0].Reservation.ExpiresAt)
	require.Equal(t, []Line{{"SWM01", "A", 1}}, results[1].Reservation.Lines)
	require.Equal(t, "reservation_held", results[2].Problem.Code)
	require.Equal(t, "confirmed", results[3].Reservation.State)
	require.Equal(t, "returned", results[4].Reservation.State)
	require.Equal(t, "paid", results[4].Reservation.Reference)
	require.Equal(t, 201, results[5].Status)
	require.Equal(t, 4, f.stock(t, "SWM01", "A"))

	f.at(t, "2024-01-10T09:30:00Z")
	results, err = c.Batch(t.Context(), []Operation{{Op: Confirm, Request: on(results[5].Reservation.ID)},
		{Op: Confirm, Request: on(results[5].Reservation.ID), Again: true}})
	require.NoError(t, err)
	require.True(t, results[0].Problem.Flag("can_take_again"))
	require.Equal(t, "confirmed", results[1].Reservation.State)
}
