package engine_test

import (
	"context"
	"fmt"
	"log"

	"github.com/seathold/seathold/engine"
	"github.com/seathold/seathold/engine/catalog"
)

// A program changes the sale while it sells: it plans another definition and applies exactly what it has seen, and
// pauses a session.
func ExampleEngine_Apply() {
	ctx := context.Background()
	files := catalog.Template(false) // another program loads a directory, see catalog.Load
	sale, err := catalog.LoadFS(files.FS())
	if err != nil {
		log.Fatal(err)
	}
	e, err := engine.Open(ctx, engine.Options{Sale: sale, Durability: engine.None})
	if err != nil {
		log.Fatal(err)
	}
	defer e.Close()

	first := sale.Pools[0]
	session := sale.Sessions[first.Session].ID
	files, err = files.WithStock([]catalog.StockRow{{Session: session, Category: first.Category,
		Capacity: first.Capacity + 50, Withheld: first.Withheld}})
	if err != nil {
		log.Fatal(err)
	}
	next, err := catalog.LoadFS(files.FS())
	if err != nil {
		log.Fatal(err)
	}
	plan, err := e.Plan(next)
	if err != nil {
		log.Fatal(err)
	}
	for _, change := range plan.Changes {
		fmt.Println(change)
	}
	applied, err := e.Apply(ctx, next, plan.Digest) // ErrOtherDefinition if another change came between
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("version", applied.Version)

	if err := e.Pause(ctx, engine.Pausable{Session: session}, true); err != nil {
		log.Fatal(err)
	}
	inForce, err := e.Definition()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("paused:", inForce.Paused.Sessions)
	// Output:
	// session S1, category A: capacity 500 → 550
	// version 2
	// paused: [S1]
}
