package main

import (
	"errors"
	"fmt"

	"github.com/seathold/seathold/engine/journal/embedded"
	"github.com/seathold/seathold/engine/rehearsal"
)

type repairCommand struct {
	Data      string  `default:"./seathold-data" env:"SEATHOLD_DATA" placeholder:"DIR" help:"The journal's directory (default: ${default}). No server may have it open."`
	DryRun    bool    `help:"Only print what would be done."`
	LoseAfter *uint64 `placeholder:"SEQUENCE" help:"Give up every record after this one. Without the flag nothing that was acknowledged is given up; if only that helps, the command names the number."`
}

// Run repairs the journal, and prints each step before it takes the step.
func (c *repairCommand) Run(p *process) error {
	out := lines{w: p.stdout}
	o := embedded.RepairOptions{DryRun: c.DryRun, LoseAfter: embedded.NoLoss,
		Say: func(line string) { out.printf("%s", line) }}
	if c.LoseAfter != nil {
		o.LoseAfter = *c.LoseAfter
	}
	return errors.Join(embedded.Repair(c.Data, o), out.err)
}

// damageIn returns what is damaged in a journal that can be read: what a start does not need, or has a copy of. Only a
// journal in a directory has such parts.
func damageIn(b rehearsal.Readable) ([]*embedded.Fault, error) {
	if b, ok := b.(*embedded.ReadOnly); ok {
		return b.Check()
	}
	return nil, nil
}

// printDamage prints each damaged place, and returns an error if there is one.
func printDamage(p *process, where *journalFlags, damage []*embedded.Fault) error {
	out := lines{w: p.stdout}
	for _, fault := range damage {
		out.printf("DAMAGED       %v", fault)
	}
	if out.err == nil && len(damage) > 0 {
		return fmt.Errorf("%s: %s damaged places; everything can still be read; "+
			"`seathold journal repair --dry-run --data %s` prints what can be done", where, count(len(damage)), where)
	}
	return out.err
}
