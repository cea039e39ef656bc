package main

import (
	"context"
	"fmt"
	"time"

	"github.com/dustin/go-humanize"
)

// pollCommand measures buyers beside pollers of the session list.
type pollCommand struct {
	Target  target        `embed:""`
	Pollers int           `default:"1000" help:"Pollers, each with a kept connection."`
	Every   time.Duration `default:"1s" help:"How often each polls. It sends If-None-Match and accepts gzip, as browsers do."`
	Path    string        `default:"/v1/sessions" help:"What is polled."`
	Buyers  int           `default:"200" help:"Buyers."`
	Think   time.Duration `default:"100ms" help:"How long a buyer waits on average before its next reservation."`
	Rounds  int           `default:"3" help:"Measure alone and beside so many times in turn. The ratio is the median."`
	Count   time.Duration `default:"3s" help:"Count each load for this long."`
	Seed    uint64        `default:"1" help:"Seed of pauses."`
	Quick   bool          `help:"A tenth of the connections, one short round. A missed goal is no failure."`
	Report  string        `required:"" placeholder:"FILE" help:"Write the figures to this file, JSON."`
}

// Run measures in turn.
func (c pollCommand) Run(ctx context.Context) error {
	if c.Quick {
		c.Pollers, c.Buyers, c.Rounds = max(1, c.Pollers/10), max(1, c.Buyers/10), 1
		c.Count /= quicker
	}
	p := &pair{target: &c.Target, think: c.Think, count: c.Count, rounds: c.Rounds,
		crowd: crowd{Connections: c.Buyers, Patience: time.Minute, Pipeline: 1, Seed: c.Seed},
		start: func() (*beside, error) {
			return startBeside(ctx, "poll", &c.Target, crowd{Connections: c.Pollers}, "--path", c.Path, "--every",
				c.Every.String())
		}}
	if err := p.run(ctx); err != nil {
		return err
	}
	alone, beside, ratio := p.figures()
	r := &partReport{Loads: map[string][]*measurement{"alone": p.alone, "beside": p.beside},
		Beside: map[string]besideReport{"poll": p.other}, Rows: []row{
			{What: fmt.Sprintf("99th percentile of %d buyers beside %s clients that poll %s each %s", c.Buyers,
				humanize.Comma(int64(c.Pollers)), c.Path, c.Every), Figure: fmt.Sprintf("%s ms, %.2f ×", rounded(beside), ratio),
				Beside: fmt.Sprintf("alone: %s ms", rounded(alone)), Goal: fmt.Sprintf("below %d ms", buyerGoal),
				Met: beside < buyerGoal}}}
	return r.conclude(c.Report, c.Quick)
}
