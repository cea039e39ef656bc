package main

import (
	"fmt"
	"time"
)

type postponeCommand struct {
	Draw   string `required:"" placeholder:"DRAW" help:"The draw's id in the sale definition."`
	Round  uint64 `required:"" placeholder:"N" help:"The round of the draw's beacon chain that decides instead: due at least publish_within from now, and before the phase opens."`
	Admin  string `default:"http://127.0.0.1:9090" env:"SEATHOLD_ADMIN" placeholder:"URL" help:"The operator's port of the server (default: ${default})."`
	Remote remote `embed:""`
}

func (c *postponeCommand) Help() string {
	return `After an outage at the close of registration, the digest of the entries may be published too late: the round
that decides must not be due before. Name a later round while the present one is not due. The postponement is part of
the journal, of the draw's status and of its export. Once the round is due and the entries are not frozen, the
draw is void; announce another one in the sale definition then.`
}

// Run postpones the draw.
func (c *postponeCommand) Run(p *process) error {
	operator, ctx, end, err := c.Remote.operator(p, "--admin", c.Admin)
	if err != nil {
		return err
	}
	defer end()
	d, err := operator.Postpone(ctx, c.Draw, c.Round)
	if err != nil {
		return fmt.Errorf("draw %s: %w", c.Draw, err)
	}
	out := lines{w: p.stdout}
	out.printf("draw %s is decided by round %d of %s, due at %s", d.Draw, d.Beacon.Round, d.Beacon.Chain,
		d.Beacon.PublishedAt.Format(time.RFC3339))
	return out.err
}
