package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/server/client"
)

type planSaleCommand struct {
	Sale newSale `embed:""`
}

func (c *planSaleCommand) Help() string {
	return `Nothing changes. Each change is a line, and so is each objection: what was sold, or drawn, that the definition
does not fit. The line of what is removed or goes off sale counts its held and sold tickets, which stay.
The exit code is 0 if the definition could be applied now, and 1 if something stands against it.`
}

// Run prints what the definition would change.
func (c *planSaleCommand) Run(p *process) error {
	return c.Sale.planned(p, func(n *plannedSale) error {
		if !n.plan.Same || len(n.plan.Changes) > 0 {
			n.out.printf("Nothing stands against it: seathold sale apply --to %s %s", c.Sale.To, c.Sale.Dir)
		}
		return n.out.err
	})
}

// newSale is a definition for a running server.
type newSale struct {
	Dir    string `arg:"" placeholder:"DIR" help:"A directory with the files of a sale definition, or paris2024, the bundled one."`
	To     string `default:"http://127.0.0.1:9090" env:"SEATHOLD_ADMIN" placeholder:"URL" help:"The operator's port of the server (default: ${default})."`
	Remote remote `embed:""`
}

// plannedSale is one that nothing stands against.
type plannedSale struct {
	ctx      context.Context
	operator *client.Operator
	archive  []byte
	plan     client.Plan
	out      lines
}

// planned has the server plan the change, prints it, and calls then if nothing stands against it.
func (c *newSale) planned(p *process, then func(n *plannedSale) error) error {
	archive, err := archiveOf(c.Dir)
	if err != nil {
		return err
	}
	operator, ctx, end, err := c.Remote.operator(p, "--to", c.To)
	if err != nil {
		return err
	}
	defer end()
	n := plannedSale{ctx: ctx, operator: operator, archive: archive, out: lines{w: p.stdout}}
	if n.plan, err = operator.PlanSale(ctx, archive); err != nil {
		return remoteFaults(c.Dir, err)
	}
	printPlan(&n.out, &n.plan)
	if err := objections(n.plan.Objections); err != nil {
		return err
	}
	return then(&n)
}

// archiveOf returns the files of a definition as a tar archive. It fails on a faulty definition.
func archiveOf(dir string) ([]byte, error) {
	sale, err := catalog.Load(dir)
	if err != nil {
		return nil, err
	}
	return sale.Files.AppendTar(nil), nil
}

// printPlan prints what a definition changes, and what stands against it.
func printPlan(out *lines, plan *client.Plan) {
	if plan.EarlierVersion > 0 && !plan.Same {
		out.printf("note       this was in force before, in version %d", plan.EarlierVersion)
	}
	for _, change := range plan.Changes {
		out.printf("change     %s", change)
	}
	switch {
	case len(plan.Changes)+len(plan.Objections) > 0:
	case plan.Same:
		out.printf("no change: this definition is in force")
	default:
		out.printf("no change: other files that say the same; they would become version %d", plan.NextVersion)
	}
	for _, objection := range plan.Objections {
		out.printf("objection  %s", objection)
	}
}

// objections is the error of a definition that cannot be applied; nil if there are none.
func objections(all []string) error {
	if len(all) == 0 {
		return nil
	}
	return fmt.Errorf("the definition cannot be applied; objections: %d", len(all))
}

// remoteFaults adds to a refusal the faults that a server has found in a definition. It may be another release.
func remoteFaults(dir string, err error) error {
	refused, ok := asRefusal(err)
	if !ok {
		return err
	}
	if faults := refused.Texts("faults"); len(faults) > 0 {
		return fmt.Errorf("sale definition %s, as the server reads it: %s", dir, strings.Join(faults, "\n"))
	}
	return err
}
