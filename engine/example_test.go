package engine_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"time"

	"github.com/google/uuid"

	"github.com/seathold/seathold/engine"
	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/journal/embedded"
	"github.com/seathold/seathold/engine/saleclock"
)

// A program sells Paris 2024 in its own process, with a journal in a directory: reserve, confirm, a refusal, a restart.
func Example() {
	dir, err := os.MkdirTemp("", "seathold-")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	ctx := context.Background()

	// The sale clock is fixed at the opening of the sale of 30 November 2023, so that the output is always the same.
	opening := time.Date(2023, 11, 30, 9, 0, 0, 0, time.UTC)
	open := func() *engine.Engine {
		journal, err := embedded.Open(filepath.Join(dir, "journal"), embedded.Options{})
		if err != nil {
			log.Fatal(err)
		}
		e, err := engine.Open(ctx, engine.Options{
			Sale:    catalog.Paris2024(),
			Journal: journal,
			Clock:   saleclock.Virtual(func() time.Time { return opening }),
		})
		if err != nil {
			log.Fatal(err)
		}
		return e
	}

	e := open()
	request := engine.Request{
		ID:      uuid.MustParse("018c1f3e-7a00-7000-8000-000000000001"), // a retry with the same id has no second effect
		Account: "ann@example.com",
		Lines: []engine.Line{{Session: "ATH10", Category: "A", Quantity: 2},
			{Session: "SWM03", Category: "B", Quantity: 4}},
	}
	var r engine.Reservation // reuse one for each caller: calls fill it and allocate nothing
	if err := e.Reserve(ctx, &request, &r); err != nil {
		log.Fatal(err)
	}
	fmt.Println(r.State, r.Tickets, "tickets in phase", r.Phase, "until", r.ExpiresAt.Format(time.TimeOnly))

	if err := e.Confirm(ctx, r.ID, "payment 4711", &r); err != nil {
		log.Fatal(err)
	}
	fmt.Println(r.State, "with", r.Reference)

	more := engine.Request{Account: "ann@example.com",
		Lines: []engine.Line{{Session: "SWM03", Category: "A", Quantity: 3}}}
	var refusal *engine.Refusal
	if err := e.Reserve(ctx, &more, &r); errors.As(err, &refusal) {
		fmt.Println(refusal.Code, "-", refusal.Detail())
	}
	if err := e.Close(); err != nil {
		log.Fatal(err)
	}

	e = open()
	account, err := e.Account(ctx, "ann@example.com")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("after a restart:", account.Programmes[0].Confirmed, "of", account.Programmes[0].Cap,
		account.Programmes[0].Programme, "tickets")
	if err := e.Close(); err != nil {
		log.Fatal(err)
	}
	// Output:
	// held 6 tickets in phase all-venues until 09:17:00
	// confirmed with payment 4711
	// session_limit_exceeded - an account may have 6 tickets for session SWM03; it has 0 held and 4 confirmed, and requests 3 more
	// after a restart: 6 of 30 olympic tickets
}
