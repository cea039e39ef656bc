package main

import (
	"errors"
	"fmt"

	"github.com/seathold/seathold/server/client"
)

type applySaleCommand struct {
	Sale newSale `embed:""`
}

func (c *applySaleCommand) Help() string {
	return `The command plans the change first and prints it, as sale plan does. It is applied in one step, while the sale
goes on, if nothing stands against it and no other change has come in between. Otherwise nothing changes.
What is paused stays paused.`
}

// Run puts the definition into force.
func (c *applySaleCommand) Run(p *process) error {
	return c.Sale.planned(p, func(n *plannedSale) error {
		done, err := n.operator.ApplySale(n.ctx, n.archive, n.plan.Digest)
		if err != nil {
			return c.explained(&n.out, err)
		}
		n.out.printf("version %d is in force", done.Version)
		return n.out.err
	})
}

// explained prints what has come to stand against the change since it was planned.
func (c *applySaleCommand) explained(out *lines, err error) error {
	refused, ok := asRefusal(err)
	switch {
	case !ok:
		return fmt.Errorf("%w; whether the change took effect is not known: seathold sale plan shows it", err)
	case refused.Code == "precondition_failed":
		return errors.New("nothing was applied: another change came in between; run the command again")
	}
	all := refused.Texts("objections")
	for _, objection := range all {
		out.printf("objection  %s", objection)
	}
	return errors.Join(objections(all), remoteFaults(c.Sale.Dir, err))
}

// asRefusal returns the refusal of a server.
func asRefusal(err error) (*client.Error, bool) { return errors.AsType[*client.Error](err) }
