package engine_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/seathold/seathold/engine"
	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/journal/embedded"
	"github.com/seathold/seathold/engine/saleclock"
)

// A checkout: tickets are held, the hold is extended while the bank takes its time, and they are sold when the payment
// is made. Later the buyer gives one back, and then the others. Each call names its result, so a caller that got no
// answer sends it again.
func Example_checkout() {
	dir, err := os.MkdirTemp("", "seathold-")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	backend, err := embedded.Open(dir, embedded.Options{})
	if err != nil {
		log.Fatal(err)
	}
	// The example sets the sale clock, so that the output is always the same. A real sale leaves Clock out.
	var minutes atomic.Int64
	opening := time.Date(2023, 11, 30, 9, 0, 0, 0, time.UTC)
	ctx := context.Background()
	e, err := engine.Open(ctx, engine.Options{
		Sale:    catalog.Paris2024(),
		Journal: backend,
		TTL:     10 * time.Minute,
		MaxHold: 30 * time.Minute, // no hold lasts longer, however often it is extended
		Clock: saleclock.Virtual(func() time.Time {
			return opening.Add(time.Duration(minutes.Load()) * time.Minute)
		}),
	})
	if err != nil {
		log.Fatal(err)
	}
	var r engine.Reservation
	session, _ := e.Sale().SessionByID("ATH10")
	pool, _ := e.Sale().PoolOf(session, "A")
	available := e.Stock(pool).Available

	// The shop stores the id with the basket before the first call.
	id := uuid.MustParse("018c1f3e-7a00-7000-8000-000000000002")
	basket := []engine.Line{{Session: "ATH10", Category: "A", Quantity: 3}}
	show(&r, e.Reserve(ctx, &engine.Request{ID: id, Account: "ann@example.com", Lines: basket}, &r))

	// The bank asks the buyer for a second factor. The new end is an instant, so the same call again extends no further.
	minutes.Store(9)
	show(&r, e.Extend(ctx, id, opening.Add(25*time.Minute), &r))
	show(&r, e.Extend(ctx, id, opening.Add(45*time.Minute), &r))

	// The payment is made, after the first end of the hold.
	minutes.Store(20)
	show(&r, e.Confirm(ctx, id, "payment 4711", &r))

	// One of three friends cannot come. Lines are what the reservation keeps.
	keep := []engine.Line{{Session: "ATH10", Category: "A", Quantity: 2}}
	show(&r, e.Reduce(ctx, id, keep, &r))
	fmt.Println(available-e.Stock(pool).Available, "tickets are taken")

	// Then the others cannot come either. The programme puts returned tickets on sale again.
	show(&r, e.Return(ctx, id, "refund 4712", &r))
	fmt.Println(available-e.Stock(pool).Available, "tickets are taken")
	show(&r, e.Confirm(ctx, id, "payment 4711", &r))
	if err := e.Close(); err != nil {
		log.Fatal(err)
	}
	// Output:
	// held, 3 tickets until 09:10:00
	// held, 3 tickets until 09:25:00
	// refused: hold_limit_exceeded - the hold can be extended until 2023-11-30T09:30:00Z at most
	// confirmed, 3 tickets, payment 4711
	// confirmed, 2 tickets, payment 4711
	// 2 tickets are taken
	// returned, 2 tickets, refund 4712
	// 0 tickets are taken
	// refused: reservation_returned - the reservation was returned; use a new id for a new reservation
}

// show prints what a call returned.
func show(r *engine.Reservation, err error) {
	var refusal *engine.Refusal
	switch {
	case errors.As(err, &refusal):
		fmt.Println("refused:", refusal.Code, "-", refusal.Detail())
	case err != nil: // the outcome is not known; the same call again shows it
		log.Fatal(err)
	case r.State == engine.Held:
		fmt.Println("held,", r.Tickets, "tickets until", r.ExpiresAt.Format(time.TimeOnly))
	default:
		fmt.Printf("%s, %d tickets, %s\n", r.State, r.Tickets, r.Reference)
	}
}
