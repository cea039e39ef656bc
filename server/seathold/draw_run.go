package main

import (
	"context"
	"fmt"
	"time"

	"github.com/seathold/seathold/server/internal/drawfiles"
)

type runDrawCommand struct {
	Draw   string `required:"" placeholder:"DRAW" help:"The draw's id in the sale definition."`
	Beacon string `placeholder:"FILE|URL" help:"The beacon of the deciding round as a drand relay returns it, for example https://api.drand.sh/CHAIN_HASH/public/ROUND. Without it, only a draw marked as a stand-in can run: by the signature in the sale definition."`
	Sale   string `default:"paris2024" env:"SEATHOLD_SALE" placeholder:"NAME|DIR" help:"The sale definition with the stand-in's signature (default: ${default})."`
	Admin  string `default:"http://127.0.0.1:9090" env:"SEATHOLD_ADMIN" placeholder:"URL" help:"The operator's port of the server (default: ${default})."`
	Remote remote `embed:""`
}

// Run decides the draw.
func (c *runDrawCommand) Run(p *process) error {
	operator, ctx, end, err := c.Remote.operator(p, "--admin", c.Admin)
	if err != nil {
		return err
	}
	defer end()
	out := lines{w: p.stdout}
	beacon, err := c.beacon(ctx, &out)
	if err != nil {
		return err
	}
	// The server freezes at the close by itself. This is for a call within the second after the close. It cannot freeze
	// with the beacon in hand: the server refuses to freeze once the round is due, unless a stand-in decides.
	if _, err := operator.Freeze(ctx, c.Draw); err != nil {
		return fmt.Errorf("draw %s: %w", c.Draw, err)
	}
	drawn, err := operator.Run(ctx, c.Draw, beacon)
	if err != nil {
		return fmt.Errorf("draw %s: %w", c.Draw, err)
	}
	out.printf("draw      %s", drawn.Draw)
	out.printf("entries   %s", count(drawn.Entries))
	out.printf("root      %s", drawn.Digest)
	out.printf("round     %d", drawn.Beacon.Round)
	out.printf("seed      %s", drawn.Seed)
	if drawn.Beacon.StandIn {
		out.printf("%s", standInWarning)
	}
	return out.err
}

// beacon returns the beacon of --beacon, or that of a stand-in.
func (c *runDrawCommand) beacon(ctx context.Context, out *lines) ([]byte, error) {
	if c.Beacon != "" {
		beacon, err := drawfiles.ReadBeacon(ctx, c.Beacon)
		if err != nil {
			return nil, fmt.Errorf("--beacon: %w", err)
		}
		return beacon, nil
	}
	sale, d, err := drawfiles.Load(c.Sale, c.Draw)
	if err != nil {
		return nil, err
	}
	beacon, ok, err := drawfiles.StandIn(d)
	switch {
	case err != nil:
		return nil, err
	case !ok:
		return nil, usagef("draw %s is decided by round %d of %s, published at %s: pass it with --beacon", c.Draw,
			d.Beacon.Round, d.Beacon.Chain, d.Beacon.PublishedAt().Format(time.RFC3339))
	}
	out.printf("no --beacon: round %d of %s is a stand-in, with the signature in the sale definition %s", d.Beacon.Round,
		d.Beacon.Chain, sale.Name)
	return beacon, nil
}
