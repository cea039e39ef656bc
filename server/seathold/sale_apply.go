package main

import (
	"errors"
	"fmt"

	"github.com/seathold/seathold/server/client"
)

type applySaleCommand struct {
	Dir    string `arg:"" placeholder:"DIR" help:"A directory with the files of a sale definition, or paris2024, the bundled one."`
	To     string `default:"http://127.0.0.1:9090" env:"SEATHOLD_ADMIN" placeholder:"URL" help:"The operator's port of the server (default: ${default})."`
	Remote remote `embed:""`
}

func (c *applySaleCommand) Help() string {
	return `The command plans the change first and prints it, as sale plan does. It is applied in one step, while the sale
goes on, if nothing stands against it and no other change has come in between. Otherwise nothing changes.
What is paused stays paused.`
}

// Run puts the definition into force.
func (c *applySaleCommand) Run(p *process) error {
	archive, err := archiveOf(c.Dir)
	if err != nil {
		return err
	}
	operator, ctx, end, err := c.Remote.operator(p, "--to", c.To)
	if err != nil {
		return err
	}
	defer end()
	plan, err := operator.PlanSale(ctx, archive)
	if err != nil {
		return remoteFaults(c.Dir, err)
	}
	out := lines{w: p.stdout}
	printPlan(&out, &plan)
	if err := objections(plan.Objections); err != nil {
		return err
	}
	done, err := operator.ApplySale(ctx, archive, plan.Digest)
	if err != nil {
		return c.explained(&out, err)
	}
	out.printf("version %d is in force", done.Version)
	return out.err
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
	return errors.Join(objections(all), remoteFaults(c.Dir, err))
}

// asRefusal returns the refusal of a server.
func asRefusal(err error) (*client.Error, bool) { return errors.AsType[*client.Error](err) }
