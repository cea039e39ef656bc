package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/seathold/seathold/engine/draw"
	"github.com/seathold/seathold/server/client"
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
	winners, err := c.saveWinners(ctx, operator, &summary)
	if err != nil {
		return fmt.Errorf("draw %s: %w", c.Draw, err)
	}
	out := lines{w: p.stdout}
	out.printf("draw %s: %s entries, %s winners, in %s", c.Draw, count(summary.Entries), count(summary.Winners), c.Dir)
	out.printf("root %s", summary.Root)
	if summary.Terms.StandIn {
		out.printf("%s", standInWarning)
	}
	if err := summary.Timing.Backdated(&summary.Terms); err != nil {
		out.printf("WARNING: draw verify refuses this export: %v", err)
	}
	out.printf("Anyone can verify it: seathold draw verify %s, or README.md there", c.Dir)
	if winners != "" {
		out.printf("The winners' accounts, for draw notify: %s. Do not publish this file", winners)
	}
	return out.err
}

// winnersOf returns the file of the winners' accounts that belongs to the export in a directory. It is beside the
// directory, which is to be published.
func winnersOf(dir string) string { return filepath.Clean(dir) + ".winners.csv" }

// saveWinners fetches the accounts of the winners. An export of format 1 has them itself.
func (c *exportCommand) saveWinners(ctx context.Context, operator *client.Operator, s *draw.Summary) (string, error) {
	if s.Format == 1 {
		return "", nil
	}
	csv, err := operator.Winners(ctx, c.Draw)
	if err != nil {
		return "", err
	}
	file := winnersOf(c.Dir)
	return file, errors.Join(drawfiles.SavePrivately(csv, file), csv.Close())
}
