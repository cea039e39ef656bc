package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/seathold/seathold/server/internal/drawfiles"
)

type exportCommand struct {
	Draw   string `required:"" placeholder:"DRAW" help:"The draw's id in the sale definition."`
	Dir    string `arg:"" placeholder:"DIR" help:"A directory that does not exist yet."`
	Admin  string `default:"http://127.0.0.1:9090" env:"SEATHOLD_ADMIN" placeholder:"URL" help:"The operator's port of the server (default: ${default})."`
	Remote remote `embed:""`
}

// Run fetches the export and verifies it.
func (c *exportCommand) Run(p *process) (err error) {
	if _, err := os.Lstat(c.Dir); !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("%s exists already; an export needs a new directory", c.Dir)
	}
	operator, ctx, end, err := c.Remote.operator(p, "--admin", c.Admin)
	if err != nil {
		return err
	}
	defer end()
	archive, err := operator.Export(ctx, c.Draw)
	if err != nil {
		return fmt.Errorf("draw %s: %w", c.Draw, err)
	}
	defer func() { err = errors.Join(err, archive.Close()) }()
	summary, err := drawfiles.Save(archive, c.Dir, c.Draw)
	if err != nil {
		return fmt.Errorf("draw %s: %w", c.Draw, err)
	}
	out := lines{w: p.stdout}
	out.printf("draw %s: %s entries, %s winners, in %s", c.Draw, count(summary.Entries), count(summary.Winners), c.Dir)
	out.printf("root %s", summary.Root)
	if summary.Terms.StandIn {
		out.printf("%s", standInWarning)
	}
	out.printf("Anyone can verify it: seathold draw verify %s, or README.md there", c.Dir)
	return out.err
}
