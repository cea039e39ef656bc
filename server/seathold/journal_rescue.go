package main

import (
	"errors"
	"fmt"

	"github.com/seathold/seathold/engine/journal"
	"github.com/seathold/seathold/engine/journal/embedded"
)

type rescueCommand struct {
	From   string `default:"http://127.0.0.1:9090" env:"SEATHOLD_ADMIN" placeholder:"URL" help:"The operator's port of the server (default: ${default})."`
	To     string `required:"" placeholder:"DIR" help:"A directory that does not exist yet, or is empty. It becomes a journal."`
	Remote remote `embed:""`
}

// Run fetches the state of a running server into a new journal.
func (c *rescueCommand) Run(p *process) error {
	operator, ctx, end, err := c.Remote.operator(p, "--from", c.From)
	if err != nil {
		return err
	}
	defer end()
	state, err := operator.Rescue(ctx)
	if err != nil {
		return fmt.Errorf("rescue from %s: %w", c.From, err)
	}
	in, err := journal.NewStreamReader(state)
	bytes := 0
	if err == nil {
		err = embedded.Import(c.To, in.Last, func(to journal.Checkpoint) error {
			return in.Read(func(run []byte) error {
				bytes += len(run)
				return to.Write(run)
			})
		})
	}
	if err = errors.Join(err, state.Close()); err != nil {
		return fmt.Errorf("rescue from %s: %w", c.From, err)
	}
	out := lines{w: p.stdout}
	out.printf("journal       %s", c.To)
	out.printf("state         after record %s, %s bytes", count(int(in.Last)), count(bytes))
	out.printf("Check it with seathold verify --data %s, then stop that server and start one with --data %s", c.To, c.To)
	return out.err
}
