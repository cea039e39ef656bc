package main

import (
	"context"
	"errors"
	"os"
	"time"
)

type runCommand struct {
	Target   target        `embed:""`
	Crowd    crowd         `embed:""`
	Rate     float64       `help:"Open loop: buyers a second. Without it, a closed loop."`
	Warmup   time.Duration `default:"1s" help:"Load for this long before counting."`
	Duration time.Duration `default:"10s" help:"Count for this long."`
	JSON     string        `placeholder:"FILE" help:"Also write the figures to FILE."`
}

// Run makes one load.
func (c *runCommand) Run(ctx context.Context) error {
	if c.Rate > 0 && (c.Crowd.Think > 0 || c.Crowd.Pipeline > 1) {
		return errors.New("--think and --pipeline are for the closed loop, --rate is for the open one")
	}
	f, err := newFleet(ctx, &c.Target, c.Crowd)
	if err != nil {
		return err
	}
	defer f.close()
	if err = f.connect(ctx); err != nil {
		return err
	}
	m, err := f.make(ctx, c.Rate, c.Crowd.Think, c.Warmup, c.Duration)
	if err != nil {
		return err
	}
	m.print(os.Stdout)
	if c.JSON == "" {
		return nil
	}
	return writeJSON(c.JSON, m)
}

// make makes an open loop if there is a rate, and a closed loop otherwise.
func (f *fleet) make(ctx context.Context, rate float64, think, warmup, duration time.Duration) (*measurement, error) {
	if rate > 0 {
		return f.openLoop(ctx, rate, warmup, duration)
	}
	return f.closedLoop(ctx, think, warmup, duration)
}
