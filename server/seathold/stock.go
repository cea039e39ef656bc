package main

import (
	"fmt"

	"github.com/seathold/seathold/server/client"
)

type stockCommand struct {
	Session  string `arg:"" placeholder:"SESSION" help:"The session's id."`
	Category string `arg:"" placeholder:"CATEGORY" help:"The price category."`
	Capacity *int   `placeholder:"N" help:"How many tickets there are in all."`
	Withheld *int   `placeholder:"N" help:"How many of them are not on sale, places of returned tickets included."`
	To       string `default:"http://127.0.0.1:9090" env:"SEATHOLD_ADMIN" placeholder:"URL" help:"The operator's port of the server (default: ${default})."`
	Remote   remote `embed:""`
}

func (c *stockCommand) Help() string {
	return `A number that is not given stays as it is. Tickets that are held or sold are never taken away: less than that
is refused, and nothing changes. The numbers hold until a new definition is applied; sale export has them.

Where returned tickets are withheld, their places are among the withheld ones: --withheld says how many are withheld in
all, so fewer than were returned puts places of returned tickets on sale again. Later returns add to the number. A new
definition leaves what was put on sale again on sale, and sale export does not count returned places.`
}

// Run sets the stock of one pool.
func (c *stockCommand) Run(p *process) error {
	if c.Capacity == nil && c.Withheld == nil {
		return usagef("--capacity or --withheld is required")
	}
	operator, ctx, end, err := c.Remote.operator(p, "--to", c.To)
	if err != nil {
		return err
	}
	defer end()
	now, err := operator.SetStock(ctx, c.Session, c.Category,
		client.StockWanted{Capacity: c.Capacity, Withheld: c.Withheld})
	if err != nil {
		return fmt.Errorf("session %s, category %s: %w", c.Session, c.Category, err)
	}
	out := lines{w: p.stdout}
	out.printf("session %s, category %s: capacity %s, available %s, held %s, sold %s, withheld %s", now.Session,
		now.Category, count(now.Capacity), count(now.Available), count(now.Held), count(now.Sold), count(now.Withheld))
	return out.err
}
