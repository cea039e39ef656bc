package catalog_test

import (
	"errors"
	"fmt"
	"log"
	"os"
	"testing/fstest"
	"time"

	"github.com/seathold/seathold/engine/catalog"
)

// Load a directory and look at a phase and at a pool.
func ExampleLoad() {
	sale, err := catalog.Load("testdata/small") // or catalog.Bundled
	if err != nil {
		log.Fatal(err)
	}
	phase := &sale.Phases[0]
	fmt.Println(phase.Title, "from", phase.OpensAt.Format(time.RFC3339), "in", phase.SlotCount(), "access slots")

	session, _ := sale.SessionByID("S2")
	pool, _ := sale.PoolOf(session, "A")
	p := sale.Pools[pool]
	fmt.Println(p.Category, "has", p.Capacity-p.Withheld, "of", p.Capacity, "places on sale")
	// Output:
	// Packs from 2024-02-15T09:00:00Z in 17 access slots
	// A has 89 of 111 places on sale
}

// A definition that breaks rules is refused with all of its faults and where they are.
func ExampleFaults() {
	files := fstest.MapFS{}
	for _, name := range []string{"sale.yaml", "sessions.csv", "prices.csv", "venues.csv"} {
		text, err := os.ReadFile("testdata/small/" + name)
		if err != nil {
			log.Fatal(err)
		}
		files[name] = &fstest.MapFile{Data: text}
	}
	files["prices.csv"].Data = []byte("session,category,price_eur\nS1,A,24.5\nS1,B,-1\n")

	_, err := catalog.LoadFS(files)
	if faults, ok := errors.AsType[*catalog.Faults](err); ok {
		for _, fault := range faults.List {
			fmt.Println(fault.File, fault.Line, fault.Field)
			fmt.Println(fault.Rule)
		}
	}
	// Output:
	// prices.csv 2 price_eur
	// must be an amount in EUR from 0 to 9999999, whole or with 2 decimals such as 24.50, not "24.5"
	// prices.csv 3 price_eur
	// must be an amount in EUR from 0 to 9999999, whole or with 2 decimals such as 24.50, not "-1"
}
