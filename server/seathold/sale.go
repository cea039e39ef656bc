package main

import (
	"fmt"
	"time"

	"github.com/seathold/seathold/engine/catalog"
)

// saleCommand is everything that is done with sale definitions.
type saleCommand struct {
	Check  checkSaleCommand  `cmd:"" help:"Check a sale definition, and list all of its faults."`
	Init   initSaleCommand   `cmd:"" help:"Begin a sale definition from a template."`
	Export exportSaleCommand `cmd:"" help:"Write the definition in force, or a bundled one, into a directory."`
	Plan   planSaleCommand   `cmd:"" help:"Show what a definition would change in a running sale, and what stands against it."`
	Apply  applySaleCommand  `cmd:"" help:"Put a definition into force in a running sale."`
}

type checkSaleCommand struct {
	Dir string `arg:"" placeholder:"DIR" help:"A directory with the files of a sale definition, or paris2024, the bundled one."`
}

func (c *checkSaleCommand) Help() string {
	return `The faults are listed by file and line, each with the field, the rule and the value found: at most a hundred,
and how many there are besides. What refers to a faulty part is checked once that part is mended. Without
faults the command prints what the definition has. A server that is to serve a faulty definition lists its
faults in the same way.`
}

// Run checks the definition.
func (c *checkSaleCommand) Run(p *process) error {
	sale, err := catalog.Load(c.Dir)
	if err != nil {
		return err
	}
	out := lines{w: p.stdout}
	out.printf("sale        %s, %s: no faults", sale.Name, sale.Title)
	onSale, places := 0, 0
	for i := range sale.Sessions {
		if sale.Sessions[i].OnSale {
			onSale++
		}
	}
	for i := range sale.Pools {
		places += sale.Pools[i].Capacity
	}
	out.printf("sessions    %s, of which %s are on sale", count(len(sale.Sessions)), count(onSale))
	out.printf("places      %s in %s categories of sessions, of which %s are on sale", count(places),
		count(len(sale.Pools)), count(sale.PlacesOnSale()))
	stated, err := sale.Files.Stock()
	if err != nil {
		return err
	}
	if len(stated) > 0 {
		out.printf("stock       stock.csv states that of %s categories of sessions", count(len(stated)))
	}
	out.printf("prices      %s", describePrices(sale))
	for i := range sale.Phases {
		phase := &sale.Phases[i]
		out.printf("phase       %s, %s to %s", phase.ID, phase.OpensAt.Format(time.RFC3339),
			phase.ClosesAt.Format(time.RFC3339))
	}
	for i := range sale.Draws {
		draw := &sale.Draws[i]
		out.printf("draw        %s, registration %s to %s", draw.ID, draw.RegistrationOpens.Format(time.RFC3339),
			draw.RegistrationCloses.Format(time.RFC3339))
	}
	return out.err
}

// describePrices returns the currency of a sale and the range of its prices.
func describePrices(sale *catalog.Sale) string {
	priced, least, most := 0, 0, 0
	for i := range sale.Pools {
		price := sale.Pools[i].PriceCents
		if price == catalog.NoPrice {
			continue
		}
		if priced++; priced == 1 {
			least = price
		}
		least, most = min(least, price), max(most, price)
	}
	if priced == 0 {
		return "none"
	}
	text := fmt.Sprintf("%s to %s", sale.Currency.Format(least), sale.Currency.Format(most))
	if without := len(sale.Pools) - priced; without > 0 {
		text += fmt.Sprintf("; %s categories of sessions have none", count(without))
	}
	return text
}
