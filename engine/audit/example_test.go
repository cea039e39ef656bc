package audit_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/seathold/seathold/engine"
	"github.com/seathold/seathold/engine/audit"
	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/journal/embedded"
	"github.com/seathold/seathold/engine/saleclock"
)

// A sale is verified from its journal alone, without the engine that wrote it.
func ExampleVerify() {
	dir, err := os.MkdirTemp("", "seathold-")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	sellTwo(dir)

	journal, err := embedded.OpenReadOnly(dir)
	if err != nil {
		log.Fatal(err)
	}
	found, err := audit.Verify(journal, catalog.Paris2024())
	if err != nil {
		log.Fatal(err)
	}
	if err := journal.Close(); err != nil {
		log.Fatal(err)
	}
	fmt.Println(found.Records, "records,", found.Confirmed, "tickets confirmed,", found.Broken, "broken invariants")
	// Output:
	// 5 records, 2 tickets confirmed, 0 broken invariants
}

// sellTwo sells two tickets with a journal in the directory.
func sellTwo(dir string) {
	journal, err := embedded.Open(dir, embedded.Options{})
	if err != nil {
		log.Fatal(err)
	}
	ctx, opening := context.Background(), time.Date(2023, 11, 30, 9, 0, 0, 0, time.UTC)
	e, err := engine.Open(ctx, engine.Options{Sale: catalog.Paris2024(), Journal: journal,
		Clock: saleclock.Virtual(func() time.Time { return opening })})
	if err != nil {
		log.Fatal(err)
	}
	var r engine.Reservation
	request := engine.Request{Account: "ann", Lines: []engine.Line{{Session: "ATH10", Category: "A", Quantity: 2}}}
	if err := e.Reserve(ctx, &request, &r); err != nil {
		log.Fatal(err)
	}
	if err := e.Confirm(ctx, r.ID, "payment 4711", &r); err != nil {
		log.Fatal(err)
	}
	if err := e.Close(); err != nil {
		log.Fatal(err)
	}
}
