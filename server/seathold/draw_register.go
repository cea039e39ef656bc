package main

import (
	"fmt"
	"math"
	"time"

	"github.com/seathold/seathold/server/client"
	"github.com/seathold/seathold/server/registration"
)

type registerCommand struct {
	Draw        string        `required:"" placeholder:"DRAW" help:"The draw's id in the sale definition."`
	File        string        `required:"" placeholder:"FILE" help:"CSV with the header 'account' or 'account,priority_group'."`
	Server      string        `default:"http://127.0.0.1:8080" env:"SEATHOLD_SERVER" placeholder:"URL" help:"The API of the server (default: ${default})."`
	Concurrency int           `default:"64" placeholder:"N" help:"Calls in flight at a time (default: ${default})."`
	Patience    time.Duration `default:"1m" help:"How long a line is retried while the server does not accept it (default: ${default})."`
	Remote      remote        `embed:""`
}

func (c *registerCommand) Help() string {
	return `Entries are idempotent, so the command can be run again at any time. FILE.register.json records how far it has
come; the next run continues from there. Refused lines are written to FILE.refused.csv with their number and
the reason, and do not stop it: malformed lines, accounts that are in an earlier line too, groups that the
sale does not have, and accounts that entered before with another group. An apostrophe precedes what a
spreadsheet would take for a formula. Lines equal to the header are skipped and counted, so files can be
concatenated. Whatever would refuse every line stops it: a wrong key, an unknown draw, a closed registration.`
}

// Run enters the accounts.
func (c *registerCommand) Run(p *process) error {
	if c.Concurrency < 1 || c.Concurrency > 4096 {
		return usagef("--concurrency %d is not from 1 to 4096", c.Concurrency)
	}
	api, err := c.Remote.api(p, "--server", client.Options{URL: c.Server, Connections: c.Concurrency,
		Attempts: math.MaxInt, Patience: c.Patience})
	if err != nil {
		return err
	}
	defer api.Close()
	ctx, stop := p.untilSignal()
	defer stop()
	bar := newProgressBar(p.stderr)
	report, err := registration.Run(ctx, registration.Options{Draw: c.Draw, File: c.File, Server: c.Server, Client: api,
		Concurrency: c.Concurrency, Progress: bar.show, Resumed: func(line int64) {
			_, _ = fmt.Fprintf(p.stderr, "continuing after line %s of %s\n", count(int(line)), c.File)
		}})
	bar.end()
	if err != nil {
		return err
	}
	out := lines{w: p.stdout}
	out.printf("draw %s: %s", c.Draw, &report)
	if report.Refused > 0 {
		out.printf("refused lines and why: %s", c.File+".refused.csv")
	}
	return out.err
}
