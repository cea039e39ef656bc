package main

import (
	"github.com/seathold/seathold/engine/catalog"
)

type initSaleCommand struct {
	Dir  string `arg:"" placeholder:"DIR" help:"A directory that does not exist yet, or is empty."`
	Full bool   `help:"Write a definition that shows everything that one can have, with comments, instead of the smallest one."`
}

// Run writes the template.
func (c *initSaleCommand) Run(p *process) error {
	if err := catalog.Template(c.Full).WriteDir(c.Dir); err != nil {
		return err
	}
	out := lines{w: p.stdout}
	out.printf("Edit the files in %s, then: seathold sale check %[1]s", c.Dir)
	return out.err
}
